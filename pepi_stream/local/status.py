"""The status line of `make run`: what it says, in how many columns, and how it is shown.

All but `Line` is pure. A number is never cut: where the line is too long, numbers are rounded to
three digits, and where that is not enough, what matters least is left out.
"""

import contextlib
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

COLUMNS = 80
_SPEED_SECONDS = 5.0  # events/s is the mean of so long
_LINE_SECONDS = 0.5  # between two rewrites on a terminal
_PLAIN_LINE_SECONDS = 3.0  # between two lines in a file or a pipe
_UNITS = "kMGTPE"  # each is 1,000 of the one before
_DIGITS_AND_POINT = 4
_LONGEST_HOURS = 99


class Figures(NamedTuple):
    """The state at one moment.

    Attributes:
        rows: event rows in MySQL.
        dead: dead letters in MySQL.
        queued: payloads in the Redis list.
        claimed: claims that are not acked yet.
        age: seconds since the newest row's payload was claimed; None without such a row.
    """

    rows: int
    dead: int
    queued: int
    claimed: int
    age: float | None


class Speed:
    """Change a second of a number over the last few seconds, from values taken now and then."""

    def __init__(self, seconds: float = _SPEED_SECONDS) -> None:
        self._seconds = seconds
        self._values: deque[tuple[float, int]] = deque()

    def add(self, now: float, value: int) -> float | None:
        """Take a value at the time `now` (seconds of any clock).

        Returns the change a second, below 0 where the value falls; None of one value alone.
        """
        self._values.append((now, value))
        while len(self._values) > 2 and now - self._values[1][0] >= self._seconds:
            self._values.popleft()
        then, before = self._values[0]
        return (value - before) / (now - then) if now > then else None


def status(
    figures: Figures,
    speed: float | None,
    growth: float | None,
    since_start: float,
    width: int = COLUMNS - 1,
) -> str:
    """Return the status line, of at most `width` columns.

    The wait is the time from push to row: since the payload behind the newest row was claimed, as
    measured here, which is what decoding, buffering and COMMIT took, plus up to one pause between
    events. The wait in the list is not in that, so the time that the list's content takes at the
    current speed is added. A row from before this run says nothing about it.

    Args:
        figures: read just now.
        speed: events committed a second; None when it is not known yet.
        growth: payloads that the list gains a second, below 0 when it drains; None when it is not
            known yet.
        since_start: seconds since this run began.
        width: columns.
    """
    wait = _wait(figures, speed, since_start)
    for parts in _wordings(figures, speed, outlook(figures.queued, speed, growth), wait):
        line = "  ".join(parts)
        if len(line) <= width:
            return line
    return ""


def outlook(queued: int, speed: float | None, growth: float | None) -> str:
    """Return what becomes of the list: when it will be empty, or that it is growing.

    Nothing, when it holds less than is committed in a second, or when it is not known yet. The
    time is what the list holds, divided by what it loses a second, net of what is pushed.

    Args:
        queued: payloads in the list.
        speed: events committed a second.
        growth: payloads that the list gains a second.
    """
    if speed is None or growth is None or queued == 0 or queued < speed:
        return ""
    if growth == 0:
        return "not draining"
    return "growing" if growth > 0 else f"done in {duration(queued / -growth)}"


def duration(seconds: float) -> str:
    """Return seconds in a unit that keeps them short: `42 ms`, `4.4 s`, `75 s`, `12 min`, `3 h`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < (_LONGEST_HOURS + 0.5) * 3600:
        return f"{seconds / 3600:.0f} h"
    return f">{_LONGEST_HOURS} h"


def rounded(number: float) -> str:
    """Return a number of 0 or more in at most six columns: whole to 9,999, then three digits."""
    if number < 9_999.5:
        return f"{number:,.0f}"
    for unit in _UNITS:
        number /= 1000
        if number < 999.5:
            texts = (f"{number:.{digits}f}" for digits in (2, 1, 0))
            return next(text for text in texts if len(text) <= _DIGITS_AND_POINT) + unit
    return f">999{_UNITS[-1]}"


class Line:
    """A line that is rewritten in place on a terminal, and written again and again elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self.seconds = _LINE_SECONDS if self._live else _PLAIN_LINE_SECONDS

    @property
    def width(self) -> int:
        """Columns there are: one fewer than the terminal's, which would wrap."""
        return (shutil.get_terminal_size().columns if self._live else COLUMNS) - 1

    def show(self, text: str) -> None:
        """Show the text instead of the one before."""
        if self._live:
            print(f"\r{text}\x1b[K", end="", flush=True)
        else:
            print(text, flush=True)

    def end(self) -> None:
        """Let what follows begin on a new line."""
        if self._live:
            # A terminal that was closed must not keep the clean-up from its work.
            with contextlib.suppress(OSError):
                print(flush=True)


def _wordings(
    figures: Figures, speed: float | None, becomes: str, wait: str
) -> Iterator[list[str]]:
    """Yield the parts of the line, the longest first."""
    becomes = f", {becomes}" if becomes else ""
    letters = "dead letter" if figures.dead == 1 else "dead letters"
    for number, dead in ((_whole, letters), (_whole, "dead"), (rounded, "dead")):
        parts = [
            f"{'-' if speed is None else number(speed)} events/s",
            f"queue {number(figures.queued)}{becomes}",
            f"wait {wait}",
            f"{number(figures.rows)} rows",
            *([f"{number(figures.dead)} {dead}"] if figures.dead else []),
        ]
        yield parts
    while parts:
        parts = parts[:-1]
        yield parts


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _wait(figures: Figures, speed: float | None, since_start: float) -> str:
    if figures.age is None or figures.age >= since_start:
        return "-"
    if not figures.queued:
        return duration(figures.age)
    return duration(figures.age + figures.queued / speed) if speed else "-"
