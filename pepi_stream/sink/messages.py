"""What of MySQL's error messages may be logged and shown.

MySQL quotes the value that it refuses (1062, 1292, 1366), the statement near a mistake (1064), and
what a trigger says (1644): beside the payload, in a dead letter's reason, that is what a person
needs; in the log it is personal data. So from the first quotation mark on a message is cut, except
where the quotes are known to hold names of tables, columns, keys and settings. The texts are those
of MySQL's and MariaDB's errmsg files.
"""

from __future__ import annotations

import re
from typing import Final

from pepi_stream.printable import printable

# What is quoted is a name.
_NAMES: Final = frozenset(
    {1044, 1045, 1048, 1054, 1060, 1091, 1130, 1142, 1143, 1146, 1193, 1203, 1226, 1227, 1231}
    | {1238, 1264, 1265, 1275, 1286, 1288, 1298, 1305, 1348, 1356, 1364, 1370, 1406, 1423, 1442}
    | {1449, 1451, 1452, 1471, 1524, 1785, 1906, 1932, 3105, 3118, 3819, 4025, 4150, 4151}
)
# Values without a quotation mark, or anything at all: a trigger's words; "for value 5".
_ANYTHING: Final = frozenset({1526, 1644})
_LAST_KNOWN: Final = 5000  # numbers above it are a proxy's
# What stands behind the value. Greedy: a value may hold the same words.
_TAIL: Final = re.compile(
    r"^[^'\"`]*['\"`].*['\"`]( for (?:column|key) ['`\w.]+(?: at row \d+)?)$", re.S
)
_QUOTE: Final = re.compile(r"['\"`(]")
# They may be a secret in the wrong place of the URL.
_USER: Final = re.compile(r"'[^']*'@")
_DATABASE: Final = re.compile(r"(database) '.*'")
# PyMySQL and aiomysql add the client's exception to what they raise themselves.
_CLIENT: Final = {
    2002: "Can't connect to MySQL server",
    2003: "Can't connect to MySQL server",
    2006: "MySQL server has gone away",
    2012: "TLS cannot be set up",
    2013: "Lost connection to MySQL server during query",
    2014: "Commands out of sync",
    2027: "Malformed packet",
    2059: "Authentication plugin is not known",
    2061: "Authentication plugin reported an error",
}


def shown_message(number: int, message: str) -> str:
    """Return what of an error's message may be shown, printable.

    Args:
        number: of the error; 0 for one without a number.
        message: MySQL's, or the client library's.
    """
    if number in _CLIENT:
        return _CLIENT[number]
    if not 1000 <= number < _LAST_KNOWN and number not in range(1, 200):  # the latter are InnoDB's
        return "its text is left out, as it may quote what was sent"
    message = _DATABASE.sub(r"\1 ...", _USER.sub("...@", message))
    if number in _NAMES:
        return printable(message)
    if number in _ANYTHING:
        return "its text is left out, as it may quote data"
    cut = _QUOTE.search(message)
    if cut is None:
        return printable(message)
    tail = _TAIL.match(message)
    return printable(f"{message[: cut.start()]}...{tail[1] if tail else ''}")
