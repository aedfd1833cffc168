"""What redis-py raises, by kind: wait and try again, or stop and say what to do."""

import ssl

import pytest
from redis import exceptions as redis_errors
from redis._parsers.base import BaseParser

from pepi_stream.claims.failures import is_another_server, redis_failure
from pepi_stream.claims.replies import shown_reply
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
        ("ERR unknown command 'BLMOVE', with args beginning with: 'q'", "needs Redis 6.2 or later"),
        ("ERR unknown command `HELLO`, with args beginning with: `3`", "needs Redis 6.2 or later"),
        ("NOPROTO unsupported protocol version", "needs Redis 6.2 or later"),
        ("MOVED 12182 10.0.0.7:7001", "a Redis Cluster, and it has the queue on 10.0.0.7:7001"),
        ("MOVED 12182 ::1:7001", "a Redis Cluster, and it has the queue on ::1:7001"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "a Redis Cluster, or a proxy"),
        ("ERR SELECT is not allowed in cluster mode", "a Redis Cluster, which has database 0 only"),
        ("ERR Script attempted to access a non local key in a cluster node", "Redis Cluster"),
        ("ERR This instance has cluster support disabled", "Redis Cluster"),
        ("ERR DB index is out of range", "a database number that this Redis does not have"),
        ("ERR invalid DB index", "a database number that this Redis does not have"),
        ("ERR unknown command 'evalsha', with args beginning with: 'x'", "renamed or disabled a"),
        ("ERR unknown command `EVALSHA`", "renamed or disabled a command"),
        ("ERR This Redis command is not allowed from script", "renamed or disabled a command"),
        ("ERR Unknown Redis command called from script script: 8a, on @user:1.", "renamed or"),
        ("ERR unsupported command 'evalsha'", "the service or proxy"),
        ("DENIED Redis is running in protected mode because", "give that Redis a password"),
        (
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?",
            "REDIS_URL has a password, and this Redis asks for none",
        ),
        ("PEPICLAIM id 01 exists already: claim ids are made once", "claim ids are made once"),
        ("ERR something that nobody has heard of", "a proxy in between?"),
    ],
)
def test_an_answer_that_will_not_change_is_fatal_and_says_what_to_do(
    line: str, advice: str
) -> None:
    failure = redis_failure(answered(line), "claiming from pepi_queue")

    assert type(failure) is FatalError
    assert advice in str(failure)
    old = any(word in line for word in ("BLMOVE", "HELLO", "NOPROTO"))
    assert ("needs Redis 6.2" in str(failure)) == old


def test_a_slot_that_is_being_moved_is_waited_for_and_named() -> None:
    failure = redis_failure(answered("ASK 12182 10.0.0.7:7001"), "claiming")

    assert type(failure) is TransientError
    assert "a Redis Cluster that is moving the queue to 10.0.0.7:7001 (ASK)" in str(failure)


@pytest.mark.parametrize(
    ("line", "another"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("READONLY You can't write against a read only replica. script: 8a, on @user_script:1.", 1),
        (
            "ERR Error running script (call to f_8a): @user_script:1: -READONLY You can't write "
            "against a read only replica.",
            True,
        ),
        ("EXECABORT Transaction discarded because of: READONLY You can't write", True),
        ("EXECABORT Transaction discarded because of previous errors.", False),
        ("MASTERDOWN Link with MASTER is down", True),
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("UNBLOCKED force unblock from blocking operation, instance state changed", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("CLUSTERDOWN The cluster is down", True),
        ("MOVED 12182 10.0.0.7:7001", True),
        ("NOAUTH Authentication required.", True),
        ("ERR max number of clients reached", True),
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
        ("BUSY Redis is busy running a script.", False),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("ERR unknown command 'X', with args beginning with: 'READONLY' 'MOVED'", False),
    ],
)
def test_which_answers_are_a_reason_to_connect_anew(line: str, another: bool) -> None:
    assert is_another_server(answered(line)) == another
    assert is_another_server(redis_errors.ConnectionError("Connection closed by server."))
    assert is_another_server(redis_errors.TimeoutError("Timeout reading from socket"))


def test_a_transaction_is_discarded_for_the_reason_that_redis_gives() -> None:
    line = "EXECABORT Transaction discarded because of: READONLY You can't write"

    assert kind(answered(line)) is TransientError


def test_too_many_clients_are_not_taken_for_a_redis_that_is_down() -> None:
    failure = redis_failure(answered("ERR max number of clients reached"), "claiming")

    assert type(failure) is TransientError
    assert "raise its maxclients" in str(failure)
    assert "is Redis up" not in str(failure)


def test_the_message_says_what_was_being_done_and_what_redis_said() -> None:
    gone = redis_errors.ConnectionError("Error 111 connecting to h:1")
    gone.__cause__ = ConnectionRefusedError(111, "Connect call failed ('::1', 1)")
    failure = redis_failure(gone, "renewing leases")

    assert str(failure) == "renewing leases: Connection refused (is Redis up, and REDIS_URL right?)"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "ERR unknown command 'BLMOVE', with args beginning with: 'PLANTED' ",
            "unknown command 'BLMOVE'",
        ),
        ("ERR unknown command 'PLANTED'", "an error; its text is left out"),
        ("WRONGPASS PLANTED", "WRONGPASS; its text is left out"),
        ("NOPERM User PLANTED has no permissions to run the 'info' command", "the 'info' command"),
        ("ERR syntax error near PLANTED", "an error; its text is left out"),
        ("MOVED 1 PLANTED:6379", "MOVED; its text is left out"),
        ("-\x1b[2JPLANTED", "an error; its text is left out"),
    ],
)
def test_a_reply_that_echoes_what_was_sent_is_cut(line: str, shown: str) -> None:
    text = shown_reply(redis_errors.ResponseError(line))

    assert shown in text
    assert "PLANTED" not in text


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
