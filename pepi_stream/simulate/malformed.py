"""Payloads that no format can read, as real producers and proxies send them now and then."""

from __future__ import annotations

from typing import Final

MALFORMED: Final = (
    # A producer that died in the middle of a write.
    b'{"TRANSID": 17672256004711230, "EVENT": "opened", "EMAIL": "jane.doe@exam',
    # A proxy's error page, forwarded as if it were the webhook's body.
    b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    # JSON of a text of JSON.
    b'"{\\"event\\": \\"delivered\\", \\"email\\": \\"jane.doe@example.com\\"}"',
    # A compressed body that nobody has unpacked.
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabVJ-K\xcd+Q\xb2R\xca/H\xcdS\xaa\x05\x00",
    # A producer that had nothing to say, and said it.
    b"",
    # JSON of something else: a health check that went to the queue.
    b'{"status": "ok", "uptime_seconds": 86400}',
)
"""Each is one dead letter, whatever ``source.format`` is."""
