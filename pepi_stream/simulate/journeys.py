"""What becomes of a message after it is sent, and how long each step takes."""

from __future__ import annotations

from typing import Final

from pepi_stream.simulate.mailboxes import Mailbox
from pepi_stream.simulate.weighted import weighted_table

OPEN: Final = 0
MACHINE_OPEN: Final = 1
CLICK: Final = 2
BOUNCE: Final = 3
UNSUBSCRIBE: Final = 4
COMPLAINT: Final = 5
DROP: Final = 6

Journey = tuple[int, ...]
"""The steps that follow a send, in order; empty when nothing does."""

DROPPED: Final[Journey] = (DROP,)
"""The message is never sent: the provider's suppression list holds the recipient."""

FATE_SLOTS: Final = 8192
DELAY_SLOTS: Final = 1024

LONGEST_DELAY: Final = 4096
"""Upper bound of a delay in seconds of event time."""

# What a person who opens does, in 1,000. Clicks, unsubscribes and complaints follow an open.
_READER_JOURNEYS: Final[tuple[tuple[Journey, int], ...]] = (
    ((OPEN,), 640),
    ((OPEN, OPEN), 150),
    ((OPEN, OPEN, OPEN), 40),
    ((OPEN, OPEN, OPEN, OPEN, OPEN), 10),
    ((OPEN, CLICK), 110),
    ((OPEN, OPEN, CLICK), 25),
    ((OPEN, CLICK, CLICK), 15),
    ((OPEN, CLICK, UNSUBSCRIBE), 3),
    ((OPEN, UNSUBSCRIBE), 5),
    ((OPEN, COMPLAINT), 2),
)
_MACHINE_JOURNEYS: Final[tuple[tuple[Journey, int], ...]] = (
    ((MACHINE_OPEN,), 850),
    ((MACHINE_OPEN, OPEN), 110),
    ((MACHINE_OPEN, OPEN, CLICK), 40),
)
_DROP_RATE: Final = 40  # in 10,000
# Median seconds from the step before, in the order of the constants above. Real ones are hours; a
# demo lasts a minute or two and should show its opens.
_MEDIANS: Final = (4, 1, 2, 1, 3, 6)


def fates(mailbox: Mailbox) -> tuple[Journey, ...]:
    """Return ``FATE_SLOTS`` journeys in the proportions of one mailbox provider."""
    scaled: list[tuple[Journey, int]] = [
        (DROPPED, _DROP_RATE * 1000),
        ((BOUNCE,), mailbox.bounce_rate * 1000),
    ]
    scaled += [(journey, mailbox.open_rate * weight) for journey, weight in _READER_JOURNEYS]
    scaled += [(journey, mailbox.machine_rate * weight) for journey, weight in _MACHINE_JOURNEYS]
    scaled.append(((), 10_000_000 - sum(weight for _, weight in scaled)))
    return weighted_table(scaled, FATE_SLOTS)


def delays(longest: int) -> tuple[tuple[int, ...], ...]:
    """Return, for each step, ``DELAY_SLOTS`` equally likely delays in seconds, 1 or more.

    The delays are quantiles of a log-logistic distribution of shape 1, ``median * u / (1 - u)``,
    cut off at ``longest``: half of the opens come within seconds, one in a hundred after about 100
    medians. It needs the basic operations only, which IEEE 754 rounds alike everywhere.

    Args:
        longest: upper bound of a delay in seconds.
    """
    tables = []
    for median in _MEDIANS:
        cut = longest / (longest + median)
        quantiles = (cut * slot / DELAY_SLOTS for slot in range(DELAY_SLOTS))
        tables.append(tuple(min(longest, 1 + int(median * u / (1 - u))) for u in quantiles))
    return tuple(tables)


def longest_delay(rate: float, backlog_limit: int) -> int:
    """Return the longest delay, in seconds, whose backlog fits at ``rate`` events a second.

    The tail is cut before the limit is reached: a limit that bites would thin out the opens.
    """
    longest = LONGEST_DELAY
    # 0.5 is a generous count of messages on their way per event. A delay of 1 second is the least.
    while longest > 1 and rate * 0.5 * (sum(delays(longest)[OPEN]) / DELAY_SLOTS) > backlog_limit:
        longest //= 2
    return longest
