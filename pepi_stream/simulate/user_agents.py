"""User agents, and the addresses they come from, for simulated opens and clicks."""

from __future__ import annotations

from typing import Final, NamedTuple

from pepi_stream.simulate.weighted import weighted_table


class Agent(NamedTuple):
    """A user agent and the network it is seen from.

    Attributes:
        user_agent: the header's value.
        network: first three octets of a proxy's IPv4 addresses; empty for a person's own line.
    """

    user_agent: str
    network: str = ""


_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IOS_KIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

# Apple Mail Privacy Protection announces itself as exactly this, from iCloud relay addresses.
APPLE_PRIVACY: Final = Agent("Mozilla/5.0", "104.28.30")
# Gmail fetches some images before anybody reads the message, with this out-of-date agent.
GMAIL_PREFETCH: Final = Agent(
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/42.0.2311.135 Safari/537.36 "
    "Edge/12.246 Mozilla/5.0",
    "66.249.93",
)
# Google fetches the image when a person opens the message, so this one is not a machine open.
GOOGLE_PROXY: Final = Agent(
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "64.233.173",
)
YAHOO_PROXY: Final = Agent(
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "98.136.144"
)

_BROWSERS: Final = (
    (f"Mozilla/5.0 (Linux; Android 10; K) {_KIT} Chrome/137.0.0.0 Mobile Safari/537.36", 22),
    (f"Mozilla/5.0 (Linux; Android 10; K) {_KIT} Chrome/131.0.0.0 Mobile Safari/537.36", 8),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_IOS_KIT} Version/18.5 "
        "Mobile/15E148 Safari/604.1",
        15,
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) {_IOS_KIT} Version/17.6 "
        "Mobile/15E148 Safari/604.1",
        7,
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_IOS_KIT} CriOS/137.0.7151.79 "
        "Mobile/15E148 Safari/604.1",
        3,
    ),
    (
        f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {_IOS_KIT} Version/17.6 Mobile/15E148 "
        "Safari/604.1",
        2,
    ),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/137.0.0.0 Safari/537.36", 14),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/130.0.0.0 Safari/537.36", 4),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/136.0.0.0 Safari/537.36 "
        "Edg/136.0.0.0",
        6,
    ),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0", 3),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_IOS_KIT} Version/18.5 Safari/605.1.15", 4),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_KIT} Chrome/137.0.0.0 Safari/537.36", 5),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:138.0) Gecko/20100101 Firefox/138.0", 1),
    (f"Mozilla/5.0 (X11; Linux x86_64) {_KIT} Chrome/137.0.0.0 Safari/537.36", 1),
    (
        f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {_KIT} SamsungBrowser/27.0 Chrome/125.0.0.0 "
        "Mobile Safari/537.36",
        4,
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; Redmi Note 12) {_KIT} Chrome/124.0.0.0 Mobile "
        "Safari/537.36 OPR/82.0",
        1,
    ),
)
_MAIL_CLIENTS: Final = (
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", 30),
    (
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft "
        "Outlook 16.0)",
        12,
    ),
    ("Outlook-iOS/711.2620504.prod.iphone (4.2515.0)", 12),
    (f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) {_IOS_KIT} Mobile/15E148", 18),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_IOS_KIT}", 8),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.10.1", 7),
    (
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_KIT} Version/4.0 Chrome/125.0.0.0 Mobile "
        "Safari/537.36",
        13,
    ),
)

# Both tables have a power-of-two length, so that the stream indexes them with a mask.
BROWSERS: Final = weighted_table([(Agent(text), weight) for text, weight in _BROWSERS], 256)
MAIL_CLIENTS: Final = weighted_table([(Agent(text), weight) for text, weight in _MAIL_CLIENTS], 256)

# First two octets of consumer networks; the rest comes from the message id.
CONSUMER_NETWORKS: Final = (
    "49.36", "49.205", "103.21", "106.51", "117.196", "122.161", "157.34", "182.70",
    "24.5", "67.180", "71.202", "73.92", "98.207", "86.142", "90.63", "189.6",
)  # fmt: skip
