"""How what a server says of itself is judged."""

from __future__ import annotations

from typing import Any

import pytest

from pepi_stream.monitor import mysql_probe, redis_probe
from pepi_stream.monitor.finding import clock_finding

SOUND = {
    "innodb_flush_log_at_trx_commit": "1",
    "max_allowed_packet": str(64 << 20),
    "read_only": "OFF",
    "log_bin": "ON",
    "binlog_format": "ROW",
}


def test_a_sound_mysql_is_well() -> None:
    assert {finding.level for finding in mysql_probe._settings(SOUND)} == {"ok"}
    assert {finding.level for finding in mysql_probe._settings({})} == {"ok"}


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({"binlog_format": "STATEMENT"}, "fail", "binlog_format = 'ROW'"),
        ({"read_only": "ON"}, "warn", "(read_only)"),
        ({"read_only": "NO_LOCK_NO_ADMIN"}, "warn", "(read_only)"),
        ({"super_read_only": "ON", "offline_mode": "ON"}, "fail", "super_read_only, offline_mode"),
        ({"innodb_read_only": "ON"}, "fail", "(innodb_read_only)"),
        ({"innodb_flush_log_at_trx_commit": "2"}, "warn", "loses acked events"),
        ({"max_allowed_packet": "65536"}, "warn", "max_allowed_packet is 65536 bytes"),
    ],
)
def test_a_mysql_that_is_not(changed: dict[str, str], level: str, words: str) -> None:
    [found] = [f for f in mysql_probe._settings(SOUND | changed) if f.level != "ok"]
    assert found.level == level
    assert words in f"{found.what}: {found.remedy}"


def test_statement_format_without_a_binary_log_does_no_harm() -> None:
    off = SOUND | {"log_bin": "OFF", "binlog_format": "STATEMENT"}
    assert {finding.level for finding in mysql_probe._settings(off)} == {"ok"}


@pytest.mark.parametrize(
    ("ahead", "round_trip", "words"),
    [
        (0.9, 0.0, None),
        (1.4, 1.0, None),
        (1.6, 1.0, "1.6 s ahead of"),
        (-3600.0, 0.01, "3600.0 s behind"),
    ],
)
def test_clocks_that_differ_by_more_than_a_second(
    ahead: float, round_trip: float, words: str | None
) -> None:
    found = clock_finding("MySQL", ahead, round_trip)
    assert (found is None) == (words is None)
    if found is not None and words is not None:
        assert words in found.what


@pytest.mark.parametrize(
    ("info", "level", "words"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, "fail", "MISCONF"),
        ({"aof_enabled": 1, "rdb_last_bgsave_status": "err"}, "warn", "snapshot"),
        ({"aof_enabled": 0}, "warn", "appendonly yes"),
    ],
)
def test_a_redis_that_does_not_keep_what_it_takes(
    info: dict[str, Any], level: str, words: str
) -> None:
    [found] = [f for f in redis_probe._persistence(info) if f.level != "ok"]
    assert found.level == level
    assert words in f"{found.what}: {found.remedy}"


def test_a_redis_that_is_nearly_full_or_evicts() -> None:
    [_, full] = redis_probe._memory({"maxmemory": 100, "used_memory": 95})
    assert full.level == "warn"
    assert "95% of its maxmemory" in full.what
    [evicts] = redis_probe._memory({"maxmemory_policy": "allkeys-lfu"})
    assert evicts.level == "fail"
