"""The cache of tracks by content: `<sha256>.song` for a complete, checked file, `<sha256>.part` during its transfer.

Names from the network are never used as file names. All methods except `keep` block and run in worker threads.
Processes may share one folder. The least recently used files are removed first; the modification time of a file is the
time of its last use.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import io
import os
import pathlib
import re
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from phaselock.errors import PhaseLockError, message_of, system_text
from phaselock.frozen import frozen
from phaselock.model.names import file_label
from phaselock.storage.files import lock, open_part, open_regular, rename
from phaselock.storage.hashing import hash_file

READ_BYTES = 1 << 20
MAX_CACHE_BYTES = 4 << 30
"""Default size of a cache."""
MIN_FREE_BYTES = 256 << 20
"""Disk space that the cache leaves free."""
MAX_PART_AGE_S = 7 * 24 * 3600
"""Partial downloads unused for this long are deleted."""
STEP_BYTES = 16 << 20
"""Space for a file that another machine announces is freed in such steps, as its bytes arrive."""
_MAX_SHARERS = 16
"""Most processes that receive the same file at once."""


class PartialFile:
    """One file during its transfer, locked by this process. The end of the context keeps the part that has arrived, if
    it is not empty."""

    def __init__(self, final: pathlib.Path, part: pathlib.Path, file: io.FileIO, size: int) -> None:
        self._final, self._part, self._file, self._size = final, part, file, size
        self.free_space: Callable[[int], None] | None = None
        """Frees this many bytes on the disk. None: there is space for the whole file."""
        self._hash = hashlib.sha256()
        self.offset = 0
        """Number of bytes that have arrived without a gap; the next write continues there."""
        self._beyond: dict[int, int] = {}
        """The parts behind a gap: their lengths, by their offsets."""
        while self.offset < size and (data := self._file.read(min(READ_BYTES, size - self.offset))):
            self._hash.update(data)
            self.offset += len(data)
        self._file.truncate(self.offset)
        self._freed_bytes = self.offset
        """There is space for this many bytes of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.offset or self._file.closed:
            if self._beyond and not self._file.closed:
                self._file.truncate(self.offset)
            self._file.close()
        else:
            _remove(self._part, self._file)

    @property
    def complete(self) -> bool:
        """True if all bytes have arrived; `finish` checks them."""
        return self.offset == self._size

    def write(self, data: bytes) -> None:
        """Append. PhaseLockError if that exceeds the announced size or the disk is full, OSError if it cannot be
        written."""
        self._make_space(self.offset, len(data))
        self._append(data)

    def restart(self) -> None:
        """Forget what has arrived."""
        self._file.seek(0)
        self._file.truncate()
        self._hash, self.offset = hashlib.sha256(), 0

    def write_at(self, offset: int, data: bytes) -> None:
        """Write a part of the file, which does not overlap another one. What lies behind a gap at the end of the
        context is not kept. The errors are those of `write`."""
        self._make_space(offset, len(data))
        if offset == self.offset:
            self._append(data)
        else:
            self._file.seek(offset)
            self._write(data)
            self._beyond[offset] = len(data)
        while self.offset in self._beyond:
            self._hash.update(self.read_at(self.offset, self._beyond[self.offset]))
            self.offset += self._beyond.pop(self.offset)
        self._file.seek(self.offset)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read a part that was written. OSError if it cannot be read."""
        self._file.seek(offset)
        data = bytearray()
        while len(data) < length and (more := self._file.read(length - len(data))):
            data += more
        self._file.seek(self.offset)
        return bytes(data)

    def _make_space(self, offset: int, length: int) -> None:
        if offset + length > self._size:
            raise PhaseLockError("More data arrived than was announced.")
        stored_bytes = self.offset + sum(self._beyond.values())
        if self.free_space is not None and stored_bytes + length > self._freed_bytes:
            freed_bytes = min(self._size, max(stored_bytes + length, self._freed_bytes + STEP_BYTES))
            self.free_space(freed_bytes - stored_bytes)
            self._freed_bytes = freed_bytes

    def _append(self, data: bytes) -> None:
        self._write(data)
        self._hash.update(data)
        self.offset += len(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def finish(self) -> pathlib.Path | None:
        """Give the complete file its final name and return its path. If size or hash are wrong, delete it and return
        None."""
        right = self.complete and self._hash.digest() == bytes.fromhex(self._final.stem)
        if not right:
            self._file.truncate(0)
        # The file stays locked until it has its new name: no other process may continue the part.
        if not right:
            self._part.unlink(missing_ok=True)
        else:
            _touch(self._part)
            rename(self._part, self._final)
        self._file.close()
        return self._final if right else None


class FileCache:
    """A folder of tracks by content hash, created at the first use. It holds at most `limit_bytes`, or more if the
    files that `keep` names are larger."""

    def __init__(self, folder: pathlib.Path, limit_bytes: int = MAX_CACHE_BYTES) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._kept: frozenset[bytes] = frozenset()
        """Set by the network thread, read by worker threads; always replaced as a whole."""
        self._removing = threading.Lock()  # one thread removes files at a time, and sees what the others removed

    @property
    def folder(self) -> pathlib.Path:
        """Where the files are; it may not exist yet."""
        return self._folder

    @contextlib.contextmanager
    def scratch(self) -> Iterator[pathlib.Path]:
        """The path of a new file in the folder, which is removed afterwards."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"scratch-{uuid.uuid4().hex}.part"
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def keep(self, hashes: Iterable[bytes]) -> None:
        """Set the files, by hash, that are never removed to free space. For any thread; does not block."""
        self._kept = frozenset(hashes)

    def path(self, sha256: bytes) -> pathlib.Path:
        """The path of a complete file with this hash, whether it is in the cache or not."""
        return self._folder / f"{sha256.hex()}.song"

    def find(self, sha256: bytes) -> pathlib.Path | None:
        """The path of a file if it is in the cache, else None. Its content is checked; a file that has changed is
        deleted. OSError if it cannot be read."""
        path = self.path(sha256)
        if not path.is_file() or path.is_symlink():
            return None
        try:
            right = hash_file(path)[0] == sha256
        except FileNotFoundError:  # another program has removed it
            return None
        if right:
            _touch(path)
            return path
        path.unlink(missing_ok=True)
        return None

    def discard(self, sha256: bytes) -> None:
        """Remove a file that is of no use."""
        with contextlib.suppress(OSError):
            self.path(sha256).unlink(missing_ok=True)

    def begin(self, sha256: bytes, size: int, *, announced: bool = False) -> PartialFile:
        """Start to receive this file, or continue an earlier transfer. PhaseLockError if the disk is full or too many
        programs receive it, OSError if the folder cannot be written.

        `announced`: another machine says that this file exists. Other files make place for the bytes that arrive, not
        for those that are promised, and only if it is one to `keep`; else PhaseLockError if there is no free space.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MAX_SHARERS):
            part = self._folder / (f"{sha256.hex()}.{number}.part" if number else f"{sha256.hex()}.part")
            if (file := _lock_part(part)) is None:
                continue
            with contextlib.ExitStack() as undo:
                undo.callback(file.close)
                partial = undo.enter_context(PartialFile(self.path(sha256), part, file, size))
                missing_bytes = size - partial.offset
                if not announced:
                    self._free_space(missing_bytes, sha256)
                elif sha256 in self._kept:
                    self._free_space(missing_bytes, sha256, only_check=True)
                    partial.free_space = functools.partial(self._free_space, arriving=sha256)
                elif missing_bytes > self._unused_bytes():
                    raise PhaseLockError("There is no space for more songs of this jam.")
                undo.pop_all()
            return partial
        raise PhaseLockError("Too many programs receive this file at once.")

    def adopt(self, path: pathlib.Path, most_bytes: int) -> tuple[bytes, int, pathlib.Path]:
        """Copy a user's file into the cache. Return its SHA-256, its size in bytes and its path there.

        PhaseLockError if it cannot be read, is not a regular file, is larger than `most_bytes` or cannot be stored.
        """
        name = file_label(path.name)
        try:
            source = open_regular(path)
        except FileNotFoundError:
            raise PhaseLockError("There is no file {file_name}.", file_name=name) from None
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from None
        with source:
            try:
                size = os.fstat(source.fileno()).st_size
                if size > most_bytes:
                    raise PhaseLockError("{file_name} is too large to be shared.", file_name=name)
                self._folder.mkdir(parents=True, exist_ok=True)
                self._free_space(size, None)
                return self._copy(source, name, most_bytes)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise PhaseLockError("The disk is full.") from None
                raise PhaseLockError(
                    "{file_name} cannot be kept in {folder}: {reason}.",
                    file_name=name,
                    folder=self._folder,
                    reason=message_of(error),
                ) from None

    def room_bytes(self) -> int:
        """How many bytes of tracks the cache can hold now, those that are in it included."""
        folder = self._folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            return 0
        here = sum(entry.size for entry in self._entries())
        return min(self._limit_bytes, max(0, free + here - MIN_FREE_BYTES))

    def _copy(self, source: io.FileIO, name: str, most_bytes: int) -> tuple[bytes, int, pathlib.Path]:
        part = self._folder / f"adopt-{uuid.uuid4().hex}.part"
        if (file := _lock_part(part)) is None:
            raise OSError(errno.ENOLCK, system_text(errno.ENOLCK))
        try:
            size, sha256 = 0, hashlib.sha256()
            with file:
                while True:
                    try:
                        data = source.read(READ_BYTES)
                    except OSError as error:
                        raise _unreadable(name, error) from None
                    if not data:
                        break
                    size += len(data)
                    if size > most_bytes:  # the file grew while it was copied
                        raise PhaseLockError("{file_name} is too large to be shared.", file_name=name)
                    sha256.update(data)
                    view = memoryview(data)
                    while view:
                        view = view[file.write(view) :]
                final = self.path(sha256.digest())
                try:
                    rename(part, final)
                except PermissionError:  # Windows: the cached file with the same content is in use
                    if self.find(sha256.digest()) is None:
                        raise
                    part.unlink()
            return sha256.digest(), size, final
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise

    def _unused_bytes(self) -> int:
        """How many bytes more the cache can hold without removing files."""
        unused = self._limit_bytes - sum(entry.size for entry in self._entries())
        return max(0, min(unused, shutil.disk_usage(self._folder).free - MIN_FREE_BYTES))

    def _free_space(self, needed_bytes: int, arriving: bytes | None, *, only_check: bool = False) -> None:
        """Remove the least recently used files and unlocked parts until `needed_bytes` more fit. PhaseLockError if that
        is impossible; then nothing is removed. The file with the hash `arriving` is not removed. `only_check`: only
        find out whether it is possible."""
        with self._removing:
            kept = self._kept
            total_bytes = 0
            removable = []
            for entry in self._entries():
                if entry.sha256 is None and entry.used_at_s < time.time() - MAX_PART_AGE_S and _discard(entry.path):
                    continue
                total_bytes += entry.size
                if entry.sha256 not in kept | {arriving} if entry.sha256 else _is_unlocked(entry.path):
                    removable.append(entry)
            if self._missing_bytes(needed_bytes) > sum(entry.size for entry in removable):
                raise PhaseLockError("The disk is full.")
            if only_check:
                return
            for entry in sorted(removable, key=lambda entry: entry.used_at_s):
                if total_bytes + needed_bytes <= self._limit_bytes and not self._missing_bytes(needed_bytes):
                    return
                with contextlib.suppress(OSError):  # Windows: the file is being played
                    if entry.sha256:
                        entry.path.unlink(missing_ok=True)
                    elif not _discard(entry.path):  # another program continues this transfer
                        continue
                    total_bytes -= entry.size
            if self._missing_bytes(needed_bytes):
                raise PhaseLockError("The disk is full.")

    def _missing_bytes(self, needed_bytes: int) -> int:
        """How many bytes are missing on the disk to store `needed_bytes` more."""
        if needed_bytes <= 0:
            return 0
        return max(0, needed_bytes + MIN_FREE_BYTES - shutil.disk_usage(self._folder).free)

    def _entries(self) -> Iterator[_Entry]:
        """The tracks and parts in the folder."""
        try:
            found = list(os.scandir(self._folder))
        except OSError:
            return
        for item in found:
            track = _TRACK.fullmatch(item.name)
            if not track and not item.name.endswith(".part"):
                continue
            try:
                status = item.stat(follow_symlinks=False)
            except OSError:  # gone meanwhile
                continue
            if stat.S_ISREG(status.st_mode):
                sha256 = bytes.fromhex(track[1]) if track else None
                yield _Entry(pathlib.Path(item.path), sha256, status.st_size, status.st_mtime)


_TRACK = re.compile(r"([0-9a-f]{64})\.(?:song|mp3)")
"""Older versions named tracks .mp3; they are removed like others."""


@frozen
class _Entry:
    path: pathlib.Path
    sha256: bytes | None
    """Hash of a complete file; None for a part."""
    size: int
    used_at_s: float


def _touch(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


def _unreadable(name: str, error: Exception) -> PhaseLockError:
    return PhaseLockError("{file_name} cannot be read: {reason}.", file_name=name, reason=message_of(error))


def _discard(part: pathlib.Path) -> bool:
    """Remove a part if no process holds its lock; True if it was removed."""
    return (file := _lock_part(part)) is not None and _remove(part, file)


def _remove(part: pathlib.Path, file: io.FileIO) -> bool:
    """Remove a part that is locked by `file`, and release the lock."""
    with contextlib.suppress(OSError), file:
        part.unlink(missing_ok=True)
        return True
    return False


def _is_unlocked(part: pathlib.Path) -> bool:
    """True if no process holds the lock of this part."""
    if (file := _lock_part(part)) is not None:
        file.close()
    return file is not None


def _lock_part(path: pathlib.Path) -> io.FileIO | None:
    """Open and lock `path`; None if another process holds the lock. Links are not followed."""
    try:
        file = open_part(path, new=True)
    except FileExistsError:
        if path.is_symlink():
            return None
        try:
            file = open_part(path, new=False)
        except FileNotFoundError:  # finished and renamed meanwhile
            return None
    try:
        # Another process may have finished and renamed the file before it was locked.
        if lock(file.fileno(), wait=False) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return file
    except OSError:
        pass
    file.close()
    return None
