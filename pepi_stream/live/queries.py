"""The SQL of the live page, as text: every statement it sends is here.

Times are in seconds since 1970 UTC. Text that is compared or grouped is taken as bytes: the
collation of a window table thinks that ``a`` and ``a `` are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pepi_stream.tables import TableNames
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


class Queries:
    """The queries over a flow's tables.

    Args:
        names: of the tables.
    """

    def __init__(self, names: TableNames) -> None:
        self.names = names
        self._ledger = f"`{names.ledger}`"
        self._dead_letters = f"`{names.dead_letters}`"

    def _window(self, window: Window) -> str:
        return f"`{self.names.window(window.name)}`"

    def newest_rows(self, window: Window, until: int, limit: int) -> str:
        """Select (start, values..., n), the newest start first."""
        by = "".join(f"`{name}`, " for name in window.by)
        return (
            f"SELECT {_START}, {by}`n` FROM {self._window(window)} "
            f"WHERE `window_start` <= '{_text(until)}' ORDER BY `window_start` DESC LIMIT {limit}"
        )

    def series_names(self, window: Window, first: int, last: int, limit: int) -> str:
        """Select the event names that count most."""
        return (
            f"SELECT CAST(`event_name` AS BINARY), SUM(`n`) FROM {self._window(window)} "
            f"WHERE {_between(first, last)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
        )

    def series_rows(
        self, window: Window, first: int, last: int, names: Sequence[bytes], other: bytes
    ) -> str:
        """Select (start, event name, events); names that are not among ``names`` are summed."""
        known = ",".join(f"X'{name.hex()}'" for name in names) or "X''"
        return (
            f"SELECT {_START}, IF(CAST(`event_name` AS BINARY) IN ({known}), "
            f"CAST(`event_name` AS BINARY), X'{other.hex()}'), SUM(`n`) "
            f"FROM {self._window(window)} WHERE {_between(first, last)} GROUP BY 1, 2 ORDER BY 1"
        )

    def ledger_of(self, keys: Iterable[bytes]) -> str:
        """Select which of these claims the ledger knows."""
        ids = ",".join(f"X'{key.hex()}'" for key in keys)
        return f"SELECT `claim_id` FROM {self._ledger} WHERE `claim_id` IN ({ids})"

    def ledger_since(self, first: bytes, limit: int) -> str:
        """Select the claims that the ledger knows, above a key."""
        return (
            f"SELECT `claim_id` FROM {self._ledger} WHERE `claim_id` > X'{first.hex()}' "
            f"ORDER BY `claim_id` LIMIT {limit}"
        )

    def count_dead(self) -> str:
        """Select (dead letters, those of the last hour)."""
        return (
            "SELECT COUNT(*), "
            "COALESCE(SUM(`created_at` >= CURRENT_TIMESTAMP(3) - INTERVAL 1 HOUR), 0) "
            f"FROM {self._dead_letters} WHERE `part` = 0"
        )

    def newest_letters(self, limit: int, reason: int) -> str:
        """Select (seq, claim, position, element, ms since 1970, format, reason), newest first."""
        return (
            f"SELECT {_LETTER}LEFT(`reason`, {reason}) FROM {self._dead_letters} WHERE `part` = 0 "
            f"ORDER BY `seq` DESC LIMIT {limit}"
        )

    def letter(self, seq: int) -> str:
        """Select one dead letter, as :meth:`newest_letters` does, with its whole reason."""
        return (
            f"SELECT {_LETTER}`reason` FROM {self._dead_letters} WHERE `seq` = {seq} AND `part` = 0"
        )

    def parts(self, seq: int, claim: bytes, position: int, element: int | None) -> str:
        """Select (seq, bytes) of the parts of a dead letter, in order."""
        same = "IS NULL" if element is None else f"= {element}"
        return (
            f"SELECT `seq`, LENGTH(`payload`) FROM {self._dead_letters} "
            f"WHERE `seq` BETWEEN {seq} AND {seq + _PARTS_WITHIN} "
            f"AND `claim_id` = X'{claim.hex()}' AND `position` = {position} "
            f"AND `element` {same} ORDER BY `part`"
        )

    def payload(self, seq: int, size: int) -> str:
        """Select the first ``size`` bytes of one part."""
        return f"SELECT LEFT(`payload`, {size}) FROM {self._dead_letters} WHERE `seq` = {seq}"


def _between(first: int, last: int) -> str:
    return f"`window_start` BETWEEN '{_text(first)}' AND '{_text(last)}'"


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
