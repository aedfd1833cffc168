"""A real Chromium in front of a real worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pepi_stream.local.browser import find_browser
from pepi_stream.local.process import free_port
from tests.flow import Flow, MakeFlow, Worker

#: Opens the page of a worker; keyword arguments are those of a browser context.
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file's tests; while it runs, so does an event loop of Playwright's."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(find_browser()), args=sandbox)
        yield chromium
        chromium.close()


class Site:
    """A flow with one worker that serves its page.

    Attributes:
        flow: servers and settings.
        port: of the page; the same after a restart.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/live/"

    def start(self) -> Worker:
        """Start a worker; return once it claims."""
        worker = self.flow.worker("--web-port", str(self.port))
        worker.wait_claiming()
        return worker


@pytest.fixture
def make_site(tmp_path: Path, redis_url: str, database_url: str) -> Iterator[Callable[..., Site]]:
    """Make sites, whose workers are stopped after the test."""
    sites: list[Site] = []

    def make(**settings: str) -> Site:
        loaded = {"PEPI_SOURCE__FORMAT": "plain", "PEPI_SOURCE__RECOVER_SECONDS": "0.2"} | settings
        site = Site(Flow(redis_url, database_url, tmp_path, **loaded))
        site.flow.make_tables()
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.flow.stop()


class Watch:
    """What a page did besides showing something: every request, and every complaint."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open pages; each has a ``watch`` that must have nothing to complain about at the end."""
    pages: list[tuple[Page, Watch, bool]] = []

    def open_(url: str, *, quiet: bool = True, **context: Any) -> Page:
        page = browser.new_context(**context).new_page()
        watch = Watch(page)
        pages.append((page, watch, quiet))
        page.goto(url)
        return page

    yield open_
    try:
        for page, watch, quiet in pages:
            origin = "/".join(page.url.split("/", 3)[:3])
            assert [u for u in watch.requests if not u.startswith(origin + "/")] == []
            if quiet:
                assert watch.complaints == []
    finally:
        for page, _, _ in pages:
            page.context.close()


__all__ = ["MakeFlow", "OpenPage", "Site"]
