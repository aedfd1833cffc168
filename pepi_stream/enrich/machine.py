"""Whether a machine opened or clicked, and why that is thought: ``is_machine``, ``machine_reason``.

Nothing is dropped: counts can tell people from machines. The rules are data, looked at in order:
``config/machine_rules.toml``, and a user's own file before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from pepi_stream.enrich.rule_files import RuleFile
from pepi_stream.enrich.ruled import RuledEnricher
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.memo import Memo

#: The events that have a verdict.
EVENTS: Final = frozenset(["opened", "clicked"])
#: The reason when the provider says that it was a machine and no rule says why.
PROVIDER: Final = "provider"

_HUMAN = "human"  # of a rule: a person, whatever the rules after it say
_MAX_AGENT = 512  # characters of a user agent that are read
_MAX_REASON = 32  # characters: the width of the column
_MEMO_SIZE = 8192  # agents; at most 4 MiB of them


class MachineRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One ``[[rule]]``: holds when the user agent is, or has in it, any of its texts.

    Attributes:
        reason: what ``machine_reason`` then says; ``human`` for an agent that is a person's.
        equals: the whole user agent, exactly.
        contains: a part of it, without regard to case.
        source: where the rule comes from, for readers.
    """

    reason: str
    equals: str | list[str] = []
    contains: str | list[str] = []
    source: str = ""


class Machine(RuledEnricher):
    """Adds ``is_machine`` and ``machine_reason`` to opened and clicked events.

    A provider's verdict, a value that the format has filled, wins. Without one and without a
    user agent nothing is known: both stay None. A person's open has no reason.
    """

    rules = "machine_rules"
    events = EVENTS

    def read(self, files: Iterable[RuleFile]) -> None:
        """Take in the rules; raises ConfigError for one that makes no sense."""
        self._equals: dict[str, str] = {}
        self._contains: list[tuple[str, str]] = []
        for file in files:
            for rule, line in file.rules(MachineRule):
                self._add(rule, file, line)
        self._memo = Memo(self.reason, _MEMO_SIZE)

    def columns(self, batch: Batch, indexes: Sequence[int]) -> Mapping[str, Column]:
        """Return the two columns; the provider's verdicts are kept."""
        given = batch.column("is_machine")
        silent = isinstance(given, Constant) and given.value is None
        verdicts = [None] * len(batch) if silent else list(given)
        reasons: list[str | None] = [None] * len(batch)
        agents, memo = batch.column("user_agent"), self._memo
        for i in indexes:
            if agent := agents[i]:
                reason = memo[agent[:_MAX_AGENT]]
                if verdicts[i] is None:
                    verdicts[i] = reason is not None
                if verdicts[i]:
                    reasons[i] = reason or PROVIDER
            elif verdicts[i]:
                reasons[i] = PROVIDER
        return {"is_machine": verdicts, "machine_reason": reasons}

    def reason(self, agent: str) -> str | None:
        """Return why a user agent is a machine's; None for a person's."""
        reason = self._equals.get(agent)
        if reason is None:
            lower = agent.lower()
            reason = next((why for part, why in self._contains if part in lower), None)
        return reason if reason != _HUMAN else None

    def _add(self, rule: MachineRule, file: RuleFile, line: int) -> None:
        where = file.line("reason", line)
        if not rule.reason or len(rule.reason) > _MAX_REASON:
            file.refuse(where, f"reason must be of 1 to {_MAX_REASON} characters")
        equals, contains = (
            [given] if isinstance(given, str) else given for given in (rule.equals, rule.contains)
        )
        if not equals and not contains:
            file.refuse(line, "the rule has no condition: give it equals or contains")
        if "" in contains:
            file.refuse(file.line("contains", line), "contains is empty: every agent has that")
        for agent in equals:
            self._equals.setdefault(agent, rule.reason)
        self._contains += [(part.lower(), rule.reason) for part in contains]
