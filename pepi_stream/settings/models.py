"""The models of the settings: one frozen class a section, with its bounds and without defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pepi_stream.errors import ConfigError
from pepi_stream.settings.fields import (
    Float,
    Int,
    Reference,
    Section,
    SqlName,
    WindowName,
    distinct,
    matching,
    network,
)
from pepi_stream.settings.sink import SinkSettings
from pepi_stream.settings.tls import TlsSettings
from pepi_stream.settings.urls import mysql_args, redis_args

SettingPath = tuple[str | int, ...]
"""The keys and indexes that lead to a setting, from the top."""


class RedisSettings(Section):
    """The Redis server that holds the queue and its claims."""

    url: SecretStr
    """redis://, rediss:// (TLS) or unix:// address; may hold a password."""
    timeout_seconds: Annotated[Float, Field(gt=0, le=300)]
    """Seconds to wait for a connection or a reply."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        redis_args(url.get_secret_value())
        return url

    def connect_args(self) -> tuple[str, TlsSettings | None]:
        """Return the URL without TLS parameters, its scheme redis or unix, and the TLS it asks for.

        Raises:
            ConfigError: The URL is not usable. Settings that were validated never raise it.
        """
        try:
            return redis_args(self.url.get_secret_value())
        except ValueError as error:
            raise ConfigError(f"redis.url {error}") from None


class DatabaseSettings(Section):
    """The MySQL or MariaDB server that events end in."""

    url: SecretStr
    """mysql://user:password@host:port/database address; ?unix_socket= and ?ssl_...= for TLS."""
    timeout_seconds: Annotated[Float, Field(gt=0, le=300)]
    """Seconds to wait for a connection."""
    lock_wait_seconds: Annotated[Int, Field(ge=1, le=60)]
    """Whole seconds a statement waits for a row lock (innodb_lock_wait_timeout), and for a table
    that somebody has locked (lock_wait_timeout)."""
    idle_seconds: Annotated[Int, Field(ge=1, le=86_400)]
    """Whole seconds after which MySQL ends a silent connection, transaction and all."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        mysql_args(url.get_secret_value())
        return url

    def connect_args(self) -> dict[str, Any]:
        """Return host, port, user, password, db and unix_socket, as `aiomysql.connect` takes them.

        user is None when the URL has none (the login name is then used), as is unix_socket.

        Raises:
            ConfigError: The URL is not usable, for example without a database name. Settings that
                were validated never raise it.
        """
        return self._connect_args()[0]

    def tls(self) -> TlsSettings | None:
        """Return what the URL asks of TLS; None for a connection without.

        Raises:
            ConfigError: As `connect_args`.
        """
        return self._connect_args()[1]

    def _connect_args(self) -> tuple[dict[str, Any], TlsSettings | None]:
        try:
            return mysql_args(self.url.get_secret_value())
        except ValueError as error:
            raise ConfigError(f"database.url {error}") from None


class SourceSettings(Section):
    """What is taken from Redis, and how."""

    queue: Annotated[str, Field(min_length=1, max_length=512)]
    """The Redis list of payloads; without { and }."""
    format: Reference
    """How payloads are read: a built-in format or module:attr."""
    claim_max: Annotated[Int, Field(ge=1, le=1_000_000)]
    """Payloads in a claim, at most."""
    claim_max_bytes: Annotated[Int, Field(ge=1, le=512 * 2**20)]
    """Bytes in a claim, at most (but at least one payload)."""
    payload_max_bytes: Annotated[Int, Field(ge=1024, le=512 * 2**20)]
    """Bytes of a payload, at most, up to what Redis takes; one above is a dead letter, whole."""
    payload_max_events: Annotated[Int, Field(ge=1, le=100_000)]
    """Events of a payload, at most; one with more is a dead letter, whole."""
    max_in_flight: Annotated[Int, Field(ge=1, le=10_000)]
    """Claims a worker holds open at once."""
    lease_seconds: Annotated[Float, Field(ge=3, le=3600)]
    """Seconds a claim is kept without a renewal. Three leave time to renew it more than once."""
    recover_seconds: Annotated[Float, Field(ge=0.05, le=3600)]
    """Seconds between two looks for expired claims."""
    max_deliveries: Annotated[Int, Field(ge=1, le=1000)]
    """Deliveries after which a claim is processed record by record."""

    @field_validator("queue")
    @classmethod
    def _check_queue(cls, queue: str) -> str:
        if "{" in queue or "}" in queue:
            raise ValueError("should not hold { or }: {queue} is the Redis Cluster hash tag")
        return queue


class EnrichSettings(Section):
    """What is worked out from each event."""

    enrichers: tuple[Reference, ...]
    """Built-in enrichers or module:attr, in the order they run."""
    on_error: Literal["dead_letter", "skip"]
    """What becomes of a batch for which an enricher raises, twice."""
    slow_seconds: Annotated[Float, Field(gt=0, le=3600)]
    """Seconds an enricher may take for a batch before the log says so."""
    mailbox_providers: str
    """Path of a map of one's own, looked at before ours; empty for none."""
    bounce_rules: str
    """Path of bounce rules of one's own, looked at before ours; empty for none."""
    machine_rules: str
    """Path of machine rules of one's own, looked at before ours; empty for none."""
    geo_country: str
    """Path of a MaxMind DB with countries or cities; empty for none."""
    geo_asn: str
    """Path of a MaxMind DB with autonomous systems; empty for none."""


