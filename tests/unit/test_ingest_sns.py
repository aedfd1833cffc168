"""SNS: which messages, which certificates and which addresses are right."""

from __future__ import annotations

import json
import logging
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.ingest import sns
from pepi_stream.ingest.certificates import Certificates
from pepi_stream.ingest.scheme import Refusal
from pepi_stream.ingest.ses import Ses
from tests.webhooks import CERTIFICATE_URL, TOPIC, Sns, encode


async def status(scheme: Ses, message: Any) -> int:
    """200 for what goes in the queue, 204 for what is right and does not."""
    body = message if isinstance(message, bytes) else encode(message)
    try:
        return 200 if (await scheme.verify({}, body)).push else 204
    except Refusal as refusal:
        return refusal.status


def scheme(by: Sns, **more: Any) -> Ses:
    return Ses([TOPIC], Certificates(by.fetch), **more)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "A subject", "", "é"])
async def test_a_notification_is_let_in(version: str, subject: str | None) -> None:
    by = Sns()
    ses = scheme(by)
    unsigned = {"UnsubscribeURL": "https://x", "MessageAttributes": {"a": {"Type": "String"}}}
    message = by.message(version=version, Subject=subject)
    for _ in range(3):
        assert await status(ses, {**message, **unsigned}) == 200
    if subject is None:
        assert await status(ses, {**message, "Subject": None}) == 200
    assert by.asked == [CERTIFICATE_URL]  # once, then kept


async def test_what_is_signed_cannot_be_changed() -> None:
    by = Sns()
    for kind in ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"):
        good = by.message(kind, Subject="s" if kind == "Notification" else None)
        ses = scheme(by)
        assert await status(ses, good) == (200 if kind == "Notification" else 204)
        for name in good:
            if name == "SigningCertURL":
                continue
            wrongs: list[Any] = [good[name] + "x", good[name][:-1], "", " ", None, 7, "\ud800", []]
            for wrong in wrongs:
                assert await status(ses, {**good, name: wrong}) == 401, (kind, name, wrong)
            without = {key: value for key, value in good.items() if key != name}
            assert await status(ses, without) == 401, (kind, name)
    good = by.message()
    other = {"1": "2", "2": "1"}[good["SignatureVersion"]]
    assert await status(scheme(by), {**good, "SignatureVersion": other}) == 401
    assert await status(scheme(by), {**good, "Type": "SubscriptionConfirmation"}) == 401
    assert await status(scheme(Sns(key=rsa.generate_private_key(65537, 2048))), good) == 401


async def test_what_is_not_signed_cannot_be_added_and_costs_no_event() -> None:
    """The format auto would take it for another provider's payload; SNS may add members one day."""
    by = Sns()
    for name in ("eventType", "mail", "EVENT", "event", "RecordType", "msys", "é"):
        message = by.message(Subject="é", MessageAttributes={"a": {"Type": "String"}})
        verdict = await scheme(by).verify({}, encode({**message, name: "forged"}))
        assert verdict.push
        assert verdict.body is not None
        assert json.loads(verdict.body) == message
    assert (await scheme(by).verify({}, encode(by.message()))).body is None  # as it came


def test_nobody_makes_large_objects_of_a_body_that_is_not_verified_yet() -> None:
    body = encode(Sns().message(MessageAttributes={"a": [[]] * 300_000}))
    tracemalloc.start()
    try:
        sns.parse(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(body)


async def test_two_messages_never_have_one_string() -> None:
    by = Sns()
    whole = by.message(Subject="s\nTimestamp\n2020")
    assert await status(scheme(by), whole) == 401
    signed = by.message(Subject="hello")
    merged = {**signed, "MessageId": f"{signed['MessageId']}\nSubject\nhello", "Subject": None}
    assert await status(scheme(by), merged) == 401


async def test_another_topic_is_refused_without_fetching_anything() -> None:
    by = Sns()
    for topic in (TOPIC + "2", TOPIC[:-1], TOPIC.upper(), "arn:aws:sns:eu-west-1:1:ses-events"):
        assert await status(scheme(by), by.message(TopicArn=topic)) == 401
    assert not by.asked


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, 200), (24, 200), (25.1, 401), (-0.05, 200), (-0.1, 401)]
)
async def test_how_old_a_message_may_be(hours: float, expected: int) -> None:
    by = Sns()
    then = datetime.now(UTC) - timedelta(hours=hours)
    by.start = then - timedelta(hours=1)
    for made in (then.isoformat(), then.replace(tzinfo=None).isoformat()):
        assert await status(scheme(by), by.message(Timestamp=made)) == expected
    for wrong in ("yesterday", "2020-13-01T00:00:00Z", "1"):
        assert await status(scheme(by), by.message(Timestamp=wrong)) == 401


@pytest.mark.parametrize("days", [-3, 1])
async def test_a_certificate_that_is_not_valid_now(days: float) -> None:
    by = Sns(start=datetime.now(UTC) + timedelta(days=days))
    assert await status(scheme(by), by.message()) == 401


async def test_a_confirmation_is_shown_once_and_never_followed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by = Sns()
    ses = scheme(by)
    message = by.message("SubscriptionConfirmation")
    forged = {**message, "SubscribeURL": message["SubscribeURL"] + "f"}
    assert await status(ses, forged) == 401
    assert not caplog.records
    for _ in range(3):
        assert await status(ses, message) == 204
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert message["SubscribeURL"] in record.getMessage()
    assert TOPIC in record.getMessage()
    assert by.asked == [CERTIFICATE_URL]
    assert await status(ses, by.message("SubscriptionConfirmation", MessageId="another")) == 204
    assert await status(ses, by.message("UnsubscribeConfirmation", MessageId="gone")) == 204
    assert "no longer" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 3


