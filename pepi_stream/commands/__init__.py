"""Commands of ``faust -A pepi_stream`` and of ``pepi``.

Each registers itself with Faust's command line when its module is imported.
"""

from __future__ import annotations

import importlib

import click
from faust.cli.base import cli

from pepi_stream.errors import PepiError
from pepi_stream.runtime.logs import guard_log
from pepi_stream.runtime.streams import open_streams
from pepi_stream.settings import load_settings
from pepi_stream.topology import PepiApp, build_app

#: Our commands, as they are listed.
COMMANDS = ("worker", "migrate", "check", "peek", "claims", "simulate")

# Options of Faust that no command of ours heeds, or that are the worker's own.
_OF_OTHERS = frozenset(
    {"blocking_timeout", "console_port", "datadir", "json", "logfile", "loglevel", "loop"}
)


def load_app() -> PepiApp:
    """Build the configured app for the ``faust`` command, and register our commands.

    Raises:
        click.ClickException: the settings are wrong; ``faust`` prints it as one message
            and exits with the error's code.
    """
    open_streams()
    guard_log()
    register()
    try:
        return build_app(load_settings())
    except PepiError as exc:
        wrong = click.ClickException(str(exc))
        wrong.exit_code = exc.exit_code
        raise wrong from exc


def register() -> None:
    """Add our commands to Faust's, whose own are no longer listed: they are about Kafka."""
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}")
    for name, command in cli.commands.items():
        command.hidden = name not in COMMANDS
    for param in cli.params:
        if param.name in _OF_OTHERS:
            param.hidden = True  # type: ignore[attr-defined]  # they are options
    cli.help = "E-mail events from a Redis list to MySQL, each counted once."
    cli.list_commands = lambda ctx: [*COMMANDS, *sorted(cli.commands.keys() - {*COMMANDS})]  # type: ignore[method-assign]
