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
    StaleConnectionError,
    TransientError,
    is_closed_transport,
    message_of,
)
from pepi_stream.printable import printable
from pepi_stream.sink.messages import shown_message
from pepi_stream.tls import certificate_failure

DUPLICATE_COLUMN: Final = 1060
DUPLICATE_KEY: Final = 1062
NO_NUMBER_LEFT: Final = 1467
NO_PARTITION: Final = 1526

_TRANSIENT: Final = frozenset(
    {
        1020,  # record has changed since last read (MariaDB snapshot isolation)
        1021,  # disk full
        1030,  # error from the storage engine (out of space, for one)
        1036,  # the table is read only (InnoDB in recovery)
        1037,
        1038,  # out of memory, out of sort memory
        1040,  # too many connections
        1041,  # out of memory
        1047,  # Galera: this node is not prepared for application use
        1053,  # server shutdown in progress
        1114,  # the table is full (out of space)
        1129,  # host blocked after connection errors; MySQL's message says how to unblock it
        1135,  # cannot create a thread for the connection
        1158,
        1159,
        1160,
        1161,  # reading or writing network packets
        1180,  # error during COMMIT
        1184,  # connection aborted
        1203,  # too many connections of this user
        1205,  # lock wait time-out
        1206,  # lock table full
        1213,  # deadlock
        1226,  # user resource limit
        1290,  # running with --read-only
        1297,  # temporary error from the storage engine
        1317,  # query was interrupted
        1412,  # the table's definition has changed (a `migrate` beside us)
        1836,  # read-only mode
        NO_NUMBER_LEFT,  # no AUTO_INCREMENT value: none is left, or a lock on them timed out
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
# Of them, those that say nothing against the server: something else of it was in the way.
_IN_THE_WAY: Final = frozenset(
    {
        *(1020, 1205, 1206, 1213),  # other transactions
        *(1317, 1969, 3024),  # somebody, or a limit, ended the statement
        *(1412, NO_NUMBER_LEFT),
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
        1365,  # division by zero (a generated column of the user's)
        1366,  # incorrect value for column
        1367,  # illegal value
        1406,  # data too long
        1411,  # incorrect value for function
        1416,  # not a geometry
        1451,
        1452,  # foreign key
        NO_PARTITION,  # no partition for the value
        1569,
        1586,  # duplicate key, named
        1644,  # a trigger's SIGNAL
        1690,  # out of range in an expression
        1918,  # illegal value in a conversion (MariaDB)
        1977,  # character that the column's character set lacks (MariaDB)
        3140,  # invalid JSON text
        3819,  # CHECK constraint (MySQL)
        3854,  # character that the column's character set lacks (MySQL)
        4025,  # CHECK constraint (MariaDB)
    }
)
_ACCOUNT: Final = "check user and password in DATABASE_URL"
_PLUGIN: Final = "give the user an authentication plugin that aiomysql knows (ALTER USER)"
_TRIGGER: Final = "mend the view, or the trigger on the table, that refers to it"
_VARIABLE: Final = "the server does not let a session of this user have the settings that we need"
_VIEW: Final = "name a table in sink.table, not such a view"
_REMEDY: Final = {
    167: "the numbers of an AUTO_INCREMENT column are used up: give it a larger type",
    1044: "grant the user the database",
    1045: _ACCOUNT + ", and whether the server demands TLS (ssl_mode)",
    1046: "create the database, or correct its name in DATABASE_URL",
    1049: "create the database, or correct its name in DATABASE_URL",
    1054: "a configured column is not in the table: run `faust -A pepi_stream migrate`, "
    "or correct sink.columns or windows",
    1115: "MySQL 8 or MariaDB 10.6 and later is needed",
    1130: "let the user in from this host (CREATE USER ...@host), or correct DATABASE_URL",
    1142: "grant the user what README.md lists under Security",
    1143: "grant the user what README.md lists under Security",
    1146: "run `faust -A pepi_stream migrate`",
    1193: _VARIABLE,
    1227: _VARIABLE,
    1229: _VARIABLE,
    1231: _VARIABLE,
    1238: _VARIABLE,
    1251: _PLUGIN,
    1275: "give the user a password in the new format (ALTER USER)",
    1288: _VIEW,
    1305: _TRIGGER,
    1348: _VIEW,
    1356: _TRIGGER,
    1364: "the table has a column without default that sink.columns does not fill",
    1370: _TRIGGER,
    1423: "the table has a column without default that sink.columns does not fill",
    1442: _TRIGGER,
    1449: _TRIGGER,
    1471: _VIEW,
    1524: "give the user an authentication plugin that the server has (ALTER USER)",
    1665: "the sink's transactions are READ COMMITTED: SET GLOBAL binlog_format = 'ROW'",
    1698: _ACCOUNT,
    1748: "name a table in sink.table whose rows may be in any partition",
    1785: "make the table InnoDB (ALTER TABLE ... ENGINE=InnoDB)",
    1820: "the account's password has expired: ALTER USER ... IDENTIFIED BY",
    1862: "the account's password has expired: ALTER USER ... IDENTIFIED BY",
    1906: "take the generated column out of sink.columns",
    1932: "the table's data is gone or was discarded: restore it",
    2059: _PLUGIN,
    3098: "give the table a primary key (a plugin such as Group Replication asks for one)",
    3105: "take the generated column out of sink.columns",
    3118: "the account is locked: ALTER USER ... ACCOUNT UNLOCK",
    3159: "the server demands TLS: add ssl_mode=verify_identity to DATABASE_URL",
    3750: "give the table a primary key in sink.columns (sql_require_primary_key asks for one)",
    3955: "the account is locked after failed logins: ALTER USER ... ACCOUNT UNLOCK",
    4150: _ACCOUNT + ", then unblock the account as MySQL says",
    4151: "the account is locked: ALTER USER ... ACCOUNT UNLOCK",
}


def mysql_failure(exc: BaseException, doing: str, *, ddl: bool = False) -> PepiError:
    """Turn what aiomysql, or the socket below it, raised into one of the three kinds.

    Args:
        exc: the exception.
        doing: what was being done, for the message.
        ddl: it was a CREATE or ALTER: there is no record to blame, and what the server refuses
            for a reason not known to pass, it will refuse again.

    Raises:
        BaseException: ``exc`` itself, when it is none of MySQL's.
    """
    refused = certificate_failure(exc, url="DATABASE_URL", ca="ssl_ca", certificate="ssl_cert")
    if refused:
        return FatalError(f"{doing}: MySQL: {refused}")
    if isinstance(exc, (OSError, EOFError)) or is_closed_transport(exc):
        return StaleConnectionError(f"{doing}: MySQL: {message_of(exc)}")
    if isinstance(exc, UnicodeEncodeError):
        return PoisonError(f"text that is not valid Unicode (a lone surrogate): {exc.reason}")
    if not isinstance(exc, err.MySQLError):
        raise exc
    number, message = _number_and_message(exc)
    if ddl and number:
        shown = printable(message)  # it quotes the statement, which is ours
    else:
        shown = shown_message(number, message) if number else message_of(exc)
    if isinstance(exc.__cause__, OSError):  # why a connection failed
        shown = f"{shown} ({message_of(exc.__cause__)})" if number else message_of(exc.__cause__)
    text = f"MySQL error {number}: {shown}" if number else f"MySQL: {shown}"
    whole = f"MySQL error {number}: {message}"  # beside the payload, it may quote it
    if number in _TRANSIENT or isinstance(exc, err.InterfaceError):
        kind = TransientError if number in _IN_THE_WAY else StaleConnectionError
        return kind(f"{doing}: {text}")
    if ddl and number and number not in _REMEDY:
        return FatalError(f"{doing}: {text}")
    if number in _POISON:
        return PoisonError(f"{doing}: {text}", reason=whole)
    if number in _REMEDY:
        return FatalError(f"{doing}: {text}; {_REMEDY[number]}")
    if isinstance(exc, (err.DataError, err.IntegrityError)):
        return PoisonError(f"{doing}: {text}", reason=whole)
    if isinstance(exc, (err.ProgrammingError, err.NotSupportedError)):
        return FatalError(f"{doing}: {text}")
    return StaleConnectionError(f"{doing}: {text}")


def _number_and_message(exc: err.MySQLError) -> tuple[int, str]:
    if exc.args and isinstance(exc.args[0], int):
        return exc.args[0], str(exc.args[1]) if len(exc.args) > 1 else ""
    return 0, str(exc)
