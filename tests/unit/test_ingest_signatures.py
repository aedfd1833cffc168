"""Signatures of webhooks: what is right is let in, and nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pepi_stream.ingest.basic import Basic
from pepi_stream.ingest.mailgun import TOKEN_SECONDS, Mailgun
from pepi_stream.ingest.scheme import Refusal, Scheme
from pepi_stream.ingest.sendgrid import SIGNATURE, TIMESTAMP, SendGrid, load_key
from tests import webhooks
from tests.webhooks import BASIC, MAILGUN_KEY, basic, encode, mailgun, sendgrid

BODY = b'[{"event":"open"}]\r\n'
NOW = 1_700_000_000.0


async def accepts(scheme: Scheme, headers: dict[str, str], body: bytes = BODY) -> bool:
    """Whether a request is let in; what refuses it does so with 401."""
    try:
        seen = CIMultiDict(headers)
        scheme.screen(seen)
        return (await scheme.verify(seen, body)).push
    except Refusal as exc:
        refusal = exc
    assert refusal.status == 401
    assert refusal.challenge
    return False


# --- basic authentication


async def test_user_and_password() -> None:
    scheme = Basic(BASIC)
    assert await accepts(scheme, basic())
    assert await accepts(scheme, {"authorization": basic()["Authorization"].replace("B", "b", 1)})
    encoded = basic()["Authorization"].partition(" ")[2]
    for wrong in ("", "Basic", "Basic ", f"Bearer {encoded}", encoded, f"Basic {encoded}!",
                  BASIC, f"Basic {BASIC}", f"Basic {encoded[:-4]}", f"Basic {encoded}é",
                  "Basic ===="):  # fmt: skip
        assert not await accepts(scheme, {"Authorization": wrong}), wrong
    for wrong in (BASIC + "x", BASIC[:-1], "", ":", "hooks:", BASIC.upper(), BASIC + "\0"):
        assert not await accepts(scheme, basic(wrong)), wrong
    assert not await accepts(scheme, {})


# --- SendGrid

# Published with the tests of sendgrid/sendgrid-python (test/unit/test_eventwebhook.py).
EXAMPLE_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
    "2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
EXAMPLE_HEADERS = {
    SIGNATURE: "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPI"
    "qHh89M15TluLtEZtM=",
    TIMESTAMP: "1600112502",
}
EXAMPLE_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":'
    b'"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ4kof'
    b'Sm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A'
    b'@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)


async def test_sendgrids_own_example() -> None:
    scheme = SendGrid(load_key(EXAMPLE_KEY), now=lambda: 1600112502.0)
    assert await accepts(scheme, EXAMPLE_HEADERS, EXAMPLE_BODY)
    assert not await accepts(scheme, EXAMPLE_HEADERS, EXAMPLE_BODY.strip())
    assert not await accepts(scheme, EXAMPLE_HEADERS | {TIMESTAMP: "1600112503"}, EXAMPLE_BODY)


async def test_sendgrid_signs_body_and_timestamp() -> None:
    scheme = SendGrid(load_key(webhooks.sendgrid_public_key()), now=lambda: NOW)
    headers = sendgrid(BODY, NOW)
    assert await accepts(scheme, headers)
    assert await accepts(scheme, {name.lower(): value for name, value in headers.items()})
    for body in (BODY + b" ", BODY[:-1], BODY.replace(b"open", b"opem"), b"", BODY * 2):
        assert not await accepts(scheme, headers, body)
    # What the two are together is not enough.
    assert not await accepts(scheme, headers | {TIMESTAMP: headers[TIMESTAMP][:-1]}, b"0" + BODY)
    for name in headers:
        assert not await accepts(scheme, {k: v for k, v in headers.items() if k != name})
        for wrong in ("", "x", "0", "é", "AAAA", " ", headers[name] + "A", headers[name][:-2]):
            assert not await accepts(scheme, headers | {name: wrong})
    other = SendGrid(ec.generate_private_key(ec.SECP256R1()).public_key(), now=lambda: NOW)
    assert not await accepts(other, headers)


@pytest.mark.parametrize(
    ("age", "good"),
    [(0, True), (24 * 3600, True), (25 * 3600, True), (25 * 3600 + 1, False), (-300, True),
     (-301, False)],
)  # fmt: skip
async def test_how_old_sendgrids_signature_may_be(age: int, good: bool) -> None:
    scheme = SendGrid(load_key(webhooks.sendgrid_public_key()), now=lambda: NOW)
    assert await accepts(scheme, sendgrid(BODY, NOW - age)) is good


def test_keys_of_sendgrid() -> None:
    public = webhooks.sendgrid_key().public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(serialization.Encoding.PEM, spki).decode()
    assert load_key(pem) == load_key(webhooks.sendgrid_public_key()) == public
    assert load_key(f" {webhooks.sendgrid_public_key()}\n") == public
    others: list[Any] = [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ]
    ders = [key.public_bytes(serialization.Encoding.DER, spki) for key in others]
    wrong = [base64.b64encode(der).decode() for der in ders]
    for text in (*wrong, "", "x", "AAAA", "é", pem[:60], pem.replace("M", "N"), "-----BEGIN"):
        with pytest.raises(ValueError, match=r"ECDSA public key on the curve P-256$"):
            load_key(text)


# --- Mailgun


def mailgun_scheme(at: float = NOW) -> Mailgun:
    return Mailgun(MAILGUN_KEY, now=lambda: at)


async def test_mailgun_signs_timestamp_and_token() -> None:
    assert await accepts(mailgun_scheme(), {}, encode(mailgun(at=NOW)))
    number = mailgun(at=NOW)
    number["signature"]["timestamp"] = int(NOW)
    assert await accepts(mailgun_scheme(), {}, encode(number))
    for key in ("", MAILGUN_KEY + "x", MAILGUN_KEY.upper()):
        assert not await accepts(mailgun_scheme(), {}, encode(mailgun(at=NOW, key=key)))
    for name in ("timestamp", "token", "signature"):
        good = mailgun(at=NOW)["signature"]
        wrongs: list[Any] = ["", None, 7, [], "é" * 50, good[name] + "0", good[name][1:], "\ud800"]
        for wrong in wrongs:
            body = encode({"signature": good | {name: wrong}, "event-data": {}})
            assert not await accepts(mailgun_scheme(), {}, body), (name, wrong)
        del good[name]
        assert not await accepts(mailgun_scheme(), {}, encode({"signature": good}))
    for body in (b"", b"{}", b"[]", b"7", b'{"signature":{}}', b'{"signature":"x"}', b"\xff",
                 b"[" * 10**5, encode([mailgun(at=NOW)])):  # fmt: skip
        assert not await accepts(mailgun_scheme(), {}, body)


async def test_digits_cannot_move_from_the_token_to_the_timestamp() -> None:
    body = mailgun("1" * 50, at=NOW)
    signed = body["signature"]
    signed |= {"timestamp": signed["timestamp"] + "1", "token": "1" * 49}
    assert not await accepts(mailgun_scheme(), {}, encode(body))


async def test_a_subaccounts_webhook_is_signed_for_the_parent() -> None:
    body = mailgun(at=NOW)
    signed = body["signature"]
    signed["parent-signature"], signed["signature"] = signed["signature"], "0" * 64
    assert await accepts(mailgun_scheme(), {}, encode(body))


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (8 * 3600, True), (9 * 3600 + 1, False), (-301, False)]
)
async def test_how_old_mailguns_signature_may_be(age: int, good: bool) -> None:
    assert await accepts(mailgun_scheme(), {}, encode(mailgun(at=NOW - age))) is good


async def test_a_token_is_good_once_for_as_long_as_its_signature() -> None:
    scheme = mailgun_scheme()

    async def token_of(**of: Any) -> str:
        verdict = await scheme.verify({}, encode(mailgun(**of)))
        assert verdict.push
        assert verdict.once is not None
        assert verdict.once.seconds == TOKEN_SECONDS == 9 * 3600 + 300
        return verdict.once.token

    assert await token_of(at=NOW) == await token_of(at=NOW, more="forged")
    assert await token_of(at=NOW) != await token_of(at=NOW - 1)
    assert await token_of(at=NOW) != await token_of(token="b" * 50, at=NOW)


# --- anything at all


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    body=st.binary() | JSON.map(lambda data: json.dumps(data).encode()),
    members=st.dictionaries(st.sampled_from(["timestamp", "token", "signature"]), JSON),
    values=st.lists(st.text(), min_size=3, max_size=3),
)
async def test_nothing_crashes_a_check(
    body: bytes, members: dict[str, Any], values: list[str]
) -> None:
    names = (SIGNATURE, TIMESTAMP, "Authorization")
    headers = dict(zip(names, values, strict=True))
    forged = json.dumps({"signature": members}).encode()
    key = load_key(webhooks.sendgrid_public_key())
    for scheme in (Basic(BASIC), SendGrid(key, lambda: NOW), mailgun_scheme()):
        for given_body in (body, forged):
            assert not await accepts(scheme, headers, given_body)
            assert not await accepts(scheme, headers | {TIMESTAMP: str(int(NOW))}, given_body)
