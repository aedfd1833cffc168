"""Why mail was refused: ``bounce_class`` of bounced, deferred and dropped events.

The rules are data, looked at in order: ``config/bounce_rules.toml``, and a user's own file before
it. A provider's verdict, a value that the format has filled, wins over all of them.

What a reply says is matched word by word (:class:`~pepi_stream.enrich.wording.Wording`), never
searched for with a regular expression: a reply of n characters costs time in proportion to n,
whatever it says, and no more than ``_MAX_TEXT`` of them are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from pepi_stream.enrich.rule_files import RuleFile
from pepi_stream.enrich.ruled import RuledEnricher
from pepi_stream.enrich.wording import Wording
from pepi_stream.events import EVENT_NAMES, Batch, Column, Constant
from pepi_stream.memo import Memo

T = TypeVar("T")

#: What a bounce is: the address is gone; a temporary failure, or a server's fault; the sender is
#: kept out (reputation, block lists, content); the mailbox is full; a rule was broken
#: (authentication, size, relaying); the recipient's domain takes no mail; none of these.
CLASSES: Final = ("hard", "soft", "block", "quota", "policy", "dns", "other")
#: The events that have a class.
EVENTS: Final = frozenset(["bounced", "deferred", "dropped"])

_WITHOUT = EVENT_NAMES - EVENTS

_MAX_TEXT = 1000  # characters of a reason that are read
_MEMO_SIZE = 4096  # reasons; at most 4 MiB of them

# RFC 3463, 2: class.subject.detail, subjects from 0 to 7; not a part of an IP address or version.
# (What must not stand before is looked at second: it is quicker to look for the digit.)
_STATUS = re.compile(r"[45](?<![\d.][45])\.[0-7]\.\d{1,3}(?!\.?\d)")
# A web address: where it is, and what of it is read last.
_ADDRESS = re.compile(r"(https?://[^\s/?#]*)\S*", re.IGNORECASE)
# RFC 5321, 4.2: three digits that begin a line of a reply.
_CODE = re.compile(r"[45](?<![\w.][45])\d\d(?=[ -]|$)")


class BounceRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One ``[[rule]]``: holds when each condition that it has does.

    Attributes:
        bounce_class: one of :data:`CLASSES`; ``class`` in the file.
        status: any of these enhanced status codes; ``*`` stands for a number, ``?`` for a digit.
        code: any of these SMTP reply codes.
        text: any of these phrases: whole words, without regard to case and punctuation.
        pattern: any of these patterns of words; see :mod:`pepi_stream.enrich.wording`.
        temporary: whether the reply (without a code: the event) is about a temporary failure.
        event: any of these event names.
        source: where the rule comes from, for readers.
    """

    bounce_class: str = msgspec.field(name="class")
    status: str | list[str] = []
    code: int | list[int] = []
    text: str | list[str] = []
    pattern: str | list[str] = []
    temporary: bool | None = None
    event: str | list[str] = []
    source: str = ""


class _Reply(NamedTuple):
    event: str
    status: str
    code: int

    @property
    def temporary(self) -> bool:
        if self.status:
            return self.status[0] == "4"
        return 400 <= self.code < 500 if self.code else self.event == "deferred"


class _Rule(NamedTuple):
    bounce_class: str
    has_words: bool
    fits: Callable[[_Reply], bool]


class _Candidates(NamedTuple):
    """The rules that a reply of certain codes may meet.

    Attributes:
        words: the bits of their phrases.
        otherwise: the class when the reply has none of them.
    """

    words: int
    otherwise: str


