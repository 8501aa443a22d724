"""Which files are music, and what a file is that is none, as far as its name and its first bytes tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.language.message import N_, Message

_PLAYED = {
    ".mp3": "MP3",
    ".flac": "FLAC",
    ".wav": "WAV",
    ".w64": "WAV",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
}
_CONVERTED = {
    ".m4a": "M4A",
    ".m4b": "M4A",
    ".ogg": "Ogg",
    ".oga": "Ogg",
    ".opus": "Opus",
    ".wma": "WMA",
    ".aac": "AAC",
    ".ape": "APE",
    ".wv": "WavPack",
    ".mpc": "Musepack",
    ".tta": "TTA",
    ".dsf": "DSF",
    ".caf": "CAF",
    ".mka": "Matroska",
}
_FORMATS = _PLAYED | _CONVERTED
PLAYED_ENDINGS = tuple(_PLAYED)
"""Of the files that are played as they are, in lower case."""
MUSIC_ENDINGS = tuple(_FORMATS)
"""Of the files that are searched in folders."""
COMMAND = "pip install 'av>=14'"
"""Installs what converts other kinds of sound. It does not name PhaseLock: on PyPI, that is another project."""
PLAYLIST_ENDINGS = (".m3u", ".m3u8")
SONG_ENDINGS = (*MUSIC_ENDINGS, *PLAYLIST_ENDINGS)
"""Of the files that can be added."""


@frozen
class _Kind:
    label: str
    """A message id."""
    sound: bool
    suffixes: tuple[str, ...]
    """Lower case, with the dot."""
    beginning: re.Pattern[bytes] | None = None


def _kind(label: str, sound: bool, suffixes: tuple[str, ...], beginning: bytes = b"") -> _Kind:
    pattern = re.compile(beginning, re.DOTALL) if beginning else None
    return _Kind(label, sound, tuple(f".{suffix}" for suffix in suffixes), pattern)


_KINDS = (
    _kind(N_("an M4A file"), True, ("m4a", "m4b", "m4p", "m4r"), b"....ftyp(?:M4A|M4B|M4P)"),
    _kind(
        N_("a film"),
        True,
        ("mp4", "m4v", "mov", "mkv", "mka", "avi", "webm", "wmv"),
        rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ",
    ),
    _kind(N_("an Opus file"), True, ("opus",), b"OggS.{24}.?OpusHead"),
    _kind(N_("an Ogg file"), True, ("ogg", "oga", "spx"), b"OggS"),
    _kind(N_("a WMA file"), True, ("wma", "asf"), rb"0&\xb2u\x8ef\xcf\x11"),
    _kind(N_("a MIDI file"), True, ("mid", "midi", "kar"), b"MThd"),
    _kind(N_("a file of Monkey's Audio"), True, ("ape",), rb"MAC [^ -~]"),
    _kind(N_("a WavPack file"), True, ("wv",), b"wvpk"),
    _kind(N_("a Musepack file"), True, ("mpc", "mp+"), b"MP[+]|MPCK"),
    _kind(N_("a TTA file"), True, ("tta",), b"TTA[12]"),
    _kind(N_("a DSF file"), True, ("dsf",), b"DSD "),
    _kind(N_("a CAF file"), True, ("caf",), b"caff"),
    _kind(N_("an AC-3 file"), True, ("ac3", "eac3"), rb"\x0bw"),
    _kind(N_("an AMR file"), True, ("amr",), b"#!AMR"),
    _kind(N_("an AAC file"), True, ("aac",), rb"\xff[\xf0\xf1\xf8\xf9]|ADIF"),
    _kind(N_("MPEG audio of layer I or II"), True, ("mp1", "mp2", "mpa"), rb"\xff[\xf4-\xf7\xfc-\xff][\x10-\xef]"),
    _kind(
        N_("a picture"),
        False,
        ("jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff", "svg", "heic", "ico"),
        rb"\xff\xd8\xff|\x89PNG\r\n|GIF8|BM....\0\0\0\0|RIFF....WEBP|II\*\0|MM\0\*",
    ),
    _kind(N_("a PDF file"), False, ("pdf",), b"%PDF"),
    _kind(
        N_("a web page"),
        False,
        ("htm", "html", "url"),
        rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html)",
    ),
    _kind(
        N_("an archive"),
        False,
        ("zip", "rar", "7z", "gz", "bz2"),
        rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b|BZh",
    ),
    _kind(N_("a program"), False, ("exe", "dll", "so", "msi", "app"), rb"\x7fELF|MZ[^ -~]"),
    _kind(
        N_("a playlist"),
        False,
        ("m3u", "m3u8", "pls", "xspf", "wpl"),
        rb"(?:\xef\xbb\xbf)?#EXTM3U|\[playlist\]",
    ),
    _kind(
        N_("a text"),
        False,
        ("txt", "nfo", "log", "md", "doc", "docx", "odt", "rtf", "lrc", "csv", "xml", "ini"),
    ),
)


class UnplayableFileError(PhaseLockError):
    """A file that cannot be played: it is no music, is incomplete, or its sound is of a kind that is not supported.

    `why` is a clause that says it. Without one the file is damaged, or unknown bytes.
    """

    def __init__(self, file_name: str, why: Message | None = None) -> None:
        if why is None:
            super().__init__(
                N_("Invalid or corrupted {kind} file: {file_name}"), kind=format_of(file_name), file_name=file_name
            )
        else:
            super().__init__(N_("{file_name} cannot be played: {why}."), file_name=file_name, why=why)
        self.file_name = file_name
        self.why = why

    def named(self, file_name: str) -> UnplayableFileError:
        """The same error with another name: the file in the cache has another name than the user's file."""
        return UnplayableFileError(file_name, self.why)


