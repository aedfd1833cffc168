"""The three layers of settings and what comes out of them; the errors and resources."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import pepi_stream
from pepi_stream import errors, resources, settings
from pepi_stream.errors import ConfigError, PepiError, PoisonError
from pepi_stream.settings import Settings, describe, load_settings, models, sink

Write = Callable[[str], str]


def leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in table.items():
        inner = leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
        found |= inner
    return found


DEFAULTS = leaves(tomllib.loads((resources.config_dir() / "pepi.toml").read_text("utf-8")))


def origins(loaded: Settings) -> dict[str, str]:
    return {name: origin for name, _, origin in describe(loaded)}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a TOML file and return its path."""

    def save(text: str) -> str:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return save


def test_defaults_are_those_of_pepi_toml() -> None:
    loaded = load_settings({})
    assert loaded.redis.url.get_secret_value() == "redis://localhost:6379/0"
    assert (loaded.source.queue, loaded.source.claim_max) == ("pepi_queue", 1000)
    assert loaded.windows["hour"].by == ("event_name", "campaign")
    assert loaded.sink.columns[0].model_dump() == {"name": "seq", "value": "seq", "type": None}
    assert set(origins(loaded).values()) == {"default"}
    assert {".".join(path) for path in DEFAULTS} == set(origins(loaded))


def test_no_model_has_a_default() -> None:
    found = [
        model
        for model in (vars(models) | vars(sink)).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model.__module__ in (models.__name__, sink.__name__)
    ]
    assert len(found) >= 10
    for model in found:
        assert all(field.is_required() for field in model.model_fields.values()), model


def test_every_default_has_a_comment_above_it() -> None:
    text = (resources.config_dir() / "pepi.toml").read_text("utf-8").splitlines()
    for number, line in enumerate(text):
        key = line.partition(" = ")[0]
        in_window = key in ("seconds", "by")  # explained once, above the first window
        if key.isidentifier() and not in_window:
            assert text[number - 1].startswith("#"), line


BASIC = ("pepipost", "postmark", "sparkpost", "plain")
SECRETS = {
    ("web", "token"),
    ("ingest", "sendgrid_public_key"),
    ("ingest", "mailgun_signing_key"),
    *(("ingest", f"{name}_basic") for name in BASIC),
}


def other_value(path: tuple[str, ...], value: Any) -> Any:
    special: dict[tuple[str, ...], Any] = {
        ("redis", "url"): "unix:///run/redis.sock?db=3",
        ("database", "url"): "mysql://root@db:3307/other",
        ("sink", "prefix"): "other_",
        ("sink", "table"): "other_event",
        ("sink", "dedupe"): ["id", "url"],
        ("windows", "minute", "seconds"): 30,
        ("windows", "hour", "seconds"): 7200,
        ("web", "token"): "0123456789abcdef",
        ("enrich", "on_error"): "skip",
        ("ingest", "formats"): ["ses", "plain"],
        ("ingest", "ses_topic_arns"): ["arn:aws:sns:eu-west-1:123456789012:ses-events"],
        ("ingest", "mailgun_signing_key"): "0123456789abcdef",
        **{("ingest", f"{name}_basic"): "user:0123456789abcdef" for name in BASIC},
    }
    if path in special:
        return special[path]
    if isinstance(value, list):
        return value[-1:]
    if isinstance(value, bool):
        return not value
    return f"{value}2" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("path", DEFAULTS, ids=".".join)
@pytest.mark.parametrize("lower", [False, True], ids=["UPPER", "lower"])
def test_every_key_can_be_set_from_the_environment(path: tuple[str, ...], lower: bool) -> None:
    name = "PEPI_" + "__".join(path).upper()
    name = name.lower() if lower else name
    value = other_value(path, DEFAULTS[path])
    before = load_settings({})
    text = json.dumps(value) if isinstance(value, list | bool) else str(value)
    loaded = load_settings({name: text})

    rows, dotted = describe(loaded), ".".join(path)
    assert [row for row in rows if row[2] == name] == [row for row in rows if row[0] == dotted]
    changed = set(rows) - set(describe(before))
    # The event table's name follows the prefix.
    assert {row[0] for row in changed} - {"sink.table"} == {dotted} - {"sink.table"}
    shown = {row[1] for row in changed if row[0] == dotted}
    assert shown == {"***" if path in SECRETS else text}


