"""When a flush is due, and what it takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.events import Batch
from pepi_stream.sink import Rendered, SinkBuffer
from pepi_stream.sink.rows import rendered_text


def rendered(rows: int, width: int = 1) -> Rendered:
    claim = Claim(new_claim_id(1), [], delivery=1, received_at=1)
    batch = Batch(claim, format="f", size=rows, columns={})
    return rendered_text(batch, ["id"], ["x" * width] * rows)


def buffer(max_rows: int = 10, max_bytes: int = 1000, max_age: float = 5.0) -> SinkBuffer:
    return SinkBuffer(max_rows=max_rows, max_bytes=max_bytes, max_age_seconds=max_age)


def test_an_empty_buffer_is_never_due() -> None:
    empty = buffer()
    assert empty.due_in(0.0) is None
    assert empty.due_in(1e9) is None
    assert empty.take() == []


def test_it_is_due_when_the_oldest_claim_is_old_enough() -> None:
    one = buffer()
    one.add(rendered(1), now=100.0)
    one.add(rendered(1), now=104.0)
    assert one.due_in(100.0) == 5.0
    assert one.due_in(104.0) == 1.0
    assert one.due_in(105.0) == 0.0
    assert one.due_in(1000.0) == 0.0
    one.take()
    assert one.due_in(1000.0) is None


def test_a_claim_that_stays_keeps_its_age() -> None:
    one = buffer(max_rows=2)
    one.add(rendered(2), now=0.0)
    one.add(rendered(1), now=3.0)
    assert len(one.take()) == 1
    assert one.due_in(3.0) == 5.0


def test_it_is_due_at_once_with_enough_rows() -> None:
    one = buffer()
    one.add(rendered(9), now=0.0)
    assert one.due_in(0.0) == 5.0
    one.add(rendered(1), now=0.0)
    assert one.due_in(0.0) == 0.0


def test_it_is_due_at_once_with_enough_bytes() -> None:
    one = buffer()
    one.add(rendered(1, width=999), now=0.0)
    assert one.due_in(0.0) == 5.0
    one.add(rendered(1, width=1), now=0.0)
    assert one.due_in(0.0) == 0.0


def test_a_claim_of_dead_letters_only_is_due_by_age() -> None:
    one = buffer()
    one.add(rendered(0), now=0.0)
    assert one.due_in(1.0) == 4.0
    assert len(one.take()) == 1


def test_a_flush_takes_no_more_than_it_must() -> None:
    one = buffer()
    claims = [rendered(n) for n in (4, 5, 3, 6, 1)]
    for claim in claims:
        one.add(claim, now=0.0)
    assert one.take() == claims[:3]
    assert (len(one), one.rows) == (2, 7)
    assert one.take() == claims[3:]
    assert (len(one), one.rows, one.bytes) == (0, 0, 0)


def test_a_claim_above_all_bounds_is_taken_alone() -> None:
    one = buffer()
    big, small = rendered(100, width=100), rendered(1)
    one.add(big, now=0.0)
    one.add(small, now=0.0)
    assert one.take() == [big]
    assert one.take() == [small]


sizes = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200)), max_size=20)


@given(sizes=sizes, max_rows=st.integers(1, 40), max_bytes=st.integers(1, 2000))
def test_all_claims_leave_in_order_and_no_take_is_empty(
    sizes: list[tuple[int, int]], max_rows: int, max_bytes: int
) -> None:
    one = buffer(max_rows, max_bytes)
    claims = [rendered(rows, width) for rows, width in sizes]
    for claim in claims:
        one.add(claim, now=0.0)
    assert one.rows == sum(claim.size for claim in claims)
    assert one.bytes == sum(claim.weight for claim in claims)
    left: list[Rendered] = []
    while len(one):
        taken = one.take()
        assert taken
        before_last = taken[:-1]
        assert sum(claim.size for claim in before_last) < max_rows
        assert sum(claim.weight for claim in before_last) < max_bytes
        left += taken
    assert left == claims
    assert (one.rows, one.bytes) == (0, 0)
