"""push_once.lua: under one token, one body, once."""

import pytest
from redis.exceptions import ResponseError

from pepi_stream.claims.keys import token_key
from pepi_stream.claims.scripts import Scripts
from tests.claiming import Bench


async def push(bench: Bench, digest: str, body: bytes, token: str = "t") -> int:
    keys = [bench.store.queue, token_key(bench.store.queue, token)]
    reply: int = await Scripts().push_once(bench.redis, keys, [digest, 60, body])
    if reply == 1:
        bench.expected[body] += 1
    return reply


async def test_one_body_once_and_no_other(bench: Bench) -> None:
    assert await push(bench, "d", b"body") == 1
    assert await push(bench, "d", b"body") == 0
    assert await push(bench, "other", b"forged") == -1
    assert await push(bench, "d", b"another token", "u") == 1
    assert await bench.queued() == [b"body", b"another token"]
    keys = [token_key(bench.store.queue, token) for token in "tu"]
    for key in keys:
        assert 0 < await bench.redis.ttl(key) <= 60
    await bench.redis.delete(*keys)


async def test_a_token_is_not_used_up_when_the_queue_does_not_take_the_body(bench: Bench) -> None:
    """The provider sends it again, and then it has to pass."""
    key = token_key(bench.store.queue, "t")
    await bench.redis.set(bench.store.queue, "not a list")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await push(bench, "d", b"body")
    assert not await bench.redis.exists(key)
    await bench.redis.delete(bench.store.queue)
    assert await push(bench, "d", b"body") == 1
    await bench.redis.delete(key)
