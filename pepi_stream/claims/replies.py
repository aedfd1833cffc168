"""What of Redis' error replies may be logged and shown.

Redis echoes what it was sent ("unknown command 'X', with args beginning with: 'a' 'b'"), and so do
proxies in front of it: a password, a payload. So of a reply only sentences are shown that are known
to hold none of it, and else its code. Source: the texts in Redis' and Valkey's src/*.c.
"""

from __future__ import annotations

import re
from typing import Final

_LEFT_OUT: Final = "its text is left out, as it may quote what was sent"
_COMMANDS: Final = (
    "AUTH BLMOVE CLIENT EVALSHA EXEC HELLO HGET INFO LLEN LRANGE MULTI PING PSUBSCRIBE PUBLISH "
    "RPUSH SCRIPT SELECT SET SORT SUBSCRIBE TIME TYPE ZADD ZCARD ZRANGEBYSCORE"
)
_SENTENCES: Final = re.compile(
    "|".join(
        [
            r"invalid username-password pair or user is disabled",
            r"invalid password",
            r"Authentication required",
            r"HELLO must be called with the client already authenticated",
            r"AUTH <password> called without any password configured for the default user",
            r"Client sent AUTH, but no password is set",
            r"The user executing the script can't run this command or subcommand",
            r"ACL failure in script",
            r"has no permissions to run the '[a-z|]{1,30}' command",
            r"has no permissions to access (?:a|one of the) (?:key|channel)s? used as arguments?",
            r"No permissions to access a (?:key|channel)",
            rf"unknown command ['`](?:{'|'.join(_COMMANDS.split())})['`]",
            r"wrong number of arguments",
            r"Operation against a key holding the wrong kind of value",
            r"DB index is out of range",
            r"invalid DB index",
            r"max number of clients reached",
            r"Redis is loading the dataset(?: in memory)?",
            r"Redis is busy running a script",
            r"Redis is configured to save RDB snapshots, but (?:it's|it is|is) currently "
            r"(?:unable|not able) to persist(?: (?:to|on) disk)?",
            r"Errors writing to the AOF file",
            r"The cluster is down",
            r"Hash slot not served",
            r"Keys in request don't hash to the same slot",
            r"Multiple keys request during rehashing of slot",
            r"This instance has cluster support disabled",
            r"Link with MASTER is down and replica-serve-stale-data is set to 'no'",
            r"Not enough good replicas to write",
            r"command not allowed when used memory > 'maxmemory'",
            r"You can't write against a read only (?:replica|slave)",
            r"force unblock from blocking operation, instance state changed",
            r"Script attempted to access a non local key",
            r"Protocol error",
        ]
    ),
    re.IGNORECASE,
)
_CODES: Final = re.compile(
    r"\b(ASK|BUSY|CLUSTERDOWN|CROSSSLOT|DENIED|EXECABORT|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH"
    r"|NOPERM|NOREPLICAS|NOSCRIPT|OOM|READONLY|TRYAGAIN|UNBLOCKED|WRONGPASS|WRONGTYPE)\b"
)


def shown_reply(exc: BaseException) -> str:
    """Return what of an error reply may be shown; of one that is not known, that it is left out."""
    # A refused login arrives as a ConnectionError, with what Redis said as its cause.
    text = f"{exc} {exc.__cause__ or ''}"
    code, sentence = _CODES.search(text), _SENTENCES.search(text)
    if sentence:
        return f"{code[0]} {sentence[0]}" if code else sentence[0]
    return f"{code[0] if code else 'an error'}; {_LEFT_OUT}"
