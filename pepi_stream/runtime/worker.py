"""The worker's process: where it logs, which signals it obeys, and the status that it ends with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from typing import Any

import faust

from pepi_stream.errors import ConfigError
from pepi_stream.runtime.logs import guard_loop, set_up_log
from pepi_stream.runtime.stacks import stacks
from pepi_stream.runtime.streams import complain, flush_streams
from pepi_stream.settings import Settings
from pepi_stream.web import require_closed

logger = logging.getLogger(__name__)

_CANCEL_SECONDS = 1.0  # as long as mode gives them
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STDERR = 2


class PepiWorker(faust.Worker):
    """A worker whose exit status tells why it ended.

    SIGINT, SIGTERM, SIGHUP (unless it was started with that ignored, as by nohup) and SIGQUIT let
    it end when what it holds is settled. SIGUSR1 writes the stacks of threads and tasks on standard
    error. SIGUSR2, for which mode would open a debugger and wait, the command `worker` ignores from
    its start on.
    """

    mundane_level = "debug"  # that it starts and stops

    def execute_from_commandline(self) -> Any:
        """Run until stopped; raise SystemExit with the app's exit code."""
        app: Any = self.app
        _require_web(app.conf, app.settings)
        guard_loop(self.loop)
        signal.signal(signal.SIGUSR1, self._write_stacks)
        code: Any = 1
        try:
            super().execute_from_commandline()
        except SystemExit as exc:
            code = getattr(app, "exit_code", 0) or exc.code
        flush_streams()
        raise SystemExit(code)

    def _setup_logging(self) -> None:
        path = self.logfile if isinstance(self.logfile, str) else None
        self.spinner = None
        set_up_log(logging.getLevelName(str(self.loglevel or "INFO").upper()), path)

    def _install_signal_handlers_unix(self) -> None:
        for signum in _ENDING:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self.loop.add_signal_handler(signum, self._end, signum)

    def _end(self, signum: signal.Signals) -> None:
        self._flag_as_shutdown_by_signal()
        self._schedule_shutdown(signum)

    async def _stop_on_signal(self, signum: signal.Signals) -> None:
        logger.info("%s: stopping", signum.name)
        await self.stop()
        if self._starting_fut is not None:
            self._starting_fut.cancel()

    def _write_stacks(self, *_: object) -> None:
        # Here, not in the loop: it may be the loop that does not go on.
        with contextlib.suppress(OSError):
            os.write(_STDERR, stacks(self.loop).encode())

    async def _sentinel_task(self) -> None:
        """Await what was cancelled, before the loop is closed. mode always sleeps a second here."""
        cancelled = asyncio.all_tasks() - {asyncio.current_task()}
        if cancelled:
            await asyncio.wait(cancelled, timeout=_CANCEL_SECONDS)
        await asyncio.sleep(0)  # transports that were closed tell their protocols in the next turn


def _require_web(conf: Any, settings: Settings) -> None:
    """End with one line when the web server cannot listen, or would show the page to anybody."""
    if conf.web_enabled:
        try:
            require_closed(conf.web_bind, settings.web)
        except ConfigError as exc:
            complain(f"Error: {exc}")
            raise SystemExit(exc.exit_code) from None
        try:
            socket.create_server((conf.web_bind, conf.web_port)).close()
        except OSError as exc:
            complain(
                f"Error: the web server cannot listen on {conf.web_bind}:{conf.web_port} "
                f"({os.strerror(exc.errno or 0)}); set PORT or PEPI_WEB__BIND, "
                "or run with --without-web"
            )
            raise SystemExit(ConfigError.exit_code) from None
