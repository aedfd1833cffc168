"""What enrichers of some events by a rule file share: whose rules, and which events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Self

from pepi_stream.enrich.rule_files import RuleFile, load_rule_files
from pepi_stream.events import Batch, Column
from pepi_stream.settings import EnrichSettings


class RuledEnricher(ABC):
    """Adds columns to events of some names, by rules in a TOML file: ours, and a user's before it.

    Args:
        files: where the rules are, the first to be looked at first; default: ours.

    Raises:
        ConfigError: a rule makes no sense; the message names file and line.

    Attributes:
        rules: name of our file in ``config/``, and of the setting that names the user's.
        events: names of the events that get a value.
    """

    rules: ClassVar[str]
    events: ClassVar[frozenset[str]]

    def __init__(self, files: Iterable[RuleFile] | None = None) -> None:
        self.read(self._files("") if files is None else files)

    @classmethod
    def from_settings(cls, settings: EnrichSettings) -> Self:
        """Build it with the user's rules before ours; raises ConfigError for a bad file."""
        return cls(cls._files(getattr(settings, cls.rules)))

    @classmethod
    def _files(cls, path: str) -> list[RuleFile]:
        return load_rule_files(f"enrich.{cls.rules}", path, f"{cls.rules}.toml")

    @abstractmethod
    def read(self, files: Iterable[RuleFile]) -> None:
        """Take in the rules; raises ConfigError for one that makes no sense."""

    @abstractmethod
    def columns(self, batch: Batch, indexes: Sequence[int]) -> Mapping[str, Column]:
        """Return the columns of a batch, of which only the events at ``indexes`` get a value."""

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return the columns; none for a batch without such events."""
        names = batch.column("event_name")
        if self.events.isdisjoint(names):
            return {}
        events = self.events
        return self.columns(batch, [i for i, name in enumerate(names) if name in events])
