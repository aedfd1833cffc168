"""What is wrong with the section [ingest] is said at start, with the remedy, without a secret."""

from __future__ import annotations

import logging

import pytest

from pepi_stream.errors import ConfigError
from pepi_stream.ingest import build_receiver
from pepi_stream.ingest.build import SECRETS
from pepi_stream.ingest.sparing import Sparing
from pepi_stream.settings import describe, load_settings
from tests.webhooks import BASIC, MAILGUN_KEY, TOPIC, sendgrid_public_key

SETTINGS = {
    "PEPI_SOURCE__FORMAT": "auto",
    "PEPI_INGEST__FORMATS": ",".join(SECRETS),
    "PEPI_INGEST__SENDGRID_PUBLIC_KEY": sendgrid_public_key(),
    "PEPI_INGEST__MAILGUN_SIGNING_KEY": MAILGUN_KEY,
    "PEPI_INGEST__SES_TOPIC_ARNS": TOPIC,
    "PEPI_INGEST__PEPIPOST_BASIC": BASIC,
    "PEPI_INGEST__POSTMARK_BASIC": BASIC,
    "PEPI_INGEST__SPARKPOST_BASIC": BASIC,
    "PEPI_INGEST__PLAIN_BASIC": BASIC,
}


def problem(**changes: str) -> str:
    with pytest.raises(ConfigError) as refused:
        build_receiver(load_settings(SETTINGS | changes))
    assert "planted" not in str(refused.value)
    assert refused.value.exit_code == 78
    return str(refused.value)


def test_off_by_default() -> None:
    assert build_receiver(load_settings({})) is None
    assert build_receiver(load_settings(SETTINGS | {"PEPI_INGEST__FORMATS": "[]"})) is None


def test_all_formats_with_their_secrets() -> None:
    loaded = load_settings(SETTINGS)
    assert build_receiver(loaded) is not None
    shown = {name: value for name, value, _ in describe(loaded) if name.startswith("ingest.")}
    for secret in SECRETS.values():
        if secret != "ses_topic_arns":  # of the two it is the list of what is welcome
            assert shown[f"ingest.{secret}"] == "***"
    assert "planted" not in repr(loaded) + repr(shown)


@pytest.mark.parametrize("name", SECRETS)
def test_a_format_without_its_secret(name: str) -> None:
    variable = f"PEPI_INGEST__{SECRETS[name].upper()}"
    without = {"PEPI_INGEST__FORMATS": name, variable: ""}
    said = problem(**without)
    assert said.startswith(f"ingest.{SECRETS[name]} is empty, so anybody could send {name}: ")
    assert f"set {variable}, or PEPI_INGEST__UNSIGNED=true" in said
    assert build_receiver(load_settings(SETTINGS | without | {"PEPI_INGEST__UNSIGNED": "true"}))


def test_a_key_that_is_none() -> None:
    said = problem(PEPI_INGEST__SENDGRID_PUBLIC_KEY="planted")
    assert said.startswith("ingest.sendgrid_public_key should be the base64 or PEM of an ECDSA")


def test_the_queue_has_one_format() -> None:
    loaded = load_settings(
        SETTINGS | {"PEPI_SOURCE__FORMAT": "plain", "PEPI_INGEST__FORMATS": "plain"}
    )
    assert build_receiver(loaded) is not None
    for other in ("pepipost", "my_formats:comma"):
        said = problem(PEPI_SOURCE__FORMAT=other, PEPI_INGEST__FORMATS="plain,ses")
        first, second = said.splitlines()
        assert first.startswith(f"ingest.formats has plain, but source.format is {other}, ")
        assert "set PEPI_SOURCE__FORMAT=ses, or auto" in second


def test_a_body_may_not_be_larger_than_a_payload() -> None:
    said = problem(PEPI_SOURCE__PAYLOAD_MAX_BYTES="1048575")
    assert said.startswith("ingest.max_bytes (1048576) is above source.payload_max_bytes (1048575)")


def test_a_line_a_minute_of_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    sparing = Sparing(logging.getLogger("sparing"), clock=lambda: now[0])
    for at in (0.0, 1.0, 59.9, 60.0, 61.0, 120.0, 180.0):
        now[0] = at
        sparing.warn("a", "said")
        sparing.warn("b", "other")
    said = [record.getMessage() for record in caplog.records if "said (" in record.getMessage()]
    assert said == [
        "said (said once a minute at most)",
        "said (said once a minute at most; 2 more since that was last said)",
        "said (said once a minute at most; 1 more since that was last said)",
        "said (said once a minute at most)",
    ]
    assert len(caplog.records) == 8
