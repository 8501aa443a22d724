"""PhaseLock: synchronized music playback for groups."""

__version__ = "0.1.0"
