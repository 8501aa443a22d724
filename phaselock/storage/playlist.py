"""Playlists that PhaseLock writes: extended M3U in UTF-8 (.m3u8), which most players read."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable

from phaselock.frozen import frozen
from phaselock.storage.files import replace_file

ENDING = ".m3u8"
_ENDINGS = (".m3u", ENDING)
_CANNOT_STAND_ALONE = ("#", " ", "\t", "~")
"""A line that begins like this is read as a comment or without its beginning."""
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
"""Readers take this for an escape of a URL, as in `100%25.mp3`."""


@frozen
class Entry:
    """A song of a playlist."""

    path: pathlib.Path
    title: str
    artist: str
    seconds: float


def with_ending(path: pathlib.Path) -> pathlib.Path:
    """`path`, with ENDING after its name if that is not the name of a playlist: readers go by the ending."""
    return path if path.suffix.lower() in _ENDINGS or not path.name else path.with_name(path.name + ENDING)


def save_playlist(path: pathlib.Path, entries: Iterable[Entry]) -> None:
    """Write a playlist, or replace it as a whole. OSError if that fails: then the file is unchanged."""
    text = playlist_text(path.absolute().parent, entries)
    replace_file(path, text.encode("utf-8", "surrogateescape"), private=False)


def playlist_text(folder: pathlib.Path, entries: Iterable[Entry]) -> str:
    """The content of a playlist in `folder`. Songs below the folder are named relative to it, so that both can be moved
    together."""
    lines = ["#EXTM3U"]
    for entry in entries:
        name = " - ".join(filter(None, (entry.artist, entry.title)))
        lines.append(f"#EXTINF:{round(entry.seconds)},{' '.join(name.split())}")
        lines.append(_line(folder, entry.path.absolute()))
    return "\n".join(lines) + "\n"


def _line(folder: pathlib.Path, path: pathlib.Path) -> str:
    if any(ord(letter) < 32 for letter in str(path)) or str(path) != str(path).rstrip() or _ESCAPE.search(str(path)):
        return path.as_uri()
    if not path.is_relative_to(folder):
        return str(path)
    name = path.relative_to(folder).as_posix()
    return f"./{name}" if name.startswith(_CANNOT_STAND_ALONE) or ":" in name.partition("/")[0] else name