class OtherSoundError(UnplayableFileError):
    """A file with sound of a kind that must be converted, for which a package is missing. `kind` is a noun."""

    def __init__(self, file_name: str, kind: Message) -> None:
        super().__init__(file_name, Message(N_("it is {kind}, which needs: {command}"), kind=kind, command=COMMAND))
        self.kind = kind

    def named(self, file_name: str) -> OtherSoundError:
        return OtherSoundError(file_name, self.kind)


def is_music(name: str) -> bool:
    """Does this name end as those of music files do?"""
    return name.lower().endswith(MUSIC_ENDINGS)


def without_ending(name: str) -> str:
    """The name of a music file as users see it."""
    stem, dot, ending = name.rpartition(".")
    return stem if stem and f"{dot}{ending}".lower() in _FORMATS else name


def format_of(name: str) -> str:
    """The kind of music that a file with this name should contain. MP3 if the name says nothing."""
    return _FORMATS.get(name[name.rfind(".") :].lower(), "MP3")


def counted(paths: Sequence[str]) -> Message:
    """How many files and folders these are, by their names: no disk is asked."""
    files = sum(path.lower().endswith(SONG_ENDINGS) for path in paths)
    if files == len(paths):
        return Message.plural("{number} file", "{number} files", files)
    if files:
        return Message("{number} files and folders", number=len(paths))
    return Message.plural("{number} folder", "{number} folders", len(paths))


def kind_of_name(name: str) -> Message | None:
    """What a file with this name is, as a noun; None if that is unknown or music."""
    found = _by_suffix(name)
    return Message(found.label) if found else None


def no_music(name: str, beginning: bytes) -> UnplayableFileError:
    """The error for a file of no kind that PhaseLock plays. `beginning`: its first bytes."""
    beginning = _behind_tag(beginning)
    if _is_free_format(beginning):
        return UnplayableFileError(name, Message(N_('its bit rate is of the kind "free", which PhaseLock cannot read')))
    found = next((kind for kind in _KINDS if kind.beginning and kind.beginning.match(beginning)), None)
    named_music = is_music(name)
    if found is None and not named_music:
        found = _by_suffix(name)
    if named_music and (found is None or not found.sound):
        return UnplayableFileError(name)
    if found is None and len(beginning) > 1 and _is_text(beginning):
        found = _KINDS[-1]
    if found is None:
        return UnplayableFileError(name, Message(N_("it is no music file")))
    if found.sound:
        return OtherSoundError(name, Message(found.label))
    return UnplayableFileError(name, Message(N_("it is {kind}, not a music file"), kind=Message(found.label)))


def _by_suffix(name: str) -> _Kind | None:
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    return next((kind for kind in _KINDS if suffix in kind.suffixes), None)


def _behind_tag(data: bytes) -> bytes:
    """The bytes behind an ID3v2 tag, if they are there."""
    if data[:3] != b"ID3" or len(data) < 10:
        return data
    size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
    return data[10 + size :]


def _is_free_format(data: bytes) -> bool:
    """Headers of layer III with bit rate 0, at equal distances."""
    header = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x00-\x0b].", re.DOTALL)
    first = header.match(data)
    if first is None:
        return False
    pattern = re.escape(first[0][:2])
    places = [place.start() for place in re.finditer(pattern, data)]
    sizes = [later - sooner for sooner, later in zip(places, places[1:], strict=False)]
    return len(sizes) >= 2 and abs(sizes[0] - sizes[1]) <= 1


def _is_text(data: bytes) -> bool:
    """Only characters of a text, in UTF-8 or with letters of one byte."""
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", data) and data.count(b"\xff") == 0
