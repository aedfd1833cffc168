"""Whose request it is: X-Forwarded-For, as far as trusted proxies wrote it."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from pepi_stream.web.proxies import Proxies, address_of

TRUSTED = ("10.0.0.0/8", "2001:db8:1::/48", "192.0.2.1")


def client(remote: str | None, *forwarded: str, trusted: tuple[str, ...] = TRUSTED) -> str | None:
    request = make_mocked_request(
        "GET", "/", headers=[("X-Forwarded-For", line) for line in forwarded]
    )
    request = request.clone() if remote is None else request.clone(remote=remote)
    return Proxies(trusted).client_of(request)


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # nobody's word counts but a proxy's
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.2.3.4,192.0.2.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1", "10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["10.2.3.4, 10.2.3.5"], "10.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.2.3.4"], "10.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, "], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("2001:db8:1::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("2001:db8:1::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], None),
        ("10.0.0.1", ["198.51.100.1" + ", 10.2.3.4" * 31], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.2.3.5" + ", 10.2.3.4" * 32], "10.2.3.4"),  # made up
    ],
)
def test_the_first_from_the_end_that_is_no_trusted_proxy(
    remote: str | None, forwarded: list[str], expected: str | None
) -> None:
    assert client(remote, *forwarded) == expected


def test_without_trusted_proxies_the_header_is_not_read() -> None:
    assert client("10.0.0.1", "198.51.100.1", trusted=()) == "10.0.0.1"


@pytest.mark.parametrize("word", ["", "unknown", "_hidden", "[", "1.2.3", "1.2.3.4:5:6", "-"])
def test_what_is_no_address(word: str) -> None:
    assert address_of(word) is None
