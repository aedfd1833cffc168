"""The message that goes out with an ack: what the committed claims added to the windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from pepi_stream.events import WindowKey


def merge_counts(
    parts: Iterable[Mapping[str, Counter[WindowKey]]],
) -> dict[str, Counter[WindowKey]]:
    """Add up window counts of several flushes."""
    total: dict[str, Counter[WindowKey]] = {}
    for part in parts:
        for window, counts in part.items():
            total.setdefault(window, Counter()).update(counts)
    return total


def encode_deltas(
    counts: Mapping[str, Counter[WindowKey]], *, rows: int, dead: int, at_ms: int
) -> bytes:
    """Return the JSON message published on ``{queue}:windows``.

    ``{"v": 1, "at": ms, "rows": n, "dead": n, "windows": {name: [[start, [values], n], ...]}}``
    with starts in seconds since 1970 UTC.
    """
    return msgspec.json.encode(
        {
            "v": 1,
            "at": at_ms,
            "rows": rows,
            "dead": dead,
            "windows": {
                window: [[key.start, key.values, n] for key, n in keys.items()]
                for window, keys in counts.items()
            },
        }
    )
