"""One word for each client, system and device, whoever tells."""

from __future__ import annotations

import pytest

from pepi_stream.enrich.user_agent import PROXIES
from pepi_stream.formats import readers
from pepi_stream.formats.readers import NOBODY, Reader, reader


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (("Chrome", "OS X 10", "WebMail"), ("Chrome", "Mac OS X", None)),
        (("Chrome", "macOS", "desktop"), ("Chrome", "Mac OS X", "desktop")),
        (("Apple Mail", "Mac OS X", "Desktop"), ("Apple Mail", "Mac OS X", "desktop")),
        (("Mobile Safari", "iPhone OS", "mobile"), ("Mobile Safari", "iOS", "phone")),
        (("Outlook", "Windows 10", "Mobile"), ("Outlook", "Windows", "phone")),
        (("IE Mobile", "Windows Phone 8", "Phone"), ("IE Mobile", "Windows Phone", "phone")),
        (("x", "Android 14", "tablet"), ("x", "Android", "tablet")),
        (("x", "Ubuntu", "other"), ("x", "Ubuntu", None)),
        (("Unknown", "unknown", "Unknown"), (None, None, None)),
        (("Other", "", None), (None, None, None)),
        (("GmailImageProxy", "Windows", "desktop"), ("GoogleImageProxy", None, None)),
        (("YahooMailProxy", "Windows", "desktop"), ("YahooMailProxy", None, None)),
        (("c" * 70, "o" * 70, None), ("c" * 64, "o" * 64, None)),
    ],
)
def test_the_words_of_providers(
    told: tuple[str | None, str | None, str | None],
    wanted: tuple[str | None, str | None, str | None],
) -> None:
    assert reader(*told) == Reader(*wanted)


def test_long_names_are_cut_before_they_are_remembered() -> None:
    readers._reader.cache_clear()
    for _ in range(3):
        assert reader("c" * 64 + "x" * 100_000, "o" * 64 + "y" * 9, "d" * 64)[:2] == (
            "c" * 64,
            "o" * 64,
        )
        assert reader("c" * 64, "o" * 64, "d" * 64 + "z").device is None
    assert readers._reader.cache_info().currsize == 1


def test_proxies_have_the_names_that_the_enricher_gives_them() -> None:
    for theirs, ours in PROXIES.items():
        assert reader(theirs, "Windows", "desktop") == Reader(ours, None, None)
        assert reader(ours, None) == Reader(ours, None, None)
    assert reader(None, None) == NOBODY
