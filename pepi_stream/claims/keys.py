"""Names of the Redis keys that belong to a queue; one Cluster slot, as {queue} is the hash tag."""

from __future__ import annotations


def claims_key(queue: str) -> str:
    """Return the ZSET claim id -> lease deadline in ms of server time."""
    return f"{{{queue}}}:claims"


def claim_key(queue: str, claim_id: str) -> str:
    """Return the LIST of a claim's payloads; with an empty id, what all of them begin with."""
    return f"{{{queue}}}:claim:{claim_id}"


def deliveries_key(queue: str) -> str:
    """Return the HASH claim id -> delivery count."""
    return f"{{{queue}}}:deliveries"


def token_key(queue: str, token: str) -> str:
    """Return the STRING that remembers for which body a webhook's token was used."""
    return f"{{{queue}}}:token:{token}"


def windows_channel(queue: str) -> str:
    """Return the channel on which acks publish what was added to the windows."""
    return f"{{{queue}}}:windows"