def test_file_beats_defaults_and_environment_beats_file(write: Write) -> None:
    path = write('[source]\nqueue = "file"\nclaim_max = 7\n[web]\n')
    loaded = load_settings({"PEPI_CONFIG": path, "PEPI_SOURCE__QUEUE": "env"})
    assert (loaded.source.queue, loaded.source.claim_max) == ("env", 7)
    assert loaded.source.max_in_flight == 32
    seen = origins(loaded)
    assert seen["source.queue"] == "PEPI_SOURCE__QUEUE"
    assert seen["source.claim_max"] == path
    assert seen["source.max_in_flight"] == seen["web.port"] == "default"


def test_short_names_set_urls_and_port() -> None:
    loaded = load_settings(
        {"REDIS_URL": "rediss://r:1/2", "DATABASE_URL": "mysql://u@d/x", "PORT": "80"}
    )
    assert loaded.redis.url.get_secret_value() == "rediss://r:1/2"
    assert loaded.database.url.get_secret_value() == "mysql://u@d/x"
    assert loaded.web.port == 80
    assert origins(loaded)["database.url"] == "DATABASE_URL"


def test_the_full_name_beats_the_short_one() -> None:
    loaded = load_settings({"PEPI_WEB__PORT": "81", "PORT": "80"})
    assert (loaded.web.port, origins(loaded)["web.port"]) == (81, "PEPI_WEB__PORT")


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_variables_are_not_set(empty: str) -> None:
    names = ("PORT", "REDIS_URL", "PEPI_CONFIG", "PEPI_SOURCE__QUEUE", "PEPI_SINK__COLUMNS")
    assert describe(load_settings(dict.fromkeys(names, empty))) == describe(load_settings({}))


def test_environ_defaults_to_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEPI_SOURCE__QUEUE", "from_process")
    assert load_settings().source.queue == "from_process"
    assert load_settings({}).source.queue == "pepi_queue"


def test_other_peoples_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # pydantic-settings by itself would read a variable named like a section.
    monkeypatch.setenv("SOURCE", '{"queue": "stray"}')
    monkeypatch.setenv("WEB", "stray")
    assert load_settings({"QUEUE": "x", "SOURCE": "y"}).source.queue == "pepi_queue"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", ("a",)), ("a, b", ("a", "b")), ('["a", "my.mod:b"]', ("a", "my.mod:b")), ("[]", ())],
)
def test_lists_are_json_or_commas(text: str, expected: tuple[str, ...]) -> None:
    assert load_settings({"PEPI_ENRICH__ENRICHERS": text}).enrich.enrichers == expected


def test_lists_replace(write: Write) -> None:
    path = write('[sink]\ncolumns = ["id", "url"]\n')
    columns = load_settings({"PEPI_CONFIG": path}).sink.columns
    assert [column.name for column in columns] == ["id", "url"]


# --- windows


def test_a_windows_table_in_the_file_replaces_all(write: Write) -> None:
    path = write('[windows.day]\nseconds = 86400\nby = ["campaign"]\n')
    loaded = load_settings({"PEPI_CONFIG": path})
    assert set(loaded.windows) == {"day"}
    assert load_settings({"PEPI_CONFIG": write("windows = {}")}).windows == {}
    assert set(load_settings({"PEPI_CONFIG": write("[web]\nport = 1")}).windows) == {
        "minute",
        "hour",
    }


def test_windows_from_the_environment() -> None:
    assert load_settings({"PEPI_WINDOWS": "{}"}).windows == {}
    whole = load_settings({"PEPI_WINDOWS": '{"ten": {"seconds": 600, "by": []}}'})
    assert set(whole.windows) == {"ten"}
    assert origins(whole)["windows.ten.seconds"] == "PEPI_WINDOWS"
    one = load_settings({"PEPI_WINDOWS__HOUR__SECONDS": "60"}).windows
    assert (one["hour"].seconds, one["hour"].by) == (60, ("event_name", "campaign"))
    assert one["minute"].seconds == 60
    added = load_settings({"PEPI_WINDOWS__TEN": '{"seconds": 10, "by": ["campaign"]}'})
    assert set(added.windows) == {"minute", "hour", "ten"}


def test_a_window_beats_the_whole_table_whatever_the_order() -> None:
    parts = {"PEPI_WINDOWS__TEN__SECONDS": "20", "PEPI_WINDOWS__TEN__BY": "campaign"}
    for environ in (parts | {"PEPI_WINDOWS": "{}"}, {"PEPI_WINDOWS": "{}"} | parts):
        loaded = load_settings(environ).windows
        assert {name: window.seconds for name, window in loaded.items()} == {"ten": 20}


