"""Open, replace and lock files safely: no hang on a pipe, no half-written file, no conflict with other programs.

Everything here blocks."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pathlib
import stat
import struct
import sys
import time
from collections.abc import Iterator

from phaselock.language.message import N_

if sys.platform == "win32":
    import _winapi
    import ctypes
    import msvcrt

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
else:
    import fcntl

_RENAME_PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3) if sys.platform == "win32" else ()
"""Pauses between the attempts of `rename`, about 1 s in total."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""Errors of file systems without locks: some network file systems."""
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


def open_regular(path: pathlib.Path) -> io.FileIO:
    """Open a regular file for reading. OSError if that fails or it is not a regular file. Pipes and devices are never
    opened."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise _not_plain(path)
    descriptor = os.open(path, _READ_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # replaced since the first check
            raise _not_plain(path)
        return io.FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def replace_file(path: pathlib.Path, data: bytes, *, private: bool = True) -> None:
    """Replace the content of `path` atomically. If it is `private`, only the owner may read it; otherwise
    the user's umask decides. A link stays a link. OSError if it fails: then the file is unchanged."""
    target = pathlib.Path(os.path.realpath(path))
    draft = target.with_name(f"{target.name}.{os.urandom(8).hex()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(draft, flags, 0o600 if private else 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        rename(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def rename(source: str | pathlib.Path, target: str | pathlib.Path) -> None:
    """Rename a file; an existing `target` is replaced. OSError if that fails.

    On Windows a program that has one of the files open, such as a virus scanner, prevents it. Most have it open for a
    moment only: wait for them, about 1 s at most.
    """
    for pause_s in _RENAME_PAUSES_S:
        try:
            return os.replace(source, target)
        except PermissionError:
            time.sleep(pause_s)
    os.replace(source, target)


def open_part(path: pathlib.Path, *, new: bool) -> io.FileIO:
    """Open a file for reading and writing; `new` creates it, and FileExistsError is raised if it exists. Links are not
    followed. On Windows, too, it can be renamed and removed while it is open. OSError if opening fails."""
    if sys.platform == "win32":
        handle = _winapi.CreateFile(
            os.fspath(path),
            _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
            0x7,  # FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
            0,
            1 if new else _winapi.OPEN_EXISTING,  # CREATE_NEW
            0x00200000,  # FILE_FLAG_OPEN_REPARSE_POINT
            0,
        )
        descriptor = msvcrt.open_osfhandle(handle, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)
    else:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL if new else flags, 0o600)
    return io.FileIO(descriptor, "r+b")


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Hold an exclusive lock between threads and programs on `path`, a file that is created and stays. Waits for the
    lock. OSError if the file cannot be opened."""
    descriptor = open_lock(path)
    try:
        try:
            lock(descriptor, wait=True)  # closing releases the lock
        except OSError as error:  # go on without a lock
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def open_lock(path: pathlib.Path) -> int:
    """Open a file for `lock`; it is created if it does not exist. OSError if that fails."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file exclusively, between threads and programs, until it is closed. False if another one holds the
    lock and `wait` is False. OSError if the file system has no locks."""
    if sys.platform == "win32":
        # The byte at 1 << 40 is locked, beyond any content: these locks also prevent reading.
        place = ctypes.create_string_buffer(struct.pack("PPIIP", 0, 0, 0, 1 << 8, 0))  # OVERLAPPED
        flags = 0x2 if wait else 0x3  # LOCKFILE_EXCLUSIVE_LOCK, and LOCKFILE_FAIL_IMMEDIATELY
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(descriptor))
        if _kernel32.LockFileEx(handle, flags, 0, 1, 0, place):
            return True
        code = ctypes.get_last_error()
        if wait or code not in (33, 997):  # ERROR_LOCK_VIOLATION, ERROR_IO_PENDING
            raise ctypes.WinError(code)
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _not_plain(path: pathlib.Path) -> OSError:
    return OSError(errno.EINVAL, N_("not a plain file"), str(path))
