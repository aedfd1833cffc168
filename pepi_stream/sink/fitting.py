"""Says whether a column that is there can hold what is written to it. Pure.

The columns of our own tables are compared with their definition. Those of the event table may be
a user's own: there only what cannot hold what we write is wrong, and what can hold less of it than
ours is worth a warning. Types of the kinds that are named nowhere here are left to the server.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pepi_stream.columns import COLUMNS
from pepi_stream.sink.schema import TableColumn

_BITS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_NUMBERS: Final = frozenset({*_BITS, "decimal", "float", "double", "year", "bit"})
_TIMES: Final = frozenset({"date", "datetime", "timestamp", "time"})
_ENUMS: Final = frozenset({"enum", "set"})
_LONG_TEXTS: Final = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_TEXTS: Final = _LONG_TEXTS | {"char", "varchar"}
_BYTES: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_SHAPES: Final = frozenset({"json", "geometry", "point", "linestring", "polygon", "vector"})
_UNICODE: Final = frozenset({"utf8mb4", "utf16", "utf16le", "utf32", "gb18030"})
_ALIASES: Final = {
    "integer": "int",
    "serial": "bigint",
    "bool": "tinyint",
    "boolean": "tinyint",
    "numeric": "decimal",
    "dec": "decimal",
    "real": "double",
}
_DEFINITION: Final = re.compile(r"\s*(\w+)(?:\s*\(\s*(\d+))?")
_TEXT_TYPE: Final = re.compile(r"\s*(?:VARCHAR\(\d+\)|TEXT)", re.IGNORECASE)
_UTF8: Final = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

# Built-in columns whose values may all be numbers in words.
_NUMERIC: Final = frozenset({"id", "campaign", "event_uid"})
# What is NULL for most events, because it does not apply to them.
_OFTEN_NULL: Final = frozenset({"bounce_class", "is_machine", "machine_reason"})
_LARGEST: Final = {"is_machine": 1, "asn": 2**32 - 1}
# Smaller than this, a column holds hardly any of the values.
_LEAST: Final = {"is_machine": 1, "asn": 2**16 - 1}
# Characters: the longest of our own words where they are ours (event names, classes, providers),
# else the shortest values that there are.
_SHORTEST: Final = {
    **{"event_name": 12, "bounce_class": 6, "esp": 9, "device": 7, "country": 2, "ip": 15},
    **{"recipient": 6, "recipient_domain": 4, "mailbox_provider": 6, "machine_reason": 4},
    **{"url": 10, "user_agent": 8, "client": 4, "os": 4},
}
_TIMESTAMP_CHARACTERS: Final = 23  # 2024-01-02 03:04:05.678


class FoundColumn(NamedTuple):
    """A column as information_schema.COLUMNS describes it.

    Attributes:
        name: of the column, as it was made.
        kind: DATA_TYPE in lower case.
        full: COLUMN_TYPE in lower case: with length and sign.
        length: CHARACTER_MAXIMUM_LENGTH: characters, of a TEXT bytes; 0 where there is none.
        charset: CHARACTER_SET_NAME; '' where there is none.
        nullable: whether it may be NULL.
        default: COLUMN_DEFAULT; None where there is none.
        extra: EXTRA in lower case.
        generated: whether the server computes it.
    """

    name: str
    kind: str
    full: str
    length: int = 0
    charset: str = ""
    nullable: bool = True
    default: str | None = None
    extra: str = ""
    generated: bool = False

    @property
    def automatic(self) -> bool:
        """Whether it is the table's AUTO_INCREMENT column."""
        return "auto_increment" in self.extra

    @property
    def unfilled(self) -> bool:
        """Whether an INSERT that does not name it fails."""
        # MariaDB says NULL, the text, for a default of NULL; then it may be NULL.
        no_default = not self.nullable and self.default is None
        return no_default and not self.generated and not self.extra

    @property
    def largest(self) -> int | None:
        """The largest number that it holds; None when it is no integer."""
        if (bits := _BITS.get(self.kind)) is None:
            return None
        return (1 << (bits if "unsigned" in self.full else bits - 1)) - 1

    @property
    def characters(self) -> int | None:
        """How many characters it holds for certain; None when it is no text."""
        if self.kind in _LONG_TEXTS:
            return self.length // 4
        return self.length if self.kind in _TEXTS else None


class Misfit(NamedTuple):
    """What is wrong with a column.

    Attributes:
        column: its name.
        problem: in words, to follow the name.
        charset: whether it is only the character set.
        fatal: False when it can hold some of what is written.
    """

    column: str
    problem: str
    charset: bool = False
    fatal: bool = True


def misfit(column: TableColumn, found: FoundColumn, *, ours: bool) -> Misfit | None:
    """Say what is wrong with a column; None when it will do.

    Args:
        column: what is to be.
        found: what is there.
        ours: whether ``migrate`` made the table: its character sets were right then.
    """
    if column.own:
        problem = _own_problem(column, found)
        if problem is None and found.kind in _TEXTS and found.charset not in _UNICODE:
            return Misfit(found.name, _charset_problem(found), charset=True)
        return Misfit(found.name, problem) if problem else None
    if not column.written:
        if found.unfilled:
            return Misfit(found.name, "has neither a default nor AUTO_INCREMENT")
        return None
    if found.generated:
        return Misfit(found.name, "is a generated column, and sink.columns fills it")
    if not column.value:  # a user's own code: what it gives is not known
        return None
    return _event_misfit(column, found, ours)


