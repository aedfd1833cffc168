"""`check`, the log and `claims adopt`: what would otherwise go wrong in silence."""

from __future__ import annotations

from pepi_stream.claims import clock_ms
from pepi_stream.claims.claim import new_claim_id
from tests.flow import QUEUE, Flow, plain, wait_for

LONG = b'{"id": 1, "event_name": "sent", "campaign": "%s", "ts": 1700000000}' % (b"c" * 256)


def found(flow: Flow, level: str, *args: str) -> list[str]:
    """What `check` finds at a level, with its remedy."""
    done = flow.command("check", "--no-settings", *args)
    lines = [line for line in done.stdout.splitlines() if line.startswith(level)]
    assert done.returncode == (1 if "fail " in done.stdout else 0), done.stdout + done.stderr
    return lines


def test_dead_letters_are_said_by_the_log_and_by_check(flow: Flow) -> None:
    assert "ok   0 dead letters, none of the last hour" in found(flow, "ok")
    worker = flow.worker()
    flow.push([*plain(range(50)), *[LONG] * 20, b"no JSON", b"ann@example.com is no JSON"])
    flow.wait_drained()
    assert worker.stop() == 0

    lines = [line for line in worker.log.splitlines() if "became dead letters" in line]
    assert all("WARNING" in line for line in lines)
    assert len(lines) == len({line.partition(" keeps: ")[2] for line in lines}) >= 2
    counts = [int(line.partition(" events")[0].split()[-3]) for line in lines]
    assert sum(counts) == 22
    assert any("Data too long for column 'campaign'" in line for line in lines)
    assert "ccccc" not in worker.log
    assert "ann@example.com" not in worker.log
    [warning] = [line for line in found(flow, "warn") if "dead letters" in line]
    assert warning.startswith("warn 22 dead letters, 22 of the last hour: ")
    assert "20 times MySQL error 1406: Data too long for column 'campaign'" in warning

    flow.sql("UPDATE pepi_dead_letter SET created_at = NOW() - INTERVAL 2 HOUR")
    assert "ok   22 dead letters, none of the last hour" in found(flow, "ok")
    flow.check_books(72)


def test_claims_without_a_lease_are_found_and_adopted_and_count_once(flow: Flow) -> None:
    flow.push(plain(range(500)))
    claim_id = new_claim_id(clock_ms())
    flow.redis.rename(QUEUE, f"{{pepi_queue}}:claim:{claim_id}")  # as if its index were gone

    [line] = [text for text in found(flow, "fail") if "no lease" in text]
    assert line.startswith("fail 1 claims have payloads and no lease")
    assert "claims adopt" in line
    dry, done = (flow.command("claims", "adopt", *more) for more in (["--dry-run"], []))
    assert (dry.returncode, dry.stdout.splitlines()) == (
        0,
        [claim_id, "1 claims have no lease; nothing was changed"],
    )
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [claim_id, "1 claims adopted; the workers take them over"],
    )
    flow.worker()
    flow.wait_drained()
    assert [text for text in found(flow, "fail") if "no lease" in text] == []
    flow.check_books(500)


def test_a_backlog_that_nobody_drains_is_no_good_state(flow: Flow) -> None:
    flow.push(plain(range(5000)))
    [line] = [text for text in found(flow, "warn") if "queue pepi_queue" in text]
    assert line.startswith(
        "warn queue pepi_queue: 5,000 payloads, 0 open claims, and nobody drains them"
    )
    assert "start workers" in line
    flow.worker()
    flow.wait_drained()
    [line] = [text for text in found(flow, "ok") if "queue pepi_queue" in text]
    assert line == "ok   queue pepi_queue: 0 payloads, 0 open claims"


def test_a_worker_says_once_that_redis_may_evict_its_keys(flow: Flow) -> None:
    flow.redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        worker = flow.worker()
        wait_for(lambda: "may evict" in worker.log)
        assert worker.stop() == 0
    finally:
        flow.redis.config_set("maxmemory-policy", "noeviction")
    assert worker.log.count("Redis may evict the queue and its claims") == 1
    assert "CONFIG SET maxmemory-policy noeviction" in worker.log


def test_what_is_wrong_comes_first_and_the_settings_last(flow: Flow) -> None:
    flow.redis.config_set("appendonly", "no")
    flow.sql("DROP TABLE pepi_window_hour")
    try:
        lines = flow.command("check").stdout.splitlines()
    finally:
        flow.redis.config_set("appendonly", "yes")
    levels = [line[:4].strip() for line in lines[: lines.index("")]]
    assert levels == sorted(levels, key=["fail", "warn", "ok"].index)
    assert {"fail", "warn", "ok"} == set(levels)
    assert "source.queue = pepi_queue  (default)" in lines[lines.index("") :]
