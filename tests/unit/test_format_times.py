"""Providers' times: to the millisecond, in UTC, by whatever way they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.formats import FormatError, times
from pepi_stream.formats.times import epoch_ms, iso_ms, time_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.datetimes(
    datetime(1970, 1, 2),
    datetime(9999, 12, 30),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
)


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01 00:00:01.5z", 1500),
        ("1970-01-01t00:00:01,25+00:00", 1250),
        ("1970-01-01T01:00:00.1+01:00", 100),
        ("1969-12-31T20:00:00.123456789-04:00", 123),
        ("1970-01-01T05:30:00.9999999+0530", 999),
        ("1970-01-01T05:00:00+05", 0),
        ("2016-04-27T16:21:41.2493688-04:00", 1461788501249),
        ("2014-08-01T13:28:10.2735393-04:00", 1406914090273),
        ("2020-02-29T12:00:00.000Z", 1582977600000),
        ("9999-12-31T23:59:59.9999999Z", 253_402_300_799_999),
        ("1970-01-01T00:00:00." + "0" * 5000 + "1Z", 0),
    ],
)
def test_iso_8601(text: str, wanted: int) -> None:
    assert iso_ms([text], "at") == [wanted]
    assert time_ms([text], "at") == [wanted]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "now",
            "2016-04-27",
            "2016-04-27T16:21Z",
            "2016-13-01T00:00:00Z",
            "2016-02-30T00:00:00Z",
        ),
        *("2016-04-27T24:00:00Z", "2016-04-27T23:60:00Z", "2016-04-27T23:59:60Z"),
        *("2016-04-27T16:21:41.Z", "2016-04-27T16:21:41.5", "2016-04-27T16:21:41.5 Z")[::2],
        *(
            "2016-04-27T16:21:41.123+24:00",
            "2016-04-27T16:21:41.123+00:60",
            "2016-04-27T16:21:41ZZ",
        ),
        *("2016-04-27T16:21:41.\u0661\u0662\u0663Z", "\u0662016-04-27T16:21:41.123Z"),
        *(
            "2016-04-27T16:21:41.123Z\n",
            " 2016-04-27T16:21:41.123Z",
            "2016-04-27T16:21:41.123\u0661Z",
        ),
        *("0000-01-01T00:00:00Z", "+2016-04-27T16:21:41Z", "2016-04-27T16:21:41.123-4:00"),
        *("1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
    ],
)
@pytest.mark.parametrize("neighbours", [[], ["2016-04-27T16:21:41.249Z"]])
def test_what_is_no_time_is_refused_beside_any(text: str, neighbours: list[str]) -> None:
    with pytest.raises(FormatError, match=r"^field at is "):
        iso_ms([*neighbours, text], "at")


@given(moment=moments, digits=st.integers(0, 9), nine=st.integers(0, 999))
def test_any_moment_in_any_zone_to_any_digit(moment: datetime, digits: int, nine: int) -> None:
    fraction = f"{moment.microsecond:06}{nine:03}"[:digits]
    text = f"{moment:%Y-%m-%dT%H:%M:%S}"
    text = text.rjust(19, "0") + (f".{fraction}" if digits else "")
    offset = moment.isoformat()[-6:]
    whole = moment.replace(microsecond=int(fraction.ljust(6, "0")[:6] or 0))
    assert iso_ms([text + offset], "at") == [ms(whole)]
    # The same among others, which decides between the fast and the slow way.
    both = [text + offset, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z"]
    assert time_ms(both, "at") == [ms(whole), 0, 0]


@given(
    values=st.lists(
        st.integers(0, 253_402_300_799)
        | st.integers(0, 253_402_300_799).map(str)
        | st.integers(0, 10**12).map(lambda n: n / 1000)
        | moments.map(datetime.isoformat)
    )
)
def test_a_column_is_what_its_values_are_alone(values: list[Any]) -> None:
    assert list(time_ms(values, "at")) == [time_ms([value], "at")[0] for value in values]


@pytest.mark.parametrize(
    "value",
    ["1234-", "12-34-56", "-1", "1e5-", "yes", "", "1.5e999", "1_000", "\uff11\uff12", "1\u0661.5"],
)
def test_what_is_neither_is_refused(value: str) -> None:
    with pytest.raises(FormatError, match=r"^field at is "):
        time_ms([value], "at")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.001, 1e300])
def test_floats_that_are_no_time_are_refused(value: float) -> None:
    with pytest.raises(FormatError, match=r"^field at is "):
        epoch_ms([value, 1.0], "at")


def test_numbers_of_one_hash_take_linear_time() -> None:
    compared = 0

    class Number(int):
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return int.__eq__(self, other)

    def comparisons(count: int) -> int:
        nonlocal compared
        compared = 0
        numbers = [1] * 500 + [Number(n * (2**61 - 1)) for n in range(1, count)]
        with pytest.raises(FormatError):
            epoch_ms(numbers, "at")
        return compared

    assert comparisons(4000) <= 4 * comparisons(1000)
    assert epoch_ms([*range(2500)], "at") == [n * 1000 for n in range(2500)]


def test_made_up_times_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for memo in (times._seconds, times._zones):
        monkeypatch.setattr(memo, "_size", 10)
    texts = [f"20{n:02}-01-01T00:00:00.000+{n % 24:02}:{n % 60:02}" for n in range(100)]
    assert len(set(iso_ms(texts, "at"))) == 100
    assert len(times._seconds) <= 10
    assert len(times._zones) <= 10
