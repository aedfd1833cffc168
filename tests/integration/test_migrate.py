"""``migrate`` over tables that are there: with rows, in use, made by others, twice at once."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from typing import Any

import pymysql
import pytest

from tests.flow import Flow, MakeFlow, plain, wait_for

COLUMNS = ["seq", "id", "event_name", "recipient", "mailbox_provider", "campaign", "occurred_at"]


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    """A flow whose database has no tables yet."""
    return make_flow(redis_url, database_url, PEPI_SINK__COLUMNS=json.dumps(COLUMNS))


def columns(flow: Flow, table: str) -> dict[str, tuple[str, str]]:
    """Name -> (type, YES or NO: may be NULL)."""
    return {name: (kind, null) for name, kind, null, *_ in flow.sql(f"DESCRIBE {table}")}


def configure(flow: Flow, *more: Any) -> None:
    """Have further columns."""
    flow.env["PEPI_SINK__COLUMNS"] = json.dumps([*COLUMNS, *more])


def connection(flow: Flow) -> Any:
    args = flow.settings.database.connect_args()
    args["database"] = args.pop("db")
    return closing(pymysql.connect(**args))


def waiting_for_a_table(flow: Flow) -> int:
    [(count,)] = flow.sql(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
        "WHERE STATE = 'Waiting for table metadata lock' AND DB = DATABASE()"
    )
    return int(count)


def test_missing_columns_are_added_to_our_own_tables_and_rows_stay(flow: Flow) -> None:
    flow.make_tables()
    flow.sql("ALTER TABLE pepi_claim DROP COLUMN version")
    flow.sql("ALTER TABLE pepi_dead_letter DROP COLUMN part")
    flow.sql("INSERT INTO pepi_event VALUES (7, 'a', 'sent', NULL, NULL, NULL, '2024-01-01')")
    flow.sql("INSERT INTO pepi_claim (claim_id, payloads, digest) VALUES ('c', 1, 'd')")
    flow.sql(
        "INSERT INTO pepi_dead_letter (claim_id, position, payload, reason, format) "
        "VALUES ('c', 0, 'p', 'r', 'f')"
    )
    configure(
        flow,
        "url",
        {"name": "Sent_To", "value": "recipient", "type": "VARCHAR(77) NOT NULL DEFAULT 'who?'"},
    )
    done = flow.command("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "pepi_claim: upgraded: added version",
        "pepi_dead_letter: upgraded: added part",
        "pepi_event: upgraded: added url, Sent_To",
        "pepi_window_minute: there already",
        "pepi_window_hour: there already",
    ]
    assert columns(flow, "pepi_event")["url"] == ("text", "YES")
    assert columns(flow, "pepi_event")["Sent_To"] == ("varchar(77)", "NO")
    assert flow.sql("SELECT seq, id, url, sent_to FROM pepi_event") == [(7, "a", None, "who?")]
    assert flow.sql("SELECT payloads, version FROM pepi_claim") == [(1, 1)]
    assert flow.sql("SELECT reason, part FROM pepi_dead_letter") == [("r", 0)]
    again = flow.command("migrate")
    assert again.returncode == 0
    assert again.stdout.count(": there already\n") == 5


def test_what_migrate_must_not_change_it_names_with_the_statement_to_run(flow: Flow) -> None:
    """And the other tables are brought up to date all the same."""
    flow.make_tables()
    flow.sql("DROP TABLE pepi_window_hour")
    flow.sql("ALTER TABLE pepi_claim DROP COLUMN version, COMMENT = 'our own now'")
    flow.sql("ALTER TABLE pepi_dead_letter DROP COLUMN reason")
    configure(flow, "url")
    flow.env["PEPI_WINDOWS__MINUTE__BY"] = '["event_name", "mailbox_provider", "campaign"]'
    before = [columns(flow, f"pepi_{table}") for table in ("claim", "dead_letter", "window_minute")]
    done = flow.command("migrate")
    assert done.returncode == 70
    assert done.stdout.splitlines() == [
        "pepi_event: upgraded: added url",
        "pepi_window_hour: created",
    ]
    ledger, dead_letters, minute = done.stderr.splitlines()
    assert "table pepi_claim has no column version" in ledger
    assert "did not make this table" in ledger
    assert "run ALTER TABLE `pepi_claim` ADD COLUMN `version` TINYINT UNSIGNED NOT NULL" in ledger
    assert "table pepi_dead_letter has no column reason" in dead_letters
    assert "ALTER TABLE `pepi_dead_letter` ADD COLUMN `reason` TEXT NOT NULL" in dead_letters
    assert "table pepi_window_minute has no column campaign" in minute
    assert "another name in windows" in minute
    assert before == [
        columns(flow, f"pepi_{table}") for table in ("claim", "dead_letter", "window_minute")
    ]


def test_several_at_once_add_a_column_once(flow: Flow) -> None:
    flow.make_tables()
    flow.sql("ALTER TABLE pepi_claim DROP COLUMN version")
    with connection(flow) as reader:
        # Its transaction keeps every ALTER waiting, so that all of them have seen the old table.
        reader.cursor().execute("SELECT * FROM pepi_claim")
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", "pepi_stream", "migrate"],
                env=flow.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(3)
        ]
        wait_for(lambda: waiting_for_a_table(flow) == 3)
        reader.rollback()
        said = [process.communicate(timeout=30) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert sorted(out.splitlines()[0] for out, _ in said) == [
        "pepi_claim: there already",
        "pepi_claim: there already",
        "pepi_claim: upgraded: added version",
    ]


def test_a_table_that_a_long_transaction_uses_is_given_up_soon(flow: Flow) -> None:
    """A waiting ALTER makes every worker wait behind it."""
    flow.make_tables()
    configure(flow, "url")
    flow.env["PEPI_DATABASE__LOCK_WAIT_SECONDS"] = "1"
    with connection(flow) as reader:
        reader.cursor().execute("SELECT * FROM pepi_event")
        done = flow.command("migrate")
    assert done.returncode == 75
    assert "MySQL error 1205" in done.stderr
    assert "The statement was: ALTER TABLE `pepi_event` ADD COLUMN `url` TEXT NULL" in done.stderr
    assert "url" not in columns(flow, "pepi_event")


def test_a_column_type_that_mysql_does_not_know_is_not_worth_a_retry(flow: Flow) -> None:
    configure(flow, {"name": "place", "value": "ip", "type": "ADDRESS"})
    done = flow.command("migrate")
    assert done.returncode == 70
    assert "Unknown data type: 'ADDRESS'" in done.stderr
    assert "The statement was: CREATE TABLE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_running_worker_goes_on_while_columns_are_added(flow: Flow) -> None:
    flow.make_tables()
    worker = flow.worker()
    worker.wait_claiming()
    pushed = flow.push(plain(range(20_000)))
    configure(flow, "url")
    done = flow.command("migrate")
    assert "pepi_event: upgraded: added url" in done.stdout, done.stderr
    pushed += flow.push(plain(range(20_000, 40_000)))
    flow.wait_drained()
    assert worker.process.poll() is None
    assert "WARNING" not in worker.log
    flow.check_books(pushed)
    assert flow.rows() == pushed
