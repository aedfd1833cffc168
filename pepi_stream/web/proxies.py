"""Whose request it is when proxies stand in front: the address that a trusted one names."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
ClientOf = Callable[[web.BaseRequest], str | None]
"""Returns the address of who asks; None where there is none (a local socket)."""

_MOST: Final = 32  # proxies one behind the other; a made-up list may name a hundred thousand


class Proxies:
    """Reads X-Forwarded-For, as far as it was written by proxies that are trusted.

    Each proxy appends the address that it was asked from. So the list is read from its end: the
    first address that is not a trusted proxy's is the client's. What stands before it, anybody may
    have made up.

    Args:
        trusted: addresses and networks of the proxies (`web.trusted_proxies`).
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted: tuple[Network, ...] = tuple(map(ipaddress.ip_network, trusted))

    def client_of(self, request: web.BaseRequest) -> str | None:
        """Return the address of who asks; None where there is none (a local socket)."""
        remote = request.remote
        if not self._trusted or remote is None or not self._trusts(address_of(remote)):
            return remote
        client = remote
        named = ",".join(request.headers.getall("X-Forwarded-For", ())).rsplit(",", _MOST)
        for word in reversed(named[-_MOST:]):
            address = address_of(word.strip())
            if address is None:  # no proxy writes that: what stands before it is made up
                break
            client = str(address)
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def address_of(text: str) -> Address | None:
    """Return the address in a word of X-Forwarded-For; None if it is none.

    Some proxies add the port (``203.0.113.7:4711``, ``[2001:db8::1]:4711``).
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
