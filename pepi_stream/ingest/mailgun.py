"""Mailgun's signature: HMAC-SHA256 of timestamp + token, in the body.

Sources: Mailgun, user-manual/webhooks/securing-webhooks (the scheme; keep tokens against replays;
do not be "too aggressive" with the timestamp; `parent-signature` of subaccounts) and
webhook-retries (seven tries, the last after less than eight hours; any status but 200 and 406 is
tried again). Whether a retry is signed anew Mailgun does not say; Hookdeck (webhook-skills,
mailgun-webhooks/references/verification) found that it is not. A signature is therefore good for
nine hours: with less, an outage of ours would lose what Mailgun sends again.

The body is not signed. So a token is good for one body: it is remembered once Redis has the body,
and after that only the same body is welcome again (Mailgun missed our answer), and not queued.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from functools import partial
from typing import Final

import msgspec

from pepi_stream.ingest.scheme import Clock, Headers, Refusal, Verdict, require_fresh, wrong

MAX_AGE_SECONDS: Final = 9 * 3600
MAX_TOKENS: Final = 100_000

_WRONG = "Mailgun's signature is missing, or not of ingest.mailgun_signing_key"


class _Signature(msgspec.Struct):
    timestamp: str | int
    token: str
    signature: str
    parent: str | None = msgspec.field(default=None, name="parent-signature")


class _Body(msgspec.Struct):
    signature: _Signature


_decoder = msgspec.json.Decoder(_Body)


class Tokens:
    """Remembers which tokens were used, for which bodies: the newest of them.

    Args:
        most: how many, at most; some 250 bytes each.
    """

    def __init__(self, most: int = MAX_TOKENS) -> None:
        self._most = most
        self._taken: OrderedDict[bytes, bytes] = OrderedDict()
        self._pending: set[bytes] = set()

    def use(self, token: bytes, body: bytes) -> Verdict:
        """Take a token for a body.

        Raises:
            Refusal: it was used for another body, or is in use just now.
        """
        if token in self._pending:
            raise Refusal(503, "the same request is being dealt with")
        digest = hashlib.sha256(body).digest()
        before = self._taken.get(token)
        if before is not None:
            if before != digest:
                raise wrong("Mailgun's token was used before, for another body")
            return Verdict(push=False)
        self._pending.add(token)
        return Verdict(settle=partial(self._settle, token, digest))

    def _settle(self, token: bytes, digest: bytes, taken: bool) -> None:
        self._pending.discard(token)
        if taken:
            self._taken[token] = digest
            if len(self._taken) > self._most:
                self._taken.popitem(last=False)


class Mailgun:
    """Verifies Mailgun's signature.

    Args:
        key: the HTTP webhook signing key.
        now: seconds since 1970.
        tokens: those that were used.
    """

    def __init__(self, key: str, now: Clock = time.time, tokens: Tokens | None = None) -> None:
        self._key = key.encode()
        self._now = now
        self._tokens = tokens or Tokens()

    def screen(self, headers: Headers) -> None:
        """Refuse nothing: the signature is in the body."""

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Let a body in whose token is signed and was not used."""
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
        return self._tokens.use(hashlib.sha256(signed).digest(), body)
