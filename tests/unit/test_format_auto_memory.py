"""What ``auto`` remembers of other payloads never decides what a payload is.

Webhooks are bound to the format that `taken_for` names (docs/decisions/0016), so a claim must be
read by that one, whatever has come before.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from pepi_stream.formats import Decoded, load_format
from pepi_stream.formats.auto import AutoFormat
from tests.decoding import origins, row
from tests.fuzzing.corpus import SAMPLES


def records() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for sample in SAMPLES:
        try:
            value = json.loads(sample)
        except ValueError:
            continue
        values = value if isinstance(value, list) else [value]
        found += [one for one in values if isinstance(one, dict)]
    return found


RECORDS = records()


def mixture(random: Random) -> bytes:
    """Return an object with some members of a few providers' records, maybe the same name twice."""
    members: list[tuple[str, Any]] = []
    for record in random.sample(RECORDS, random.choice((1, 2, 2, 3))):
        members += random.sample(list(record.items()), random.randint(1, len(record)))
    if random.random() < 0.5:
        random.shuffle(members)
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members)
    return f"{{{text}}}".encode()


def payload(random: Random) -> bytes:
    if random.random() < 0.7:
        return mixture(random)
    return b"[" + b",".join(mixture(random) for _ in range(random.randint(1, 3))) + b"]"


def rows(decoded: Decoded) -> dict[int, list[dict[str, Any]]]:
    """Return the rows of each payload."""
    by_payload: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for index, (position, element) in enumerate(origins(decoded)):
        by_payload.setdefault(position, []).append((element or 0, row(decoded, index)))
    return {
        position: [one for _, one in sorted(found, key=lambda pair: pair[0])]
        for position, found in by_payload.items()
    }


@pytest.mark.parametrize("seed", range(8))
def test_a_payload_is_read_by_the_format_that_it_is_taken_for(seed: int) -> None:
    random = Random(seed)
    auto = AutoFormat()
    for _ in range(1500):
        payloads = [payload(random) for _ in range(random.randint(1, 5))]
        payloads += random.sample(SAMPLES, random.randint(0, 2))  # these are what it learns from
        random.shuffle(payloads)
        found = rows(auto.decode(payloads))
        for position, one in enumerate(payloads):
            name = AutoFormat().taken_for(one)
            expected = {} if name is None else rows(load_format(name).decode([one]))
            assert found.get(position, []) == expected.get(0, []), (name, one)


# What stands in names as bytes: no UTF-8, half of a surrogate pair, and that in UTF-8.
UNREADABLE = (rb'"\ud800"', b'"\xff"', b'"\xed\xa0\x80"')


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("beginning", [b"{", b'"detail": {', b'"message": {'])
def test_a_member_whose_name_is_no_text_hides_nothing(beginning: bytes, name: bytes) -> None:
    samples = [one for one in SAMPLES if beginning in one]
    assert samples
    for sample in samples:
        there, rest = sample[: (at := sample.index(beginning) + len(beginning))], sample[at:]
        odd, even = there + name + b":1," + rest, there + b'"x":1,' + rest
        taken = AutoFormat().taken_for(even)
        assert AutoFormat().taken_for(odd) == taken
        learned = AutoFormat()
        learned._guesses[odd[:8]] = taken or "sendgrid"
        assert rows(learned.decode([odd])) == rows(AutoFormat().decode([odd]))
