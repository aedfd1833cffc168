"""The one loader of rule files: what is wrong with a file is named, with its line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pepi_stream.enrich.rule_files import RuleFile, load_rule_files
from pepi_stream.errors import ConfigError


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    numbers: int | list[int] = []


def rules(text: str) -> list[tuple[Rule, int]]:
    return list(RuleFile(Path("my.toml"), text).rules(Rule))


def test_rules_know_their_lines() -> None:
    found = rules('# a\n[[rule]]\nname = "a"\n\n  [[ rule ]] # b\nname = "b"\nnumbers = 5\n')
    assert found == [(Rule("a"), 2), (Rule("b", 5), 5)]
    assert rules("") == []
    assert rules('rule = [\n{name = "a"}]') == [(Rule("a"), 1)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a = 1\nb == 2\n", 2, "is not valid TOML: Invalid value; see https://toml.io"),
        ('[[rule]]\nname = "a', 2, "is not valid TOML: "),
        ("replace = 1", 1, "replace must be true or false"),
        ("\nrules = 1", 2, "rules is not known here; rules begin with [[rule]]"),
        ("[rule]\nname = 'a'", 1, "rules begin with [[rule]], in double brackets"),
        ("rule = [5]", 1, "a rule must be a table"),
        ("[[rule]]\nname = 'a'\n[[rule]]\nname = 5", 4, "name must be a text"),
        ("[[rule]]\nname = 'a'\nnumbers = ['x']", 3, "numbers must be a number"),
        ("[[rule]]\nname = 'a'\nnumbers = 'x'", 3, "numbers must be a number or list"),
        ("[[rule]]\nnumbers = 1", 1, "the rule has no name"),
        ("[[rule]]\nname = 'a'\nnumber = 1", 3, "number is not a key of a rule; known: name, "),
    ],
)
def test_what_is_wrong_has_a_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(text)
    assert str(caught.value).startswith(f"my.toml:{line}: {says}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(ConfigError, match=r"^enrich\.x: .*missing\.toml cannot be read \(No such"):
        load_rule_files("enrich.x", str(missing), "bounce_rules.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_rule_files("enrich.x", str(tmp_path), "bounce_rules.toml")
    missing.write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_rule_files("enrich.x", str(missing), "bounce_rules.toml")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    """A mark of Windows' editors before the text is none of it; U+2028 ends no line of TOML."""
    own = tmp_path / "own.toml"
    own.write_bytes("\ufeff# \u2028 \x85\r\n[[rule]]\r\nname = 5\r\n".encode())
    file = load_rule_files("s", str(own), "bounce_rules.toml")[0]
    with pytest.raises(ConfigError, match=r"own\.toml:3: name must be a text"):
        list(file.rules(Rule))


def test_the_users_file_comes_first_and_may_stand_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("")
    names = [f.path.name for f in load_rule_files("s", str(own), "bounce_rules.toml")]
    assert names == ["own.toml", "bounce_rules.toml"]
    own.write_text("replace = true")
    assert [f.path for f in load_rule_files("s", str(own), "bounce_rules.toml")] == [own]
    assert [f.path.name for f in load_rule_files("s", "", "bounce_rules.toml")] == [names[1]]
