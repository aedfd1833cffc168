"""In a queue of several formats, nobody makes events of another provider than themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pepi_stream.ingest.binding import Binding
from tests.ingesting import door
from tests.webhooks import Sns, basic, encode, mailgun, sendgrid

PAYLOADS: dict[str, Any] = {
    "pepipost": {"TRANSID": "1", "EVENT": "sent", "EMAIL": "a@b.c", "TIMESTAMP": 1},
    "sendgrid": {"sg_event_id": "1", "event": "delivered", "email": "a@b.c", "timestamp": 1},
    "ses": {"eventType": "Send", "mail": {"messageId": "1", "destination": ["a@b.c"]}},
    "mailgun": {"event-data": {"event": "delivered", "recipient": "a@b.c", "timestamp": 1}},
    "postmark": {"RecordType": "Delivery", "MessageID": "1", "Recipient": "a@b.c"},
    "sparkpost": [{"msys": {"message_event": {"type": "delivery", "rcpt_to": "a@b.c"}}}],
    "plain": {"id": 1, "event_name": "sent"},
}


def signed(name: str, payload: Any, by: Sns) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers by which a provider sends a payload."""
    if name == "ses":
        return encode(by.message(Message=json.dumps(payload))), {}
    if name == "mailgun":
        # The signature is a member of the body, and anything may stand beside it.
        return encode({**mailgun(), **payload}), {}
    body = encode(payload)
    return body, sendgrid(body) if name == "sendgrid" else basic()


@pytest.mark.parametrize("sender", ["sendgrid", "postmark", "sparkpost", "plain"])
@pytest.mark.parametrize("forged", PAYLOADS)
async def test_who_may_send_one_format_cannot_send_another(
    redis_url: str, sender: str, forged: str, caplog: pytest.LogCaptureFixture
) -> None:
    by = Sns()
    body, headers = signed(sender, PAYLOADS[forged], by)
    async with door(redis_url, fetch=by.fetch) as at:
        answer = await at.post(f"/ingest/{sender}", body, **headers)
        if sender == forged:
            assert (answer.status, at.queue()) == (200, [body])
        else:
            assert (answer.status, at.queue()) == (422, [])
            assert f"would be read as {forged}, and it was sent as {sender}" in caplog.text


@pytest.mark.parametrize("sender", ["ses", "mailgun"])
async def test_providers_own_events_pass_and_those_of_others_in_them_do_not(
    redis_url: str, sender: str
) -> None:
    by = Sns()
    body, headers = signed(sender, PAYLOADS[sender], by)
    async with door(redis_url, fetch=by.fetch) as at:
        assert (await at.post(f"/ingest/{sender}", body, **headers)).status == 200
        assert at.queue() == [body]
    forged = encode({"signature": mailgun(token="c" * 50)["signature"], **PAYLOADS["pepipost"]})
    async with door(redis_url, fetch=by.fetch) as at:
        assert (await at.post("/ingest/mailgun", forged)).status == 422
        assert at.queue() == [body]


@pytest.mark.parametrize("forged", sorted({*PAYLOADS} - {"plain"}))
async def test_a_member_whose_name_is_no_text_does_not_hide_what_a_body_is(
    redis_url: str, forged: str
) -> None:
    """Decoders of records skip it, so it is read all the same by whoever guesses its format."""
    body = encode(PAYLOADS[forged]).replace(b"{", b'{"\xff":0,', 1)
    async with door(redis_url) as at:
        assert (await at.post("/ingest/plain", body, **basic())).status == 422
        assert at.queue() == []


async def test_an_array_is_bound_as_a_whole(redis_url: str) -> None:
    mixed = encode([PAYLOADS["pepipost"], PAYLOADS["plain"]])
    async with door(redis_url) as at:
        assert (await at.post("/ingest/plain", mixed, **basic())).status == 422
        assert at.queue() == []


@pytest.mark.parametrize("body", [b"\x00\xff{", b"{", b'{"no": "format"}', b"7"])
async def test_what_nobody_reads_is_kept_for_a_person_to_look_at(
    redis_url: str, body: bytes
) -> None:
    async with door(redis_url) as at:
        assert (await at.post("/ingest/plain", body, **basic())).status == 200
        assert at.queue() == [body]


async def test_a_queue_of_one_format_reads_all_as_that(redis_url: str) -> None:
    body = encode(PAYLOADS["pepipost"])
    settings = {"PEPI_SOURCE__FORMAT": "plain", "PEPI_INGEST__FORMATS": "plain"}
    async with door(redis_url, settings=settings) as at:
        assert (await at.post("/ingest/plain", body, **basic())).status == 200
        assert at.queue() == [body]


def test_the_binding_asks_the_reader_of_the_queue() -> None:
    class Reader:
        def taken_for(self, payload: bytes) -> str | None:
            return payload.decode() or None

    binding = Binding(Reader())
    binding.require("plain", b"plain")
    binding.require("plain", b"")
    with pytest.raises(Exception, match="would be read as ses"):
        binding.require("plain", b"ses")
