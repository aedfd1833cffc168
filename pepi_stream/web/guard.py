"""What every request has to pass: method, Host, token. And what becomes of an error behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from pepi_stream.errors import PepiError
from pepi_stream.settings import WebSettings
from pepi_stream.web.auth import Failures, Token, names_this_machine
from pepi_stream.web.headers import refusal, wants_html
from pepi_stream.web.masking import mask_text
from pepi_stream.web.proxies import ClientOf
from pepi_stream.web.server import OTHER_CONNECTIONS, is_crowded

logger = logging.getLogger(__name__)

LOGIN: Final = "/live/login"
LOGOUT: Final = "/live/logout"
INGEST: Final = "/ingest/"
HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOG_SECONDS: Final = 60.0


class Guard:
    """Lets in who may, and answers the others.

    Args:
        settings: the section [web].
        token: of the page; None when it has none.
        failures: wrong tokens so far.
        client_of: returns the address of who asks.
        bind: returns the address that the server listens on.
    """

    def __init__(
        self,
        settings: WebSettings,
        token: Token | None,
        failures: Failures,
        client_of: ClientOf,
        bind: Callable[[], str],
    ) -> None:
        self._token = token
        self._failures = failures
        self._client_of = client_of
        self._bind = bind
        self._any_host = token is not None or settings.public
        self._ingests = False
        self._needs_token: dict[web.AbstractRoute, bool] = {}
        self._logged_at = float("-inf")
        self._crowded_at = float("-inf")

    def admit(self, route: web.AbstractRoute, *, needs_token: bool) -> None:
        """Let requests of this route in; of no other."""
        self._needs_token[route] = needs_token

    def admit_ingest(self) -> None:
        """Let webhooks in, under whatever name they were sent to: they prove who sends them."""
        self._ingests = True

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request: the middleware."""
        try:
            if is_crowded(request) and request.path not in (HEALTHZ, READYZ):
                return self._too_many(request)
            return self._turn_away(request) or await handler(request)
        except web.HTTPNotFound:
            return refusal(request, 404, "no such page")
        except web.RequestPayloadError:
            return refusal(request, 400, "the body is not as its headers say")
        except PepiError as exc:  # a server is away; the message has no secrets
            return refusal(request, 503, mask_text(str(exc)))
        except (ConnectionError, TimeoutError):
            return refusal(request, 503, "a server does not answer in time")
        except Exception:
            if time.monotonic() - self._logged_at >= _LOG_SECONDS:
                self._logged_at = time.monotonic()
                logger.exception("web: a bug; the like within a minute is not logged")
            return refusal(request, 500, "a bug; the worker's log says more")

    def _too_many(self, request: web.Request) -> web.Response:
        if time.monotonic() - self._crowded_at >= _LOG_SECONDS:
            self._crowded_at = time.monotonic()
            logger.warning(
                "web: all connections are busy (those of web.clients pages and %d more): until "
                "some end, only probes are answered (said once a minute at most)",
                OTHER_CONNECTIONS,
            )
        why = "all connections of this worker's web server are busy"
        answer = refusal(request, 503, why, {hdrs.RETRY_AFTER: "5"})
        answer.force_close()
        return answer

    # aiohttp looks for this mark of a middleware of the present kind.
    __middleware_version__ = 1

    def _turn_away(self, request: web.Request) -> web.Response | None:
        """Return why the request may not pass; None if it may."""
        ingest = request.path.startswith(INGEST)
        if ingest and not self._ingests:
            return refusal(request, 404, "no webhooks are taken in here (ingest.formats)")
        any_host = self._any_host or ingest
        host = request.headers.get(hdrs.HOST)
        if not any_host and host is not None and not names_this_machine(host, self._bind()):
            return refusal(
                request,
                403,
                "this worker answers only to localhost, because it has no token; to reach it by "
                "another name, also through a proxy, set PEPI_WEB__TOKEN",
            )
        allowed: tuple[str, ...] = ("GET", "HEAD")
        if ingest:
            allowed = ("POST",)
        elif request.path in (LOGIN, LOGOUT):
            allowed = ("GET", "HEAD", "POST")
        if request.method not in allowed:
            return refusal(
                request, 405, f"only {', '.join(allowed)}", {hdrs.ALLOW: ", ".join(allowed)}
            )
        route = request.match_info.route
        if self._token is not None and self._needs_token.get(route, True):
            refused = self._without_token(request, self._token)
            if refused is not None:
                return refused
        if route not in self._needs_token:
            return refusal(request, 404, "no such page")
        return None

    def _without_token(self, request: web.Request, token: Token) -> web.Response | None:
        if token.is_among(request.headers.getall(hdrs.COOKIE, ())):
            return None
        given = request.headers.get(hdrs.AUTHORIZATION)
        if given is not None:
            scheme, _, credentials = given.partition(" ")
            if scheme.lower() == "bearer" and token.matches(credentials.strip()):
                return None
            seconds = self._failures.add(self._client_of(request))
            if seconds:
                why = "too many wrong tokens; the right one is listened to at any time"
                return refusal(request, 429, why, {hdrs.RETRY_AFTER: str(seconds)})
        elif wants_html(request):
            return web.Response(status=303, headers={hdrs.LOCATION: LOGIN})
        return refusal(
            request,
            401,
            "a token is needed: Authorization: Bearer <token>, or the form at /live/login",
            {hdrs.WWW_AUTHENTICATE: 'Bearer realm="pepi_stream"'},
        )
