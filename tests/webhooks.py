"""Webhooks as the providers send them, signed with keys made here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

BASIC = "hooks:0123456789abcdef-planted"
MAILGUN_KEY = "0123456789abcdef-mailgun-planted"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"

_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


def basic(credentials: str = BASIC) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


@cache
def sendgrid_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def sendgrid_public_key() -> str:
    """As SendGrid shows it."""
    der = (
        sendgrid_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(der).decode()


def sendgrid(body: bytes, at: float | None = None) -> dict[str, str]:
    """The headers of a Signed Event Webhook."""
    timestamp = str(int(time.time() if at is None else at))
    signature = sendgrid_key().sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {_SIGNATURE: base64.b64encode(signature).decode(), _TIMESTAMP: timestamp}


def mailgun(
    token: str = "a" * 50, at: float | None = None, key: str = MAILGUN_KEY, **members: Any
) -> dict[str, Any]:
    """The body of a webhook of Mailgun."""
    timestamp = str(int(time.time() if at is None else at))
    signature = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    return {"signature": signed, "event-data": {"event": "delivered"}, **members}


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Sns:
    """An SNS, with a key and a certificate of its own.

    Attributes:
        start: of the certificate's two days.
    """

    start: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=1))
    key: Any = field(default_factory=rsa_key)
    asked: list[str] = field(default_factory=list)

    @property
    def pem(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        signer = rsa_key()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.start)
            .not_valid_after(self.start + timedelta(days=2))
            .sign(signer, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        return self.pem

    def message(self, kind: str = "Notification", version: str = "2", **members: Any) -> Any:
        """A signed envelope; members that are None are left out."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        envelope: dict[str, Any] = {
            "Type": kind,
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": '{"eventType": "Send"}',
            "Timestamp": now,
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE_URL,
        }
        if kind != "Notification":
            envelope["Token"] = "2336412f37fb"
            envelope["SubscribeURL"] = (
                "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
                f"&TopicArn={TOPIC}&Token=2336412f37fb"
            )
        envelope |= members
        envelope = {name: value for name, value in envelope.items() if value is not None}
        # Written out, not taken from the code under test.
        signed = (
            ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
            if kind == "Notification"
            else ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        )
        text = "".join(f"{name}\n{envelope[name]}\n" for name in signed if name in envelope)
        digest = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), digest)
        return {**envelope, "Signature": base64.b64encode(signature).decode()}


def encode(body: Any) -> bytes:
    return json.dumps(body, indent=1).encode()
