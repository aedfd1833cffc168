"""Payloads far above the limits through a real worker: one dead letter each, in bounded memory."""

from __future__ import annotations

import getpass
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pymysql
import pytest

from pepi_stream.local.servers import MariaDBServer
from tests.flow import Flow, MakeFlow, plain

MIB = 1 << 20
SIZE = 100 * MIB
#: Of the payload's size. Measured: 2.5 for the first, of which reading it from Redis takes 2; 3.3
#: for one after another, because the last one is let go when the next one comes. With dead
#: letters in statements of a packet's size the first took 3.6.
FIRST, GROWTH = 3.0, 4.0

GOOD = list(plain(range(8)))


def string() -> bytes:
    return GOOD[0][:-1] + b',"x":"' + b"x" * SIZE + b'"}'


def garbage(size: int = SIZE) -> bytes:
    return random.Random(7).randbytes(size)


def array() -> bytes:
    return b"[" + b"1," * (SIZE // 2) + b"1]"


@contextmanager
def packet(server: MariaDBServer, size: int) -> Iterator[None]:
    """Set max_allowed_packet for connections that are opened from now on."""
    with closing(
        pymysql.connect(unix_socket=str(server.socket_path), user=getpass.getuser())
    ) as admin:
        cursor = admin.cursor()
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        [(before,)] = cursor.fetchall()
        cursor.execute(f"SET GLOBAL max_allowed_packet = {size}")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    flow = make_flow(redis_url, database_url, PEPI_REDIS__TIMEOUT_SECONDS="60")
    flow.make_tables()
    return flow


def check(flow: Flow, hostile: list[bytes]) -> None:
    """Push hostile payloads between good ones; each is one letter, and memory is bounded."""
    worker = flow.worker()
    worker.wait_claiming()
    before = worker.peak_mb()
    pushed = flow.push([GOOD[0]])
    for number, bad in enumerate(hostile):
        pushed += flow.push([bad])
        pushed += flow.push([GOOD[1 + number]])
        flow.wait_drained()
        growth = worker.peak_mb() - before
        assert growth < (GROWTH if number else FIRST) * SIZE / MIB, f"{growth:.0f} MiB"
    assert worker.stop() == 0

    found = flow.sql("SELECT id FROM pepi_event ORDER BY id")
    assert found == [(str(n),) for n in range(len(hostile) + 1)]
    letters = flow.sql(
        "SELECT MIN(seq), MAX(seq), reason, MAX(part) + 1 FROM pepi_dead_letter "
        "GROUP BY claim_id, position, reason ORDER BY 1"
    )
    assert len(letters) == len(hostile)
    for payload, (first, last, reason, parts) in zip(hostile, letters, strict=True):
        assert reason == (
            f"the payload has {len(payload)} bytes, above source.payload_max_bytes (16777216)"
        )
        rows = flow.sql(
            f"SELECT part, payload FROM pepi_dead_letter WHERE seq BETWEEN {first} AND {last} "
            "ORDER BY part"
        )
        assert [part for part, _ in rows] == list(range(parts))
        assert b"".join(raw for _, raw in rows) == payload
    flow.check_books(pushed)


def test_100_mib_payloads_are_dead_letters_and_their_neighbours_rows(flow: Flow) -> None:
    check(flow, [garbage(), string(), array()])


def test_20_mib_through_a_server_that_takes_packets_of_1_mib(
    flow: Flow, mariadb_server: MariaDBServer
) -> None:
    with packet(mariadb_server, MIB):
        check(flow, [garbage(20 * MIB)])


def test_arrays_of_too_many_do_not_fill_the_memory(flow: Flow) -> None:
    worker = flow.worker()
    worker.wait_claiming()
    before = worker.peak_mb()
    numbers = b"[" + b"1," * (8 * MIB - 2) + b"1]"
    events = b"[" + b",".join([b'{"event":""}'] * (16 * MIB // 13 - 1)) + b"]"
    largest = b"[" + b",".join([b'{"event":"a"}'] * 10_000) + b"]"
    flow.push([GOOD[0], numbers, GOOD[1], events, GOOD[2], largest, GOOD[3]])
    flow.wait_drained()
    growth = worker.peak_mb() - before
    # Measured: 140 MiB. Without the limit on events, the numbers alone took 3 GiB.
    assert growth < 400, f"{growth:.0f} MiB"
    assert flow.rows() == 4 + 10_000
    reasons = {reason for (reason,) in flow.sql("SELECT reason FROM pepi_dead_letter")}
    assert reasons == {"the payload holds more events than source.payload_max_events (10000)"}
    assert flow.sql("SELECT COUNT(*) FROM pepi_event WHERE event_name = 'a'") == [(10_000,)]
    assert worker.stop() == 0
