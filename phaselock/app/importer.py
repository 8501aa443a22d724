"""Files on their way into the queue: found, hashed, inspected, one after the other on a thread of their own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pathlib
import uuid
from collections.abc import Callable, Mapping, Sequence

from phaselock.audio.mp3_file import inspect
from phaselock.errors import InvalidMp3Error, PhaseLockError
from phaselock.model.types import Track
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.storage.cache import hash_file
from phaselock.storage.collect import LeftOut, collect, summary
from phaselock.storage.tags import read_tags


class Importer:
    """Takes paths of files, folders and playlists; belongs to the loop that it is made on. `add` appends a track to the
    queue; `tell` hears an `error` for one file that cannot be added, an `added` event for everything else."""

    def __init__(
        self, add: Callable[[Track, pathlib.Path], None], tell: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._add = add
        self._tell = tell
        self._asked: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self._worker = asyncio.create_task(self._work())
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "files")

    def take(self, paths: Sequence[str]) -> None:
        """Append what is there, as soon as it is read, behind what was asked for before."""
        self._asked.put_nowait(paths)

    def close(self) -> None:
        """Add nothing any more."""
        self._worker.cancel()
        self._pool.shutdown(cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            paths = await self._asked.get()
            found = await loop.run_in_executor(self._pool, collect, paths)
            left_out, added = list(found.left_out), 0
            for file in found.files:
                try:
                    self._add(await loop.run_in_executor(self._pool, import_file, file), file)
                    added += 1
                except PhaseLockError as error:
                    left_out.append(LeftOut(file.name, str(error)))
            one_file = [str(file) for file in found.files] == list(paths) and len(paths) == 1
            if not one_file and (found.files or len(left_out) != 1):
                rows = [{"name": one.path_name, "reason": one.reason} for one in left_out]
                self._tell("added", {"added": added, "left_out": rows, "message": summary(added, left_out)})
                continue
            for one in left_out:
                plain = one_file or one.reason.startswith("There is")  # a sentence of its own
                text = one.reason if plain else f"{one.path_name} cannot be added: {one.reason}."
                self._tell("error", {"message": text})


def import_file(path: pathlib.Path, name: str | None = None) -> Track:
    """The track in a file, called `name` or as the file is. Reads all of it: for worker threads. InvalidMp3Error for no
    MP3, PhaseLockError for what cannot be read or shared."""
    name = name or path.name
    if not path.is_file():  # reading a device or a pipe may never end
        raise PhaseLockError(f"There is no file {path}.")
    try:
        stated_bytes = path.stat().st_size
        if stated_bytes > MAX_FILE_BYTES:
            raise PhaseLockError(f"{name} is too large to be shared.")
        if not stated_bytes:  # nothing, or a file of the system's whose end nobody knows
            raise InvalidMp3Error(name)
        sha256, size = hash_file(path)
        info = inspect(path)
    except InvalidMp3Error:
        raise InvalidMp3Error(name) from None
    except OSError as error:
        raise PhaseLockError(f"{name} cannot be read: {error.strerror}.") from None
    tags = read_tags(path)
    return Track(uuid.uuid4(), name, size, sha256, info.rate_hz, info.frames, tags.title, tags.artist)
