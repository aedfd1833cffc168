"""Opens and clicks of machines: who they are, and why that is thought."""

from __future__ import annotations

from pathlib import Path

import pytest

from pepi_stream.enrich import machine
from pepi_stream.enrich.machine import Machine
from pepi_stream.errors import ConfigError
from pepi_stream.events import Constant
from pepi_stream.settings import load_settings
from pepi_stream.simulate.user_agents import (
    APPLE_PRIVACY,
    BROWSERS,
    GMAIL_PREFETCH,
    GOOGLE_PROXY,
    MAIL_CLIENTS,
    YAHOO_PROXY,
)
from tests.enriching import batch_of, enrich

CASES = [
    line.split("\t")
    for line in (Path(__file__).parents[1] / "data" / "agent_cases.tsv").read_text().splitlines()
    if not line.startswith("#")
]
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/137.0.0.0 Safari/537.36"
)


@pytest.fixture(scope="module")
def ours() -> Machine:
    return Machine()


def with_rules(path: Path, text: str) -> Machine:
    path.write_text(text)
    return Machine.from_settings(load_settings({"PEPI_ENRICH__MACHINE_RULES": str(path)}).enrich)


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (APPLE_PRIVACY.user_agent, "apple_privacy"),
        (GMAIL_PREFETCH.user_agent, "prefetch"),
        (GMAIL_PREFETCH.user_agent.replace("Edge/12.246 Mozilla/5.0", "Edge/12.246"), "prefetch"),
        ("Barracuda Sentinel (EE)", "scanner"),
        ("BarracudaCentral.org scanner", "scanner"),
        (f"{CHROME} Proofpoint-URL-Defense", "scanner"),
        ("Mimecast-URL-Protect/1.0", "scanner"),
        ("CiscoSecureEmail/14.2", "scanner"),
        ("Symantec Email Security.cloud", "scanner"),
        ("FireEye ETP URL Scanner", "scanner"),
        ("TrendMicro Web Reputation", "scanner"),
        ("Sophos Email Appliance", "scanner"),
        (f"{CHROME} SafeLinks", "scanner"),
        ("Expanse, a Palo Alto Networks company, searches across the IPv4 space", "scanner"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "bot"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot"),
        ("WhatsApp/2.23.20.0 A", "bot"),
        ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", "bot"),
        (f"{CHROME} BingPreview/1.0b", "bot"),
        (CHROME.replace("Chrome/", "HeadlessChrome/"), "script"),
        ("python-requests/2.32.3", "script"),
        ("curl/8.5.0", "script"),
        ("Wget/1.21.4", "script"),
        ("Go-http-client/2.0", "script"),
        ("Java/17.0.9", "script"),
        # people
        (GOOGLE_PROXY.user_agent, None),
        (YAHOO_PROXY.user_agent, None),
        (CHROME, None),
        ("Mozilla/5.0 ", None),  # not exactly Apple's
        ("mozilla/5.0", None),
        ("Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/537.36 Chrome/120 Mobile", None),
        ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", None),
    ],
)
def test_user_agents(ours: Machine, agent: str, reason: str | None) -> None:
    batch = enrich(ours, event_name=["opened", "clicked"], user_agent=[agent, agent])
    assert batch.column("machine_reason") == [reason, reason]
    assert batch.column("is_machine") == [reason is not None] * 2


@pytest.mark.parametrize(("who", "agent"), CASES)
def test_agents_that_were_taken_for_the_other(ours: Machine, who: str, agent: str) -> None:
    assert (ours.reason(agent) is not None) == (who == "machine")


def test_every_agent_of_people_in_the_simulation_is_a_person(ours: Machine) -> None:
    agents = [agent.user_agent for agent in {*BROWSERS, *MAIL_CLIENTS}]
    batch = enrich(ours, event_name=["opened"] * len(agents), user_agent=agents)
    assert set(batch.column("is_machine")) == {False}


def test_only_opens_and_clicks_have_a_verdict(ours: Machine) -> None:
    names = ["opened", "sent", "clicked", "unsubscribed", "opened"]
    agents = [*["Mozilla/5.0"] * 4, None]
    batch = enrich(ours, event_name=names, user_agent=agents)
    assert batch.column("is_machine") == [True, None, True, None, None]
    reason = "apple_privacy"
    assert batch.column("machine_reason") == [reason, None, reason, None, None]
    assert ours(batch_of(event_name=["sent", "bounced"], user_agent=agents[:2])) == {}
    assert ours(batch_of(event_name=Constant("sent", 2))) == {}


