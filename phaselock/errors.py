"""Errors whose text is for users."""

from __future__ import annotations

from phaselock.language.message import N_, Message, Words


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


def message_of(error: Exception) -> Message:
    """The text of any error. A PhaseLockError: its sentence. An OSError: the text of the system, without a full stop.
    Any other error: its text, or else its type."""
    if isinstance(error, PhaseLockError):
        return error.message
    return Message(getattr(error, "strerror", None) or str(error) or type(error).__name__)


class InvalidMp3Error(PhaseLockError):
    """A file that is not an MP3, is incomplete, or has a wrong length in its header."""

    def __init__(self, file_name: str) -> None:
        super().__init__(N_("Invalid or corrupted MP3 file: {file_name}"), file_name=file_name)
        self.file_name = file_name


class AudioDeviceError(PhaseLockError):
    """The output device cannot be opened or used."""