@pytest.mark.parametrize("url", ["https://evil.example/?Action=ConfirmSubscription", "x", ""])
async def test_no_address_is_shown_that_is_not_one_of_sns(url: str) -> None:
    by = Sns()
    message = by.message("SubscriptionConfirmation", SubscribeURL=url)
    assert await status(scheme(by), message) == 401


ARN = "arn:{}:sns:{}:123456789012:ses-events"
GOOD_URLS = (
    (TOPIC, CERTIFICATE_URL),
    (
        ARN.format("aws-us-gov", "us-gov-west-1"),
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-ab.pem",
    ),
    (
        ARN.format("aws-cn", "cn-north-1"),
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-ab.pem",
    ),
    (ARN.format("aws", "ap-southeast-2"), "https://sns.ap-southeast-2.amazonaws.com/x.pem"),
)
OTHER_REGIONS = (
    (TOPIC, "https://sns.eu-west-2.amazonaws.com/x.pem"),
    (TOPIC, "https://sns.eu-west-1.amazonaws.com.cn/x.pem"),
    (TOPIC, "https://sns.cn-north-1.amazonaws.com.cn/x.pem"),
    (ARN.format("aws-cn", "cn-north-1"), "https://sns.cn-north-1.amazonaws.com/x.pem"),
    (ARN.format("aws", "cn-north-1"), "https://sns.cn-north-1.amazonaws.com.cn/x.pem"),
)
BAD_URLS = (
    *("http://sns.eu-west-1.amazonaws.com/x.pem", "https://sns.eu-west-1.amazonaws.com:443/x.pem"),
    *("https://a@sns.eu-west-1.amazonaws.com/x.pem", "https://sns.eu-west-1.amazonaws.com/x.crt"),
    *("https://sns.eu-west-1.amazonaws.com.evil.example/x.pem", "https://evil.example/x.pem"),
    *("https://sns.eu-west-1.amazonaws.com@evil.example/x.pem", "HTTPS://SNS.EVIL/x.pem"),
    *("https://evil.example/sns.eu-west-1.amazonaws.com/x.pem", "https://sns.amazonaws.com/x.pem"),
    *("https://sns.s3-eu-west-1.amazonaws.com/x.pem", "https://sns.s3.amazonaws.com/x.pem"),
    *("https://sns.eu-west-1.amazonaws.com/a/x.pem", "https://sns.eu-west-1.amazonaws.com/x.pem?a"),
    *("https://sns.eu-west-1.amazonaws.com/../x.pem", "https://sns.eu-west-1.amazonaws.com/.pem"),
    *("https://sns.eu-west-1.amazonaws.com/?x.pem", "https://sns.eu-west-1.amazonaws.com/#x.pem"),
    *("https://sns.eu-west-1.amazonaws.com/x.pem\n", " https://sns.eu-west-1.amazonaws.com/x.pem"),
    *("https://sns.eu-west-1.amazonaws.com\\@evil.example/x.pem", "https://sns-eu-west-1.a/x.pem"),
    *("https://sns.eu-west-1.amazonaws.com/x%2f.pem", "https://sns.eu-west-1.amazonaws.co/x.pem"),
    *("https://sns.eu-west-1amazonaws.com/x.pem", "https://sns.éu-west-1.amazonaws.com/x.pem"),
    *("https://sns.eu-west-1xamazonaws.com/x.pem", "https://sns.eu-west-1.amazonawsxcom/x.pem"),
    *("https://snsxeu-west-1.amazonaws.com/x.pem", "https://sns.eu-west-1.amazonaws.comxcn/x.pem"),
    *("https://sns.eu-west-\u0661.amazonaws.com/x.pem", "//sns.eu-west-1.amazonaws.com/x.pem", ""),
)


@pytest.mark.parametrize(("topic", "url"), GOOD_URLS)
def test_addresses_of_certificates(topic: str, url: str) -> None:
    sns.require_own_region(sns.parse(encode(Sns().message(TopicArn=topic, SigningCertURL=url))))


@pytest.mark.parametrize(("topic", "url"), OTHER_REGIONS)
async def test_a_certificate_vouches_for_topics_of_its_region_alone(topic: str, url: str) -> None:
    by = Sns()
    ses = Ses([topic], Certificates(by.fetch))
    assert await status(ses, by.message(TopicArn=topic, SigningCertURL=url)) == 401
    assert not by.asked


async def test_a_subscription_is_confirmed_in_the_region_of_the_topic() -> None:
    by = Sns()
    message = by.message("SubscriptionConfirmation")
    other = message["SubscribeURL"].replace("sns.eu-west-1", "sns.us-east-1")
    message = by.message("SubscriptionConfirmation", SubscribeURL=other)
    assert await status(scheme(by), message) == 401


@pytest.mark.parametrize("url", BAD_URLS)
async def test_a_certificate_is_fetched_from_sns_alone(url: str) -> None:
    by = Sns()
    assert await status(scheme(by), by.message(SigningCertURL=url)) == 401
    assert not by.asked


@given(body=st.binary() | st.dictionaries(st.text(), st.text()).map(encode), edit=st.data())
async def test_nothing_crashes_the_check(body: bytes, edit: st.DataObject) -> None:
    by = Sns()
    assert await status(scheme(by), body) == 401
    message = by.message("SubscriptionConfirmation")
    name = edit.draw(st.sampled_from(sorted(message)))
    value = edit.draw(st.text() | st.none() | st.integers())
    if value != message[name]:
        assert await status(scheme(by), json.dumps({**message, name: value}).encode()) == 401
