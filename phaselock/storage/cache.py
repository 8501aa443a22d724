"""Received files by content: `<sha256>.mp3` when whole and right, `<sha256>.part` while travelling.

Names from the network never reach the disk. All methods block and belong to a worker thread; processes may
share one folder.
"""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import shutil
import sys
from types import TracebackType
from typing import Self

from phaselock.errors import PhaseLockError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

READ_BYTES = 1 << 20
_MOST_SHARERS = 16
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def hash_file(path: pathlib.Path) -> tuple[bytes, int]:
    """SHA-256 and size of what `path` holds now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest(), file.tell()


class PartialFile:
    """One file on its way into the cache, held by this process alone; leaving the context keeps what arrived."""

    def __init__(self, final: pathlib.Path, part: pathlib.Path, file: io.FileIO, size: int) -> None:
        self._final, self._part, self._file, self._size = final, part, file, size
        self._hash = hashlib.sha256()
        self.offset = 0
        """Bytes that are here; the next write continues there."""
        while self.offset < size and (data := self._file.read(min(READ_BYTES, size - self.offset))):
            self._hash.update(data)
            self.offset += len(data)
        self._file.truncate(self.offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def complete(self) -> bool:
        return self.offset == self._size

    def write(self, data: bytes) -> None:
        """Append; more than the announced size is refused."""
        if self.offset + len(data) > self._size:
            raise PhaseLockError("More data arrived than was announced.")
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(data)
        self.offset += len(data)

    def finish(self) -> pathlib.Path | None:
        """The whole file under its final name, or None when it is not what its name promises (then nothing is kept)."""
        right = self.complete and self._hash.digest() == bytes.fromhex(self._final.stem)
        if not right:
            self._file.truncate(0)
        if (
            sys.platform == "win32"
        ):  # renames and removes only closed files; elsewhere the claim holds until the name is right
            self._file.close()
        if not right:
            self._part.unlink(missing_ok=True)
            return None
        os.replace(self._part, self._final)
        return self._final


class FileCache:
    """A folder of tracks by content hash, created when first needed."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def path(self, sha256: bytes) -> pathlib.Path:
        return self._folder / f"{sha256.hex()}.mp3"

    def find(self, sha256: bytes) -> pathlib.Path | None:
        """The cached file, its content checked; one that has changed on disk is removed."""
        path = self.path(sha256)
        if not path.is_file() or path.is_symlink():
            return None
        if hash_file(path)[0] == sha256:
            return path
        path.unlink(missing_ok=True)
        return None

    def begin(self, sha256: bytes, size: int) -> PartialFile:
        """Continue or begin to receive this file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MOST_SHARERS):
            part = self._folder / (f"{sha256.hex()}.{number}.part" if number else f"{sha256.hex()}.part")
            if (file := _claim(part)) is None:
                continue
            try:
                partial = PartialFile(self.path(sha256), part, file, size)
                if shutil.disk_usage(self._folder).free < size - partial.offset:
                    raise PhaseLockError("The disk is full.")
            except BaseException:
                file.close()
                raise
            return partial
        raise PhaseLockError("Too many programs receive this file at once.")


def _claim(path: pathlib.Path) -> io.FileIO | None:
    """Open `path` for this process alone; None while another has it. Links are never followed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    except FileExistsError:
        if path.is_symlink():
            return None
        try:
            descriptor = os.open(path, os.O_RDWR | _FLAGS)
        except FileNotFoundError:  # finished and renamed meanwhile
            return None
    file = io.FileIO(descriptor, "r+b")
    try:
        if sys.platform == "win32":
            file.seek(1 << 40)  # a byte beyond any track: such locks also forbid reading
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(
            os.fstat(descriptor), os.stat(path)
        ):  # still under this name: not finished by another meanwhile
            return file
    except OSError:
        pass
    file.close()
    return None
