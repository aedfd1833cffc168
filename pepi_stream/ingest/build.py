"""From the section [ingest] to what takes webhooks in; what is missing there is said at start."""

from __future__ import annotations

from pydantic import SecretStr

from pepi_stream.claims import connect_redis
from pepi_stream.errors import ConfigError
from pepi_stream.formats import LimitedFormat
from pepi_stream.formats.auto import AutoFormat
from pepi_stream.ingest.basic import Basic
from pepi_stream.ingest.binding import Binding
from pepi_stream.ingest.certificates import Certificates, Fetch, fetch_pem
from pepi_stream.ingest.mailgun import Mailgun
from pepi_stream.ingest.receive import Receiver
from pepi_stream.ingest.scheme import Scheme, Unsigned
from pepi_stream.ingest.sendgrid import SendGrid, load_key
from pepi_stream.ingest.ses import Ses
from pepi_stream.settings import IngestSettings, Settings, SourceSettings

SECRETS = {
    "sendgrid": "sendgrid_public_key",
    "mailgun": "mailgun_signing_key",
    "ses": "ses_topic_arns",
    "pepipost": "pepipost_basic",
    "postmark": "postmark_basic",
    "sparkpost": "sparkpost_basic",
    "plain": "plain_basic",
}
"""The setting that says who may send a format."""


def build_receiver(settings: Settings, fetch: Fetch = fetch_pem) -> Receiver | None:
    """Return what takes in the formats of `ingest.formats`; None if there are none. No I/O.

    Args:
        settings: all of them.
        fetch: gets SNS's certificates.

    Raises:
        ConfigError: a format has no secret, or does not fit the queue; one line per problem.
    """
    ingest, source = settings.ingest, settings.source
    if not ingest.formats:
        return None
    problems = [
        f"ingest.formats has {name}, but source.format is {source.format}, and all that is in the "
        f"queue is read as that: set PEPI_SOURCE__FORMAT={name}, or auto, or take {name} out"
        for name in ingest.formats
        if source.format not in (name, "auto")
    ]
    if ingest.max_bytes > source.payload_max_bytes:
        problems.append(
            f"ingest.max_bytes ({ingest.max_bytes}) is above source.payload_max_bytes "
            f"({source.payload_max_bytes}): what is between them would be a dead letter; make one "
            "of them fit"
        )
    schemes: dict[str, Scheme] = {}
    for name in ingest.formats:
        try:
            schemes[name] = _scheme(name, ingest, fetch)
        except ValueError as exc:
            problems.append(f"ingest.{SECRETS[name]} {exc}")
    if problems:
        raise ConfigError("\n".join(problems))
    return Receiver(
        schemes,
        connect_redis(settings.redis),
        source.queue,
        max_bytes=ingest.max_bytes,
        binding=_binding(source),
    )


def _binding(source: SourceSettings) -> Binding | None:
    """Return what asks the queue's format, within the limits of a claim, if it reads several."""
    if source.format != AutoFormat.name:
        return None
    limits = {"max_bytes": source.payload_max_bytes, "max_events": source.payload_max_events}
    return Binding(LimitedFormat(AutoFormat(), **limits))


def unsigned_formats(ingest: IngestSettings) -> list[str]:
    """Return the formats that are taken in from anybody."""
    return [name for name in ingest.formats if not _secret(name, ingest)]


def _secret(name: str, ingest: IngestSettings) -> str:
    if name == "ses":
        return " ".join(ingest.ses_topic_arns)
    secret: SecretStr = getattr(ingest, SECRETS[name])
    return secret.get_secret_value()


def _scheme(name: str, ingest: IngestSettings, fetch: Fetch) -> Scheme:
    secret = _secret(name, ingest)
    if secret:
        match name:
            case "ses":
                return Ses(ingest.ses_topic_arns, Certificates(fetch))
            case "sendgrid":
                return SendGrid(load_key(secret))
            case "mailgun":
                return Mailgun(secret)
            case _:
                return Basic(secret)
    if ingest.unsigned:
        return Unsigned()
    raise ValueError(
        f"is empty, so anybody could send {name}: set PEPI_INGEST__{SECRETS[name].upper()}, or "
        "PEPI_INGEST__UNSIGNED=true if a proxy in front checks who sends"
    )
