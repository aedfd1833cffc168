"""Dead letters are said: once a minute and reason, all of them, and nothing of what they hold."""

from __future__ import annotations

import pytest

from pepi_stream.monitor import DeadLetterLog, shown_reason

LONG = "MySQL error 1406: Data too long for column 'campaign' at row {}"


def test_the_first_is_said_at_once_and_the_others_once_a_minute() -> None:
    log = DeadLetterLog("pepi_dead_letter")
    log.note([LONG.format(7)], 1000)
    assert list(log.due(0.0)) == [
        "1 of 1000 events became dead letters, which pepi_dead_letter keeps: "
        "MySQL error 1406: Data too long for column 'campaign'"
    ]
    for second in range(1, 60):
        log.note([LONG.format(second)] * 2, 100)
        assert list(log.due(float(second))) == []
    log.note([], 100)
    [line] = log.due(60.0)
    assert line.startswith("118 of 6000 events became dead letters")
    assert list(log.due(500.0)) == []


def test_reasons_are_told_apart_and_what_was_not_said_is_said_at_the_end() -> None:
    log = DeadLetterLog("t")
    log.note(["EVENT is missing", "not JSON"], 10)
    assert len(list(log.due(0.0))) == 2
    log.note(["not JSON"], 5)
    assert list(log.due(1.0)) == []
    assert list(log.rest()) == ["1 of 5 events became dead letters, which t keeps: not JSON"]
    assert list(log.rest()) == []


def test_memory_is_bounded_and_nothing_is_left_out() -> None:
    log = DeadLetterLog("t")
    reasons = [f"reason {'a' * (n % 200)}{chr(97 + n // 200)}" for n in range(1000)]
    log.note(reasons, 1000)
    lines = list(log.due(0.0))
    assert len(lines) <= 101
    assert sum(int(line.split()[0]) for line in lines) == 1000
    assert any("too many to tell apart" in line for line in lines)


def test_reasons_that_are_over_make_room_for_new_ones() -> None:
    log = DeadLetterLog("t")
    log.note([f"reason {'a' * n}" for n in range(200)], 200)
    assert len(list(log.due(0.0))) == 101
    assert list(log.due(60.0)) == []
    log.note(["a new one"], 4)
    assert list(log.due(61.0)) == ["1 of 4 events became dead letters, which t keeps: a new one"]


@pytest.mark.parametrize(
    "reason",
    [
        "ValueError: bad name: 'ann of the long reason that was cut",
        'bad name: "ann of the long reason',
        "no event: {ann: 1",
        "no event: [ann, 1]",
        "no event: b'ann, 1'",
        "field 'EVENT' is 'ann or so' in \"TAGS\" of \"ann, 1\"",
        "unknown ann%40example.com",
        "unknown ann=40example.com",
        "unknown ann\uff20example.com",
        "of 'ann and more': MySQL error 1406: Data too long for column 'c' at row 1",
    ],
)
def test_nothing_of_a_record_is_shown_however_it_is_quoted(reason: str) -> None:
    assert "ann" not in shown_reason(reason)


def test_an_apostrophe_is_no_quote() -> None:
    assert shown_reason("it isn't an event, nor a provider's") == (
        "it isn't an event, nor a provider's"
    )


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (
            "MySQL error 1366: Incorrect string value: '\\xF0\\x9F' for column 'url' at row 3",
            "MySQL error 1366: Incorrect string value: ... for column 'url'",
        ),
        (
            "repeat of an event that was refused: MySQL error 1062: Duplicate entry 'ann@x.y' "
            "for key 'mine'",
            "repeat of an event that was refused: MySQL error 1062: Duplicate entry ... "
            "for key 'mine'",
        ),
        ("TIMESTAMP 'soon, my \x1b[31mdear' is no time", "TIMESTAMP '...' is no time"),
        ("no field 'EVENT'", "no field 'EVENT'"),
        ("what is ann@example.com doing here", "what is ...@... doing here"),
    ],
)
def test_what_a_reason_quotes_is_not_shown(reason: str, shown: str) -> None:
    assert shown_reason(reason) == shown
