"""Columns of the event table by name."""

from __future__ import annotations

import json

import pytest

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.columns import COLUMNS, ColumnSpec, load_columns
from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch, Column
from pepi_stream.settings import load_settings


def load(*columns: str | dict[str, str]) -> list[ColumnSpec]:
    settings = load_settings({"PEPI_SINK__COLUMNS": json.dumps(columns)})
    return load_columns(settings.sink.columns)


def batch() -> Batch:
    claim = Claim(new_claim_id(1), [b"a", b"b"], delivery=1, received_at=77)
    return Batch(claim, format="f", size=2, columns={"campaign": ["x", "y"]})


def domain_length(batch: Batch) -> Column:
    """A user's own column, as a function."""
    return [len(value) for value in batch.column("campaign")]


SPEC = ColumnSpec("its_name", "INT NOT NULL", domain_length)


def test_the_default_columns_are_those_of_the_design() -> None:
    names = [column.name for column in load_columns(load_settings({}).sink.columns)]
    assert names == [
        *("seq", "id", "event_name", "recipient", "recipient_domain", "mailbox_provider"),
        *("campaign", "occurred_at", "received_at", "ip", "client", "os", "device", "url"),
        *("bounce_class", "reason", "is_machine", "esp", "event_uid"),
    ]


def test_every_built_in_column_gives_a_value_an_event() -> None:
    for name, spec in COLUMNS.items():
        assert spec.name == name
        assert spec.sql_type
        if spec.values is not None:
            assert len(spec.values(batch())) == 2


def test_seq_is_left_to_mysql() -> None:
    assert [name for name, spec in COLUMNS.items() if spec.values is None] == ["seq"]


def test_times_are_marked_as_such() -> None:
    assert {name for name, spec in COLUMNS.items() if spec.epoch_ms} == {
        *("occurred_at", "received_at")
    }
    [received] = load("received_at")
    assert received.values is not None
    assert list(received.values(batch())) == [77, 77]


def test_a_column_renamed_and_retyped() -> None:
    [column] = load({"name": "tag", "value": "campaign", "type": "CHAR(3)"})
    assert (column.name, column.sql_type) == ("tag", "CHAR(3)")
    assert column.values is not None
    assert list(column.values(batch())) == ["x", "y"]


def test_a_renamed_column_keeps_the_built_ins_type_and_kind() -> None:
    [column] = load({"name": "at", "value": "occurred_at"})
    assert column == COLUMNS["occurred_at"]._replace(name="at")


def test_a_column_of_ones_own() -> None:
    where = f"{__name__}:domain_length"
    function, spec, named = load(
        {"name": "length", "value": where, "type": "INT"},
        {"name": "kept", "value": f"{__name__}:SPEC"},
        f"{__name__}:SPEC",
    )
    assert (function.name, function.sql_type) == ("length", "INT")
    assert function.values is not None
    assert list(function.values(batch())) == [1, 1]
    assert (spec.name, spec.sql_type) == ("kept", "INT NOT NULL")
    assert named.name == "SPEC"


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("campagne", "sink.columns: campagne: no column 'campagne'; known: asn, bounce_class, "),
        ({"name": "a", "value": "b"}, "sink.columns: a: no column 'b'"),
        ("no_such_module:f", "sink.columns: f: cannot import 'no_such_module'"),
        ("json:nothing", "sink.columns: nothing: module 'json' has no 'nothing'"),
        ("json:__name__", "json:__name__ is neither a ColumnSpec nor a function"),
        ("json:loads", "sink.columns: loads: give its SQL type: {name, value, type}"),
    ],
)
def test_a_column_that_does_not_exist(column: str | dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(column)
    assert message in str(caught.value)
