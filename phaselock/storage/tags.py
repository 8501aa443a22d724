"""What an MP3 file tells of itself: title, artist and a picture. Everything here blocks.

tinytag reads the tags, but sees the file through a window that keeps hostile ones from costing time or memory: every
text comes shortened, and after so many bytes the tag ends.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
from typing import TYPE_CHECKING, BinaryIO, cast

from phaselock.model.names import title
from phaselock.storage.files import open_regular

if TYPE_CHECKING:
    from tinytag import TinyTag

MAX_ARTWORK_BYTES = 8 << 20

_TEXT_BYTES = 1024
"""Of one text; more than a title shows, in any encoding."""
_TAG_BYTES = 16 << 10
"""Of all texts: tinytag compares every value of a field with all the others."""
_PICTURE_BYTES = MAX_ARTWORK_BYTES + (64 << 10)
"""Of one picture with its description."""
_PICTURES_BYTES = 4 * MAX_ARTWORK_BYTES
_STUFFED_TAG_BYTES = 1 << 20
_HEADER_BYTES = 10
_ID3V1_BYTES = 128
_SIGNATURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


@dataclasses.dataclass(frozen=True, slots=True)
class Tags:
    """Safe to show; empty where the file tells nothing."""

    title: str
    artist: str


@dataclasses.dataclass(frozen=True, slots=True)
class Artwork:
    """A picture of at most MAX_ARTWORK_BYTES that begins as a JPEG or PNG does; the rest of it is unchecked."""

    mime: str
    data: bytes


def read_tags(path: pathlib.Path) -> Tags:
    """Title and artist by the file's tags (ID3, any version). Never fails."""
    tag = _read(path, pictures=False)
    return Tags(title(tag.title or ""), title(tag.artist or "")) if tag else Tags("", "")


def read_artwork(path: pathlib.Path) -> Artwork | None:
    """The front cover, else any other picture; None when there is none that can be used. Never fails."""
    if not (tag := _read(path, pictures=True)):
        return None
    images = [image for images in tag.images.as_dict().values() for image in images]
    images.sort(key=lambda image: image is not tag.images.front_cover)
    for image in images:
        for signature, mime in _SIGNATURES:
            if image.data.startswith(signature) and len(image.data) <= MAX_ARTWORK_BYTES:
                return Artwork(mime, image.data)
    return None


def _read(path: pathlib.Path, *, pictures: bool) -> TinyTag | None:
    from tinytag import TinyTag  # imported late: a peer reads no tags

    try:
        with open_regular(path) as file:
            sound = _without_stuffing(file, _PICTURES_BYTES if pictures else _STUFFED_TAG_BYTES)
            window = cast(BinaryIO, _Window(sound, pictures))
            # The name tells tinytag what to look for; a stranger's file must not reach its other parsers.
            return TinyTag.get("x.mp3", file_obj=window, duration=False, image=pictures)
    except Exception:  # it raises whatever a broken tag leads to
        return None


class _Window:
    """A file as far as tinytag may see it: a longer read gives the beginning, but moves on as far as it asked."""

    def __init__(self, file: BinaryIO, pictures: bool) -> None:
        self._file = file
        self._picture_bytes = _PICTURES_BYTES if pictures else 0
        self._text_bytes = _TAG_BYTES
        self._last = b""

    def read(self, size: int) -> bytes:
        # A read this short is a frame's header; what comes next is its content. Ended at a header, a tag is whole.
        if size <= _HEADER_BYTES and self._text_bytes <= 0:
            return b""
        most = _TEXT_BYTES
        if self._last.startswith((b"APIC", b"PIC")) and self._picture_bytes > 0:
            most = _PICTURE_BYTES
        start = self._file.tell()
        data = self._file.read(min(size, most))
        if most == _PICTURE_BYTES:
            self._picture_bytes -= len(data)
        else:
            self._text_bytes -= len(data)
        if size > most:
            self._file.seek(start + size)
        self._last = data[:4] if size <= _HEADER_BYTES else b""
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _without_stuffing(file: io.FileIO, most_bytes: int) -> BinaryIO:
    """The file; or its tags alone, up to `most_bytes`, where zeros are stuffed into them (the "unsynchronisation" of
    ID3v2.2 and 2.3, which tinytag does not undo)."""
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:3] != b"ID3" or header[3] not in (2, 3) or not header[5] & 0x80:
        return io.BufferedReader(file)
    size = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
    frames = (file.read(min(size, most_bytes)) or b"").replace(b"\xff\x00", b"\xff")
    size_bytes = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    file.seek(max(0, file.seek(0, os.SEEK_END) - _ID3V1_BYTES))
    flags = bytes((header[5] & 0x7F,))
    return io.BytesIO(header[:5] + flags + size_bytes + frames + file.read(_ID3V1_BYTES))
