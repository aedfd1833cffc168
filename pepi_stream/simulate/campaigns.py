"""Simulated campaigns: several run side by side, each with its own name, size and audience."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pepi_stream.simulate.audience import AUDIENCE_SIZE

SLOT_SHARES: Final = (400, 250, 150, 120, 65, 15)
"""Share of the sends, in 1,000, of each campaign that runs at one time.

The last one is always a small campaign whose name has an apostrophe or letters beyond ASCII: a
fixed share keeps such names present in short runs and a minority in long ones.
"""

_THEMES: Final = (
    "Weekly Digest", "Flash Sale", "Cart Reminder", "Order Update", "New Arrivals", "Win Back",
    "Loyalty Points", "Product News", "Travel Deals", "Account Statement", "Season Preview",
    "Welcome Series", "Price Drop", "Survey", "Webinar Invite", "App Launch",
)  # fmt: skip
_RARE_NAMES: Final = (
    "Mother's Day", "Été 2026", "Diwali दीपावली", "New Year's Eve", "Frühlingsangebote",
    "Valentine's Gifts", "Rentrée à prix réduit", "夏のセール", "Editor's Picks",
    "Promoção de verão",
)  # fmt: skip
_PATHS: Final = ("", "offers", "offers/top-10", "product/{code}", "account", "help", "blog/latest")


class Campaign:
    """One mailing: who sends what to whom, and how far it has got.

    Attributes:
        name: the tag that readers group by.
        sender: from-address.
        api_header: the sender's own reference.
        message_bytes: size of the message in bytes.
        links: URLs in the message; the first is the most clicked.
        next_person: number of the next person to write to, see ``audience.person``.
        left: messages still to send.
    """

    __slots__ = ("api_header", "left", "links", "message_bytes", "name", "next_person", "sender")

    def __init__(
        self, *, name: str, code: str, brand: str, size: int, first: int, kib: int
    ) -> None:
        """Set up a campaign of ``size`` messages of about ``kib`` KiB from person ``first`` on."""
        self.name = name
        self.sender = f"news@{brand}.example"
        self.api_header = code
        self.message_bytes = kib * 1024 + 224
        self.links = tuple(
            f"https://www.{brand}.example/{path.format(code=code)}?utm_campaign={code}"
            for path in _PATHS
        )
        self.next_person = first
        self.left = size


def campaigns(draw: Callable[[], float], *, rare: bool) -> Iterator[Campaign]:
    """Yield campaigns for one slot without end.

    Args:
        draw: a source of floats in [0, 1), taken when a campaign starts.
        rare: yield the small campaigns with unusual names; otherwise the ordinary ones, of 2,000 to
            66,000 messages, small ones more often than large.
    """
    while True:
        serial = int(draw() * 1_000_000)
        if rare:
            name = _RARE_NAMES[serial % len(_RARE_NAMES)]
            size = 200 + int(draw() * 1_000)
        else:
            # 16 themes and 52 weeks: many names, yet a bounded number of rows in a window table.
            name = f"{_THEMES[serial % 16]} W{1 + serial // 16 % 52:02d}"
            chance = draw()
            # Multiplied out: `**` may round differently between C libraries.
            size = 2_000 + int(chance * chance * chance * 64_000)
        yield Campaign(
            name=name,
            code=f"cmp-{serial:06d}",
            brand=("shop", "travel", "bank", "media")[serial % 4],
            size=size,
            first=int(draw() * AUDIENCE_SIZE),
            kib=6 + int(draw() * 90),
        )
