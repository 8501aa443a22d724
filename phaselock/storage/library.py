"""The index of a music folder in an SQLite file: its songs with their tags, and a search by words.

Another process writes it (app/library_scan.py) while this one reads. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import sqlite3
from collections.abc import Iterator

from phaselock.frozen import frozen
from phaselock.model.names import file_label
from phaselock.storage.search_words import further_words_of, words_of

MAX_RESULTS = 200
MAX_QUERY_CHARS = 200
MAX_QUERY_WORDS = 12
"""Of a longer query only the first ones are used."""
_MAX_KEPT = 4
"""Indexes of the folders that were used last; older ones are removed."""
_VERSION = 1
_WAIT_S = 0.05
"""How long a search waits while the index is being replaced."""
_WRITER_WAIT_S = 20.0
_CACHE_KB = 512
_SCHEMA = """
CREATE TABLE songs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    playable INTEGER NOT NULL,
    title TEXT NOT NULL,
    artist TEXT NOT NULL,
    album TEXT NOT NULL,
    seconds REAL NOT NULL,
    key TEXT NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5(title, artist, album, path, further, tokenize='ascii', prefix='1 2 3');
"""
_WEIGHTS = "10.0, 8.0, 4.0, 1.0, 4.0"
"""Of the columns of `words` in the ranking."""
_SEARCH = f"""
SELECT songs.id, path, title, artist, album, seconds, size FROM songs JOIN (
    SELECT rowid AS found, bm25(words, {_WEIGHTS}) AS score FROM words WHERE words MATCH ?
) ON songs.id = found
ORDER BY key = ? DESC, key GLOB ? DESC, score, key, songs.id LIMIT ?
"""
_SONG = "SELECT id, path, title, artist, album, seconds, size FROM songs WHERE id = ? AND playable"


@frozen
class LibrarySong:
    """A song of the folder. The texts are safe to show; empty if the file has no such tag."""

    song_id: int
    """Stays the same as long as the file is in the folder."""
    path: pathlib.Path
    title: str
    artist: str
    album: str
    duration_secs: float
    """By the headers of the file; 0: not known."""
    size: int
    """Bytes."""
    file_name: str


@frozen
class FoundFile:
    """A file as the index knows it."""

    song_id: int
    size: int
    changed_ns: int
    """When it was changed, by the file system."""


@frozen
class ReadSong:
    """What was read in a file."""

    size: int
    changed_ns: int
    playable: bool
    """False: it is no music, and only kept so that it is not read again."""
    title: str = ""
    artist: str = ""
    album: str = ""
    duration_secs: float = 0.0


class Library:
    """Reads the index of a folder. For any thread."""

    def __init__(self, folder: pathlib.Path, index: pathlib.Path) -> None:
        self.folder = folder
        self._index = index

    def search(self, text: str, limit: int = 50) -> list[LibrarySong]:
        """The songs that contain all words of `text`, or words that begin with them, in any order; the best match
        first. None without a word, or without an index."""
        query = text[:MAX_QUERY_CHARS]
        if not (words := words_of(query)[:MAX_QUERY_WORDS]):
            return []
        match = " ".join(f'"{word}"*' for word in words)  # the words have letters and digits only
        key = " ".join(words)
        return self._read(_SEARCH, (match, key, f"{key}*", min(limit, MAX_RESULTS)))

    def song(self, song_id: int) -> LibrarySong | None:
        """The song with this id; None if there is none."""
        found = self._read(_SONG, (song_id,)) if 0 <= song_id < 1 << 63 else []
        return found[0] if found else None

    def count(self) -> int:
        """The number of songs."""
        with contextlib.suppress(sqlite3.Error), self._opened() as database:
            return int(database.execute("SELECT count(*) FROM songs WHERE playable").fetchone()[0])
        return 0

    def _read(self, statement: str, values: tuple[object, ...]) -> list[LibrarySong]:
        with contextlib.suppress(sqlite3.Error), self._opened() as database:  # the next scan replaces a broken one
            return [self._song(*row) for row in database.execute(statement, values)]
        return []

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection for this call only, so that the file can be replaced between two. sqlite3.Error if there is no
        index."""
        address = f"{self._index.absolute().as_uri()}?mode=rw"  # a reader of the write-ahead log also writes
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as database:
            database.execute("PRAGMA query_only = ON")
            database.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            yield database

    def _song(
        self, song_id: int, path: bytes, title: str, artist: str, album: str, seconds: float, size: int
    ) -> LibrarySong:
        name = os.fsdecode(path)
        return LibrarySong(
            song_id, self.folder / name, title, artist, album, seconds, size, file_label(pathlib.PurePath(name).name)
        )


