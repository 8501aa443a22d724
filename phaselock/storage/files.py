"""Opening and replacing files so that nothing hangs, tears or crosses another program. Everything here blocks."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pathlib
import stat
import sys
import tempfile
from collections.abc import Iterator

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


def open_regular(path: pathlib.Path) -> io.FileIO:
    """Open a plain file for reading. OSError if that fails or it is anything else; pipes and devices are not woken."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise _not_plain(path)
    descriptor = os.open(path, _READ_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # exchanged since
            raise _not_plain(path)
        return io.FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def replace_file(path: pathlib.Path, data: bytes) -> None:
    """`path` holds `data`, readable by its owner only, or what it held before; a link stays one. OSError."""
    target = pathlib.Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".new", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Only one thread of all programs at a time is inside with the same `path`, a file that is created and stays.
    Waits. OSError when the file cannot be opened."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _lock(descriptor)  # closing gives it back
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        while True:
            try:
                return msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError as error:  # it waits for ten seconds only
                if error.errno not in (errno.EDEADLK, errno.EACCES):
                    raise
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:  # some network file systems have no locks: better none than no file
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
                raise


def _not_plain(path: pathlib.Path) -> OSError:
    return OSError(errno.EINVAL, "not a plain file", str(path))
