"""Errors whose text is for users."""

from __future__ import annotations


class PhaseLockError(Exception):
    """A failure that a user can understand and fix. Its text is one plain sentence."""


class InvalidMp3Error(PhaseLockError):
    """A file that is not an MP3, is incomplete, or has a wrong length in its header."""

    def __init__(self, file_name: str) -> None:
        super().__init__(f"Invalid or corrupted MP3 file: {file_name}")
        self.file_name = file_name


class AudioDeviceError(PhaseLockError):
    """The output device cannot be opened or used."""
