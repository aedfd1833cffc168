"""Who may look: the token, the cookie that stands for it, and the names this machine goes by."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from pepi_stream.errors import ConfigError
from pepi_stream.settings import WebSettings

logger = logging.getLogger(__name__)

COOKIE: Final = "pepi_live"
COOKIE_SECONDS: Final = 30 * 86_400

_FAILURES_A_MINUTE: Final = 10
_ADDRESSES: Final = 1_000


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is sure to be reached from this machine only."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def require_closed(bind: str, web: WebSettings) -> None:
    """Check that nobody gets to see the page by oversight.

    Args:
        bind: the address in force; a command line may differ from the settings.
        web: the settings.

    Raises:
        ConfigError: others can reach the page, it has no token, and nobody said it is public.
    """
    if is_loopback(bind) or web.public or web.token.get_secret_value():
        return
    raise ConfigError(
        f"web.bind is {bind}, where others than this machine may reach the page, and it has no "
        "token: set PEPI_WEB__TOKEN (`openssl rand -hex 24` makes one), or PEPI_WEB__PUBLIC=true "
        "to let everybody look, or PEPI_WEB__BIND=127.0.0.1, or run with --without-web"
    )


def names_this_machine(host: str, bind: str) -> bool:
    """Tell whether a Host header is one that a browser sends to a loopback address.

    A page of somebody else's, whose name was made to point to 127.0.0.1 (DNS rebinding), sends its
    own name.
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::[0-9]{1,5})?", host)
    if found is None:
        return False
    name = found[1] or found[2]
    return name.lower() == bind.lower() or is_loopback(name)


class Token:
    """The token of the page, and the cookies made of it.

    A cookie is ``<expiry>.<HMAC of it>``, under a key derived from the token: it tells nothing of
    the token, works at every worker that has the same one, and ends with it.

    Args:
        token: the token; not empty.
        now: seconds since 1970.
    """

    def __init__(self, token: str, now: Callable[[], float] = time.time) -> None:
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"pepi_stream: cookies of the live page", "sha256")
        self._now = now

    def matches(self, given: str) -> bool:
        """Tell whether this is the token."""
        return hmac.compare_digest(given.encode(errors="surrogatepass"), self._token)

    def cookie(self) -> str:
        """Return the value of a cookie that is good for 30 days."""
        expiry = str(int(self._now()) + COOKIE_SECONDS)
        return f"{expiry}.{self._signature(expiry)}"

    def is_cookie(self, value: str) -> bool:
        """Tell whether the value is one of ours, and its time is not over."""
        expiry, _, signature = value.partition(".")
        if not re.fullmatch(r"[0-9]{1,12}", expiry, re.ASCII):
            return False
        given = signature.encode(errors="surrogatepass")
        good = hmac.compare_digest(given, self._signature(expiry).encode())
        return good and self._now() < int(expiry)

    def is_among(self, cookies: Iterable[str]) -> bool:
        """Tell whether a cookie of ours is in Cookie headers.

        Each of its name is looked at: a server beside this one, under the same domain, may have
        set one that comes last.
        """
        pairs = (pair.partition("=") for header in cookies for pair in header.split(";"))
        values = (value.strip() for name, _, value in pairs if name.strip() == COOKIE)
        return any(map(self.is_cookie, values))

    def _signature(self, expiry: str) -> str:
        return hmac.new(self._key, expiry.encode(), hashlib.sha256).hexdigest()


class Failures:
    """Counts wrong tokens by address, and tells who tries one after the other to wait.

    The right token is compared before anything is counted: nobody's wrong ones keep it out.

    Args:
        now: seconds, of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._start = now()
        self._failed: Counter[str] = Counter()
        self._before = 0

    def add(self, address: str | None) -> int:
        """Count a wrong token; one line a minute says so.

        Returns:
            For how many seconds more this address is told to wait; 0 if it need not.
        """
        self._turn()
        if not self._failed:
            more = f"; there were {self._before} when that last happened" if self._before else ""
            logger.warning(
                "web: a wrong token, from %s (others within a minute are not logged%s)",
                address,
                more,
            )
        key = self._key(address)
        self._failed[key] += 1
        if self._failed[key] <= _FAILURES_A_MINUTE:
            return 0
        return max(1, round(self._start + 60 - self._now()))

    def _key(self, address: str | None) -> str:
        """Return what stands for an address: of IPv6 its /64; past a thousand of them, "others"."""
        key = address or ""
        if ":" in key:
            try:
                key = str(ipaddress.ip_network((key.partition("%")[0], 64), strict=False))
            except ValueError:
                key = ""
        return key if key in self._failed or len(self._failed) < _ADDRESSES else "others"

    def _turn(self) -> None:
        if self._now() - self._start >= 60:
            if self._failed:
                self._before = self._failed.total()
            self._start = self._now()
            self._failed.clear()
