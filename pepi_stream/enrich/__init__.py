"""Enrichers: functions from a batch to more columns of it, one file each.

An enricher is called once a batch, with every event of a claim, and returns the columns
that it adds. It memoises by distinct value: a batch has thousands of events and a few
dozen domains, user agents and reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pepi_stream.enrich.enrichment import Enricher, Enrichment
from pepi_stream.errors import ConfigError
from pepi_stream.extension import load_attr, make
from pepi_stream.settings import EnrichSettings

__all__ = ["ENRICHERS", "Enricher", "Enrichment", "load_enricher", "load_enrichers"]


# Each is imported when it is asked for: ua-parser's patterns take 30 MiB.
def _mailbox_provider(settings: EnrichSettings) -> Enricher:
    from pepi_stream.enrich.mailbox_provider import MailboxProvider

    return MailboxProvider.from_settings(settings)


def _user_agent(settings: EnrichSettings) -> Enricher:
    from pepi_stream.enrich.user_agent import UserAgent

    return UserAgent()


def _bounce_class(settings: EnrichSettings) -> Enricher:
    from pepi_stream.enrich.bounce_class import BounceClass

    return BounceClass.from_settings(settings)


def _machine(settings: EnrichSettings) -> Enricher:
    from pepi_stream.enrich.machine import Machine

    return Machine.from_settings(settings)


def _geo(settings: EnrichSettings) -> Enricher:
    from pepi_stream.enrich.geo import Geo

    return Geo.from_settings(settings)


ENRICHERS: Final[Mapping[str, Callable[[EnrichSettings], Enricher]]] = {
    "mailbox_provider": _mailbox_provider,
    "user_agent": _user_agent,
    "bounce_class": _bounce_class,
    "machine": _machine,
    "geo": _geo,
}


def load_enrichers(settings: EnrichSettings) -> dict[str, Enricher]:
    """Return the configured enrichers by name, in the order they run.

    ``geo`` is one of them when a file for it is named, listed or not.

    Raises:
        ConfigError: there is no such enricher, or a file that one reads is wrong.
    """
    names = list(settings.enrichers)
    if (settings.geo_country or settings.geo_asn) and "geo" not in names:
        names.append("geo")
    return {name: load_enricher(name, settings) for name in names}


def load_enricher(name: str, settings: EnrichSettings) -> Enricher:
    """Return the enricher called ``name``: a built-in, or ``module:attr`` of a user.

    The attribute is a function of a batch, or a class whose instances are.

    Raises:
        ConfigError: there is no such enricher, or a file that it reads is wrong.
    """
    if ":" not in name:
        if name not in ENRICHERS:
            known = ", ".join(sorted(ENRICHERS))
            raise ConfigError(
                f"enrich.enrichers: no enricher {name!r}; known: {known}, or module:attr"
            )
        return ENRICHERS[name](settings)
    found = load_attr(name, "enrich.enrichers")
    if isinstance(found, type):
        found = make(found, name, "enrich.enrichers")
    if not callable(found):
        raise ConfigError(f"enrich.enrichers: {name} cannot be called with a batch")
    enricher: Enricher = found
    return enricher
