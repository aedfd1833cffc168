"""Content-Encoding: a compressed body is unpacked, up to a bound. Pure.

Source: RFC 9110, 8.4.1: gzip (RFC 1952, one member or several), x-gzip which is the same, deflate
(the zlib format of RFC 1950; some send RFC 1951 alone).
"""

from __future__ import annotations

import zlib
from typing import Final

from pepi_stream.ingest.scheme import Refusal

ACCEPTED: Final = "gzip, deflate, identity"

_MEMBERS: Final = 100
# Bytes that are unpacked at a time: a member's end, and any limit, copy what is left of them.
_PIECE: Final = 1 << 16
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS


class TooLargeError(ValueError):
    """Unpacked, the body has more bytes than are allowed."""


def require_known(encoding: str) -> str:
    """Return the one encoding in a Content-Encoding header, "" for none.

    Raises:
        Refusal: 415, it is not one that is unpacked here, or they are several.
    """
    found = encoding.strip().lower()
    if found in ("", "identity"):
        return ""
    if found in ("gzip", "x-gzip", "deflate"):
        return found
    raise Refusal(415, f"a body is taken in plain, or compressed as one of: {ACCEPTED}")


def unpack(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a body as it was before it was compressed.

    Args:
        body: as it came; not empty.
        encoding: what :func:`require_known` has returned.
        max_bytes: of what is returned, at most; no more than that is unpacked.

    Raises:
        Refusal: 400, the body is not compressed as it says.
        TooLargeError: it would have more bytes.
    """
    if not encoding:
        return body
    if encoding != "deflate":
        kind = _GZIP
    elif body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0:  # RFC 1950, 2.2
        kind = _ZLIB
    else:
        kind = _RAW
    unpacked = bytearray()
    packed = memoryview(body)
    at = 0
    try:
        for _ in range(_MEMBERS if kind == _GZIP else 1):
            member = zlib.decompressobj(kind)
            while not member.eof and at < len(packed):
                piece = packed[at : at + _PIECE]
                unpacked += member.decompress(piece, max_bytes + 1 - len(unpacked))
                if len(unpacked) > max_bytes:
                    raise TooLargeError
                at += len(piece) - len(member.unused_data) - len(member.unconsumed_tail)
            if at == len(packed):
                if member.eof:
                    return bytes(unpacked)
                break
    except zlib.error:
        pass
    raise Refusal(400, f"the body is not {encoding}, as its Content-Encoding says")
