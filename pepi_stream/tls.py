"""TLS to the two servers: the context that a URL asks for, and why a certificate was refused.

Used by the Redis and the MySQL side alike, so that both verify in the same way.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from pepi_stream.errors import ConfigError
from pepi_stream.settings import TlsFile, TlsSettings

# X509_V_ERR_... of OpenSSL, as ssl.SSLCertVerificationError.verify_code has them.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_HOST: Final = frozenset({62, 64})
# Alerts by which a server refuses our certificate, or the lack of one (RFC 8446, 6.2; the names
# are OpenSSL's reasons, in which TLS 1.2 and before are called SSLV3 and TLSV1).
_REFUSED_OURS: Final = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
)


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Make the context of a connection: TLS 1.2 or later, the files read now.

    Only the CAs of `tls.ca` are trusted where it is given, and only the system's where not.

    Raises:
        ConfigError: A file cannot be read or used; the message names the parameter and the file.
    """
    if tls.ca:
        _require_readable(tls, tls.ca)
    try:
        context = ssl.create_default_context(cafile=tls.ca.path if tls.ca else None)
    except ssl.SSLError:
        assert tls.ca is not None
        raise _unusable(tls, tls.ca, "holds no certificate in PEM form") from None
    context.check_hostname = tls.check_host  # before verify_mode, which Python holds it against
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
    if tls.certificate:
        _load_own_certificate(context, tls, tls.certificate)
    return context


def certificate_failure(exc: BaseException, *, url: str, ca: str, certificate: str) -> str | None:
    """Say which certificate was refused, why and what to do; None if it was something else.

    Args:
        exc: what the client raised; the causes behind it are looked at, too.
        url: the variable of the URL.
        ca: its parameter that names the CA.
        certificate: its parameter that names our own certificate.
    """
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            # Only those that OpenSSL raised have these attributes.
            reason = getattr(seen, "verify_message", "").rstrip(".") or "it cannot be verified"
            remedy = _remedy(getattr(seen, "verify_code", None), url, ca)
            return f"the server's certificate is refused: {reason}; {remedy}"
        alert = str(getattr(seen, "reason", "")) if isinstance(seen, ssl.SSLError) else ""
        if alert.endswith(_REFUSED_OURS):
            return (
                f"the server refuses our certificate, or wants one ({alert}); "
                f"name one that its CA issued as {certificate} in {url}"
            )
        seen = seen.__cause__ or seen.__context__
    return None


def _remedy(code: int | None, url: str, ca: str) -> str:
    if code in _OTHER_HOST:
        return (
            f"name the server in {url} as its certificate does, "
            "or give it a certificate for this name"
        )
    if code == _EXPIRED:
        return "renew the server's certificate (or is the clock of this machine wrong?)"
    if code == _NOT_YET_VALID:
        return "is the clock of this machine wrong?"
    if code in _UNKNOWN_ISSUER:
        return f"name the CA that issued it as {ca} in {url}"
    return f"give the server a valid certificate, issued by the CA in {ca} of {url}"


def _load_own_certificate(context: ssl.SSLContext, tls: TlsSettings, own: TlsFile) -> None:
    _require_readable(tls, own)
    if tls.key:
        _require_readable(tls, tls.key)
    try:
        context.load_cert_chain(
            own.path,
            tls.key.path if tls.key else None,
            password=_no_passphrase,  # without it, OpenSSL would ask on the terminal, and wait
        )
    except _EncryptedKeyError:
        raise _unusable(tls, tls.key or own, "is encrypted; give the key without one") from None
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            what = "is not of the same pair as the key"
        else:
            what = "is no certificate with a key in PEM form"
            if tls.key:
                what = f"or {tls.key.parameter} ({tls.key.path}) is not in PEM form"
        raise _unusable(tls, own, what) from None


class _EncryptedKeyError(Exception):
    """The key's file wants a passphrase."""


def _no_passphrase() -> str:
    raise _EncryptedKeyError


def _require_readable(tls: TlsSettings, file: TlsFile) -> None:
    try:
        with Path(file.path).open("rb"):
            pass
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        reason = exc.strerror if isinstance(exc, OSError) else "not a path"
        raise _unusable(tls, file, f"cannot be read ({reason})") from None


def _unusable(tls: TlsSettings, file: TlsFile, what: str) -> ConfigError:
    return ConfigError(f"{tls.setting}: {file.parameter} ({file.path}) {what}")
