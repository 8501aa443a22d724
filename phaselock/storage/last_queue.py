"""The songs of the last queue, so that the next session can offer them. Everything here blocks."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

from phaselock.storage.files import open_regular, replace_file

MAX_FILE_BYTES = 16 << 20
MAX_SONGS = 10_000


def save_last_queue(path: pathlib.Path, songs: Sequence[pathlib.Path]) -> None:
    """Replace the file; only the user may read it. OSError if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps([str(song) for song in songs[:MAX_SONGS]]).encode())


def load_last_queue(path: pathlib.Path) -> tuple[str, ...]:
    """The paths of the songs, in their order; none if there is no such file or it is not valid. Never raises."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
        songs = json.loads(data) if len(data) <= MAX_FILE_BYTES else []
    except (OSError, ValueError, RecursionError):
        return ()
    if not isinstance(songs, list):
        return ()
    return tuple(song for song in songs[:MAX_SONGS] if isinstance(song, str) and song and "\0" not in song)