class LibraryIndex:
    """Writes the index of a folder. For one thread. Its methods raise sqlite3.Error if that fails."""

    def __init__(self, index: pathlib.Path) -> None:
        """Open the index, and begin it again if it is broken or of another version. sqlite3.Error or OSError."""
        index.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = _opened_for_writing(index)
        except sqlite3.OperationalError:  # it is locked, or the disk is full
            raise
        except sqlite3.DatabaseError:
            remove_index(index)
            self._database = _opened_for_writing(index)

    def close(self) -> None:
        """Close the file. Changes that were not committed are lost."""
        self._database.close()

    def commit(self) -> None:
        """Let others see the changes."""
        self._database.commit()

    def files(self) -> dict[str, FoundFile]:
        """All files that the index knows, by their paths in the folder."""
        rows = self._database.execute("SELECT path, id, size, changed_ns FROM songs")
        return {os.fsdecode(path): FoundFile(*row) for path, *row in rows}

    def count(self, *, playable: bool = True) -> int:
        """The number of songs; or that of the files that are no music."""
        return int(self._database.execute("SELECT count(*) FROM songs WHERE playable = ?", (playable,)).fetchone()[0])

    def put(self, path: str, song: ReadSong) -> None:
        """Add or change the file with this path in the folder."""
        name = pathlib.PurePath(path)
        key = " ".join(words_of(song.title or name.stem))
        encoded = os.fsencode(path)
        row = self._database.execute(
            "INSERT INTO songs (path, size, changed_ns, playable, title, artist, album, seconds, key) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET size = excluded.size, "
            "changed_ns = excluded.changed_ns, playable = excluded.playable, title = excluded.title, "
            "artist = excluded.artist, album = excluded.album, seconds = excluded.seconds, key = excluded.key "
            "RETURNING id",
            (encoded, song.size, song.changed_ns, song.playable)
            + (song.title, song.artist, song.album, song.duration_secs, key),
        ).fetchone()
        self._database.execute("DELETE FROM words WHERE rowid = ?", row)
        if song.playable:
            shown = path[: len(path) - len(name.suffix)]
            further = further_words_of(f"{song.title} {song.artist} {song.album} {shown}")
            texts = [" ".join(words_of(text)) for text in (song.title, song.artist, song.album, shown)]
            self._database.execute(
                "INSERT INTO words (rowid, title, artist, album, path, further) VALUES (?, ?, ?, ?, ?, ?)",
                (*row, *texts, " ".join(further)),
            )

    def remove(self, song_id: int) -> None:
        """Forget a file."""
        self._database.execute("DELETE FROM words WHERE rowid = ?", (song_id,))
        self._database.execute("DELETE FROM songs WHERE id = ?", (song_id,))


def index_path(folder: pathlib.Path, indexes: pathlib.Path) -> pathlib.Path:
    """The file of the index of a folder, in the folder of all indexes."""
    return indexes / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.sqlite"


def remove_index(index: pathlib.Path) -> None:
    """Remove an index with the files that belong to it, as far as that is possible."""
    for ending in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(OSError):
            os.unlink(f"{index}{ending}")


def remove_old_indexes(indexes: pathlib.Path, used: pathlib.Path) -> None:
    """Remove the indexes of folders that were not used for a long time."""
    ages = {}
    for found in indexes.glob("*.sqlite"):
        with contextlib.suppress(OSError):
            ages[found] = found.stat().st_mtime_ns
    ages.pop(used, None)
    for old in sorted(ages, key=lambda path: ages[path], reverse=True)[_MAX_KEPT - 1 :]:
        remove_index(old)


def _opened_for_writing(index: pathlib.Path) -> sqlite3.Connection:
    database = sqlite3.connect(index, timeout=_WRITER_WAIT_S)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("another version")
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("broken")
    except BaseException:
        database.close()
        raise
    return database
