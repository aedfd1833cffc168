"""What of `make compat` is short enough for every run: one MySQL and one Valkey."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos.run import Plan, Run
from tests.compat.offers import FOLDER, OFFERS

_FAULTS = ("sigkill_worker", "lose_commit_reply", "kill_mysql_transaction", "read_only_mysql")


@pytest.mark.parametrize("name", ["mysql", "valkey-9"])
async def test_other_servers_keep_the_promises(tmp_path: Path, name: str) -> None:
    make_servers = OFFERS[name].obtain(FOLDER)
    plan = Plan(
        seconds=5,
        every=1.2,
        workers=2,
        names=_FAULTS,
        per_second=3_000,
        dedupe=True,
        make_servers=make_servers,
    )
    run = Run(plan, tmp_path)
    report, wrong = await run()
    assert wrong == []
    found = json.loads(report)
    assert found["pushed"] > 5_000
    assert found["dead"] > 0
    assert run.faults.total() >= 3, run.missed
    assert name.partition("-")[0] in f"{run.cluster.versions}"
