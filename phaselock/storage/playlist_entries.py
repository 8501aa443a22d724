"""Entries of M3U playlists, as programs write them, and the files that they mean. Everything here blocks.

Playlists come from other programs, systems and folders: in any encoding, with percent signs as in URLs, with letter
case that only Windows ignores, with drives, and relative to other folders. `FileFinder` tries one reading after the
other. The files that are really there decide.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Iterator

from phaselock.model.file_kinds import MUSIC_ENDINGS
from phaselock.storage.file_names import is_file_url, spellings, url_paths

MAX_LISTED = 200_000
"""Limit of the names in folders that one FileFinder reads; it finds no more names after it."""
_MAX_PARTS = 32
"""Limit of the folders of an entry, and of those above its playlist, that are tried."""
_MAX_LOST = 1000
"""Entries without a file for which the slow readings are tried. A playlist without any of its files is not searched
longer."""
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DRIVE = re.compile(r"[a-z]:(?=/)", re.IGNORECASE)
_ESCAPE = re.compile("%[0-9a-f]{2}", re.IGNORECASE)
_UNKNOWN = re.compile(r"(?:[^\x00-\x7f]|\?)+")
"""Characters that another encoding shows as others, or that a program has replaced because it had no code for them."""
_CODE_PAGES = (
    *(f"cp125{digit}" for digit in range(9)),
    *("cp932", "gb18030", "cp949", "big5", "euc_jp", "koi8_r", "cp866", "cp850", "cp437", "mac_roman"),
)

_SONG_WITH_HASH = re.compile(rf"#(?!EXT).*(?:{'|'.join(map(re.escape, MUSIC_ENDINGS))})".encode(), re.IGNORECASE)
"""The name of a song that begins with the sign of comments."""
MAX_LINE_BYTES = 8192
"""Longer lines are cut: no file has such a name."""


def entries(data: bytes) -> Iterator[bytes]:
    """The entries of a playlist, in UTF-8 if its encoding is marked: lines that are not empty. Comments are left out,
    except `#EXTENC`, which `entry_texts` needs."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            data = data[len(mark) :].decode(encoding, "replace").encode()
            break
    else:
        if data[1:2] == b"\0" or data[:1] == b"\0":  # UTF-16 without a mark
            data = data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le", "replace").encode()
    for line in re.split(rb"[\r\n]+", data):
        if line.strip():
            yield line[:MAX_LINE_BYTES]


def is_comment(line: bytes) -> bool:
    """Is this line of a playlist no entry? A name may also begin with "#"."""
    return line.lstrip().startswith(b"#") and not _SONG_WITH_HASH.fullmatch(line.strip())


def declared_encoding(line: bytes) -> str | None:
    """The encoding of the following lines that a line `#EXTENC` declares; None in other lines."""
    found = re.match(rb"\s*#EXTENC\s*:\s*([\w-]+)", line, re.IGNORECASE)
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1].decode()).name
    except (LookupError, UnicodeError):
        return None
    return name if name in _declarable() else None


@functools.cache
def _declarable() -> frozenset[str]:
    """The encodings that `#EXTENC` may declare. Python knows others that are no encodings of texts. Their tables need
    1 MB of memory."""
    return frozenset(codecs.lookup(name).name for name in ("utf-8", "latin-1", "ascii", *_CODE_PAGES))


def entry_texts(line: bytes, encoding: str | None) -> list[str]:
    """The texts that an entry may mean, the most likely first. The first one has no spaces at its ends."""
    texts = []
    for form in dict.fromkeys((line.strip(), line)):
        with contextlib.suppress(UnicodeError):
            if encoding:
                texts.append(form.decode(encoding))
        texts += spellings(form)
    return list(dict.fromkeys(texts))


