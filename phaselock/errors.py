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


class InvalidMp3Error(PhaseLockError):
    """A file that is not an MP3, is incomplete, or has a wrong length in its header."""

    def __init__(self, file_name: str) -> None:
        super().__init__(N_("Invalid or corrupted MP3 file: {file_name}"), file_name=file_name)
        self.file_name = file_name


class AudioDeviceError(PhaseLockError):
    """The output device cannot be opened or used."""
