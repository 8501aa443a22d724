"""Inspect a music file of any kind. Its content says which kind it is, not its name."""

from __future__ import annotations

import collections
import pathlib
import stat
import threading

from phaselock.audio.formats import flac, mp3, wav
from phaselock.audio.formats.base import Music, unreadable
from phaselock.errors import CHANGED, PhaseLockError
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.storage.hashing import hash_file
from phaselock.storage.id3 import HEADER_BYTES, parse_header

_BEGINNING_BYTES = 64
_MAX_REMEMBERED = 512
"""Files that an Inspector remembers. An hour of music takes 35 kB, most of it the index of an MP3."""


def inspect(path: pathlib.Path) -> Music:
    """Read the whole file and describe it. UnplayableFileError if it is no music of a known kind, or too much of it is
    damaged or missing; PhaseLockError if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnplayableFileError(path.name)
        with path.open("rb", buffering=0) as file:
            beginning = file.read(_BEGINNING_BYTES) or b""
            header = parse_header(beginning[:HEADER_BYTES])
            if header is not None:
                file.seek(header.whole_size)
                beginning = file.read(_BEGINNING_BYTES) or b""
    except OSError as error:
        raise unreadable(path, error) from None
    if flac.begins(beginning):
        return flac.inspect(path)
    if wav.begins(beginning):
        return wav.inspect(path)
    return mp3.inspect(path)


class Inspector:
    """`inspect` that reads a file only once: it returns the earlier result as long as the file has not changed.

    Reading an hour of music takes longer than the lead time of a start leaves (MARGIN_NS), so a file is inspected when
    it is added or received, not when it starts. For any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: collections.OrderedDict[tuple[int, ...], Music] = collections.OrderedDict()
        self._hashes: dict[tuple[int, ...], bytes] = {}

    def __call__(self, path: pathlib.Path, sha256: bytes | None = None) -> Music:
        """The description of this file. `sha256`: its hash, if the caller knows it. Raises the errors of `inspect`."""
        version = self._version(path)
        with self._lock:
            info = self._known.get(version)
        if info is None:
            info = inspect(path)
        with self._lock:
            self._known[version] = info
            self._known.move_to_end(version)
            if sha256 is not None:
                self._hashes[version] = sha256
            if len(self._known) > _MAX_REMEMBERED:
                self._hashes.pop(self._known.popitem(last=False)[0], None)
        return info

    def still(self, path: pathlib.Path, file_name: str, sha256: bytes) -> Music:
        """The description of this file, whose hash must be `sha256`. The file is read only if it has changed or was
        forgotten. Raises the errors of `inspect`, and PhaseLockError if it is another file now; they name
        `file_name`."""
        with self._lock:
            known = self._hashes.get(self._version(path))
        if known is None:
            try:
                known, _ = hash_file(path)
            except OSError as error:
                raise unreadable(path, error) from None
        if known != sha256:
            raise PhaseLockError(CHANGED, file_name=file_name)
        try:
            return self(path, sha256)
        except UnplayableFileError as error:
            raise error.named(file_name) from None

    def _version(self, path: pathlib.Path) -> tuple[int, ...]:
        try:
            found = path.stat()
        except OSError as error:
            raise unreadable(path, error) from None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
