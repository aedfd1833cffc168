"""The worker's web pages: the live page and its data, the probes (docs/live.md), and webhooks."""

from __future__ import annotations

from typing import Any

from pepi_stream.ingest import build_receiver
from pepi_stream.settings import Settings
from pepi_stream.web.auth import require_closed
from pepi_stream.web.pages import add_pages
from pepi_stream.web.protocol import LiveState
from pepi_stream.web.server import Runner

__all__ = ["LiveState", "register_pages", "require_closed"]


def register_pages(app: Any, settings: Settings, live: LiveState) -> None:
    """Let the Faust app's web server answer with our pages, and with nothing else.

    Args:
        app: the app; its server has not started.
        settings: all of them.
        live: the state that is shown.

    Raises:
        ConfigError: webhooks cannot be taken in as the section [ingest] says.
    """
    # The command line (--web-bind) may change the address after this.
    add_pages(
        app.web.web_app,
        settings.web,
        live,
        bind=lambda: str(app.conf.web_bind),
        receiver=build_receiver(settings),
    )
    app.web._runner = Runner(app.web.web_app, settings.web.clients)
