"""Text that a terminal would obey, or that looks like other text, is shown as escapes."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

import msgspec
import pytest

from pepi_stream.errors import FatalError, message_of
from pepi_stream.events import MAX_REASON, DeadLetter
from pepi_stream.printable import printable

# Signs that Unicode calls formats, and that are seen.
SEEN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}


def characters(*categories: str) -> Iterator[str]:
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)) in categories and point not in SEEN:
            yield chr(point)


def test_no_control_format_or_surrogate_is_left_in_any_of_unicode() -> None:
    raw = [c for c in characters("Cc", "Cf", "Cs", "Zl", "Zp") if printable(c) == c]
    assert raw == []


def test_what_can_be_read_stays_as_it_is() -> None:
    read = "".join(characters("Ll", "Lu", "Nd", "Po", "Sc", "So", "Zs"))
    assert printable(read) == read
    assert (
        printable("a \u2764\ufe0f b\u0301 \u4e2d \u0645") == "a \u2764\ufe0f b\u0301 \u4e2d \u0645"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x9b0m\x7f", r"\x1b[2J\x9b0m\x7f"),
        ("a\nCRITICAL forged\r\t\0", r"a\nCRITICAL forged\r\t\x00"),
        ("\u202egpj.exe\u2066\u200b\ufeff\u2028", r"\u202egpj.exe\u2066\u200b\ufeff\u2028"),
        ("\ud800\U000e0041\u3164", r"\ud800\U000e0041\u3164"),
    ],
)
def test_escapes_are_those_of_python(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_a_dead_letters_reason_is_made_printable_and_cut_wherever_it_was_made() -> None:
    letter = DeadLetter(0, None, b"", "field \x1b]0;owned\x07")
    assert letter.reason == r"field \x1b]0;owned\x07"
    changed = msgspec.structs.replace(letter, position=1)
    assert changed.reason == letter.reason
    assert len(DeadLetter(0, None, b"", "\U000e0041" * MAX_REASON).reason) == MAX_REASON


def chained(cause: BaseException) -> Exception:
    outer = Exception("PLANTED")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (ValueError("PLANTED"), "ValueError"),
        (KeyError("PLANTED"), "KeyError"),
        (OSError("PLANTED"), "OSError"),
        (ConnectionRefusedError(111, "PLANTED"), "Connection refused"),
        (chained(ConnectionRefusedError(111, "PLANTED")), "Connection refused"),
        (TimeoutError("PLANTED"), "no answer in time"),
        (ModuleNotFoundError("No module named 'x'"), "ModuleNotFoundError: No module named 'x'"),
        (FatalError("ours"), "ours"),
    ],
)
def test_an_exception_of_a_library_is_named_and_not_quoted(exc: BaseException, words: str) -> None:
    assert message_of(exc) == words
