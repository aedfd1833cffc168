"""Mailgun's signature: HMAC-SHA256 of timestamp + token, in the body.

Sources: Mailgun, user-manual/webhooks/securing-webhooks (the scheme; keep tokens against replays;
do not be "too aggressive" with the timestamp; `parent-signature` of subaccounts) and
webhook-retries (seven tries, the last after less than eight hours; any status but 200 and 406 is
tried again). Whether a retry is signed anew Mailgun does not say; Hookdeck (webhook-skills,
mailgun-webhooks/references/verification) found that it is not. A signature is therefore good for
nine hours: with less, an outage of ours would lose what Mailgun sends again.

The body is not signed. So a token is good for one body: Redis remembers it, for all workers, with
the body that it was used for. Only the same body is welcome again (Mailgun missed our answer), and
it is not queued again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Final

import msgspec

from pepi_stream.ingest.scheme import (
    FUTURE_SECONDS,
    Clock,
    Headers,
    Once,
    Verdict,
    require_fresh,
    wrong,
)

MAX_AGE_SECONDS: Final = 9 * 3600
TOKEN_SECONDS: Final = MAX_AGE_SECONDS + FUTURE_SECONDS
"""Signatures are good for so long, seen from the time when one may first come."""

_WRONG = "Mailgun's signature is missing, or not of ingest.mailgun_signing_key"


class _Signature(msgspec.Struct):
    timestamp: str | int
    token: str
    signature: str
    parent: str | None = msgspec.field(default=None, name="parent-signature")


class _Body(msgspec.Struct):
    signature: _Signature


_decoder = msgspec.json.Decoder(_Body)


class Mailgun:
    """Verifies Mailgun's signature.

    Args:
        key: the HTTP webhook signing key.
        now: seconds since 1970.
    """

    proves_early = False

    def __init__(self, key: str, now: Clock = time.time) -> None:
        self._key = key.encode()
        self._now = now

    def screen(self, headers: Headers) -> None:
        """Refuse nothing: the signature is in the body."""

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Let a body in whose token is signed, once."""
        try:
            given = _decoder.decode(body).signature
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise wrong(_WRONG) from None
        timestamp = str(given.timestamp)
        # Digits alone: timestamp + token has no separator.
        if not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
            raise wrong(_WRONG)
        if not re.fullmatch(r"[!-~]{16,200}", given.token):
            raise wrong(_WRONG)
        signed = (timestamp + given.token).encode()
        expected = hmac.new(self._key, signed, hashlib.sha256).hexdigest().encode()
        if not any(
            hmac.compare_digest(signature.encode(errors="replace"), expected)
            for signature in (given.signature, given.parent or "")
        ):
            raise wrong(_WRONG)
        require_fresh(int(timestamp), MAX_AGE_SECONDS, self._now)
        return Verdict(once=Once(hashlib.sha256(signed).hexdigest()[:32], TOKEN_SECONDS))
