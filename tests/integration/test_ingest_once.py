"""Mailgun's tokens: under each of them one body goes in the queue, once, by whichever worker."""

from __future__ import annotations

import asyncio

import pytest
import redis

from pepi_stream.local.servers import RedisServer
from tests.ingesting import door
from tests.readme import acl_commands
from tests.webhooks import encode, mailgun


async def test_a_token_is_good_once_in_all_workers(redis_url: str) -> None:
    body, forged = encode(mailgun()), encode(mailgun(more="forged"))
    async with door(redis_url) as one, door(redis_url) as other:
        assert (await one.post("/ingest/mailgun", body)).status == 200
        for at in (one, other):
            assert (await at.post("/ingest/mailgun", body)).status == 200  # it missed our answer
            assert (await at.post("/ingest/mailgun", forged)).status == 401
        assert one.queue() == [body]
        [key] = one.redis.keys("*:token:*")
        assert 9 * 3600 < one.redis.ttl(key) <= 9 * 3600 + 300


async def test_the_same_body_many_times_at_once_is_one_payload(redis_url: str) -> None:
    body = encode(mailgun())
    async with door(redis_url) as one, door(redis_url) as other:
        posts = [at.post("/ingest/mailgun", body) for at in (one, other) * 10]
        answers = await asyncio.gather(*posts)
        assert {answer.status for answer in answers} == {200}
        assert one.queue() == [body]


async def test_mailgun_sends_again_what_redis_did_not_take(own_redis: RedisServer) -> None:
    body = encode(mailgun())
    async with door(own_redis.url) as at:
        own_redis.stop()
        assert (await at.post("/ingest/mailgun", body)).status == 503
        own_redis.start()
        for _ in range(2):
            assert (await at.post("/ingest/mailgun", body)).status == 200
        assert at.queue() == [body]


async def test_what_the_readme_grants_suffices_and_without_it_nothing_is_lost(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    worker, webhooks = (
        next(words for words in acl_commands() if words[2] == "pepi_worker" and mark in words)
        for mark in ("+evalsha", "+get")
    )
    url = f"redis://pepi_worker:password@127.0.0.1:{own_redis.port}/0"
    body = encode(mailgun())
    with redis.Redis.from_url(own_redis.url) as admin:
        admin.execute_command(*worker)
        async with door(url) as at:
            assert (await at.post("/ingest/mailgun", body)).status == 503
            assert "ACL" in caplog.text
            admin.execute_command(*webhooks)
            assert (await at.post("/ingest/mailgun", body)).status == 200
            assert at.queue() == [body]
