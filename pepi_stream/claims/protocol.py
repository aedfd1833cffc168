"""The version of the delivery protocol: what workers of different releases have to agree on.

It covers the layout of the Redis keys, what the scripts of ``lua/`` do to them, and the digest
of a claim's payloads. How a change of it is rolled out: docs/decisions/0007-versions.md.
"""

from __future__ import annotations

from typing import Final

#: The version that this release writes: into the ledger, beside each claim's digest, and in the
#: first line of every script (a test holds the two together).
PROTOCOL: Final = 1

#: The versions whose digest this release can compute, and so compare.
KNOWN_PROTOCOLS: Final = frozenset({PROTOCOL})
