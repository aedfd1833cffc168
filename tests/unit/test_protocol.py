"""The delivery protocol is of one version everywhere, and what it says of digests never changes."""

from __future__ import annotations

from pepi_stream.claims import Claim
from pepi_stream.claims.protocol import KNOWN_PROTOCOLS, PROTOCOL

ID = "0190163d-8694-739b-aea5-966c26f8ad91"


def digest(*payloads: bytes) -> str:
    return Claim(ID, list(payloads), delivery=1, received_at=1).digest.hex()


def test_a_release_can_read_what_it_writes() -> None:
    assert PROTOCOL in KNOWN_PROTOCOLS


def test_the_digests_of_version_1() -> None:
    """Written down from SHA-256 of the lengths (eight bytes each, little-endian) and the bytes.

    Ledgers are full of them: if this fails, do not change it, but see docs/decisions/0007.
    """
    assert digest(b"a") == "ae6121c88ba555f64c3d812123eb799d"
    assert digest(b"ab", b"", b"c\xff") == "f7f352c8b66f4b74eba428b8b67daee8"
    assert digest() == "e3b0c44298fc1c149afbf4c8996fb924"
