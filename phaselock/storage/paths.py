"""The paths of PhaseLock's files on this computer. This module creates none of them."""

from __future__ import annotations

import os
import pathlib

HOME_VARIABLE = "PHASELOCK_HOME"
"""Environment variable: if set, all files are below this folder, in `cache`, `config` and `data`."""


def cache_dir() -> pathlib.Path:
    """The folder for received tracks."""
    return _folder("cache") / "tracks"


def measurements_path() -> pathlib.Path:
    """The file of what was measured in songs."""
    return _folder("cache") / "measurements"


def library_dir() -> pathlib.Path:
    """The folder for the indexes of music folders."""
    return _folder("cache") / "libraries"


def cover_dir() -> pathlib.Path:
    """The folder for the cover of the current track, for other programs of this user."""
    return _folder("cache") / "covers"


def settings_path() -> pathlib.Path:
    """The file of the user's settings."""
    return _folder("config") / "settings.json"


def host_key_path() -> pathlib.Path:
    """The file of this machine's key as a host."""
    return _folder("data") / "host_key.pem"


def guest_secret_path() -> pathlib.Path:
    """The file of the secret of the guests' page."""
    return _folder("data") / "guest_secret"


def known_hosts_path() -> pathlib.Path:
    """The file of the keys of other hosts."""
    return _folder("data") / "known_hosts.json"


def log_path() -> pathlib.Path:
    """The log file."""
    return _folder("data") / "phaselock.log"


def typed_lines_path() -> pathlib.Path:
    """The file of the lines that the user has typed in sessions."""
    return _folder("data") / "typed_lines"


def inbox_dir() -> pathlib.Path:
    """The folder through which other processes give files to the open window."""
    return _folder("data") / "inbox"


def last_queue_path() -> pathlib.Path:
    """The file with the songs of the last queue."""
    return _folder("data") / "last_queue.json"


def own_folders() -> list[pathlib.Path]:
    """The folders that hold nothing but PhaseLock's files, and all of them. On Windows one contains another: then it
    alone is in the list."""
    folders = {_folder(kind) for kind in ("cache", "config", "data")}
    return sorted(folder for folder in folders if not folders.intersection(folder.parents))


def _folder(kind: str) -> pathlib.Path:
    if home := os.environ.get(HOME_VARIABLE):
        return pathlib.Path(home).absolute() / kind
    import platformdirs  # imported late: a peer with --cache does not need it

    find = {
        "cache": platformdirs.user_cache_dir,
        "config": platformdirs.user_config_dir,
        "data": platformdirs.user_data_dir,
    }[kind]
    return pathlib.Path(find("phaselock", appauthor=False))