class WindowSettings(Section):
    """One tumbling window; its name is the key in `Settings.windows`."""

    seconds: Annotated[Int, Field(ge=1, le=86_400)]
    """Length in whole seconds; divides a day."""
    by: Annotated[tuple[SqlName, ...], Field(max_length=8), AfterValidator(distinct)]
    """Event fields to count apart."""

    @field_validator("seconds")
    @classmethod
    def _check_seconds(cls, seconds: int) -> int:
        if 86_400 % seconds:
            raise ValueError("should divide a day (86400), so that windows start at midnight UTC")
        return seconds


class WebSettings(Section):
    """The page and the probes."""

    bind: Annotated[str, Field(min_length=1)]
    """Address or host name to listen on."""
    port: Annotated[Int, Field(ge=1, le=65_535)]
    """TCP port."""
    token: SecretStr
    """What opens the page; empty for no token."""
    public: bool
    """Whether everybody who reaches a page without a token may look."""
    show_recipients: bool
    """Whether e-mail addresses are shown whole."""
    rows: Annotated[Int, Field(ge=50, le=10_000)]
    """Rows of each window that a page gets, at most."""
    clients: Annotated[Int, Field(ge=1, le=10_000)]
    """Pages that may be open at the same time."""
    trusted_proxies: tuple[Annotated[str, AfterValidator(network)], ...]
    """Addresses and networks of the proxies whose X-Forwarded-For is believed."""

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        # No space: it goes in a header. Sixteen of what openssl prints are 64 random bits.
        if token.get_secret_value() and not re.fullmatch(
            r"[!-~]{16,512}", token.get_secret_value()
        ):
            raise ValueError(
                "should have at least 16 characters (512 at most), letters, digits and signs of "
                "ASCII; `openssl rand -hex 24` makes one"
            )
        return token


class IngestSettings(Section):
    """The webhooks that are taken in."""

    formats: Annotated[
        tuple[
            Literal["pepipost", "sendgrid", "ses", "mailgun", "postmark", "sparkpost", "plain"], ...
        ],
        AfterValidator(distinct),
    ]
    """Formats that are taken in; none, and the path is not there."""
    max_bytes: Annotated[Int, Field(ge=1024, le=512 * 2**20)]
    """Bytes of a request's body, at most."""
    unsigned: bool
    """Whether formats without a secret are taken in all the same: a proxy in front has looked."""
    sendgrid_public_key: SecretStr
    """Base64 or PEM of SendGrid's verification key."""
    mailgun_signing_key: SecretStr
    """Mailgun's HTTP webhook signing key."""
    ses_topic_arns: tuple[
        Annotated[
            str,
            matching(
                r"arn:aws[a-z-]*:sns:[a-z0-9-]{3,30}:[0-9]{12}:[A-Za-z0-9_-]{1,256}",
                "the ARN of an SNS topic",
            ),
        ],
        ...,
    ]
    """SNS topics whose messages are taken in."""
    pepipost_basic: SecretStr
    """user:password that Pepipost sends."""
    postmark_basic: SecretStr
    """user:password that Postmark sends."""
    sparkpost_basic: SecretStr
    """user:password that SparkPost sends."""
    plain_basic: SecretStr
    """user:password that senders of the format plain send."""

    @field_validator("pepipost_basic", "postmark_basic", "sparkpost_basic", "plain_basic")
    @classmethod
    def _check_basic(cls, basic: SecretStr) -> SecretStr:
        text = basic.get_secret_value()
        if text and not re.fullmatch(r"[!-9;-~]{1,128}:[!-~]{16,512}", text):
            raise ValueError(
                "should be user:password in ASCII without spaces, the password of at least 16 "
                "characters; `openssl rand -hex 24` makes one"
            )
        return basic

    @field_validator("mailgun_signing_key")
    @classmethod
    def _check_key(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and not re.fullmatch(r"[!-~]{16,512}", key.get_secret_value()):
            raise ValueError(
                "should be Mailgun's HTTP webhook signing key, of at least 16 characters"
            )
        return key


class WorkerSettings(Section):
    """The life of a worker process."""

    drain_seconds: Annotated[Float, Field(ge=0, le=3600)]
    """Seconds a stopping worker may spend on the claims it holds."""


class Settings(BaseSettings):
    """Every setting, checked and frozen. Made by `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis: RedisSettings
    database: DatabaseSettings
    source: SourceSettings
    enrich: EnrichSettings
    windows: dict[WindowName, WindowSettings]
    """By name, which ends the window's table: pepi_window_<name>."""
    sink: SinkSettings
    web: WebSettings
    ingest: IngestSettings
    worker: WorkerSettings

    _origins: dict[SettingPath, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller only: the layers are merged before the model is built."""
        return (init_settings,)


def origin_of(origins: Mapping[SettingPath, str], path: SettingPath) -> str:
    """Return where the value at `path` came from: its own origin, or that of what holds it.

    It is "code" for settings that were not made by `load_settings`.
    """
    known = (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins)
    return next(known, "code")
