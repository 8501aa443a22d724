"""Errors whose text is for users, and a net for all others."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator

from phaselock.language.message import N_, Message, Words

MIN_REPEAT_S = 10.0
"""The same failure of the same work is logged once in this time. A task that fails 30 times a second does not fill the
log."""
_MIN_SOCKET_ERROR = 10_000
"""WSABASEERR: on Windows the numbers of socket errors start here."""

_log = logging.getLogger("phaselock.bugs")
_logged: dict[str, tuple[str, float]] = {}
"""By work: the newest traceback that was logged, and the time of that in seconds."""


class PhaseLockError(Exception):
    """A failure that a user can understand and fix: one plain sentence, as a message id and its values (see Message).

    `message` and the text of the exception are English.
    """

    def __init__(self, message: str, /, **values: object) -> None:
        self.message = message if isinstance(message, Message) else Message(message, **values)
        super().__init__(self.message)

    def text(self, words: Words) -> str:
        """The sentence in the language `words`."""
        return self.message.translated(words)


SYSTEM_ERRORS = (
    N_("Address already in use"),
    N_("Bad file descriptor"),
    N_("Broken pipe"),
    N_("Can't assign requested address"),
    N_("Cannot assign requested address"),
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
    N_("Device or resource busy"),
    N_("Disk quota exceeded"),
    N_("File name too long"),
    N_("File too large"),
    N_("Host is down"),
    N_("Input/output error"),
    N_("Invalid argument"),
    N_("Is a directory"),
    N_("Network is down"),
    N_("Network is unreachable"),
    N_("No locks available"),
    N_("No route to host"),
    N_("No space left on device"),
    N_("No such device"),
    N_("No such file or directory"),
    N_("Not a directory"),
    N_("Operation not permitted"),
    N_("Operation not supported"),
    N_("Operation timed out"),
    N_("Permission denied"),
    N_("Read-only file system"),
    N_("Resource busy"),
    N_("Software caused connection abort"),
    N_("Stale NFS file handle"),
    N_("Stale file handle"),
    N_("Too many levels of symbolic links"),
    N_("Too many open files"),
)
"""Common texts of Linux and macOS for failed calls. Any other text stays as the system says it."""


def system_text(error: OSError | int) -> str:
    """The text of the system for an error or for its number, without a full stop. The text of the exception is not
    used: asyncio replaces the system's text with its own. On Windows os.strerror does not know the errors of
    sockets."""
    if isinstance(error, int):
        number, code = error, 0
    else:
        number, code = error.errno or 0, getattr(error, "winerror", None) or 0
    if sys.platform == "win32" and (code or number >= _MIN_SOCKET_ERROR):
        import ctypes  # imported late: every program would load it

        return ctypes.FormatError(code or number).strip().rstrip(".")
    return os.strerror(number)


def message_of(error: Exception) -> Message:
    """The text of any error. A PhaseLockError: its sentence. An OSError: the text of the system, without a full stop.
    Any other error: its text, or else its type."""
    if isinstance(error, PhaseLockError):
        return error.message
    if isinstance(error, OSError) and error.errno and error.strerror in (None, "", "Unknown error"):
        return Message(system_text(error))
    return Message(getattr(error, "strerror", None) or str(error) or type(error).__name__)


class InternalError(PhaseLockError):
    """An unexpected exception in this program. The log has its traceback; the text for users names the log."""

    def __init__(self) -> None:
        super().__init__(N_("Something went wrong inside PhaseLock. The log tells more: phaselock log"))


@contextlib.contextmanager
def bug_net(work: str, *expected: type[Exception]) -> Iterator[None]:
    """Log any exception of the block with its traceback, and raise InternalError in its place. The types `expected` and
    InternalError pass. `work` names the block in the log: "the import of files".

    A task or thread that does one job after the other has this net around each job. It suppresses or reports the
    InternalError, and goes on with the next job.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (InternalError, *expected)):
            raise
        log_bug(work, error)
        raise InternalError from error


def log_bug(work: str, error: BaseException) -> None:
    """Log the traceback of an unexpected exception; the same one at most once in MIN_REPEAT_S. Never raises."""
    told = "".join(traceback.format_exception(error))
    now_s = time.monotonic()
    before, at_s = _logged.get(work, ("", 0.0))
    if told != before or now_s - at_s >= MIN_REPEAT_S:
        _logged[work] = told, now_s
        _log.error("%s failed", work, exc_info=error)


CHANGED = N_("{file_name} has changed since it was added.")
"""The error of a file that is not what it was, where it is played and where it is sent."""


class AudioDeviceError(PhaseLockError):
    """The output device cannot be opened or used."""
