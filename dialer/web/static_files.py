"""The files that pages load: our own styles and scripts, and the installed packages.

All are read once, when the server starts: a few of them, known by name, so no path is ever looked up. Their
address holds a part of their hash, so a browser keeps them until they change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from dialer.errors import NotFound, PartMissing
from dialer.web.frontend import MODULES, PHONE

OWN = Path(__file__).parent / "static"
#: Name under /static/vendor/ -> its place in node_modules.
VENDOR = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "idiomorph.js": "idiomorph/dist/idiomorph-ext.min.js",
    "jssip.js": PHONE,
}
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent."""

    body: bytes
    content_type: str
    #: first digits of its SHA-256
    version: str


class StaticFiles:
    """All files, by name."""

    def __init__(self) -> None:
        """Read them. Raises PartMissing when the packages are not installed."""
        paths = {path.name: path for path in OWN.iterdir() if path.suffix in TYPES}
        for name, place in VENDOR.items():
            path = MODULES / place
            if not path.is_file():
                raise PartMissing(
                    part="the pages' npm packages",
                    mend="install them with `python -m dialer.web.frontend`",
                )
            paths[f"vendor/{name}"] = path
        self._files = {name: _read(path) for name, path in paths.items()}

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"/static/{name}?v={self._files[name].version}"

    async def serve(self, request: web.Request) -> web.Response:
        """GET /static/{name}."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise NotFound(what="file", key=request.path)
        current = request.query.get("v") == file.version
        return web.Response(
            body=file.body,
            content_type=file.content_type,
            charset="utf-8",
            headers={"Cache-Control": FOREVER if current else "no-cache"},
        )


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    return StaticFile(body, TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:12])
