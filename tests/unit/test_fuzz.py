"""A bounded piece of what `make fuzz` does at length, and proof that it finds faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pytest

from pepi_stream.events import Batch
from pepi_stream.formats import FORMATS, Decoded, Format, arrays
from pepi_stream.formats.base import JsonFormat
from pepi_stream.sink import literals, parameters, rows
from pepi_stream.sink.cells import Cells, Table, lay_out
from tests.decoding import DEEP
from tests.fuzzing.campaign import Campaign
from tests.fuzzing.corpus import SAMPLES
from tests.fuzzing.mutator import Mutator
from tests.fuzzing.promises import Promises

CLAIMS = 600  # for each format; a second or two


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_claims_break_no_promise(name: str) -> None:
    campaign = Campaign(name, seed=1)
    failure = campaign.run(CLAIMS)
    assert failure is None, f"{failure.error!r} for {failure.payloads!r}"
    assert campaign.claims == CLAIMS


def test_the_same_seed_makes_the_same_payloads() -> None:
    one, two, other = Mutator(7, SAMPLES), Mutator(7, SAMPLES), Mutator(8, SAMPLES)
    payloads = [one.payload() for _ in range(50)]
    assert payloads == [two.payload() for _ in range(50)]
    assert payloads != [other.payload() for _ in range(50)]


def test_a_failing_claim_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = JsonFormat.decode

    def fails(self: JsonFormat[object], payloads: Sequence[bytes]) -> Decoded:
        if any(b"]" in payload and b"null" in payload for payload in payloads):
            raise ValueError("planted")
        return decode(self, payloads)

    monkeypatch.setattr(JsonFormat, "decode", fails)
    failure = Campaign("plain", seed=1).run(CLAIMS)
    assert failure is not None
    assert str(failure.error) == "planted"
    assert b"".join(failure.payloads) in (b"]null", b"null]")


def raise_for_recursion(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = JsonFormat.record_by_record

    def fails(self: JsonFormat[object], payloads: Sequence[bytes]) -> Decoded:
        decoded = decode(self, payloads)
        if any(letter.reason == "nested too deeply" for letter in decoded.dead):
            raise RecursionError
        return decoded

    monkeypatch.setattr(JsonFormat, "record_by_record", fails)


def lose_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = JsonFormat.record_by_record

    def loses(self: JsonFormat[object], payloads: Sequence[bytes]) -> Decoded:
        decoded = decode(self, payloads)
        decoded.dead = [d for d in decoded.dead if d.element != 1]
        return decoded

    monkeypatch.setattr(JsonFormat, "record_by_record", loses)


def refuse_the_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = JsonFormat.decode

    def swallows(self: JsonFormat[object], payloads: Sequence[bytes]) -> Decoded:
        late = [b"x" if b'"NaN' in p or b"\xff" in p else p for p in (b"", *payloads[:-1])]
        return decode(
            self, [b"gone" if was == b"x" else p for was, p in zip(late, payloads, strict=True)]
        )

    monkeypatch.setattr(JsonFormat, "decode", swallows)


def forget_backslashes(monkeypatch: pytest.MonkeyPatch) -> None:
    def quote(text: str) -> str:
        return "'" + text.replace("'", "\\'") + "'"

    monkeypatch.setitem(literals._LITERAL, str, quote)


def take_anything_for_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "is_clean_text", lambda values: set(map(type, values)) == {str})


def drop_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    render = rows.RowRenderer.render

    def drops(self: rows.RowRenderer, batch: Batch) -> rows.Rendered:
        rendered = render(self, batch)
        kept = rendered.rows()[:3]
        return rows.rendered_text(batch, rendered.names, kept) if kept else rendered

    monkeypatch.setattr(rows.RowRenderer, "render", drops)


def count_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_it_is(text: str) -> str:
        return text.encode("latin-1", "replace").decode("latin-1")

    monkeypatch.setattr(parameters, "_one_character_a_byte", as_it_is)


def cap_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parameters, "_PREFIXES", {size: "\0" + chr(min(size, 20)) for size in range(1024)}
    )


def mix_up_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    right = lay_out

    def turned(size: int, columns: Sequence[Cells], separator: str = "") -> Table:
        cells, width = right(size, columns, separator)
        return Table(cells[-width:] + cells[:-width], width)

    monkeypatch.setattr(rows, "lay_out", turned)


@pytest.mark.parametrize(
    "plant",
    [
        *(raise_for_recursion, lose_a_dead_letter, refuse_the_neighbour),
        *(forget_backslashes, take_anything_for_clean, drop_a_row),
        *(count_characters, cap_lengths, mix_up_columns),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plant(monkeypatch)
    campaign = Campaign("plain", seed=1)
    monkeypatch.setattr(campaign, "_smallest", lambda payloads, error: (payloads, error))
    assert campaign.run(CLAIMS) is not None


def test_a_format_without_a_sample_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strange(Format):
        name = "strange"

        def decode(self, payloads: Sequence[bytes]) -> Decoded:
            return FORMATS["plain"]().decode([b"bad"] * len(payloads))

    monkeypatch.setitem(FORMATS, "strange", Strange)
    with pytest.raises(AssertionError, match="no sample is a row in the format strange"):
        Campaign("strange", seed=1)


@cache
def promises_of(name: str) -> Promises:
    """One for all bombs: making it takes longer than checking one."""
    return Promises(name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("inside", ["alone", "unknown field", "known field", "array"])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[1,{"":', b"}]")])
@pytest.mark.parametrize("whole", [True, False], ids=["closed", "cut"])
def test_a_nesting_bomb_is_a_dead_letter(
    name: str, inside: str, left: bytes, right: bytes, whole: bool
) -> None:
    """Very deep: no recursion without a bound, and linear time (a timed-out test if not)."""
    times = DEEP // (left.count(b"[") + left.count(b"{"))
    bomb = left * times + (b"1" + right * times if whole else b"")
    promises = promises_of(name)
    good = next(s for s in SAMPLES if promises.fates([s])[0][0] and s.startswith(b"{"))
    key = good[1 : good.index(b":") + 1]
    hostile = {
        "alone": bomb,
        "unknown field": good[:-1] + b',"no such field":' + bomb + b"}",
        "known field": b"{" + key + bomb + b"," + good[1:],
        "array": b"[" + good + b"," + bomb + b"," + good + b"]",
    }[inside]
    fates = promises.check([good, hostile, good])
    rows, letters = fates[1]
    assert fates[0] == fates[2] == promises.fates([good])[0]
    apart = whole and len(hostile) <= arrays.MAX_BYTES
    if apart and inside == "array":  # its neighbours are events
        assert rows == fates[0][0] * 2
        assert [(element, payload) for element, payload, _ in letters] == [(1, bomb)]
    elif apart and inside == "alone" and left.startswith(b"[") and name != "auto":  # an array, too
        assert rows == []
        assert b",".join(payload for _, payload, _ in letters) == bomb[1:-1]
    else:
        assert rows == []
        assert [(element, payload) for element, payload, _ in letters] == [(None, hostile)]
    for _, _, reason in letters:
        assert "nested" in reason or "must be" in reason or "not JSON" in reason


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "bomb",
    [b'"' + b'\\"' * 500_000 + b'"', b'"' + b"\\" * 1_000_001, b'"' + b"\\u0022" * 200_000 + b'"'],
    ids=["quotes", "backslashes", "escaped quotes"],
)
def test_a_bomb_of_quotes_is_taken_in_linear_time(name: str, bomb: bytes) -> None:
    promises = promises_of(name)
    good = next(s for s in SAMPLES if promises.fates([s])[0][0] and s.startswith(b"{"))
    unknown = good[:-1] + b',"no such field":' + bomb + b"}"
    fates = promises.check([good, bomb, unknown, b"[" + unknown + b",1]", good])
    assert fates[0] == fates[4]
    assert len(fates[1][1]) == 1
