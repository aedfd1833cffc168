"""The names of a flow's tables: all but the event table's begin with ``sink.prefix``."""

from __future__ import annotations

from typing import NamedTuple

from pepi_stream.settings import Settings


class TableNames(NamedTuple):
    """Names of the tables.

    Attributes:
        prefix: begins the names of our own tables.
        event: the table of the event rows.
    """

    prefix: str
    event: str

    @classmethod
    def from_settings(cls, settings: Settings) -> TableNames:
        """Return the configured names."""
        return cls(settings.sink.prefix, settings.sink.table)

    @property
    def ledger(self) -> str:
        """The claims that have taken effect."""
        return f"{self.prefix}claim"

    @property
    def dead_letters(self) -> str:
        """The records that became no row."""
        return f"{self.prefix}dead_letter"

    @property
    def seen(self) -> str:
        """The events of the last hours, with ``sink.dedupe``."""
        return f"{self.prefix}seen"

    def window(self, name: str) -> str:
        """The counts of a window."""
        return f"{self.prefix}window_{name}"
