"""Content-Encoding: what is unpacked, how much of it, and in what time."""

from __future__ import annotations

import contextlib
import gzip
import time
import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.ingest.encoding import TooLargeError, require_known, unpack
from pepi_stream.ingest.scheme import Refusal

BODY = b'{"id": 1, "event_name": "sent"}' * 20


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)  # else the tests' names would change every second


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED = [
    ("", BODY),
    ("gzip", gzipped(BODY)),
    ("gzip", gzipped(BODY[:100]) + gzipped(BODY[100:])),
    ("x-gzip", gzipped(BODY)),
    ("deflate", zlib.compress(BODY)),
    ("deflate", raw_deflate(BODY)),
]


@pytest.mark.parametrize(("encoding", "packed"), PACKED)
def test_unpacked(encoding: str, packed: bytes) -> None:
    assert unpack(packed, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(("encoding", "packed"), PACKED[1:])
def test_no_more_than_allowed(encoding: str, packed: bytes) -> None:
    with pytest.raises(TooLargeError):
        unpack(packed, encoding, len(BODY) - 1)


def test_a_bomb_costs_no_memory() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(512)) + packer.flush()
    assert len(bomb) < 2**20
    started = time.process_time()
    with pytest.raises(TooLargeError):
        unpack(bomb, "gzip", 2**20)
    assert time.process_time() - started < 0.5  # all of it would take seconds


def test_many_tiny_members_cost_no_time() -> None:
    empty = gzipped(b"")
    started = time.process_time()
    with pytest.raises(Refusal) as refused:
        unpack(empty * (2**20 // len(empty)), "gzip", 2**20)
    assert refused.value.status == 400
    assert time.process_time() - started < 0.5


def test_what_follows_a_member_is_not_copied() -> None:
    body = gzipped(b"") * 99 + bytes(2**22)
    tracemalloc.start()
    try:
        with pytest.raises(Refusal):
            unpack(body, "gzip", 2**24)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2**20


@pytest.mark.parametrize(
    ("encoding", "size"), [(encoding, 2**n + d) for encoding in ("gzip", "deflate")
                           for n in (15, 16, 17, 18) for d in (-1, 0, 1)]
)  # fmt: skip
def test_bodies_of_several_pieces(encoding: str, size: int) -> None:
    body = Random(size).randbytes(size)  # which nothing packs into less
    packed = gzipped(body[:7]) + gzipped(body[7:]) if encoding == "gzip" else zlib.compress(body)
    assert unpack(packed, encoding, size) == body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", BODY), ("deflate", b"\xff" + BODY), ("gzip", gzipped(BODY)[:-1]),
     ("gzip", gzipped(BODY) + b"x"), ("deflate", zlib.compress(BODY) + b"x"),
     ("deflate", zlib.compress(BODY)[:-1]), ("gzip", zlib.compress(BODY)), ("deflate", b"x")],
)  # fmt: skip
def test_what_is_not_what_it_says(encoding: str, body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        unpack(body, encoding, 2**20)
    assert refused.value.status == 400
    assert encoding in refused.value.why


@given(st.binary(min_size=1), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_unpacked_or_refused(body: bytes, encoding: str) -> None:
    with contextlib.suppress(Refusal, TooLargeError):
        assert len(unpack(body, encoding, 1000)) <= 1000


@pytest.mark.parametrize(
    ("header", "known"), [("", ""), ("identity", ""), (" GZIP ", "gzip"), ("deflate", "deflate")]
)
def test_encodings_that_are_known(header: str, known: str) -> None:
    assert require_known(header) == known


@pytest.mark.parametrize("header", ["br", "zstd", "gzip, gzip", "compress", "\xff", "aws-chunked"])
def test_any_other_is_a_415_that_says_which_are(header: str) -> None:
    with pytest.raises(Refusal, match="gzip, deflate") as refused:
        require_known(header)
    assert refused.value.status == 415
