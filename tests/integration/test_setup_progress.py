"""`make setup` says how far pip is, and what it said when it fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pepi_stream.local import status
from pepi_stream.local.errors import LocalError
from pepi_stream.local.packages import Progress, pinned, run_pip

ROOT = Path(__file__).parents[2]
# What pip prints, and what it does to a directory; waiting until what it has told is shown.
PIP = """
import pathlib, signal, sys
signal.alarm(20)
def go_on():
    go.read_bytes()
where, go = map(pathlib.Path, sys.argv[1:])
print("Looking in links: /wheels", flush=True)
print("Collecting aiohttp==3.14.5 (from -r requirements.txt (line 3))", flush=True)
print("  Downloading aiohttp-3.14.5-cp311-cp311-manylinux.whl (1.7 MB)", flush=True)
go_on()
print("Collecting mode-streaming[uvloop]==0.4.1 (from -r requirements.txt (line 4))")
print("Building wheels for collected packages: mode-streaming")
print("  Building wheel for mode-streaming (pyproject.toml): started", flush=True)
go_on()
print("Installing collected packages: aiohttp, mode-streaming", flush=True)
go_on()
(where / "aiohttp-3.14.5.dist-info").mkdir()
go_on()
(where / "mode_streaming-0.4.1.dist-info").mkdir()
print("Successfully installed aiohttp-3.14.5 mode-streaming-0.4.1", flush=True)
"""


def test_each_stage_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_PLAIN_LINE_SECONDS", 0.0)
    where, go = tmp_path / "packages", tmp_path / "go"
    where.mkdir()
    (where / "pip-23.0.dist-info").mkdir()
    os.mkfifo(go)
    awaited = [
        "setup: fetching 1 of 2: aiohttp",
        "setup: building mode-streaming",
        "setup: installing 0 of 2",
        "setup: installing 1 of 2",
    ]
    shown: list[str] = []

    def show(line: status.Line, text: str) -> None:
        shown.append(text)
        if text in awaited:
            go.write_bytes(b"on")

    monkeypatch.setattr(status.Line, "show", show)
    run_pip([sys.executable, "-c", PIP, str(where), str(go)], Progress(2), where)
    assert [text for text in shown if text in awaited] == awaited
    assert len(shown) == len(set(shown)), "nothing is said twice"


def test_a_failure_of_pip_is_told_in_its_own_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--target", str(tmp_path)]
    with pytest.raises(LocalError, match="pip failed with status 1; its messages are above"):
        run_pip([*command, "no-such-package-of-pepi-stream==1.0"], Progress(1), tmp_path)
    assert "No matching distribution found for no-such-package" in capfd.readouterr().err


def test_the_pinned_packages_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# two\nred==1.0\nblue[extra]==2.0\n")
    (tmp_path / "b.txt").write_text("# one more\n-r a.txt\ngreen==3\n")
    assert pinned(tmp_path / "b.txt") == 3
    assert pinned(ROOT / "requirements-dev.txt") > pinned(ROOT / "requirements.txt") > 20
