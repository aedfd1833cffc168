"""Enrichers: functions from a batch to more columns of it, one file each.

An enricher is called once a batch, with every event of a claim, and returns the columns
that it adds. It memoises by distinct value: a batch has thousands of events and a few
dozen domains, user agents and reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pepi_stream.enrich.mailbox_provider import MailboxProvider
from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch, Column
from pepi_stream.extension import load_attr

__all__ = ["ENRICHERS", "Enricher", "load_enricher"]

#: Takes a batch, returns the columns to add or replace: one value an event.
Enricher = Callable[[Batch], Mapping[str, Column]]

ENRICHERS: Final[dict[str, Callable[[], Enricher]]] = {"mailbox_provider": MailboxProvider}


def load_enricher(name: str) -> Enricher:
    """Return the enricher called ``name``: a built-in, or ``module:attr`` of a user.

    The attribute is a function of a batch, or a class whose instances are.

    Raises:
        ConfigError: there is no such enricher.
    """
    if ":" not in name:
        try:
            return ENRICHERS[name]()
        except KeyError:
            known = ", ".join(sorted(ENRICHERS))
            raise ConfigError(
                f"enrich.enrichers: no enricher {name!r}; known: {known}, or module:attr"
            ) from None
    found = load_attr(name, "enrich.enrichers")
    if isinstance(found, type):
        found = found()
    if not callable(found):
        raise ConfigError(f"enrich.enrichers: {name} cannot be called with a batch")
    enricher: Enricher = found
    return enricher
