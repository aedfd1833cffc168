"""The list of all settings as an operator is shown it: name, value, origin, no password."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from pepi_stream.settings.models import SettingPath, Settings, origin_of
from pepi_stream.settings.sink import ColumnSetting
from pepi_stream.settings.urls import redact_url


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """List every setting as (dotted name, value, origin), passwords hidden.

    The origin is "default", the path in PEPI_CONFIG, or a variable's name.
    """
    return [
        (".".join(map(str, path)), _show(path, value), origin_of(settings._origins, path))
        for path, value in _leaves(settings, ())
    ]


def _leaves(value: object, path: SettingPath) -> Iterator[tuple[SettingPath, object]]:
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def _show(path: SettingPath, value: object) -> str:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        if path[-1] == "url":
            return redact_url(secret)
        return "***" if secret else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | dict):
        return json.dumps(value, default=_show_column)
    return str(value)


def _show_column(column: ColumnSetting) -> object:
    plain = column.model_dump(exclude_none=True)
    return column.name if plain == {"name": column.name, "value": column.name} else plain
