"""The tables that settings ask for."""

from __future__ import annotations

import json

import pytest

from pepi_stream.errors import ConfigError
from pepi_stream.settings import load_settings
from pepi_stream.sink import Schema
from pepi_stream.sink.fitting import FoundColumn
from pepi_stream.sink.inspection import Found, judge
from pepi_stream.sink.schema import Table, TableColumn


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


@pytest.mark.parametrize(
    ("definition", "addable"),
    [
        ("VARCHAR(9)", True),
        ("VARCHAR(9) NULL", True),
        ("TINYINT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'of the key'", True),
        ("datetime(3) not null default current_timestamp(3)", True),
        ("INT AS (a + 1) STORED", True),
        ("VARCHAR(9) COMMENT 'it''s NOT NULL, \\' and a KEY'", True),
        ('TEXT COMMENT "never NOT NULL"', True),
        ("VARCHAR(9) NOT NULL", False),
        ("varchar(9) not  null", False),
        ("VARCHAR(9) NOT NULL COMMENT 'no DEFAULT'", False),
        ("BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY", False),
        ("INT NULL UNIQUE", False),
        ("SERIAL DEFAULT VALUE", False),
    ],
)
def test_which_columns_a_table_in_use_can_be_given(definition: str, addable: bool) -> None:
    assert TableColumn("a", definition).addable is addable
    assert not TableColumn("a", definition, dimension=True).addable


def test_which_of_our_own_columns_a_table_in_use_can_be_given() -> None:
    definitions = schema(PEPI_SINK__COLUMNS='["seq", "id", "event_name", "url"]').definitions()
    assert {t.name: [c.name for c in t.columns if c.addable] for t in definitions} == {
        "pepi_claim": ["committed_at", "version"],
        "pepi_dead_letter": ["element", "part", "created_at"],
        "pepi_event": ["id", "url"],
        "pepi_window_minute": [],  # with another dimension its counts would be of something else
        "pepi_window_hour": [],
    }


def test_what_a_worker_of_0_1_0_does_not_fill_in_has_the_version_that_it_writes() -> None:
    [version] = [c for c in schema().definitions()[0].columns if c.name == "version"]
    assert "NOT NULL DEFAULT 1 " in version.definition


TABLE = Table(
    "mine", [TableColumn("a", "INT", own=False), TableColumn("B", "TEXT", own=False)], "events"
)
OURS = "pepi_stream: events"


def found(*columns: str, comment: str = OURS, engine: str = "InnoDB") -> Found:
    return Found(
        engine, comment, {name: FoundColumn(name, "int", "int(11)") for name in columns}, []
    )


def test_missing_columns_are_added_in_one_statement() -> None:
    assert TABLE.add(TABLE.columns) == "ALTER TABLE `mine` ADD COLUMN `a` INT, ADD COLUMN `B` TEXT"
    assert found("b").missing(TABLE) == [TABLE.columns[0]]
    assert found("a", "b").missing(TABLE) == []


@pytest.mark.parametrize(
    ("table", "there", "problem", "remedy"),
    [
        (TABLE, None, "does not exist", "run `faust -A pepi_stream migrate`"),
        (TABLE, found("a", "b"), None, ""),
        (TABLE, found("a", "b", engine="Aria"), "is Aria", "ENGINE=InnoDB"),
        (TABLE, found("a", "b", engine=""), "is a view", "name a table"),
        (TABLE, found("a"), "has no column B", "run `faust -A pepi_stream migrate`, or name"),
        (TABLE, found(), "has no column a, B", "run `faust -A pepi_stream migrate`, or name"),
        (
            TABLE,
            found("a", comment="the shop's"),
            "has no column B",
            "did not make this table, so `migrate` does not change it: run "
            "ALTER TABLE `mine` ADD COLUMN `B` TEXT;",
        ),
        (
            TABLE._replace(columns=[TableColumn("c", "INT NOT NULL")]),
            found("a"),
            "has no column c",
            "stop the workers and run ALTER TABLE `mine` ADD COLUMN `c` INT NOT NULL;",
        ),
        (
            TABLE._replace(columns=[TableColumn("c", "INT NULL", dimension=True)]),
            found("a"),
            "has no column c",
            "another name in windows",
        ),
    ],
)
def test_what_a_table_lacks_and_how_it_gets_it(
    table: Table, there: Found | None, problem: str | None, remedy: str
) -> None:
    [state] = judge(table, there)
    assert state.table == "mine"
    assert (state.problem or "").startswith(problem or "")
    assert (state.problem is None) == (problem is None)
    assert remedy in state.remedy
