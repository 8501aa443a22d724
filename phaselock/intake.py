"""What everybody has to know of a file that is to be played: its content by hash, its sound, its tags."""

from __future__ import annotations

import pathlib
import uuid

from phaselock.audio.mp3 import inspect
from phaselock.errors import InvalidMp3Error, PhaseLockError
from phaselock.model.types import Track
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.storage.cache import hash_file
from phaselock.storage.tags import read_tags


def take_in(path: pathlib.Path, name: str | None = None) -> Track:
    """The track in a file, called `name` or as the file is. Reads all of it: for worker threads. InvalidMp3Error for no
    MP3, PhaseLockError for what cannot be read or shared."""
    name = name or path.name
    if not path.is_file():  # reading a device or a pipe may never end
        raise PhaseLockError(f"There is no file {path}.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PhaseLockError(f"{name} is too large to be shared.")
        sha256, size = hash_file(path)
        info = inspect(path)
    except InvalidMp3Error:
        raise InvalidMp3Error(name) from None
    except OSError as error:
        raise PhaseLockError(f"{name} cannot be read: {error.strerror}.") from None
    tags = read_tags(path)
    return Track(uuid.uuid4(), name, size, sha256, info.rate_hz, info.frames, tags.title, tags.artist)
