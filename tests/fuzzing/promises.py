"""What must hold for any claim, from its bytes to the text of the sink's statements."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.events import Batch
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import load_settings
from pepi_stream.sink import RowRenderer, Schema, statements
from tests.bulk_rows import read_rows
from tests.decoding import check_partition

RECEIVED_MS = 1_700_000_000_123

_STRING = rb"'(?:[^'\\]|\\.)*+'"
_LITERAL = rb"(?:%s|NULL|-?\d[\d.e+-]*)" % _STRING
_ROW = re.compile(rb"\(((?:%s,)*%s)\)" % (_LITERAL, _LITERAL), re.S)
_VALUE = re.compile(_LITERAL, re.S)
_LETTER = re.compile(
    rb"\(X'[0-9a-f]{32}',(\d+),(\d+|NULL),(\d+),(%s),%s,_binary(%s)\)" % ((_STRING,) * 3), re.S
)

#: What became of one payload: its rows (columns that are not None), and its dead letters.
Fate = tuple[list[dict[str, Any]], list[tuple[int | None, bytes, str]]]


class Promises:
    """Checks claims of one format.

    Args:
        format: its name.
    """

    def __init__(self, format: str) -> None:
        settings = load_settings({"PEPI_SOURCE__FORMAT": format})
        self.pipeline = Pipeline.from_settings(settings)
        schema = Schema.from_settings(settings)
        self.renderer = RowRenderer(schema.columns)
        self.bulk_renderer = RowRenderer(schema.columns)
        self.bulk_renderer.bulk = True

    def fates(self, payloads: Sequence[bytes]) -> list[Fate]:
        """Return what becomes of each payload of a claim."""
        return _fates(self.batch(payloads), len(payloads))

    def batch(self, payloads: Sequence[bytes]) -> Batch:
        """Do what the agents do to a claim; an exception on the way is an error here."""
        claim = Claim(new_claim_id(1), list(payloads), delivery=1, received_at=RECEIVED_MS)
        with _nothing_logged():  # the pipeline logs what it had to catch
            return self.pipeline.count(self.pipeline.enrich(claim))

    def check(self, payloads: Sequence[bytes]) -> list[Fate]:
        """Check a claim; return what became of each payload.

        Raises:
            AssertionError: a promise is broken.
            Exception: so is the one that nothing raises.
        """
        payloads = list(payloads)
        check_partition(self.pipeline.format, payloads, self.pipeline.format.decode(payloads))
        batch = self.batch(payloads)
        assert all(sum(c.values()) == len(batch) for c in batch.counts.values())
        fates = _fates(batch, len(payloads))
        for position, (payload, fate) in enumerate(zip(payloads, fates, strict=True)):
            alone = self.fates([payload])[0]
            # How deep is too deep depends, by a level or two, on how deep the decoder was called.
            if not _too_deep(fate) and not _too_deep(alone):
                assert fate == alone, f"payload {position} depends on its neighbours"
        self._check_rows(batch)
        self._check_letters(batch)
        return fates

    def _check_rows(self, batch: Batch) -> None:
        rendered = self.renderer.render(batch)
        rows = rendered.rows()
        assert rendered.size == len(rows) == len(batch)
        if not rows:
            return
        assert rendered.body is not None
        text = statements.insert_values("", [rendered.body])
        assert text == statements.insert_rows("", rows), "rows differ when they are made again"
        columns = [
            [(_time if c.epoch_ms else _meant)(value) for value in c.values(batch)]
            for c in self.renderer.columns
            if c.values is not None
        ]
        found = []
        at = 0
        while at < len(text):
            row = _ROW.match(text, at)
            assert row, f"no row at byte {at} of {text!r}"
            found.append(tuple(map(_read, _VALUE.findall(row[1]))))
            at = row.end() + 1
            assert text[row.end() : at] in (b",", b"")
        assert found == list(zip(*columns, strict=True))
        bulk = self.bulk_renderer.render(batch)
        assert bulk.body is not None
        assert bulk.types is not None
        assert [tuple(map(_meant, row)) for row in read_rows(bulk.body, bulk.types)] == found
        assert bulk.rows() == rows

    def _check_letters(self, batch: Batch) -> None:
        letters = [(batch.claim, d.format or batch.format, d) for d in batch.dead]
        found = [
            (int(position), None if element == b"NULL" else int(element), _read(payload))
            for statement in statements.insert_dead("pepi_dead_letter", letters, 8 << 20)
            for position, element, part, _, payload in _LETTER.findall(statement)
        ]
        assert found == [(d.position, d.element, d.payload) for d in batch.dead]


def _fates(batch: Batch, count: int) -> list[Fate]:
    fates: list[Fate] = [([], []) for _ in range(count)]
    columns = list(batch.columns.items())
    for index in range(len(batch)):
        row = {name: column[index] for name, column in columns if column[index] is not None}
        fates[batch.origin(index)[0]][0].append(row)
    for letter in batch.dead:
        fates[letter.position][1].append((letter.element, letter.payload, letter.reason))
    return fates


def _too_deep(fate: Fate) -> bool:
    return any(reason == "nested too deeply" for _, _, reason in fate[1])


def _meant(value: object) -> bytes | None:
    """Return what the server should read, as bytes; None for NULL."""
    if isinstance(value, bytes):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return str(int(value) if isinstance(value, bool) else value).encode()


def _time(ms: int) -> bytes:
    at = datetime(1970, 1, 1) + timedelta(milliseconds=ms)
    return at.isoformat(" ", "milliseconds").encode()


def _read(text: bytes) -> bytes | None:
    """Read a literal as the server does."""
    if text == b"NULL":
        return None
    if not text.startswith(b"'"):
        return text
    parts = [part.replace(b"\\'", b"'") for part in text[1:-1].split(b"\\\\")]
    assert not any(b"\\" in part for part in parts), f"the server reads an escape in {text[:99]!r}"
    return b"\\".join(parts)


@contextmanager
def _nothing_logged() -> Iterator[None]:
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            caught.append(record)

    caught: list[logging.LogRecord] = []
    logger = logging.getLogger("pepi_stream")
    handler = Raising()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
    for record in caught:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]
        raise AssertionError(record.getMessage())