class BounceClass(RuledEnricher):
    """Adds ``bounce_class`` to bounced, deferred and dropped events; others have none.

    An event of another canonical name loses the class that its format may have given it. A name
    that a producer of the format ``plain`` made up keeps what that producer says.
    """

    rules = "bounce_rules"
    events = EVENTS

    def read(self, files: Iterable[RuleFile]) -> None:
        """Take in the rules; raises ConfigError for one that makes no sense."""
        self._rules: list[_Rule] = []
        self._wording = Wording()
        own: list[int] = []
        for file in files:
            sets, first = _sets(file), len(self._rules)
            for rule, line in file.rules(BounceRule, also="words"):
                self._add(rule, file, line, sets)
            if file.own:
                own += range(first, len(self._rules))
        self._own = self._wording.bits(own)
        self._candidates = Memo(self._fitting, _MEMO_SIZE)
        self._memos = {event: Memo(self._classifier(event), _MEMO_SIZE) for event in EVENTS}

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return the column; none for a batch that has neither such events nor a class."""
        added = super().__call__(batch)
        given = batch.column("bounce_class")
        if added or (isinstance(given, Constant) and given.value is None):
            return added
        return self.columns(batch, ())

    def columns(self, batch: Batch, indexes: Sequence[int]) -> Mapping[str, Column]:
        """Return the column; what the provider has said is kept, its hint where no rule fits."""
        names = batch.column("event_name")
        given = batch.column("bounce_class")
        column: list[str | None] = [None] * len(batch)
        if not (isinstance(given, Constant) and given.value is None):
            column = [None if n in _WITHOUT else v for n, v in zip(names, given, strict=True)]
        reasons, recipients = batch.column("reason"), batch.column("recipient")
        hints = batch.column("bounce_hint")
        memos = self._memos
        for i in indexes:
            if column[i] is None:
                reason = (reasons[i] or "")[:_MAX_TEXT]
                # Replies quote the address: without it, many are the same, and no word of an
                # address is taken for the server's.
                if (recipient := recipients[i]) and "@" in recipient:
                    reason = reason.replace(recipient, "")
                found = memos[names[i]][reason]
                column[i] = (hints[i] or found) if found == "other" else found
        return {"bounce_class": column}

    def classify(self, reason: str, event: str = "bounced") -> str:
        """Return the class of one reason."""
        text = reason[:_MAX_TEXT]
        status = _STATUS.findall(text)
        # "5.1.0 - Unknown address error 550-'5.2.2 ...": the server's own word is the second.
        precise = next((s for s in status if not s.endswith(".0")), status[0] if status else "")
        found = _CODE.search(text)
        code = found[0] if found else ""
        if code and f"{code}-" in text:  # several lines: the code begins each of them
            for mark in (f"{code}-{precise} ", f"{code} {precise} ", f"{code}-", f" {code} "):
                text = text.replace(mark, " ")
        candidates = self._candidates[event, precise, code]
        # "No such user, see https://example.com/help/spam" is about a user: what follows the host
        # of a web address is read for rules of one's own, and where a reply says nothing else.
        short = _ADDRESS.sub(r"\1", text)
        said = self._wording.found(short) & candidates.words
        if short != text and (self._own or not said):
            whole = self._wording.found(text) & candidates.words
            said = (whole & self._own) or said or whole
        if not said:
            return candidates.otherwise
        return self._rules[self._wording.number(said)].bounce_class

    def _classifier(self, event: str) -> Callable[[str], str]:
        return lambda reason: self.classify(reason, event)

    def _fitting(self, codes: tuple[str, str, str]) -> _Candidates:
        """Return the rules that a reply may meet: event, status and code are known."""
        event, status, code = codes
        reply = _Reply(event, status, int(code or 0))
        numbers: list[int] = []
        otherwise = "other"
        for number, rule in enumerate(self._rules):
            if rule.fits(reply):
                if not rule.has_words:
                    otherwise = rule.bounce_class
                    break
                numbers.append(number)
        return _Candidates(self._wording.bits(numbers), otherwise)

    def _add(
        self, rule: BounceRule, file: RuleFile, line: int, sets: Mapping[str, list[str]]
    ) -> None:
        if rule.bounce_class not in CLASSES:
            problem = f"class is {rule.bounce_class!r}; it must be one of {', '.join(CLASSES)}"
            file.refuse(file.line("class", line), problem)
        statuses = [_pattern(status, file, line) for status in _several(rule.status)]
        codes, events = frozenset(_several(rule.code)), frozenset(_several(rule.event))
        for code in codes:
            if not 400 <= code <= 599:
                file.refuse(file.line("code", line), f"code {code} is no reply of 4xx or 5xx")
        for event in events - EVENTS:
            problem = f"event is {event!r}; it must be one of {', '.join(sorted(EVENTS))}"
            file.refuse(file.line("event", line), problem)
        number = len(self._rules)
        for phrase in _several(rule.text):
            try:
                self._wording.add_phrase(phrase, number)
            except ValueError as exc:
                where = file.line_of(phrase, file.line("text", line))
                file.refuse(where, f"text {phrase!r} {exc}")
        for pattern in _several(rule.pattern):
            try:
                self._wording.add_pattern(pattern, sets, number)
            except ValueError as exc:
                where = file.line_of(pattern, file.line("pattern", line))
                file.refuse(where, f"pattern {pattern!r}: {exc}")
        has_words = bool(rule.text or rule.pattern)
        if not statuses and not codes and not has_words and not events and rule.temporary is None:
            file.refuse(
                line, "the rule has no condition: give it status, code, text, pattern or event"
            )

        def fits(reply: _Reply) -> bool:
            return (
                (not statuses or any(pattern.fullmatch(reply.status) for pattern in statuses))
                and (not codes or reply.code in codes)
                and (not events or reply.event in events)
                and (rule.temporary is None or rule.temporary == reply.temporary)
            )

        self._rules.append(_Rule(rule.bounce_class, has_words, fits))


def _sets(file: RuleFile) -> dict[str, list[str]]:
    """Return the sets of words that the file's patterns may name."""
    try:
        return msgspec.convert(file.table.get("words", {}), dict[str, list[str]])
    except msgspec.ValidationError:
        file.refuse(file.line_of_table("words"), "words must be lists of words: name = ['a', 'b*']")


def _several(value: T | list[T]) -> list[T]:
    return value if isinstance(value, list) else [value]


def _pattern(status: str, file: RuleFile, line: int) -> re.Pattern[str]:
    if not re.fullmatch(r"[45*]\.([0-7]|\*)\.(\*|[\d?]{1,3})", status):
        where = file.line_of(status, file.line("status", line))
        file.refuse(where, f"status {status!r} is no code like 5.1.1, *.2.2, 5.7.* or 5.7.6??")
    return re.compile(re.escape(status).replace(r"\*", r"\d+").replace(r"\?", r"\d"))
