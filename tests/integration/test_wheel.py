"""The wheel: what a user installs has the scripts and the defaults in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_scripts_and_configuration_and_runs_without_the_checkout(
    tmp_path: Path,
) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"),
            *("--disable-pip-version-check", "-w", str(tmp_path), str(ROOT)),
        ],
        check=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    assert not (installed / "pepi_stream" / "local").exists()  # it is for a checkout
    for folder in ("lua", "config"):
        shipped = {p.name for p in (installed / "pepi_stream" / folder).iterdir()}
        assert shipped == {p.name for p in (ROOT / folder).iterdir()}
    static = Path("pepi_stream", "web", "static")
    pages = {p.relative_to(installed) for p in (installed / static).rglob("*") if p.is_file()}
    assert pages == {p.relative_to(ROOT) for p in (ROOT / static).rglob("*") if p.is_file()}
    assert {static / "live.html", static / "login.css"} <= pages
    code = (
        "from pepi_stream.claims.scripts import Scripts; Scripts();"
        "from pepi_stream.settings import load_settings;"
        "from pepi_stream.pipeline import Pipeline; Pipeline.from_settings(load_settings({}));"
        "import pepi_stream; print(pepi_stream.__file__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(ran.stdout.strip()).is_relative_to(installed)
