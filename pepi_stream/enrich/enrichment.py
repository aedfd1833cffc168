"""Runs the enrichers over a batch: what one of them does wrong is named, and harms no claim."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal

from pepi_stream.events import Batch, Column

logger = logging.getLogger(__name__)

#: Takes a batch, returns the columns to add or replace: one value an event.
Enricher = Callable[[Batch], Mapping[str, Column]]

_QUIET_SECONDS = 60.0  # between two log lines about the same fault of the same enricher


class Enrichment:
    """The configured enrichers, in order; each sees the columns of those before it.

    What is guaranteed. An enricher that raises, or returns columns of the wrong length, is tried
    once more with the whole batch, as it was before. When that fails, too, ``on_error`` decides:
    ``skip`` goes on without its columns; ``dead_letter`` raises, and the pipeline then takes the
    batch record by record, so that only those that it raises for become dead letters. Events are
    neither lost nor counted twice in either case. The log names the enricher.

    What is not. An enricher is plain code on the worker's only thread, and nothing can interrupt
    it: while it runs, no lease is renewed, nothing is claimed, written or acked, and no page is
    served. One that takes longer than ``slow_seconds`` is named in the log when it is done. One
    that takes longer than two thirds of ``source.lease_seconds`` (leases are renewed each third)
    may lose all claims of this worker to another one; the ledger sees to it that they still count
    once. One that never returns stops this worker, and after ``source.max_deliveries`` leases
    each record of the claim is tried alone. (Why not in a thread: docs/decisions/0014.)

    Args:
        enrichers: by name, which is for the log.
        on_error: see above.
        slow_seconds: seconds for one batch after which the log names an enricher.
        clock: seconds that pass.

    Attributes:
        delivered: by enricher, the columns that it gave for the batch that was applied last.
    """

    def __init__(
        self,
        enrichers: Mapping[str, Enricher],
        *,
        on_error: Literal["dead_letter", "skip"] = "dead_letter",
        slow_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.enrichers = dict(enrichers)
        self._on_error = on_error
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}
        self.delivered: dict[str, frozenset[str]] = {}

    def apply(self, batch: Batch) -> Batch:
        """Add the enrichers' columns to a batch.

        Raises:
            Exception: an enricher's own, raised twice, unless ``on_error`` is ``skip``.
        """
        self.delivered = {}
        for name, enricher in self.enrichers.items():
            before = dict(batch.columns)
            try:
                self._run(name, enricher, batch)
                continue
            except Exception:
                batch.columns = before.copy()
            try:
                self._run(name, enricher, batch)
            except Exception as exc:
                batch.columns = before
                skip = self._on_error == "skip"
                if self._may_say("raised", name):
                    logger.exception(
                        "enricher %s raised %s, twice, for a batch of %d events; %s",
                        name,
                        type(exc).__name__,
                        len(batch),
                        "it goes on without that enricher's columns (enrich.on_error = skip)"
                        if skip
                        else "taking it record by record (enrich.on_error = dead_letter)",
                    )
                if not skip:
                    raise
        return batch

    def apply_once(self, batch: Batch) -> Batch:
        """Add the enrichers' columns to a part of a batch that failed; says nothing, tries once.

        Raises:
            Exception: an enricher's own, unless ``on_error`` is ``skip``.
        """
        for enricher in self.enrichers.values():
            before = dict(batch.columns)
            try:
                _call(enricher, batch)
            except Exception:
                batch.columns = before
                if self._on_error != "skip":
                    raise
        return batch

    def _run(self, name: str, enricher: Enricher, batch: Batch) -> None:
        start = self._clock()
        try:
            self.delivered[name] = _call(enricher, batch)
        finally:
            took = self._clock() - start
            if took > self._slow_seconds and self._may_say("slow", name):
                logger.warning(
                    "enricher %s took %.1f s for %d events (enrich.slow_seconds is %g); the worker "
                    "does nothing else meanwhile, renewing its leases included",
                    name,
                    took,
                    len(batch),
                    self._slow_seconds,
                )

    def _may_say(self, what: str, name: str) -> bool:
        now = self._clock()
        last = self._said.get((what, name))
        if last is not None and now - last < _QUIET_SECONDS:
            return False
        self._said[what, name] = now
        return True


def _call(enricher: Enricher, batch: Batch) -> frozenset[str]:
    columns = dict(enricher(batch))
    for name, column in columns.items():
        if len(column) != batch.size:
            raise ValueError(
                f"enricher {enricher!r} returned {len(column)} values of {name!r} "
                f"for {batch.size} events"
            )
    batch.columns.update(columns)
    return frozenset(columns)
