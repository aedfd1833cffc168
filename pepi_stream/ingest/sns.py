"""Amazon SNS, through which SES sends its events: RSA of a canonical string. Pure.

Sources: AWS, sns/latest/dg: sns-verify-signature-of-message (SignatureVersion 1 is SHA1, 2 is
SHA256; HTTPS only; expected topics only), sns-verify-signature-of-message-verify-message-signature
(the strings), sns-message-delivery-retries (an hour at most).
"""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import Certificate, load_pem_x509_certificate

from pepi_stream.ingest.scheme import Clock, require_fresh, wrong

MAX_AGE_SECONDS: Final = 25 * 3600

# Of a region, not sns.s3-us-west-2.amazonaws.com, which would be anybody's bucket called sns.
_HOST = r"https://sns\.([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2})\.(amazonaws\.com(?:\.cn)?)"
_CERTIFICATE_URL = re.compile(_HOST + r"/[A-Za-z0-9_-]{1,200}\.pem", re.ASCII)
_SUBSCRIBE_URL = re.compile(_HOST + r"/\?[A-Za-z0-9&=%:_.~+-]{1,4000}", re.ASCII)
_TOPIC = re.compile(r"arn:(aws[a-z-]*):sns:([a-z0-9-]+):.*")
_WORD = re.compile(r"[!-~]{1,4096}")
_NOTHING: Final = msgspec.Raw(b"null")

_WRONG = "SNS's signature is not of this body"


class Message(msgspec.Struct, omit_defaults=True):
    """The envelope: the members that SNS sends."""

    Type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    MessageId: str
    TopicArn: str
    Message: str
    Timestamp: str
    SignatureVersion: str
    Signature: str
    SigningCertURL: str
    Subject: str | None = None
    Token: str | None = None
    SubscribeURL: str | None = None
    UnsubscribeURL: str | None = None
    SequenceNumber: str | None = None
    # Not read: Python objects of it would have thirty times as many bytes, from anybody.
    MessageAttributes: msgspec.Raw = _NOTHING


_decoder = msgspec.json.Decoder(Message)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN: Final = frozenset(Message.__struct_fields__)


def parse(body: bytes) -> Message:
    """Return the envelope in a body.

    Raises:
        Refusal: it is none.
    """
    try:
        message = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise wrong(
            "that is no message of SNS with a signature (raw message delivery has none)"
        ) from None
    # Nothing that could make one string of two different messages.
    if not all(map(_WORD.fullmatch, [message.MessageId, message.TopicArn, message.Timestamp])):
        raise wrong(_WRONG)
    if "\n" in (message.Subject or ""):
        raise wrong(_WRONG)
    if message.Type != "Notification" and not (
        _WORD.fullmatch(message.Token or "")
        and _SUBSCRIBE_URL.fullmatch(message.SubscribeURL or "")
    ):
        raise wrong(_WRONG)
    return message


def known_members(body: bytes, message: Message) -> bytes | None:
    """Return the envelope without members that SNS is not known to send; None if it has none.

    They are not signed, and formats that tell payloads apart by their members would read them.

    Args:
        body: as it came.
        message: what :func:`parse` has made of it.
    """
    try:
        if _members.decode(body).keys() <= _KNOWN:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError):  # the name of a member is no text
        pass
    return msgspec.json.encode(message)


def canonical(message: Message) -> bytes:
    """Return what SNS signs: names and values of members, sorted, each with a line feed.

    Raises:
        UnicodeEncodeError: it is no text.
    """
    if message.Type == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = [
            *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        ]
    values = ((name, getattr(message, name)) for name in names)
    return "".join(f"{name}\n{value}\n" for name, value in values if value is not None).encode()


def require_own_region(message: Message) -> None:
    """Check that the addresses in a message are of SNS itself, in the region of its topic.

    One region's key vouches for that region's topics alone.

    Raises:
        Refusal: they are not.
    """
    topic = _TOPIC.fullmatch(message.TopicArn)
    certificate = _CERTIFICATE_URL.fullmatch(message.SigningCertURL)
    if not certificate:
        raise wrong("the address of SNS's certificate is not one of SNS")
    found = [certificate]
    if message.Type != "Notification":
        found += filter(None, [_SUBSCRIBE_URL.fullmatch(message.SubscribeURL or "")])
    for match in found:
        domain = "amazonaws.com.cn" if topic and topic[1] == "aws-cn" else "amazonaws.com"
        if not topic or (match[1], match[2]) != (topic[2], domain):
            raise wrong("the addresses in SNS's message are not of the region of its topic")


def require_recent(message: Message, now: Clock = time.time) -> None:
    """Check when a message was made.

    Raises:
        Refusal: too long ago, or in the future.
    """
    try:
        made = datetime.fromisoformat(message.Timestamp)
    except ValueError:
        raise wrong(_WRONG) from None
    if made.tzinfo is None:
        made = made.replace(tzinfo=UTC)
    require_fresh(made.timestamp(), MAX_AGE_SECONDS, now)


def load_certificate(pem: bytes) -> Certificate:
    """Return the certificate in a PEM file.

    Raises:
        ValueError: there is none, or not one of an RSA key of at least 2048 bits.
    """
    try:
        certificate = load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a certificate in PEM form") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise ValueError("not a certificate of an RSA key of at least 2048 bits")
    return certificate


def require_signed(message: Message, certificate: Certificate, now: Clock = time.time) -> None:
    """Check the signature, and that the certificate is valid now.

    Raises:
        Refusal: they are not.
    """
    today = datetime.fromtimestamp(now(), UTC)
    if not certificate.not_valid_before_utc <= today <= certificate.not_valid_after_utc:
        raise wrong("SNS's certificate is not valid now")
    algorithm: hashes.HashAlgorithm
    if message.SignatureVersion == "1":
        algorithm = hashes.SHA1()  # SNS's own default
    elif message.SignatureVersion == "2":
        algorithm = hashes.SHA256()
    else:
        raise wrong("SNS's signature is of a version that is not known")
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        signature = base64.b64decode(message.Signature, validate=True)
        key.verify(signature, canonical(message), padding.PKCS1v15(), algorithm)
    except UnsupportedAlgorithm:
        raise wrong(
            "this system refuses SHA1: set SignatureVersion 2 on the topic in SNS"
        ) from None
    except (ValueError, InvalidSignature):
        raise wrong(_WRONG) from None
