"""The text of the sink's statements, and how they are cut to the packet."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, first_claim_key, new_claim_id
from pepi_stream.events import DeadLetter, WindowKey
from pepi_stream.settings import WindowSettings
from pepi_stream.sink import statements
from pepi_stream.windows import Window

ID = "0190163d-8694-739b-aea5-966c26f8ad91"
HEX = ID.replace("-", "")
PACKET = statements.PACKET_RESERVE + 100


def claim(payloads: int = 1, claim_id: str = ID) -> Claim:
    return Claim(claim_id, [b"x"] * payloads, delivery=1, received_at=1)


def letter(payload: bytes, position: int = 0, element: int | None = None) -> DeadLetter:
    return DeadLetter(position, element, payload, "it's bad")


def test_the_ledger_takes_id_count_digest_and_version() -> None:
    one, two = claim(3), claim(1, new_claim_id(5))
    assert statements.insert_ledger("pepi_claim", [one, two]).decode() == (
        "INSERT INTO `pepi_claim` (`claim_id`, `payloads`, `digest`, `version`) VALUES "
        f"(X'{HEX}',3,X'{one.digest.hex()}',1),(X'{two.key.hex()}',1,X'{two.digest.hex()}',1)"
    )
    assert statements.select_ledger("pepi_claim", [one, two]) == (
        "SELECT `claim_id`, `payloads`, `digest`, `version` FROM `pepi_claim` "
        f"WHERE `claim_id` IN (X'{HEX}',X'{two.key.hex()}')"
    )


def test_the_ledger_is_pruned_oldest_first_and_in_chunks() -> None:
    sql = statements.prune_ledger("pepi_claim", first_claim_key(0x0190163D8694), 30, 1000).decode()
    assert sql == (
        f"DELETE FROM `pepi_claim` WHERE `claim_id` < X'0190163d8694{'0' * 20}' "
        "AND `committed_at` < CURRENT_TIMESTAMP(3) - INTERVAL 30 DAY "
        "ORDER BY `claim_id` LIMIT 1000"
    )


def test_rows_follow_one_head() -> None:
    head = statements.insert_head("pepi_event", ["id", "event_name"])
    assert head == "INSERT INTO `pepi_event` (`id`, `event_name`) VALUES "
    assert statements.insert_rows(head, ["1,'é'", "2,NULL"]) == (
        head.encode() + "(1,'é'),(2,NULL)".encode()
    )
    with pytest.raises(UnicodeEncodeError):
        statements.insert_rows(head, ["1,'\ud800'"])


@given(rows=st.lists(st.text(max_size=30), min_size=1), room=st.integers(1, 400), data=st.data())
def test_rows_are_cut_to_the_room(rows: list[str], room: int, data: st.DataObject) -> None:
    cut = statements.RowCut(rows, room)
    first = data.draw(st.integers(0, len(rows) - 1))
    stop = data.draw(st.integers(first + 1, len(rows)))
    found = cut.stop(first, stop)
    size = [len(statements.insert_rows("", rows[first:end])) for end in range(first + 1, stop + 1)]
    assert first < found <= stop
    assert size[found - first - 1] <= room or found == first + 1
    if found < stop:  # no room for one more row but for the bytes around it
        assert size[found - first] > room - 3


def test_a_row_that_is_no_unicode_can_be_measured() -> None:
    assert statements.RowCut(["\ud800" * 50, "b"], 100).stop(0, 2) == 1


dead = partial(statements.insert_dead, "pepi_dead_letter")


def test_a_dead_letter_has_all_that_is_known_of_it() -> None:
    [sql] = statements.insert_dead(
        "pepi_dead_letter", [(claim(), "it's", letter(b"\x00'\\", 7, 2))], 1 << 20
    )
    assert sql == (
        b"INSERT INTO `pepi_dead_letter` "
        b"(`claim_id`, `position`, `element`, `part`, `reason`, `format`, `payload`) VALUES "
        b"(X'" + HEX.encode() + b"',7,2,0,'it\\'s bad','it\\'s',_binary'\x00\\'\\\\')"
    )
    [whole] = dead([(claim(), "f", letter(b"", 7))], 1 << 20)
    assert whole.endswith(b"',7,NULL,0,'it\\'s bad','f',_binary'')")


def test_no_dead_letters_make_no_statement() -> None:
    assert list(dead([], PACKET)) == []


def test_a_reason_that_is_no_unicode_is_still_kept() -> None:
    odd = DeadLetter(0, None, b"x", "\ud800'")
    [sql] = dead([(claim(), "f", odd)], PACKET)
    assert b",'\\\\ud800\\'','f'," in sql


ROW = re.compile(
    rb"\(X'[0-9a-f]{32}',(\d+),NULL,(\d+),'it\\'s bad','f',_binary'((?:[^'\\]|\\.)*)'\)", re.S
)


@given(payloads=st.lists(st.binary(min_size=40, max_size=400) | st.binary(max_size=20), max_size=8))
def test_dead_letters_are_cut_to_the_packet_and_nothing_is_lost(payloads: list[bytes]) -> None:
    letters = [(claim(), "f", letter(payload, n)) for n, payload in enumerate(payloads)]
    found: dict[int, list[bytes]] = {}
    for sql in dead(letters, PACKET):
        assert len(sql) < PACKET
        for position, part, escaped in ROW.findall(sql):
            parts = found.setdefault(int(position), [])
            assert int(part) == len(parts)
            parts.append(re.sub(rb"\\(.)", rb"\1", escaped, flags=re.S))
    assert {n: b"".join(parts) for n, parts in found.items()} == dict(enumerate(payloads))


def test_a_payload_of_what_must_be_escaped_fits_as_well() -> None:
    for sql in statements.insert_dead(
        "pepi_dead_letter", [(claim(), "f", letter(b"'" * 5000))], PACKET
    ):
        assert len(sql) < PACKET


def upserts(counts: Counter[WindowKey], packet: int = 1 << 20) -> list[str]:
    window = Window("minute", WindowSettings(seconds=60, by=("event_name", "campaign")))
    return [
        sql.decode()
        for sql in statements.upsert_window("pepi_window_minute", window, counts, packet)
    ]


def test_windows_are_added_to_what_is_there() -> None:
    key = WindowKey(86_400, ("sent", "it's"))
    assert upserts(Counter({key: 3})) == [
        "INSERT INTO `pepi_window_minute` "
        "(`window_start`, `dimensions`, `event_name`, `campaign`, `n`) VALUES "
        f"('1970-01-02 00:00:00',X'{key.hash().hex()}','sent','it\\'s',3) "
        "ON DUPLICATE KEY UPDATE `n` = `n` + VALUES(`n`)"
    ]
    assert upserts(Counter()) == []


def test_windows_are_locked_in_the_same_order_by_everybody() -> None:
    keys = [WindowKey(start, (name, "")) for start in (120, 0, 60) for name in "cab"]
    one = upserts(Counter(dict.fromkeys(keys, 1)))
    other = upserts(Counter(dict.fromkeys(reversed(keys), 1)))
    assert one == other
    rows = re.findall(r"\('([^']+)',X'(\w+)'", one[0])
    assert rows == sorted(rows)
    assert len(rows) == 9


def test_windows_are_cut_to_the_packet() -> None:
    counts = Counter({WindowKey(0, ("😀" * 40, str(n))): n + 1 for n in range(50)})
    sent = upserts(counts, PACKET)
    assert len(sent) > 1
    assert max(len(sql.encode()) for sql in sent) < PACKET
    numbers = [int(n) for sql in sent for n in re.findall(r",(\d+)\)", sql)]
    assert sorted(numbers) == list(range(1, 51))


def test_the_longest_row_of_a_window_fits_any_sane_packet() -> None:
    key = WindowKey(0, ("'" * 255, "😀" * 255))
    [sql] = upserts(Counter({key: 1}), 16_384)
    assert len(sql.encode()) < 16_384


def test_the_last_second_of_9999_is_a_window() -> None:
    [sql] = upserts(Counter({WindowKey(253_402_300_740, ("a", "b")): 1}))
    assert "('9999-12-31 23:59:00'," in sql
