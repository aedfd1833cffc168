"""SNS's certificates: fetched from SNS alone, and kept.

Anybody can name an address of SNS in a message. So few are fetched a minute, one that could not
be had is not asked for again for a while, and one that has verified a message is kept for as long
as it is valid: whatever others ask for, what is signed with it is taken in.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from cryptography.x509 import Certificate

from pepi_stream.ingest.scheme import Clock, Refusal
from pepi_stream.ingest.sns import load_certificate

Fetch = Callable[[str], Awaitable[bytes]]

FETCH_SECONDS: Final = 5.0
MAX_BYTES: Final = 64 * 1024
_UNPROVED: Final = 16
_UNPROVED_SECONDS: Final = 86_400.0
_FAILED: Final = 256
_FAILED_SECONDS: Final = 60.0
_A_MINUTE: Final = 20


async def fetch_pem(url: str, *, seconds: float = FETCH_SECONDS) -> bytes:
    """GET a small file; no redirect is followed, and no proxy or cookie used.

    Raises:
        ValueError: the answer is not 200, or too large.
        aiohttp.ClientError, TimeoutError, OSError: there is none in time.
    """
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"HTTP status {answer.status}")
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
        return bytes(body)


class Certificates:
    """Gets certificates, one at a time, and few a minute: anybody can name addresses.

    Args:
        fetch: returns the file at an address.
        clock: seconds, of a clock that never goes back.
        now: seconds since 1970.
    """

    def __init__(
        self,
        fetch: Fetch = fetch_pem,
        clock: Callable[[], float] = time.monotonic,
        now: Clock = time.time,
    ):
        self._fetch = fetch
        self._clock = clock
        self._now = now
        self._proved: dict[str, Certificate] = {}
        self._unproved: OrderedDict[str, tuple[float, Certificate]] = OrderedDict()
        self._failed: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = asyncio.Lock()
        self._minute = float("-inf")
        self._fetched = 0

    async def get(self, url: str) -> Certificate:
        """Return the certificate at an address, which is one of SNS itself.

        Raises:
            Refusal: 503 when there is no certificate to be had.
        """
        known = self._known(url)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(FETCH_SECONDS), self._lock:
                known = self._known(url)  # somebody else has fetched it meanwhile
                if known is None:
                    self._count()
                    known = await self._fetched_from(url)
                    self._unproved[url] = (self._clock(), known)
                    if len(self._unproved) > _UNPROVED:
                        self._unproved.popitem(last=False)
        except TimeoutError:  # others before this one took so long
            raise Refusal(503, "the certificate of SNS did not come in time") from None
        return known

    def keep(self, url: str, certificate: Certificate) -> None:
        """Keep a certificate that has verified a message, for as long as it is valid.

        There are few: SNS has signed with each of them.
        """
        self._proved[url] = certificate
        self._unproved.pop(url, None)

    async def _fetched_from(self, url: str) -> Certificate:
        try:
            return load_certificate(await self._fetch(url))
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as exc:
            why = f"the certificate of SNS cannot be fetched ({type(exc).__name__})"
            self._failed[url] = (self._clock(), why)
            if len(self._failed) > _FAILED:
                self._failed.popitem(last=False)
            raise Refusal(503, why) from None

    def _known(self, url: str) -> Certificate | None:
        """Return the certificate that is known already; raises what its fetch did, a minute ago."""
        proved = self._proved.get(url)
        if proved is not None:
            if self._now() <= proved.not_valid_after_utc.timestamp():
                return proved
            del self._proved[url]
        at, certificate = self._unproved.get(url, (0.0, None))
        if certificate is not None and self._clock() - at <= _UNPROVED_SECONDS:
            return certificate
        at, why = self._failed.get(url, (0.0, ""))
        if why and self._clock() - at < _FAILED_SECONDS:
            raise Refusal(503, why)
        return None

    def _count(self) -> None:
        if self._clock() - self._minute >= 60:
            self._minute, self._fetched = self._clock(), 0
        self._fetched += 1
        if self._fetched > _A_MINUTE:
            raise Refusal(503, "too many certificates of SNS were asked for")
