"""The form that takes the token and sets the cookie. It works without JavaScript."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from pepi_stream.web.auth import COOKIE, COOKIE_SECONDS, Failures, Token
from pepi_stream.web.proxies import ClientOf
from pepi_stream.web.server import giving_way

_BODY_BYTES: Final = 4096
_BODY_SECONDS: Final = 10.0

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}pepi_stream: {what}</title>
<link rel="stylesheet" href="/live/static/login.css">
</head>
<body>
<main>
<h1>pepi_stream</h1>
{form}
</main>
</body>
</html>
"""
_LOG_IN: Final = """\
<form method="post" action="/live/login">
{problem}<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
 spellcheck="false" autocapitalize="none" aria-describedby="hint"{invalid}>
<p id="hint">The value of <code>PEPI_WEB__TOKEN</code> of the workers.</p>
<button type="submit">Log in</button>
</form>"""
_LOG_OUT: Final = """\
<form method="post" action="/live/logout">
{problem}<button type="submit">Log out</button>
</form>"""


class Login:
    """Takes the token, gives the cookie.

    Args:
        token: of the page; None when it has none.
        failures: wrong tokens so far.
        client_of: returns the address of who asks.
    """

    def __init__(self, token: Token | None, failures: Failures, client_of: ClientOf) -> None:
        self._token = token
        self._failures = failures
        self._client_of = client_of

    async def form(self, request: web.Request) -> web.Response:
        """Show the form; to somebody who may look already, the page."""
        cookies = request.headers.getall(hdrs.COOKIE, ())
        if self._token is None or self._token.is_among(cookies):
            return _see("/live/")
        return _page()

    async def log_in(self, request: web.Request) -> web.Response:
        """Compare the token; the right one sets the cookie and leads to the page."""
        if self._token is None:
            return _see("/live/")
        if _another_site_asks(request):
            return _page(403, "Another site's page sent this form.")
        try:
            with giving_way(request):
                given = await _token_of(request)
        except TimeoutError:
            return _page(408, "The form did not arrive in time.")
        if given is None:
            return _page(413, "That is too long for a token.")
        if not self._token.matches(given):
            seconds = self._failures.add(self._client_of(request))
            if not seconds:
                return _page(403, "That is not the token.")
            wrong = "That is not the token, and there were too many wrong ones"
            answer = _page(429, f"{wrong}. Try again in {seconds} seconds.")
            answer.headers[hdrs.RETRY_AFTER] = str(seconds)
            return answer
        answer = _see("/live/")
        answer.set_cookie(
            COOKIE,
            self._token.cookie(),
            max_age=COOKIE_SECONDS,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_came_by_https(request),
        )
        return answer

    async def ask_to_log_out(self, request: web.Request) -> web.Response:
        """Show a button: a GET, which any link or image makes, changes nothing."""
        return _page(form=_LOG_OUT)

    async def log_out(self, request: web.Request) -> web.Response:
        """Clear the cookie, unless another site's page asks for it."""
        if _another_site_asks(request):
            return _page(403, "Another site's page sent this form.", form=_LOG_OUT)
        answer = _see("/live/login")
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return answer


def _see(location: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: location})


def _page(status: int = 200, problem: str = "", form: str = _LOG_IN) -> web.Response:
    text = _PAGE.format(
        title=f"{problem} " if problem else "",
        what="log in" if form is _LOG_IN else "log out",
        form=form.format(
            problem=f'<p id="problem" role="alert">{problem}</p>\n' if problem else "",
            invalid=' aria-invalid="true"' if problem else "",
        ),
    )
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


async def _token_of(request: web.Request) -> str | None:
    """Return the token in a form; "" if there is none, None if the form is too large."""
    body = bytearray()
    async with asyncio.timeout(_BODY_SECONDS):
        async for part in request.content.iter_any():
            body += part
            if len(body) > _BODY_BYTES:
                return None
    # A browser sends white space that was copied along.
    return dict(parse_qsl(body.decode("latin-1"), encoding="utf-8")).get("token", "").strip()


def _another_site_asks(request: web.Request) -> bool:
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def _came_by_https(request: web.Request) -> bool:
    forwarded = request.headers.get(hdrs.X_FORWARDED_PROTO, "").partition(",")[0]
    return request.secure or forwarded.strip().lower() == "https"
