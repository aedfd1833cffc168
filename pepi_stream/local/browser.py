"""Find Chromium, which the browser tests drive; install it from Debian packages if missing."""

import os
import shutil
import sys
from pathlib import Path

from pepi_stream.local.errors import ServerMissingError
from pepi_stream.local.install import apt_install

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_INSTALL = "install Chromium or Chrome, or name one in CHROMIUM=/path/to/it"


def find_browser() -> Path:
    """Return the path of the browser: what CHROMIUM names, or the system's Chromium or Chrome.

    Raises:
        ServerMissingError: there is none.
    """
    if named := os.environ.get("CHROMIUM"):
        found = shutil.which(named)
        if found is None:
            raise ServerMissingError(f"CHROMIUM={named} is no program; {_INSTALL}")
        return Path(found)
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    if sys.platform == "darwin" and _MAC.exists():
        return _MAC
    raise ServerMissingError(f"the browser tests need Chromium: {_INSTALL}")


def ensure_browser() -> None:
    """Install Chromium where no browser is.

    Raises:
        ServerMissingError: it could not be installed; says what to do.
    """
    try:
        find_browser()
    except ServerMissingError:
        if os.environ.get("CHROMIUM") or sys.platform == "darwin" or not shutil.which("apt-get"):
            raise
        apt_install(["chromium"])
        find_browser()
