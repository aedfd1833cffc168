"""Loads what a user names in the configuration as ``module:attr``."""

from __future__ import annotations

import importlib
import traceback
from typing import Any

from pepi_stream.errors import ConfigError, message_of
from pepi_stream.printable import printable


def load_attr(name: str, setting: str) -> Any:
    """Return the attribute that ``module:attr`` names.

    Args:
        name: ``package.module:attr``.
        setting: the setting that names it, for the message.

    Raises:
        ConfigError: the module cannot be imported, or has no such attribute.
    """
    module_name, _, attr = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:
        raise ConfigError(
            f"{setting}: cannot import {module_name!r} ({_shown(exc)}); "
            "is its package installed, or its folder on PYTHONPATH?"
        ) from exc
    try:
        return getattr(module, attr)
    except AttributeError:
        raise ConfigError(f"{setting}: module {module_name!r} has no {attr!r}") from None


def make(cls: Any, name: str, setting: str) -> Any:
    """Return an instance of a class that :func:`load_attr` found, made without arguments.

    Args:
        cls: the class.
        name: as of :func:`load_attr`.
        setting: as of :func:`load_attr`.

    Raises:
        ConfigError: it raises.
    """
    try:
        return cls()
    except Exception as exc:
        raise ConfigError(
            f"{setting}: {name} could not be made ({_shown(exc)}); it is called "
            "without arguments, once, when the worker starts"
        ) from exc


def _shown(exc: Exception) -> str:
    """Name an exception and the line that raised it, which says what its text may not."""
    if isinstance(exc, SyntaxError):
        place = f"{exc.filename}:{exc.lineno}"
    else:
        *_, (frame, number) = traceback.walk_tb(exc.__traceback__)
        place = f"{frame.f_code.co_filename}:{number}"
    return printable(f"{message_of(exc)}, raised at {place}")
