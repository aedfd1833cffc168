"""The settings of the section ``sink``: the tables, and how they are written."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pepi_stream.settings.fields import Float, Int, Reference, Section, SqlName, distinct, matching


def _dedupe(value: object) -> object:
    """Take a name for a list of one, and `off` for none."""
    names = [value] if isinstance(value, str) else value
    return () if names == ["off"] else names


class ColumnSetting(Section):
    """One column of the event table; a plain string in the settings stands for one of these."""

    name: SqlName
    """The SQL column."""
    value: Reference
    """What goes in: a built-in column or module:attr. The built-in `name` when left out."""
    type: Annotated[str, Field(min_length=1, max_length=200)] | None
    """SQL type for the DDL; None for the built-in's own."""

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, entry: object) -> object:
        if isinstance(entry, str):
            # "module:attr" makes a column named attr.
            entry = {"name": entry.rpartition(":")[2], "value": entry}
        if isinstance(entry, dict):
            defaults = {"value": entry["name"]} if "name" in entry else {}
            entry = {"type": None} | defaults | entry
        return entry


class SinkSettings(Section):
    """How events are written to MySQL."""

    prefix: Annotated[
        str,
        matching(
            r"[A-Za-z_][A-Za-z0-9_]{0,15}",
            "1 to 16 letters, digits and _, and not begin with a digit",
        ),
    ]
    """Begins the names of our tables."""
    table: SqlName
    """The table of the event rows."""
    columns: tuple[ColumnSetting, ...]
    """The table's columns, in order."""
    max_rows: Annotated[Int, Field(ge=1, le=1_000_000)]
    """Rows that start a flush."""
    max_bytes: Annotated[Int, Field(ge=1024, le=2**30)]
    """Bytes of one statement, at most, and of waiting rows that start a flush; up to 1 GiB, the
    largest max_allowed_packet."""
    max_age_seconds: Annotated[Float, Field(ge=0, le=60)]
    """Seconds the oldest claim waits before a flush; 0 flushes at once."""
    connections: Annotated[Int, Field(ge=1, le=64)]
    """Connections that write at the same time."""
    bulk: bool
    """Whether rows go as parameters of a prepared statement where the server is MariaDB."""
    dedupe: Annotated[
        tuple[SqlName, ...], BeforeValidator(_dedupe), Field(max_length=8), AfterValidator(distinct)
    ]
    """Event fields that make an event the repeat of another, which then takes no effect; the first
    one is what identifies it. Empty for `off`."""
    dedupe_hours: Annotated[Int, Field(ge=1, le=24 * 365)]
    """Hours for which an event is remembered."""
    retry_max_seconds: Annotated[Float, Field(ge=0.05, le=3600)]
    """Seconds between two tries, at most."""
    ledger_retention_days: Annotated[Int, Field(ge=1, le=3650)]
    """Days a claim id is remembered; a day is 24 of the longest leases."""

    @field_validator("table", mode="before")
    @classmethod
    def _default_table(cls, table: object, info: ValidationInfo) -> object:
        return f"{info.data.get('prefix', '')}event" if table == "" else table

    @field_validator("table")
    @classmethod
    def _check_table(cls, table: str, info: ValidationInfo) -> str:
        prefix = info.data.get("prefix", "")
        ours = rf"{re.escape(prefix)}(claim|dead_letter|seen|window_\w*)"
        if re.fullmatch(ours, table, re.IGNORECASE):
            raise ValueError(
                f"should not be {prefix}claim, {prefix}dead_letter, {prefix}seen or "
                f"{prefix}window_*"
            )
        return table

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: tuple[ColumnSetting, ...]) -> tuple[ColumnSetting, ...]:
        # Not a min_length: pydantic would count the entries that survived, and complain twice.
        if not columns:
            raise ValueError("should have at least 1 column")
        distinct(tuple(column.name for column in columns))
        return columns
