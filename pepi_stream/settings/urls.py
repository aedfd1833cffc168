"""The two URLs: taken apart, checked, and made fit to be shown, their passwords never quoted."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pepi_stream.printable import printable
from pepi_stream.settings.tls import (
    MYSQL_PARAMETERS,
    PLAIN_VALUES,
    TlsSettings,
    mysql_tls,
    redis_tls,
)

_NO_URL = "is not a URL; percent-encode special characters in the password (@ is %40, / is %2F)"


class Secret(str):
    """A text that a repr does not show: that of a dict of arguments, say.

    Names are such texts, too: a password may have been put in their place.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


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


def redis_args(url: str) -> tuple[str, TlsSettings | None]:
    """Return the URL of the server without its TLS parameters, and what these ask for.

    The URL starts with redis:// where `url` has rediss://: who connects adds the TLS.

    Raises:
        ValueError: `url` is not a usable Redis URL. The message holds nothing of `url`.
    """
    parts = split_url(url, "redis", "rediss", "unix")
    if parts.scheme == "unix" and not parts.path.strip("/"):
        raise ValueError("should name a socket, as in unix:///run/redis.sock")
    query = _query(parts)
    # Others could undo what the client relies on: bytes as replies, no retries of its own.
    if any(name != "db" and not name.startswith("ssl_") for name in query):
        raise ValueError("should have no parameter but ?db= and, with rediss://, ?ssl_...=")
    # redis-py silently takes database 0 for a path that is not a number.
    if parts.scheme != "unix" and not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise ValueError("should end in a database number, as in redis://localhost:6379/0")
    if not re.fullmatch(r"[0-9]+", query.get("db", "0")):
        raise ValueError("should have a number as ?db=")
    tls = redis_tls(parts.scheme, query)
    if tls is None:
        return url, None
    database = f"db={query['db']}" if "db" in query else ""
    return parts._replace(scheme="redis", query=database).geturl(), tls


def mysql_args(url: str) -> tuple[dict[str, Any], TlsSettings | None]:
    """Return the arguments of a connection, and what the URL asks of TLS.

    The arguments are host, port, user, password, db and unix_socket, as `aiomysql.connect` takes
    them.

    Raises:
        ValueError: `url` is not a mysql:// URL that ends in one database name, or has a parameter
            other than unix_socket and those of TLS. The message holds nothing of `url`.
    """
    parts = split_url(url, "mysql")
    query = _query(parts)
    # Better refused than ignored: the next one along is ssl=true.
    if query.keys() - {"unix_socket", *MYSQL_PARAMETERS}:
        known = ", ".join(f"{name}=" for name in MYSQL_PARAMETERS)
        raise ValueError(f"should have no parameter but ?unix_socket=, {known}")
    tls = mysql_tls(query)
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in parts.path[1:]:
        raise ValueError("should end in one database name, as in mysql://user@host:3306/pepi")
    args = {
        "host": unquote(parts.hostname or "localhost"),
        "port": parts.port or 3306,
        "user": None if parts.username is None else Secret(unquote(parts.username)),
        "password": Secret(unquote(parts.password or "")),
        "db": Secret(database),
        "unix_socket": query.get("unix_socket") or None,
    }
    return args, tls


def _query(parts: SplitResult) -> dict[str, str]:
    """Return the parameters by name; MySQL's own ssl-mode and the like are spelled ssl_mode."""
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name.startswith("ssl-"):
            name = name.replace("-", "_")
        if name in query:
            raise ValueError("should not have the same parameter twice")
        query[name] = value
    return query


# Names that are shown: without capitals, and without a digit before a letter, as secrets have them.
_PLAIN_NAME = re.compile(r"(?=.{1,48}$)[a-z]+[0-9]*([_-][a-z]*[0-9]*)*")
# Users that are shown where no password follows, and who would be one otherwise.
_PLAIN_USERS = frozenset({"root", "pepi"})


def redact_url(url: str) -> str:
    """Return `url` fit to be shown: scheme, user, host, port and path, without any secret.

    Of the query, the database, the socket, the CA's path and the words that switch TLS are shown.
    Where it is not certain which part is the password (an unescaped @ or / in it, say), only the
    scheme is left; a user without a password, and a database whose name does not look like one,
    may be a secret in the wrong place, and are hidden.
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
    name, colon, password = user.partition(":")
    if name and not password and name not in _PLAIN_USERS:
        name = "***"
    items = parts.query.split("&") if parts.query else []
    shown = [item if _may_be_shown(item) else "***" for item in items]
    query = "?" + "&".join(shown) if shown else ""
    path = parts.path if scheme.lower() == "unix" else f"/{shown_database(parts.path[1:])}"
    path = path if parts.path else ""
    return printable(f"{scheme}://{name}{colon}{'***' if colon else ''}{at}{host}{path}{query}")


def shown_database(name: str) -> str:
    """Return a database's name or number, or *** for what does not look like either."""
    plain = not name or name.isdecimal() or _PLAIN_NAME.fullmatch(name)
    return name if plain else "***"


def _may_be_shown(item: str) -> bool:
    name, _, value = item.partition("=")
    name = name.replace("-", "_")
    if name == "db":
        return value.isdecimal()
    if name in ("unix_socket", "ssl_ca", "ssl_ca_certs"):
        return True
    words = ("ssl_mode", "ssl_cert_reqs", "ssl_check_hostname")
    return name in words and value.lower() in PLAIN_VALUES
