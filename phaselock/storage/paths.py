"""Where PhaseLock keeps things on this machine."""

from __future__ import annotations

import pathlib


def cache_dir() -> pathlib.Path:
    """The user's own folder for received tracks (not created here)."""
    import platformdirs  # imported late: a peer with --cache does without

    return pathlib.Path(platformdirs.user_cache_dir("phaselock", appauthor=False)) / "tracks"
