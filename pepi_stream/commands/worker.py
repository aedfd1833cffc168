"""``worker``: drain the queue. Faust's own command, with our banner, log level and words."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import signal
import socket
from typing import Any

import click
from faust.cli import params
from faust.cli.base import LOGLEVELS, cli, compat_option, now_builtin_worker_options, option
from faust.cli.worker import worker as FaustCommand

from pepi_stream.errors import ConfigError
from pepi_stream.printable import printable
from pepi_stream.runtime.logs import guard_log, trace
from pepi_stream.runtime.streams import complain, flush_streams
from pepi_stream.settings import Settings
from pepi_stream.settings.urls import redact_url

_LEVEL = "INFO"
_OURS = ("--web-port", "--loglevel")
_HIDDEN = frozenset({"web_transport", "web_host", "blocking_timeout", "console_port"})


class _Port(params.TCPPort):
    """A TCP port; an empty one, which ``--web-port $PORT`` leaves, is named as what it is."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            missing = click.ClickException(
                "--web-port has no number. In `--web-port $PORT`, PORT is not set: set it "
                "(PORT=6066), or leave the option out"
            )
            missing.exit_code = ConfigError.exit_code
            raise missing
        return super().convert(value, param, ctx)


def _not_ours(options: Any) -> list[Any]:
    return [found for found in options if not set(_OURS) & set(found.args)]


class worker(FaustCommand):
    """Drain the queue into MySQL until a signal ends it, and serve the page.

    SIGINT, SIGTERM, SIGHUP and SIGQUIT let it settle what it holds first; SIGUSR1 writes what it is
    doing on standard error.
    """

    options = [  # noqa: RUF012  # as Faust has it
        *_not_ours(FaustCommand.worker_options),
        option(
            *("--web-port", "-p"),
            default=None,
            is_flag=False,
            flag_value="",
            type=_Port(),
            help="Port of the page. [default: web.port]",
        ),
        *_not_ours(now_builtin_worker_options),
        compat_option(
            *("--loglevel", "-l"),
            state_key="loglevel",
            default=_LEVEL,
            type=params.CaseInsensitiveChoice(LOGLEVELS),
            help="What is logged: this and what is graver.",
        ),
    ]

    def __init__(self, ctx: click.Context, *args: Any, **kwargs: Any) -> None:
        super().__init__(ctx, *args, **kwargs)
        if self._loglevel is None:  # Faust forgets a WARN before the command's name: its default
            said = ctx.find_root().get_parameter_source("loglevel")
            self._loglevel = "WARN" if said is click.core.ParameterSource.COMMANDLINE else _LEVEL

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run until a signal; end with the status that tells why."""
        guard_log()
        for early in (signal.SIGUSR1, signal.SIGUSR2):  # they would end a worker that just starts
            signal.signal(early, signal.SIG_IGN)
        try:
            super().__call__(*args, **kwargs)
        except Exception as exc:
            complain(f"worker: a bug in pepi_stream or an extension\n{trace(exc)}")
            flush_streams()
            raise SystemExit(1) from None

    def on_worker_created(self, worker: Any) -> None:
        """Print the banner, where it can be printed."""
        if not self.quiet:
            with contextlib.suppress(OSError):
                print(self.banner(worker), flush=True)
            flush_streams()

    def banner(self, worker: Any) -> str:
        """Say what this worker is, what it connects, and where its page is; no secrets."""
        app: Any = self.app
        settings: Settings = app.settings
        page = f"http://{app.conf.web_bind}:{app.conf.web_port}/live/"
        redis = redact_url(settings.redis.url.get_secret_value())
        lines = {
            "queue": f"{settings.source.queue} in {redis}",
            "database": redact_url(settings.database.url.get_secret_value()),
            "page": page if app.conf.web_enabled else "none (--without-web)",
            "log": f"{worker.logfile or 'standard output'}, {str(worker.loglevel).lower()}",
            "process": f"{os.getpid()} on {socket.gethostname()}",
        }
        width = max(map(len, lines))
        return "\n".join(
            [
                f"pepi_stream {importlib.metadata.version('pepi-stream')}",
                *(printable(f"  {name:{width}}  {value}") for name, value in lines.items()),
            ]
        )


for _param in cli.commands["worker"].params:
    _param.hidden = _param.name in _HIDDEN  # type: ignore[attr-defined]  # they are options
