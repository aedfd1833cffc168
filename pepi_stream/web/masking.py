"""E-mail addresses are masked in all that leaves: ``john@example.com`` is ``j•••@example.com``.

Whatever stands before an at-sign, back to a space, quote, angle or square bracket, comma, colon or
semicolon, is taken for a local part (RFC 5321, more or less) and keeps its first letter or digit,
and the punctuation before that. It is better to mask too much: ``email=john@example.com`` becomes
``e•••@example.com``. An at-sign may be percent-encoded or JSON-escaped, more than once; it may be
an entity of HTML, the fullwidth or the small one, and, before a domain, quoted-printable.
What was cut off where it is stored may have lost its at-sign: its end is masked.
All of it takes time linear in the text.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final

from pepi_stream.events import MAX_REASON
from pepi_stream.windows import MAX_DIMENSION

FILLER: Final = "•••"
_FILLER_AS_LATIN_1: Final = FILLER.encode().decode("latin-1")

_AT = re.compile(
    r"""(
    @|\uff20|\ufe6b  # itself, fullwidth, small
    |\xef(?:\xbc\xa0|\xb9\xab)  # those two in UTF-8 that is read as Latin-1
    |%(?:25)*(?:40|EF%(?:25)*BC%(?:25)*A0|EF%(?:25)*B9%(?:25)*AB)
    |\\(?:u(?:0040|ff20|fe6b)|u\{0*(?:40|ff20|fe6b)\}|U0000(?:0040|ff20|fe6b))
    |\\x(?:40|ef\\+x(?:bc\\+xa0|b9\\+xab))
    |&(?:amp;)*(?:\#0*(?:64|65312|65131)|\#x0*(?:40|ff20|fe6b)|commat);?
    |=(?:3D)*(?:40|EF=(?:3D)*BC=(?:3D)*A0|EF=(?:3D)*B9=(?:3D)*AB)(?=[\w-]+\.\w)  # not n=40
    |\\100(?=[\w-]+\.\w)  # octal
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# Of text that is read backwards, from an at-sign on; a regex that looks for the end of a run would
# try every start. White space of ASCII only: in bytes read as Latin-1, NBSP is half a character.
# A semicolon that ends an entity (&#111; &amp; &amp;quot;) ends no local part: it may be of it.
_LOCAL_BACKWARDS = re.compile(r'(?:[^ \t\n\r\f\v"<>\[\],;:]|;[0-9A-Za-z]{1,32}#?(?:;pma)*&)*')
_LETTER = re.compile(r"[^\W_]")

_NAMES_AT_ONCE: Final = 50_000


def mask_text(text: str, filler: str = FILLER) -> str:
    """Return the text with every e-mail address masked; the text itself if it has none."""
    parts = _AT.split(text)
    if len(parts) == 1:
        return text
    # Text, at-sign, text, at-sign, ..., text. The last one stands before no at-sign.
    for i in range(0, len(parts) - 1, 2):
        parts[i] = _mask_end(parts[i], filler)
    return "".join(parts)


def _mask_end(text: str, filler: str) -> str:
    """Mask the local part that a text ends in."""
    if text.endswith('"'):  # "john doe"@example.com
        start, end = _opening_quote(text) + 1, len(text) - 1
    else:
        found = _LOCAL_BACKWARDS.match(text[::-1])
        start, end = len(text) - (found.end() if found else 0), len(text)
    if start == end:
        return text
    letter = _LETTER.search(text, start, end)
    shown = text[: letter.end()] if letter else text[:start]
    return f"{shown}{filler}{text[end:]}"


def _opening_quote(text: str) -> int:
    r"""Return where the quotes begin that a text ends with; -1 when nowhere.

    A quote inside, ``"john\"doe"``, has more backslashes before it than the one at the end.
    """
    at = len(text) - 1
    most = _backslashes(text, at)
    while (at := text.rfind('"', 0, at)) >= 0 and _backslashes(text, at) > most:
        pass
    return at


def _backslashes(text: str, end: int) -> int:
    """Return how many stand right before a place."""
    start = end
    while start and text[start - 1] == "\\":
        start -= 1
    return end - start


def mask_payload(payload: str, *, is_hex: bool, truncated: bool) -> str:
    """Return a dead letter's payload with every address masked.

    Args:
        payload: text, or hex digits of bytes that are none.
        is_hex: which of the two it is.
        truncated: whether its end was cut off, maybe in the middle of an address.
    """
    if not is_hex:
        return _mask_cut(payload) if truncated else mask_text(payload)
    whole = payload[: len(payload) // 2 * 2]
    text = bytes.fromhex(whole).decode("latin-1")
    mask = _mask_cut if truncated else mask_text
    masked = mask(text, _FILLER_AS_LATIN_1)
    return whole if masked == text else masked.encode("latin-1").hex()


def _mask_cut(text: str, filler: str = FILLER) -> str:
    return mask_text(text + "@", filler)[:-1]


class Masker:
    """Masks what the page shows, and keeps apart what was apart.

    John's and Jane's rows of a window by recipient would both be ``j•••@example.com``'s; the
    second to come is therefore called ``j•••@example.com (2)``, for as long as this object
    remembers it.

    Args:
        show: mask nothing.
    """

    def __init__(self, *, show: bool = False) -> None:
        self._show = show
        self._names: dict[str, str] = {}
        self._namesakes: dict[str, int] = {}
        self._masked = functools.lru_cache(maxsize=_NAMES_AT_ONCE)(self._name)

    @property
    def full(self) -> bool:
        """Whether there are so many names that it is time to :meth:`forget`."""
        return len(self._names) >= _NAMES_AT_ONCE

    def forget(self) -> None:
        """Forget all names; what was masked so far may now be called something else."""
        self._names.clear()
        self._namesakes.clear()
        self._masked.cache_clear()

    def mask(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of a snapshot or of changes that may leave."""
        if self._show:
            return dict(data)
        masked = {key: _walk(value) for key, value in data.items() if key not in _OF_NAMES}
        if "windows" in data:
            masked["windows"] = {
                name: self._window(window) for name, window in data["windows"].items()
            }
        if "series" in data:
            masked["series"] = self._series(data["series"])
        return masked

    def mask_dead_letter(self, letter: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of a dead letter that may leave."""
        if self._show:
            return dict(letter)
        masked: dict[str, Any] = _walk({k: v for k, v in letter.items() if k != "payload"})
        if isinstance(letter.get("payload"), str):
            masked["payload"] = mask_payload(
                letter["payload"],
                is_hex=letter.get("encoding") == "hex",
                truncated=bool(letter.get("truncated")),
            )
        return masked

    def _window(self, window: dict[str, Any]) -> dict[str, Any]:
        masked = {key: _walk(value) for key, value in window.items() if key != "rows"}
        if "rows" in window:
            name = self._masked
            masked["rows"] = [[start, [name(d) for d in by], n] for start, by, n in window["rows"]]
        return masked

    def _series(self, series: dict[str, Any]) -> dict[str, Any]:
        masked = {key: _walk(value) for key, value in series.items() if key != "points"}
        if "points" in series:
            name = self._masked
            masked["points"] = [
                [start, {name(event): n for event, n in counts.items()}]
                for start, counts in series["points"]
            ]
        return masked

    def _name(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        masked = _mask_cut(value) if len(value) >= MAX_DIMENSION else mask_text(value)
        if masked == value:
            return value
        known = self._names.get(value)
        if known is None:
            count = self._namesakes[masked] = self._namesakes.get(masked, 0) + 1
            known = self._names[value] = masked if count == 1 else f"{masked} ({count})"
        return known


def _mask_reason(value: Any) -> Any:
    return _mask_cut(value) if isinstance(value, str) and len(value) >= MAX_REASON else _walk(value)


_OF_NAMES: Final = ("windows", "series")


def _walk(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {
            mask_text(str(key)): _mask_reason(inner) if key == "reason" else _walk(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_walk(inner) for inner in value]
    return value
