"""What MySQL raises, sorted into transient, poison and fatal."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from pymysql import err

from pepi_stream.errors import (
    FatalError,
    PepiError,
    PoisonError,
    StaleConnectionError,
    TransientError,
)
from pepi_stream.sink import failures
from pepi_stream.sink.failures import mysql_failure


def raised(number: int, message: str = "what the server said") -> err.MySQLError:
    """The exception that PyMySQL makes of an error packet."""
    packet = b"\xff" + number.to_bytes(2, "little") + b"#HY000" + message.encode()
    try:
        err.raise_mysql_exception(packet)
    except err.MySQLError as exc:
        return exc
    raise AssertionError


KINDS = {
    TransientError: [1020, 1205, 1206, 1213, 1317, 1412, 1467, 1969, 3024],
    StaleConnectionError: [
        *(1021, 1030, 1036, 1037, 1038, 1040, 1041, 1047, 1053, 1114, 1129, 1135, 1158, 1159, 1160),
        *(1161, 1180, 1184, 1203, 1226, 1290, 1297, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2014),
        *(3100, 3101, 3168, 4031),
    ],
    PoisonError: [
        *(1048, 1062, 1118, 1153, 1264, 1265, 1292, 1300, 1365, 1366, 1367, 1406, 1411, 1416),
        *(1451, 1452, 1526, 1569, 1586, 1644, 1690, 1918, 1977, 3140, 3819, 3854, 4025),
    ],
    FatalError: [
        *(167, 1044, 1045, 1046, 1049, 1054, 1064, 1115, 1130, 1142, 1143, 1146, 1193, 1227),
        *(1229, 1231, 1238, 1251, 1275, 1288, 1305, 1348, 1356, 1364, 1370, 1423, 1442, 1449),
        *(1471, 1524, 1665, 1698, 1748, 1785, 1820, 1862, 1906, 1932, 2059, 3098, 3105, 3118),
        *(3159, 3750, 3955, 4150, 4151),
    ],
}


@pytest.mark.parametrize(
    ("number", "kind"), [(number, kind) for kind, numbers in KINDS.items() for number in numbers]
)
def test_each_number_has_its_kind(number: int, kind: type[PepiError]) -> None:
    failure = mysql_failure(raised(number), "inserting rows")
    assert type(failure) is kind
    assert str(failure).startswith(f"inserting rows: MySQL error {number}: ")


def test_no_number_is_of_two_kinds_and_every_one_is_tested() -> None:
    transient = KINDS[TransientError] + KINDS[StaleConnectionError]
    assert failures._TRANSIENT.symmetric_difference(transient) == set()
    assert failures._POISON.symmetric_difference(KINDS[PoisonError]) == set()
    assert failures._REMEDY.keys() <= set(KINDS[FatalError])
    assert not failures._TRANSIENT & failures._POISON
    assert not (failures._TRANSIENT | failures._POISON) & failures._REMEDY.keys()


@pytest.mark.parametrize("number", sorted(failures._REMEDY))
def test_a_fatal_error_says_what_to_do(number: int) -> None:
    assert str(mysql_failure(raised(number), "x")).endswith("; " + failures._REMEDY[number])


@pytest.mark.parametrize(
    ("number", "kind"),
    [(1205, TransientError), (1067, FatalError), (1118, FatalError), (1142, FatalError)],
)
def test_a_refused_ddl_statement_is_no_poison_and_not_worth_a_retry(
    number: int, kind: type[PepiError]
) -> None:
    assert type(mysql_failure(raised(number), "creating a table", ddl=True)) is kind


def test_the_reason_of_poison_is_mysqls_own_message() -> None:
    failure = mysql_failure(raised(1406, "Data too long for column 'a'"), "inserting rows")
    assert isinstance(failure, PoisonError)
    assert failure.reason == "MySQL error 1406: Data too long for column 'a'"


@pytest.mark.parametrize(
    ("number", "message", "shown"),
    [
        (
            1062,
            "Duplicate entry 'P' for key 'x' at' for key 'uid'",
            "Duplicate entry ... for key 'uid'",
        ),
        (
            1366,
            r"Incorrect string value: '\xF0P' for column `d`.`t`.`c` at row 7",
            "Incorrect string value: ... for column `d`.`t`.`c` at row 7",
        ),
        (1292, "Truncated incorrect DOUBLE value: 'P'", "Truncated incorrect DOUBLE value: ..."),
        (1064, "You have an error in your SQL syntax near 'P' at line 1", "SQL syntax near ..."),
        (1054, "Unknown column 'c' in 'field list'", "Unknown column 'c' in 'field list'"),
        (1049, "Unknown database 'P'", "Unknown database ..."),
        (1045, "Access denied for user 'P'@'10.0.0.1'", "Access denied for user ...@'10.0.0.1'"),
        (1044, "Access denied for user 'P'@'h' to database 'P'", "user ...@'h' to database ..."),
        (1644, "P", "its text is left out"),
        (1526, "Table has no partition for value P", "its text is left out"),
        (1690, "BIGINT value is out of range in '(P + 1)'", "BIGINT value is out of range in ..."),
        (2013, "Lost connection to MySQL server during query (P)", "Lost connection"),
        (9001, "P", "its text is left out"),
        (1406, "Data too long for column 'c\x1b[2J' at row 1", "column 'c\\x1b[2J' at row 1"),
    ],
)
def test_what_may_be_data_is_not_logged_but_kept_beside_the_payload(
    number: int, message: str, shown: str
) -> None:
    failure = mysql_failure(raised(number, message), "inserting rows")
    assert shown in str(failure)
    assert "P" not in str(failure).replace("MySQL", "")
    assert "\x1b" not in str(failure)
    if isinstance(failure, PoisonError):
        assert failure.reason == f"MySQL error {number}: {message}"


def test_why_a_connection_failed_is_said() -> None:
    exc = err.OperationalError(2003, "Can't connect to MySQL server on 'h'")
    exc.__cause__ = ConnectionRefusedError(111, "Connect call failed ('::1', 1)")
    assert str(mysql_failure(exc, "connecting")) == (
        "connecting: MySQL error 2003: Can't connect to MySQL server (Connection refused)"
    )


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (err.InterfaceError("(0, 'Not connected')"), StaleConnectionError),
        (err.InterfaceError(0, "Not connected"), StaleConnectionError),
        (err.OperationalError("no number"), StaleConnectionError),
        (err.InternalError("Packet sequence number wrong"), StaleConnectionError),
        (err.DataError(9999, "new"), PoisonError),
        (err.IntegrityError(9999, "new"), PoisonError),
        (err.ProgrammingError(9999, "new"), FatalError),
        (err.NotSupportedError(9999, "new"), FatalError),
        (err.OperationalError(9999, "new"), StaleConnectionError),
        (ConnectionRefusedError(111, "Connection refused"), StaleConnectionError),
        (ConnectionResetError(), StaleConnectionError),
        (FileNotFoundError(2, "no such socket"), StaleConnectionError),
        (asyncio.IncompleteReadError(b"", 4), StaleConnectionError),
        (TimeoutError(), StaleConnectionError),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), StaleConnectionError),
        (ssl.SSLError(1, "wrong version number"), StaleConnectionError),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), FatalError),
    ],
)
def test_what_has_no_known_number_goes_by_its_class(exc: Exception, kind: type[PepiError]) -> None:
    failure = mysql_failure(exc, "connecting")
    assert type(failure) is kind
    assert str(failure).startswith("connecting: MySQL")
    assert str(failure) != "connecting: MySQL: "


def test_a_lone_surrogate_is_poison() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "\ud800".encode()
    failure = mysql_failure(caught.value, "inserting rows")
    assert isinstance(failure, PoisonError)
    assert "a lone surrogate" in failure.reason


@pytest.mark.parametrize("exc", [KeyError("a"), ValueError(), asyncio.CancelledError()])
def test_what_is_not_mysqls_is_raised_as_it_is(exc: BaseException) -> None:
    with pytest.raises(type(exc)) as caught:
        mysql_failure(exc, "inserting rows")
    assert caught.value is exc


def test_a_connection_that_the_peer_reset_is_transient() -> None:
    """What uvloop raises when it writes on a connection that was reset while idle."""
    reset = RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")
    assert isinstance(mysql_failure(reset, "writing"), TransientError)
    with pytest.raises(RuntimeError):
        mysql_failure(RuntimeError("something else"), "writing")
