"""Finds the files to add in the files, folders and playlists that a user chose. Everything here blocks, for a long time
in large folders. Only playlists are opened."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator

from phaselock.errors import message_of
from phaselock.frozen import frozen
from phaselock.language.message import Message
from phaselock.model.file_kinds import PLAYLIST_ENDINGS, is_music, kind_of_name
from phaselock.model.names import file_label
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.storage.file_names import is_file_url, url_paths
from phaselock.storage.files import open_regular
from phaselock.storage.playlist_entries import (
    FileFinder,
    declared_encoding,
    entries,
    entry_texts,
    is_comment,
    shown_name,
)

MAX_FILES = 10_000
"""Limit of the files that one call returns, and of those that it reports as left out."""
MAX_ENTRIES = 200_000
"""Limit of the folder entries that one call examines."""
MAX_PLAYLIST_BYTES = 10 << 20
"""A larger playlist is left out."""
MAX_PLAYLIST_ENTRIES = 10_000

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_DIGITS = re.compile(r"(\d+)")


@frozen
class Collected:
    """Regular files in the order to add them, and the names that were left out with the reason. The contents of the
    files are not checked."""

    files: tuple[pathlib.Path, ...]
    left_out: tuple[LeftOut, ...]


def collect(paths: Iterable[str | pathlib.Path]) -> Collected:
    """Collect the given files, the music files in folders in natural order, and the files named in playlists. Never
    raises: a path that cannot be used is in `left_out`."""
    collector = _Collector()
    try:
        for path in paths:
            collector.take(pathlib.Path(path))
    except _EnoughError:
        collector.left_out.append(LeftOut(Message("everything else"), Notice(Code.TOO_MANY_FILES)))
    return Collected(tuple(collector.files), tuple(collector.left_out))


def names_several(path: pathlib.Path) -> bool:
    """True for a folder and for a playlist."""
    return path.is_dir() or path.suffix.lower() in PLAYLIST_ENDINGS


class _EnoughError(Exception):
    """MAX_FILES or MAX_ENTRIES is reached."""


class _Collector:
    def __init__(self) -> None:
        self.files: list[pathlib.Path] = []
        self.left_out: list[LeftOut] = []
        self._looked_at = 0
        self._finder = FileFinder()

    def take(self, path: pathlib.Path, playlists: tuple[pathlib.Path, ...] = ()) -> None:
        """Collect the files of a path that a user or a playlist named. `playlists` are the playlists that led to it."""
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return self._leave(_no_file(_label(path)))
        except OSError as error:
            return self._leave(_unreadable(path, error))
        if stat.S_ISDIR(mode):
            self._take_folder(path)
        elif not stat.S_ISREG(mode):
            self._leave(LeftOut(_label(path), Notice(Code.NOT_A_FILE)))
        elif path.suffix.lower() in PLAYLIST_ENDINGS:
            self._take_playlist(path, playlists)
        else:
            self._add(path)

    def _take_folder(self, top: pathlib.Path) -> None:
        waiting, seen = [top], set()
        while waiting:
            folder = waiting.pop()
            try:
                status = os.stat(folder)
                identity = (status.st_dev, status.st_ino)
                if identity in seen:  # links may form a loop
                    continue
                seen.add(identity)
                with os.scandir(folder) as found:
                    entries = [entry for entry in self._counted(found) if not is_hidden(entry)]
            except OSError as error:
                self._leave(_unreadable(folder, error))
                continue
            entries.sort(key=lambda entry: natural_key(entry.name))
            folders = []
            for entry in entries:
                path = pathlib.Path(entry.path)
                try:
                    mode = entry.stat().st_mode
                except OSError:  # a broken link, or deleted meanwhile
                    if is_music(entry.name):
                        self._leave(_no_file(_label(path)))
                    continue
                if stat.S_ISDIR(mode):
                    folders.append(path)
                elif stat.S_ISREG(mode) and is_music(entry.name):
                    self._add(path)
                elif stat.S_ISREG(mode):
                    self._leave(LeftOut(_label(path), Notice(Code.NOT_MUSIC, kind_of_name(entry.name) or "")))
            waiting.extend(reversed(folders))

    def _take_playlist(self, path: pathlib.Path, playlists: tuple[pathlib.Path, ...]) -> None:
        """Collect the entries of a playlist. A playlist may name other playlists, but these may not name more."""
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError) as error:  # a loop of links, or a file system that does not name its files
            return self._leave(_unreadable(path, error))
        if len(playlists) > 1 or resolved in playlists:
            return self._leave(LeftOut(_label(path), Notice(Code.NESTED_PLAYLIST)))
        try:
            with open_regular(path) as file:
                data = file.read(MAX_PLAYLIST_BYTES + 1)
        except OSError as error:
            return self._leave(_unreadable(path, error))
        if len(data) > MAX_PLAYLIST_BYTES:
            return self._leave(LeftOut(_label(path), Notice(Code.PLAYLIST_TOO_LARGE)))
        encoding, number = None, 0
        for line in entries(data):
            if is_comment(line):
                encoding = declared_encoding(line) or encoding
                continue
            number += 1
            if number > MAX_PLAYLIST_ENTRIES:
                return self._leave(LeftOut(_label(path), Notice(Code.PLAYLIST_TOO_LONG, number=MAX_PLAYLIST_ENTRIES)))
            self._take_entry(path, line, encoding, (*playlists, resolved))

    def _take_entry(
        self, playlist: pathlib.Path, line: bytes, encoding: str | None, playlists: tuple[pathlib.Path, ...]
    ) -> None:
        texts = entry_texts(line, encoding)
        elsewhere = (url := _URL.match(texts[0])) and url[1].lower() != "file"
        if elsewhere or (is_file_url(texts[0]) and not url_paths(texts[0])):
            return self._leave(LeftOut(file_label(texts[0].rstrip("/")), Notice(Code.ELSEWHERE)))
        path = self._finder.find(playlist, line, texts)
        if path is not None and path.is_dir():  # a playlist from elsewhere could share all music
            return self._leave(LeftOut(_label(path), Notice(Code.NOT_A_FILE)))
        if path:
            return self.take(path, playlists)
        self._leave(_no_file(file_label(shown_name(texts))))

    def _counted(self, found: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in found:
            self._looked_at += 1
            if self._looked_at > MAX_ENTRIES:
                raise _EnoughError
            yield entry

    def _add(self, path: pathlib.Path) -> None:
        if len(self.files) >= MAX_FILES:
            raise _EnoughError
        self.files.append(path)

    def _leave(self, one: LeftOut) -> None:
        if len(self.left_out) < MAX_FILES:  # beyond the limit it is not reported, but the search goes on
            self.left_out.append(one)


def natural_key(name: str) -> tuple[tuple[object, ...], str]:
    """Sort key: "track 2" comes before "track 10", and upper and lower case are equal."""
    parts = _DIGITS.split(unicodedata.normalize("NFC", name).casefold())
    # Text and digits alternate, so text is compared with text, and digits with digits. Digits are compared by length
    # and text: converting very long ones to numbers is slow.
    return tuple(_digits_key(part) if place % 2 else part for place, part in enumerate(parts)), name


def _digits_key(digits: str) -> tuple[int, str]:
    plain = "".join(str(unicodedata.decimal(digit)) for digit in digits).lstrip("0")
    return len(plain), plain


def is_hidden(entry: os.DirEntry[str]) -> bool:
    """Is this a file or folder that the user does not see?"""
    if entry.name.startswith("."):
        return True
    try:
        attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    except OSError:
        return False
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)


def _no_file(name: str) -> LeftOut:
    return LeftOut(name, Notice(Code.NO_FILE, file_name=name))


def _unreadable(path: pathlib.Path, error: Exception) -> LeftOut:
    return LeftOut(_label(path), Notice(Code.PATH_UNREADABLE, message_of(error)))


def _label(path: pathlib.Path) -> str:
    return file_label(path.name or str(path))
