"""The paths of docs/live.md, and nothing but them, on an aiohttp application."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web

from pepi_stream.ingest import Receiver
from pepi_stream.settings import WebSettings
from pepi_stream.web.auth import Failures, Token
from pepi_stream.web.events import Events
from pepi_stream.web.files import PAGE, STYLE_OF_LOGIN, Files
from pepi_stream.web.guard import HEALTHZ, INGEST, LOGIN, LOGOUT, READYZ, Guard, Handler
from pepi_stream.web.headers import json_answer, on_prepare, refusal
from pepi_stream.web.hub import Hub
from pepi_stream.web.login import Login
from pepi_stream.web.masking import Masker, mask_text
from pepi_stream.web.protocol import LiveState
from pepi_stream.web.proxies import Proxies
from pepi_stream.web.server import giving_way

_READY_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 10.0


class Pages:
    """Answers what is asked for on each path.

    Args:
        live: the state that is shown.
        hub: makes snapshots of it.
        masker: masks what leaves.
        details: whether /readyz, which needs no token, may name servers and say their words.
    """

    def __init__(self, live: LiveState, hub: Hub, masker: Masker, *, details: bool) -> None:
        self._details = details
        self._live = live
        self._hub = hub
        self._masker = masker
        self._asked: asyncio.Task[list[str]] | None = None

    async def snapshot(self, request: web.Request) -> web.Response:
        """Return all there is to show."""
        await self._live.look()
        return web.Response(
            body=self._hub.snapshot(), content_type="application/json", charset="utf-8"
        )

    async def dead_letter(self, request: web.Request) -> web.Response:
        """Return one dead letter."""
        seq = request.match_info["seq"]
        if not re.fullmatch(r"[0-9]{1,19}", seq, re.ASCII) or int(seq) >= 2**63:
            return json_answer({"error": "a dead letter's seq is a number"}, 400)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                letter = await self._live.dead_letter(int(seq))
        except TimeoutError:
            why = f"MySQL has not answered within {_LOOK_SECONDS:g} s"
            return json_answer({"error": why}, 503)
        if letter is None:
            return json_answer({"error": f"there is no dead letter {int(seq)}"}, 404)
        return json_answer(self._masker.mask_dead_letter(letter))

    async def healthz(self, request: web.Request) -> web.Response:
        """Answer while the process is up."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """Say whether this worker can work, and if not, why."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._reasons())
        # Anybody may ask, and a server may take its time: then the next connection matters more.
        with giving_way(request):
            reasons = await asyncio.shield(self._asked)  # which others wait for, too
        if not reasons:
            return web.Response(text="ready\n")
        if not self._details:
            reasons = [why.partition(": ")[0] for why in reasons]
        return web.Response(text=mask_text("".join(f"{why}\n" for why in reasons)), status=503)

    def close(self) -> None:
        """Ask no server any more."""
        if self._asked is not None:
            self._asked.cancel()

    async def _reasons(self) -> list[str]:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                return await self._live.ready()
        except TimeoutError:
            return [f"no server has answered within {_READY_SECONDS:g} s"]


def add_pages(
    application: web.Application,
    settings: WebSettings,
    live: LiveState,
    *,
    bind: Callable[[], str],
    files: Files | None = None,
    receiver: Receiver | None = None,
) -> Hub:
    """Add the pages to an application that has not started, and close it to everything else.

    Args:
        application: the server's.
        settings: the section [web].
        live: the state that is shown.
        bind: returns the address that the server listens on.
        files: those of the page; the package's own when left out.
        receiver: takes webhooks in; None takes in none.
    """
    masker = Masker(show=settings.show_recipients)
    hub = Hub(live, masker, limit=settings.clients)
    secret = settings.token.get_secret_value()
    files = files or Files(log_out=bool(secret))
    token = Token(secret) if secret else None
    failures = Failures()
    client_of = Proxies(settings.trusted_proxies).client_of
    guard = Guard(settings, token, failures, client_of, bind)
    login = Login(token, failures, client_of)
    pages = Pages(live, hub, masker, details=token is None and not settings.public)

    async def page(request: web.Request) -> web.Response:
        return files.answer(PAGE, request)

    async def style_of_login(request: web.Request) -> web.Response:
        return files.answer(STYLE_OF_LOGIN, request)

    async def static(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == PAGE:  # it has one address
            raise web.HTTPNotFound
        return files.answer(name, request)

    async def to_page(request: web.Request) -> web.Response:
        return web.Response(status=303, headers={hdrs.LOCATION: "/live/"})

    def add(path: str, handler: Handler, *, needs_token: bool = True, method: str = "GET") -> None:
        resource = application.router.add_resource(path)
        for name in (method, "HEAD") if method == "GET" else (method,):
            guard.admit(resource.add_route(name, handler), needs_token=needs_token)

    add("/", to_page)
    add("/live", to_page)
    add("/live/", page)
    add("/live/snapshot", pages.snapshot)
    add("/live/events", Events(hub).__call__)
    add("/live/dead/{seq}", pages.dead_letter)
    add(LOGIN, login.form, needs_token=False)
    add(LOGIN, login.log_in, needs_token=False, method="POST")
    add(LOGOUT, login.ask_to_log_out, needs_token=False)
    add(LOGOUT, login.log_out, needs_token=False, method="POST")
    add(f"/live/static/{STYLE_OF_LOGIN}", style_of_login, needs_token=False)
    add("/live/static/{name:.+}", static)
    add(HEALTHZ, pages.healthz, needs_token=False)
    add(READYZ, pages.readyz, needs_token=False)

    async def close(_: web.Application) -> None:
        pages.close()
        await hub.close()

    if receiver is not None:
        add(INGEST + "{format}", _ingest(receiver), needs_token=False, method="POST")
        guard.admit_ingest()
        application.on_startup.append(receiver.announce)
        application.on_shutdown.append(receiver.close)
    application.middlewares.append(guard)
    application.on_response_prepare.append(on_prepare)
    application.on_shutdown.append(close)
    return hub


def _ingest(receiver: Receiver) -> Handler:
    async def ingest(request: web.Request) -> web.StreamResponse:
        answer = await receiver.receive(request.match_info["format"], request)
        if answer.status == 200:
            return web.Response(text="ok\n")
        return refusal(request, answer.status, answer.words, answer.headers)

    return ingest
