"""The simulation: turns campaigns, people and journeys into one ordered stream of events."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pepi_stream.simulate.audience import person
from pepi_stream.simulate.backlog import BACKLOG_LIMIT, Backlog, Waiting
from pepi_stream.simulate.campaigns import SLOT_SHARES, campaigns
from pepi_stream.simulate.event import SimulatedEvent
from pepi_stream.simulate.journeys import (
    BOUNCE,
    CLICK,
    COMPLAINT,
    DELAY_SLOTS,
    DROPPED,
    MACHINE_OPEN,
    OPEN,
    UNSUBSCRIBE,
    delays,
    fates,
    longest_delay,
)
from pepi_stream.simulate.mailboxes import MAILBOXES, Bounce
from pepi_stream.simulate.pace import Pace, steady
from pepi_stream.simulate.user_agents import BROWSERS, CONSUMER_NETWORKS
from pepi_stream.simulate.weighted import weighted_table

_SLOTS: Final = weighted_table(list(enumerate(SLOT_SHARES)), 1024)
_FATES: Final = {box.name: fates(box) for box in MAILBOXES}
_BOUNCES: Final[dict[str, tuple[Bounce, ...]]] = {
    box.name: weighted_table([(bounce, bounce.weight) for bounce in box.bounces], 128)
    for box in MAILBOXES
}
_DROP_REPLIES: Final = (
    "Dropped: recipient is on the suppression list (bounced before)",
    "Dropped: recipient has unsubscribed",
    "Dropped: recipient reported spam before",
)
_EVENT_NAMES: Final = {
    OPEN: "opened",
    MACHINE_OPEN: "opened",
    CLICK: "clicked",
    UNSUBSCRIBE: "unsubscribed",
    COMPLAINT: "complained",
}
_IDS_A_SECOND: Final = 10_000_000


class Simulation:
    """A running simulation; ``simulate`` is the usual way to one.

    Its output depends on the arguments alone. Randomness is ``random.Random(seed).random()`` only,
    the one method whose sequence Python promises to keep between versions.
    """

    def __init__(
        self,
        *,
        seed: int,
        start: int,
        rate: float,
        pace: Pace | None = None,
        backlog_limit: int = BACKLOG_LIMIT,
    ) -> None:
        """Prepare a simulation; arguments as for ``simulate``.

        Args:
            seed: any integer.
            start: first second of event time, epoch seconds.
            rate: events a second of event time.
            pace: events due by each second, where they are not ``rate`` a second throughout.
            backlog_limit: most messages that may wait for a later event.

        Raises:
            ValueError: if ``rate`` is not a positive number or ``start`` is not positive.
        """
        even = steady(rate)
        if start <= 0:
            raise ValueError(f"start is {start!r}; give epoch seconds, a positive integer")
        self._start = start
        self._pace = pace or even
        self._draw = random.Random(seed).random
        self._backlog = Backlog(backlog_limit)
        self._delays = delays(longest_delay(rate, backlog_limit))
        self._queues = [
            campaigns(self._draw, rare=slot == len(SLOT_SHARES) - 1)
            for slot in range(len(SLOT_SHARES))
        ]
        self._running = [next(queue) for queue in self._queues]
        self._serial = int(self._draw() * _IDS_A_SECOND)

    @property
    def waiting(self) -> int:
        """Messages that wait for a later event, never more than ``backlog_limit``."""
        return len(self._backlog)

    def events(self) -> Iterator[SimulatedEvent]:
        """Yield events without end, ``occurred_at`` never decreasing.

        Events that are due come before new sends, so the backlog drains whatever the rate; within
        a second the two are interleaved evenly.
        """
        second = 0
        done = 0
        while True:
            # Counted from the start: rounding each second by itself would drift at rates like 0.3.
            total = self._pace(second + 1)
            budget = total - done
            done = total
            now = self._start + second
            second += 1
            # Also with no budget, at rates below 1: that is what carries the due ones over.
            due = self._backlog.take(now, budget)
            share = len(due)
            credit = 0
            following = iter(due)
            for _ in range(budget):
                credit += share
                if credit >= budget:
                    credit -= budget
                    yield self._follow_up(next(following), now)
                else:
                    yield self._send(now)

    def _send(self, now: int) -> SimulatedEvent:
        """Send the next message of some campaign, and schedule what follows."""
        # One draw, cut into bits, serves the slot (10), the fate (13) and the delay (10).
        bits = int(self._draw() * 0x200000000)
        slot = _SLOTS[bits & 1023]
        campaign = self._running[slot]
        if not campaign.left:
            campaign = self._running[slot] = next(self._queues[slot])
        campaign.left -= 1
        recipient, mailbox = person(campaign.next_person)
        campaign.next_person += 1
        self._serial = serial = self._serial + 1
        # The factor is coprime with 10**7: ids of one second look unrelated, and differ.
        message_id = now * _IDS_A_SECOND + serial * 7368787 % _IDS_A_SECOND
        journey = _FATES[mailbox.name][bits >> 10 & 8191]
        if journey is DROPPED:
            return SimulatedEvent(
                message_id, "dropped", recipient, campaign.name, now, campaign.sender,
                campaign.message_bytes, campaign.api_header, _DROP_REPLIES[serial % 3],
            )  # fmt: skip
        event = SimulatedEvent(
            message_id, "sent", recipient, campaign.name, now, campaign.sender,
            campaign.message_bytes, campaign.api_header, mailbox.accepted,
        )  # fmt: skip
        if journey:
            delay = self._delays[journey[0]][bits >> 23]
            self._backlog.add(now + delay, Waiting(event, campaign, mailbox, journey, 0))
        return event

    def _follow_up(self, waiting: Waiting, now: int) -> SimulatedEvent:
        """Make the event that a message is due for, and schedule the one after it."""
        send, campaign, mailbox, journey, step = waiting
        kind = journey[step]
        step += 1
        if step < len(journey):
            delay = self._delays[journey[step]][int(self._draw() * DELAY_SLOTS)]
            self._backlog.add(now + delay, Waiting(send, campaign, mailbox, journey, step))
        # Person and device hang on the message id, so that open and click of a message agree.
        pick = (send.message_id * 0x9E3779B97F4A7C15 >> 32) & 0xFFFFFFFF
        if kind == BOUNCE:
            bounce = _BOUNCES[mailbox.name][pick & 127]
            reply = bounce.reply.replace("{recipient}", send.recipient)
            return SimulatedEvent(
                send.message_id, "bounced", send.recipient, send.campaign, now, send.sender,
                send.message_bytes, send.api_header, f"smtp;{reply}", "", "", "",
                bounce.kind, reply, bounce.reason_id,
            )  # fmt: skip
        url = ""
        if kind == OPEN:
            agent = mailbox.readers[pick % len(mailbox.readers)]
        elif kind == MACHINE_OPEN:
            agent = mailbox.machine
        else:
            agent = BROWSERS[pick & 255]
            if kind == CLICK:
                # The lesser of two draws: links near the top are clicked more often.
                count = len(campaign.links)
                url = campaign.links[min((pick >> 8) % count, (pick >> 16) % count)]
        if agent.network:
            ip = f"{agent.network}.{1 + (pick >> 8) % 254}"
        else:
            ip = f"{CONSUMER_NETWORKS[pick >> 28]}.{pick >> 8 & 255}.{1 + (pick >> 16) % 254}"
        return SimulatedEvent(
            send.message_id, _EVENT_NAMES[kind], send.recipient, send.campaign, now, send.sender,
            send.message_bytes, send.api_header, "", agent.user_agent, ip, url,
        )  # fmt: skip


def simulate(
    *, seed: int, start: int, rate: float, count: int | None = None, pace: Pace | None = None
) -> Iterator[SimulatedEvent]:
    """Return simulated events in the order of their time.

    A campaign's first second holds sends alone; opens and clicks join within the next ones. A run
    shows the full mixture when ``count`` is at least some 30 times ``rate``.

    Args:
        seed: any integer; equal arguments give equal events, on any machine and Python version, and
            a smaller ``count`` gives a prefix.
        start: first second of event time, epoch seconds.
        rate: events a second of event time; may be below 1. The tail of late opens is cut shorter
            at high rates, so that waiting messages stay within ``BACKLOG_LIMIT``.
        count: number of events, or None for an endless stream.
        pace: events due by each second, where they are not ``rate`` a second throughout
            (``after_history``).

    Raises:
        ValueError: at once, if ``rate`` or ``start`` is not positive or ``count`` is negative.
    """
    if count is not None and count < 0:
        raise ValueError(f"count is {count!r}; give 0 or more events, or None for no end")
    events = Simulation(seed=seed, start=start, rate=rate, pace=pace).events()
    return events if count is None else islice(events, count)
