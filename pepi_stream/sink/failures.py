"""Sorts what MySQL and MariaDB raise into transient, poison and fatal.

By error number where the kind is known, else by the exception's class. Sources: MySQL
Server Error Message Reference; MariaDB Error Codes.
"""

from __future__ import annotations

from typing import Final

from pymysql import err

from pepi_stream.errors import (
    FatalError,
    PepiError,
    PoisonError,
    TransientError,
    is_closed_transport,
    message_of,
)

DUPLICATE_COLUMN: Final = 1060
DUPLICATE_KEY: Final = 1062

_TRANSIENT: Final = frozenset(
    {
        1020,  # record has changed since last read (MariaDB snapshot isolation)
        1021,  # disk full
        1030,  # error from the storage engine (out of space, for one)
        1040,  # too many connections
        1041,  # out of memory
        1053,  # server shutdown in progress
        1114,  # the table is full (out of space)
        1180,  # error during COMMIT
        1203,  # too many connections of this user
        1205,  # lock wait time-out
        1206,  # lock table full
        1213,  # deadlock
        1226,  # user resource limit
        1290,  # running with --read-only
        1317,  # query was interrupted
        1836,  # read-only mode
        1792,  # read-only transaction
        1927,  # connection was killed
        1969,  # max_statement_time exceeded
        2002,
        2003,  # cannot connect
        2006,  # server has gone away
        2013,  # lost connection during query
        2014,  # commands out of sync
        3024,  # max_execution_time exceeded
        3100,  # replication hook refused the commit
        3101,
        3168,  # server is not ready
        4031,  # disconnected because of inactivity
    }
)
_POISON: Final = frozenset(
    {
        1048,  # column cannot be null
        DUPLICATE_KEY,  # a unique index of the user's
        1118,  # row size too large
        1153,  # row larger than max_allowed_packet
        1264,  # out of range
        1265,  # data truncated
        1292,  # incorrect value
        1300,  # invalid character string
        1366,  # incorrect value for column
        1367,  # illegal value
        1406,  # data too long
        1411,  # incorrect value for function
        1451,
        1452,  # foreign key
        1526,  # no partition for the value
        1569,
        1586,  # duplicate key, named
        1644,  # a trigger's SIGNAL
        1690,  # out of range in an expression
        1748,  # row does not match the partition
        3140,  # invalid JSON text
        3819,  # CHECK constraint (MySQL)
        4025,  # CHECK constraint (MariaDB)
    }
)
_REMEDY: Final = {
    1044: "grant the user the database",
    1045: "check user and password in DATABASE_URL",
    1049: "create the database, or correct its name in DATABASE_URL",
    1054: "a configured column is not in the table: run `faust -A pepi_stream migrate`, "
    "or correct sink.columns or windows",
    1142: "grant the user SELECT, INSERT, UPDATE and DELETE",
    1143: "grant the user SELECT, INSERT, UPDATE and DELETE",
    1146: "run `faust -A pepi_stream migrate`",
    1364: "the table has a column without default that sink.columns does not fill",
    1698: "check user and password in DATABASE_URL",
}


def mysql_failure(exc: BaseException, doing: str) -> PepiError:
    """Turn what aiomysql, or the socket below it, raised into one of the three kinds.

    Args:
        exc: the exception.
        doing: what was being done, for the message.

    Raises:
        BaseException: ``exc`` itself, when it is none of MySQL's.
    """
    if isinstance(exc, (OSError, EOFError)) or is_closed_transport(exc):
        return TransientError(f"{doing}: MySQL: {message_of(exc)}")
    if isinstance(exc, UnicodeEncodeError):
        return PoisonError(f"text that is not valid Unicode (a lone surrogate): {exc.reason}")
    if not isinstance(exc, err.MySQLError):
        raise exc
    number, message = _number_and_message(exc)
    text = f"MySQL error {number}: {message}" if number else f"MySQL: {message}"
    if number in _TRANSIENT or isinstance(exc, err.InterfaceError):
        return TransientError(f"{doing}: {text}")
    if number in _POISON:
        return PoisonError(f"{doing}: {text}", reason=text)
    if number in _REMEDY:
        return FatalError(f"{doing}: {text}; {_REMEDY[number]}")
    if isinstance(exc, (err.DataError, err.IntegrityError)):
        return PoisonError(f"{doing}: {text}", reason=text)
    if isinstance(exc, (err.ProgrammingError, err.NotSupportedError)):
        return FatalError(f"{doing}: {text}")
    return TransientError(f"{doing}: {text}")


def _number_and_message(exc: err.MySQLError) -> tuple[int, str]:
    if exc.args and isinstance(exc.args[0], int):
        return exc.args[0], str(exc.args[1]) if len(exc.args) > 1 else ""
    return 0, str(exc)