# --- columns


def test_columns_are_normalised(write: Write) -> None:
    path = write(
        """[sink]
        columns = [
            "id",
            "my.columns:country",
            {name = "sent_to", value = "recipient"},
            {name = "esp", type = "CHAR(8)"},
        ]"""
    )
    loaded = load_settings({"PEPI_CONFIG": path})
    assert [(c.name, c.value, c.type) for c in loaded.sink.columns] == [
        ("id", "id", None),
        ("country", "my.columns:country", None),
        ("sent_to", "recipient", None),
        ("esp", "esp", "CHAR(8)"),
    ]
    shown = {name: value for name, value, _ in describe(loaded)}["sink.columns"]
    assert json.loads(shown) == [
        "id",
        {"name": "country", "value": "my.columns:country"},
        {"name": "sent_to", "value": "recipient"},
        {"name": "esp", "value": "esp", "type": "CHAR(8)"},
    ]
    # What describe shows can be put back.
    assert load_settings({"PEPI_SINK__COLUMNS": shown}).sink.columns == loaded.sink.columns


def test_article_toml_is_the_articles_table() -> None:
    loaded = load_settings({"PEPI_CONFIG": str(resources.config_dir() / "article.toml")})
    assert (loaded.sink.table, loaded.source.format) == ("pepi_event", "plain")
    assert loaded.windows == {}
    assert [(c.name, c.type) for c in loaded.sink.columns] == [
        ("id", "BIGINT UNSIGNED NOT NULL"),
        ("event_name", "VARCHAR(50) NOT NULL"),
    ]


# --- the token


@pytest.mark.parametrize("token", ["0123456789abcdef", "!~" * 256, "http://user:pw@host/0"])
def test_a_token_is_never_shown(token: str) -> None:
    loaded = load_settings({"PEPI_WEB__TOKEN": token})
    assert loaded.web.token.get_secret_value() == token
    shown = {name: value for name, value, _ in describe(loaded)}
    assert shown["web.token"] == "***"
    assert token not in repr(loaded) + str(loaded)
    assert {name: value for name, value, _ in describe(load_settings({}))}["web.token"] == ""


# --- the rest


def test_settings_are_frozen() -> None:
    loaded = load_settings({})
    with pytest.raises(ValidationError):
        loaded.source.queue = "other"
    with pytest.raises(ValidationError):
        loaded.web = loaded.web


def test_importing_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Spy(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            seen.append(name)
            return super().__getitem__(name)

        def get(self, name: str, default: Any = None) -> Any:
            seen.append(name)
            return super().get(name, default)

        def __iter__(self) -> Iterator[str]:
            seen.append("everything")
            return super().__iter__()

        def items(self) -> Any:
            seen.append("everything")
            return super().items()

    # Run again, every module of the package; afterwards the ones from before are back in place.
    names = [name for name in sys.modules if f"{name}.".startswith("pepi_stream.settings.")]
    assert len(names) >= 5
    before = {name: sys.modules[name] for name in names}
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(pepi_stream, "settings", settings)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", Spy(os.environ))
        seen.clear()
        importlib.import_module("pepi_stream.settings")
        # pydantic looks for its own switches while it builds a class.
        assert [name for name in seen if not str(name).startswith("PYDANTIC")] == []
    assert all(sys.modules[name] is not module for name, module in before.items())


def test_exit_codes() -> None:
    kinds = (PepiError, ConfigError, errors.FatalError, errors.TransientError, PoisonError)
    assert [kind.exit_code for kind in kinds] == [1, 78, 70, 75, 1]
    assert all(issubclass(kind, PepiError) for kind in kinds)


def test_poison_carries_its_reason() -> None:
    assert PoisonError("row 3: too long").reason == "row 3: too long"
    poison = PoisonError("row 3 refused", reason="1406 too long")
    assert (str(poison), poison.reason) == ("row 3 refused", "1406 too long")


def test_resources_are_found() -> None:
    assert (resources.config_dir() / "pepi.toml").is_file()
    assert resources.lua_dir().name == "lua"


def test_the_packages_own_folder_comes_first(tmp_path: Path) -> None:
    package = tmp_path / "pepi_stream"
    package.mkdir()
    with pytest.raises(PepiError, match=r"no folder lua/.*install pepi_stream again"):
        resources._folder("lua", package)
    (tmp_path / "lua").mkdir()
    assert resources._folder("lua", package) == tmp_path / "lua"
    (package / "lua").mkdir()
    assert resources._folder("lua", package) == package / "lua"
