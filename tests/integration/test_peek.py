"""``peek``: a dry run that takes nothing, and tells the truth about what a worker would do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.flow import QUEUE, Flow, MakeFlow

PAYLOADS = [
    b'{"id": 1, "event_name": "sent", "campaign": "it\\u0027s \\u00e9", "ts": 1554375863}',
    b"not json",
    b'[{"id": 2, "event_name": "opened", "ts": 1554375863.5}, {"id": 3}]',
    b'{"event": "clicked", "client": "\\u001b[31mred", "ts": 1554375863}',
]


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    return make_flow(redis_url, database_url)


def peeked(flow: Flow, *args: str) -> list[dict[str, Any]]:
    done = flow.command("peek", "--json", *args)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def both(flow: Flow, found: list[dict[str, Any]], *, but: Sequence[str] = ()) -> list[list[Any]]:
    """Return the rows as shown, and as MySQL has them."""
    shown = [glimpse["row"] for glimpse in found if glimpse["outcome"] == "row"]
    columns = [name for name in shown[0] if name not in but]
    names = ", ".join(f"CAST(`{c}` AS CHAR)" for c in columns)
    rows = flow.sql(f"SELECT {names} FROM pepi_event ORDER BY seq")
    return [
        [tuple(None if r[c] is None else str(r[c]) for c in columns) for r in shown],
        [tuple(row) for row in rows],
    ]


def test_it_shows_what_a_worker_then_does_and_takes_nothing(flow: Flow) -> None:
    flow.push(PAYLOADS)
    found = peeked(flow)
    assert [(g["payload"], g["element"], g["outcome"]) for g in found] == [
        *[(0, None, "row"), (1, None, "dead"), (2, 0, "row"), (2, 1, "dead"), (3, None, "row")],
    ]
    assert flow.redis.lrange(QUEUE, 0, -1) == PAYLOADS
    assert {key.decode() for key in flow.redis.keys("*")} == {QUEUE}
    assert found[1]["reason"] == "not JSON: invalid character (byte 4)"

    flow.migrate()
    flow.worker().wait_claiming()
    flow.wait_drained()
    # A worker claims them later.
    shown, kept = both(flow, found, but=["received_at"])
    assert shown == kept
    reasons = [reason for (reason,) in flow.sql("SELECT reason FROM pepi_dead_letter ORDER BY seq")]
    assert reasons == [g["reason"] for g in found if g["outcome"] == "dead"]
    for name, by in (("minute", "event_name, mailbox_provider"), ("hour", "event_name, campaign")):
        counted = {
            (int(start), tuple(values))
            for start, *values in flow.sql(
                f"SELECT UNIX_TIMESTAMP(window_start), {by} FROM pepi_window_{name}"
            )
        }
        assert counted == {
            (g["windows"][name]["start"], tuple(g["windows"][name]["by"]))
            for g in found
            if g["outcome"] == "row"
        }


def test_the_sql_is_what_it_says(flow: Flow) -> None:
    flow.migrate()
    flow.push([*PAYLOADS, b'{"event": "sent", "id": "%s timeless"}'])
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    found = peeked(flow)
    for glimpse in found:
        if glimpse["outcome"] == "row":
            flow.sql(glimpse["sql"])
    shown, kept = both(flow, found)
    assert shown == kept
    assert len(shown) == 4
    timeless = found[-1]["row"]
    assert timeless["occurred_at"] == timeless["received_at"]
    assert before <= datetime.fromisoformat(timeless["received_at"] + "Z") <= datetime.now(UTC)


def test_a_person_sees_rows_windows_and_reasons_and_no_control_characters(flow: Flow) -> None:
    flow.push(PAYLOADS)
    done = flow.command("peek", "--count", "4")
    assert done.returncode == 0
    assert "payload 0: a row (plain)" in done.stdout
    assert "counted in minute: 2019-04-04 11:04:00, sent, " in done.stdout
    assert "payload 1: a dead letter (plain): not JSON" in done.stdout
    assert "4 payloads of the queue: 3 rows, 2 dead letters; nothing was taken" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mred" in done.stdout
    assert "1 payloads of the queue" in flow.command("peek", "--count", "1").stdout


@pytest.mark.parametrize("way", ["--file", "stdin"])
def test_payloads_at_hand(flow: Flow, tmp_path: Path, way: str) -> None:
    raw = b"\r\n".join([*PAYLOADS, b"", b"\xff\xfe"]) + b"\n"
    (tmp_path / "payloads").write_bytes(raw)
    path = str(tmp_path / "payloads") if way == "--file" else "-"
    done = subprocess.run(
        [*(sys.executable, "-m", "faust", "-A", "pepi_stream"), "peek", "--json", "--file", path],
        # Neither server is asked.
        env=flow.env | {"REDIS_URL": "redis://127.0.0.1:1/0", "PEPI_SOURCE__CLAIM_MAX": "2"},
        input=raw,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(g["payload"], g["outcome"]) for g in found] == [
        *[(0, "row"), (1, "dead"), (2, "row"), (2, "dead"), (3, "row"), (4, "dead")],
    ]


def test_pretty_json_is_one_payload_and_all_dead_is_an_exit_code(
    flow: Flow, tmp_path: Path
) -> None:
    pretty = tmp_path / "pretty.json"
    records = [{"id": 1, "event_name": "sent"}, [{"id": 2, "event_name": "opened"}, {"id": 3}]]
    pretty.write_text("\n".join(json.dumps(record, indent=2) for record in records))
    found = peeked(flow, "--file", str(pretty))
    assert [(g["payload"], g["element"], g["outcome"]) for g in found] == [
        *[(0, None, "row"), (1, 0, "row"), (1, 1, "dead")],
    ]
    pretty.write_text(
        "".join(json.dumps({"id": n, "event_name": "sent"}, indent=2) for n in (1, 2))
    )
    assert [(g["payload"], g["outcome"]) for g in peeked(flow, "--file", str(pretty))] == [
        *[(0, "row"), (1, "row")],
    ]
    dead = tmp_path / "dead"
    dead.write_text("not json\n{}\n")
    for args in ([], ["--json"]):
        assert flow.command("peek", "--file", str(dead), *args).returncode == 1
    dead.write_text("")
    assert flow.command("peek", "--file", str(dead)).returncode == 0


def test_what_cannot_be_is_one_line(flow: Flow, tmp_path: Path) -> None:
    for args, said in (
        (["--file", str(tmp_path / "nowhere")], "nowhere: No such file or directory"),
        (["--file", str(tmp_path)], "Is a directory"),
        (["--file", ""], "--file : "),  # not the queue
        (["--format", "nope"], "source.format: no format 'nope'; known: "),
    ):
        done = flow.command("peek", *args)
        assert (done.returncode, done.stderr.count("\n")) == (78, 1)
        assert said in done.stderr
    flow.redis.hset(QUEUE, "a", "b")
    done = flow.command("peek")
    assert (done.returncode, done.stderr.count("\n")) == (70, 1)
    assert f"looking at {QUEUE}" in done.stderr
    flow.redis.delete(QUEUE)
    empty = flow.command("peek")
    assert (empty.returncode, empty.stdout.split(":")[0]) == (0, "0 payloads of the queue")


def test_auto_says_what_it_took_each_for(flow: Flow, tmp_path: Path) -> None:
    of = {
        b'{"TRANSID":1,"EMAIL":"a@b.c","TIMESTAMP":1554375863,"EVENT":"sent"}': "pepipost",
        b'[{"email":"a@b.c","event":"open","timestamp":1,"sg_event_id":"x"}]': "sendgrid",
        PAYLOADS[0]: "plain",
        b'{"RecordType":5,"MessageID":"x"}': "postmark",  # a dead letter: of what?
        b"not json": "auto",
    }
    (tmp_path / "mix").write_bytes(b"\n".join(of))
    found = peeked(flow, "--format", "auto", "--file", str(tmp_path / "mix"))
    assert [g["format"] for g in found] == list(of.values())
    assert [g["outcome"] for g in found] == ["row", "row", "row", "dead", "dead"]


def test_a_reader_that_leaves_early_is_no_error(flow: Flow, tmp_path: Path) -> None:
    (tmp_path / "many").write_bytes(PAYLOADS[0] + b"\n" + b"not json\n" * 20_000)
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "faust", "-A", "pepi_stream"),
            *("peek", "--file", str(tmp_path / "many")),
        ],
        env=flow.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"payload 0: a row (plain)\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 128 + signal.SIGPIPE


def test_a_users_column_is_shown_as_it_is_kept(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    columns = [
        "event_name",
        {"name": "raw", "value": f"{__name__}:raw", "type": "BLOB"},
        {"name": "at", "value": f"{__name__}:at", "type": "DATETIME(6)"},
        {"name": "kind", "value": f"{__name__}:kind", "type": "VARCHAR(20)"},
    ]
    flow = make_flow(redis_url, database_url, PEPI_SINK__COLUMNS=json.dumps(columns))
    flow.push([PAYLOADS[0], PAYLOADS[3]])
    assert [g["row"] or g["reason"] for g in peeked(flow)] == [
        {
            "event_name": "sent",
            "raw": "00ff",
            "at": "2024-01-02 03:04:05.000000",
            "kind": "sent",
        },
        "TypeError: a column value of type object cannot be written to MySQL",
    ]


def raw(batch: Any) -> list[bytes]:
    """A user's column of bytes."""
    return [b"\x00\xff"] * len(batch)


def at(batch: Any) -> list[datetime]:
    """A user's column of times, an hour east of UTC."""
    return [datetime.fromisoformat("2024-01-02T04:04:05+01:00")] * len(batch)


def kind(batch: Any) -> list[Any]:
    """A user's column that has no value for clicks."""
    return [object() if name == "clicked" else name for name in batch.column("event_name")]
