"""Webhooks over real sockets into a real Redis: 200 means that the queue has the same bytes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from pepi_stream.local.servers import RedisServer
from tests.ingesting import BODY, MAX, door, receiver
from tests.waiting import wait_until
from tests.web_pages import TOKEN, site
from tests.webhooks import BASIC, Sns, basic, encode, mailgun, sendgrid


async def test_what_is_signed_is_queued_unchanged_and_what_is_not_is_refused(
    redis_url: str,
) -> None:
    sns = Sns()
    message, hooks = encode(sns.message()), encode(mailgun())
    events = encode([{"sg_event_id": "1", "event": "delivered"}])
    odd = b"\x00\xff{" + os.urandom(100)
    good: list[tuple[str, bytes, dict[str, str]]] = [
        ("sendgrid", events, sendgrid(events)),
        ("sendgrid", odd, sendgrid(odd)),
        ("mailgun", hooks, {}),
        ("ses", message, {}),
        ("postmark", odd, basic()),
        ("sparkpost", odd, basic()),
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
        for method in ("POST", "GET", "PUT"):
            async with client.request(method, "/ingest/plain", headers=basic()) as answer:
                assert answer.status == 404


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
