"""Reads the TOML files that enrichers take their rules from: ours in ``config/``, and a user's.

A user's file is looked at before ours and wins where both speak, so that five lines of one's own
are enough; ``replace = true`` at its top leaves ours out. What is wrong with a file is a
ConfigError that names the file, the line and the remedy.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from pepi_stream.errors import ConfigError
from pepi_stream.resources import config_dir

T = TypeVar("T")

_SYNTAX = re.compile(r"^(.*) \(at line (\d+), column \d+\)$", re.S)
_EXPECTED = re.compile(r"^Expected `(.+?)`(?:, got `(.+?)`)?")
_KINDS = {"array": "list", "object": "table", "str": "text", "int": "number"}


class RuleFile:
    """One parsed file.

    Args:
        path: where it lies, for messages.
        text: what is in it.

    Attributes:
        table: its top level, without ``replace``.
        replace: whether it stands instead of ours.
        own: whether it is a user's.

    Raises:
        ConfigError: the text is not TOML, or ``replace`` is neither true nor false.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.own = path.parent != config_dir()
        self._lines = text.removesuffix("\n").split("\n")  # what TOML counts, unlike splitlines()
        try:
            self.table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            found = _SYNTAX.match(str(exc))
            what, line = (found[1], int(found[2])) if found else (str(exc), len(self._lines))
            self.refuse(line, f"is not valid TOML: {what}; see https://toml.io")
        self.replace = self.table.pop("replace", False)
        if not isinstance(self.replace, bool):
            self.refuse(self.line("replace"), "replace must be true or false")

    def refuse(self, line: int, problem: str) -> NoReturn:
        """Raise a ConfigError about a line of the file, counted from 1."""
        raise ConfigError(f"{self.path}:{line}: {problem}")

    def line(self, key: str, start: int = 1) -> int:
        """Return the first line from ``start`` on that sets ``key``, or ``start``."""
        sets = re.compile(rf"""\s*(["']?){re.escape(key)}\1\s*=""")
        lines = enumerate(self._lines[start - 1 :], start)
        return next((number for number, line in lines if sets.match(line)), start)

    def line_of(self, value: str, start: int = 1) -> int:
        """Return the first line from ``start`` on that quotes ``value``, or ``start``."""
        lines = enumerate(self._lines[start - 1 :], start)
        quoted = (f'"{value}"', f"'{value}'")
        return next((n for n, line in lines if any(q in line for q in quoted)), start)

    def line_of_table(self, name: str) -> int:
        """Return the line of the header ``[name]``, or of what sets it, or 1."""
        header = re.compile(rf"\s*\[\s*{re.escape(name)}\s*\]")
        lines = enumerate(self._lines, 1)
        return next((n for n, line in lines if header.match(line)), self.line(name))

    def rules(self, kind: type[T], also: str = "") -> Iterator[tuple[T, int]]:
        """Read the file's ``[[rule]]`` tables, in order.

        Args:
            kind: a msgspec Struct that forbids unknown fields.
            also: a table that the file may have beside them.

        Yields:
            Each rule, and the line where it begins.

        Raises:
            ConfigError: a table or key is unknown or missing, or has a value of the wrong kind.
        """
        for name in self.table:
            if name not in ("rule", also):
                self.refuse(self.line(name), f"{name} is not known here; rules begin with [[rule]]")
        tables = self.table.get("rule", [])
        if not isinstance(tables, list):
            self.refuse(self.line("rule"), "rules begin with [[rule]], in double brackets")
        header = re.compile(r"\s*\[\[\s*rule\s*\]\]")
        starts = [n for n, line in enumerate(self._lines, 1) if header.match(line)]
        for number, table in enumerate(tables):
            start = starts[number] if len(starts) == len(tables) else self.line("rule")
            yield self._rule(kind, table, start), start

    def _rule(self, kind: type[T], table: Any, start: int) -> T:
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as exc:
            what = str(exc)
        known = ", ".join(f.encode_name for f in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        if unknown := re.match(r"Object contains unknown field `(.+?)`", what):
            problem = f"{unknown[1]} is not a key of a rule; known: {known}"
            self.refuse(self.line(unknown[1], start), problem)
        if missing := re.match(r"Object missing required field `(.+?)`", what):
            self.refuse(start, f"the rule has no {missing[1]}")
        key = match[1] if (match := re.search(r"at `\$\.(\w+)", what)) else ""
        if expected := _EXPECTED.match(what):
            wanted = " or ".join(_KINDS.get(k, k) for k in expected[1].split(" | "))
            what = f"must be a {wanted}" + (" (or several of them)" if "[...]" in str(what) else "")
        else:
            what = what.partition(" - at ")[0]
            what = f"is not allowed: {what[:1].lower()}{what[1:]}"
        self.refuse(self.line(key, start), f"{key or 'a rule'} {what}")


def load_rule_files(setting: str, path: str, ours: str) -> list[RuleFile]:
    """Return the files to take rules from, the one that wins first.

    Args:
        setting: the setting that names the user's file, for messages.
        path: the user's file; empty for none.
        ours: name of our file in ``config/``.

    Raises:
        ConfigError: a file cannot be read, or is not TOML.
    """
    packaged = config_dir() / ours
    files = []
    if path:
        try:
            text = Path(path).read_text("utf-8-sig")
        except OSError as exc:
            raise ConfigError(
                f"{setting}: {path} cannot be read ({exc.strerror}); name a TOML file like "
                f"{packaged}, or leave the setting empty"
            ) from None
        except UnicodeDecodeError as exc:
            raise ConfigError(
                f"{path}: is not UTF-8 text (at byte {exc.start}); save it as UTF-8"
            ) from None
        files.append(RuleFile(Path(path), text))
    if not any(file.replace for file in files):
        files.append(RuleFile(packaged, packaged.read_text("utf-8")))
    return files
