"""The two URLs: taken apart, checked, and made fit to be shown, their passwords never quoted."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_NO_URL = "is not a URL; percent-encode special characters in the password (@ is %40, / is %2F)"


def split_url(url: str, *schemes: str) -> SplitResult:
    """Return the parts of `url`, whose scheme is one of `schemes`.

    Raises:
        ValueError: It is no URL, has another scheme, or has port 0 or a fragment. The message holds
            nothing of `url`.
    """
    # The standard library's own messages quote the text, password and all: none may get out.
    try:
        parts = urlsplit(url)
        valid = parts.port != 0 and not parts.fragment
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(_NO_URL) from None
    if parts.scheme not in schemes:
        raise ValueError(f"should start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return parts


def mysql_args(url: str) -> dict[str, Any]:
    """Return host, port, user, password, db and unix_socket, as `aiomysql.connect` takes them.

    Raises:
        ValueError: `url` is not a mysql:// URL that ends in one database name, or has a parameter
            other than unix_socket. The message holds nothing of `url`.
    """
    parts = split_url(url, "mysql")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    # Better refused than ignored: the next one along is ssl=true.
    if query.keys() - {"unix_socket"}:
        raise ValueError("should have no parameter but ?unix_socket=")
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in parts.path[1:]:
        raise ValueError("should end in one database name, as in mysql://user@host:3306/pepi")
    return {
        "host": unquote(parts.hostname or "localhost"),
        "port": parts.port or 3306,
        "user": None if parts.username is None else unquote(parts.username),
        "password": unquote(parts.password or ""),
        "db": database,
        "unix_socket": query.get("unix_socket") or None,
    }


def redact_url(url: str) -> str:
    """Return `url` fit to be shown: scheme, user, host, port and path, without any password.

    Query values other than db and unix_socket are hidden as well. Where it is not certain which
    part is the password (an unescaped @ or / in it, say), only the scheme is left.
    """
    scheme, mark, _ = url.partition("://")
    if not mark or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return "***"
    try:
        parts = split_url(url, scheme.lower())
    except ValueError:
        return f"{scheme}://***"
    if url.count("@") > parts.netloc.count("@") or parts.netloc.count("@") > 1:
        return f"{scheme}://***"
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    items = parts.query.split("&") if parts.query else []
    shown = [item if item.startswith(("db=", "unix_socket=")) else "***" for item in items]
    query = "?" + "&".join(shown) if shown else ""
    return f"{scheme}://{name}{colon}{'***' if colon else ''}{at}{host}{parts.path}{query}"
