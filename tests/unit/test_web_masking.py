"""Masking: no local part gets out, in any spelling, in linear time; what was apart stays apart."""

from __future__ import annotations

import json
import string
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.events import MAX_REASON
from pepi_stream.web.masking import Masker, mask_payload, mask_text
from pepi_stream.windows import MAX_DIMENSION

ATEXT = string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~.éü例"
LOCALS = st.text(ATEXT, min_size=2, max_size=64).map(lambda local: "x" + local + "z")
DOMAINS = st.from_regex(r"[a-z]{1,9}(\.[a-z]{2,5}){0,2}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("john@example.com", "j•••@example.com"),
        ("j@example.com", "j•••@example.com"),
        ("to: John.Doe+tag@example.com, ok", "to: J•••@example.com, ok"),
        ("<a@b.c>,<d@e.f>;mailto:g@h", "<a•••@b.c>,<d•••@e.f>;mailto:g•••@h"),
        ("o'brien@x.ie", "o•••@x.ie"),
        ("'john@x.ie'", "'j•••@x.ie'"),
        ('"john doe"@x.ie', '"j•••"@x.ie'),
        ('"john@home"@x.ie', '"j•••@h•••"@x.ie'),
        ('{\\"e\\": \\"john@x.ie\\"}', '{\\"e\\": \\"j•••@x.ie\\"}'),
        ("john%40example.com", "j•••%40example.com"),
        ("john%2540example.com", "j•••%2540example.com"),
        ("john\\u0040example.com", "j•••\\u0040example.com"),
        ("john\\\\u0040example.com", "j•••\\u0040example.com"),
        ("john\\x40example.com", "j•••\\x40example.com"),
        ("to=john=40example.com=0A", "t•••=40example.com=0A"),
        ("john=3D40example.com", "j•••=3D40example.com"),
        ("?w=40&h=40.5&x=40", "?w=40&h=40.5&x=40"),
        ("john&#64;example.com", "j•••&#64;example.com"),
        ("john&#064;example.com", "j•••&#064;example.com"),
        ("john&#x40;example.com", "j•••&#x40;example.com"),
        ("john&#X40;example.com", "j•••&#X40;example.com"),
        ("john&amp;#64;example.com", "j•••&amp;#64;example.com"),
        ("&quot;johndoe&quot;@x.ie", "&q•••@x.ie"),
        ("&amp;quot;johndoe&amp;quot;@x.ie", "&a•••@x.ie"),
        ("mail john&amp;doe@x.ie now", "mail j•••@x.ie now"),
        ("johndoe&nbsp;@x.ie", "j•••@x.ie"),
        ("ok; john@x.ie; ok", "ok; j•••@x.ie; ok"),
        ('"john\\"doe"@x.ie', '"j•••"@x.ie'),
        ('a="b", "john\\"s \\"doe"@x.ie', 'a="b", "j•••"@x.ie'),
        ('{"e":"\\"john doe\\"@x.ie"}', '{"e":"\\"j•••"@x.ie"}'),
        ("john&#xff20;x.ie", "j•••&#xff20;x.ie"),
        ("john&#65312;x.ie", "j•••&#65312;x.ie"),
        ("john\\u{ff20}x.ie", "j•••\\u{ff20}x.ie"),
        ("john\\U0000FF20x.ie", "j•••\\U0000FF20x.ie"),
        ("john=EF=B9=ABx.ie", "j•••=EF=B9=ABx.ie"),
        ("john\\xef\\xbc\\xa0x.ie", "j•••\\xef\\xbc\\xa0x.ie"),
        ("john\\100x.ie", "j•••\\100x.ie"),
        ("john&commat;example.com", "j•••&commat;example.com"),
        ("j&#111;hn@x.ie", "j•••@x.ie"),
        ("j&#x6F;hn&#64;x.ie", "j•••&#64;x.ie"),
        ("john\uff20example.com", "j•••\uff20example.com"),
        ("john\ufe6bexample.com", "j•••\ufe6bexample.com"),
        ("john%EF%BC%A0example.com", "j•••%EF%BC%A0example.com"),
        ("john%ef%bc%a0example.com", "j•••%ef%bc%a0example.com"),
        ("john\\uFF20example.com", "j•••\\uFF20example.com"),
        ("j\\u00fcrgen@x.de", "j•••@x.de"),
        ("bounce+john=example.com@x.de", "b•••@x.de"),
        ("john@[192.0.2.1]", "j•••@[192.0.2.1]"),
        ("jörg@müller.de", "j•••@müller.de"),
        ("übel@x.de", "ü•••@x.de"),
        ("a@b@c@d", "a•••@b•••@c•••@d"),
        ("j\0o\0h\0n\0@\0x", "j•••@\0x"),
        ("@handle", "@handle"),
        ("_@x", "•••@x"),
        ("no address, 40 of them", "no address, 40 of them"),
        ("", ""),
    ],
)
def test_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "at",
    [
        "@",
        "%40",
        "\\u0040",
        "%2540",
        "\\\\u0040",
        "&#64;",
        "&#x40;",
        "&commat;",
        "\\x40",
        "\uff20",
        "\ufe6b",
    ],
)
@given(local=LOCALS, domain=DOMAINS, before=st.sampled_from(["", "<", "to: ", '{"e":"', "a,", "'"]))
def test_nothing_but_the_first_letter_of_a_local_part_remains(
    at: str, local: str, domain: str, before: str
) -> None:
    masked = mask_text(f"{before}{local}{at}{domain}")
    assert masked == f"{before}x•••{at.replace(chr(92) * 2, chr(92))}{domain}"


