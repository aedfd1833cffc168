"""HTTP basic authentication (RFC 7617): Postmark, SparkPost and Pepipost, who sign nothing.

Sources: Postmark, developer/webhooks/webhooks-overview ("Basic HTTP authentication"); Bird
(SparkPost), email-api/webhooks, auth_type "basic". Both take user and password with the URL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from pepi_stream.ingest.scheme import Headers, Refusal, Verdict

_CHALLENGE: Final = 'Basic realm="pepi_stream", charset="UTF-8"'


class Basic:
    """Compares user and password.

    Args:
        credentials: "user:password".
    """

    proves_early = True

    def __init__(self, credentials: str) -> None:
        self._digest = hashlib.sha256(credentials.encode()).digest()

    def screen(self, headers: Headers) -> None:
        """Refuse a request without them."""
        given = credentials_of(headers.get("Authorization", ""))
        # Of digests, so that not even the length shows in the time it takes.
        digest = hashlib.sha256(given or b"").digest()
        if given is None or not hmac.compare_digest(digest, self._digest):
            raise Refusal(401, "user and password are missing or wrong", _CHALLENGE)

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Let the body in."""
        return Verdict()


def credentials_of(authorization: str) -> bytes | None:
    """Return "user:password" of an Authorization header; None if it has none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
