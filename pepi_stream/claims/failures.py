"""Sorts what redis-py raises into transient (wait and retry) and fatal (retrying cannot help)."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

from pepi_stream.errors import (
    FatalError,
    PepiError,
    TransientError,
    is_closed_transport,
    message_of,
)
from pepi_stream.tls import certificate_failure

_FATAL = (
    redis_errors.AuthenticationError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.AuthorizationError,
    redis_errors.NoPermissionError,
)
# Replies that a later retry can find gone. Everything else that Redis answers with an
# error (WRONGTYPE, an unknown command, a bad database number) stays as it is.
# redis-py has a class for some of them, and takes the code off their text.
_TRANSIENT = (
    redis_errors.BusyLoadingError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    redis_errors.OutOfMemoryError,
    redis_errors.ReadOnlyError,
    redis_errors.TryAgainError,
)
# A user may run a script, and not what is in it; Redis 7.0, and the others.
_ACL_IN_SCRIPT = re.compile(r"user executing the script can't run|ACL failure in script")
# Redis 6.2 puts the code of an error inside a script in the middle of its text.
_TRANSIENT_REPLIES = re.compile(r"\b(BUSY|LOADING|MISCONF|NOREPLICAS|OOM|READONLY|UNBLOCKED)\b")


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
    detail = f"{doing}: Redis says: {message_of(exc)}"
    # A refused login arrives as a ConnectionError, with what Redis said as its cause.
    if isinstance(exc, _FATAL) or isinstance(exc.__cause__, _FATAL):
        return FatalError(f"{detail}. Check user and password in REDIS_URL, and its ACL")
    if isinstance(exc, _TRANSIENT):
        return TransientError(detail)
    if isinstance(exc, redis_errors.ResponseError):
        if _TRANSIENT_REPLIES.search(str(exc)):
            return TransientError(detail)
        if "WRONGTYPE" in str(exc):
            return FatalError(f"{detail}. The queue's name is used for another kind of key")
        if _ACL_IN_SCRIPT.search(str(exc)):
            return FatalError(
                f"{detail} The ACL of its user must have the line of README, Security"
            )
        return FatalError(f"{detail}. pepi_stream needs Redis 6.2 or later")
    if isinstance(exc, (redis_errors.RedisError, OSError, EOFError)) or is_closed_transport(exc):
        return TransientError(f"{doing}: {message_of(exc)} (is Redis up, and REDIS_URL right?)")
    raise exc
