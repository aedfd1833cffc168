"""Columns of the event table: name, SQL type, and how to get the values from a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.extension import load_attr
from pepi_stream.settings import ColumnSetting

#: Takes a batch, returns one value an event (str, int, float, bool, bytes, datetime or None).
Values = Callable[[Batch], Column]


class ColumnSpec(NamedTuple):
    """One column.

    Attributes:
        name: the SQL column.
        sql_type: its type in CREATE TABLE.
        values: how to get the values; None for a column that MySQL fills by itself.
        epoch_ms: the values are ms since 1970 and become DATETIME(3).
    """

    name: str
    sql_type: str
    values: Values | None
    epoch_ms: bool = False


def _own(name: str) -> Values:
    def values(batch: Batch) -> Column:
        return batch.column(name)

    return values


def _received_at(batch: Batch) -> Column:
    return Constant(batch.claim.received_at, len(batch))


_TYPES: Final = {
    "id": "VARCHAR(255) NULL",
    "event_name": "VARCHAR(64) NOT NULL",
    "recipient": "VARCHAR(320) NULL",
    "recipient_domain": "VARCHAR(255) NULL",
    "mailbox_provider": "VARCHAR(64) NULL",
    "campaign": "VARCHAR(255) NULL",
    "ip": "VARCHAR(45) NULL",
    "user_agent": "TEXT NULL",
    "client": "VARCHAR(64) NULL",
    "os": "VARCHAR(64) NULL",
    "device": "VARCHAR(64) NULL",
    "url": "TEXT NULL",
    "bounce_class": "VARCHAR(32) NULL",
    "reason": "TEXT NULL",
    "is_machine": "TINYINT(1) NULL",
    "machine_reason": "VARCHAR(32) NULL",
    "country": "VARCHAR(2) NULL",
    "asn": "INT UNSIGNED NULL",
    "esp": "VARCHAR(32) NULL",
    "event_uid": "VARCHAR(255) NULL",
}

#: Built-in columns by name.
COLUMNS: Final[dict[str, ColumnSpec]] = {
    "seq": ColumnSpec("seq", "BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", None),
    "occurred_at": ColumnSpec(
        "occurred_at", "DATETIME(3) NOT NULL", _own("occurred_at"), epoch_ms=True
    ),
    "received_at": ColumnSpec("received_at", "DATETIME(3) NOT NULL", _received_at, epoch_ms=True),
    **{name: ColumnSpec(name, sql_type, _own(name)) for name, sql_type in _TYPES.items()},
}


# By id: a user's callable need not be hashable.
_OWN: Final = {id(spec.values): name for name, spec in COLUMNS.items()}


def is_built_in(spec: ColumnSpec) -> bool:
    """Tell whether a column's values are ours: asked again, they are the same."""
    return id(spec.values) in _OWN


def built_in_name(spec: ColumnSpec) -> str:
    """Return the name of the built-in column whose values a column takes; '' for a user's code."""
    return _OWN.get(id(spec.values), "")


def load_columns(settings: Sequence[ColumnSetting]) -> list[ColumnSpec]:
    """Return the configured columns, in order.

    A column's ``value`` is a built-in column's name, or ``module:attr``: a function of a
    batch, or a :class:`ColumnSpec`.

    Raises:
        ConfigError: a column is not known, or has no SQL type.
    """
    return [_load(setting) for setting in settings]


def _load(setting: ColumnSetting) -> ColumnSpec:
    value = setting.value or setting.name
    where = f"sink.columns: {setting.name}"
    if ":" not in value:
        spec = COLUMNS.get(value)
        if spec is None:
            known = ", ".join(sorted(COLUMNS))
            raise ConfigError(f"{where}: no column {value!r}; known: {known}, or module:attr")
    else:
        found = load_attr(value, where)
        if isinstance(found, ColumnSpec):
            spec = found
        elif callable(found):
            spec = ColumnSpec(setting.name, setting.type or "", found)
        else:
            raise ConfigError(f"{where}: {value} is neither a ColumnSpec nor a function")
    spec = spec._replace(name=setting.name, sql_type=setting.type or spec.sql_type)
    if not spec.sql_type:
        raise ConfigError(f"{where}: give its SQL type: {{name, value, type}}")
    return spec