class FileFinder:
    """Finds the files that entries of playlists mean."""

    def __init__(self) -> None:
        self._names: dict[pathlib.Path, dict[str, str]] = {}
        self._listed = 0
        self._lost = 0

    def find(self, playlist: pathlib.Path, line: bytes, texts: Iterable[str]) -> pathlib.Path | None:
        """The file or folder of an entry of `playlist`: `line`, which may mean `texts`. None if there is none.

        These readings are tried, first those that every system has in common: the entry as it stands; with its escapes
        decoded; with the separators of Windows; without regard to case; in other encodings; by its ASCII characters, if
        they fit only one name; and the end of its path, below the folder of the playlist and those above.
        """
        folder = playlist.parent
        readings = paths = [path for text in texts for path in _readings(text)]
        if os.sep == "\\":
            paths = [path for path in paths if not names_another_server(path, str(folder.absolute()))]
        for path in paths:
            if _exists(folder / path):
                return folder / path
        if self._lost >= _MAX_LOST:
            return None
        parts = list(dict.fromkeys(_parts(path) for path in paths))
        for rooted, names in parts:
            if found := self._walk(pathlib.Path(folder.anchor) if rooted else folder, names):
                return found
        if any(byte >= 0x80 for byte in line):
            other = [_parts(path) for page in _CODE_PAGES for path in _readings(_decoded(line, page))]
            for rooted, names in dict.fromkeys(other):
                if not rooted and (found := self._walk(folder, names)):
                    return found
        for rooted, names in parts:
            if not rooted and (found := self._walk(folder, names, fuzzy=True)):
                return found
        ends = dict.fromkeys(names for _, names in map(_parts, readings))
        found = next((found for names in ends if (found := self._below(folder, names))), None)
        self._lost += found is None
        return found

    def _below(self, folder: pathlib.Path, names: tuple[str, ...]) -> pathlib.Path | None:
        """The file with the longest end of a path, below `folder` or a folder above it. A name alone counts only in
        `folder`, or if it is the whole path."""
        names = names[-_MAX_PARTS:]
        tops = [folder, *list(folder.absolute().parents)[:_MAX_PARTS]]
        for first in range(len(names)):
            for top in tops if first < len(names) - 1 or first == 0 else [folder]:
                found = self._walk(top, names[first:])
                if found and found.is_file():
                    return found
        return None

    def _walk(self, top: pathlib.Path, names: tuple[str, ...], *, fuzzy: bool = False) -> pathlib.Path | None:
        """The path of these names below `top`, each without regard to case and to the form of its accents."""
        if not names:
            return None
        for name in names:
            if name == "..":
                top = top.parent
                continue
            known = self._names_of(top)
            real = known.get(_folded(name))
            if real is None and fuzzy:
                real = _only_fit(name, known)
            if real is None:
                return None
            top /= real
        return top

    def _names_of(self, folder: pathlib.Path) -> dict[str, str]:
        """The names in a folder, by their folded forms."""
        if folder not in self._names:
            names: dict[str, str] = {}
            with contextlib.suppress(OSError, ValueError), os.scandir(folder) as found:
                for entry in found:
                    if self._listed >= MAX_LISTED:
                        break
                    self._listed += 1
                    names.setdefault(_folded(entry.name), entry.name)
            self._names[folder] = names
        return self._names[folder]


def _decoded(line: bytes, encoding: str) -> str:
    return line.strip().decode(encoding, "replace")


def _readings(text: str) -> list[str]:
    """The paths that the text of an entry may mean on this system, the most likely first. None for files on other
    machines."""
    if is_file_url(text):
        paths = url_paths(text)
    else:
        paths = [text]
        if len(text) > 2 and text[0] == text[-1] == '"':
            paths.append(text[1:-1])
        if _ESCAPE.search(text):
            paths += _unescaped(text)
    if os.sep == "/":
        paths += [path.replace("\\", "/") for path in paths if "\\" in path]
    forms = [(path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)) for path in paths]
    return list(dict.fromkeys(path for one in forms for path in one))  # macOS stores accents as separate characters


def shown_name(texts: list[str]) -> str:
    """The text of an entry to show, without escapes."""
    text = next((text for text in texts if not re.search("[\ud800-\udfff]", text)), texts[0])
    return _unescaped(text)[0] if _ESCAPE.search(text) else text


def _unescaped(text: str) -> list[str]:
    from urllib.parse import unquote_to_bytes  # imported late: it loads many modules

    return spellings(unquote_to_bytes(text.encode("utf-8", "surrogateescape")))


def _parts(path: str) -> tuple[bool, tuple[str, ...]]:
    """Does the path begin at a root, and its names without the drive."""
    path = path.replace("\\", "/")
    path = path[1:] if _DRIVE.match(path, 1) else path  # /D:/Music, as file URLs have it
    plain = _DRIVE.sub("", path, count=1)
    return plain.startswith("/"), tuple(name for name in plain.split("/") if name not in ("", "."))


def _folded(name: str) -> str:
    """Equal for names that other systems do not distinguish."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _only_fit(name: str, known: dict[str, str]) -> str | None:
    """The only name with these ASCII characters, and with any others where `name` has others."""
    folded = _folded(name)
    pieces = _UNKNOWN.split(folded)
    if len(pieces) < 2 or not re.search("[a-z0-9]", folded.rpartition(".")[0] or folded):
        return None
    pattern = re.compile(r"(?:[^\x00-\x7f])+".join(map(re.escape, pieces)))
    fits = [real for key, real in known.items() if pattern.fullmatch(key)]
    return fits[0] if len(fits) == 1 else None


def names_another_server(path: str, folder: str) -> bool:
    """Is this Windows path on a server other than that of the folder? Windows sends the user's credentials to a server
    that it asks for a file, so a foreign playlist must not choose it."""
    server, own = (pathlib.PureWindowsPath(one).drive.casefold().split("\\")[:3] for one in (path, folder))
    return server[:2] == ["", ""] and server != own


def _exists(path: pathlib.Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