@given(local=LOCALS, domain=DOMAINS)
def test_nor_of_an_encoded_one(local: str, domain: str) -> None:
    for text in (quote(f"{local}@{domain}", safe=""), json.dumps(f"{local}@{domain}")):
        masked = mask_text(text).strip('"')
        assert masked.startswith("x•••")
        assert masked.endswith(domain)
        assert len(masked) <= len(f"x•••%40{domain}")


@given(st.text())
def test_any_text_twice_is_the_same_as_once(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once
    if not set(text) & set("@40\uff20\ufe6b6"):
        assert once is text


@given(st.text(st.sampled_from('ab@"\\ %40u.,<>[]'), max_size=60))
def test_every_at_sign_stays_where_it_is(text: str) -> None:
    masked = mask_text(text)
    assert masked.count("@") == text.count("@")
    assert masked.rpartition("@")[2] == text.rpartition("@")[2] or "40" in text


@pytest.mark.parametrize(
    "piece",
    [
        "a@",
        "a",
        "a ",
        '"',
        '"a',
        '"@',
        "%25",
        "%2525",
        "\\",
        "\\u0040",
        "@",
        "a%40",
        " a@",
        '"a"@',
        "=40",
        "=3D",
        "=3D40",
        "&amp;",
        "&#",
        "&#111;",
        ";pma",
        "&amp;quot;",
        '\\"',
        "%EF",
        "\uff20",
    ],
)
@pytest.mark.parametrize("end", ["", '"@'])
def test_a_megabyte_takes_no_time(piece: str, end: str) -> None:
    text = piece * (2**20 // len(piece)) + end
    start = time.process_time()
    mask_text(text)
    assert time.process_time() - start < 2.0


# --- payloads


def test_bytes_are_masked_by_the_same_rule() -> None:
    raw = b"\xff\xfe to=voil\xc3\xa0.john@x.ie \x00"
    masked = bytes.fromhex(mask_payload(raw.hex(), is_hex=True, truncated=False))
    assert masked == b"\xff\xfe t" + "•••@x.ie".encode() + b" \x00"
    assert mask_payload("ff00", is_hex=True, truncated=False) == "ff00"


def test_an_address_that_was_cut_off_is_masked_up_to_the_cut() -> None:
    assert mask_payload("a b john.d", is_hex=False, truncated=True) == "a b j•••"
    assert mask_payload("a b john.d", is_hex=False, truncated=False) == "a b john.d"
    cut = b"\xff john.d".hex() + "6"  # half a byte
    assert bytes.fromhex(mask_payload(cut, is_hex=True, truncated=True)).decode("latin-1") == (
        "\xff j" + "•••".encode().decode("latin-1")
    )


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_stay_bytes(raw: bytes, truncated: bool) -> None:
    masked = bytes.fromhex(mask_payload(raw.hex(), is_hex=True, truncated=truncated))
    if b"@" not in raw and b"40" not in raw and not truncated:
        assert masked == raw


# --- snapshots and changes


def window(*recipients: str) -> dict[str, Any]:
    rows = [[60, ["sent", recipient], n] for n, recipient in enumerate(recipients)]
    return {"windows": {"minute": {"floor": 0, "by": ["event_name", "recipient"], "rows": rows}}}


def names(data: dict[str, Any]) -> list[str]:
    return [by[1] for _, by, _ in data["windows"]["minute"]["rows"]]


def test_people_who_look_alike_are_kept_apart_for_as_long_as_it_lasts() -> None:
    masker = Masker()
    first = masker.mask(window("john@a.b", "jane@a.b", "", "Gmail", "jim@c.d"))
    assert names(first) == ["j•••@a.b", "j•••@a.b (2)", "", "Gmail", "j•••@c.d"]
    assert names(masker.mask(window("jane@a.b", "joe@a.b", "john@a.b"))) == [
        "j•••@a.b (2)",
        "j•••@a.b (3)",
        "j•••@a.b",
    ]
    masker.forget()
    assert names(masker.mask(window("jane@a.b"))) == ["j•••@a.b"]


def test_when_there_are_very_many_names_they_are_to_be_forgotten() -> None:
    masker = Masker()
    seen = []
    masker.mask(window(*(f"j{i}@a.b" for i in range(49_999))))
    seen.append(masker.full)
    masker.mask(window("last@a.b"))
    seen.append(masker.full)
    masker.forget()
    seen.append(masker.full)
    assert seen == [False, True, False]


def test_all_that_leaves_is_masked_and_the_original_stays() -> None:
    data = window("john@a.b") | {
        "series": {"window": "m", "points": [[60, {"to bob@a.b": 1, "to bill@a.b": 2}]]},
        "dead": [{"seq": 1, "reason": "bad bob@a.b"}],
        "workers": [{"id": "root@mail1:4711", "rate": 1.5}],
        "health": {"words": "for bob@a.b"},
        "new": {"bob@a.b": ("bob@a.b", None, True)},
    }
    before = json.dumps(data)
    masked = Masker().mask(data)
    assert json.dumps(data) == before
    assert masked["series"]["points"] == [[60, {"to b•••@a.b": 1, "to b•••@a.b (2)": 2}]]
    assert masked["dead"] == [{"seq": 1, "reason": "bad b•••@a.b"}]
    assert masked["new"] == {"b•••@a.b": ["b•••@a.b", None, True]}
    assert "bob@" not in json.dumps(masked)
    assert Masker(show=True).mask(data) == data


@pytest.mark.parametrize(
    ("end", "masked"),
    [("john.doe@ex", "j•••@e•••"), ("john.doe@", "j•••@"), ("john.d", "j•••"), ("it ", "it ")],
)
def test_what_was_cut_off_where_it_is_stored_is_masked_up_to_the_cut(end: str, masked: str) -> None:
    start = "x" * (MAX_REASON - len(end) - 1) + " "
    letter = {"seq": 1, "reason": start + end}
    assert Masker().mask({"dead": [letter]})["dead"] == [letter | {"reason": start + masked}]
    assert Masker().mask_dead_letter(letter)["reason"] == start + masked
    start = start[-MAX_DIMENSION + len(end) :]
    assert names(Masker().mask(window(start + end))) == [start + masked]


def test_what_is_whole_is_shown_whole() -> None:
    reason, name = "x " * (MAX_REASON // 2 - 1) + "y", "x " * (MAX_DIMENSION // 2 - 1) + "yz"
    masker = Masker()
    assert masker.mask_dead_letter({"reason": reason}) == {"reason": reason}
    assert names(masker.mask(window(name))) == [name]


def test_parts_that_did_not_change_may_be_missing() -> None:
    data = {"windows": {"hour": {"floor": 3}}, "series": {}, "figures": {}}
    assert Masker().mask(data) == data