def mending(column: TableColumn, found: FoundColumn, *, keyed: bool) -> str:
    """Return the part of an ALTER TABLE that gives a column its definition.

    Args:
        column: what is to be.
        found: what is there.
        keyed: whether it is in a key of the table.
    """
    definition = column.definition.partition(" COMMENT")[0].removesuffix(" PRIMARY KEY")
    if "AUTO_INCREMENT" in definition and not keyed:  # it needs a key, and numbers that differ
        return (
            f"DROP COLUMN `{column.name}`, "
            f"ADD COLUMN `{column.name}` {definition} PRIMARY KEY FIRST"
        )
    if kind := _TEXT_TYPE.match(definition):
        definition = kind[0] + _UTF8 + definition[kind.end() :]
    if found.generated:
        return f"DROP COLUMN `{column.name}`, ADD COLUMN `{column.name}` {definition}"
    return f"MODIFY COLUMN `{column.name}` {definition}"


def _own_problem(column: TableColumn, found: FoundColumn) -> str | None:
    """Say what is wrong with a column of a table of our own."""
    definition = column.definition
    kind, size = _parse(definition)
    is_now = f"is {found.full}, and has to be {definition.partition(' COMMENT')[0]}"
    fills_itself = "CURRENT_TIMESTAMP" in definition
    if found.generated:
        return "is a generated column"
    if kind == "binary":
        exact = found.kind == "binary" and found.length == size
        right = exact or (found.kind == "varbinary" and found.length >= size)
    elif kind == "longblob":
        right = found.kind in ("mediumblob", "longblob")
    elif kind in _BITS:
        right = (found.largest or 0) >= 2 ** (_BITS[kind] - 1) - 1 or (
            "AUTO_INCREMENT" in definition and found.largest is not None
        )
    elif kind == "datetime":
        right = found.kind == "datetime" or (fills_itself and found.kind == "timestamp")
    else:
        least = size or 65_535 // 4
        right = (found.characters or 0) >= least
    if not right:
        return is_now
    if "AUTO_INCREMENT" in definition and not found.automatic:
        return "is not AUTO_INCREMENT"
    if fills_itself and "current_timestamp" not in (found.default or "").lower():
        return "has not the default CURRENT_TIMESTAMP"
    if "NOT NULL" not in definition and not found.nullable:
        return "is NOT NULL, and has to take NULL"
    return None


def _event_misfit(column: TableColumn, found: FoundColumn, ours: bool) -> Misfit | None:
    """Say what is wrong with a column of the event table that takes a built-in column's values."""
    value = column.value
    if column.stated and _family(_parse(column.definition)[0]) == _family(found.kind):
        return None  # a type that the user has chosen
    if COLUMNS[value].epoch_ms:
        right = _takes_time(found)
    elif value in _LARGEST:
        right = found.kind not in _TIMES | _SHAPES and (
            found.largest is None or found.largest >= _LEAST[value]
        )
    else:
        right = _takes_text(value, found)
    if not right:
        return Misfit(
            found.name, f"is {found.full}, which cannot hold what is written to it ({value})"
        )
    if value in _OFTEN_NULL and not found.nullable:
        return Misfit(found.name, "is NOT NULL, and most events have none")
    if found.kind in _TEXTS and found.charset not in _UNICODE:
        return Misfit(found.name, _charset_problem(found), charset=True, fatal=ours)
    if _is_narrow(value, found):
        return Misfit(
            found.name,
            f"is {found.full}, where `migrate` makes {COLUMNS[value].sql_type}: an event with more "
            "in it becomes a dead letter",
            fatal=False,
        )
    return None


def _takes_time(found: FoundColumn) -> bool:
    if found.characters is not None:
        return found.characters >= _TIMESTAMP_CHARACTERS
    return found.kind not in _NUMBERS | _ENUMS | _SHAPES | {"time"}


def _takes_text(value: str, found: FoundColumn) -> bool:
    if found.kind in _NUMBERS:
        return value in _NUMERIC and found.kind not in ("year", "bit")
    if found.kind in _TIMES | _SHAPES:
        return False
    length = found.length if found.kind in _BYTES else found.characters
    return length is None or length >= _SHORTEST.get(value, 1)


def _is_narrow(value: str, found: FoundColumn) -> bool:
    if value in _LARGEST:
        return found.largest is not None and found.largest < _LARGEST[value]
    kind, size = _parse(COLUMNS[value].sql_type)
    return kind == "varchar" and found.characters is not None and found.characters < size


def _charset_problem(found: FoundColumn) -> str:
    return f"is {found.charset}, which lacks most of the characters that there are"


def _parse(definition: str) -> tuple[str, int]:
    """Return kind and size of an SQL type."""
    match = _DEFINITION.match(definition)
    if match is None:
        return "", 0
    kind = match[1].lower()
    return _ALIASES.get(kind, kind), int(match[2] or 0)


def _family(kind: str) -> object:
    for family in (_NUMBERS, _TIMES, _TEXTS | _ENUMS, _BYTES, _SHAPES):
        if kind in family:
            return family
    return kind
