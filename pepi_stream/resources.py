"""Where the files that are not Python live: the Lua scripts and the shipped configuration.

A checkout (and an editable install) keeps `lua/` and `config/` at the top of the repository, beside
the package; the wheel carries them inside it, as `pepi_stream/lua` and `pepi_stream/config`.
"""

from __future__ import annotations

from pathlib import Path

from pepi_stream.errors import PepiError

_PACKAGE = Path(__file__).resolve().parent


def lua_dir() -> Path:
    """Return the folder of the Lua scripts.

    Raises:
        PepiError: The installation has no such folder.
    """
    return _folder("lua", _PACKAGE)


def config_dir() -> Path:
    """Return the folder of the shipped TOML files, `pepi.toml` among them.

    Raises:
        PepiError: The installation has no such folder.
    """
    return _folder("config", _PACKAGE)


def _folder(name: str, package: Path) -> Path:
    # The package's own folder first: beside an installed package lies site-packages, where a
    # folder called "config" may well be somebody else's.
    places = (package / name, package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise PepiError(
        f"no folder {name}/ in this installation (looked for {places[0]} and {places[1]}); "
        "install pepi_stream again, or run it from a complete checkout"
    )
