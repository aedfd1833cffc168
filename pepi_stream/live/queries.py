"""The SQL of the live page, as text: every statement it sends is here.

Times are in seconds since 1970 UTC. Text that is compared or grouped is taken as bytes: the
collation of a window table thinks that ``a`` and ``a `` are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pepi_stream.sink.schema import DEAD_LETTERS, LEDGER
from pepi_stream.windows import Window

# Of the next transaction only: the session is the sink's kind.
BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
END = "ROLLBACK"

# Not UNIX_TIMESTAMP, which ends in 2038 on older servers, and at 1970.
_START = "TIMESTAMPDIFF(SECOND, '1970-01-01', `window_start`)"
# The parts of one dead letter are inserted by one transaction, among those of other workers.
_PARTS_WITHIN = 10_000
_LETTER = (
    "`seq`, `claim_id`, `position`, `element`, "
    "CAST(UNIX_TIMESTAMP(`created_at`) * 1000 AS SIGNED), `format`, "
)


def newest_rows(window: Window, until: int, limit: int) -> str:
    """Select (start, values..., n), the newest start first."""
    by = "".join(f"`{name}`, " for name in window.by)
    return (
        f"SELECT {_START}, {by}`n` FROM `{window.table}` WHERE `window_start` <= '{_text(until)}' "
        f"ORDER BY `window_start` DESC LIMIT {limit}"
    )


def series_names(window: Window, first: int, last: int, limit: int) -> str:
    """Select the event names that count most."""
    return (
        f"SELECT CAST(`event_name` AS BINARY), SUM(`n`) FROM `{window.table}` "
        f"WHERE {_between(first, last)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
    )


def series_rows(window: Window, first: int, last: int, names: Sequence[bytes], other: bytes) -> str:
    """Select (start, event name, events); names that are not among ``names`` are summed."""
    known = ",".join(f"X'{name.hex()}'" for name in names) or "X''"
    return (
        f"SELECT {_START}, IF(CAST(`event_name` AS BINARY) IN ({known}), "
        f"CAST(`event_name` AS BINARY), X'{other.hex()}'), SUM(`n`) "
        f"FROM `{window.table}` WHERE {_between(first, last)} GROUP BY 1, 2 ORDER BY 1"
    )


def ledger_of(keys: Iterable[bytes]) -> str:
    """Select which of these claims the ledger knows."""
    ids = ",".join(f"X'{key.hex()}'" for key in keys)
    return f"SELECT `claim_id` FROM `{LEDGER}` WHERE `claim_id` IN ({ids})"


def ledger_since(first: bytes, limit: int) -> str:
    """Select the claims that the ledger knows, above a key."""
    return (
        f"SELECT `claim_id` FROM `{LEDGER}` WHERE `claim_id` > X'{first.hex()}' "
        f"ORDER BY `claim_id` LIMIT {limit}"
    )


def count_dead() -> str:
    """Select (dead letters, those of the last hour)."""
    return (
        "SELECT COUNT(*), COALESCE(SUM(`created_at` >= CURRENT_TIMESTAMP(3) - INTERVAL 1 HOUR), 0) "
        f"FROM `{DEAD_LETTERS}` WHERE `part` = 0"
    )


def newest_letters(limit: int, reason: int) -> str:
    """Select (seq, claim, position, element, ms since 1970, format, reason), the newest first."""
    return (
        f"SELECT {_LETTER}LEFT(`reason`, {reason}) FROM `{DEAD_LETTERS}` WHERE `part` = 0 "
        f"ORDER BY `seq` DESC LIMIT {limit}"
    )


def letter(seq: int) -> str:
    """Select one dead letter, as :func:`newest_letters` does, with its whole reason."""
    return f"SELECT {_LETTER}`reason` FROM `{DEAD_LETTERS}` WHERE `seq` = {seq} AND `part` = 0"


def parts(seq: int, claim: bytes, position: int, element: int | None) -> str:
    """Select (seq, bytes) of the parts of a dead letter, in order."""
    same = "IS NULL" if element is None else f"= {element}"
    return (
        f"SELECT `seq`, LENGTH(`payload`) FROM `{DEAD_LETTERS}` "
        f"WHERE `seq` BETWEEN {seq} AND {seq + _PARTS_WITHIN} AND `claim_id` = X'{claim.hex()}' "
        f"AND `position` = {position} AND `element` {same} ORDER BY `part`"
    )


def payload(seq: int, size: int) -> str:
    """Select the first ``size`` bytes of one part."""
    return f"SELECT LEFT(`payload`, {size}) FROM `{DEAD_LETTERS}` WHERE `seq` = {seq}"


def _between(first: int, last: int) -> str:
    return f"`window_start` BETWEEN '{_text(first)}' AND '{_text(last)}'"


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
