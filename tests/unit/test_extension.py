"""Names of the form module:attr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pepi_stream.errors import ConfigError
from pepi_stream.extension import load_attr, make
from pepi_stream.formats.plain import PlainFormat
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import load_settings


def test_it_returns_what_the_name_says() -> None:
    assert load_attr("json:loads", "source.format") is json.loads
    assert load_attr("pathlib:Path", "source.format") is Path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such:f", "a.b: cannot import 'no_such' (ModuleNotFoundError: No module named"),
        ("json.no_such:f", "a.b: cannot import 'json.no_such'"),
        ("json:no_such", "a.b: module 'json' has no 'no_such'"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_attr(name, "a.b")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def (", "py:1)"),
        ("\n1 / 0", "py:2)"),
        ("raise ValueError('PLANTED')", "(ValueError, raised at "),
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
    ],
)
def test_a_module_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    name = f"broken_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=f"cannot import '{name}'") as caught:
        load_attr(f"{name}:f", "source.format")
    assert message in str(caught.value)
    assert "PYTHONPATH" in str(caught.value)
    assert "PLANTED" not in str(caught.value)


class FussyFormat(PlainFormat):
    def __init__(self) -> None:
        raise OSError("no such file")


class Fussy:
    def __init__(self, path: str) -> None:
        raise AssertionError("never called without it")


def test_a_class_that_cannot_be_made() -> None:
    assert make(dict, "builtins:dict", "a.b") == {}
    with pytest.raises(ConfigError, match=r"^a\.b: here:Fussy could not be made \(TypeE"):
        make(Fussy, "here:Fussy", "a.b")
    for environ in (
        {"PEPI_SOURCE__FORMAT": f"{__name__}:FussyFormat"},
        {"PEPI_ENRICH__ENRICHERS": f"{__name__}:Fussy"},
    ):
        with pytest.raises(ConfigError, match="could not be made"):
            Pipeline.from_settings(load_settings(environ))
