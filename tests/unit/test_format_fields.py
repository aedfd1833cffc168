"""Every field of every sample with every kind of value, and without it.

Only what identifies an event may cost it: what happened, and to what (docs/decisions/0024). These
fields are named here; whatever else is wrong reads as absent, in the same event.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from pepi_stream.formats import FORMATS, load_format
from tests.decoding import check_partition
from tests.format_cases import raw
from tests.fuzzing.corpus import SAMPLES
from tests.unit.test_provider_cases import CASES as PROVIDER_CASES
from tests.unit.test_stranger_payloads import CASES as STRANGER_CASES

Path = tuple[Any, ...]

HUGE = object()  # a whole number of more digits than Python reads
BEYOND = object()  # 1e400
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, BEYOND, 10**40, HUGE, "", "x", "\ud83d", "half \udc00"),
    *([], [1], [None], ["x"], [[]], [{}], {}, {"a": 1}, {"a": {"b": [{"c": None}]}}),
]
ABSENT = object()

# What may cost an event, by the last key of the way to it: what happened, and to what. Lists of
# recipients and parts that hold such a field are named, too.
IDENTIFYING: dict[str, set[str]] = {
    "pepipost": {"EVENT", "TRANSID", "EMAIL"},
    "sendgrid": {"event", "email"},
    "ses": {"eventType", "notificationType", "Message", "detail", "mail", "emailAddress"}
    | {"bouncedRecipients", "complainedRecipients", "delayedRecipients"},
    "mailgun": {"event", "event-data"},
    "postmark": {"RecordType"},
    "sparkpost": {"type", "msys", "message_event", "track_event", "gen_event"}
    | {"unsubscribe_event"},
    "plain": {"event", "event_name"},
}


def paths(value: Any, way: Path = ()) -> Iterator[Path]:
    """Yield the way to every field, in objects, lists, and SNS's text of JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*way, key)
            if key == "Message" and isinstance(inner, str) and inner.startswith("{"):
                yield from paths(json.loads(inner), (*way, key, json))
            else:
                yield from paths(inner, (*way, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*way, index)
            yield from paths(inner, (*way, index))


def changed(value: Any, way: Path, new: Any) -> Any:
    """Return a copy with another value at the end of a way, or nothing there."""
    key, *rest = way
    if key is json:
        return dumps(changed(json.loads(value), tuple(rest), new))
    copied = copy.copy(value)
    if rest:
        copied[key] = changed(value[key], tuple(rest), new)
    elif new is ABSENT:
        del copied[key]
    else:
        copied[key] = new
    return copied


def value_at(value: Any, way: Path) -> Any:
    for key in way:
        value = json.loads(value) if key is json else value[key]
    return value


def dumps(value: Any) -> str:
    text = json.dumps(value, default=lambda v: "<huge>" if v is HUGE else "<beyond>")
    return text.replace('"<huge>"', "9" * 5000).replace('"<beyond>"', "1e400")


def samples() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in FORMATS if name != "auto"}
    for name, cases in PROVIDER_CASES.items():
        found[name] += [case["payload"] for case in cases]
    for case in STRANGER_CASES:
        if case["format"] != "auto":
            found[case["format"]].append(case["payload"])
    auto = load_format("auto")
    for sample in SAMPLES:
        name_of = auto.taken_for(sample)
        if name_of and not load_format(name_of).decode([sample]).dead:
            found[name_of].append(json.loads(sample))
    return found


SAMPLES_OF = samples()


def variants(payload: Any) -> Iterator[tuple[Path, Any, bytes]]:
    for way in paths(payload):
        for value in (*VALUES, ABSENT):
            if value is ABSENT and isinstance(way[-1], int):
                continue
            yield way, value, dumps(changed(payload, way, value)).encode()


@cache
def shapes(name: str) -> list[Any]:
    """Return the samples of which each has a field that none before it has."""
    chosen: list[Any] = []
    known: set[Path] = set()
    for payload in SAMPLES_OF[name]:
        ways = {tuple(k for k in way if not isinstance(k, int)) for way in paths(payload)}
        if not ways <= known:
            chosen.append(payload)
            known |= ways
    return chosen


def identifies(name: str, way: Path) -> bool:
    named = [key for key in way if isinstance(key, str)]
    return not named or named[-1] in IDENTIFYING[name]


@pytest.mark.parametrize("name", SAMPLES_OF)
def test_only_what_identifies_an_event_may_cost_it(name: str) -> None:
    assert shapes(name)
    for payload in shapes(name):
        good = raw(payload)
        for format in (load_format(name), load_format("auto")):
            assert format.decode([good]).dead == [], payload
        for way, _, bad in variants(payload):
            if identifies(name, way):
                continue
            decoded = load_format(name).decode([bad])
            assert decoded.dead == [], f"{way}: {bad[:600]!r}"


@pytest.mark.parametrize("name", SAMPLES_OF)
def test_a_wrong_type_reads_as_absent(name: str) -> None:
    """So no other column is another than without the field."""
    for payload in shapes(name):
        for way in paths(payload):
            if identifies(name, way) or isinstance(way[-1], int):
                continue
            was = value_at(payload, way)
            wrong = [5, True, [{}]] if isinstance(was, dict) else [{}, {"a": 1}, [[]], [{}]]
            absent = rows_by_origin(name, [dumps(changed(payload, way, ABSENT)).encode()])
            for value in wrong:
                made = rows_by_origin(name, [dumps(changed(payload, way, value)).encode()])
                assert made == absent, f"{way}: {value!r} for {was!r}"


@pytest.mark.parametrize("name", [*SAMPLES_OF, "auto"])
def test_no_neighbour_is_touched_and_no_record_lost(name: str) -> None:
    format = load_format(name)
    for own in SAMPLES_OF if name == "auto" else [name]:
        for payload in shapes(own):
            good = raw(payload)
            before = rows_by_origin(name, [good])
            claims = [bad for _, _, bad in variants(payload)]
            for start in range(0, len(claims), 50):
                claim = [good, *claims[start : start + 50], good]
                decoded = format.decode(claim)
                check_partition(format, claim, decoded)
            for bad in claims[:: 1 + len(claims) // 20]:
                rows = rows_by_origin(name, [good, bad, good])
                assert rows[0] == before[0]
                assert rows[2] == before[0]


def rows_by_origin(name: str, claim: list[bytes]) -> dict[int, list[dict[str, Any]]]:
    decoded = load_format(name).decode(claim)
    found: dict[int, list[dict[str, Any]]] = {n: [] for n in range(len(claim))}
    for index in range(decoded.size):
        position = decoded.origins[index][0] if decoded.origins else index
        found[position].append(
            {k: c[index] for k, c in decoded.columns.items() if c[index] is not None}
        )
    return found
