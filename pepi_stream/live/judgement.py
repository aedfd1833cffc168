"""What the figures mean: levels, and words for a tired operator. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

OK, WARN, BAD = LEVELS = "ok", "warn", "bad"

#: More work than this waits: the workers cannot keep up for the moment.
BACKLOG_WARN_SECONDS: Final = 10.0
#: A burst of a minute is gone in minutes; more than this is a lack of workers.
BACKLOG_BAD_SECONDS: Final = 300.0
#: A flush that is tried again takes some seconds; nothing for longer is a standstill.
STANDSTILL_SECONDS: Final = 30.0
#: Commits come several times a second while there is work. As long as nothing came for less than
#: this, the queue may have been filled just now.
IDLE_SECONDS: Final = 2.0
#: A minute's window is then still open for more than a minute.
OLDEST_WARN_SECONDS: Final = 60.0
#: People who look at a page notice by then.
OLDEST_BAD_SECONDS: Final = 900.0
#: Of what is normal (below a second) five are a hiccup of a network or a COMMIT; a minute is not.
PIPELINE_WARN_SECONDS: Final = 5.0
PIPELINE_BAD_SECONDS: Final = 60.0
#: A claim outlives one lease when a worker died, five when nobody takes it over.
CLAIM_BAD_LEASES: Final = 5
#: A producer that sends rubbish, not one odd event.
DEAD_BAD_SHARE: Final = 0.01
#: What is shown may be so old before it is said: longer than a snapshot takes.
STALE_SECONDS: Final = 10.0


class Facts(NamedTuple):
    """Everything that is judged.

    Attributes:
        rate: events committed a second.
        idle: seconds since the last commit.
        backlog: payloads in the queue.
        grew: payloads that came since the first look after the last commit.
        oldest: seconds since the event at the head of the queue happened.
        oldest_words: why that is not known.
        took: from claim to commit, (median, 99th percentile) in seconds; None when nothing was
            committed.
        ages: of events at their commit, likewise.
        whole_seconds: providers whose clocks have whole seconds.
        claims: open claims.
        claim_age: seconds since the oldest of them was made.
        lease_seconds: of the settings.
        dead: dead letters in the table.
        dead_words: why that is not known.
        dead_hour: of them, of the last hour.
        dead_share: (dead letters, events) committed in the last five minutes.
        workers: workers that were heard of just now.
        silent: (name, seconds) of those that fell silent.
        redis: why Redis is of no use now; empty when it answers.
        mysql: likewise.
        refusals: which of them cannot be written to, since when and why, a sentence each.
        stale: seconds for which what is shown may have missed something.
        stale_words: why.
    """

    rate: float = 0.0
    idle: float = 0.0
    backlog: int | None = None
    grew: int = 0
    oldest: float | None = None
    oldest_words: str = ""
    took: tuple[float, float] | None = None
    ages: tuple[float, float] | None = None
    whole_seconds: Sequence[str] = ()
    claims: int | None = None
    claim_age: float | None = None
    lease_seconds: float = 30.0
    dead: int | None = None
    dead_words: str = ""
    dead_hour: int = 0
    dead_share: tuple[int, int] = (0, 0)
    workers: int = 0
    silent: Sequence[tuple[str, float]] = ()
    redis: str = ""
    mysql: str = ""
    refusals: Sequence[str] = ()
    stale: float = 0.0
    stale_words: str = ""


class Judged(NamedTuple):
    """A figure's level and words."""

    value: float | int | None
    level: str = OK
    words: str = ""

    def json(self) -> dict[str, Any]:
        """Return it as ``docs/live.md`` has it."""
        return self._asdict()


