"""Fetching SNS's certificates: what is kept, how often it is asked, and what is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pepi_stream.ingest.certificates import MAX_BYTES, Certificates, fetch_pem
from pepi_stream.ingest.scheme import Refusal
from pepi_stream.ingest.sns import load_certificate
from tests.webhooks import CERTIFICATE_URL, Sns


async def test_one_fetch_for_many_who_wait_and_another_a_day_later() -> None:
    by, now, go = Sns(), [0.0], asyncio.Event()

    async def fetch(url: str) -> bytes:
        await go.wait()
        return await by.fetch(url)

    certificates = Certificates(fetch, clock=lambda: now[0])
    waiting = [asyncio.ensure_future(certificates.get(CERTIFICATE_URL)) for _ in range(20)]
    asyncio.get_running_loop().call_soon(go.set)  # after all of them have begun
    found = await asyncio.gather(*waiting)
    assert len(set(found)) == len(by.asked) == 1
    now[0] = 86_399
    await certificates.get(CERTIFICATE_URL)
    assert len(by.asked) == 1
    now[0] = 86_401
    await certificates.get(CERTIFICATE_URL)
    assert len(by.asked) == 2


async def test_few_a_minute_and_few_are_kept() -> None:
    by, now = Sns(), [0.0]
    certificates = Certificates(by.fetch, clock=lambda: now[0])
    urls = [CERTIFICATE_URL.replace("0123", f"{number}") for number in range(25)]
    for url in urls[:20]:
        await certificates.get(url)
    with pytest.raises(Refusal, match="too many") as refused:
        await certificates.get(urls[20])
    assert refused.value.status == 503
    await certificates.get(urls[19])  # is known
    now[0] = 60
    for url in urls[20:]:
        await certificates.get(url)
    assert by.asked == urls


@pytest.mark.parametrize(
    "error",
    [aiohttp.ClientConnectionError("secret"), TimeoutError(), OSError(), ValueError("404")],
)
async def test_a_failure_is_a_503_and_not_tried_again_for_a_minute(error: Exception) -> None:
    by, errors, now = Sns(), [error], [0.0]

    async def fetch(url: str) -> bytes:
        if errors:
            by.asked.append(url)
            raise errors.pop()
        return await by.fetch(url)

    certificates = Certificates(fetch, clock=lambda: now[0])
    for _ in range(30):
        with pytest.raises(Refusal, match="cannot be fetched") as refused:
            await certificates.get(CERTIFICATE_URL)
        assert refused.value.status == 503
        assert "secret" not in refused.value.why
    assert len(by.asked) == 1
    now[0] = 60
    await certificates.get(CERTIFICATE_URL)


async def test_failures_are_forgotten_when_there_are_many() -> None:
    now = [0.0]

    async def fetch(url: str) -> bytes:
        raise ValueError("404")

    certificates = Certificates(fetch, clock=lambda: now[0])
    for number in range(1000):
        now[0] = number * 10
        with pytest.raises(Refusal):
            await certificates.get(CERTIFICATE_URL.replace("0123", f"{number}"))
    assert len(certificates._failed) == 256


async def test_one_that_has_verified_a_message_is_kept_whatever_others_ask_for() -> None:
    by, now, wall = Sns(), [0.0], [time.time()]
    certificates = Certificates(by.fetch, clock=lambda: now[0], now=lambda: wall[0])
    kept = await certificates.get(CERTIFICATE_URL)
    certificates.keep(CERTIFICATE_URL, kept)
    for number in range(100):
        now[0] = number * 3600.0
        await certificates.get(CERTIFICATE_URL.replace("0123", f"{number}"))
    asked = len(by.asked)
    assert await certificates.get(CERTIFICATE_URL) is kept
    assert len(by.asked) == asked
    wall[0] += 2 * 86_400  # it has run out: there may be a new one
    assert await certificates.get(CERTIFICATE_URL) is not kept
    assert len(by.asked) == asked + 1


async def test_what_is_no_certificate_of_a_long_rsa_key() -> None:
    key = rsa.generate_private_key(65537, 1024)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, spki)
    for pem in (b"", b"<html>", public, Sns(key=key).pem, Sns().pem[:500]):
        with pytest.raises(ValueError, match=r"^not a certificate "):
            load_certificate(pem)


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Run a server; give the address of a file on it."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/x.pem"
    finally:
        await runner.cleanup()


async def test_fetching() -> None:
    asked = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        match request.query.get("what"):
            case "redirect":
                return web.Response(status=302, headers={"Location": "/other"})
            case "missing":
                return web.Response(status=404, body=b"x")
            case "large":
                return web.Response(body=b"x" * (MAX_BYTES + 1))
            case "never":
                await asyncio.Event().wait()
        return web.Response(body=b"x" * MAX_BYTES)

    async with serving(handle) as url:
        assert await fetch_pem(url) == b"x" * MAX_BYTES
        for what in ("redirect", "missing", "large"):
            with pytest.raises(ValueError, match=r"HTTP status|more than"):
                await fetch_pem(f"{url}?what={what}")
        with pytest.raises(TimeoutError):
            await fetch_pem(f"{url}?what=never", seconds=0.05)
    assert asked == ["/x.pem"] * 5
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch_pem(url)
