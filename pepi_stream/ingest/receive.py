"""Receiver: takes one request in, and says 200 only when Redis has said that it has the body."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from pepi_stream.claims.failures import is_another_server, redis_failure
from pepi_stream.claims.keys import token_key
from pepi_stream.claims.scripts import Scripts
from pepi_stream.errors import message_of
from pepi_stream.ingest import encoding
from pepi_stream.ingest.binding import Binding
from pepi_stream.ingest.scheme import Headers, Refusal, Scheme, Unsigned, Verdict, wrong
from pepi_stream.ingest.sparing import Sparing

logger = logging.getLogger(__name__)

IN_FLIGHT: Final = 32
REDIS_SECONDS: Final = 2.0
BODY_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 10


@dataclass(frozen=True)
class Answer:
    """What to tell the sender."""

    status: int
    words: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Parts(Protocol):
    """A body that arrives."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Return its parts, as they come."""


class Request(Protocol):
    """What is needed of a request (aiohttp's)."""

    @property
    def headers(self) -> Headers:
        """By name, in any case."""

    @property
    def content_length(self) -> int | None:
        """In bytes; None when it was not said."""

    @property
    def content(self) -> Parts:
        """The body."""


class Receiver:
    """Takes requests in.

    Args:
        schemes: how those of each format are verified; other formats are not there.
        redis: a client of its own.
        queue: the LIST that bodies are pushed to.
        max_bytes: of a body, at most, compressed or not.
        binding: for a queue of several formats; None where it has one.
        body_seconds: for a body to arrive, at most.
        redis_seconds: for Redis to answer, at most.
        in_flight: requests of one format at the same time, at most.
    """

    def __init__(
        self,
        schemes: Mapping[str, Scheme],
        redis: Redis,
        queue: str,
        *,
        max_bytes: int,
        binding: Binding | None = None,
        body_seconds: float = BODY_SECONDS,
        redis_seconds: float = REDIS_SECONDS,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._schemes = schemes
        self._redis = redis
        self._queue = queue
        self._max_bytes = max_bytes
        self._body_seconds = body_seconds
        self._redis_seconds = redis_seconds
        self._binding = binding
        self._push_once = Scripts().push_once
        self._most = in_flight
        self._now_in_flight: Counter[str] = Counter()
        self._reading: dict[str, dict[asyncio.Timeout, None]] = {name: {} for name in schemes}
        self._pushes: set[asyncio.Task[None]] = set()
        self._closing = False
        self._log = Sparing(logger)

    async def receive(self, name: str, request: Request) -> Answer:
        """Take a request in, or say why not.

        Args:
            name: of the format.
            request: its body has not been read.
        """
        scheme = self._schemes.get(name)
        try:
            if scheme is None:
                raise Refusal(404, "webhooks of this format are not taken in (ingest.formats)")
            await self._take(name, scheme, request)
        except Refusal as refusal:
            known = name if scheme else "another format"
            self._log.warn(
                f"{known} {refusal.status} {refusal.kind}",
                f"ingest: a request for {known} was refused ({refusal.status}): {refusal.why}",
            )
            headers = {}
            if refusal.challenge:
                headers["WWW-Authenticate"] = refusal.challenge
            if refusal.status == 503:
                headers["Retry-After"] = str(RETRY_SECONDS)
            if refusal.status == 415:
                headers["Accept-Encoding"] = encoding.ACCEPTED
            return Answer(refusal.status, refusal.public, headers)
        return Answer(200)

    async def announce(self, _: object = None) -> None:
        """Log what is taken in."""
        logger.info("ingest: taking webhooks in: %s", ", ".join(self._schemes))
        unsigned = [name for name, how in self._schemes.items() if isinstance(how, Unsigned)]
        if unsigned:
            logger.warning(
                "ingest: nothing here checks who sends %s (ingest.unsigned)", ", ".join(unsigned)
            )

    async def close(self, _: object = None) -> None:
        """Push nothing more; wait for what is being pushed; close the connections."""
        self._closing = True
        if self._pushes:
            await asyncio.wait(self._pushes)
        await self._redis.aclose()

    async def _take(self, name: str, scheme: Scheme, request: Request) -> None:
        headers = request.headers
        # A provider sends neither; a browser does, whatever page made it send this.
        if "Origin" in headers or "Sec-Fetch-Site" in headers:
            raise Refusal(403, "webhooks do not come from browsers")
        scheme.screen(headers)
        compressed = encoding.require_known(headers.get("Content-Encoding", ""))
        if (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        if self._now_in_flight[name] >= self._most:
            self._make_room(name)
        self._now_in_flight[name] += 1
        try:
            body = await self._body_of(name, scheme, request)
            if not body:
                raise Refusal(400, "the body is empty")
            try:
                body = encoding.unpack(body, compressed, self._max_bytes)
            except encoding.TooLargeError:
                raise self._too_large() from None
            verdict = await scheme.verify(headers, body)
            if not verdict.push:
                return
            body = verdict.body or body
            if self._binding is not None:
                self._binding.require(name, body)
            # Not cancelled with this request: what Redis then has must be known.
            push = asyncio.ensure_future(self._push(body, verdict))
            self._pushes.add(push)
            push.add_done_callback(self._pushed)
            await asyncio.shield(push)
        finally:
            self._now_in_flight[name] -= 1

    async def _body_of(self, name: str, scheme: Scheme, request: Request) -> bytes:
        body = bytearray()
        reading = self._reading[name]
        limit = asyncio.timeout(self._body_seconds)
        if not scheme.proves_early:
            reading[limit] = None
        try:
            async with limit:
                async for part in request.content.iter_any():
                    if len(body) + len(part) > self._max_bytes:
                        raise self._too_large()
                    body += part
        except TimeoutError:
            if scheme.proves_early or limit in reading:
                raise Refusal(408, "the body did not arrive in time") from None
            raise self._crowded(name) from None
        finally:
            reading.pop(limit, None)
        return bytes(body)

    def _make_room(self, name: str) -> None:
        """Give up the body that has been waited for longest, of those from nobody knows whom.

        Raises:
            Refusal: 503, there is none.
        """
        waiting = (limit for limit in self._reading[name] if not limit.expired())
        longest = next(waiting, None)
        if longest is None:
            raise self._crowded(name)
        del self._reading[name][longest]
        longest.reschedule(asyncio.get_running_loop().time())

    def _crowded(self, name: str) -> Refusal:
        return Refusal(503, f"{self._most} requests for {name} are in flight")

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body has more than {self._max_bytes} bytes (ingest.max_bytes)")

    async def _push(self, body: bytes, verdict: Verdict) -> None:
        try:
            if self._closing:
                raise Refusal(503, "the worker is stopping")
            async with asyncio.timeout(self._redis_seconds):
                try:
                    await self._put(body, verdict)
                except ResponseError as exc:
                    if not is_another_server(exc):
                        raise
                    # It has done nothing, and the next connection may lead to the one that took
                    # its place.
                    await self._put(body, verdict)
        except TimeoutError:
            raise _away(f"Redis has not answered within {self._redis_seconds:g} s") from None
        except Refusal:
            raise
        except Exception as exc:
            raise _away(message_of(redis_failure(exc, f"pushing to {self._queue}"))) from None

    async def _put(self, body: bytes, verdict: Verdict) -> None:
        once = verdict.once
        if once is None:
            await cast(Any, self._redis.rpush(self._queue, body))
            return
        keys = [self._queue, token_key(self._queue, once.token)]
        digest = hashlib.sha256(body).digest()
        reply = await self._push_once(self._redis, keys, [digest, once.seconds, body])
        if reply < 0:
            raise wrong("the token of this request was used before, for another body")

    def _pushed(self, push: asyncio.Task[None]) -> None:
        self._pushes.discard(push)
        if not push.cancelled():
            push.exception()  # the request may have gone that would have looked at it


def _away(why: str) -> Refusal:
    return Refusal(503, why, public="the queue does not take it now; send it again", kind="redis")
