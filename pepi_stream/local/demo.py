"""`make demo EVENTS=n`: push n events, drain them with real workers, and account for every one.

The events are a mix of all providers' formats; PEPI_SOURCE__FORMAT chooses one.

`.local/demo/` is wiped first, so the figures are of this run only. The last line on stdout is one
JSON object; everything for people is on stderr. The exit status is 0 only when everything adds up.

Environment: WORKERS, how many worker processes (1); any PEPI_ variable, for tuning (for example
PEPI_SINK__MAX_ROWS), except that the two servers are always the private ones.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pepi_stream.claims.keys import claims_key
from pepi_stream.local.books import Found, differing, find, ledger
from pepi_stream.local.errors import LocalError
from pepi_stream.local.stack import Interrupted, Signals, Stack
from pepi_stream.simulate import FORMATS, encoder, event_name_in, simulate

_SPAN_SECONDS = 600  # the events' times cover so long, which makes some ten windows
_PUSH = 5000  # payloads per RPUSH
_POLL_SECONDS = 0.02
_PROGRESS_SECONDS = 1.0
_STUCK_SECONDS = 60.0
_IDLE_SECONDS = 60.0
_IDLE = "draining the list"  # what a worker logs once it claims
_MOST_NAMED = 5  # stray keys that a report names


class Drain(NamedTuple):
    """How the drain went: seconds from the first payload to the last ack, and what stopped it."""

    seconds: float
    failure: str | None


def mismatches(pushed: Mapping[str, int], found: Found) -> list[str]:
    """Return a line for everything that does not add up; none when all is well.

    Args:
        pushed: payloads pushed, of one event each, by event name.
        found: what the servers hold.
    """
    n = sum(pushed.values())
    wrong = [
        f"{what} is {is_}, and should be {should}: {is_ - should:+d}"
        for what, is_, should in (
            ("rows + dead letters + queued + claimed", _accounted(found), n),
            ("the number of rows", found.rows, n - found.dead),
            ("the ledger's sum of payloads", found.ledger, n),
            ("the number of queued payloads", found.queued, 0),
            ("the number of claimed payloads", found.claimed, 0),
            ("the number of open claims", found.leases, 0),
            *((f"the sum of window {w}", total, found.rows) for w, total in found.windows.items()),
        )
        if is_ != should
    ]
    if found.stray:
        wrong.append(f"Redis still has {', '.join(sorted(found.stray)[:_MOST_NAMED])}")
    if found.by_event is not None:
        names = sorted({*pushed, *found.by_event})
        less = {name: pushed.get(name, 0) - found.by_event.get(name, 0) for name in names}
        # Which events the dead letters were is not known: they may lack so many rows together.
        if min(less.values(), default=0) < 0 or sum(less.values()) != found.dead:
            wrong += [
                f"rows of event {name!r} are {found.by_event.get(name, 0)}, and "
                f"{pushed.get(name, 0)} were pushed"
                for name in names
                if less[name]
            ]
    for window, rows in found.row_groups.items():
        wrong += differing(window, rows, found.window_groups.get(window, {}))
    return wrong


def report(n: int, found: Found, seconds: float) -> str:
    """Return the JSON object that ends the demo."""
    return json.dumps(
        {
            "pushed": n,
            "rows": found.rows,
            "dead": found.dead,
            "queued": found.queued,
            "claimed": found.claimed,
            "windows": found.windows,
            "seconds": round(seconds, 3),
            "events_per_second": round((found.rows + found.dead) / seconds) if seconds else 0,
        },
        separators=(",", ":"),
    )


def main(args: argparse.Namespace) -> int:
    """Run the demo with `args.events` events; return the exit status (130 after Ctrl-C).

    Raises:
        LocalError: Something could not be started, or ended by itself.
    """
    workers = _workers(os.environ)
    with Signals() as signals:
        try:
            # A mix of all formats, unless a configuration says otherwise.
            defaults = {} if "PEPI_CONFIG" in os.environ else {"PEPI_SOURCE__FORMAT": "auto"}
            with Stack(
                Path(".local/demo"), signals, say=_say, fresh=True, defaults=defaults
            ) as stack:
                result, wrong = _demo(stack, args.events, workers)
        except Interrupted as interrupt:
            _say(f"{interrupt}: everything is stopped")
            return 128 + interrupt.signum
    for line in wrong:
        _say(f"WRONG: {line}")
    if not wrong:
        _say("every event is accounted for")
    print(result, flush=True)
    return 1 if wrong else 0


def _demo(stack: Stack, n: int, workers: int) -> tuple[str, list[str]]:
    settings = stack.settings
    if settings.source.format not in FORMATS:
        raise LocalError(
            f"source.format is {settings.source.format}; the simulator makes {', '.join(FORMATS)}"
        )
    stack.migrate()
    with closing(stack.redis()) as client, closing(stack.mysql()) as mysql:
        queue = settings.source.queue
        side = f"{queue}:demo"
        pushed = _push(client, side, n, settings.source.format)
        _say(f"starting {workers} worker{'s' if workers > 1 else ''} from the Procfile")
        stack.start_workers("worker", workers)
        _wait_until_idle(stack)
        began = time.monotonic()
        client.rename(side, queue)
        drain = _drain(stack, client, mysql, n, began)
        _say(f"drained in {drain.seconds:.2f} s; stopping the workers, checking the database")
        stack.stop_children()
        wrong = [drain.failure] if drain.failure else []
        wrong += [
            f"{worker.name} ended with status {worker.status} instead of 0; {worker.log_tail()}"
            for worker in stack.workers
            if worker.status != 0
        ]
        found = find(client, mysql, settings)
    return report(n, found, drain.seconds), wrong + mismatches(pushed, found)


def _push(client: Any, key: str, n: int, format_: str) -> Counter[str]:
    """Push n simulated events on the list `key`; return how many of each name."""
    start = int(time.time()) - _SPAN_SECONDS
    events = simulate(seed=1, start=start, rate=max(1.0, n / _SPAN_SECONDS))
    encode = encoder(format_)
    pushed: Counter[str] = Counter()
    shown = time.monotonic()
    possible = ((event, name) for event in events if (name := event_name_in(format_, event)))
    chosen = islice(possible, n)
    while chunk := list(islice(chosen, _PUSH)):
        client.rpush(key, *(encode(event) for event, _ in chunk))
        pushed.update(name for _, name in chunk)
        if time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            _say(f"pushed {pushed.total():,} of {n:,} events")
    names = ", ".join(f"{name} {count:,}" for name, count in pushed.most_common())
    _say(f"pushed {pushed.total():,} {format_} events on a side list: {names}")
    return pushed


def _wait_until_idle(stack: Stack) -> None:
    """Return once every worker claims, from a list that is still empty."""
    deadline = time.monotonic() + _IDLE_SECONDS
    for worker in stack.workers:
        while _IDLE not in worker.log():
            stack.check_alive()
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{worker.name} was not ready after {_IDLE_SECONDS:g} s; {worker.log_tail()}"
                )
            stack.pause(_POLL_SECONDS)


def _drain(stack: Stack, client: Any, mysql: Any, n: int, began: float) -> Drain:
    """Wait until the list is empty, no claim is open, and MySQL has n payloads' worth.

    A claim's ledger row is of the same transaction as its rows and dead letters, and the ledger is
    by far the smallest table: it tells how much is committed.
    """
    queue = stack.settings.source.queue
    seen = (-1, -1)
    progress = looked = began
    while True:
        pipe = client.pipeline(transaction=False)
        pipe.llen(queue)
        pipe.zcard(claims_key(queue))
        queued, claimed = pipe.execute()
        if not queued and not claimed and ledger(mysql, stack.settings) >= n:
            return Drain(time.monotonic() - began, None)
        now = time.monotonic()
        if now - looked > _PROGRESS_SECONDS:
            looked = now
            committed = ledger(mysql, stack.settings)
            _say(f"drained {committed:,} of {n:,} events ({committed / (now - began):,.0f}/s)")
            if (queued, committed) != seen:
                seen, progress = (queued, committed), now
        failure = None
        if now - progress > _STUCK_SECONDS:
            failure = f"no progress for {_STUCK_SECONDS:g} s"
        elif ended := [w.name for w in stack.workers if w.status is not None]:
            failure = f"{', '.join(ended)} ended before the list was empty"
        if failure:
            tails = "\n".join(worker.log_tail() for worker in stack.workers)
            return Drain(now - began, f"{failure}; {tails}")
        stack.pause(_POLL_SECONDS)


def _accounted(found: Found) -> int:
    return found.rows + found.dead + found.queued + found.claimed


def _workers(environ: Mapping[str, str]) -> int:
    text = environ.get("WORKERS") or "1"
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 64):
        raise LocalError(f"WORKERS should be a number of processes, 1 to 64, and is {text!r}")
    return int(text)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
