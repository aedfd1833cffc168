"""A script that does something else has another version, or somebody said that it need not.

Workers of different releases run the scripts side by side, on the same keys. ``fingerprints.txt``
has the SHA-256 of every script's code, without comments and blank lines, under its version.
"""

import hashlib
import re
from pathlib import Path

import pytest

from pepi_stream.claims.protocol import PROTOCOL
from pepi_stream.resources import lua_dir

RECORD = Path(__file__).with_name("fingerprints.txt")
FILES = sorted(lua_dir().glob("*.lua"))
NOT_OF_THE_PROTOCOL = {"lrange"}
_STRING_OR_COMMENT = re.compile(r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|--[^\n]*")

every_script = pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)


def recorded() -> set[str]:
    lines = map(str.strip, RECORD.read_text("utf-8").splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def version(text: str) -> int:
    match = re.match(r"-- \S+\.lua \(version (\d+)\)\n", text)
    assert match, "the first line of a script is '-- name.lua (version n)'"
    return int(match[1])


def line_of(name: str, text: str) -> str:
    code = _STRING_OR_COMMENT.sub(lambda match: match[1] or "", text)
    lines = [line.strip() for line in code.splitlines()]
    digest = hashlib.sha256("\n".join(filter(None, lines)).encode()).hexdigest()
    return f"{name} {version(text)} {digest}"


@every_script
def test_a_script_of_the_protocol_has_its_version(path: Path) -> None:
    if path.stem not in NOT_OF_THE_PROTOCOL:
        assert version(path.read_text("utf-8")) == PROTOCOL, (
            f"{path.name} and PROTOCOL in pepi_stream/claims/protocol.py are raised together: "
            "see docs/decisions/0007-versions.md"
        )


@every_script
def test_the_code_of_a_script_is_the_one_recorded_under_its_version(path: Path) -> None:
    line = line_of(path.stem, path.read_text("utf-8"))
    assert line in recorded(), (
        f"\n{path.name} does not do what its version does. Workers of the last release may run "
        "theirs beside it, on the same keys. If both still keep every promise, replace its line "
        f"in tests/lua/{RECORD.name} with\n\n{line}\n\nIf not, raise the version: "
        "docs/decisions/0007-versions.md says how."
    )


def test_every_recorded_line_is_of_a_script() -> None:
    assert len(recorded()) == len(FILES)
    assert {line.split()[0] for line in recorded()} == {path.stem for path in FILES}


def test_comments_and_blank_lines_do_not_count_and_code_and_strings_do() -> None:
    head = "-- a.lua (version 1)\n"
    same = line_of("a", f"{head}local x = '--' .. ARGV[1]\nreturn x\n")
    assert line_of("a", f"{head}-- why\n\n  local x = '--' .. ARGV[1] -- so\nreturn x") == same
    for other in ("local x = '--!' .. ARGV[1]\nreturn x", "local x = '--' .. ARGV[2]\nreturn x"):
        assert line_of("a", head + other) != same
