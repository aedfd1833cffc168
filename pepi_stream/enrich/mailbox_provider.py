"""Recipient domain and mailbox provider, from the recipient's address.

The map is data: ``config/mailbox_providers.toml``, and a user's own file before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pepi_stream.enrich.rule_files import RuleFile, load_rule_files
from pepi_stream.events import Batch, Column
from pepi_stream.memo import ColumnMemo
from pepi_stream.settings import EnrichSettings

OTHER = "Other"
_SETTING = "enrich.mailbox_providers"
_MEMO_SIZE = 25_000  # domains; a spam wave of made-up ones holds 50 MiB at most
_WIDTH = 64  # of the column, in characters
_LONGEST = 255  # characters of a domain (RFC 1035, 2.3.4); of junk, a megabyte is kept otherwise


class MailboxProvider:
    """Adds ``recipient_domain`` (lower case) and ``mailbox_provider``.

    Both are None for an event without a recipient. The domain of an address without an @
    is empty, and its provider ``Other``.

    Args:
        maps: each provider -> its domains, which stand for their subdomains, too; ``name.*`` for
            every country. The first that knows a domain decides. Default: the map in ``config/``.
    """

    def __init__(self, *maps: Mapping[str, Iterable[str]]) -> None:
        if not maps:
            maps = (*read_providers(load_rule_files(_SETTING, "", "mailbox_providers.toml")),)
        self._maps = [_Map(providers) for providers in maps]
        self._domains = ColumnMemo(_domain, size=_MEMO_SIZE, longest=1 + _LONGEST)
        self._providers = ColumnMemo(self.provider, size=_MEMO_SIZE, longest=_LONGEST)

    @classmethod
    def from_settings(cls, settings: EnrichSettings) -> MailboxProvider:
        """Build it with the user's map before ours; raises ConfigError for a bad file."""
        files = load_rule_files(_SETTING, settings.mailbox_providers, "mailbox_providers.toml")
        return cls(*read_providers(files))

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return the two columns for a batch."""
        recipients = batch.column("recipient")
        try:
            ends = [r[r.rfind("@") :] for r in recipients]
        except AttributeError:
            ends = [r and r[r.rfind("@") :] for r in recipients]
        domains = self._domains(ends)
        return {"recipient_domain": domains, "mailbox_provider": self._providers(domains)}

    def provider(self, domain: str | None) -> str | None:
        """Return the provider of one domain in lower case; None for None."""
        if domain is None:
            return None
        if len(domain) > _LONGEST:
            return OTHER
        return next((found for m in self._maps if (found := m.provider(domain))), OTHER)


class _Map:
    def __init__(self, providers: Mapping[str, Iterable[str]]) -> None:
        self._exact: dict[str, str] = {}
        self._any_country: dict[str, str] = {}
        for provider, domains in providers.items():
            for domain in domains:
                if domain.endswith(".*"):
                    self._any_country[domain[:-2]] = provider
                else:
                    self._exact[domain] = provider

    def provider(self, domain: str) -> str | None:
        while domain:  # "tampabay.rr.com", then "rr.com", then "com"
            name, _, rest = domain.partition(".")
            found = self._exact.get(domain)
            if found is None and _is_country(rest):
                found = self._any_country.get(name)
            if found is not None:
                return found
            domain = rest
        return None


def _is_country(rest: str) -> bool:
    """Return whether "fr", "co.in", "com.br": what may stand after a name; not "example.com"."""
    labels = rest.split(".")
    return (len(labels) == 1 and rest != "") or (
        len(labels) == 2 and labels[0] in ("co", "com", "net", "org") and len(labels[1]) == 2
    )


def _domain(end: str | None) -> str | None:
    """Return the domain, given an address from its last @ on: its last character if it has none."""
    return end and end[1:].lower()


def read_providers(files: Sequence[RuleFile]) -> list[dict[str, list[str]]]:
    """Return provider -> domains of each file.

    Raises:
        ConfigError: a value is not a list of domains, a file has a domain twice, or a name does not
            fit its column.
    """
    for file in files:
        taken: dict[str, str] = {}
        for provider, domains in file.table.items():
            if not 0 < len(provider) <= _WIDTH:
                problem = f"a provider's name must be of 1 to {_WIDTH} characters"
                file.refuse(file.line(provider), problem)
            if not isinstance(domains, list) or not all(type(d) is str for d in domains):
                problem = f'{provider} must be a list of domains: ["example.com", "x.*"]'
                file.refuse(file.line(provider), problem)
            for domain in domains:
                if problem := _problem(domain, taken):
                    file.refuse(file.line_of(domain, file.line(provider)), problem)
                taken[domain] = provider
    return [file.table for file in files]


def _problem(domain: str, taken: Mapping[str, str]) -> str:
    """Return what is wrong with a domain of a map, in which these are taken; empty for nothing."""
    if not domain or domain != domain.lower() or "@" in domain or " " in domain:
        return f"{domain!r} is no domain in lower case, without @"
    if "" in domain.split(".") or "*" in domain.removesuffix(".*"):
        return f"{domain!r} fits no domain; * stands only for the end: x.*"
    if domain in taken:
        return f"{domain} is listed twice, here and under {taken[domain]}"
    return ""
