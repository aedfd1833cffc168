"""The search for poison rows, against a made-up server: who is refused, and in how many probes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.sink.poison import PoisonSearch

#: From the refused range (first, stop) and the row at fault to the server's message.
Message = Callable[[int, int, int], str]


def honest(first: int, stop: int, row: int) -> str:
    return f"Data too long for column 'campaign' at row {row - first + 1}"


def silent(first: int, stop: int, row: int) -> str:
    return "CONSTRAINT `no_seven` failed for `pepi`.`pepi_event`"


LIES: dict[str, Message] = {
    "always the first": lambda first, stop, row: "Data too long for column 'x' at row 1",
    "always the last": lambda first, stop, row: f"no at row {stop - first}",
    "one before": lambda first, stop, row: f"no at row {row - first}",
    "one behind": lambda first, stop, row: f"no at row {row - first + 2}",
    "far away": lambda first, stop, row: "no at row 999999999",
    "in a value": lambda first, stop, row: "Duplicate entry 'at row 3' for key 'a' at row 3 of 9",
    "beyond every number": lambda first, stop, row: "no at row 99999999999999999999",
}


def run(
    count: int, poison: Collection[int], message: Message, room: int = 10**9
) -> tuple[dict[int, str], int]:
    """Search as the transaction does; return what was refused, and how many statements it took.

    Args:
        count: rows.
        poison: rows that the server refuses.
        message: what it says then.
        room: rows of one statement, at most.
    """
    search = PoisonSearch(count)
    landed: list[int] = []
    statements = 0
    while probe := search.probe():
        first, stop = probe
        assert 0 <= first < stop <= count
        stop = min(stop, first + room)
        statements += 1
        assert statements < 100 + 100 * count, "it does not end"
        bad = next((row for row in range(first, stop) if row in poison), None)
        if bad is None:
            landed += range(first, stop)
            search.accept(stop)
        else:
            search.refuse(stop, message(first, stop, bad))
    assert landed == [row for row in range(count) if row not in poison]  # each once, in order
    assert search.refused.keys() == set(poison)
    return search.refused, statements


def test_no_rows_are_no_statement_and_clean_rows_are_one() -> None:
    assert run(0, [], honest) == ({}, 0)
    assert run(1, [], honest) == ({}, 1)
    assert run(10_000, [], honest) == ({}, 1)


@pytest.mark.parametrize("message", [honest, silent, *LIES.values()])
@pytest.mark.parametrize("place", [0, 1, 2, 1000, 2047, 2048, 4094, 4095])
def test_one_poison_row_costs_a_logarithm_whatever_the_server_says(
    message: Message, place: int
) -> None:
    _, statements = run(4096, {place}, message)
    # Of misleading messages, the first costs a prefix and a row, in vain.
    assert statements <= 1 + 2 * math.log2(4096) + (0 if message in (honest, silent) else 2)


def test_a_named_row_is_found_at_once() -> None:
    # All rows; those before it; itself; and then the rest.
    assert run(4096, {4095}, honest)[1] == 3
    assert run(4096, {2000}, honest)[1] <= 5


def test_the_message_kept_is_that_of_the_row_sent_alone() -> None:
    refused, _ = run(1000, {7, 500}, honest)
    assert set(refused.values()) == {"Data too long for column 'campaign' at row 1"}


def test_every_hundredth_row_costs_a_few_statements_each() -> None:
    poison = range(50, 100_000, 100)
    assert run(100_000, poison, honest)[1] <= 4 * len(poison)
    assert run(100_000, poison, silent)[1] <= (2 * math.log2(100) + 1) * len(poison)


def test_rows_that_are_all_poison_cost_one_statement_each() -> None:
    assert run(1000, range(1000), honest)[1] <= 1000 + 2 * math.log2(1000)
    assert run(1000, range(1000), silent)[1] <= 1000 + 2 * math.log2(1000)


@given(
    count=st.integers(0, 60),
    data=st.data(),
    message=st.sampled_from([honest, silent, *LIES.values()]),
    room=st.integers(1, 70),
)
def test_exactly_the_poison_is_refused(
    count: int, data: st.DataObject, message: Message, room: int
) -> None:
    poison = data.draw(st.sets(st.integers(0, max(0, count - 1)))) if count else set()
    _, statements = run(count, poison, message, room)
    each = 2 * math.log2(max(count, 2)) + 3
    assert statements <= 1 + count // room + len(poison) * each


def test_a_server_that_changes_its_mind_loses_and_repeats_nothing() -> None:
    """A unique index, say, whose other row was deleted meanwhile."""
    search = PoisonSearch(9)
    search.refuse(9, "Duplicate entry at row 5")
    landed: list[int] = []
    while probe := search.probe():
        landed += range(*probe)
        search.accept(probe[1])
    assert landed == list(range(9))
    assert search.refused == {}
