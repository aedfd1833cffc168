"""The three layers of settings, their rules and their error messages; the errors and resources."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from pepi_stream import errors, resources, settings
from pepi_stream.errors import ConfigError, PepiError, PoisonError
from pepi_stream.settings import DatabaseSettings, Settings, describe, load_settings, redact_url

SECRET = "hunter2"
Write = Callable[[str], str]


def leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in table.items():
        inner = leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
        found |= inner
    return found


DEFAULTS = leaves(tomllib.loads((resources.config_dir() / "pepi.toml").read_text("utf-8")))


def problems(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    # Nothing chained either: a traceback prints the causes, and pydantic's hold the values.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value).splitlines()


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
    assert (loaded.source.queue, loaded.source.claim_max) == ("pepi_queue", 5000)
    assert loaded.windows["hour"].by == ("event_name", "campaign")
    assert loaded.sink.columns[0].model_dump() == {"name": "seq", "value": "seq", "type": None}
    assert set(origins(loaded).values()) == {"default"}
    assert {".".join(path) for path in DEFAULTS} == set(origins(loaded))


def test_no_model_has_a_default() -> None:
    models = [
        model
        for model in vars(settings).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model.__module__ == settings.__name__
    ]
    assert len(models) >= 10
    for model in models:
        assert all(field.is_required() for field in model.model_fields.values()), model


def test_every_default_has_a_comment_above_it() -> None:
    text = (resources.config_dir() / "pepi.toml").read_text("utf-8").splitlines()
    for number, line in enumerate(text):
        key = line.partition(" = ")[0]
        in_window = key in ("seconds", "by")  # explained once, above the first window
        if key.isidentifier() and not in_window:
            assert text[number - 1].startswith("#"), line


def other_value(path: tuple[str, ...], value: Any) -> Any:
    special: dict[tuple[str, ...], Any] = {
        ("redis", "url"): "unix:///run/redis.sock?db=3",
        ("database", "url"): "mysql://other@db:3307/other",
        ("windows", "minute", "seconds"): 30,
        ("windows", "hour", "seconds"): 7200,
    }
    if path in special:
        return special[path]
    if isinstance(value, list):
        return value[-1:]
    return f"{value}2" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("path", DEFAULTS, ids=".".join)
@pytest.mark.parametrize("lower", [False, True], ids=["UPPER", "lower"])
def test_every_key_can_be_set_from_the_environment(path: tuple[str, ...], lower: bool) -> None:
    name = "PEPI_" + "__".join(path).upper()
    name = name.lower() if lower else name
    value = other_value(path, DEFAULTS[path])
    before = load_settings({})
    loaded = load_settings({name: json.dumps(value) if isinstance(value, list) else str(value)})

    rows, dotted = describe(loaded), ".".join(path)
    assert [row for row in rows if row[2] == name] == [row for row in rows if row[0] == dotted]
    changed = set(rows) - set(describe(before))
    assert {row[0] for row in changed} == {dotted}
    assert {row[1] for row in changed} == {
        json.dumps(value) if isinstance(value, list) else str(value)
    }


def test_file_beats_defaults_and_environment_beats_file(write: Write) -> None:
    path = write('[source]\nqueue = "file"\nclaim_max = 7\n[web]\n')
    loaded = load_settings({"PEPI_CONFIG": path, "PEPI_SOURCE__QUEUE": "env"})
    assert (loaded.source.queue, loaded.source.claim_max) == ("env", 7)
    assert loaded.source.max_in_flight == 8
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


def test_half_a_window_is_refused() -> None:
    assert problems({"PEPI_WINDOWS__TEN__SECONDS": "10"}) == [
        "windows.ten.by is missing (from PEPI_WINDOWS__TEN__SECONDS)"
    ]


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


# --- what is refused


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("PEPI_SOURCE__CLAIM_MAX", "0", "greater than or equal to 1"),
        ("PEPI_SOURCE__CLAIM_MAX", "many", "valid integer"),
        ("PEPI_SOURCE__CLAIM_MAX", "1.5", "valid integer"),
        ("PEPI_SOURCE__CLAIM_MAX", "true", "valid integer"),
        ("PEPI_SOURCE__QUEUE", "{q}", "should not hold { or }"),
        ("PEPI_SOURCE__QUEUE", "q}", "should not hold { or }"),
        ("PEPI_SOURCE__FORMAT", "a:b:c", "module:attr"),
        ("PEPI_SOURCE__LEASE_SECONDS", "2.9", "greater than or equal to 3"),
        ("PEPI_SOURCE__LEASE_SECONDS", "nan", "finite number"),
        ("PEPI_SOURCE__MAX_IN_FLIGHT", "0", "greater than or equal to 1"),
        ("PEPI_REDIS__TIMEOUT_SECONDS", "0", "greater than 0"),
        ("PEPI_DATABASE__LOCK_WAIT_SECONDS", "0", "greater than or equal to 1"),
        ("PEPI_ENRICH__ENRICHERS", "a,,b", "built-in's name"),
        ("PEPI_ENRICH__ENRICHERS", "[a", "valid JSON"),
        ("PEPI_SINK__TABLE", "a-b", "SQL name"),
        ("PEPI_SINK__TABLE", "Pepi_Claim", "should not be pepi_claim"),
        ("PEPI_SINK__TABLE", "pepi_window_hour", "should not be pepi_claim"),
        ("PEPI_SINK__COLUMNS", "id,ID", "same name twice"),
        ("PEPI_SINK__COLUMNS", "[]", "at least 1 column"),
        ("PEPI_SINK__COLUMNS", "1d", "SQL name"),
        ("PEPI_SINK__COLUMNS", "x" * 65, "SQL name"),
        ("PEPI_SINK__COLUMNS", '{"name": "id"}', "should be a list"),
        ("PEPI_WEB__PORT", "65536", "less than or equal to 65535"),
        ("PORT", "http", "valid integer"),
        ("PEPI_WINDOWS", "none", "valid JSON"),
        ("PEPI_WINDOWS", "[]", "should be a table"),
        ("PEPI_WINDOWS__HOUR", "3", "should be a table"),
        ("PEPI_WINDOWS__HOUR__SECONDS", "7", "should divide a day (86400)"),
        ("PEPI_WINDOWS__HOUR__SECONDS", "0", "greater than or equal to 1"),
        ("PEPI_WINDOWS__HOUR__BY", "a,b,a", "same name twice"),
        ("PEPI_WINDOWS__HOUR__BY", "a,b,c,d,e,f,g,h,i", "at most 8"),
        ("PEPI_WINDOWS", '{"9to5": {"seconds": 60, "by": []}}', "lower-case letters"),
        ("PEPI_WINDOWS", '{"Hour": {"seconds": 60, "by": []}}', "lower-case letters"),
    ],
)
def test_a_bad_variable_is_named_with_what_is_allowed(name: str, text: str, allowed: str) -> None:
    lines = problems({name: text})
    assert all(line.endswith(f"(from {name})") for line in lines)
    assert allowed in lines[0]
    assert text not in lines[0].removesuffix(f"(from {name})") or len(text) < 6


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[source]\nclaim_max = true", "source.claim_max: should be a number, not true or false"),
        ("[source]\nclaim_max = 1.5", "source.claim_max: should be a valid integer"),
        ("[source]\nqueue = 5", "source.queue: should be a valid string"),
        ('[source]\nqueue = ""', "source.queue: string should have at least 1 character"),
        ('[enrich]\nenrichers = "a"', "enrich.enrichers: should be a list"),
        ("source = 1", "source: should be a table"),
        ('[sink]\ncolumns = [{value = "id"}]', "sink.columns.0.name is missing"),
        ("[web]\nport = inf", "web.port: should be a finite number"),
    ],
)
def test_a_bad_value_in_the_file_names_setting_and_file(write: Write, text: str, line: str) -> None:
    path = write(text)
    (found,) = problems({"PEPI_CONFIG": path})
    assert found.startswith(line)
    assert found.endswith(f"(from {path})")


def test_one_line_per_problem() -> None:
    lines = problems({"PORT": "x", "PEPI_SINK__MAX_ROWS": "0", "PEPI_X": "1", "PEPI_Y__Z": "1"})
    assert [line.split()[0] for line in lines] == [
        "PEPI_X",
        "PEPI_Y__Z",
        "sink.max_rows:",
        "web.port:",
    ]


@pytest.mark.parametrize("windows", ["3", "null", "[1]"])
def test_a_wrong_windows_value_does_not_hide_other_problems(windows: str) -> None:
    lines = problems({"PEPI_WINDOWS": windows, "PEPI_XYZ__A": "1", "PEPI_WEB__PORT": "0"})
    assert {line.split()[0] for line in lines} == {"PEPI_XYZ__A", "windows:", "web.port:"}
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PEPI_SORCE__QUEUE", "PEPI_SOURCE__QUEUE"),
        ("pepi_source__que", "PEPI_SOURCE__QUEUE"),
        ("PEPI_CONFG", "PEPI_CONFIG"),
        ("PEPI_SOURCE", "PEPI_SOURCE__QUEUE"),
        ("PEPI_SOURCE_QUEUE", "PEPI_SOURCE__QUEUE"),
        ("PEPI_SOURCE__QUEUE__X", "PEPI_SOURCE__QUEUE"),
        ("PEPI_SINK__COLUMNS__0", "PEPI_SINK__COLUMNS"),
        ("PEPI_WINDOWS__HOUR__SECOND", "PEPI_WINDOWS__HOUR__SECONDS"),
    ],
)
def test_an_unknown_variable_names_the_nearest(name: str, nearest: str) -> None:
    assert problems({name: "1"}) == [f"{name} is not a setting; did you mean {nearest}?"]


def test_a_variable_near_to_none_points_to_the_list() -> None:
    assert problems({"PEPI_Q": "1"}) == ["PEPI_Q is not a setting; config/pepi.toml lists all"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[source]\nclaim_maxx = 1",
            "[source] claim_maxx is not a setting; did you mean claim_max?",
        ),
        ("[sorce]\nqueue = 1", "[sorce] is not a section; did you mean [source]?"),
        ("_env_file = 1", "[_env_file] is not a section; config/pepi.toml lists all"),
        (
            "[windows.day]\nseconds = 60\nby = []\nsecnds = 1",
            "[windows.day] secnds is not a setting; did you mean seconds?",
        ),
        (
            '[sink]\ncolumns = [{name = "id", typ = "INT"}]',
            "[sink.columns.0] typ is not a setting; did you mean type?",
        ),
    ],
)
def test_an_unknown_key_names_file_and_nearest(write: Write, text: str, line: str) -> None:
    path = write(text)
    assert problems({"PEPI_CONFIG": path}) == [f"{path}: {line}"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "none.toml")
    (line,) = problems({"PEPI_CONFIG": path})
    assert line == f"{path}: cannot be read (No such file or directory); check PEPI_CONFIG"
    (line,) = problems({"PEPI_CONFIG": str(tmp_path)})
    assert "directory" in line


def test_invalid_toml_names_file_and_line(write: Write, tmp_path: Path) -> None:
    path = write("[source]\n\nqueue = \n")
    (line,) = problems({"PEPI_CONFIG": path})
    assert line.startswith(f"{path}: is not valid TOML")
    assert "line 3" in line
    (tmp_path / "config.toml").write_bytes(b"[source]\nqueue = '\xff'")
    (line,) = problems({"PEPI_CONFIG": path})
    assert line.startswith(f"{path}: is not valid TOML")


# --- URLs and secrets


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "mysql://us%40er:p%2Fw%3A@db.example:3307/ev%20ents",
            ("db.example", 3307, "us@er", "p/w:", "ev ents", None),
        ),
        ("mysql://root@localhost/pepi", ("localhost", 3306, "root", "", "pepi", None)),
        ("mysql://[::1]:33/pepi", ("::1", 33, None, "", "pepi", None)),
        ("mysql://u:a+b@h/p", ("h", 3306, "u", "a+b", "p", None)),
        (
            "mysql://root@/pepi?unix_socket=/run/my%20sql.sock",
            ("localhost", 3306, "root", "", "pepi", "/run/my sql.sock"),
        ),
    ],
)
def test_connect_args(url: str, expected: tuple[object, ...]) -> None:
    names = ("host", "port", "user", "password", "db", "unix_socket")
    args = load_settings({"DATABASE_URL": url}).database.connect_args()
    assert args == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("mysql://root:hunter2@h", "one database name"),
        ("mysql://root:hunter2@h/", "one database name"),
        ("mysql://root:hunter2@h/a/b", "one database name"),
        ("postgres://root:hunter2@h/a", "mysql://"),
        ("mysql://root:hunter2@h/a?ssl=true", "?unix_socket="),
        ("mysql://root:hunter2@h:port/a", "not a URL"),
        ("mysql://root:hunter2/x@h/a", "%2F"),
        ("mysql://root:1#hunter2@h/a", "not a URL"),
        ("mysql://root:hunter2@[h/a", "not a URL"),
        ("hunter2", "mysql://"),
    ],
)
def test_a_bad_database_url_is_refused_without_being_shown(url: str, allowed: str) -> None:
    (line,) = problems({"DATABASE_URL": url})
    assert line.startswith("database.url: ")
    assert line.endswith("(from DATABASE_URL)")
    assert allowed in line
    assert SECRET not in line
    unchecked = DatabaseSettings.model_construct(
        url=SecretStr(url), timeout_seconds=1.0, lock_wait_seconds=1
    )
    with pytest.raises(ConfigError) as caught:
        unchecked.connect_args()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://:hunter2@h", "redis:// or rediss:// or unix://"),
        ("redis://:hunter2@h/zero", "database number"),
        ("redis://:hunter2@h:port/0", "not a URL"),
        ("unix://:hunter2@", "socket"),
    ],
)
def test_a_bad_redis_url_is_refused_without_being_shown(url: str, allowed: str) -> None:
    (line,) = problems({"REDIS_URL": url})
    assert allowed in line
    assert SECRET not in line


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:1/2", "unix:///run/r.sock?db=1"])
def test_good_redis_urls(url: str) -> None:
    assert load_settings({"REDIS_URL": url}).redis.url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:hunter2@h:1/0", "redis://:***@h:1/0"),
        ("mysql://root:hunter2@h/db", "mysql://root:***@h/db"),
        ("mysql://root@h/db?unix_socket=/s", "mysql://root@h/db?unix_socket=/s"),
        ("unix://u:hunter2@/s?db=1&password=hunter2", "unix://u:***@/s?db=1&***"),
        ("redis://h/0?password=a&hunter2", "redis://h/0?***&***"),
        ("mysql://root:x@hunter2@h/db", "mysql://***"),
        ("mysql://root:x/hunter2@h/db", "mysql://***"),
        ("mysql://root:x#hunter2@h/db", "mysql://***"),
        ("mysql://root:x?hunter2@h/db", "mysql://***"),
        ("mysql://root:hunter2", "mysql://***"),
        ("hunter2", "***"),
        ("a:hunter2@h://", "***"),
        ("", "***"),
    ],
)
def test_redact_url(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(st.text(min_size=1).map(lambda text: text + SECRET), st.booleans())
def test_no_password_gets_through_redaction(password: str, escaped: bool) -> None:
    text = quote(password, safe="") if escaped else password
    assert SECRET not in redact_url(f"mysql://root:{text}@db.example:3306/pepi")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_password_survives_the_url(password: str) -> None:
    url = f"mysql://root:{quote(password, safe='')}@h/pepi"
    database = DatabaseSettings(url=SecretStr(url), timeout_seconds=1, lock_wait_seconds=1)
    assert database.connect_args()["password"] == password


def test_no_secret_in_describe_or_repr() -> None:
    loaded = load_settings(
        {
            "REDIS_URL": f"redis://:{SECRET}@h/0?password={SECRET}",
            "DATABASE_URL": f"mysql://u:{SECRET}@h/d",
        }
    )
    assert SECRET not in repr(loaded) + str(loaded) + repr(describe(loaded))
    assert ("database.url", "mysql://u:***@h/d", "DATABASE_URL") in describe(loaded)


def test_no_value_is_quoted_in_errors(write: Write) -> None:
    # A URL pasted into the wrong place must not come out either.
    url = f"mysql://u:{SECRET}@h/d"
    path = write(f'[web]\nport = "{url}"\n[sink]\ncolumns = [{{name = "{url}"}}]\n')
    environ = dict.fromkeys(("PORT", "PEPI_SINK__TABLE", "PEPI_WINDOWS", "PEPI_X"), url)
    environ |= {"PEPI_ENRICH__ENRICHERS": f"[{url}", "PEPI_WINDOWS__A__BY": url}
    assert SECRET not in "\n".join(problems(environ) + problems({"PEPI_CONFIG": path}))


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

    spec = importlib.util.spec_from_file_location("fresh_settings", settings.__file__)
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, fresh)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", Spy(os.environ))
        seen.clear()
        spec.loader.exec_module(fresh)
        # pydantic looks for its own switches while it builds a class.
        assert [name for name in seen if not str(name).startswith("PYDANTIC")] == []


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
