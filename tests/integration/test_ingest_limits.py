"""Compressed bodies, and how many requests are taken at a time, of whom."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

from pepi_stream.ingest.basic import Basic
from pepi_stream.ingest.mailgun import Mailgun
from pepi_stream.ingest.scheme import Scheme
from tests.ingesting import BODY, MAX, door, receiver
from tests.waiting import wait_until
from tests.webhooks import BASIC, MAILGUN_KEY, basic, encode, mailgun, sendgrid


async def test_a_compressed_body_is_unpacked(redis_url: str) -> None:
    async with door(redis_url) as at:
        for encoding, body in (("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY))):
            headers = basic() | {"Content-Encoding": encoding}
            assert (await at.post("/ingest/plain", body, **headers)).status == 200
        body = encode([{"sg_event_id": "1", "event": "delivered"}])
        headers = sendgrid(body) | {"Content-Encoding": "gzip"}
        assert (await at.post("/ingest/sendgrid", gzip.compress(body), **headers)).status == 200
        assert at.queue() == [BODY, BODY, body]


async def test_what_cannot_be_unpacked_is_refused(redis_url: str) -> None:
    bomb = gzip.compress(bytes(2_000_000))
    assert len(bomb) < MAX
    async with door(redis_url) as at:
        for encoding, body, status in (
            ("gzip", bomb, 413), ("gzip", BODY, 400), ("gzip", gzip.compress(BODY)[:-1], 400),
            ("br", BODY, 415), ("gzip, gzip", gzip.compress(gzip.compress(BODY)), 415),
        ):  # fmt: skip
            headers = basic() | {"Content-Encoding": encoding}
            answer = await at.post("/ingest/plain", body, **headers)
            assert answer.status == status, encoding
            if status == 415:
                assert answer.headers["Accept-Encoding"] == "gzip, deflate, identity"
        assert at.queue() == []


class Slow:
    """A body whose end does not come until it is told to."""

    def __init__(self, body: bytes = b"{}") -> None:
        self.body = body
        self.started = asyncio.Event()
        self.finish = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body[:1]
        self.started.set()
        await self.finish.wait()
        yield self.body[1:]


async def test_only_so_many_of_one_format_at_a_time(redis_url: str) -> None:
    slow = Slow()
    async with door(redis_url, receiver(redis_url, in_flight=1)) as at:
        first = asyncio.ensure_future(at.post("/ingest/plain", aiter(slow), **basic()))
        await slow.started.wait()

        async def busy() -> bool:
            answer = await at.post("/ingest/plain", **basic())
            return answer.status == 503 and int(answer.headers["Retry-After"]) > 0

        await wait_until(busy)
        queued = at.queue()
        slow.finish.set()
        assert (await first).status == 200
        assert at.queue() == [*queued, b"{}"]
        assert (await at.post("/ingest/plain", **basic())).status == 200


async def test_slow_bodies_of_nobody_knows_whom_make_room(
    redis_url: str,
) -> None:
    """Whose signature is in the body has proved nothing until all of it is there."""
    schemes: dict[str, Scheme] = {"plain": Basic(BASIC), "mailgun": Mailgun(MAILGUN_KEY)}
    async with door(redis_url, receiver(redis_url, schemes, in_flight=2)) as at:
        slow = [Slow() for _ in range(3)]
        posts = []
        for one in slow:
            posts.append(asyncio.ensure_future(at.post("/ingest/mailgun", aiter(one))))
            await one.started.wait()
        assert (await posts[0]).status == 503  # the third has taken its place
        body = encode(mailgun())
        assert (await at.post("/ingest/mailgun", body)).status == 200
        assert (await posts[1]).status == 503
        assert (await at.post("/ingest/plain", **basic())).status == 200
        slow[2].finish.set()
        assert (await posts[2]).status == 401
        assert at.queue() == [body, BODY]
