"""Payloads of a file: lines, and JSON that is laid out over several."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.commands.payload_file import payloads_of

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.text(), JSON, min_size=1) | st.lists(JSON, min_size=1)


def read(text: bytes) -> list[bytes]:
    return list(payloads_of(text.splitlines(keepends=True)))


@given(st.lists(st.tuples(RECORDS, st.sampled_from([None, 0, 1, 2, 4]))))
def test_each_value_is_a_payload_however_it_is_laid_out(
    values: list[tuple[Any, int | None]],
) -> None:
    written = [json.dumps(value, indent=indent).encode() for value, indent in values]
    assert read(b"\n".join(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        b"not json\nnot json either",
        b'{"id": 1}\n{"id": 2,\n{"id": 3}\n{"id": 4}',  # cut off after a comma
        b'{"id": 1, "a": [1, 2\n{"id": 2}',
        b'{"id": 1, "a": "cut,\n{"id": 2}\n}',
        b"[\n{",
        b"{\n]\n}\n",
        b"}\n]\n,",
        b'{"a":\n1}, {"b": 1}\n{"id": 2}',
        b'{"a": 1}{"b": 1}\n{"a": 1}{\n{"id": 2}',  # a line is a payload: that one is no JSON
        b"text:\n{",
    ],
)
def test_what_is_never_closed_takes_no_neighbour_along(text: bytes) -> None:
    assert read(text) == [line for line in text.split(b"\n") if line]


@given(
    st.lists(st.tuples(RECORDS, st.integers(0, 4)), min_size=1), st.sampled_from(["", " ", "\t"])
)
def test_laid_out_values_may_stand_against_each_other(
    values: list[tuple[Any, int]], between: str
) -> None:
    written = [json.dumps(value, indent=indent).encode() for value, indent in values]
    assert read(between.encode().join(written)) == written


def test_lines_that_are_empty_are_none() -> None:
    assert read(b"\r\n\n{}\r\n \n[]\n") == [b"{}", b"[]"]


def test_what_follows_a_laid_out_value_is_the_next_one() -> None:
    text = b'{\n  "a": "}",\n  "b": "\\"{"\n}\n{"c": 1}\n[\n  {}\n]\n'
    assert read(text) == [b'{\n  "a": "}",\n  "b": "\\"{"\n}', b'{"c": 1}', b"[\n  {}\n]"]


def test_a_large_file_takes_no_time() -> None:
    lines = [b'{"id": 1, "event_name": "sent", "email": "john@example.com"}\n'] * 200_000
    started = time.process_time()
    assert sum(1 for _ in payloads_of(lines)) == 200_000
    assert time.process_time() - started < 5


def test_values_against_each_other_take_no_quadratic_time() -> None:
    started = time.process_time()
    assert sum(1 for _ in payloads_of([b"{\n", *[b"}{\n"] * 200_000, b"}\n"])) == 200_001
    assert time.process_time() - started < 5


def test_lines_that_open_without_end_take_no_quadratic_time() -> None:
    started = time.process_time()
    assert sum(1 for _ in payloads_of([b"{\n"] * 20_000)) == 20_000
    assert time.process_time() - started < 5
