"""What the URLs may ask of TLS, what that means, and what is refused."""

from __future__ import annotations

import pytest

from pepi_stream.errors import ConfigError
from pepi_stream.settings import TlsFile, TlsSettings, load_settings, redact_url

CA = TlsFile("ssl_ca", "/etc/ca.pem")
CERTIFICATE, KEY = TlsFile("ssl_cert", "/c.pem"), TlsFile("ssl_key", "/k.pem")


def mysql(query: str) -> TlsSettings | None:
    return load_settings({"DATABASE_URL": f"mysql://u:hunter2@h/d{query}"}).database.tls()


def redis(query: str, scheme: str = "rediss") -> tuple[str, TlsSettings | None]:
    return load_settings({"REDIS_URL": f"{scheme}://u:hunter2@h:1/2{query}"}).redis.connect_args()


@pytest.mark.parametrize(
    ("query", "verify", "check_host", "ca"),
    [
        ("?ssl_mode=required", False, False, None),
        ("?ssl_mode=verify_ca", True, False, None),
        ("?ssl_mode=verify_identity", True, True, None),
        ("?ssl-mode=VERIFY_IDENTITY", True, True, None),
        ("?ssl_mode=Verify_Ca&ssl_ca=/etc/ca.pem", True, False, CA),
        ("?ssl_ca=/etc/ca.pem", True, True, CA),
        ("?ssl-ca=%2Fetc%2Fca.pem", True, True, CA),
        ("?unix_socket=/s&ssl_ca=/etc/ca.pem", True, True, CA),
    ],
)
def test_mysql_modes(query: str, verify: bool, check_host: bool, ca: TlsFile | None) -> None:
    tls = mysql(query)
    assert tls == TlsSettings("DATABASE_URL", verify, check_host, ca, None, None)


@pytest.mark.parametrize("query", ["", "?ssl_mode=disabled", "?ssl-mode=DISABLED"])
def test_mysql_without_tls(query: str) -> None:
    assert mysql(query) is None


def test_a_certificate_of_ours_alone_asks_for_all_verification() -> None:
    tls = mysql("?ssl_cert=/c.pem&ssl_key=/k.pem")
    assert tls == TlsSettings("DATABASE_URL", True, True, None, CERTIFICATE, KEY)
    assert mysql("?ssl_cert=/c.pem") == TlsSettings(
        "DATABASE_URL", True, True, None, CERTIFICATE, None
    )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?ssl_mode=preferred", "encrypts only if nobody on the way objects"),
        ("?ssl_mode=PREFERRED&ssl_ca=/c", "encrypts only if nobody"),
        ("?ssl_mode=on", "one of disabled, required, verify_ca, verify_identity"),
        ("?ssl_mode=", "one of disabled, required, verify_ca, verify_identity"),
        ("?ssl_mode=disabled&ssl_ca=/c", "with ssl_mode=disabled"),
        ("?ssl_mode=required&ssl_ca=/c", "verifies nothing"),
        ("?ssl_ca=", "a path as ssl_ca"),
        ("?ssl_key=/k", "a certificate beside ssl_key"),
        ("?ssl_ca=/a&ssl_ca=/b", "the same parameter twice"),
        ("?ssl_mode=verify_identity&ssl-mode=disabled", "the same parameter twice"),
        ("?ssl=true", "?unix_socket=, ssl_mode=, ssl_ca=, ssl_cert=, ssl_key="),
        ("?ssl_verify=false", "?unix_socket=, ssl_mode=, ssl_ca=, ssl_cert=, ssl_key="),
    ],
)
def test_mysql_parameters_that_are_refused(query: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mysql(query)
    assert says in str(caught.value)
    assert str(caught.value).startswith("database.url: should ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "verify", "check_host"),
    [
        ("", True, True),
        ("?ssl_cert_reqs=required", True, True),
        ("?ssl_cert_reqs=Optional", True, True),
        ("?ssl_check_hostname=True", True, True),
        ("?ssl_check_hostname=false", True, False),
        ("?ssl_check_hostname=no", True, False),
        ("?ssl_check_hostname=0", True, False),
        ("?ssl_cert_reqs=none", False, False),
        ("?ssl_cert_reqs=none&ssl_check_hostname=false", False, False),
    ],
)
def test_redis_verification(query: str, verify: bool, check_host: bool) -> None:
    url, tls = redis(query)
    assert tls == TlsSettings("REDIS_URL", verify, check_host, None, None, None)
    assert url == "redis://u:hunter2@h:1/2"


def test_redis_files_and_what_is_left_for_the_client() -> None:
    query = "?db=3&ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"
    assert redis(query) == (
        "redis://u:hunter2@h:1/2?db=3",
        TlsSettings(
            "REDIS_URL",
            True,
            True,
            TlsFile("ssl_ca_certs", "/ca.pem"),
            TlsFile("ssl_certfile", "/c.pem"),
            TlsFile("ssl_keyfile", "/k.pem"),
        ),
    )
    assert redis("", "redis") == ("redis://u:hunter2@h:1/2", None)


@pytest.mark.parametrize(
    ("scheme", "query", "says"),
    [
        ("rediss", "?ssl_ca=/c", "ssl_ca_certs, ssl_certfile, ssl_keyfile"),
        ("rediss", "?ssl_password=hunter2", "ssl_ca_certs, ssl_certfile, ssl_keyfile"),
        ("rediss", "?ssl_cert_reqs=CERT_NONE", "none, optional or required"),
        ("rediss", "?ssl_check_hostname=maybe", "true or false"),
        ("rediss", "?ssl_check_hostname=", "true or false"),
        ("rediss", "?ssl_cert_reqs=none&ssl_ca_certs=/c", "verifies nothing"),
        ("rediss", "?ssl_cert_reqs=none&ssl_check_hostname=true", "verifies nothing"),
        ("rediss", "?ssl_keyfile=/k", "a certificate beside ssl_keyfile"),
        ("rediss", "?ssl_ca_certs=", "a path as ssl_ca_certs"),
        ("rediss", "?ssl_ca_certs=/a&ssl_ca_certs=/b", "the same parameter twice"),
        ("rediss", "?db=x", "a number as ?db="),
        ("redis", "?ssl_ca_certs=/c", "start with rediss://"),
        ("redis", "?ssl_cert_reqs=none", "start with rediss://"),
        ("unix", "?ssl_ca_certs=/c", "start with rediss://"),
    ],
)
def test_redis_parameters_that_are_refused(scheme: str, query: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        redis(query, scheme)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("ssl_ca=/etc/ca.pem", "ssl_ca=/etc/ca.pem"),
        ("ssl-mode=verify_ca&ssl_ca=/a", "ssl-mode=verify_ca&ssl_ca=/a"),
        ("ssl_mode=hunter2", "***"),
        ("ssl_cert=/c.pem&ssl_key=/k.pem", "***&***"),
        ("ssl_ca_certs=/a&ssl_check_hostname=False", "ssl_ca_certs=/a&ssl_check_hostname=False"),
        ("ssl_cert_reqs=none&ssl_certfile=/c&ssl_keyfile=/k", "ssl_cert_reqs=none&***&***"),
        ("ssl_password=hunter2&sslx=none", "***&***"),
    ],
)
def test_of_tls_only_the_ca_and_the_switches_are_shown(query: str, shown: str) -> None:
    assert redact_url(f"mysql://u:hunter2@h/d?{query}") == f"mysql://u:***@h/d?{shown}"
