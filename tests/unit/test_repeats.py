"""Which events are repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.events import Batch
from pepi_stream.sink.repeats import Repeat, find_repeats, key_hashes, uid_hash
from tests.sinking import claim_of

uids = st.sampled_from([None, b"a", b"b", b"c"])


def test_the_first_of_a_flush_takes_effect_and_later_ones_do_not() -> None:
    assert find_repeats([[b"a", b"b", b"a"], [None, b"b"]]) == [
        Repeat(0, 2, b"a"),
        Repeat(1, 1, b"b"),
    ]
    assert find_repeats([[b"a", None, b"b"]], frozenset([b"a"])) == [Repeat(0, 0, b"a")]


@given(flush=st.lists(st.lists(uids)), known=st.frozensets(st.sampled_from([b"a", b"b"])))
def test_each_uid_stays_once_and_events_without_one_all_stay(
    flush: list[list[bytes | None]], known: frozenset[bytes]
) -> None:
    gone = {(repeat.batch, repeat.event) for repeat in find_repeats(flush, known)}
    stay = [
        uid
        for number, hashes in enumerate(flush)
        for index, uid in enumerate(hashes)
        if (number, index) not in gone
    ]
    everything = [uid for hashes in flush for uid in hashes]
    assert stay.count(None) == everything.count(None)
    assert sorted(uid for uid in stay if uid) == sorted({u for u in everything if u} - known)


def test_uids_are_compared_by_their_bytes() -> None:
    texts = ["a", "A", "a ", "\u00e4", "a\u0308", " ", "\ud800", "x" * 70_000, "x" * 70_001]
    assert len({uid_hash(text) for text in texts}) == len(texts)
    assert uid_hash("a") == uid_hash("a")
    assert len(uid_hash("a") or b"") == 16


def test_an_event_without_a_uid_is_never_a_repeat() -> None:
    assert uid_hash(None) is None
    assert uid_hash("") is None
    assert uid_hash("", "plain") is None


def test_a_uid_is_of_its_provider() -> None:
    pairs = [("1", None), ("1", "ses"), ("1", "mailgun"), ("s1", "se"), ("ses1", None)]
    assert len({uid_hash(*pair) for pair in pairs}) == len(pairs)


def batch_of(**columns: list[object]) -> Batch:
    [size] = {len(column) for column in columns.values()}
    return Batch(claim_of([b""] * size), format="plain", size=size, columns=dict(columns))


def test_the_key_of_several_fields_is_told_apart_by_each_of_them() -> None:
    batch = batch_of(
        id=["a", "a", "a", "ab", "a", None, "", "a"],
        url=["b", "b", None, "", "", "b", "b", "b"],
        esp=["x", "x", "x", "x", "x", "x", "x", "y"],
    )
    keys = key_hashes(batch, ("id", "url"))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 6  # None among them
    assert keys[5] is None
    assert keys[6] is None


def test_the_key_of_one_field_is_what_it_was_for_event_uid() -> None:
    batch = batch_of(event_uid=["u", None], esp=["ses", "ses"])
    assert key_hashes(batch, ("event_uid",)) == [uid_hash("u", "ses"), None]
