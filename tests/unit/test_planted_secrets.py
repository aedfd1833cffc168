"""A secret in every place of the settings, right or wrong: nothing that is shown has it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from pepi_stream.claims import connect_redis
from pepi_stream.errors import ConfigError
from pepi_stream.settings import describe, load_settings

MARKER = "PLANTED7secret"
SPELLINGS = {
    "raw": MARKER,
    "percent": "%50LANTED7secret",
    "with signs": f"a@b:c/{MARKER}?d#e",
    "encoded signs": f"a%40b%3Ac%2F{MARKER}%3Fd%23e",
    "with an escape": f"\x1b[2J{MARKER}",
}
# The places of a URL where a password stands, or might have been put.
URLS = {
    "REDIS_URL": [
        "redis://:{}@h:1/0",
        "redis://user:{}@h:1/0",
        "redis://{}@h:1/0",
        "redis://{}:@h:1/0",
        "redis://h:1/{}",
        "redis://h:{}/0",
        "redis://h:1/0?password={}",
        "redis://h:1/0?{}",
        "redis://h:1/0?db={}",
        "redis://h:1/0#{}",
        "rediss://u:{}@h:1/0?ssl_cert_reqs={}",
        "unix://{}@/run/redis.sock",
        "unix://u:{}@/run/redis.sock?db=1",
        "unix:///run/redis.sock?password={}",
        "redis:/:{}@h",
        "{}",
        "{}://h",
    ],
    "DATABASE_URL": [
        "mysql://u:{}@h:1/d",
        "mysql://{}@h:1/d",
        "mysql://{}:@h:1/d",
        "mysql://h:1/{}",
        "mysql://u:x@h:1/d/{}",
        "mysql://u:x@h:{}/d",
        "mysql://u:x@h:1/d?password={}",
        "mysql://u:x@h:1/d?ssl_mode={}",
        "mysql://u:x@h:1/d?{}={}",
        "mysql://u:x@h:1/d#{}",
        "mysql://u:{}@/d?unix_socket=/s",
        "mysql+{}://h/d",
        "mysql://u:{}",
        "{}",
    ],
}
OTHERS = {
    "PORT": "{}",
    "PEPI_WEB__TOKEN": "{}",
    "PEPI_INGEST__PLAIN_BASIC": "u:{}",
    "PEPI_INGEST__MAILGUN_SIGNING_KEY": "{}",
    "PEPI_INGEST__SENDGRID_PUBLIC_KEY": "{}",
    "PEPI_INGEST__SES_TOPIC_ARNS": '["{}"',
    "PEPI_SOURCE__LEASE_SECONDS": "{}",
    "PEPI_SINK__COLUMNS": '[{{"name": "{}"',
    "PEPI_WINDOWS": '{{"a": "{}"}}',
}
FILES = [
    'password = "{}',
    "[redis]\nurl = {}",
    "[redis]\nurl = '{}' '{}'",
    "[{}]\n[{}]",
    "[redis]\n{} = 1\n{} = 2",
    "x = {{{} = 1, {} = 2}}",
    "[database]\nurl = 'mysql://u:{}@h'",
    "[web]\ntoken = 'short {}'",
    "[sink]\nmax_rows = '{}'",
]


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    templates = [(name, url) for name, urls in URLS.items() for url in urls]
    for (name, template), (how, text) in itertools.product(
        [*templates, *OTHERS.items()], SPELLINGS.items()
    ):
        yield f"{name} {template} {how}", {name: template.format(text, text)}


def shown(environ: dict[str, str]) -> str:
    """Return all that these settings make a process say."""
    try:
        settings = load_settings(environ)
        parts = [repr(settings), str(settings), repr(describe(settings))]
        parts += [repr(settings.redis.connect_args), repr(settings.database.connect_args())]
        parts += [repr(connect_redis(settings.redis).connection_pool)]
    except ConfigError as exc:
        parts = [str(exc)]
    return "\n".join(parts)


def test_no_place_in_the_environment_shows_it() -> None:
    tried = dict(environments())
    told = {place: text for place, environ in tried.items() if has_it(text := shown(environ))}
    assert told == {}
    assert len(tried) > 150


@pytest.mark.parametrize("template", FILES)
def test_no_place_in_a_file_shows_it(tmp_path: Path, template: str) -> None:
    path = tmp_path / "pepi.toml"
    for text in SPELLINGS.values():
        path.write_text(template.format(text, text))
        assert not has_it(shown({"PEPI_CONFIG": str(path)}))


def has_it(text: str) -> bool:
    return "LANTED7" in text or "\x1b" in text
