"""Settings: the packaged config/pepi.toml, then the file in PEPI_CONFIG, then the environment.

`load_settings` reads the three layers, later ones winning, and returns one frozen `Settings`.
Nothing is read or built at import. All defaults are in config/pepi.toml; the models hold bounds.

pydantic-settings turns a variable's name and text into a value of the right shape, one variable at
a time. The layering is done here, because its sources take no mapping, ignore unknown names and
missing files, cannot replace a table whole (`windows`), and do not say where a value came from.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pepi_stream.errors import ConfigError
from pepi_stream.resources import config_dir

_Path = tuple[str | int, ...]

_ALIASES: dict[str, _Path] = {
    "REDIS_URL": ("redis", "url"),
    "DATABASE_URL": ("database", "url"),
    "PORT": ("web", "port"),
}
_NO_URL = "is not a URL; percent-encode special characters in the password (@ is %40, / is %2F)"
_WRONG_KIND = {
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "tuple_type": "should be a list",
}


def _no_bool(value: object) -> object:
    # pydantic would take true for 1.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _matching(pattern: str, allowed: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"should be {allowed}")
        return text

    return AfterValidator(check)


def _split(url: str, *schemes: str) -> SplitResult:
    # The standard library's own messages quote the text, password and all: none may get out.
    try:
        parts = urlsplit(url)
        valid = parts.port != 0 and not parts.fragment
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(_NO_URL) from None
    if parts.scheme not in schemes:
        raise ValueError(f"should start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return parts


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    # Compared as MySQL compares column names: without regard to case.
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("should not have the same name twice")
    return names


def redact_url(url: str) -> str:
    """Return `url` fit to be shown: scheme, user, host, port and path, without any password.

    Query values other than db and unix_socket are hidden as well. Where it is not certain which
    part is the password (an unescaped @ or / in it, say), only the scheme is left.
    """
    scheme, mark, _ = url.partition("://")
    if not mark or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return "***"
    try:
        parts = _split(url, scheme.lower())
    except ValueError:
        return f"{scheme}://***"
    if url.count("@") > parts.netloc.count("@") or parts.netloc.count("@") > 1:
        return f"{scheme}://***"
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    items = parts.query.split("&") if parts.query else []
    shown = [item if item.startswith(("db=", "unix_socket=")) else "***" for item in items]
    query = "?" + "&".join(shown) if shown else ""
    return f"{scheme}://{name}{colon}{'***' if colon else ''}{at}{host}{parts.path}{query}"


def _mysql_args(url: str) -> dict[str, Any]:
    parts = _split(url, "mysql")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    # Better refused than ignored: the next one along is ssl=true.
    if query.keys() - {"unix_socket"}:
        raise ValueError("should have no parameter but ?unix_socket=")
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in parts.path[1:]:
        raise ValueError("should end in one database name, as in mysql://user@host:3306/pepi")
    return {
        "host": unquote(parts.hostname or "localhost"),
        "port": parts.port or 3306,
        "user": None if parts.username is None else unquote(parts.username),
        "password": unquote(parts.password or ""),
        "db": database,
        "unix_socket": query.get("unix_socket") or None,
    }


_Int = Annotated[int, BeforeValidator(_no_bool)]
_Float = Annotated[float, BeforeValidator(_no_bool)]
_SqlName = Annotated[
    str, _matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "an SQL name: 1 to 64 letters, digits and _")
]
_Reference = Annotated[
    str,
    _matching(
        r"[A-Za-z_]\w*|[A-Za-z_][\w.]*:[A-Za-z_]\w*",
        "a built-in's name, or module:attr for your own",
    ),
]
_WindowName = Annotated[
    str, _matching(r"[a-z][a-z0-9_]{0,40}", "1 to 41 lower-case letters, digits and _")
]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )


class RedisSettings(_Section):
    """The Redis server that holds the queue and its claims."""

    url: SecretStr
    """redis://, rediss:// (TLS) or unix:// address; may hold a password."""
    timeout_seconds: Annotated[_Float, Field(gt=0, le=300)]
    """Seconds to wait for a connection or a reply."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        parts = _split(url.get_secret_value(), "redis", "rediss", "unix")
        if parts.scheme == "unix" and not parts.path.strip("/"):
            raise ValueError("should name a socket, as in unix:///run/redis.sock")
        # redis-py silently takes database 0 for a path that is not a number.
        if parts.scheme != "unix" and not re.fullmatch(r"(/[0-9]*)?", parts.path):
            raise ValueError("should end in a database number, as in redis://localhost:6379/0")
        return url


class DatabaseSettings(_Section):
    """The MySQL or MariaDB server that events end in."""

    url: SecretStr
    """mysql://user:password@host:port/database address, or with ?unix_socket=."""
    timeout_seconds: Annotated[_Float, Field(gt=0, le=300)]
    """Seconds to wait for a connection."""
    lock_wait_seconds: Annotated[_Int, Field(ge=1, le=3600)]
    """Whole seconds a statement waits for a row lock (innodb_lock_wait_timeout)."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        _mysql_args(url.get_secret_value())
        return url

    def connect_args(self) -> dict[str, Any]:
        """Return host, port, user, password, db and unix_socket, as `aiomysql.connect` takes them.

        user is None when the URL has none (the login name is then used), as is unix_socket.

        Raises:
            ConfigError: The URL is not usable, for example without a database name. Settings that
                were validated never raise it.
        """
        try:
            return _mysql_args(self.url.get_secret_value())
        except ValueError as error:
            raise ConfigError(f"database.url {error}") from None


class SourceSettings(_Section):
    """What is taken from Redis, and how."""

    queue: Annotated[str, Field(min_length=1, max_length=512)]
    """The Redis list of payloads; without { and }."""
    format: _Reference
    """How payloads are read: a built-in format or module:attr."""
    claim_max: Annotated[_Int, Field(ge=1, le=1_000_000)]
    """Payloads in a claim, at most."""
    claim_max_bytes: Annotated[_Int, Field(ge=1, le=512 * 2**20)]
    """Bytes in a claim, at most (but at least one payload)."""
    max_in_flight: Annotated[_Int, Field(ge=1, le=10_000)]
    """Claims a worker holds open at once."""
    lease_seconds: Annotated[_Float, Field(ge=3, le=3600)]
    """Seconds a claim is kept without a renewal. Three leave time to renew it more than once."""
    recover_seconds: Annotated[_Float, Field(ge=0.05, le=3600)]
    """Seconds between two looks for expired claims."""
    max_deliveries: Annotated[_Int, Field(ge=1, le=1000)]
    """Deliveries after which a claim is processed record by record."""

    @field_validator("queue")
    @classmethod
    def _check_queue(cls, queue: str) -> str:
        if "{" in queue or "}" in queue:
            raise ValueError("should not hold { or }: {queue} is the Redis Cluster hash tag")
        return queue


class EnrichSettings(_Section):
    """What is worked out from each event."""

    enrichers: tuple[_Reference, ...]
    """Built-in enrichers or module:attr, in the order they run."""


class WindowSettings(_Section):
    """One tumbling window; its name is the key in `Settings.windows`."""

    seconds: Annotated[_Int, Field(ge=1, le=86_400)]
    """Length in whole seconds; divides a day."""
    by: Annotated[tuple[_SqlName, ...], Field(max_length=8), AfterValidator(_distinct)]
    """Event fields to count apart."""

    @field_validator("seconds")
    @classmethod
    def _check_seconds(cls, seconds: int) -> int:
        if 86_400 % seconds:
            raise ValueError("should divide a day (86400), so that windows start at midnight UTC")
        return seconds


class ColumnSetting(_Section):
    """One column of the event table; a plain string in the settings stands for one of these."""

    name: _SqlName
    """The SQL column."""
    value: _Reference
    """What goes in: a built-in column or module:attr. The built-in `name` when left out."""
    type: Annotated[str, Field(min_length=1, max_length=200)] | None
    """SQL type for the DDL; None for the built-in's own."""

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, entry: object) -> object:
        if isinstance(entry, str):
            # "module:attr" makes a column named attr.
            entry = {"name": entry.rpartition(":")[2], "value": entry}
        if isinstance(entry, dict):
            defaults = {"value": entry["name"]} if "name" in entry else {}
            entry = {"type": None} | defaults | entry
        return entry


