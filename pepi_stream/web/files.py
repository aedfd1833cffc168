"""The files of the page: read once, at start, and served from memory, by name."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from aiohttp import hdrs, web

PAGE: Final = "live.html"
STYLE_OF_LOGIN: Final = "login.css"

_FOLDER = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".woff2": "font/woff2",
}
# What of the page is there only with a token.
_LOG_OUT: Final = re.compile(rb"<!-- log out -->.*?<!-- /log out -->", re.DOTALL)
# Short: after an upgrade, a page and its scripts must soon be of one release again.
_CACHING: Final = "private, max-age=60"


@dataclass(frozen=True)
class File:
    """One file, as it is sent."""

    content_type: str
    body: bytes
    etag: str

    def answer(self, request: web.Request) -> web.Response:
        """Return the file, or 304 to somebody who has it already."""
        headers = {hdrs.ETAG: self.etag, hdrs.CACHE_CONTROL: _CACHING}
        known = request.headers.get(hdrs.IF_NONE_MATCH, "")
        if self.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = self.content_type
        return web.Response(body=self.body, headers=headers)


class Files:
    """The files in the folder, by name; of folders in it, by path.

    Args:
        folder: where they are; the package's own unless told otherwise.
        log_out: whether the page has a "Log out"; without a token there is nothing to leave.
    """

    def __init__(self, folder: Path = _FOLDER, *, log_out: bool = True) -> None:
        bodies = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in _TYPES
        }
        if not log_out and PAGE in bodies:
            bodies[PAGE] = _LOG_OUT.sub(b"", bodies[PAGE])
        self._files = {name: _file(name, body) for name, body in bodies.items()}

    def answer(self, name: str, request: web.Request) -> web.Response:
        """Return the file of that name.

        Raises:
            web.HTTPNotFound: there is none.
        """
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
        return file.answer(request)


def _file(name: str, body: bytes) -> File:
    kind = _TYPES[PurePosixPath(name).suffix]
    return File(kind, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
