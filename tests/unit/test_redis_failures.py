"""What redis-py raises, by kind: wait and try again, or stop and say what to do."""

import ssl

import pytest
from redis import exceptions as redis_errors
from redis._parsers.base import BaseParser

from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import FatalError, PepiError, TransientError


def answered(line: str) -> Exception:
    """What redis-py makes of an error line of the server."""
    exc = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    assert isinstance(exc, Exception)
    return exc


def kind(exc: Exception) -> type[PepiError]:
    return type(redis_failure(exc, "claiming from pepi_queue"))


@pytest.mark.parametrize(
    "line",
    [
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL",
        "CLUSTERDOWN The cluster is down",
        "CLUSTERDOWN Hash slot not served",
        "ERR max number of clients reached",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
        "NOREPLICAS Not enough good replicas to write.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "UNBLOCKED force unblock from blocking operation, instance state changed",
    ],
    ids=lambda line: line.split()[0] + "-" + line.split()[1],
)
def test_an_answer_that_may_pass_is_transient(line: str) -> None:
    assert kind(answered(line)) is TransientError


def test_a_redis_that_answers_is_not_taken_for_one_that_is_away() -> None:
    failure = redis_failure(answered("LOADING Redis is loading the dataset"), "claiming")

    assert str(failure) == "claiming: Redis says: Redis is loading the dataset"


@pytest.mark.parametrize(
    "exc",
    [
        redis_errors.ConnectionError("Connection closed by server."),
        redis_errors.TimeoutError("Timeout reading from socket"),
        redis_errors.InvalidResponse("Protocol error"),
        ConnectionResetError(104, "Connection reset by peer"),
        FileNotFoundError(2, "No such file or directory"),
        TimeoutError(),
        EOFError(),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_an_answer_that_did_not_come_is_transient(exc: Exception) -> None:
    assert kind(exc) is TransientError


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "another kind of"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "REDIS_URL"),
        ("NOAUTH Authentication required.", "REDIS_URL"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "ACL"),
        (
            "ERR The user executing the script can't run this command or subcommand script: 8a",
            "README, Security",
        ),
        (
            "ERR ACL failure in script: User w has no permissions to run the 'sort' command",
            "README, Security",
        ),
        ("ERR invalid password", "REDIS_URL"),
        ("ERR unknown command 'BLMOVE', with args beginning with: 'q'", "6.2"),
        ("ERR DB index is out of range", "Redis"),
    ],
)
def test_an_answer_that_will_not_change_is_fatal_and_says_what_to_do(
    line: str, advice: str
) -> None:
    failure = redis_failure(answered(line), "claiming from pepi_queue")

    assert type(failure) is FatalError
    assert advice in str(failure)


def test_the_message_says_what_was_being_done_and_what_redis_said() -> None:
    failure = redis_failure(redis_errors.ConnectionError("gone away"), "renewing leases")

    assert str(failure) == "renewing leases: gone away (is Redis up, and REDIS_URL right?)"


def test_a_refused_certificate_is_fatal_also_behind_another_error() -> None:
    try:
        try:
            raise ssl.SSLCertVerificationError(1, "certificate verify failed")
        except OSError as exc:
            # As redis-py does it.
            raise redis_errors.ConnectionError(f"Error 1 connecting to h:1. {exc}.")  # noqa: B904
    except redis_errors.ConnectionError as exc:
        failure = redis_failure(exc, "claiming")
    assert type(failure) is FatalError
    assert "the server's certificate is refused" in str(failure)


def test_an_error_without_a_text_is_named() -> None:
    assert "EOFError" in str(redis_failure(EOFError(), "acking claims"))


@pytest.mark.parametrize("exc", [KeyError("bug"), AssertionError("bug"), ValueError("bug")])
def test_a_bug_of_ours_is_not_taken_for_a_failure_of_redis(exc: Exception) -> None:
    with pytest.raises(type(exc)) as caught:
        redis_failure(exc, "claiming")
    assert caught.value is exc


def test_a_connection_that_the_peer_reset_is_transient() -> None:
    """What uvloop raises when it writes on a connection that was reset while idle."""
    reset = RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")
    assert isinstance(redis_failure(reset, "claiming"), TransientError)
    with pytest.raises(RuntimeError):
        redis_failure(RuntimeError("something else"), "claiming")