class SinkSettings(_Section):
    """How events are written to MySQL."""

    table: _SqlName
    """The table of the event rows."""
    columns: tuple[ColumnSetting, ...]
    """The table's columns, in order."""
    max_rows: Annotated[_Int, Field(ge=1, le=1_000_000)]
    """Rows that start a flush."""
    max_bytes: Annotated[_Int, Field(ge=1024, le=2**30)]
    """Bytes of one statement, at most; 1 GiB is the largest max_allowed_packet."""
    max_age_seconds: Annotated[_Float, Field(ge=0, le=60)]
    """Seconds the oldest claim waits before a flush; 0 flushes at once."""
    connections: Annotated[_Int, Field(ge=1, le=64)]
    """Connections that write at the same time."""
    retry_max_seconds: Annotated[_Float, Field(ge=0.05, le=3600)]
    """Seconds between two tries, at most."""
    ledger_retention_days: Annotated[_Int, Field(ge=1, le=3650)]
    """Days a claim id is remembered; a day is 24 of the longest leases."""

    @field_validator("table")
    @classmethod
    def _check_table(cls, table: str) -> str:
        if re.fullmatch(r"pepi_(claim|dead_letter|window_\w*)", table, re.IGNORECASE):
            raise ValueError("should not be pepi_claim, pepi_dead_letter or pepi_window_*")
        return table

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: tuple[ColumnSetting, ...]) -> tuple[ColumnSetting, ...]:
        # Not a min_length: pydantic would count the entries that survived, and complain twice.
        if not columns:
            raise ValueError("should have at least 1 column")
        _distinct(tuple(column.name for column in columns))
        return columns


