"""The files of the page, read once."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping

from phaselock.frozen import frozen

PAGE = pathlib.Path(__file__).parent / "page"
INDEX = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@frozen
class PageFile:
    """A file of the page."""

    content_type: str
    content: bytes = dataclasses.field(repr=False)
    tag: str
    """Changes with the content; browsers send it back, and get no content if it is still the same."""


def read_page(folder: pathlib.Path = PAGE) -> Mapping[str, PageFile]:
    """The files by the path of their address. Blocks. OSError if they cannot be read."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            found[f"/{path.name}"] = PageFile(_TYPES[path.suffix], content, tag)
    if f"/{INDEX}" in found:
        found["/"] = found[f"/{INDEX}"]
    return found
