"""Client, operating system and device of the reader, from the user agent.

The patterns are ua-parser's (uap-core); names are as it gives them, with two exceptions: Google's
image proxy has the name that it gives itself, and a proxy's system is not the reader's.

What a provider has made of the same agent (Mailgun, Postmark and SparkPost send that, too) is
second to it: it takes a proxy for the browser that it pretends to be. It fills what the agent does
not tell. What a producer of its own says (an event without ``esp``) is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from pepi_stream.events import Batch, Column, Constant
from pepi_stream.memo import Memo

PHONE: Final = "phone"
TABLET: Final = "tablet"
DESKTOP: Final = "desktop"

_WIDTH = 64  # of the columns, in characters

#: Characters of a user agent that are read. Real ones have 300 at most; a random one of 512 costs
#: 25 us, of 4,096 a millisecond.
MAX_AGENT: Final = 512
_MEMO_SIZE = 8192  # agents; at most 4 MiB of them

#: Image proxies of mailbox providers. They fetch when a person opens the message, and what they say
#: of a system is made up ("Windows NT 5.1").
PROXIES: Final = {"GmailImageProxy": "GoogleImageProxy", "YahooMailProxy": "YahooMailProxy"}

_PROXY_NAMES = frozenset(PROXIES.values())

_TABLETS = frozenset({"BlackBerry Tablet OS"})
_PHONES = frozenset(
    {"iOS", "Windows Phone", "Windows Mobile", "BlackBerry OS", "KaiOS", "Firefox OS", "Brew MP"}
)
_DESKTOPS = frozenset(
    {"Windows", "Mac OS X", "Mac OS", "Chrome OS", "Linux", "Ubuntu", "Debian", "Fedora", "Red Hat"}
    | {
        "CentOS",
        "SUSE",
        "Gentoo",
        "Linux Mint",
        "Arch Linux",
        "FreeBSD",
        "OpenBSD",
        "NetBSD",
        "Solaris",
    }
)

_Agent = tuple[str | None, str | None, str | None]


class UserAgent:
    """Adds ``client``, ``os`` and ``device``, each None where the agent does not tell.

    ``device`` is ``phone``, ``tablet`` or ``desktop``, not ua-parser's model: counts by some
    thousand models tell nobody anything. An iPad that asks for a desktop's pages says that it is
    a Mac, and counts as one.
    """

    def __init__(self) -> None:
        # Lazy: the resolver compiles the patterns itself; `re` would do so too, and that is a fifth
        # of what a worker or a command takes to start.
        clients, systems, _ = load_lazy_builtins()
        # Without the patterns of devices: half the time.
        self._resolver = Resolver((clients, systems, []))
        self._memo: Memo[str, _Agent] = Memo(self.parse, _MEMO_SIZE)

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return the three columns; none for a batch without user agents."""
        agents = batch.column("user_agent")
        # Most events have none: those that do are found first, and only they cost more.
        some = [i for i, agent in enumerate(agents) if agent]
        if not some:
            return {}
        clients: list[str | None] = [None] * len(batch)
        systems, devices = clients.copy(), clients.copy()
        memo = self._memo
        for i in some:
            clients[i], systems[i], devices[i] = memo[agents[i][:MAX_AGENT]]
        columns = {"client": clients, "os": systems, "device": devices}
        proxies = [client in _PROXY_NAMES for client in clients]
        esps = batch.column("esp")
        return {
            name: _chosen(found, batch.column(name), proxies, esps)
            for name, found in columns.items()
        }

    def parse(self, agent: str) -> _Agent:
        """Return (client, os, device) of one user agent."""
        try:
            result = self._resolver(agent, Domain.USER_AGENT | Domain.OS)
        except UnicodeEncodeError:  # a lone surrogate, which JSON can spell
            return self.parse(agent.encode("utf-8", "replace").decode())
        client = result.user_agent.family[:_WIDTH] if result.user_agent else None
        if client in PROXIES:
            return PROXIES[client], None, None
        system = result.os.family[:_WIDTH] if result.os else None
        return client, system, _device(agent, system)


def _chosen(found: Column, given: Column, proxies: Sequence[bool], esps: Column) -> Column:
    """Return the values found in the agent, or the given ones: a producer's, or what fills gaps."""
    if isinstance(given, Constant) and given.value is None:
        return found
    return [
        theirs if theirs is not None and (esp is None or (own is None and not proxy)) else own
        for own, theirs, proxy, esp in zip(found, given, proxies, esps, strict=True)
    ]


def _device(agent: str, system: str | None) -> str | None:
    if system in _DESKTOPS:
        return DESKTOP
    if system in _TABLETS or "iPad" in agent:
        return TABLET
    if system in _PHONES:
        return PHONE
    if system == "Android":
        # Google: browsers of phones say "Mobile", those of tablets do not. Apps and mail clients
        # do not follow that, and are nearly all on phones; televisions are neither.
        if "TV" in agent:
            return None
        browser = agent.startswith("Mozilla/") and "Mobile" not in agent
        return TABLET if browser else PHONE
    return None