def judge(facts: Facts) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (figures, health) as ``docs/live.md`` has them."""
    figures = {
        "rate": Judged(round(facts.rate, 1)),
        "backlog": backlog(facts),
        "oldest": oldest(facts),
        **pipeline(facts),
        **ages(facts),
        "claims": claims(facts),
        "dead": dead(facts),
        "workers": workers(facts),
    }
    return {name: figure.json() for name, figure in figures.items()}, health(facts, figures)


def backlog(facts: Facts) -> Judged:
    """Judge how much waits."""
    waits = facts.backlog
    if waits is None:
        return Judged(None, OK, facts.redis or "not looked at yet")
    if not waits:
        return Judged(0)
    if facts.idle > STANDSTILL_SECONDS and facts.grew > 0:
        return Judged(waits, BAD, f"growing, and nothing committed for {_span(facts.idle)}")
    if facts.rate <= 0:
        if facts.idle < IDLE_SECONDS:
            return Judged(waits)
        return Judged(waits, WARN, f"waiting, and nothing committed for {_span(facts.idle)}")
    work = waits / facts.rate
    words = f"{_span(work)} of work at the present rate"
    if work > BACKLOG_BAD_SECONDS:
        return Judged(waits, BAD, f"{words}: start more workers?")
    return Judged(waits, WARN, words) if work > BACKLOG_WARN_SECONDS else Judged(waits)


def oldest(facts: Facts) -> Judged:
    """Judge how long ago the next event happened: its own time, not when it was pushed."""
    age = facts.oldest
    if age is None:
        return Judged(None, OK, facts.redis or facts.oldest_words or "not looked at yet")
    age = round(age, 1)
    if age > OLDEST_WARN_SECONDS:
        level = BAD if age > OLDEST_BAD_SECONDS else WARN
        return Judged(age, level, f"the next event happened {_span(age)} ago")
    return Judged(age)


_NOTHING = Judged(None, OK, "nothing was committed in the last seconds")


def pipeline(facts: Facts) -> dict[str, Judged]:
    """Judge how long it takes from claim to commit: what workers and MySQL are answerable for."""
    if facts.took is None:
        return {"pipeline_p50": _NOTHING, "pipeline_p99": _NOTHING}
    median, high = (round(seconds, 3) for seconds in facts.took)
    if high > PIPELINE_WARN_SECONDS:
        level = BAD if high > PIPELINE_BAD_SECONDS else WARN
        slowest = Judged(high, level, f"some claims take {_span(high)} to be committed")
    else:
        slowest = Judged(high)
    return {"pipeline_p50": Judged(median), "pipeline_p99": slowest}


def ages(facts: Facts) -> dict[str, Judged]:
    """Tell how old events are when they are committed.

    That is no alarm: providers send some events hours late, and what waits in the queue is told by
    the backlog.
    """
    if facts.ages is None:
        return {"lag_p50": _NOTHING, "lag_p99": _NOTHING}
    words = ""
    if facts.whole_seconds:
        names = ", ".join(facts.whole_seconds)
        words = f"up to 1 s too much: whole-second clocks ({names})"
    median, high = (round(seconds, 3) for seconds in facts.ages)
    return {"lag_p50": Judged(median, OK, words), "lag_p99": Judged(high, OK, words)}


def claims(facts: Facts) -> Judged:
    """Judge what is held."""
    if facts.claims is None:
        return Judged(None, OK, facts.redis or "not looked at yet")
    age, lease = facts.claim_age, facts.lease_seconds
    if age is None or age <= lease:
        return Judged(facts.claims)
    if age > CLAIM_BAD_LEASES * lease:
        return Judged(
            facts.claims, BAD, f"the oldest is {_span(age)} old: held by no living worker?"
        )
    return Judged(facts.claims, WARN, f"the oldest is {_span(age)} old, more than a lease")


def dead(facts: Facts) -> Judged:
    """Judge what became no row."""
    if facts.dead is None:
        return Judged(None, OK, facts.dead_words or "not counted yet")
    lately, events = facts.dead_share
    if lately > DEAD_BAD_SHARE * events:
        share = 100 * lately / events
        return Judged(
            facts.dead, BAD, f"{share:.1f} % of the events of the last 5 minutes: see their reasons"
        )
    if facts.dead_hour:
        return Judged(facts.dead, WARN, f"{facts.dead_hour:,} in the last hour")
    return Judged(facts.dead)


def workers(facts: Facts) -> Judged:
    """Judge who works."""
    if not facts.workers:
        return Judged(0, BAD, "no worker is heard of: is one running, and does Redis publish?")
    if facts.silent:
        name, seconds = min(facts.silent, key=lambda each: each[1])
        more = f", and {len(facts.silent) - 1} more" if len(facts.silent) > 1 else ""
        return Judged(
            facts.workers, WARN, f"{name} has been silent for {_span(seconds)}{more}: stopped?"
        )
    return Judged(facts.workers)


_NAMES = {
    "backlog": "Backlog",
    "oldest": "Oldest unprocessed",
    "pipeline_p99": "Pipeline",
    "claims": "Claims",
    "dead": "Dead letters",
    "workers": "Workers",
}


def health(facts: Facts, figures: dict[str, Judged]) -> dict[str, str]:
    """Return the worst of all, in a sentence."""
    if facts.redis:
        return _health(BAD, f"Redis does not answer: {facts.redis}")
    if facts.mysql:
        return _health(BAD, f"MySQL does not answer: {facts.mysql}")
    if facts.refusals:
        return _health(BAD, "; ".join(facts.refusals))
    for level in (BAD, WARN):
        if level == WARN and facts.stale > STALE_SECONDS:
            return _health(WARN, f"The counts may be {_span(facts.stale)} old: {facts.stale_words}")
        told = [
            f"{_NAMES.get(name, name)}: {figure.words}"
            for name, figure in figures.items()
            if figure.level == level
        ]
        if told:
            return _health(level, "; ".join(told))
    if figures["backlog"].value:
        return _health(OK, "All is well: what waits is being worked on.")
    return _health(OK, "All is well: nothing waits, nothing is lost.")


def _health(level: str, words: str) -> dict[str, str]:
    return {"level": level, "words": words if words.endswith(".") else words + "."}


def _span(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"
