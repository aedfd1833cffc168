"""What a live page that many people have open costs: races with and without them.

`python -m bench.viewers PORT COUNT` is the people: so many connections to `/live/events` that read
all they are sent. It prints "ready" once each has had its first event.
"""

from __future__ import annotations

import asyncio
import sys
from statistics import median

from bench.arena import Arena
from pepi_stream.local.process import free_port

_DATABASE = "bench_viewers"
_CHUNK = 1 << 16


def cost(arena: Arena, events: int, viewers: int, rounds: int) -> tuple[float, list[float]]:
    """Race one worker that serves its page to nobody, and to so many.

    Args:
        arena: with its events prepared.
        events: of each race.
        viewers: how many have the page open.
        rounds: of two races each, every other one the other way round.

    Returns:
        The median of the ratio with viewers to without, and the ratios of all rounds.
    """
    ratios = []
    for number in range(rounds):
        counts = (0, viewers) if number % 2 == 0 else (viewers, 0)
        rates = {count: _rate(arena, events, count) for count in counts}
        ratios.append(rates[viewers] / rates[0])
    return median(ratios), ratios


def _rate(arena: Arena, events: int, viewers: int) -> float:
    arena.fresh_database(_DATABASE)
    port = free_port()
    worker = arena.start_workers(_DATABASE, entry="web", port=port)
    try:
        watching = []
        if viewers:
            command = [sys.executable, "-m", "bench.viewers", str(port), str(viewers)]
            watching = [arena.start("viewers", command, arena.contender_env(_DATABASE))]
            arena.wait_ready(watching, "ready")
        rate = arena.race(_DATABASE, arena.fill(events), events, worker).rate
        arena.stop(watching)
        return rate
    finally:
        arena.stop(worker)


async def _watch(port: int, count: int) -> None:
    first = [asyncio.Event() for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        for event in first:
            group.create_task(_read(port, event))
        for event in first:
            await event.wait()
        print("ready", flush=True)


async def _read(port: int, first: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /live/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(answer.decode(errors="replace"))
    while await reader.read(_CHUNK):
        first.set()
    raise RuntimeError("the worker closed the stream")


if __name__ == "__main__":
    asyncio.run(_watch(int(sys.argv[1]), int(sys.argv[2])))
