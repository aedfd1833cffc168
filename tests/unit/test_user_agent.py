"""Client, system and device of real user agents."""

from __future__ import annotations

import time

import pytest

from pepi_stream.enrich import user_agent
from pepi_stream.enrich.user_agent import UserAgent
from pepi_stream.events import Constant
from tests.enriching import batch_of, enrich

KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
IOS_KIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {IOS_KIT}"
ANDROID = "Mozilla/5.0 (Linux; Android"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"


@pytest.fixture(scope="module")
def ours() -> UserAgent:
    return UserAgent()


@pytest.mark.parametrize(
    ("agent", "client", "os", "device"),
    [
        # proxies of mailbox providers: the reader's own system is not told
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com "
            "GoogleImageProxy)",
            *("GoogleImageProxy", None, None),
        ),
        (
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            *("YahooMailProxy", None, None),
        ),
        # phones
        (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Mobile Safari", "iOS", "phone"),
        (f"{IPHONE} CriOS/137.0 Mobile/15E148 Safari/604.1", "Chrome Mobile iOS", "iOS", "phone"),
        (f"{IPHONE} Mobile/15E148", "Mobile Safari UI/WKWebView", "iOS", "phone"),
        ("Outlook-iOS/711.2620504.prod.iphone (4.2515.0)", "Outlook-iOS", "iOS", "phone"),
        (
            f"{ANDROID} 10; K) {KIT} Chrome/137.0.0.0 Mobile Safari/537.36",
            *("Chrome Mobile", "Android", "phone"),
        ),
        (
            f"{ANDROID} 14; SM-S918B) {KIT} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile "
            "Safari/537.36",
            *("Samsung Internet", "Android", "phone"),
        ),
        (
            f"{ANDROID} 14; Pixel 8) {KIT} Version/4.0 Chrome/125.0.0.0 Mobile Safari/537.36",
            *("Chrome Mobile WebView", "Android", "phone"),
        ),
        (
            f"{ANDROID} 13; Redmi Note 12) {KIT} Chrome/124.0.0.0 Mobile Safari/537.36 "
            "OPR/82.1.4342",
            *("Opera Mobile", "Android", "phone"),
        ),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:139.0) Gecko/139.0 Firefox/139.0",
            *("Firefox Mobile", "Android", "phone"),
        ),
        (
            "Dalvik/2.1.0 (Linux; U; Android 13; SM-A536B Build/TP1A.220624.014)",
            *("Android", "Android", "phone"),
        ),
        (
            "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) "
            f"{KIT} Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063",
            *("Edge Mobile", "Windows Phone", "phone"),
        ),
        # tablets
        (
            f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {IOS_KIT} Version/17.6 Mobile/15E148 "
            "Safari/604.1",
            *("Mobile Safari", "iOS", "tablet"),
        ),
        (
            f"{ANDROID} 12; SM-T870) {KIT} Chrome/137.0.0.0 Safari/537.36",
            *("Chrome", "Android", "tablet"),
        ),
        # desktops
        (f"{WINDOWS}) {KIT} Chrome/137.0.0.0 Safari/537.36", "Chrome", "Windows", "desktop"),
        (
            f"{WINDOWS}) {KIT} Chrome/136.0.0.0 Safari/537.36 Edg/136.0.0.0",
            *("Edge", "Windows", "desktop"),
        ),
        (
            f"{WINDOWS}; rv:139.0) Gecko/20100101 Firefox/139.0",
            *("Firefox", "Windows", "desktop"),
        ),
        (
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
            *("Outlook", "Windows", "desktop"),
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft "
            "Outlook 16.0.17928; ms-office; MSOffice 16)",
            *("Outlook", "Windows", "desktop"),
        ),
        (
            f"{WINDOWS}; rv:128.0) Gecko/20100101 Thunderbird/128.10.1",
            *("Thunderbird", "Windows", "desktop"),
        ),
        (f"{MAC} {IOS_KIT} Version/18.5 Safari/605.1.15", "Safari", "Mac OS X", "desktop"),
        (f"{MAC} {IOS_KIT}", "Apple Mail", "Mac OS X", "desktop"),
        (f"{MAC} {KIT} Chrome/137.0.0.0 Safari/537.36", "Chrome", "Mac OS X", "desktop"),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:138.0) Gecko/20100101 Firefox/138.0",
            *("Firefox", "Ubuntu", "desktop"),
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KIT} Chrome/137.0.0.0 Safari/537.36",
            *("Chrome", "Chrome OS", "desktop"),
        ),
        # neither
        (
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 2.4.0) AppleWebkit/538.1 (KHTML, like Gecko) "
            "SamsungBrowser/1.1 TV Safari/538.1",
            *("Samsung Internet", "Tizen", None),
        ),
        (
            f"{ANDROID} 9; BRAVIA 4K UR2 TV) {KIT} Chrome/120.0 Safari/537.36",
            *("Chrome", "Android", None),
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            *("Googlebot", None, None),
        ),
        ("Mozilla/5.0", None, None, None),
        ("Barracuda Sentinel (EE)", None, None, None),
        ("\ud83d\x00", None, None, None),
    ],
)
def test_user_agents(
    ours: UserAgent, agent: str, client: str | None, os: str | None, device: str | None
) -> None:
    batch = enrich(ours, user_agent=[None, agent])
    assert [batch.column(name)[1] for name in ("client", "os", "device")] == [client, os, device]
    assert [batch.column(name)[0] for name in ("client", "os", "device")] == [None] * 3