class WebSettings(_Section):
    """The page, the probes and the metrics."""

    bind: Annotated[str, Field(min_length=1)]
    """Address or host name to listen on."""
    port: Annotated[_Int, Field(ge=1, le=65_535)]
    """TCP port."""


class WorkerSettings(_Section):
    """The life of a worker process."""

    drain_seconds: Annotated[_Float, Field(ge=0, le=3600)]
    """Seconds a stopping worker may spend on the claims it holds."""


class Settings(BaseSettings):
    """Every setting, checked and frozen. Made by `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis: RedisSettings
    database: DatabaseSettings
    source: SourceSettings
    enrich: EnrichSettings
    windows: dict[_WindowName, WindowSettings]
    """By name, which ends the window's table: pepi_window_<name>."""
    sink: SinkSettings
    web: WebSettings
    worker: WorkerSettings

    _origins: dict[_Path, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller only: the layers are merged before the model is built."""
        return (init_settings,)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the packaged defaults, the file named in PEPI_CONFIG and the environment.

    Args:
        environ: Stands in for `os.environ`.

    Raises:
        ConfigError: A name is unknown, a value is not allowed or a file cannot be read; one line
            per problem, each with the setting and where its value came from, never the value.
        PepiError: The installation lacks config/pepi.toml's folder.
    """
    given = os.environ if environ is None else environ
    env = {name: text for name, text in given.items() if text.strip()}
    layers = _Layers()
    layers.add_file(config_dir() / "pepi.toml", "default")
    if path := env.pop("PEPI_CONFIG", None):
        layers.add_file(Path(path), path)
    layers.add_environment(env)
    return layers.build()


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """List every setting as (dotted name, value, origin), passwords hidden.

    The origin is "default", the path in PEPI_CONFIG, or a variable's name.
    """
    return [
        (".".join(map(str, path)), _show(value), _origin(settings._origins, path))
        for path, value in _leaves(settings, ())
    ]


def _leaves(value: object, path: _Path) -> Iterator[tuple[_Path, object]]:
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def _show(value: object) -> str:
    if isinstance(value, SecretStr):
        return redact_url(value.get_secret_value())
    if isinstance(value, tuple | dict):
        return json.dumps(value, default=_show_column)
    return str(value)


def _show_column(column: ColumnSetting) -> object:
    plain = column.model_dump(exclude_none=True)
    return column.name if plain == {"name": column.name, "value": column.name} else plain


def _origin(origins: Mapping[_Path, str], path: _Path) -> str:
    known = (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins)
    return next(known, "code")


def _inside(annotation: Any, key: str | int) -> Any:
    """Return the type of `key` inside a type, or None when there is no such key."""
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) is tuple:
        return arguments[0] if isinstance(key, int) else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(key))
        return field.annotation if field else None
    return None


def _type_at(path: _Path) -> Any:
    """Return the type of the setting at `path`, or None when there is no such setting."""
    return functools.reduce(_inside, path, Settings)


def _nearest(name: str, known: Iterable[str], show: str = "{}") -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {show.format(close[0])}?" if close else "; config/pepi.toml lists all"


