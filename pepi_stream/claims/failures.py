"""Sorts what redis-py raises into transient (wait and retry) and fatal (retrying cannot help)."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions as redis_errors

from pepi_stream.claims.replies import shown_reply
from pepi_stream.errors import (
    FatalError,
    PepiError,
    TransientError,
    is_closed_transport,
    message_of,
)
from pepi_stream.tls import certificate_failure

_LOGINS: Final = (
    redis_errors.AuthenticationError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.AuthorizationError,
)
# redis-py has a class for the answers with these codes, and takes the code off their text.
_CODES: Final = {
    redis_errors.MovedError: "MOVED",
    redis_errors.AskError: "ASK",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.ClusterCrossSlotError: "CROSSSLOT",
    redis_errors.MasterDownError: "MASTERDOWN",
    redis_errors.ClusterDownError: "CLUSTERDOWN",
    redis_errors.ExecAbortError: "EXECABORT",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.TryAgainError: "TRYAGAIN",
}
# Answers of a server that is not the one to ask (any more): a replica, one that is being replaced,
# one that starts, one that has lost its replicas or its cluster. Another may be behind the name.
_NOT_ME: Final = frozenset(
    {"ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "MOVED"}
    | {"NOREPLICAS", "READONLY", "UNBLOCKED"}
)
# Answers that a later retry can find gone.
_PASSING: Final = (_NOT_ME - {"MOVED"}) | {
    *("BUSY", "EXECABORT", "INPROG", "NOSCRIPT", "OOM", "TRYAGAIN")
}
_LOGIN: Final = "check user and password in REDIS_URL"
_ACL: Final = "the ACL of its user must have the line of README, Security"
_PLACE: Final = (
    "name that node in REDIS_URL (pepi_stream does not follow a Cluster's slots by itself)"
)
_UNKNOWN: Final = "Redis 6.2 and later, and Valkey, do not answer so: is a proxy in between?"
_REMEDY: Final = {
    "CROSSSLOT": "this is a Redis Cluster, or a proxy before one, that does not take the queue's "
    "keys for those of one slot; name the node that has the queue in REDIS_URL",
    "DENIED": "give that Redis a password, or let it listen on an address of this host only",
    "NOAUTH": _LOGIN,
    "NOPERM": f"{_LOGIN}, and its ACL (README, Security)",
    "NOPROTO": "what REDIS_URL names is too old: pepi_stream needs Redis 6.2 or later",
    "PEPICLAIM": "claim ids are made once: has something else written to the claims?",
    "WRONGTYPE": "the queue's name is used for another kind of key",
}
# Redis 6.2 puts the code of an error inside a script in the middle of its text, and says why it
# discarded a transaction in its words.
_CODE: Final = re.compile(
    rf"(?:^|: -|because of: ?-?)({'|'.join(sorted(_PASSING | {'MOVED'} | _REMEDY.keys()))})\b"
)
_COMMAND: Final = re.compile(r"unknown (?:redis )?(?:sub)?command,? [`'\"]?([\w|]+)", re.IGNORECASE)
_SINCE_6_2: Final = frozenset({"BLMOVE", "HELLO"})
# Other answers, by a part of their text: the remedy.
_BY_TEXT: Final = (
    # A user may run a script, and not what is in it; Redis 7.0, and the others.
    (r"user executing the script can't run|ACL failure in script", _ACL),
    (
        r"without any password|no password is set",
        "REDIS_URL has a password, and this Redis asks for none: take it out",
    ),
    (r"invalid password|wrong number of arguments for 'auth'", _LOGIN),
    (
        r"DB index|invalid first argument",
        "REDIS_URL names a database number that this Redis does not have (its setting `databases`)",
    ),
    (
        r"not allowed in cluster mode",
        "this is a Redis Cluster, which has database 0 only: take the number out of REDIS_URL",
    ),
    (
        r"non.?local key in a cluster|cluster support disabled",
        "name the node of the Redis Cluster that has the queue in REDIS_URL",
    ),
    (
        r"unknown (redis )?(sub)?command|command is not allowed from|not supported|unsupported|"
        r"command.* (is )?disabled",
        "this Redis, or the service or proxy that it stands behind, has renamed or disabled a "
        "command that pepi_stream uses (README, Security, lists them)",
    ),
)


def redis_failure(exc: Exception, doing: str) -> PepiError:
    """Turn an exception of a Redis call into a :class:`TransientError` or :class:`FatalError`.

    Args:
        exc: what redis-py, or the socket below it, raised.
        doing: what was being done, for the message ("claiming from pepi_queue").
    """
    refused = certificate_failure(
        exc, url="REDIS_URL", ca="ssl_ca_certs", certificate="ssl_certfile"
    )
    if refused:
        return FatalError(f"{doing}: Redis: {refused}")
    # A refused login arrives as a ConnectionError, with what Redis said as its cause.
    said = exc if not isinstance(exc.__cause__, _LOGINS) else exc.__cause__
    if isinstance(said, (*_LOGINS, redis_errors.ResponseError, redis_errors.BusyLoadingError)):
        return _answer(said, doing)
    if isinstance(exc, redis_errors.ConnectionError) and "max number of clients" in str(exc):
        return TransientError(
            f"{doing}: Redis says: {shown_reply(exc)}; raise its maxclients, or end other clients"
        )
    if isinstance(exc, (redis_errors.RedisError, OSError, EOFError)) or is_closed_transport(exc):
        return TransientError(f"{doing}: {message_of(exc)} (is Redis up, and REDIS_URL right?)")
    raise exc


def is_another_server(exc: Exception) -> bool:
    """Tell whether a failure gives reason to connect anew, in case the server was replaced.

    Answers that say so, a connection that broke, a reply that did not come.
    """
    if isinstance(exc, redis_errors.ResponseError):
        return _code(exc) in _NOT_ME
    return not isinstance(exc, _LOGINS) or _code(exc) == "NOAUTH"


def _code(exc: BaseException) -> str:
    """Return the code of an answer, or nothing."""
    for kind, code in _CODES.items():
        if isinstance(exc, kind) and code != "EXECABORT":
            return code
    found = _CODE.search(str(exc))
    if found:
        return found[1]
    if isinstance(exc, _LOGINS):
        return "NOAUTH" if "Authentication required" in str(exc) else ""
    return "EXECABORT" if isinstance(exc, redis_errors.ExecAbortError) else ""


def _answer(exc: BaseException, doing: str) -> PepiError:
    """Sort what Redis has answered."""
    text = str(exc)  # to be searched, not shown
    said, code = f"{doing}: Redis says: {shown_reply(exc)}", _code(exc)
    if code in ("ASK", "MOVED"):
        return _elsewhere(code, text, doing)
    if code in _PASSING:
        return TransientError(said)
    if code in _REMEDY:
        return FatalError(f"{said}; {_REMEDY[code]}")
    for pattern, remedy in _BY_TEXT:
        if re.search(pattern, text, re.IGNORECASE):
            command = _COMMAND.search(text)
            if command and command[1].upper() in _SINCE_6_2:
                remedy = f"pepi_stream needs Redis 6.2 or later; or {remedy}"
            return FatalError(f"{said}; {remedy}")
    return FatalError(f"{said}; {_LOGIN if isinstance(exc, _LOGINS) else _UNKNOWN}")


def _elsewhere(code: str, text: str, doing: str) -> PepiError:
    """Explain MOVED and ASK, whose text is a slot and where it is."""
    where = re.search(r"\b\d+ ([\w.:\[\]-]*:\d+)", text)
    node = where[1] if where else "another node"
    if code == "ASK":
        return TransientError(
            f"{doing}: this is a Redis Cluster that is moving the queue to {node} (ASK); "
            f"when it has, {_PLACE}"
        )
    return FatalError(
        f"{doing}: this is a Redis Cluster, and it has the queue on {node} (MOVED); {_PLACE}"
    )
