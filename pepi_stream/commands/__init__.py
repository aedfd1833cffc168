"""Commands of ``faust -A pepi_stream``: each registers itself when its module is imported."""

from __future__ import annotations

import importlib

import click

from pepi_stream.errors import PepiError
from pepi_stream.settings import load_settings
from pepi_stream.topology import PepiApp, build_app

_COMMANDS = ("check", "migrate", "peek", "simulate")


def load_app() -> PepiApp:
    """Build the configured app for the ``faust`` command, and register our commands.

    Raises:
        click.ClickException: the settings are wrong; ``faust`` prints it as one message
            and exits with the error's code.
    """
    for name in _COMMANDS:
        importlib.import_module(f"{__name__}.{name}")
    try:
        return build_app(load_settings())
    except PepiError as exc:
        wrong = click.ClickException(str(exc))
        wrong.exit_code = exc.exit_code
        raise wrong from exc
