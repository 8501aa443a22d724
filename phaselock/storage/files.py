"""Open, replace and lock files safely: no hang on a pipe, no half-written file, no conflict with other programs.

Everything here blocks."""

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

from phaselock.language.message import N_

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

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


def replace_file(path: pathlib.Path, data: bytes) -> None:
    """Replace the content of `path` atomically; only the owner may read it. A link stays a link. OSError if it fails:
    then the file is unchanged."""
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
    """Hold an exclusive lock between threads and programs on `path`, a file that is created and stays. Waits for the
    lock. OSError if the file cannot be opened."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _lock(descriptor)  # closing releases the lock
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        while True:
            try:
                return msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError as error:  # LK_LOCK waits only ten seconds
                if error.errno not in (errno.EDEADLK, errno.EACCES):
                    raise
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:  # some network file systems have no locks: go on without one
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
                raise


def _not_plain(path: pathlib.Path) -> OSError:
    return OSError(errno.EINVAL, N_("not a plain file"), str(path))