class _EnvSource(EnvSettingsSource):
    """Reads one variable, given with its name in lower case."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(Settings, env_prefix="pepi_", env_nested_delimiter="__")
        self.env_vars = {name: text}


class _Layers:
    """The values merged so far, where each came from, and what was wrong on the way."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[_Path, str] = {}
        self.problems: list[str] = []

    def add_file(self, path: Path, origin: str) -> None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problem = f"{path}: cannot be read ({error.strerror}); check PEPI_CONFIG"
            raise ConfigError(problem) from None
        except ValueError as error:  # not TOML (with line and column), or not UTF-8
            raise ConfigError(f"{path}: is not valid TOML: {error}") from None
        sections = Settings.model_fields
        for name in [name for name in table if name not in sections]:
            hint = _nearest(name, sections, "[{}]")
            self.problems.append(f"{origin}: [{name}] is not a section{hint}")
            del table[name]
        if "windows" in table:
            self.values.pop("windows", None)
        self._merge(self.values, table, origin, ())

    def add_environment(self, env: Mapping[str, str]) -> None:
        names = [name for name in env if name.upper().startswith("PEPI_")]
        # A whole table before what is inside it; and the aliases before the names they stand for.
        names.sort(key=lambda name: (name.count("__"), name))
        paths: dict[str, _Path] = {a: path for a, path in _ALIASES.items() if a in env}
        paths |= {name: tuple(name[len("PEPI_") :].lower().split("__")) for name in names}
        for name, path in paths.items():
            kind = _type_at(path)
            # A section is no setting by itself, but [windows] is one, and so is each window.
            if kind is None or (len(path) == 1 and path != ("windows",)):
                hint = _nearest(name.upper(), self._variables())
                self.problems.append(f"{name} is not a setting{hint}")
                continue
            keys, text = [str(key) for key in path], env[name].strip()
            if get_origin(kind) is tuple and not text.startswith(("[", "{")):
                text = json.dumps([item.strip() for item in text.split(",")])
            try:
                tree = _EnvSource("pepi_" + "__".join(keys), text)()
            except ValueError:  # its text quotes the value
                tree = {}
            if not tree:  # the source drops a null
                self.problems.append(f"{'.'.join(keys)}: should be valid JSON (from {name})")
                continue
            if path == ("windows",):
                self.values.pop("windows", None)
            self._merge(self.values, tree, name, ())

    def build(self) -> Settings:
        try:
            settings = Settings(**self.values)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            self.problems += [self._explain(detail) for detail in details]
        if self.problems:
            raise ConfigError("\n".join(self.problems))
        settings._origins = self.origins
        return settings

    def _merge(
        self, into: dict[str, Any], update: Mapping[str, Any], origin: str, path: _Path
    ) -> None:
        for key, value in update.items():
            here = (*path, key)
            if not isinstance(value, dict):
                into[key], self.origins[here] = value, origin
                continue
            if not isinstance(into.get(key), dict):
                into[key], self.origins[here] = {}, origin
            self._merge(into[key], value, origin, here)

    def _variables(self) -> Iterator[str]:
        yield from ("PEPI_CONFIG", "PEPI_WINDOWS")
        for section, field in Settings.model_fields.items():
            for key in getattr(field.annotation, "model_fields", ()):
                yield f"PEPI_{section}__{key}".upper()
        windows = self.values.get("windows")
        for window in windows if isinstance(windows, dict) else ():
            for key in WindowSettings.model_fields:
                yield f"PEPI_WINDOWS__{window}__{key}".upper()

    def _explain(self, detail: ErrorDetails) -> str:
        path = tuple(key for key in detail["loc"] if key != "[key]")
        name, origin = ".".join(map(str, path)), _origin(self.origins, path)
        if detail["type"] == "extra_forbidden":
            section = ".".join(map(str, path[:-1]))
            hint = _nearest(str(path[-1]), _type_at(path[:-1]).model_fields)
            return f"{origin}: [{section}] {path[-1]} is not a setting{hint}"
        if detail["type"] == "missing":
            return f"{name} is missing (from {origin})"
        message = _WRONG_KIND.get(detail["type"], detail["msg"])
        message = message.removeprefix("Value error, ").removeprefix("Input ")
        return f"{name}: {message[0].lower() + message[1:]} (from {origin})"
