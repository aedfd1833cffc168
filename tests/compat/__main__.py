"""`make compat`: drain under faults on each server that can be had from packages.

Environment: ONLY (short names, separated by commas; default all), SEED (1).
The last lines on stdout are one JSON object a server; the exit status is 0 only when every promise
holds on each that could be had, and all could be had or are named as not to be had.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import uvloop

from pepi_stream.local.errors import ServerMissingError
from tests.chaos.run import Plan, Run
from tests.compat.offers import FOLDER, OFFERS, Offer

_SECONDS_A_FAULT = 1.5


def drain(offer: Offer, *, seed: int, directory: Path) -> tuple[dict[str, object], list[str]]:
    """Drain under faults on one server; return the report and what is wrong, in words.

    Raises:
        ServerMissingError: it cannot be had here.
    """
    plan = Plan(
        seconds=_SECONDS_A_FAULT * len(offer.faults),
        every=_SECONDS_A_FAULT,
        seed=seed,
        workers=2,
        names=offer.faults,
        per_second=5_000,
        dedupe=True,
        make_servers=offer.obtain(FOLDER),
    )
    run = Run(plan, directory)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report, wrong = runner.run(run())
    return {"server": offer.name, **run.cluster.versions, **json.loads(report)}, wrong


def main() -> int:
    """Try each; return the exit status."""
    names = [n for n in os.environ.get("ONLY", "").split(",") if n] or list(OFFERS)
    if unknown := [n for n in names if n not in OFFERS]:
        raise SystemExit(f"no server {', '.join(unknown)}; there are: {', '.join(OFFERS)}")
    seed = int(os.environ.get("SEED") or 1)
    reports, failed = [], False
    for name in names:
        print(f"--- {OFFERS[name].name}", file=sys.stderr, flush=True)
        directory = Path(".local/compat") / name
        shutil.rmtree(directory, ignore_errors=True)
        try:
            report, wrong = drain(OFFERS[name], seed=seed, directory=directory)
        except ServerMissingError as exc:
            report, wrong = {"server": OFFERS[name].name, "not_to_be_had": str(exc)}, []
        for line in wrong:
            print(f"WRONG: {line}", file=sys.stderr)
        failed |= bool(wrong)
        reports.append(report)
    for report in reports:
        print(json.dumps(report, separators=(",", ":")), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
