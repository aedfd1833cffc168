"""What a probe found."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

#: Clocks that are further apart are reported.
MOST_SECONDS_APART: Final = 1.0


class Finding(NamedTuple):
    """One thing that was looked at, and what to do about it when it is not well.

    Attributes:
        level: ``fail`` must be fixed before a worker can be trusted, ``warn`` should be looked at.
        what: in words, without the values of anybody's data.
        remedy: what to do; empty when it is well.
    """

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""


def clock_finding(server: str, ahead: float, round_trip: float) -> Finding | None:
    """Judge a server's clock against this machine's.

    Args:
        server: its name.
        ahead: seconds that its clock is ahead of the middle of the round trip.
        round_trip: seconds; half of it is not known.

    Returns:
        A finding when they are certainly more than a second apart.
    """
    if abs(ahead) - round_trip / 2 <= MOST_SECONDS_APART:
        return None
    return Finding(
        "warn",
        f"the clock of {server} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} "
        "this machine's",
        "let all machines keep time by NTP: ages of events, times in the pipeline and retention "
        "are wrong by as much",
    )
