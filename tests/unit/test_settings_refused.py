"""What settings are refused: each problem in one line that names the setting, never the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from pepi_stream.errors import ConfigError
from pepi_stream.settings import DatabaseSettings, load_settings

SECRET = "hunter2"
Write = Callable[[str], str]


def problems(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    # Nothing chained either: a traceback prints the causes, and pydantic's hold the values.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value).splitlines()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a TOML file and return its path."""

    def save(text: str) -> str:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return save


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("PEPI_SOURCE__CLAIM_MAX", "0", "greater than or equal to 1"),
        ("PEPI_SOURCE__CLAIM_MAX", "many", "valid integer"),
        ("PEPI_SOURCE__CLAIM_MAX", "1.5", "valid integer"),
        ("PEPI_SOURCE__CLAIM_MAX", "true", "valid integer"),
        ("PEPI_SOURCE__QUEUE", "{q}", "should not hold { or }"),
        ("PEPI_SOURCE__QUEUE", "q}", "should not hold { or }"),
        ("PEPI_SOURCE__PAYLOAD_MAX_BYTES", "1023", "greater than or equal to 1024"),
        ("PEPI_SOURCE__PAYLOAD_MAX_BYTES", "536870913", "less than or equal to 536870912"),
        ("PEPI_SOURCE__PAYLOAD_MAX_EVENTS", "0", "greater than or equal to 1"),
        ("PEPI_SOURCE__PAYLOAD_MAX_EVENTS", "100001", "less than or equal to 100000"),
        ("PEPI_SOURCE__FORMAT", "a:b:c", "module:attr"),
        ("PEPI_SOURCE__LEASE_SECONDS", "2.9", "greater than or equal to 3"),
        ("PEPI_SOURCE__LEASE_SECONDS", "nan", "finite number"),
        ("PEPI_SOURCE__MAX_IN_FLIGHT", "0", "greater than or equal to 1"),
        ("PEPI_REDIS__TIMEOUT_SECONDS", "0", "greater than 0"),
        ("PEPI_DATABASE__LOCK_WAIT_SECONDS", "0", "greater than or equal to 1"),
        ("PEPI_ENRICH__ENRICHERS", "a,,b", "built-in's name"),
        ("PEPI_ENRICH__ENRICHERS", "[a", "valid JSON"),
        ("PEPI_INGEST__FORMATS", "plain,gmail", "'sparkpost' or 'plain'"),
        ("PEPI_INGEST__FORMATS", "plain,plain", "same name twice"),
        ("PEPI_INGEST__MAX_BYTES", "1023", "greater than or equal to 1024"),
        ("PEPI_INGEST__SES_TOPIC_ARNS", "arn:aws:sns:eu-west-1:1:x", "the ARN of an SNS topic"),
        ("PEPI_INGEST__PLAIN_BASIC", "hooks:0123456789abcde", "openssl rand -hex 24"),
        ("PEPI_INGEST__PEPIPOST_BASIC", ":0123456789abcdef", "user:password"),
        ("PEPI_INGEST__POSTMARK_BASIC", "0123456789abcdefgh", "user:password"),
        ("PEPI_INGEST__SPARKPOST_BASIC", "user:0123456789 abcdef", "user:password"),
        ("PEPI_INGEST__MAILGUN_SIGNING_KEY", "0123456789abcde", "at least 16 characters"),
        ("PEPI_WEB__TOKEN", "0123456789abcde", "openssl rand -hex 24"),
        ("PEPI_WEB__TOKEN", "0123456789abcdef gh", "at least 16 characters"),
        ("PEPI_WEB__TOKEN", "0123456789abcdé", "signs of ASCII"),
        ("PEPI_WEB__TOKEN", "x" * 513, "512 at most"),
        ("PEPI_WEB__TRUSTED_PROXIES", "10.0.0.7,lb.local", "an IP address or a network"),
        ("PEPI_WEB__TRUSTED_PROXIES", "10.0.0.7/8", "an IP address or a network"),
        ("PEPI_WEB__PUBLIC", "perhaps", "valid boolean"),
        ("PEPI_WEB__ROWS", "49", "greater than or equal to 50"),
        ("PEPI_WEB__ROWS", "10001", "less than or equal to 10000"),
        ("PEPI_WEB__CLIENTS", "0", "greater than or equal to 1"),
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
    path = write("[source]\nPLANTED = {PLANTED = 1, PLANTED = 2}\n[PLANTED]\n[PLANTED]\n")
    (line,) = problems({"PEPI_CONFIG": path})
    assert "Duplicate inline table key ..." in line
    path = write("[PLANTED]\n[PLANTED]\n")
    (line,) = problems({"PEPI_CONFIG": path})
    assert "PLANTED" not in line
    (tmp_path / "config.toml").write_bytes(b"[source]\nqueue = '\xff'")
    (line,) = problems({"PEPI_CONFIG": path})
    assert line.startswith(f"{path}: is not valid TOML")


def test_half_a_window_is_refused() -> None:
    assert problems({"PEPI_WINDOWS__TEN__SECONDS": "10"}) == [
        "windows.ten.by is missing (from PEPI_WINDOWS__TEN__SECONDS)"
    ]


# --- URLs and secrets


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


def test_no_value_is_quoted_in_errors(write: Write) -> None:
    # A URL pasted into the wrong place must not come out either.
    url = f"mysql://u:{SECRET}@h/d"
    path = write(f'[web]\nport = "{url}"\n[sink]\ncolumns = [{{name = "{url}"}}]\n')
    environ = dict.fromkeys(("PORT", "PEPI_SINK__TABLE", "PEPI_WINDOWS", "PEPI_X"), url)
    environ |= {"PEPI_ENRICH__ENRICHERS": f"[{url}", "PEPI_WINDOWS__A__BY": url}
    assert SECRET not in "\n".join(problems(environ) + problems({"PEPI_CONFIG": path}))
