"""Errors whose text is meant for people."""

from __future__ import annotations


class PhaseLockError(Exception):
    """Something a user can understand and mend; its text is one plain sentence."""


class InvalidMp3Error(PhaseLockError):
    """A file that is no MP3, is cut short, or lies about its length."""

    def __init__(self, file_name: str) -> None:
        super().__init__(f"Invalid or corrupted MP3 file: {file_name}")
        self.file_name = file_name


class AudioDeviceError(PhaseLockError):
    """The output device cannot be opened or used."""
