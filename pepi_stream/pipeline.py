"""From a claim to a batch: decode, enrich, count. Pure: no I/O, no clock, no event loop."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

from pepi_stream.claims.claim import Claim
from pepi_stream.columns import COLUMNS
from pepi_stream.enrich import Enricher, Enrichment, load_enrichers
from pepi_stream.errors import ConfigError
from pepi_stream.events import EVENT_FIELDS, Batch, Column, Constant, DeadLetter, Origin
from pepi_stream.formats import Format, LimitedFormat, load_format
from pepi_stream.formats.base import reason_of
from pepi_stream.settings import Settings
from pepi_stream.windows import Window, count_windows

logger = logging.getLogger(__name__)


class Pipeline:
    """The steps that a claim goes through before the sink.

    Args:
        format: decodes the payloads.
        enrichers: called in order; each sees the columns of those before it.
        windows: what is counted.
        pure: a claim always becomes the same batch, so that one can be made anew. Ours do that;
            of what code of a user's does, nothing is known.
    """

    def __init__(
        self,
        format: Format,
        enrichers: Enrichment | Sequence[Enricher],
        windows: Sequence[Window],
        *,
        pure: bool = False,
    ) -> None:
        self.format = format
        if not isinstance(enrichers, Enrichment):
            enrichers = Enrichment({repr(enricher): enricher for enricher in enrichers})
        self.enrichment = enrichers
        self.windows = windows
        self.pure = pure
        self._unseen = {(w.name, name) for w in windows for name in w.by} if not pure else set()
        self._unseen -= {(window, name) for window, name in self._unseen if name in _KNOWN}

    @classmethod
    def from_settings(cls, settings: Settings) -> Pipeline:
        """Build the configured pipeline; raises ConfigError for a name nobody knows."""
        windows = [Window(name, window) for name, window in settings.windows.items()]
        names = (settings.source.format, *settings.enrich.enrichers)
        pure = not any(":" in name for name in names)
        if pure:  # an extension may fill columns of any name; without one, the names are known
            for window in windows:
                _check_known(f"windows.{window.name}.by", window.by)
        _check_known("sink.dedupe", settings.sink.dedupe)
        source = settings.source
        format = load_format(source.format)
        if (wanted := _wanted(settings)) is not None:
            format.wanted = wanted
        return cls(
            LimitedFormat(
                format,
                max_bytes=source.payload_max_bytes,
                max_events=source.payload_max_events,
            ),
            Enrichment(
                load_enrichers(settings.enrich),
                on_error=settings.enrich.on_error,
                slow_seconds=settings.enrich.slow_seconds,
            ),
            windows,
            pure=pure,
        )

    def enrich(self, claim: Claim) -> Batch:
        """Decode and enrich a claim.

        Never raises for what a payload holds: when a step fails on the whole claim, it is
        taken record by record, and what still fails is a dead letter.

        Raises:
            ConfigError: a window counts by a column that nothing delivers.
        """
        batch = self._enrich(claim)
        if self._unseen:
            self._look_for_dimensions(batch)
        return batch

    def _enrich(self, claim: Claim) -> Batch:
        try:
            batch = self._decode(claim, claim.payloads)
        except Exception:
            logger.exception("%r failed as a whole; taking it record by record", claim)
            return self.enrich_each(claim)
        try:
            batch = self.enrichment.apply(batch)
        except Exception:  # it has been logged
            return self.enrich_each(claim)
        if self.pure:
            batch.again = partial(self.enrich, claim)
        return batch

    def _look_for_dimensions(self, batch: Batch) -> None:
        """Look for the columns that windows count by and only a user's code can deliver.

        One that is not there counts as ''. An enricher may leave a column out when no event of
        the batch has a value, so a batch for which one of a user's gave nothing proves nothing;
        nor does a column that was there once. A format may leave columns out, too: then only a
        name that is nearly another one is taken for a mistake.
        """
        self._unseen -= {(window, name) for window, name in self._unseen if name in batch.columns}
        delivered = self.enrichment.delivered
        theirs = [name for name in self.enrichment.enrichers if ":" in name]
        if not batch.size or not all(delivered.get(name) for name in theirs):
            return
        for window, name in sorted(self._unseen):
            if any(name in getattr(self.enrichment.enrichers[e], "delivers", ()) for e in theirs):
                continue
            known = _KNOWN | batch.columns.keys()
            if theirs or difflib.get_close_matches(name, known, 1, 0.8):
                raise _unknown(f"windows.{window}.by", name, known)

    def count(self, batch: Batch) -> Batch:
        """Count the batch's events in every window.

        Returns the same batch, or one without the events that cannot be counted.
        """
        try:
            count_windows(self.windows, batch)
        except Exception:
            logger.exception("%r cannot be counted as a whole; taking it event by event", batch)
            return self.sieve(batch, lambda event: count_windows(self.windows, event))
        return batch

    def sieve(self, batch: Batch, step: Callable[[Batch], object]) -> Batch:
        """Do a step with each event alone; the events that it raises for become dead letters."""
        good: list[int] = []
        dead: list[DeadLetter] = []
        for index in range(len(batch)):
            try:
                step(batch.keep([index]))
            except Exception as exc:
                dead.append(self.dead_letter(batch, index, reason_of(exc)))
            else:
                good.append(index)
        kept = batch.keep(good)
        kept.dead += dead
        count_windows(self.windows, kept)
        return kept

    def enrich_each(self, claim: Claim) -> Batch:
        """Decode and enrich a claim one payload at a time."""
        parts = [self.enrich_one(claim, position) for position in range(len(claim.payloads))]
        return join(claim, self.format.name, parts)

    def enrich_one(self, claim: Claim, position: int) -> Batch:
        """Decode and enrich one payload of a claim; what it raises makes a dead letter."""
        try:
            batch = self._decode(claim, [claim.payloads[position]])
        except Exception as exc:
            return self.refuse(claim, position, reason_of(exc))
        batch.origins = [(position, batch.origin(i)[1]) for i in range(len(batch))]
        batch.dead = [msgspec.structs.replace(d, position=position) for d in batch.dead]
        enrich = self.enrichment.apply_once
        try:
            return enrich(batch)
        except Exception:  # event by event, so that one element of an array is refused alone
            batch = self.sieve(batch, enrich)
        try:
            return enrich(batch) if batch.size else batch
        except Exception as exc:  # each alone is well, and all together are not
            return self.refuse(claim, position, reason_of(exc))

    def refuse(self, claim: Claim, position: int, reason: str) -> Batch:
        """Return a batch of no events and one dead letter: the payload at ``position``."""
        dead = DeadLetter(position, None, claim.payloads[position], reason)
        return Batch(claim, format=self.format.name, size=0, columns={}, dead=[dead])

    def dead_letter(self, batch: Batch, index: int, reason: str) -> DeadLetter:
        """Return the record behind event ``index``, whole, as a dead letter."""
        position, element = batch.origin(index)
        payload = batch.claim.payloads[position]
        format = self.format.taken_for(payload)
        if element is not None:
            payload = self.format.element(payload, element)
        return DeadLetter(position, element, payload, reason, format)

    def _decode(self, claim: Claim, payloads: Sequence[bytes]) -> Batch:
        decoded = self.format.decode(payloads)
        columns = decoded.columns
        occurred = columns.get("occurred_at", Constant(None, decoded.size))
        if isinstance(occurred, Constant) and occurred.value is None:
            columns["occurred_at"] = Constant(claim.received_at, decoded.size)
        elif None in occurred:
            columns["occurred_at"] = [claim.received_at if ms is None else ms for ms in occurred]
        return Batch(
            claim,
            format=self.format.name,
            size=decoded.size,
            columns=columns,
            origins=decoded.origins,
            dead=decoded.dead,
        )


def _wanted(settings: Settings) -> frozenset[str] | None:
    """Return the event fields that anybody reads; None when code that is not ours may."""
    read = {column.value or column.name for column in settings.sink.columns}
    # A format of one's own may be made of a built-in one, and read what that gives.
    if settings.enrich.enrichers or any(":" in name for name in (settings.source.format, *read)):
        return None
    if settings.sink.dedupe:
        read |= {"esp", *settings.sink.dedupe}
    return frozenset(read.union(*(window.by for window in settings.windows.values())))


# Not received_at: it is not the event's own, and a redelivery would count elsewhere.
_KNOWN: Final = frozenset(
    {name for name, spec in COLUMNS.items() if spec.values is not None} | set(EVENT_FIELDS)
) - {"received_at"}


def _check_known(setting: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in _KNOWN:
            raise _unknown(setting, name, _KNOWN)


def _unknown(setting: str, name: str, known: Iterable[str]) -> ConfigError:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ConfigError(
        f"{setting}: no column {name!r}: neither the format nor an enricher delivers it{hint}"
    )


def join(claim: Claim, format: str, parts: Sequence[Batch]) -> Batch:
    """Join batches of the same claim, in order."""
    names = {name for part in parts for name in part.columns}
    columns: dict[str, Column] = {
        name: [value for part in parts for value in part.column(name)] for name in names
    }
    origins: list[Origin] = [part.origin(i) for part in parts for i in range(len(part))]
    return Batch(
        claim,
        format=format,
        size=len(origins),
        columns=columns,
        origins=origins,
        dead=[letter for part in parts for letter in part.dead],
    )
