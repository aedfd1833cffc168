"""`make chaos`: break everything at random, then account for every event.

Environment: SECONDS of faults (60), SEED (1), WORKERS (4), FAULTS (names, separated by commas;
default all), EVERY (mean seconds between two faults, 2), RATE (events a second at the most),
DEDUPE=1 (the producer pushes some events again, and `sink.dedupe` is on).
The last line on stdout is one JSON object; the exit status is 0 only when every promise holds.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import uvloop

from tests.chaos.faults import FAULTS
from tests.chaos.run import Plan, Run


def main() -> int:
    """Run; return the exit status."""
    plan = _plan()
    directory = Path(".local/chaos")
    shutil.rmtree(directory, ignore_errors=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report, wrong = runner.run(Run(plan, directory)())
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    print(report, flush=True)
    return 1 if wrong else 0


def _plan() -> Plan:
    env = {name: text.strip() for name, text in os.environ.items()}
    names = [n for n in env.get("FAULTS", "").split(",") if n] or list(FAULTS)
    if unknown := [n for n in names if n not in FAULTS]:
        raise SystemExit(f"no fault {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    return Plan(
        seconds=float(env.get("SECONDS") or 60),
        seed=int(env.get("SEED") or 1),
        workers=int(env.get("WORKERS") or 4),
        names=names,
        every=float(env.get("EVERY") or 2),
        per_second=float(env.get("RATE") or 20_000),
        dedupe=env.get("DEDUPE", "") not in ("", "0"),
    )


if __name__ == "__main__":
    sys.exit(main())