def test_a_batch_without_user_agents_costs_nothing(ours: UserAgent) -> None:
    for column in (Constant(None, 3), [None, None, None], ["", None, ""]):
        assert ours(batch_of(user_agent=column)) == {}
    assert ours(batch_of(event_name=["sent"])) == {}


def test_what_the_format_knows_fills_what_the_agent_does_not_tell(ours: UserAgent) -> None:
    firefox = f"{WINDOWS}; rv:139.0) Gecko/20100101 Firefox/139.0"
    batch = enrich(
        ours,
        user_agent=[firefox, "Mozilla/5.0", None],
        client=["Gmail", "Apple Mail", "Webmail"],
        device=Constant("phone", 3),
        esp=Constant("postmark", 3),
    )
    assert batch.column("client") == ["Firefox", "Apple Mail", "Webmail"]
    assert batch.column("os") == ["Windows", None, None]
    assert batch.column("device") == ["desktop", "phone", "phone"]


def test_what_a_producer_of_its_own_says_is_kept(ours: UserAgent) -> None:
    firefox = f"{WINDOWS}; rv:139.0) Gecko/20100101 Firefox/139.0"
    batch = enrich(ours, user_agent=[firefox, firefox], client=["Our App", None])
    assert batch.column("client") == ["Our App", "Firefox"]
    assert batch.column("device") == ["desktop", "desktop"]


def test_a_proxy_is_none_of_what_a_provider_takes_it_for(ours: UserAgent) -> None:
    google = (
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    )
    yahoo = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
    batch = enrich(
        ours,
        user_agent=[google, yahoo],
        client=["Firefox", "Firefox"],
        os=["Windows", "Windows"],
        device=["desktop", "phone"],
        esp=["mailgun", "sparkpost"],
    )
    assert batch.column("client") == ["GoogleImageProxy", "YahooMailProxy"]
    assert batch.column("os") == [None, None]
    assert batch.column("device") == [None, None]


def test_made_up_agents_cost_neither_memory_nor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_agent, "_MEMO_SIZE", 100)
    enricher = UserAgent()
    junk = f"Mozilla/5.0 (Linux; Android {'1(;/. aZ' * 512}"
    agents = [f"{n} {junk}" for n in range(1000)]
    start = time.process_time()
    enrich(enricher, user_agent=agents)
    assert time.process_time() - start < 2.0  # some 0.05 s
    assert len(enricher._memo) <= 100
    assert max(map(len, enricher._memo)) <= 512


def test_names_fit_in_their_columns(ours: UserAgent) -> None:
    batch = enrich(ours, user_agent=[f"{'a' * 400}bot/1.0", f"{'x' * 300}Crawler/2.0"])
    for name in ("client", "os", "device"):
        assert all(value is None or len(value) <= 64 for value in batch.column(name))
