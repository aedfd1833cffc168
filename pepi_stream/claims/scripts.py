"""The Lua scripts as callables: EVALSHA first, EVAL when Redis does not know them.

Each script's calling contract is declared here and written in the script's header; a test
holds the one against the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from pepi_stream.resources import lua_dir


class Script:
    """One file of ``lua/``.

    Args:
        name: file name without ``.lua``.
        keys: names of its KEYS in order; a trailing ``...`` repeats.
        args: names of its ARGV in order; a trailing ``...`` repeats.
    """

    def __init__(self, name: str, *, keys: str, args: str) -> None:
        self.name = name
        self.keys = keys
        self.args = args
        self.text = (lua_dir() / f"{name}.lua").read_bytes()
        # EVALSHA is specified as SHA-1; nothing here depends on its strength.
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    async def __call__(
        self, redis: Redis, keys: Sequence[str], args: Sequence[str | bytes | int]
    ) -> Any:
        """Run the script.

        NOSCRIPT means that nothing ran (SCRIPT FLUSH, a restarted or failed-over Redis),
        so asking again is safe: with EVAL, which brings the text along and keeps it in Redis.
        (SCRIPT LOAD and EVALSHA are two commands, and a second SCRIPT FLUSH fits between
        them.) Every other error is raised as it comes: whether the script ran is then
        unknown, and the caller decides.
        """
        try:
            return await redis.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await redis.eval(self.text.decode(), len(keys), *keys, *args)

    async def and_list(
        self, redis: Redis, keys: Sequence[str], args: Sequence[str | bytes | int], key: str
    ) -> tuple[Any, list[bytes]]:
        """Run the script and read the list ``key`` right after it, in one round trip.

        Errors are those of a call.
        """
        try:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.evalsha(self.sha, len(keys), *keys, *args)
                pipe.lrange(key, 0, -1)
                reply, payloads = await pipe.execute(raise_on_error=False)
            for answer in (reply, payloads):
                if isinstance(answer, Exception):  # as it is: execute() would put words before it
                    raise answer
            return reply, payloads
        except NoScriptError:
            reply = await redis.eval(self.text.decode(), len(keys), *keys, *args)
            listed: Any = await redis.lrange(key, 0, -1)
            return reply, listed


class Scripts:
    """All scripts of the delivery protocol, read from disk once per store."""

    def __init__(self) -> None:
        self.claim = Script(
            "claim",
            keys="queue claims deliveries claim",
            args="claim_id max_payloads max_bytes lease_ms mode",
        )
        self.renew = Script(
            "renew", keys="claims deliveries", args="lease_ms (claim_id delivery)..."
        )
        self.recover = Script(
            "recover", keys="claims deliveries claim...", args="lease_ms claim_id..."
        )
        self.ack = Script(
            "ack", keys="claims deliveries claim...", args="channel message claim_id..."
        )
        self.release = Script("release", keys="claims deliveries", args="(claim_id delivery)...")
        self.reissue = Script(
            "reissue",
            keys="claims deliveries old_claim new_claim",
            args="old_id new_id lease_ms",
        )
        self.adopt = Script("adopt", keys="claims claim...", args="claim_id...")
        self.suspect = Script("suspect", keys="deliveries", args="claim_id delivery positions")
        self.push_once = Script("push_once", keys="queue token", args="digest seconds body")
        self.head = Script("head", keys="queue", args="max_bytes")
