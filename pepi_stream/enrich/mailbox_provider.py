"""Recipient domain and mailbox provider, from the recipient's address.

The map is data: ``config/mailbox_providers.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from pepi_stream.events import Batch, Column
from pepi_stream.resources import config_dir

OTHER = "Other"
_MEMO_SIZE = 50_000  # domains; a spam wave of made-up domains must not grow memory


class MailboxProvider:
    """Adds ``recipient_domain`` (lower case) and ``mailbox_provider``.

    Both are None for an event without a recipient. The domain of an address without an @
    is empty, and its provider ``Other``.

    Args:
        providers: provider -> its domains, ``name.*`` for every country; default: the
            map in ``config/``.
    """

    def __init__(self, providers: Mapping[str, list[str]] | None = None) -> None:
        if providers is None:
            text = (config_dir() / "mailbox_providers.toml").read_text("utf-8")
            providers = tomllib.loads(text)
        self._exact: dict[str, str] = {}
        self._any_country: dict[str, str] = {}
        for provider, domains in providers.items():
            for domain in domains:
                if domain.endswith(".*"):
                    self._any_country[domain[:-2]] = provider
                else:
                    self._exact[domain] = provider
        self._memo: dict[str | None, str | None] = {}

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return the two columns for a batch."""
        domains = [
            (at := r.rpartition("@"))[1] and at[2].lower() if r is not None else None
            for r in batch.column("recipient")
        ]
        memo = self._memo
        if len(memo) > _MEMO_SIZE:
            memo.clear()
        for domain in set(domains).difference(memo):
            memo[domain] = None if domain is None else self.provider(domain)
        return {
            "recipient_domain": domains,
            "mailbox_provider": [memo[domain] for domain in domains],
        }

    def provider(self, domain: str) -> str:
        """Return the provider of one domain in lower case."""
        exact = self._exact.get(domain)
        if exact is not None:
            return exact
        name, _, rest = domain.partition(".")
        labels = rest.split(".")
        # "yahoo.fr", "yahoo.co.in", "yahoo.com.br"; not "yahoo.example.com"
        country = (len(labels) == 1 and rest != "") or (
            len(labels) == 2 and labels[0] in ("co", "com", "net", "org") and len(labels[1]) == 2
        )
        return self._any_country.get(name, OTHER) if country else OTHER
