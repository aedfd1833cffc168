"""SNS's certificates: fetched from SNS alone, kept for a day."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from cryptography.x509 import Certificate

from pepi_stream.ingest.scheme import Refusal
from pepi_stream.ingest.sns import load_certificate, require_certificate_url

Fetch = Callable[[str], Awaitable[bytes]]

FETCH_SECONDS: Final = 5.0
MAX_BYTES: Final = 64 * 1024
_KEPT: Final = 16
_KEPT_SECONDS: Final = 86_400.0
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
    """

    def __init__(self, fetch: Fetch = fetch_pem, clock: Callable[[], float] = time.monotonic):
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Certificate]] = OrderedDict()
        self._lock = asyncio.Lock()
        self._minute = float("-inf")
        self._fetched = 0

    async def get(self, url: str) -> Certificate:
        """Return the certificate at an address of SNS.

        Raises:
            Refusal: 401 when it is no address of SNS; 503 when there is no certificate to be had.
        """
        require_certificate_url(url)
        known = self._known(url)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(FETCH_SECONDS), self._lock:
                known = self._known(url)  # somebody else has fetched it meanwhile
                if known is None:
                    self._count()
                    known = load_certificate(await self._fetch(url))
                    self._kept[url] = (self._clock(), known)
                    if len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as exc:
            why = f"the certificate of SNS cannot be fetched ({type(exc).__name__})"
            raise Refusal(503, why) from None
        return known

    def _known(self, url: str) -> Certificate | None:
        at, certificate = self._kept.get(url, (0.0, None))
        if certificate is None or self._clock() - at > _KEPT_SECONDS:
            return None
        return certificate

    def _count(self) -> None:
        if self._clock() - self._minute >= 60:
            self._minute, self._fetched = self._clock(), 0
        self._fetched += 1
        if self._fetched > _A_MINUTE:
            raise Refusal(503, "too many certificates of SNS were asked for")
