"""The inbox of the open window: what the user opens with PhaseLock arrives there from other processes.

A message is a JSON file with absolute paths and invitations; an empty one asks the window to come to the front. The
process that holds the lock of the folder is the receiver: a window. It takes the messages. A sender waits until its
message is taken, or becomes the receiver itself, so exactly one window opens if many processes start at once.
Everything here blocks.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import pathlib
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence

from phaselock.errors import PhaseLockError
from phaselock.model.invitation import is_invitation
from phaselock.storage.file_names import is_file_url, url_paths
from phaselock.storage.files import lock, open_lock, open_regular, replace_file

MAX_MESSAGE_BYTES = 4 << 20
"""Twice as much as the arguments of a process on Linux may need."""
MAX_PATHS = 10_000
"""Limit of the paths in one message; no more files can be added in one call either."""
MAX_PATH_CHARS = 32_767
"""The longest path of Windows; those of other systems are shorter."""
MAX_INVITATION_CHARS = 2_000
"""Limit of an invitation, which is much shorter."""
MAX_ENTRIES = 10_000
"""Limit of the entries of the folder that one call examines."""
MAX_AGE_S = 60.0
"""A new receiver deletes older messages: their senders have ended without an answer."""
TIMEOUT_TAKEN_S = 30.0
"""How long a sender waits for the receiver. On a slow machine that starts many processes at once, a window takes
20 s to open."""
_PAUSE_S = 0.05
"""Between two looks of a sender."""
_LOCK = "receiver.lock"

_log = logging.getLogger("phaselock.storage.inbox")


class Inbox:
    """The folder as one process uses it; created at the first use. Not for several threads at once."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        """The descriptor of the locked file; None: this process is not the receiver."""

    def send(self, paths: Sequence[str]) -> pathlib.Path:
        """Write a message with these absolute paths and invitations; return its file. PhaseLockError if there are too
        many, OSError if it cannot be written."""
        data = json.dumps({"paths": list(paths)}).encode()
        if len(paths) > MAX_PATHS or len(data) > MAX_MESSAGE_BYTES:
            raise PhaseLockError("These are too many files at once. Open their folder instead.")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        message = self._folder / f"{uuid.uuid4().hex}.json"
        replace_file(message, data)
        return message

    def receive(self) -> bool:
        """Become or stay the receiver. False: another process is the receiver. OSError if the folder cannot be written
        or has no locks."""
        if self._lock is not None:
            return True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as undo:
            descriptor = open_lock(self._folder / _LOCK)
            undo.callback(os.close, descriptor)
            if not lock(descriptor, wait=False):
                return False
            with tempfile.TemporaryFile(dir=self._folder):  # can messages be written?
                pass
            self._remove_old()
            self._lock = descriptor
            undo.pop_all()
        return True

    def take(self) -> list[tuple[str, ...]]:
        """As the receiver: remove the messages and return their contents. OSError if the folder cannot be read."""
        found = []
        for entry in self._entries():
            if not entry.name.endswith(".json"):
                continue
            path, paths = pathlib.Path(entry.path), None
            try:
                paths = _read(path)
            except ValueError as error:
                _log.warning("an invalid message is removed: %s", error)
            except OSError:  # removed by its sender, or in use by a virus scanner, or no file
                continue
            with contextlib.suppress(OSError):
                path.unlink()  # only the process that succeeds has the message: its sender may withdraw it
                if paths is not None:
                    found.append(paths)
        return found

    def close(self) -> None:
        """End to be the receiver. A second call has no effect."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove_old(self) -> None:
        for entry in self._entries():
            with contextlib.suppress(OSError):
                if entry.name != _LOCK and entry.stat(follow_symlinks=False).st_mtime < time.time() - MAX_AGE_S:
                    os.unlink(entry.path)

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._folder) as found:
            yield from list(itertools.islice(found, MAX_ENTRIES))


def hand_over(inbox: Inbox, paths: Sequence[str], *, timeout_s: float = TIMEOUT_TAKEN_S) -> bool:
    """Give absolute paths and invitations to the window that is open. False: no window has taken them, so this process
    must open one. Then `inbox` is the receiver, unless the folder cannot be used or another receiver does not answer in
    `timeout_s`. PhaseLockError if there are too many paths."""
    try:
        message = inbox.send(paths)
    except OSError:
        return False
    with contextlib.suppress(OSError):
        end_s = time.monotonic() + timeout_s
        while not inbox.receive() and time.monotonic() < end_s:
            if not message.exists():
                return True
            time.sleep(_PAUSE_S)
    try:
        message.unlink()
    except FileNotFoundError:  # a receiver took it at the last moment
        inbox.close()
        return True
    except OSError:  # the folder has become read-only: no receiver can take it
        pass
    return False


def opened(text: str) -> str:
    """What a file manager or a browser gives on the command line, as a message has it: an invitation as it is, else the
    absolute path of a path or of a file URL. PhaseLockError if the working directory is gone."""
    if is_invitation(text):
        return text
    if is_file_url(text) and (paths := url_paths(text)):
        return os.path.normpath(next(filter(os.path.lexists, paths), paths[0]))
    return absolute(text)


def absolute(path: str) -> str:
    """The path of a command line as an absolute one. PhaseLockError if the working directory is gone."""
    try:
        # On Windows os.path knows the working directory of each drive. Elsewhere it would change the meaning of
        # "link/..", if the link leads to another folder.
        return os.path.abspath(path) if sys.platform == "win32" else str(pathlib.Path(path).absolute())
    except OSError:
        raise PhaseLockError("There is no file {file_name}.", file_name=path) from None


def _read(path: pathlib.Path) -> tuple[str, ...]:
    """The content of a message. OSError if it cannot be read, ValueError if it is invalid."""
    with open_regular(path) as file:
        data = file.read(MAX_MESSAGE_BYTES + 1)
    if len(data) > MAX_MESSAGE_BYTES:
        raise ValueError("too large")
    try:
        values = json.loads(data)
    except RecursionError:
        raise ValueError("too deep") from None
    paths = values.get("paths") if isinstance(values, dict) else None
    if not isinstance(paths, list) or len(paths) > MAX_PATHS:
        raise ValueError("no list of paths")
    for one in paths:
        if not isinstance(one, str) or len(one) > MAX_PATH_CHARS or "\0" in one:
            raise ValueError("a path that is no path")
        os.fsencode(one)  # UnicodeEncodeError: not a name of a file
        if is_invitation(one):
            if len(one) > MAX_INVITATION_CHARS:
                raise ValueError("an invitation that is too long")
        elif not pathlib.Path(one).is_absolute():
            raise ValueError("a path that is not absolute")
    return tuple(paths)
