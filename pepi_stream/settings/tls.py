"""What the two URLs ask of TLS: their ssl_ parameters, checked as text. No file is opened here.

`pepi_stream.tls` makes an `ssl.SSLContext` of the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

MYSQL_PARAMETERS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")
REDIS_PARAMETERS = (
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_cert_reqs",
    "ssl_check_hostname",
)
MYSQL_MODES = ("disabled", "required", "verify_ca", "verify_identity")
_YES = ("true", "yes", "1")
_NO = ("false", "no", "0")

#: Values that a URL may be shown with, because they cannot hold a secret.
PLAIN_VALUES = frozenset({*MYSQL_MODES, *_YES, *_NO, "none", "optional"})


class TlsFile(NamedTuple):
    """A file that a URL names, and the parameter that names it."""

    parameter: str
    path: str


@dataclass(frozen=True)
class TlsSettings:
    """A connection that has to be encrypted, and how the two sides prove who they are."""

    setting: str
    """The variable of the URL, for messages: REDIS_URL or DATABASE_URL."""
    verify: bool
    """Whether the server's certificate must come from a CA that is trusted."""
    check_host: bool
    """Whether it must also be for the URL's host; never without `verify`."""
    ca: TlsFile | None
    """PEM file of the only CAs trusted; None for the system's."""
    certificate: TlsFile | None
    """PEM file of our own certificate; None to show none."""
    key: TlsFile | None
    """PEM file of its key; None when it is in the certificate's file."""


def mysql_tls(query: Mapping[str, str]) -> TlsSettings | None:
    """Return what the parameters of a mysql:// URL ask for; None for no TLS.

    Args:
        query: the URL's parameters, spelled with `_`.

    Raises:
        ValueError: They are not allowed, or contradict each other. The message quotes no value.
    """
    ca, certificate, key = (_file(query, name) for name in ("ssl_ca", "ssl_cert", "ssl_key"))
    mode = query.get("ssl_mode", "verify_identity" if ca or certificate or key else "disabled")
    mode = mode.lower()
    if mode == "preferred":
        raise ValueError(
            "should not have ssl_mode=preferred: it encrypts only if nobody on the way objects, "
            "and so keeps nobody out; use verify_identity, verify_ca, required or disabled"
        )
    if mode not in MYSQL_MODES:
        raise ValueError(f"should have one of {', '.join(MYSQL_MODES)} as ssl_mode")
    if mode == "disabled":
        if ca or certificate or key:
            raise ValueError("should have no ssl_ca, ssl_cert or ssl_key with ssl_mode=disabled")
        return None
    if mode == "required" and ca:
        raise ValueError(
            "should not have ssl_ca with ssl_mode=required, which verifies nothing; "
            "use verify_identity or verify_ca"
        )
    return TlsSettings(
        setting="DATABASE_URL",
        verify=mode != "required",
        check_host=mode == "verify_identity",
        ca=ca,
        certificate=certificate,
        key=_key_of(certificate, key),
    )


def redis_tls(scheme: str, query: Mapping[str, str]) -> TlsSettings | None:
    """Return what a Redis URL asks for; None for no TLS.

    Args:
        scheme: redis, rediss or unix.
        query: the URL's parameters.

    Raises:
        ValueError: They are not allowed, or contradict each other. The message quotes no value.
    """
    ssl_names = [name for name in query if name.startswith("ssl_")]
    if scheme != "rediss":
        if ssl_names:
            raise ValueError("should start with rediss:// to have ?ssl_...=, which is for TLS")
        return None
    if set(ssl_names) - set(REDIS_PARAMETERS):
        raise ValueError(f"should have no ?ssl_...= but {', '.join(REDIS_PARAMETERS)}")
    ca, certificate, key = (
        _file(query, name) for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
    )
    requirement = query.get("ssl_cert_reqs", "required").lower()
    if requirement not in ("none", "optional", "required"):
        raise ValueError("should have none, optional or required as ssl_cert_reqs")
    verify = requirement != "none"  # of a server, Python's ssl makes optional the same as required
    check = query.get("ssl_check_hostname", "true" if verify else "false").lower()
    if check not in (*_YES, *_NO):
        raise ValueError("should have true or false as ssl_check_hostname")
    if not verify and (ca or check in _YES):
        raise ValueError(
            "should have neither ssl_ca_certs nor ssl_check_hostname with ssl_cert_reqs=none, "
            "which verifies nothing"
        )
    return TlsSettings(
        setting="REDIS_URL",
        verify=verify,
        check_host=check in _YES,
        ca=ca,
        certificate=certificate,
        key=_key_of(certificate, key),
    )


def _file(query: Mapping[str, str], parameter: str) -> TlsFile | None:
    if parameter not in query:
        return None
    if not query[parameter]:
        raise ValueError(f"should have a path as {parameter}")
    return TlsFile(parameter, query[parameter])


def _key_of(certificate: TlsFile | None, key: TlsFile | None) -> TlsFile | None:
    if key and not certificate:
        raise ValueError(f"should have a certificate beside {key.parameter}")
    return key
