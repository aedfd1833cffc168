"""The headers that every answer has, and answers that only say what is wrong."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

NO_STORE: Final = "no-store"

_ALWAYS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # aiohttp's own names its version and Python's.
    "Server": "pepi_stream",
}


def add_headers(headers: CIMultiDict[str]) -> None:
    """Add what every answer has; an answer that says nothing of caching is not to be stored."""
    headers.update(_ALWAYS)
    headers.setdefault(hdrs.CACHE_CONTROL, NO_STORE)


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers to an answer that is about to be sent (an `on_response_prepare` signal)."""
    add_headers(response.headers)


def wants_html(request: web.BaseRequest) -> bool:
    """Tell whether a person with a browser asks."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


def json_answer(data: object, status: int = 200) -> web.Response:
    """Return data as JSON."""
    return web.Response(
        body=msgspec.json.encode(data),
        status=status,
        content_type="application/json",
        charset="utf-8",
    )


def refusal(
    request: web.BaseRequest, status: int, why: str, headers: dict[str, str] | None = None
) -> web.Response:
    """Return an answer that says what is wrong: a line for people, JSON for programs."""
    if wants_html(request):
        response = web.Response(text=f"{status}: {why}\n", status=status)
    else:
        response = json_answer({"error": why}, status)
    response.headers.update(headers or {})
    return response
