"""Weighted choice as a table look-up, so that choosing costs one index and no arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def weighted_table(choices: Sequence[tuple[T, int]], size: int) -> tuple[T, ...]:
    """Spread ``choices`` over ``size`` slots in proportion to their integer weights.

    Integer arithmetic only, so the table is the same on every machine. A choice whose weight is
    positive always gets at least one slot.

    Args:
        choices: (value, weight) pairs; weights are zero or more.
        size: slots in the table; take a power of two and index with a bit mask.

    Raises:
        ValueError: if the weights sum to zero or ``size`` is too small for the choices.
    """
    total = sum(weight for _, weight in choices)
    if total <= 0:
        raise ValueError("weighted_table: the weights sum to zero; give one a positive weight")
    counts = [max(1, weight * size // total) if weight else 0 for _, weight in choices]
    heaviest = max(range(len(choices)), key=lambda index: choices[index][1])
    counts[heaviest] += size - sum(counts)
    if counts[heaviest] <= 0:
        raise ValueError(f"weighted_table: {size} slots are too few for {len(choices)} choices")
    return tuple(
        value for (value, _), count in zip(choices, counts, strict=True) for _ in range(count)
    )
