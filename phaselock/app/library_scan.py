"""Bring the index of a music folder up to date, in a process of its own: reading thousands of files must not delay the
session, its memory returns to the system, and a file that makes a reader crash costs only itself.

The process is started by `app.library`, and writes lines of JSON to standard output: how far it is, and its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import pathlib
import sqlite3
import stat
import sys
import time
from collections.abc import Callable

from phaselock.frozen import frozen
from phaselock.model.file_kinds import PLAYED_ENDINGS, is_music
from phaselock.storage.collect import is_hidden
from phaselock.storage.files import open_regular
from phaselock.storage.library import LibraryIndex, ReadSong
from phaselock.storage.song_length import song_seconds
from phaselock.storage.tags import read_tags

MAX_SONGS = 100_000
MAX_ENTRIES = 1_000_000
"""Limit of the entries of folders that are examined."""
REPORT_EVERY_S = 0.25
"""Smallest time between two lines about the progress. What was read until then can be found from then on."""
_MAX_MEMORY_BYTES = 1 << 30


class AwayError(Exception):
    """The folder cannot be reached, or it is an empty one in which a drive is missing. The text is the reason, or
    empty."""


@frozen
class Listing:
    """The files of a folder that may be music."""

    files: dict[str, tuple[int, int]]
    """By their paths in the folder: size in bytes, and when the file system says that it was changed, in ns."""
    unread: tuple[str, ...]
    """Folders in it that could not be read: their files are not known."""


@frozen
class Scanned:
    """What a scan has done."""

    songs: int
    """In the index now."""
    changed: int
    """Files that were read or have gone."""
    left_out: int
    """Files that cannot be read, or are no music."""


def scan(folder: pathlib.Path, index: pathlib.Path, report: Callable[[int, int], None]) -> Scanned:
    """Read the files of the folder that are new or have changed, and forget those that have gone. `report` is called
    with the number of files that were read, and that of all files that must be read.

    AwayError if the folder cannot be reached: then the index stays as it is. sqlite3.Error or OSError if the index
    cannot be written.
    """
    with contextlib.closing(LibraryIndex(index)) as written:
        known = written.files()
        listing = list_songs(folder, _at_times(lambda: report(0, 0)))
        if known and not listing.files and not listing.unread and _is_empty(folder):
            raise AwayError
        due = [
            path
            for path, (size, changed_ns) in listing.files.items()
            if path not in known or (known[path].size, known[path].changed_ns) != (size, changed_ns)
        ]
        gone = [
            found.song_id
            for path, found in known.items()
            if path not in listing.files and not path.startswith(listing.unread)
        ]
        for song_id in gone:
            written.remove(song_id)
        unreadable, number = 0, 0

        def show() -> None:
            written.commit()
            report(number, len(due))

        show_at_times = _at_times(show)
        for number, path in enumerate(due):  # noqa: B007  (`show` reads it)
            show_at_times()
            size, changed_ns = listing.files[path]
            plain = path.lower().endswith(PLAYED_ENDINGS)
            if not plain:  # if FFmpeg crashes, this stays, and the next scan does not read the file
                written.put(path, ReadSong(size, changed_ns, playable=False))
                written.commit()
            try:
                read = _read_plain(folder / path) if plain else _read_other(folder / path)
            except OSError:  # the next scan tries again
                unreadable += 1
                continue
            written.put(path, dataclasses.replace(read, size=size, changed_ns=changed_ns))
        written.commit()
        no_music = written.count(playable=False)
        return Scanned(written.count(), len(due) - unreadable + len(gone), no_music + unreadable)


def list_songs(top: pathlib.Path, working: Callable[[], object] = lambda: None) -> Listing:
    """The music files in the folder and in those that it contains; hidden ones are left out. `working` is called for
    each folder. AwayError if the folder itself cannot be read."""
    files: dict[str, tuple[int, int]] = {}
    unread: list[str] = []
    waiting, seen, looked_at = [""], set(), 0
    can_convert = importlib.util.find_spec("av") is not None
    while waiting:
        inner = waiting.pop()
        working()
        try:
            status = os.stat(top / inner)
            identity = status.st_dev, status.st_ino
            if identity in seen:  # links may form a loop
                continue
            seen.add(identity)
            with os.scandir(top / inner) as found:
                entries = list(found)
        except OSError as error:
            if not inner:
                raise AwayError(error.strerror or "") from None
            unread.append(inner + os.sep)
            continue
        for entry in entries:
            looked_at += 1
            if looked_at > MAX_ENTRIES or len(files) >= MAX_SONGS:
                return Listing(files, tuple(unread))
            path = os.path.join(inner, entry.name)
            try:
                if is_hidden(entry):
                    continue
                if entry.is_dir():
                    waiting.append(path)
                elif is_music(entry.name) and (can_convert or entry.name.lower().endswith(PLAYED_ENDINGS)):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_size:
                        files[path] = status.st_size, status.st_mtime_ns
            except OSError:  # deleted meanwhile, or a broken link
                continue
    return Listing(files, tuple(unread))


def _at_times(do: Callable[[], object]) -> Callable[[], None]:
    """A function that calls `do` if that was not done for REPORT_EVERY_S."""
    due_s = time.monotonic() + REPORT_EVERY_S

    def call() -> None:
        nonlocal due_s
        if time.monotonic() >= due_s:
            do()
            due_s = time.monotonic() + REPORT_EVERY_S

    return call


def _is_empty(folder: pathlib.Path) -> bool:
    try:
        with os.scandir(folder) as found:
            return next(found, None) is None
    except OSError as error:
        raise AwayError(error.strerror or "") from None


def _read_plain(path: pathlib.Path) -> ReadSong:
    """A file of a kind that is played as it is. OSError if it cannot be read."""
    with open_regular(path) as raw, io.BufferedReader(raw) as file:
        seconds = song_seconds(file)
    if seconds is None:
        return ReadSong(0, 0, playable=False)
    tags = read_tags(path)
    return ReadSong(0, 0, True, tags.title, tags.artist, tags.album, seconds)


def _read_other(path: pathlib.Path) -> ReadSong:
    """A file that must be converted to be played. OSError if it cannot be read."""
    from phaselock.audio.other_tags import read_other_tags  # only if there is such a file: FFmpeg takes 40 MB

    open_regular(path).close()
    if (tags := read_other_tags(path)) is None:
        return ReadSong(0, 0, playable=False)
    return ReadSong(0, 0, True, tags.title, tags.artist, tags.album, tags.seconds)


def main() -> None:
    """Scan the folder of the first argument for the index of the second one."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource  # not on Windows

        os.nice(10)
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))

    def say(**values: object) -> None:
        print(json.dumps(values), flush=True)

    try:
        done = scan(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), lambda number, of: say(done=number, of=of))
    except AwayError as error:
        say(away=str(error))
    except (sqlite3.Error, OSError, MemoryError) as error:
        say(failed=str(error))
    else:
        say(**dataclasses.asdict(done))
