"""What our commands have in common: settings, output, and errors as one line and an exit code."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from typing import Any, ClassVar, NoReturn

import click
from faust.cli import AppCommand

from pepi_stream.errors import PepiError, message_of
from pepi_stream.printable import printable
from pepi_stream.runtime.logs import guard_log, guard_loop, trace
from pepi_stream.runtime.streams import complain, flush_streams
from pepi_stream.settings import Settings

_UNWRITABLE = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})


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
        guard_log()
        name = type(self).__name__
        unwritable: OSError | None = None
        try:
            code = asyncio.run(self._run(*self.args, *args, **self.kwargs, **kwargs))
        except PepiError as exc:
            lines = map(printable, str(exc).splitlines())
            complain(f"{name}: " + "\n".join(lines))
            code = exc.exit_code
        except click.ClickException as exc:
            complain(f"{name}: {printable(exc.format_message())}")
            code = exc.exit_code
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
        except BrokenPipeError:  # whoever read this has gone, as `head` does
            # What is still to be flushed goes nowhere: the interpreter would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 128 + signal.SIGPIPE
        except Exception as exc:
            code = 1
            if isinstance(exc, OSError) and exc.errno in _UNWRITABLE:
                unwritable = exc
            else:
                complain(f"{name}: a bug in pepi_stream or an extension\n{trace(exc)}")
        unwritable = flush_streams() or unwritable
        if unwritable is not None:
            complain(f"{name}: standard output cannot be written ({message_of(unwritable)})")
            code = code or 1
        raise SystemExit(code or 0)

    async def _run(self, *args: Any, **kwargs: Any) -> Any:
        guard_loop(asyncio.get_running_loop())
        return await self.run(*args, **kwargs)
