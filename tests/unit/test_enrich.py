"""Recipient domain and mailbox provider; enrichers by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.enrich import Enrichment, load_enricher, load_enrichers, mailbox_provider
from pepi_stream.enrich.mailbox_provider import MailboxProvider
from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch
from pepi_stream.settings import load_settings
from tests.enriching import batch_of

ENRICH = load_settings({}).enrich


def enriched(*recipients: str | None) -> list[tuple[str | None, str | None]]:
    """(domain, provider) of each recipient."""
    claim = Claim(new_claim_id(1), [b""] * len(recipients), delivery=1, received_at=1)
    batch = Batch(claim, format="f", size=len(recipients), columns={"recipient": recipients})
    columns = MailboxProvider()(batch)
    assert set(columns) == {"recipient_domain", "mailbox_provider"}
    return list(zip(columns["recipient_domain"], columns["mailbox_provider"], strict=True))


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        *(("gmail.com", "Google"), ("googlemail.com", "Google"), ("gmail.com.example", "Other")),
        *(("yahoo.com", "Yahoo"), ("yahoo.co.in", "Yahoo"), ("yahoo.com.br", "Yahoo")),
        *(("yahoo.fr", "Yahoo"), ("ymail.com", "Yahoo"), ("aol.de", "Yahoo")),
        *(("hotmail.fr", "Microsoft"), ("hotmail.co.uk", "Microsoft"), ("live.com", "Microsoft")),
        *(("outlook.com", "Microsoft"), ("msn.com", "Microsoft"), ("live.com.au", "Microsoft")),
        *(("me.com", "Apple"), ("icloud.com", "Apple"), ("privaterelay.appleid.com", "Apple")),
        *(("web.de", "GMX"), ("gmx.net", "GMX"), ("rediffmail.com", "Rediff")),
        *(("yahoo.co.jp", "Yahoo Japan"), ("windowslive.com", "Microsoft"), ("zoho.eu", "Zoho")),
        *(("t-online.de", "T-Online"), ("laposte.net", "La Poste"), ("libero.it", "Libero")),
        *(("hanmail.net", "Daum"), ("bol.com.br", "UOL"), ("bigpond.com", "Telstra")),
        *(("btinternet.com", "BT"), ("seznam.cz", "Seznam"), ("charter.net", "Spectrum")),
        *(("yahoo.example.com", "Other"), ("yahoo.co.example", "Other"), ("yahoo", "Other")),
        *(("notyahoo.com", "Other"), ("mail.yahoo.com", "Yahoo"), ("example.com", "Other")),
        *(("tampabay.rr.com", "Spectrum"), ("a.b.rr.com", "Spectrum"), ("arr.com", "Other")),
        *(("contoso.onmicrosoft.com", "Microsoft"), ("yahoo.com.example", "Other")),
        # names that others have in these countries
        *(("live.org", "Other"), ("outlook.example", "Other"), ("gmx.jp", "Other")),
        *(("hotmail.example", "Other"), ("zoho.xyz", "Other"), ("live.gmail.com", "Google")),
        *(("abv.bg", "Abv.bg"), ("centrum.cz", "Centrum"), ("freemail.hu", "Freemail")),
        *(("inbox.lv", "Inbox.lv"), ("walla.co.il", "Walla"), ("ocn.ne.jp", "OCN")),
        *(("biglobe.ne.jp", "BIGLOBE"), ("abc.so-net.ne.jp", "So-net"), ("terra.es", "Terra")),
        *(("fastwebnet.it", "Fastweb"), ("i.ua", "I.UA"), ("duck.com", "DuckDuckGo")),
        *(("hush.com", "Hushmail"), ("talktalk.co.uk", "TalkTalk"), ("21cn.com", "21CN")),
        *(("poste.it", "Poste Italiane"), ("oi.com.br", "Oi"), ("mail.ua", "Mail.ru")),
        *(("", "Other"), (".", "Other"), ("..", "Other"), ("gmail.com.", "Other")),
    ],
)
def test_the_provider_of_a_domain(domain: str, provider: str) -> None:
    assert enriched(f"someone@{domain}") == [(domain, provider)]


def test_case_does_not_matter() -> None:
    assert enriched("A@GMail.COM", "B@HOTMAIL.Fr") == [
        ("gmail.com", "Google"),
        ("hotmail.fr", "Microsoft"),
    ]


def test_no_recipient_has_no_provider() -> None:
    assert enriched(None, "a@gmail.com", None) == [
        (None, None),
        ("gmail.com", "Google"),
        (None, None),
    ]


def test_the_domain_is_what_follows_the_last_at() -> None:
    assert enriched('"a@gmail.com"@example.com', "a@b@yahoo.fr") == [
        ("example.com", "Other"),
        ("yahoo.fr", "Yahoo"),
    ]


@pytest.mark.parametrize("recipient", ["gmail.com", "someone", ""])
def test_an_address_without_an_at_has_no_domain(recipient: str) -> None:
    [(_, provider)] = enriched(recipient)
    assert provider == "Other"


def test_an_empty_batch() -> None:
    assert enriched() == []


def test_made_up_domains_do_not_grow_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_provider, "_MEMO_SIZE", 100)
    enricher = MailboxProvider()
    for first in range(0, 1000, 50):
        recipients = [f"a@d{n}.example" for n in range(first, first + 50)] + ["a@gmail.com"]
        claim = Claim(new_claim_id(1), [b""], delivery=1, received_at=1)
        batch = Batch(claim, format="f", size=51, columns={"recipient": recipients})
        assert enricher(batch)["mailbox_provider"][-1] == "Google"
        assert len(enricher._domains) <= 100
        assert len(enricher._providers) <= 100


def test_what_is_too_long_for_a_domain_is_not_kept() -> None:
    """25,000 recipients of a megabyte each would be 25 GB otherwise."""
    enricher = MailboxProvider()
    recipients = [f"a@{n}{'x' * 100_000}.example" for n in range(20)]
    assert set(enricher(batch_of(recipient=recipients))["mailbox_provider"]) == {"Other"}
    assert len(enricher._domains) == len(enricher._providers) == 0
    enricher(batch_of(recipient=[f"a@{'x' * 247}.example", f"a@{'x' * 248}.example"]))
    assert len(enricher._domains) == len(enricher._providers) == 1
    assert enricher.provider(f"yahoo.{'x' * 300}") == "Other"


def test_a_map_of_ones_own() -> None:
    providers = MailboxProvider({"Ours": ["our.example", "we.*"]})
    domains = ("our.example", "x.our.example", "we.co.uk", "x.we.fr", "we.x.example", "gmail.com")
    assert [providers.provider(d) for d in domains] == ["Ours"] * 4 + ["Other"] * 2


def test_a_map_of_ones_own_is_looked_at_before_ours(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text('Ours = ["our.example", "gmx.*", "gmail.com"]')
    settings = load_settings({"PEPI_ENRICH__MAILBOX_PROVIDERS": str(file)}).enrich
    provider = MailboxProvider.from_settings(settings).provider
    assert [provider(d) for d in ("our.example", "gmx.at", "gmail.com")] == ["Ours"] * 3
    assert provider("googlemail.com") == "Google"
    file.write_text('replace = true\nOurs = ["our.example"]')
    provider = MailboxProvider.from_settings(settings).provider
    assert [provider(d) for d in ("our.example", "gmail.com")] == ["Ours", "Other"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('A = ["a.example"]\nB = "b.example"', 2, "B must be a list of domains"),
        ('A = ["a.example"]\n"B C" = [1]', 2, "B C must be a list of domains"),
        ('A = [\n  "a.example",\n  "B.example",\n]', 3, "'B.example' is no domain in lower case"),
        ('A = ["a.example"]\nB = ["x@b.example"]', 2, "'x@b.example' is no domain"),
        ('A = ["a.*"]\nB = ["*.b.example"]', 2, "'*.b.example' fits no domain; * stands only"),
        ('A = ["a.*"]\nB = ["b.*.example"]', 2, "'b.*.example' fits no domain"),
        ('A = ["a.*"]\nB = ["*"]', 2, "'*' fits no domain"),
        ('A = ["a.*"]\nB = [".*"]', 2, "'.*' fits no domain"),
        ('A = ["a.*"]\nB = ["b..example"]', 2, "'b..example' fits no domain"),
        (f'A = ["a.*"]\n{"B" * 65} = ["b.*"]', 2, "a provider's name must be of 1 to 64 char"),
        ('A = ["a.*"]\n"" = ["b.*"]', 2, "a provider's name must be of 1 to 64 characters"),
        (
            'A = ["a.example"]\n\nB = ["a.example"]',
            3,
            "a.example is listed twice, here and under A",
        ),
    ],
)
def test_a_map_that_makes_no_sense(tmp_path: Path, text: str, line: int, says: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(text)
    settings = load_settings({"PEPI_ENRICH__MAILBOX_PROVIDERS": str(file)}).enrich
    with pytest.raises(ConfigError) as caught:
        load_enricher("mailbox_provider", settings)
    assert str(caught.value).startswith(f"{file}:{line}: {says}")


def an_enricher(batch: Batch) -> dict[str, list[int]]:
    return {"one": [1] * len(batch)}


def test_enrichers_are_loaded_by_name() -> None:
    assert isinstance(load_enricher("mailbox_provider", ENRICH), MailboxProvider)
    own = load_enricher("pepi_stream.enrich.mailbox_provider:MailboxProvider", ENRICH)
    assert isinstance(own, MailboxProvider)  # a class is instantiated
    name = load_enricher(f"{__name__}:an_enricher", ENRICH)
    assert getattr(name, "__name__", "") == "an_enricher"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mailbox", "no enricher 'mailbox'; known: bounce_class, geo, machine, mailbox_provider, "),
        ("no_such_module:f", "cannot import 'no_such_module'"),
        ("json:__name__", "json:__name__ cannot be called with a batch"),
    ],
)
def test_an_enricher_that_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^enrich\.enrichers: ") as caught:
        load_enricher(name, ENRICH)
    assert message in str(caught.value)


def test_the_examples_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    _, _, rules = text.partition("```toml\n# my_bounces.toml")
    (tmp_path / "my_bounces.toml").write_text(f"#{rules.partition('```')[0]}")
    _, _, code = text.partition("```python\n# my_enrichers.py")
    (tmp_path / "my_enrichers.py").write_text(f"#{code.partition('```')[0]}")
    monkeypatch.syspath_prepend(tmp_path)
    settings = load_settings(
        {
            "PEPI_ENRICH__BOUNCE_RULES": str(tmp_path / "my_bounces.toml"),
            "PEPI_ENRICH__ENRICHERS": "mailbox_provider,bounce_class,my_enrichers:brand",
        }
    )
    enrichment = Enrichment(load_enrichers(settings.enrich))
    batch = batch_of(
        event_name=["bounced", "sent"],
        reason=["550 5.1.1 Please ask the help desk.", None],
        campaign=["acme-spring", None],
    )
    enrichment.apply(batch)
    assert batch.column("bounce_class") == ["policy", None]
    assert batch.column("brand") == ["acme", None]
