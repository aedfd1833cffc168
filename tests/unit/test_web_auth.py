"""Tokens, cookies, wrong tokens, and the names of this machine."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.errors import ConfigError
from pepi_stream.settings import load_settings
from pepi_stream.web.auth import (
    COOKIE_SECONDS,
    Failures,
    Token,
    is_loopback,
    names_this_machine,
    require_closed,
)

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True),
     ("LocalHost", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("mail1", False), ("127.1", False), ("127.0.0.1.x", False),
     ("::ffff:10.0.0.1", False), ("", False), ("localhost.x", False), ("2130706433", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("bind", "environment", "closed"),
    [
        ("127.0.0.1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),
        ("::", {}, False),
        ("mail1", {"PEPI_WEB__PUBLIC": "false", "PEPI_WEB__TOKEN": ""}, False),
        ("0.0.0.0", {"PEPI_WEB__PUBLIC": "true"}, True),
        ("0.0.0.0", {"PEPI_WEB__TOKEN": TOKEN}, True),
    ],
)
def test_an_open_page_has_to_be_meant(bind: str, environment: dict[str, str], closed: bool) -> None:
    web = load_settings(environment).web
    if closed:
        require_closed(bind, web)
        return
    with pytest.raises(ConfigError, match=r"PEPI_WEB__TOKEN.*PEPI_WEB__PUBLIC=true") as refused:
        require_closed(bind, web)
    assert f"web.bind is {bind}," in str(refused.value)


def test_settings_load_for_the_other_commands() -> None:
    assert load_settings({"PEPI_WEB__BIND": "0.0.0.0"}).web.bind == "0.0.0.0"


@given(st.text())
def test_any_host_header_is_judged(host: str) -> None:
    assert names_this_machine(host, "127.0.0.1") in (True, False)


def test_a_cookie_is_good_for_thirty_days_with_this_token_only() -> None:
    now = [1_700_000_000.5]
    token = Token(TOKEN, lambda: now[0])
    cookie = token.cookie()
    assert TOKEN not in cookie
    assert token.is_cookie(cookie)
    assert Token(TOKEN, lambda: now[0]).is_cookie(cookie)  # another worker
    assert not Token(TOKEN + "x", lambda: now[0]).is_cookie(cookie)
    now[0] += COOKIE_SECONDS - 1
    assert token.is_cookie(cookie)
    now[0] += 1
    assert not token.is_cookie(cookie)


def test_a_cookie_cannot_be_made_to_last() -> None:
    token = Token(TOKEN, lambda: 1_700_000_000)
    expiry, _, signature = token.cookie().partition(".")
    assert not token.is_cookie(f"{int(expiry) + 1}.{signature}")
    assert not token.is_cookie(f"0{expiry}.{signature}")
    assert not token.is_cookie(f"{expiry}.{signature.upper()}x")
    assert not token.is_cookie(f"{expiry}.")


@given(st.text() | st.from_regex(r"[0-9]{1,20}\.[0-9a-f]{64}", fullmatch=True))
def test_any_text_is_no_cookie_and_no_token(text: str) -> None:
    token = Token(TOKEN)
    assert not token.is_cookie(text)
    assert token.matches(text) is (text == TOKEN)
    assert not token.matches("\ud800\udc80")


def test_past_ten_wrong_tokens_a_minute_one_is_told_to_wait() -> None:
    now = [0.0]
    failures = Failures(lambda: now[0])
    assert [failures.add("10.0.0.1") for _ in range(12)] == [0] * 10 + [60, 60]
    assert failures.add("10.0.0.2") == 0
    now[0] = 45
    assert failures.add("10.0.0.1") == 15
    now[0] = 59.9
    assert failures.add("10.0.0.1") == 1
    now[0] = 60
    assert failures.add("10.0.0.1") == 0


def test_of_ipv6_a_network_counts_as_one() -> None:
    failures = Failures(lambda: 0.0)
    for i in range(10):
        failures.add(f"2001:db8::{i:x}")
    assert failures.add("2001:db8::ffff") > 0
    assert failures.add("2001:db8:0:1::1") == 0
    assert failures.add("::1%lo") == failures.add(None) == 0


def test_memory_of_failures_is_bounded() -> None:
    failures = Failures(lambda: 0.0)
    for i in range(5_000):
        failures.add(f"10.0.{i // 250}.{i % 250}")
    assert len(failures._failed) <= 1_001
    assert failures.add("192.0.2.1") > 0  # all who come late are one


def test_failures_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    failures = Failures(lambda: now[0])
    with caplog.at_level(logging.DEBUG):
        for _ in range(5):
            failures.add("10.0.0.1")
        now[0] = 200
        failures.add("10.0.0.2")
    first, second = [record.getMessage() for record in caplog.records]
    assert "from 10.0.0.1" in first
    assert "there were 5" in second
