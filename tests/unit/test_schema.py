"""The tables that settings ask for."""

from __future__ import annotations

import json

import pytest

from pepi_stream.errors import ConfigError
from pepi_stream.settings import load_settings
from pepi_stream.sink import Schema


def schema(**environ: str) -> Schema:
    return Schema.from_settings(load_settings(environ))


def test_the_default_tables_and_columns() -> None:
    tables = schema().tables()
    assert list(tables) == [
        *("pepi_claim", "pepi_dead_letter", "pepi_event"),
        *("pepi_window_minute", "pepi_window_hour"),
    ]
    assert tables["pepi_window_minute"] == [
        *("window_start", "dimensions", "event_name", "mailbox_provider", "n")
    ]
    assert tables["pepi_event"][:3] == ["seq", "id", "event_name"]


def test_each_table_has_one_statement_that_leaves_an_existing_one_alone() -> None:
    described = schema()
    ddl = described.ddl()
    assert len(ddl) == len(described.tables())
    for statement, (table, columns) in zip(ddl, described.tables().items(), strict=True):
        assert statement.startswith(f"CREATE TABLE IF NOT EXISTS `{table}` (\n")
        assert "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" in statement
        for column in columns:
            assert f"\n  `{column}` " in statement


def test_the_columns_that_settings_name() -> None:
    columns = ["id", {"name": "tag", "value": "campaign", "type": "CHAR(3)"}]
    described = schema(PEPI_SINK__TABLE="mine", PEPI_SINK__COLUMNS=json.dumps(columns))
    assert described.tables()["mine"] == ["id", "tag"]
    assert (
        "CREATE TABLE IF NOT EXISTS `mine` (\n  `id` VARCHAR(255) NULL,\n  `tag` CHAR(3)\n)"
        in (described.ddl()[2])
    )


def test_a_window_by_nothing_has_a_table_too() -> None:
    described = schema(PEPI_WINDOWS='{"day": {"seconds": 86400, "by": []}}')
    assert described.tables()["pepi_window_day"] == ["window_start", "dimensions", "n"]
    assert "PRIMARY KEY (`window_start`, `dimensions`)" in described.ddl()[-1]
    assert list(schema(PEPI_WINDOWS="{}").tables()) == [
        "pepi_claim",
        "pepi_dead_letter",
        "pepi_event",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"PEPI_SINK__COLUMNS": "id,event_nam"},
        {"PEPI_WINDOWS": '{"day": {"seconds": 86400, "by": ["n"]}}'},
    ],
)
def test_what_no_table_can_have_is_a_wrong_setting(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        schema(**environ)
