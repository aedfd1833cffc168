"""The contenders, and the rounds in which they race."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import article, limit
from bench.arena import Arena, Result
from pepi_stream.local.child import Child
from pepi_stream.local.errors import LocalError

Start = Callable[[str], list[Child]]

#: Tried for `go-tuned`, all with interpolateParams: (batch, inserters).
GO_GRID = ((100, 1), (1000, 1), (1000, 2), (5000, 1), (5000, 2))

#: Ratios of rates, taken within a round: name -> (ours, whose).
RATIOS = {
    "article_vs_go": ("ours-article", "go"),
    "article_vs_go_tuned": ("ours-article", "go-tuned"),
    "article_vs_perl": ("ours-article", "perl"),
    "full_vs_go": ("ours-full", "go"),
    "article_of_limit": ("ours-article", "limit-article"),
    "full_of_limit": ("ours-full", "limit-full"),
}


@dataclass(frozen=True)
class Contender:
    """Who races.

    Attributes:
        name: as in the results.
        about: what it does, for the table.
        start: takes a database with the tables, starts the processes, returns when they wait.
        events: how many it gets.
        config: of the tables; None for the default configuration.
    """

    name: str
    about: str
    start: Start
    events: int
    config: str | None


@dataclass
class Contest:
    """All runs.

    Attributes:
        contenders: in the order of racing.
        results: one a round, by contender.
        absent: contenders that could not be had, and why.
        versions: of what the contenders are made with.
    """

    contenders: list[Contender] = field(default_factory=list)
    results: dict[str, list[Result]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        """Rates of a contender, by round."""
        return [result.rate for result in self.results.get(name, [])]

    def ratios(self) -> dict[str, float | None]:
        """Return the median of each ratio over the rounds; None where a side is absent."""
        found: dict[str, float | None] = {}
        for name, (ours, theirs) in RATIOS.items():
            pairs = zip(self.rates(ours), self.rates(theirs), strict=False)
            ratios = [mine / other for mine, other in pairs]
            found[name] = round(median(ratios), 3) if ratios else None
        return found


def assemble(arena: Arena, *, events: int, perl_events: int, grid: bool) -> Contest:
    """Build and record what the contenders need, and find the best parameters for `go-tuned`.

    Args:
        arena: with its events prepared.
        events: of every contender but Perl, which is ten times slower.
        perl_events: Perl's.
        grid: try all of :data:`GO_GRID`; else take the last.
    """
    contest = Contest()
    config = article.ARTICLE_CONFIG
    everybody = contest.contenders
    try:
        contest.versions["perl"] = article.prepare_perl()
        everybody.append(
            Contender(
                "perl",
                "10 processes, BLPOP, a row an INSERT",
                lambda database: article.start_perl(arena, database),
                perl_events,
                config,
            )
        )
    except LocalError as exc:
        contest.absent["perl"] = str(exc)
    try:
        program, contest.versions["go"] = article.prepare_go(arena.directory)
        batch, inserters = _best(arena, program, events) if grid else GO_GRID[-1]
        everybody += [
            Contender(
                "go",
                "as published: batch 100, 10 goroutines, 1 inserter",
                lambda database: article.start_go(arena, database, program),
                events,
                config,
            ),
            Contender(
                "go-tuned",
                f"batch {batch}, inserters {inserters}, interpolateParams",
                lambda database: article.start_go(
                    arena, database, program, batch=batch, inserters=inserters, interpolate=True
                ),
                events,
                config,
            ),
        ]
    except LocalError as exc:
        contest.absent["go"] = contest.absent["go-tuned"] = str(exc)
    for name, about, toml in (
        ("article", "2 columns, exactly once", config),
        ("full", "19 columns, enriched, 2 windows, exactly once", None),
    ):
        everybody.append(_ours(arena, name, about, events, toml))
        everybody.append(_limit(arena, name, events, toml))
    return contest


def hold(arena: Arena, contest: Contest, rounds: int, shown: Callable[[str, Result], None]) -> None:
    """Let everybody race, round after round.

    Args:
        arena: with its events prepared.
        contest: from :func:`assemble`; gets the results.
        rounds: how many.
        shown: called with the contender's name after each run.
    """
    for number in range(rounds):
        # Every other round backwards, so that nobody always follows the same one.
        for contender in contest.contenders[:: -1 if number % 2 else 1]:
            result = run(arena, contender)
            contest.results.setdefault(contender.name, []).append(result)
            shown(contender.name, result)


def run(arena: Arena, contender: Contender) -> Result:
    """Let one contender race alone, in a fresh database."""
    database = "bench_race"
    arena.fresh_database(database)
    arena.migrate(database, config=contender.config)
    side = arena.fill(contender.events)
    children = contender.start(database)
    try:
        return arena.race(database, side, contender.events, children)
    finally:
        arena.stop(children)


def ours(
    arena: Arena, *, config: str | None, count: int = 1, settings: Mapping[str, str] | None = None
) -> Start:
    """Return how our own workers are started."""
    return lambda database: arena.start_workers(
        database, count, config=config, settings=settings or {}
    )


def _ours(arena: Arena, name: str, about: str, events: int, config: str | None) -> Contender:
    return Contender(f"ours-{name}", about, ours(arena, config=config), events, config)


def _limit(arena: Arena, name: str, events: int, config: str | None) -> Contender:
    database = f"bench_record_{name}"
    arena.fresh_database(database)
    recording = limit.record(arena, database, events, config=config, settings={})
    arena.fresh_database(database)
    return Contender(
        f"limit-{name}",
        f"the statements of ours-{name}, replayed",
        lambda database: [limit.start(arena, database, recording)],
        events,
        config,
    )


def _best(arena: Arena, program: Path, events: int) -> tuple[int, int]:
    """Return the parameters of the fastest Go."""

    def rate(parameters: tuple[int, int]) -> float:
        batch, inserters = parameters

        def start(database: str) -> list[Child]:
            return article.start_go(
                arena, database, program, batch=batch, inserters=inserters, interpolate=True
            )

        tried = Contender("go-grid", "", start, events, article.ARTICLE_CONFIG)
        result = run(arena, tried)
        arena.say(f"  go with batch {batch}, inserters {inserters}: {result.rate:,.0f} events/s")
        return result.rate

    return max(GO_GRID, key=rate)


def spread(values: Sequence[float]) -> str:
    """Return median, lowest and highest."""
    return f"{median(values):>9,.0f}  {min(values):>9,.0f} to {max(values):>9,.0f}"
