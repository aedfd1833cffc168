"""`make bench`: everybody races on the same events, servers and clock; then our own worker alone.

The table is for people and goes to stderr as it grows; the last line on stdout is one JSON object
with the ratios. What everything means is in bench/README.md.

Environment: QUICK=1 for a look of less than a minute, ROUNDS and EVENTS for other numbers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from bench import contest, report, steady, viewers
from bench.arena import Arena, Result
from bench.idle import idle_cost
from bench.latency import measure
from pepi_stream.local.errors import LocalError
from pepi_stream.local.stack import Interrupted, Signals

_RESULTS = Path("bench/results")
_README = Path("README.md")
_CHART = Path("docs/bench.svg")


class Plan(NamedTuple):
    """How much is measured.

    Attributes:
        quick: whether it is the short form, whose figures are for a first look.
        events: of a race.
        perl_events: Perl's, which is ten times slower.
        rounds: of races.
        grid: whether `go-tuned` is looked for, or taken from earlier runs.
        rates: events a second at which latency is measured.
        rate_seconds: how long at each.
        scale_events: of the long backlog; 0 for none.
        workers: numbers of processes to race.
        idle_seconds: for how long an idle worker is watched; 0 for not at all.
        viewers: browsers that have the live page open in a race; 0 for no such race.
    """

    quick: bool
    events: int
    perl_events: int
    rounds: int
    grid: bool
    rates: tuple[int, ...]
    rate_seconds: float
    scale_events: int
    workers: tuple[int, ...]
    idle_seconds: float
    viewers: int


def main() -> int:
    """Run the benchmark; return the exit status (130 after Ctrl-C)."""
    with Signals() as signals:
        try:
            plan = plan_of(os.environ)
            with Arena(Path(".local/bench"), signals, say=_say) as arena:
                found = _bench(arena, plan)
        except LocalError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        except Interrupted as interrupt:
            _say(f"{interrupt}: everything is stopped")
            return 128 + interrupt.signum
    path = report.write(_RESULTS, found)
    _say(f"all of it is in {path}")
    if not plan.quick and not found["absent"]:
        _CHART.write_text(report.chart(found), encoding="utf-8")
        readme = _README.read_text(encoding="utf-8")
        _README.write_text(report.put(report.table(found), readme), encoding="utf-8")
        _say(f"the chart is {_CHART}, the table is in {_README}")
    print(json.dumps(found["ratios"], separators=(",", ":")), flush=True)
    return 0


def plan_of(environ: Any) -> Plan:
    """Return the plan that the environment asks for.

    Raises:
        LocalError: a number is none.
    """
    quick = environ.get("QUICK", "") not in ("", "0")
    events = _number(environ, "EVENTS", 200_000 if quick else 1_000_000)
    rounds = _number(environ, "ROUNDS", 1 if quick else 3)
    if quick:
        return Plan(True, events, 10_000, rounds, False, (20_000,), 5.0, 0, (), 0.0, 0)
    rates = (5_000, 20_000, 50_000)
    return Plan(False, events, 100_000, rounds, True, rates, 60.0, 10_000_000, (1, 2, 4), 30.0, 200)


def _bench(arena: Arena, plan: Plan) -> dict[str, Any]:
    began = time.monotonic()
    _say(f"making {plan.events:,} events")
    arena.prepare_events(plan.events)
    _say("building and recording what the contenders need")
    races = contest.assemble(
        arena, events=plan.events, perl_events=plan.perl_events, grid=plan.grid
    )
    for name, why in races.absent.items():
        _say(f"without {name}: {why}")
    _say(f"{plan.rounds} rounds; events a second, CPU in us a row")
    contest.hold(arena, races, plan.rounds, _show)
    _say("")
    _say(f"{'':15}{'median':>9}  {'lowest to highest':>23}")
    for contender in races.contenders:
        rates = contest.spread(races.rates(contender.name))
        _say(f"{contender.name:15}{rates}   {contender.about}")
    ratios: dict[str, Any] = dict(races.ratios())
    found: dict[str, Any] = {
        "quick": plan.quick,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions(arena) | races.versions,
        "events": plan.events,
        "rounds": plan.rounds,
        "races": report.races(races),
        "absent": races.absent,
        "workers": {},
    }
    for count in plan.workers:
        result = steady.workers(arena, plan.events, count)
        found["workers"][str(count)] = report.run_of(result)
        _say(f"{count} workers: {result.rate:,.0f} events/s")
    if plan.viewers:
        ratio, ratios_of_rounds = viewers.cost(arena, plan.events, plan.viewers, plan.rounds)
        found["viewers"] = {"count": plan.viewers, "ratio": ratio, "ratios": ratios_of_rounds}
        ratios["with_viewers"] = round(ratio, 3)
        _say(f"with the page open in {plan.viewers} browsers: {ratio:.2f} of the rate without")
    found |= _alone(arena, plan, ratios)
    found["ratios"] = ratios
    found["bench_seconds"] = round(time.monotonic() - began)
    return found


def _alone(arena: Arena, plan: Plan, ratios: dict[str, Any]) -> dict[str, Any]:
    """Measure what does not take a rival; add to the ratios."""
    found: dict[str, Any] = {"latency": {}}
    ratios["latency_p99_ms"] = {}
    database = "bench_steady"
    arena.fresh_database(database)
    worker = arena.start_workers(database)
    try:
        if plan.idle_seconds:
            found["idle_cpu_percent"] = round(idle_cost(arena, worker, plan.idle_seconds), 2)
            _say(f"an idle worker uses {found['idle_cpu_percent']} % of a core")
        for rate in plan.rates:
            seen = measure(arena, database, rate, plan.rate_seconds)
            found["latency"][str(rate)] = asdict(seen)
            ratios["latency_p99_ms"][str(rate)] = round(seen.p99_ms, 1)
            _say(
                f"at {rate:,} events/s: p50 {seen.p50_ms:.0f} ms, p99 {seen.p99_ms:.0f} ms, "
                f"max {seen.max_ms:.0f} ms ({seen.achieved:,.0f}/s pushed)"
            )
    finally:
        arena.stop(worker)
    ratios["flatness"] = ratios["max_rss_mb"] = None
    if plan.scale_events:
        _say(f"a backlog of {plan.scale_events:,} events")
        scaled = steady.scale(arena, plan.scale_events)
        found["scale"] = report.run_of(scaled.result) | {
            "part": scaled.part,
            "events_per_second_of_each_part": [round(rate) for rate in scaled.rates],
        }
        ratios["flatness"] = round(scaled.flatness, 3)
        ratios["max_rss_mb"] = round(scaled.result.rss_mb, 1)
        _say(f"events/s of each {scaled.part:,}: {[round(rate) for rate in scaled.rates]}")
    return found


def _show(name: str, result: Result) -> None:
    used = {who: 1e6 * seconds / result.rows for who, seconds in asdict(result.usage).items()}
    _say(
        f"  {name:14}{result.rate:>9,.0f}   consumer {used['consumer']:5.1f}  "
        f"redis {used['redis']:5.1f}  mariadb {used['mariadb']:5.1f}  {result.rss_mb:4.0f} MiB"
    )


def _number(environ: Any, name: str, otherwise: int) -> int:
    text = environ.get(name, "")
    if not text:
        return otherwise
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise LocalError(f"{name} should be a whole number above 0, and is {text!r}")
    return int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
