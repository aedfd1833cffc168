"""Webhooks over real sockets into a real Redis: 200 means that the queue has the same bytes."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest
import redis

from pepi_stream.claims import connect_redis
from pepi_stream.ingest import Receiver, build_receiver
from pepi_stream.ingest.basic import Basic
from pepi_stream.local.servers import RedisServer
from pepi_stream.settings import load_settings
from tests.waiting import wait_until
from tests.web_pages import TOKEN, Site, site
from tests.webhooks import BASIC, MAILGUN_KEY, TOPIC, Sns, basic, encode, mailgun, sendgrid
from tests.webhooks import sendgrid_public_key as public_key

MAX = 4096
BODY = b'{"id": 1, "event_name": "sent"}\r\n'
SETTINGS = {
    "PEPI_SOURCE__FORMAT": "auto",
    "PEPI_INGEST__FORMATS": "sendgrid,mailgun,ses,postmark,sparkpost,plain",
    "PEPI_INGEST__MAX_BYTES": str(MAX),
    "PEPI_INGEST__SENDGRID_PUBLIC_KEY": public_key(),
    "PEPI_INGEST__MAILGUN_SIGNING_KEY": MAILGUN_KEY,
    "PEPI_INGEST__SES_TOPIC_ARNS": TOPIC,
    "PEPI_INGEST__POSTMARK_BASIC": BASIC,
    "PEPI_INGEST__SPARKPOST_BASIC": BASIC,
    "PEPI_INGEST__PLAIN_BASIC": BASIC,
}


class Door(NamedTuple):
    """A server that takes webhooks in, and the queue behind it."""

    pages: Site
    client: aiohttp.ClientSession
    redis: Any

    async def post(self, path: str, body: Any = BODY, **headers: str) -> aiohttp.ClientResponse:
        async with self.client.post(path, data=body, headers=headers) as answer:
            await answer.read()
            return answer

    def queue(self) -> list[bytes]:
        found: list[bytes] = self.redis.lrange("pepi_queue", 0, -1)
        return found


@asynccontextmanager
async def door(
    url: str, receiver: Receiver | None = None, *, fetch: Any = None, token: str = ""
) -> AsyncIterator[Door]:
    """Open a door, with all formats but pepipost unless a receiver is given."""
    loaded = load_settings(SETTINGS | {"REDIS_URL": url})
    receiver = receiver or build_receiver(loaded, *([fetch] if fetch else []))
    with redis.Redis.from_url(url) as queue:
        async with (
            site(receiver=receiver, token=token) as pages,
            aiohttp.ClientSession(pages.url) as client,
        ):
            yield Door(pages, client, queue)


def receiver(url: str, **more: Any) -> Receiver:
    settings = load_settings({"REDIS_URL": url}).redis
    options: dict[str, Any] = {"max_bytes": MAX, **more}
    return Receiver({"plain": Basic(BASIC)}, connect_redis(settings), "pepi_queue", **options)


async def test_what_is_signed_is_queued_unchanged_and_what_is_not_is_refused(
    redis_url: str,
) -> None:
    sns = Sns()
    message, hooks = encode(sns.message()), encode(mailgun())
    odd = b"\x00\xff{" + os.urandom(100)
    good: list[tuple[str, bytes, dict[str, str]]] = [
        ("sendgrid", BODY, sendgrid(BODY)),
        ("sendgrid", odd, sendgrid(odd)),
        ("mailgun", hooks, {}),
        ("ses", message, {}),
        ("postmark", odd, basic()),
        ("sparkpost", BODY, basic()),
        ("plain", b" " * MAX, basic()),
    ]
    wrong: list[tuple[str, bytes, dict[str, str]]] = [
        ("sendgrid", BODY + b" ", sendgrid(BODY)),
        ("sendgrid", BODY, basic()),
        ("mailgun", encode(mailgun("b" * 50, key="x" * 16)), {}),
        ("mailgun", encode(mailgun(forged=1)), {}),
        ("ses", message.replace(b"Send", b"Sent"), {}),
        ("ses", BODY, {"x-amz-sns-rawdelivery": "true"}),
        ("postmark", BODY, {}),
        ("plain", BODY, basic(BASIC[:-1])),
        ("plain", BODY, {"Authorization": f"Bearer {TOKEN}"}),
    ]
    async with door(redis_url, fetch=sns.fetch, token=TOKEN) as at:
        expected: list[bytes] = []
        for name, body, headers in good:
            answer = await at.post(f"/ingest/{name}", body, **headers)
            expected.append(body)
            assert answer.status == 200
            assert at.queue() == expected
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
        for name, body, headers in wrong:
            answer = await at.post(f"/ingest/{name}", body, **headers)
            assert answer.status == 401, (name, body)
            kind = "Basic " if name in ("postmark", "plain") else "Signature "
            assert answer.headers["WWW-Authenticate"].startswith(kind)
        assert (await at.post("/ingest/mailgun", hooks)).status == 200  # sent again: queued already
        confirm = encode(sns.message("SubscriptionConfirmation"))
        assert (await at.post("/ingest/ses", confirm)).status == 200
        assert at.queue() == expected


async def test_what_is_not_there_empty_or_too_large(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(redis_url) as at:
        for path in ("pepipost", "auto", "Plain", "plain%20", "x" * 100, "%00", "{format}"):
            assert (await at.post(f"/ingest/{path}", **basic())).status == 404
        for path in ("/ingest/plain/", "/ingest/", "/ingest/plain/x"):
            assert (await at.post(path, **basic())).status == 404
        assert (await at.post("/ingest/plain", b"", **basic())).status == 400
        assert (await at.post("/ingest/plain", b"x" * (MAX + 1), **basic())).status == 413
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            async with at.client.request(method, "/ingest/plain", headers=basic()) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        for name, value in (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")):
            refused = await at.post("/ingest/plain", **basic(), **{name: value})
            assert refused.status == 403
        assert at.queue() == []
    lines = [record.getMessage() for record in caplog.records if "404" in record.getMessage()]
    assert len(lines) == 1
    assert "planted" not in caplog.text


async def test_without_ingest_there_is_no_such_path() -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        for method, status in (("POST", 405), ("GET", 404)):
            async with client.request(method, "/ingest/plain", headers=basic()) as answer:
                assert answer.status == status


async def test_a_proxy_may_send_its_own_host_to_webhooks_and_to_nothing_else(
    redis_url: str,
) -> None:
    async with door(redis_url) as at:
        headers = basic() | {"Host": "events.example.com"}
        assert (await at.post("/ingest/plain", **headers)).status == 200
        for path in ("/live/snapshot", "/healthz", "/ingestx/plain", "/live/../ingest"):
            async with at.client.get(path, headers={"Host": "events.example.com"}) as answer:
                assert answer.status == 403
    async with door(redis_url, token=TOKEN) as at:
        assert (await at.post("/ingest/plain", **headers)).status == 200
        async with at.client.get("/live/snapshot", headers=headers) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Content-Length: 1073741824"])
async def test_a_huge_body_is_refused_before_it_is_there(redis_url: str, head: bytes) -> None:
    async with door(redis_url) as at:
        authorization = basic()["Authorization"].encode()
        request = b"POST /ingest/plain HTTP/1.1\r\nHost: x\r\nAuthorization: " + authorization
        reader, writer = await asyncio.open_connection("127.0.0.1", at.pages.port)
        try:
            writer.write(request + b"\r\n" + head + b"\r\n\r\n")
            if b"chunked" in head:
                writer.write((b"800\r\n" + b"x" * 2048 + b"\r\n") * 3)
            assert b" 413 " in await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()
        assert at.queue() == []


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Content-Length: 1000"])
async def test_a_slow_body_is_refused_in_time_and_a_broken_one_is_never_taken(
    redis_url: str, head: bytes
) -> None:
    async with door(redis_url, receiver(redis_url, body_seconds=0.2)) as at:
        authorization = basic()["Authorization"].encode()
        request = b"POST /ingest/plain HTTP/1.1\r\nHost: x\r\nAuthorization: " + authorization
        request += b"\r\n" + head + b"\r\n\r\n5\r\nxxxxx\r\n"
        assert b" 408 " in (await at.pages.raw(request)).partition(b"\r\n")[0]
        _, writer = await asyncio.open_connection("127.0.0.1", at.pages.port)
        writer.write(request)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await at.post("/ingest/plain", **basic())).status == 200
        assert at.queue() == [BODY]


async def test_a_chunked_body_is_one_payload(redis_url: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b'{"id"', b": 1, ", b'"event": "sent"}'):
            yield part

    async with door(redis_url) as at:
        assert (await at.post("/ingest/plain", parts(), **basic())).status == 200
        assert at.queue() == [b'{"id": 1, "event": "sent"}']


async def test_a_compressed_body_stays_as_it_came(redis_url: str) -> None:
    """Nothing is expanded here, so there is no bomb; the claim makes a dead letter of it."""
    bomb = gzip.compress(bytes(2_000_000))
    assert len(bomb) < MAX
    async with door(redis_url) as at:
        headers = basic() | {"Content-Encoding": "gzip"}
        assert (await at.post("/ingest/plain", bomb, **headers)).status == 200
        assert at.queue() == [bomb]


async def test_only_so_many_at_a_time(redis_url: str) -> None:
    started = asyncio.Event()
    finish = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        started.set()
        await finish.wait()
        yield b"}"

    async with door(redis_url, receiver(redis_url, in_flight=1)) as at:
        first = asyncio.ensure_future(at.post("/ingest/plain", slow(), **basic()))
        await started.wait()

        async def busy() -> bool:
            answer = await at.post("/ingest/plain", **basic())
            return answer.status == 503 and int(answer.headers["Retry-After"]) > 0

        await wait_until(busy)
        queued = at.queue()
        finish.set()
        assert (await first).status == 200
        assert at.queue() == [*queued, b"{}"]
        assert (await at.post("/ingest/plain", **basic())).status == 200


Fault = Callable[[RedisServer, Any], Awaitable[None]]


async def _stopped(server: RedisServer, client: Any) -> None:
    server.stop()


async def _full(server: RedisServer, client: Any) -> None:
    client.config_set("maxmemory", 1)


async def _replica(server: RedisServer, client: Any) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")


async def _forbidden(server: RedisServer, client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "default", "-rpush")


async def _another_kind(server: RedisServer, client: Any) -> None:
    client.set("pepi_queue", "x")


async def _silent(server: RedisServer, client: Any) -> None:
    client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")


def _mend(server: RedisServer, client: Any) -> None:
    if not server.running:
        server.start()
    client.execute_command("CLIENT", "UNPAUSE")
    client.config_set("maxmemory", 0)
    client.execute_command("REPLICAOF", "NO", "ONE")
    client.execute_command("ACL", "SETUSER", "default", "+rpush")
    if client.type("pepi_queue") == b"string":
        client.delete("pepi_queue")


@pytest.mark.parametrize(
    "fault",
    [_stopped, _full, _replica, _forbidden, _another_kind, _silent],
    ids=lambda fault: fault.__name__,
)
async def test_503_while_redis_does_not_take_it(
    own_redis: RedisServer, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_redis.url
    async with door(url, receiver(url, redis_seconds=0.5)) as at:
        if fault is not _another_kind:
            assert (await at.post("/ingest/plain", b"before", **basic())).status == 200
        await fault(own_redis, at.redis)
        for _ in range(3):
            refused = await at.post("/ingest/plain", **basic())
            assert refused.status == 503
            assert int(refused.headers["Retry-After"]) > 0
        _mend(own_redis, at.redis)
        answer = await at.post("/ingest/plain", b"after", **basic())
        assert answer.status == 200
        before = [] if fault is _another_kind else [b"before"]
        assert at.queue() == [*before, b"after"]
    assert len([r for r in caplog.records if "(503)" in r.getMessage()]) == 1


async def test_mailgun_sends_again_what_redis_did_not_take(own_redis: RedisServer) -> None:
    body = encode(mailgun())
    async with door(own_redis.url) as at:
        own_redis.stop()
        assert (await at.post("/ingest/mailgun", body)).status == 503
        own_redis.start()
        for _ in range(2):
            assert (await at.post("/ingest/mailgun", body)).status == 200
        assert at.queue() == [body]


async def test_at_the_end_what_is_being_pushed_is_waited_for(redis_url: str) -> None:
    taking = receiver(redis_url)
    async with door(redis_url, taking) as at:
        at.redis.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        answer = asyncio.ensure_future(at.post("/ingest/plain", **basic()))
        await wait_until(lambda: len(taking._pushes) == 1)
        closing = asyncio.ensure_future(taking.close())
        await wait_until(lambda: taking._closing)
        assert (await at.post("/ingest/plain", b"late", **basic())).status == 503
        assert not closing.done()
        at.redis.execute_command("CLIENT", "UNPAUSE")
        assert (await answer).status == 200
        await closing
        assert at.queue() == [BODY]
