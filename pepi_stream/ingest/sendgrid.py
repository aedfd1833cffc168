"""SendGrid's Signed Event Webhook: ECDSA (P-256, SHA-256) of timestamp + body.

Source: Twilio, sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-
features. It says nothing of how old a timestamp may be, nor whether a retry (they go on for 24
hours) is signed anew. A signature is therefore good for a day and an hour: a replay within that can
only repeat what SendGrid has said, since the body is signed, and `sg_event_id` tells it apart.
"""

from __future__ import annotations

import base64
import re
import time
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pepi_stream.ingest.scheme import Clock, Headers, Verdict, require_fresh, wrong

SIGNATURE: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP: Final = "X-Twilio-Email-Event-Webhook-Timestamp"
MAX_AGE_SECONDS: Final = 25 * 3600

_MISSING = "the headers of SendGrid's Signed Event Webhook are missing; is it switched on there?"
_WRONG = "SendGrid's signature is not of this body and ingest.sendgrid_public_key"


def load_key(text: str) -> ec.EllipticCurvePublicKey:
    """Return the public key that SendGrid shows: base64 of DER, or PEM.

    Raises:
        ValueError: it is not an ECDSA public key on the curve P-256.
    """
    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_public_key(text.encode())
        else:
            der = base64.b64decode("".join(text.split()), validate=True)
            key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("should be the base64 or PEM of an ECDSA public key on the curve P-256")
    return key


class SendGrid:
    """Verifies SendGrid's signature.

    Args:
        key: the verification key.
        now: seconds since 1970.
    """

    proves_early = False

    def __init__(self, key: ec.EllipticCurvePublicKey, now: Clock = time.time) -> None:
        self._key = key
        self._now = now

    def screen(self, headers: Headers) -> None:
        """Refuse a request without the headers, or with an old timestamp."""
        timestamp = headers.get(TIMESTAMP, "")
        if not timestamp or not headers.get(SIGNATURE):
            raise wrong(_MISSING)
        if not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
            raise wrong(_WRONG)
        require_fresh(int(timestamp), MAX_AGE_SECONDS, self._now)

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Let a body in that SendGrid has signed."""
        self.screen(headers)
        signed = headers[TIMESTAMP].encode() + body
        try:
            signature = base64.b64decode(headers[SIGNATURE], validate=True)
            self._key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        except (ValueError, InvalidSignature):
            raise wrong(_WRONG) from None
        return Verdict()
