"""What MariaDB alone allows: the statements that our worker sent, replayed from memory.

A proxy records what a worker says to MariaDB in a run that nobody times. The replay then sends
those very statements, over as many connections as wrote them, each when the one before on its
connection has been answered; no Redis, no decoding, no Python between them.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pymysql
import redis

from bench.arena import Arena
from pepi_stream.local.child import Child

_CHUNK = 1 << 18
_COM_QUERY = 3
_ERR = 0xFF

#: One connection's statements, in order.
Recording = list[bytes]


class RecordingProxy:
    """Passes bytes between clients and a MariaDB socket, and keeps the statements.

    Args:
        listen: path of the socket to make.
        server: path of MariaDB's own.
    """

    def __init__(self, listen: Path, server: Path) -> None:
        self._listen = listen
        self._server = server
        self._streams: list[bytearray] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()

    def start(self) -> None:
        """Listen, in a thread."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> list[Recording]:
        """Stop; return the statements of each connection that inserted rows."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        recordings = [statements_of(bytes(stream)) for stream in self._streams]
        # A SELECT's answer (of session variables only) comes in several packets: left out.
        return [
            [statement for statement in recording if not statement.startswith(b"SELECT")]
            for recording in recordings
            if b"BEGIN" in recording
        ]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_unix_server(self._serve, self._listen))
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = bytearray()
        self._streams.append(said)
        up_reader, up_writer = await asyncio.open_unix_connection(self._server)
        try:
            async with _both(
                self._pass(reader, up_writer, said), self._pass(up_reader, writer, None)
            ):
                pass
        finally:
            up_writer.close()
            writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bytearray | None
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if keep is not None:
                keep += chunk
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def _both(
    first: Coroutine[None, None, None], second: Coroutine[None, None, None]
) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    yield
    for task in tasks:
        task.cancel()


def record(
    arena: Arena, database: str, n: int, *, config: str | None, settings: Mapping[str, str]
) -> Path:
    """Let a worker drain n events through the proxy; return the file with the recordings."""
    listen = arena.directory / "recording.sock"
    listen.unlink(missing_ok=True)
    proxy = RecordingProxy(listen, arena.mariadb.socket_path)
    proxy.start()
    url = arena.mariadb.url_of(database)
    through = url.replace(quote(str(arena.mariadb.socket_path)), quote(str(listen)))
    workers = arena.start_workers(
        database, config=config, settings={**settings, "DATABASE_URL": through}
    )
    arena.race(database, arena.fill(n), n, workers)
    arena.stop(workers)
    path = arena.directory / f"{database}.recording"
    path.write_bytes(pickle.dumps(proxy.stop()))
    return path


def start(arena: Arena, database: str, recording: Path) -> Child:
    """Start the replay into a database with the same, empty tables; ready on return."""
    child = arena.start(
        "limit",
        [sys.executable, "-m", "bench.limit", str(recording)],
        arena.contender_env(database),
    )
    arena.wait_ready([child], "ready")
    return child


def statements_of(said: bytes) -> Recording:
    """Return the statements in what a client said: every COM_QUERY, in order.

    Source: MariaDB's "Client/Server Protocol", packets of a 3-byte length and a number; a command
    begins with number 0, and a body of 2**24 - 1 bytes goes on in the next packet.
    """
    found: Recording = []
    at, body, first = 0, b"", 0
    while at < len(said):
        size, number = int.from_bytes(said[at : at + 3], "little"), said[at + 3]
        part = said[at + 4 : at + 4 + size]
        at += 4 + size
        if not body:
            first = number
        body += part
        if size == 0xFFFFFF:
            continue
        if first == 0 and body[:1] == bytes([_COM_QUERY]):
            found.append(body[1:])
        body = b""
    return found


def packets(statement: bytes) -> bytes:
    """Return a statement as the packets of one COM_QUERY."""
    body = bytes([_COM_QUERY]) + statement
    framed = []
    for number, start in enumerate(range(0, len(body) + 1, 0xFFFFFF)):
        part = body[start : start + 0xFFFFFF]
        framed.append(len(part).to_bytes(3, "little") + bytes([number & 0xFF]) + part)
    return b"".join(framed)


def replay(recordings: Sequence[Recording]) -> None:
    """Send every recording over a connection of its own, all at once when the queue fills.

    Prints ``ready`` when all are connected, ``done`` at the end, and waits for SIGTERM.

    Raises:
        RuntimeError: the server refused a statement.
    """
    streams = [[packets(statement) for statement in recording] for recording in recordings]
    connections = [
        pymysql.connect(
            user=os.environ["BENCH_MYSQL_USER"],
            password=os.environ["BENCH_MYSQL_PASSWORD"],
            database=os.environ["BENCH_MYSQL_DATABASE"],
            unix_socket=os.environ["BENCH_MYSQL_SOCKET"],
            charset="utf8mb4",
            autocommit=True,
        )
        for _ in streams
    ]
    queue = os.environ["BENCH_QUEUE"]
    client = redis.Redis(unix_socket_path=os.environ["BENCH_REDIS_SOCKET"])
    client.ping()
    failures: list[str] = []

    def send_all(connection: pymysql.Connection, stream: list[bytes]) -> None:
        sock = connection._sock
        for packet in stream:
            sock.sendall(packet)
            answer = sock.recv(_CHUNK)
            if answer[4] == _ERR:
                failures.append(answer[7:].decode(errors="replace"))
                return

    threads = [
        threading.Thread(target=send_all, args=pair)
        for pair in zip(connections, streams, strict=True)
    ]
    print("ready", flush=True)
    # Changes nothing, and returns when the queue appears.
    client.blmove(queue, queue, 0, src="LEFT", dest="LEFT")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"the server refused a statement: {failures[0]}")
    signal.pause()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as file:
        replay(pickle.load(file))
