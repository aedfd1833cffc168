"""What MariaDB alone allows: the statements that our worker sent, replayed from memory.

A proxy records what a worker says to MariaDB in a run that nobody times. The replay then sends
those very commands, over as many connections as wrote them, each when the one before on its
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

import redis
import uvloop

from bench.arena import Arena
from pepi_stream.local.child import Child
from pepi_stream.sink.bulk import COM_STMT_BULK_EXECUTE, COM_STMT_PREPARE, BulkConnection

_CHUNK = 1 << 18
_COM_QUERY = 3
_COMMANDS = bytes([_COM_QUERY, COM_STMT_PREPARE, COM_STMT_BULK_EXECUTE])

_BEGIN = bytes([_COM_QUERY]) + b"BEGIN"
#: Their answers (session variables, whether the server is one of a cluster) are several packets.
_ASKING = (bytes([_COM_QUERY]) + b"SELECT", bytes([_COM_QUERY]) + b"SHOW")

#: What a client said over one connection, in order: bodies of commands, the first byte says which.
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
        """Stop; return the commands of each connection that inserted rows."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        recordings = [commands_of(bytes(stream)) for stream in self._streams]
        return [without_questions(found) for found in recordings if _BEGIN in found]

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


def commands_of(said: bytes) -> Recording:
    """Return the commands in what a client said that a replay has to repeat.

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
        if first == 0 and body and body[0] in _COMMANDS:
            found.append(body)
        body = b""
    return found


def without_questions(recording: Recording) -> Recording:
    """Return the commands that write: each of them is answered with one packet."""
    return [command for command in recording if not command.startswith(_ASKING)]


def packets(body: bytes) -> bytes:
    """Return a command as packets."""
    framed = []
    for number, start in enumerate(range(0, len(body) + 1, 0xFFFFFF)):
        part = body[start : start + 0xFFFFFF]
        framed.append(len(part).to_bytes(3, "little") + bytes([number & 0xFF]) + part)
    return b"".join(framed)


async def replay(recordings: Sequence[Recording]) -> None:
    """Send every recording over a connection of its own, all at once when the queue fills.

    Prints ``ready`` when all are connected and every command is as it will be sent: the clock runs
    from there.

    Raises:
        pymysql.err.MySQLError: the server refused a statement.
    """
    streams = [
        [(body[0], memoryview(packets(body))) for body in recording] for recording in recordings
    ]
    connections = [await _connect() for _ in streams]
    queue = os.environ["BENCH_QUEUE"]
    client = redis.Redis(unix_socket_path=os.environ["BENCH_REDIS_SOCKET"])
    print("ready", flush=True)
    # Changes nothing, and returns when the queue appears.
    client.blmove(queue, queue, 0, src="LEFT", dest="LEFT")
    await asyncio.gather(*map(_send_all, connections, streams))


async def _connect() -> BulkConnection:
    connection = BulkConnection(
        user=os.environ["BENCH_MYSQL_USER"],
        password=os.environ["BENCH_MYSQL_PASSWORD"],
        db=os.environ["BENCH_MYSQL_DATABASE"],
        unix_socket=os.environ["BENCH_MYSQL_SOCKET"],
        charset="utf8mb4",
        autocommit=True,
    )
    await connection._connect()
    return connection


async def _send_all(connection: BulkConnection, stream: list[tuple[int, memoryview]]) -> None:
    numbers: dict[bytes, bytes] = {}  # of prepared statements: as recorded -> now
    latest = b""
    for command, packet in stream:
        if command == COM_STMT_PREPARE:
            latest = (await connection.prepare(bytes(packet[5:]).decode())).to_bytes(4, "little")
            continue
        connection._next_seq_id = 1
        if command == COM_STMT_BULK_EXECUTE:
            # A statement is used first when it has just been prepared.
            now = numbers.setdefault(bytes(packet[5:9]), latest)
            connection._writer.writelines([packet[:5], now, packet[9:]])
        else:
            connection._writer.write(packet)
        await connection._read_packet()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as recorded:
        uvloop.run(replay(pickle.load(recorded)))
    signal.pause()
