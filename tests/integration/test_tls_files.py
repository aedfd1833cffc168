"""Files that a URL names for TLS and that are no good: exit code 78, the parameter and the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pepi_stream.errors import ConfigError
from pepi_stream.settings import TlsFile, TlsSettings
from pepi_stream.tls import client_context
from tests.flow import Flow
from tests.private_ca import PrivateCA, private_pem


@pytest.fixture
def ca(tmp_path: Path) -> PrivateCA:
    return PrivateCA(tmp_path / "ca")


def asked(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> TlsSettings:
    return TlsSettings(
        "DATABASE_URL",
        verify=True,
        check_host=True,
        ca=TlsFile("ssl_ca", str(ca)) if ca else None,
        certificate=TlsFile("ssl_cert", str(certificate)) if certificate else None,
        key=TlsFile("ssl_key", str(key)) if key else None,
    )


def encrypted(ca: PrivateCA) -> Path:
    path = ca.directory / "encrypted.key"
    path.write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1()), b"passphrase"))
    return path


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (lambda ca: asked(ca.directory / "none.pem"), "ssl_ca ({0}/none.pem) cannot be read (No "),
        (lambda ca: asked(ca.directory), "ssl_ca ({0}) cannot be read (Is a directory)"),
        (lambda ca: asked(ca.client.key), "ssl_ca ({0}/client.key) holds no certificate in PEM"),
        (
            lambda ca: asked(None, ca.directory / "none.pem"),
            "ssl_cert ({0}/none.pem) cannot be read",
        ),
        (
            lambda ca: asked(None, ca.client.certificate, ca.directory / "none.key"),
            "ssl_key ({0}/none.key) cannot be read",
        ),
        (
            lambda ca: asked(None, ca.client.certificate),
            "ssl_cert ({0}/client.pem) is no certificate with a key in PEM form",
        ),
        (
            lambda ca: asked(None, ca.client.certificate, ca.client.certificate),
            "ssl_cert ({0}/client.pem) or ssl_key ({0}/client.pem) is not in PEM form",
        ),
        (
            lambda ca: asked(None, ca.client.certificate, ca.server.key),
            "ssl_cert ({0}/client.pem) is not of the same pair as the key",
        ),
        (
            lambda ca: asked(None, ca.client.certificate, encrypted(ca)),
            "ssl_key ({0}/encrypted.key) is encrypted; give the key without one",
        ),
    ],
)
def test_a_file_that_is_no_good(
    ca: PrivateCA, settings: Callable[[PrivateCA], TlsSettings], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        client_context(settings(ca))
    assert str(caught.value).startswith("DATABASE_URL: " + says.format(ca.directory))


def test_a_certificate_and_its_key_in_one_file(ca: PrivateCA) -> None:
    both = ca.directory / "both.pem"
    both.write_bytes(ca.client.certificate.read_bytes() + ca.client.key.read_bytes())
    assert client_context(asked(ca.certificate, both)).cert_store_stats()["x509_ca"] == 1


def test_a_missing_file_ends_every_command_with_one_line(flow: Flow) -> None:
    good = dict(flow.env)
    for name, url in {
        "DATABASE_URL": "mysql://u:hunter2@127.0.0.1:1/d?ssl_ca=/no/such/ca.pem",
        "REDIS_URL": "rediss://:hunter2@127.0.0.1:1/0?ssl_ca_certs=/no/such/ca.pem",
    }.items():
        flow.env = good | {name: url}
        for args in (("worker", "--without-web"), ("migrate",), ("check",)):
            done = flow.command(*args)
            out = done.stdout + done.stderr
            # `check` goes on to look at the other server, and says what to fix.
            by_check = name == "DATABASE_URL" and args == ("check",)
            assert done.returncode == (1 if by_check else 78), out
            assert f"{name}: ssl_ca" in out
            assert "(/no/such/ca.pem) cannot be read (No such file or directory)" in out
            assert "Traceback" not in out
            assert "hunter2" not in out
