"""The list of dead letters, read by two at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pepi_stream.live import letters
from pepi_stream.live.queries import Queries
from pepi_stream.tables import TableNames

QUERIES = Queries(TableNames("pepi_", "pepi_event"))


async def test_two_that_read_at_once_do_not_take_each_others_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one with the older list is overtaken while it asks for the size of a new letter."""
    lists = {"older": [3, 2], "newer": [4, 3]}
    asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def fetch(conn: Any, sql: str) -> list[tuple[Any, ...]]:
        if "LENGTH" not in sql:
            return [(seq, b"c", 0, None, 0, "plain", "why") for seq in lists[conn]]
        if conn == "older":
            asked.set()
            await may_go_on.wait()
        return [(1, 10)]

    monkeypatch.setattr(letters, "fetch", fetch)
    sizes: letters.Sizes = {2: 20}
    older: Any = asyncio.ensure_future(letters.newest("older", QUERIES, sizes))
    await asked.wait()
    newer = await letters.newest("newer", QUERIES, sizes)
    may_go_on.set()
    assert [(letter["seq"], letter["bytes"]) for letter in await older] == [(3, 10), (2, 20)]
    assert [(letter["seq"], letter["bytes"]) for letter in newer] == [(4, 10), (3, 10)]