def test_the_providers_verdict_wins(ours: Machine) -> None:
    agents = ["Mozilla/5.0", "Mozilla/5.0", CHROME, None, CHROME, None]
    given = [False, True, True, True, None, False]
    batch = enrich(ours, event_name=["opened"] * 6, user_agent=agents, is_machine=given)
    assert batch.column("is_machine") == [False, True, True, True, False, False]
    assert batch.column("machine_reason") == [
        *(None, "apple_privacy", "provider", "provider", None, None)
    ]
    other = enrich(ours, event_name=["opened", "sent"], is_machine=[None, True])
    assert other.column("is_machine") == [None, True]


def test_rules_of_ones_own_are_looked_at_before_ours(tmp_path: Path) -> None:
    own = with_rules(
        tmp_path / "own.toml",
        """
        [[rule]]
        reason = "ours"
        contains = ["CHROME/137"]
        [[rule]]
        reason = "human"
        equals = "Mozilla/5.0"
        contains = "curl/8"
        """,
    )
    agents = [CHROME, "Mozilla/5.0", "curl/8.5.0", "curl/7.1", "Wget/1"]
    words = with_rules(
        tmp_path / "words.toml",
        """
        replace = true
        [[rule]]
        reason = "a"
        starts = "Ab"
        words = ["Cat", "*dog", "mouse*"]
        unless = "Zoo"
        [[rule]]
        reason = "b"
        spider = true
        """,
    )
    a = ["abc", "my CAT.", "hotdog/1", "mouses"]
    none = ["cabin", "cats", "dogs", "amouse", "a cat in a zoo", "\ud83d"]
    assert [words.reason(agent) for agent in [*a, *none]] == ["a"] * 4 + [None] * 6
    assert words.reason("Mozilla/5.0 (X11) PTST/1.0") == "b"  # ua-parser's Spider minds the case
    assert [own.reason(a) for a in agents] == ["ours", None, None, "script", "script"]
    alone = with_rules(tmp_path / "a.toml", 'replace = true\n[[rule]]\nreason="x"\nequals="y"')
    assert [alone.reason(a) for a in ("y", "Mozilla/5.0")] == ["x", None]


@pytest.mark.parametrize(
    ("rule", "line", "says"),
    [
        (
            'reason = "x"',
            1,
            "the rule has no condition: give it equals, starts, contains, words or",
        ),
        ('reason = "x"\nunless = "y"', 1, "the rule has no condition: give it equals, starts, "),
        ('reason = "x"\nstarts = ""', 3, "starts is empty: every agent has that"),
        ('reason = "x"\nwords = "y"\nunless = ["z", ""]', 4, "unless is empty: every agent has"),
        ('reason = "x"\nwords = ["y",\n"a b"]', 4, "'a b' is no word of letters and digits, "),
        ('reason = "x"\nwords = "*"', 3, "'*' is no word of letters and digits, *bot or crawl*"),
        ('equals = "x"', 1, "the rule has no reason"),
        ('contains = "x"\nreason = ""', 3, "reason must be of 1 to 32 characters"),
        (f'contains = "x"\nreason = "{"r" * 33}"', 3, "reason must be of 1 to 32 characters"),
        ('reason = "x"\ncontains = ["a", ""]', 3, "contains is empty: every agent has that"),
        ('reason = "x"\ncontain = "a"', 3, "contain is not a key of a rule; known: reason, equals"),
    ],
)
def test_a_rule_that_makes_no_sense(tmp_path: Path, rule: str, line: int, says: str) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(ConfigError) as caught:
        with_rules(path, f"[[rule]]\n{rule}\n")
    assert str(caught.value).startswith(f"{path}:{line}: {says}")


def test_made_up_agents_do_not_grow_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MEMO_SIZE", 100)
    enricher = Machine()
    agents = [f"{n} {'x' * 4096}" for n in range(1000)]
    enrich(enricher, event_name=["opened"] * 1000, user_agent=agents)
    assert len(enricher._memo) <= 100
    assert max(map(len, enricher._memo)) <= 512
