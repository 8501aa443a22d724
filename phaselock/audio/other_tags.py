"""The tags and the length of music files that must be converted to be played. Import it in a process of its own: the
file may be hostile."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any

import av

from phaselock.audio.conversion import DEMUXERS
from phaselock.frozen import frozen
from phaselock.model import names

_UNITS_PER_S = 1_000_000
"""FFmpeg's unit of the length of a file."""

av.logging.set_level(None)


@frozen
class OtherTags:
    """What the file says. The texts are safe to show; empty if it has none."""

    title: str
    artist: str
    album: str
    seconds: float
    """0: not known."""


def read_other_tags(path: pathlib.Path) -> OtherTags | None:
    """The tags of this file; None if it has no sound. OSError if it cannot be read."""
    options = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "none"}
    with path.open("rb") as file, contextlib.suppress(av.error.FFmpegError, ValueError, MemoryError):
        music: Any
        with av.open(file, options=options, metadata_errors="replace") as music:
            sound = next(iter(music.streams.audio), None)
            if sound is None:
                return None
            found: dict[str, str] = {}
            for name, text in (*music.metadata.items(), *sound.metadata.items()):
                found.setdefault(name.lower(), text)
            title, artist, album = (names.title(found.get(name, "")) for name in ("title", "artist", "album"))
            return OtherTags(title, artist, album, max(0.0, (music.duration or 0) / _UNITS_PER_S))
    return None
