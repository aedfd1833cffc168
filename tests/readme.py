"""What README.md tells people to type, for tests that do exactly that."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def _blocks(language: str) -> list[str]:
    """Return the texts of the fenced blocks of the section Security, in order."""
    section = README.read_text(encoding="utf-8").partition("\n## Security\n")[2]
    parts = re.split(r"^```(.*)\n", section.partition("\n## ")[0], flags=re.MULTILINE)
    # Text, language, block, "" (of the closing fence), text, ...
    return [block for name, block in zip(parts[1::4], parts[2::4], strict=True) if name == language]


def acl_commands() -> list[list[str]]:
    """Return the words of each `ACL SETUSER` line in the section Security, in order."""
    lines = [line for block in _blocks("") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("ACL SETUSER ")]


def sql_blocks() -> list[list[str]]:
    """Return the statements of each block of SQL in the section Security, in order."""
    return [
        [statement.strip() for statement in block.split(";\n") if statement.strip()]
        for block in _blocks("sql")
    ]
