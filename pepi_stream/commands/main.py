"""``pepi``: our commands and nothing else, as ``faust -A pepi_stream`` runs them."""

from __future__ import annotations

import importlib.metadata

import click
from faust.cli.base import State, cli

from pepi_stream.commands import COMMANDS, register
from pepi_stream.runtime.logs import guard_log
from pepi_stream.runtime.streams import open_streams


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)


@click.group(cls=_InOrder, help=cli.help)
@click.version_option(
    importlib.metadata.version("pepi-stream"),
    prog_name="pepi_stream",
    message="%(prog)s %(version)s",
)
@click.pass_context
def pepi(ctx: click.Context) -> None:
    """Tell Faust's commands which app they are for; it is built by the one that runs."""
    ctx.ensure_object(State).app = "pepi_stream"
    for name in ("app", "stdout", "stderr"):
        setattr(ctx, name, None)


def main() -> None:
    """Run the command line."""
    open_streams()
    guard_log()
    register()
    pepi.help = cli.help
    for name in COMMANDS:
        pepi.add_command(cli.commands[name])
    pepi(prog_name="pepi")
