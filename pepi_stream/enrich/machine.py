"""Whether a machine opened or clicked, and why that is thought: ``is_machine``, ``machine_reason``.

Nothing is dropped: counts can tell people from machines. The rules are data, looked at in order:
``config/machine_rules.toml``, and a user's own file before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

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


_WORDS = re.compile(r"[a-z0-9]+")


class MachineRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One ``[[rule]]``: holds when any of its conditions does, unless the agent has what is named.

    All texts but those of ``equals`` are looked for without regard to case.

    Attributes:
        reason: what ``machine_reason`` then says; ``human`` for an agent that is a person's.
        equals: the whole user agent, exactly.
        starts: how it begins.
        contains: a part of it.
        words: a word of it, between what is neither letter nor digit; ``*bot`` is each that ends
            so, ``crawl*`` each that begins so.
        spider: whether ua-parser calls the device a Spider.
        unless: parts of an agent to which the rule does not apply.
        source: where the rule comes from, for readers.
    """

    reason: str
    equals: str | list[str] = []
    starts: str | list[str] = []
    contains: str | list[str] = []
    words: str | list[str] = []
    spider: bool = False
    unless: str | list[str] = []
    source: str = ""


class _Agent(NamedTuple):
    given: str
    lower: str
    words: list[str]


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
        self._rules: list[tuple[str, Callable[[_Agent], bool]]] = []
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
            read = _Agent(agent, lower, _WORDS.findall(lower))
            reason = next((why for why, holds in self._rules if holds(read)), None)
        return reason if reason != _HUMAN else None

    def _add(self, rule: MachineRule, file: RuleFile, line: int) -> None:
        where = file.line("reason", line)
        if not rule.reason or len(rule.reason) > _MAX_REASON:
            file.refuse(where, f"reason must be of 1 to {_MAX_REASON} characters")
        equals, starts, contains, words, unless = (
            [given] if isinstance(given, str) else given
            for given in (rule.equals, rule.starts, rule.contains, rule.words, rule.unless)
        )
        if not (equals or starts or contains or words or rule.spider):
            file.refuse(
                line, "the rule has no condition: give it equals, starts, contains, words or spider"
            )
        for key, texts in (("starts", starts), ("contains", contains), ("unless", unless)):
            if "" in texts:
                file.refuse(file.line(key, line), f"{key} is empty: every agent has that")
        for word in words:
            if not _WORDS.fullmatch(word.lower().removeprefix("*").removesuffix("*")):
                where = file.line_of(word, file.line("words", line))
                file.refuse(where, f"{word!r} is no word of letters and digits, *bot or crawl*")
        for agent in equals:
            self._equals.setdefault(agent, rule.reason)
        self._rules.append((rule.reason, _holds(starts, contains, words, rule.spider, unless)))


def _holds(
    starts: Sequence[str],
    contains: Sequence[str],
    words: Sequence[str],
    spider: bool,
    unless: Sequence[str],
) -> Callable[[_Agent], bool]:
    """Return what tells whether a rule holds for a user agent."""
    beginnings = tuple(text.lower() for text in starts)
    parts = [text.lower() for text in contains]
    exceptions = [text.lower() for text in unless]
    patterns = [word.lower() for word in words]
    whole = frozenset(word for word in patterns if "*" not in word)
    ends = tuple(word[1:] for word in patterns if word[0] == "*")
    begins = tuple(word[:-1] for word in patterns if word[-1] == "*")
    is_spider = _spider() if spider else None

    def says_so(agent: _Agent) -> bool:
        lower = agent.lower
        if lower.startswith(beginnings) or any(part in lower for part in parts):
            return True
        if patterns and (
            not whole.isdisjoint(agent.words)
            or any(word.endswith(ends) or word.startswith(begins) for word in agent.words)
        ):
            return True
        return is_spider is not None and is_spider(agent.given)

    def holds(agent: _Agent) -> bool:
        lower = agent.lower
        return not any(part in lower for part in exceptions) and says_so(agent)

    return holds


def _spider() -> Callable[[str], bool]:
    """Return what tells whether ua-parser takes a user agent for a Spider's."""
    _, _, devices = load_lazy_builtins()
    spiders = [device for device in devices if getattr(device, "family", None) == "Spider"]
    resolver = Resolver(([], [], spiders))

    def is_spider(agent: str) -> bool:
        return resolver(agent.encode("utf-8", "replace").decode(), Domain.DEVICE).device is not None

    return is_spider
