"""URLs and secrets: what a URL says to connect to, and that its password is never shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pepi_stream.errors import ConfigError
from pepi_stream.settings import DatabaseSettings, describe, load_settings, redact_url
from pepi_stream.settings.urls import mysql_args

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "mysql://us%40er:p%2Fw%3A@db.example:3307/ev%20ents",
            ("db.example", 3307, "us@er", "p/w:", "ev ents", None),
        ),
        ("mysql://root@localhost/pepi", ("localhost", 3306, "root", "", "pepi", None)),
        ("mysql://[::1]:33/pepi", ("::1", 33, None, "", "pepi", None)),
        ("mysql://u:a+b@h/p", ("h", 3306, "u", "a+b", "p", None)),
        (
            "mysql://root@/pepi?unix_socket=/run/my%20sql.sock",
            ("localhost", 3306, "root", "", "pepi", "/run/my sql.sock"),
        ),
    ],
)
def test_connect_args(url: str, expected: tuple[object, ...]) -> None:
    names = ("host", "port", "user", "password", "db", "unix_socket")
    args = load_settings({"DATABASE_URL": url}).database.connect_args()
    assert args == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:1/2", "unix:///run/r.sock?db=1"])
def test_good_redis_urls(url: str) -> None:
    assert load_settings({"REDIS_URL": url}).redis.url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:hunter2@h:1/0", "redis://:***@h:1/0"),
        ("mysql://root:hunter2@h/db", "mysql://root:***@h/db"),
        ("mysql://root@h/db?unix_socket=/s", "mysql://root@h/db?unix_socket=/s"),
        ("mysql://pepi-7@h/pepi_test_12", "mysql://***@h/pepi_test_12"),
        ("redis://hunter2@h:1/0", "redis://***@h:1/0"),
        ("redis://hunter2:@h:1/0", "redis://***:***@h:1/0"),
        ("unix://hunter2@/s", "unix://***@/s"),
        ("mysql://root:x@h/hunter2x", "mysql://root:***@h/***"),
        ("mysql://root:x@h/HUNTER2", "mysql://root:***@h/***"),
        ("mysql://root:x@h/d%3Fpassword=hunter2", "mysql://root:***@h/***"),
        ("mysql://root:x@h/d:hunter2", "mysql://root:***@h/***"),
        ("redis://h/hunter2x", "redis://h/***"),
        ("redis://h/0?db=hunter2", "redis://h/0?***"),
        ("unix://u:hunter2@/s?db=1&password=hunter2", "unix://u:***@/s?db=1&***"),
        ("redis://h/0?password=a&hunter2", "redis://h/0?***&***"),
        ("mysql://root:x@hunter2@h/db", "mysql://***"),
        ("mysql://root:x/hunter2@h/db", "mysql://***"),
        ("mysql://root:x#hunter2@h/db", "mysql://***"),
        ("mysql://root:x?hunter2@h/db", "mysql://***"),
        ("mysql://root:hunter2", "mysql://***"),
        ("hunter2", "***"),
        ("a:hunter2@h://", "***"),
        ("", "***"),
    ],
)
def test_redact_url(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(st.text(min_size=1).map(lambda text: text + SECRET), st.booleans())
def test_no_password_gets_through_redaction(password: str, escaped: bool) -> None:
    text = quote(password, safe="") if escaped else password
    assert SECRET not in redact_url(f"mysql://root:{text}@db.example:3306/pepi")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_password_survives_the_url(password: str) -> None:
    url = f"mysql://root:{quote(password, safe='')}@h/pepi"
    database = DatabaseSettings(
        url=SecretStr(url), timeout_seconds=1, lock_wait_seconds=1, idle_seconds=1
    )
    assert database.connect_args()["password"] == password


def test_no_secret_in_describe_or_repr() -> None:
    loaded = load_settings(
        {
            "REDIS_URL": f"rediss://:{SECRET}@h/0?ssl_certfile=c.pem&ssl_keyfile={SECRET}",
            "DATABASE_URL": f"mysql://u:{SECRET}@h/d",
        }
    )
    assert SECRET not in repr(loaded) + str(loaded) + repr(describe(loaded))
    assert ("database.url", "mysql://u:***@h/d", "DATABASE_URL") in describe(loaded)


@pytest.mark.parametrize(
    "parameter", ["decode_responses=true", "password=x", "health_check_interval=1", "retry=1"]
)
def test_a_redis_parameter_that_changes_the_client_is_refused(parameter: str) -> None:
    with pytest.raises(ConfigError, match=r"should have no parameter but"):
        load_settings({"REDIS_URL": f"redis://h/0?{parameter}"})


def test_a_password_is_not_in_the_repr_of_what_holds_it() -> None:
    args, _ = mysql_args("mysql://pepi:PLANTED@h/d")
    assert args["password"] == "PLANTED"
    assert "PLANTED" not in repr(args)
