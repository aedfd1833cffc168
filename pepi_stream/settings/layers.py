"""The three layers of values: they are read, merged with later ones winning, and checked together.

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
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from pepi_stream.errors import ConfigError
from pepi_stream.resources import config_dir
from pepi_stream.settings.models import SettingPath, Settings, WindowSettings, origin_of

_ALIASES: dict[str, SettingPath] = {
    "REDIS_URL": ("redis", "url"),
    "DATABASE_URL": ("database", "url"),
    "PORT": ("web", "port"),
}
_WRONG_KIND = {
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "tuple_type": "should be a list",
}
# What tomllib quotes of the file, but for a single character.
_QUOTED = re.compile(r"'[^']{3,}'|\"[^\"]{3,}\"")


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


def _type_at(path: SettingPath) -> Any:
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
        self.origins: dict[SettingPath, str] = {}
        self.problems: list[str] = []

    def add_file(self, path: Path, origin: str) -> None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problem = f"{path}: cannot be read ({error.strerror}); check PEPI_CONFIG"
            raise ConfigError(problem) from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: is not valid TOML: it is not UTF-8") from None
        except ValueError as error:
            problem = _QUOTED.sub("...", str(error))  # a password in the wrong place, perhaps
            raise ConfigError(f"{path}: is not valid TOML: {problem}") from None
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
        paths: dict[str, SettingPath] = {a: path for a, path in _ALIASES.items() if a in env}
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
        self, into: dict[str, Any], update: Mapping[str, Any], origin: str, path: SettingPath
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
        name, origin = ".".join(map(str, path)), origin_of(self.origins, path)
        if detail["type"] == "extra_forbidden":
            section = ".".join(map(str, path[:-1]))
            hint = _nearest(str(path[-1]), _type_at(path[:-1]).model_fields)
            return f"{origin}: [{section}] {path[-1]} is not a setting{hint}"
        if detail["type"] == "missing":
            return f"{name} is missing (from {origin})"
        message = _WRONG_KIND.get(detail["type"], detail["msg"])
        message = message.removeprefix("Value error, ").removeprefix("Input ")
        return f"{name}: {message[0].lower() + message[1:]} (from {origin})"
