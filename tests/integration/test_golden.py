"""What version 0.1.0 left in Redis and MySQL is read, finished and counted once by this version."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow import QUEUE, Flow, MakeFlow, wait_for

GOLDEN = Path(__file__).parent / "golden" / "0.1.0"
LEASED = "03bb2cc3-d806-7000-8000-000000000006"


def statements() -> Iterator[str]:
    text = (GOLDEN / "database.sql").read_text("utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return filter(None, (statement.strip() for statement in code.split(";\n")))


def commands() -> Iterator[list[str]]:
    text = (GOLDEN / "redis.txt").read_text("utf-8")
    return filter(None, (shlex.split(line, comments=True) for line in text.splitlines()))


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    """The data at rest of 0.1.0, which no worker has touched yet."""
    flow = make_flow(redis_url, database_url)
    for statement in statements():
        flow.sql(statement)
    for command in commands():
        flow.redis.execute_command(*command)
    return flow


def test_a_worker_finishes_what_0_1_0_left(flow: Flow) -> None:
    done = flow.command("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "pepi_claim: upgraded: added version, marked",
        "pepi_dead_letter: there already",
        "pepi_event: upgraded: marked",
        "pepi_window_minute: there already",
        "pepi_window_hour: there already",
    ]

    worker = flow.worker()
    wait_for(lambda: not flow.queued() and list(flow.claimed()) == [LEASED])
    assert worker.stop() == 0
    assert "CRITICAL" not in worker.log

    rows = flow.sql(
        "SELECT id, event_name, recipient, recipient_domain, mailbox_provider, campaign, "
        "CAST(occurred_at AS CHAR) FROM pepi_event ORDER BY CAST(SUBSTRING(id, 8) AS SIGNED)"
    )
    assert ["  ".join(map(str, row)) for row in rows] == [
        "golden-1  sent  ann@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:20.000",
        "golden-2  opened  bob@hotmail.fr  hotmail.fr  Microsoft  spring  2023-11-14 22:13:50.000",
        "golden-3  sent  cleo@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:30.000",
        "golden-4  clicked  dan@corp.example  corp.example  Other  None  2023-11-14 22:15:00.000",
        "golden-5  sent  eve@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:40.000",
        "golden-6  bounced  fay@yahoo.co.in  yahoo.co.in  Yahoo  "
        'l`été "chaud"  2023-11-14 23:13:20.000',
        "golden-7  sent  gil@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:41.000",
        "golden-8  sent  hal@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:42.000",
        # A worker of 0.1.0 died over this one: no proof yet, and it was innocent.
        "golden-9  sent  ida@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:43.000",
        "golden-10  sent  joe@gmail.com  gmail.com  Google  spring  2023-11-14 22:13:44.000",
        "golden-12  sent  mia@gmail.com  gmail.com  Google  spring  2023-11-14 22:14:00.000",
        "golden-13  opened  ned@hotmail.fr  hotmail.fr  Microsoft  spring  2023-11-14 22:14:05.000",
    ]
    assert flow.sql("SELECT seq, id FROM pepi_event WHERE seq <= 4 ORDER BY seq") == [
        *((1, "golden-1"), (2, "golden-2"), (3, "golden-3"), (4, "golden-4"))
    ]

    assert flow.sql(
        "SELECT HEX(claim_id), position, element, part, payload, reason, format "
        "FROM pepi_dead_letter ORDER BY claim_id"
    ) == [
        (
            *("03BB2CC3D80170008000000000000001", 2, None, 0, b"no json"),
            *("not JSON: invalid character (byte 1)", "plain"),
        ),
        (
            *("03BB2CC3D80470008000000000000004", 1, None, 0, b"still no json"),
            *("not JSON: invalid character (byte 0)", "plain"),
        ),
    ]

    # Counts went on in the rows that were there: the key of a window row has not changed.
    assert flow.sql(
        "SELECT CAST(window_start AS CHAR), event_name, mailbox_provider, n "
        "FROM pepi_window_minute ORDER BY 1, 2, 3"
    ) == [
        ("2023-11-14 22:13:00", "opened", "Microsoft", 1),
        ("2023-11-14 22:13:00", "sent", "Google", 7),
        ("2023-11-14 22:14:00", "opened", "Microsoft", 1),
        ("2023-11-14 22:14:00", "sent", "Google", 1),
        ("2023-11-14 22:15:00", "clicked", "Other", 1),
        ("2023-11-14 23:13:00", "bounced", "Yahoo", 1),
    ]
    assert flow.sql(
        "SELECT CAST(window_start AS CHAR), event_name, campaign, n "
        "FROM pepi_window_hour ORDER BY 1, 2, 3"
    ) == [
        ("2023-11-14 22:00:00", "clicked", "", 1),
        ("2023-11-14 22:00:00", "opened", "spring", 2),
        ("2023-11-14 22:00:00", "sent", "spring", 8),
        ("2023-11-14 23:00:00", "bounced", 'l`été "chaud"', 1),
    ]

    ledger = flow.sql("SELECT HEX(claim_id), payloads, HEX(digest), version FROM pepi_claim")
    assert len(ledger) == 6  # the two of 0.1.0, three that were open, one for what was queued
    of_payloads = {claim_id: rest for claim_id, *rest in ledger}
    assert of_payloads["03BB2CC3D80170008000000000000001"] == [
        *(3, "B8ADA329E7094991CCF0DAB3D3FC7C29", 1)
    ]
    assert of_payloads["03BB2CC3D80370008000000000000003"] == [
        *(2, "EEEB15DF91A1832A03DC733E95416265", 1)
    ]
    assert sorted(payloads for payloads, *_ in of_payloads.values()) == [2, 2, 2, 2, 3, 3]

    assert sorted(key.decode() for key in flow.redis.keys("*")) == [
        f"{{{QUEUE}}}:claim:{LEASED}",
        f"{{{QUEUE}}}:claims",
        f"{{{QUEUE}}}:deliveries",
    ]
    # Another worker's claim, whose lease still runs, is as it was.
    assert flow.redis.zrange(f"{{{QUEUE}}}:claims", 0, -1, withscores=True) == [
        (LEASED.encode(), 4102444800000.0)
    ]
    assert flow.redis.hgetall(f"{{{QUEUE}}}:deliveries") == {LEASED.encode(): b"1"}
    assert flow.redis.lrange(f"{{{QUEUE}}}:claim:{LEASED}", 0, -1) == [
        b'{"id": "golden-11", "event_name": "sent", "email": "kim@gmail.com", '
        b'"campaign": "spring", "ts": 1700000025}'
    ]


def test_a_worker_of_0_1_0_goes_on_beside_an_upgraded_ledger(flow: Flow) -> None:
    """Its statements, word for word: what it enters has the version it does not know of."""
    flow.migrate()
    claim = "03BB2CC3D80970008000000000000009"
    digest = "00112233445566778899AABBCCDDEEFF"
    flow.sql(
        "INSERT INTO `pepi_claim` (`claim_id`, `payloads`, `digest`) VALUES "
        f"(X'{claim}',7,X'{digest}')"
    )
    assert flow.sql(
        "SELECT `claim_id`, `payloads`, `digest` FROM `pepi_claim` "
        f"WHERE `claim_id` IN (X'{claim}')"
    ) == [(bytes.fromhex(claim), 7, bytes.fromhex(digest))]
    assert flow.sql(f"SELECT version FROM pepi_claim WHERE claim_id = X'{claim}'") == [(1,)]


def test_a_worker_names_migrate_when_the_ledger_is_of_0_1_0(flow: Flow) -> None:
    worker = flow.worker()
    assert worker.process.wait(30) == 70
    assert (
        "table pepi_claim has no column version; run `faust -A pepi_stream migrate`" in worker.log
    )
    checked = flow.command("check")
    assert checked.returncode == 1
    assert "fail table pepi_claim has no column version: run `faust" in checked.stdout
