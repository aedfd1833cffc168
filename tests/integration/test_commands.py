"""``migrate``, ``check`` and ``simulate`` as a user runs them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from pepi_stream.formats import load_format
from tests.flow import Flow, MakeFlow


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    """A flow whose database has no tables yet."""
    return make_flow(redis_url, database_url)


def tables(flow: Flow) -> set[str]:
    return {row[0] for row in flow.sql("SHOW TABLES")}


def definitions(flow: Flow) -> dict[str, str]:
    return {name: flow.sql(f"SHOW CREATE TABLE {name}")[0][1] for name in tables(flow)}


def test_migrate_creates_what_is_missing_and_runs_again(flow: Flow) -> None:
    first = flow.command("migrate")
    assert first.returncode == 0, first.stderr
    assert tables(flow) == {
        "pepi_claim",
        "pepi_dead_letter",
        "pepi_event",
        "pepi_window_hour",
        "pepi_window_minute",
    }
    assert "pepi_event: created" in first.stdout
    made = definitions(flow)
    flow.sql(f"DROP TABLE {', '.join(made)}")
    flow.make_tables()
    assert definitions(flow) == made, "the tests' short cut makes other tables"
    flow.sql("INSERT INTO pepi_window_hour VALUES (NOW(), 'x', 'sent', 'c', 1)")
    second = flow.command("migrate")
    assert second.returncode == 0
    assert "pepi_event: there already" in second.stdout
    assert flow.sql("SELECT n FROM pepi_window_hour") == [(1,)]


def test_migrate_dry_run_prints_ddl_that_works_and_does_nothing(flow: Flow) -> None:
    printed = flow.command("migrate", "--dry-run")
    assert printed.returncode == 0
    assert tables(flow) == set()
    statements = [s.strip() for s in printed.stdout.split(";\n") if s.strip()]
    assert statements[0].startswith("CREATE DATABASE")
    for statement in statements[2:]:
        flow.sql(statement)
    assert "pepi_event: there already" in flow.command("migrate").stdout


def test_migrate_names_a_column_that_an_existing_table_lacks(flow: Flow) -> None:
    flow.sql("CREATE TABLE pepi_event (id INT, event_name VARCHAR(50))")
    done = flow.command("migrate")
    assert done.returncode == 70
    assert "table pepi_event has no column" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_shows_settings_without_secrets_and_finds_all_well(flow: Flow) -> None:
    flow.make_tables()
    done = flow.command("check")
    assert done.returncode == 0, done.stdout + done.stderr
    password = flow.settings.database.connect_args()["password"]
    assert password not in done.stdout + done.stderr
    assert "source.queue = pepi_queue" in done.stdout
    assert "PEPI_SOURCE__FORMAT" in done.stdout
    assert "fail " not in done.stdout


def test_check_says_what_to_fix(flow: Flow) -> None:
    flow.redis.config_set("maxmemory-policy", "allkeys-lru")
    flow.redis.config_set("appendonly", "no")
    flow.sql("CREATE TABLE pepi_claim (claim_id BINARY(16) PRIMARY KEY) ENGINE=MyISAM")
    try:
        done = flow.command("check")
    finally:
        flow.redis.config_set("maxmemory-policy", "noeviction")
        flow.redis.config_set("appendonly", "yes")
    assert done.returncode == 1
    assert "CONFIG SET maxmemory-policy noeviction" in done.stdout
    assert "CONFIG SET appendonly yes" in done.stdout
    assert "ALTER TABLE pepi_claim ENGINE=InnoDB" in done.stdout
    assert "table pepi_event does not exist: run `faust -A pepi_stream migrate`" in done.stdout


def test_check_with_servers_away(flow: Flow) -> None:
    flow.env["REDIS_URL"] = "redis://:planted-secret@127.0.0.1:1/0"
    flow.env["DATABASE_URL"] = "mysql://pepi:planted-secret@127.0.0.1:1/pepi"
    done = flow.command("check")
    assert done.returncode == 1
    assert [line[:5] for line in done.stdout.splitlines()[:2]] == ["fail "] * 2
    assert "planted-secret" not in done.stdout + done.stderr


def test_simulate_is_deterministic_by_seed(flow: Flow) -> None:
    def simulated(seed: str) -> list[bytes]:
        flow.redis.delete("pepi_queue")
        args = ("--rate", "0", "--count", "500", "--start", "1700000000", "--format", "pepipost")
        done = flow.command("simulate", *args, "--seed", seed)
        assert done.returncode == 0, done.stderr
        payloads: list[bytes] = flow.redis.lrange("pepi_queue", 0, -1)
        return payloads

    first = simulated("7")
    assert len(first) == 500
    assert simulated("7") == first
    assert simulated("8") != first


def test_simulate_spreads_events_over_a_span_and_plants_malformed_ones(flow: Flow) -> None:
    args = ("--span", "3600", "--count", "5000", "--malformed", "7", "--start", "1700000000")
    done = flow.command("simulate", *args, "--format", "auto", "--rate", "1")
    assert done.returncode == 0, done.stderr
    assert "pushed 5000 auto events and 7 malformed payloads on pepi_queue" in done.stdout
    payloads = flow.redis.lrange("pepi_queue", 0, -1)
    decoded = load_format("auto").decode(payloads)
    assert (len(payloads), decoded.size) == (5007, 5000)
    dead = [letter.position for letter in decoded.dead]
    assert len(dead) == 7
    assert max(later - earlier for earlier, later in pairwise([0, *dead, 5007])) < 2000
    minutes = Counter((ms // 1000 - 1_699_996_400) // 60 for ms in decoded.columns["occurred_at"])
    assert set(range(60)) <= set(minutes) <= set(range(61))
    assert sum(minutes[minute] for minute in range(60)) > 4900

    refused = flow.command("simulate", "--count", "1", "--malformed", "1")
    assert refused.returncode == 2
    assert "--malformed is about the payloads of --span" in refused.stderr
    refused = flow.command("simulate", "--count", "1", "--format", "ses,sendgird")
    assert refused.returncode == 2
    assert "cannot simulate format 'sendgird'; known formats: pepipost" in refused.stderr


def test_every_command_has_help(flow: Flow) -> None:
    names = ("worker", "migrate", "check", "simulate")
    for name, done in zip(names, flow.commands(*((n, "--help") for n in names)), strict=True):
        assert done.returncode == 0, name
        assert len(done.stdout) > 200, name
