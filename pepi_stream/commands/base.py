"""What our commands have in common: settings, and errors as one line and an exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any, ClassVar, NoReturn

import click
from faust.cli import AppCommand

from pepi_stream.errors import PepiError
from pepi_stream.settings import Settings


class PepiCommand(AppCommand):
    """A command whose ``run`` may return an exit code and may raise PepiError."""

    abstract: ClassVar[bool] = True

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        settings: Settings = self.app.settings  # type: ignore[attr-defined]
        return settings

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command; a PepiError becomes one line on stderr and its exit code."""
        try:
            code = asyncio.run(self.run(*self.args, *args, **self.kwargs, **kwargs))
        except PepiError as exc:
            click.echo(f"{type(self).__name__}: {exc}", err=True)
            code = exc.exit_code
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
        except BrokenPipeError:  # whoever read this has gone, as `head` does
            # What is still to be flushed goes nowhere: the interpreter would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 128 + signal.SIGPIPE
        raise SystemExit(code or 0)
