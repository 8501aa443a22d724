"""Read the tags of an MP3 file: title, artist and picture. Everything here blocks.

tinytag parses the tags. It reads the file through `_LimitedFile`, which bounds the time and the memory that a hostile
file can cost: it shortens every text, and ends the tag after a number of bytes.
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

_MAX_TEXT_BYTES = 1024
"""Limit of one text; longer than any title that is shown, in any encoding."""
_MAX_TEXTS_BYTES = 16 << 10
"""Limit of all texts together: tinytag compares each value of a field with all others."""
_MAX_PICTURE_BYTES = MAX_ARTWORK_BYTES + (64 << 10)
"""Limit of one picture with its description."""
_MAX_PICTURES_BYTES = 4 * MAX_ARTWORK_BYTES
_MAX_UNSYNCHRONISED_BYTES = 1 << 20
"""Limit of a tag that is copied to undo its unsynchronisation, if no pictures are wanted."""
_HEADER_BYTES = 10
_ID3V1_BYTES = 128
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Tags:
    """Title, artist and album, safe to show; empty if the file has none."""

    title: str
    artist: str
    album: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Artwork:
    """A picture of at most MAX_ARTWORK_BYTES that begins with the signature of a JPEG, PNG, GIF or WebP. The rest of it
    is not checked."""

    mime: str
    data: bytes


def read_tags(path: pathlib.Path) -> Tags:
    """Title, artist and album from the file's tags (ID3, any version). Never raises."""
    tag = _read(path, pictures=False)
    if not tag:
        return Tags("", "")
    return Tags(title(tag.title or ""), title(tag.artist or ""), title(tag.album or ""))


def read_artwork(path: pathlib.Path) -> Artwork | None:
    """The front cover, else another picture; None if there is no usable one. Never raises."""
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
    from tinytag import TinyTag  # imported late: a peer does not read tags

    try:
        with open_regular(path) as file:
            sound = _synchronised(file, _MAX_PICTURES_BYTES if pictures else _MAX_UNSYNCHRONISED_BYTES)
            limited = cast(BinaryIO, _LimitedFile(sound, pictures))
            # tinytag chooses its parser by the name. Only the MP3 parser may read a file that we do not trust.
            return TinyTag.get("x.mp3", file_obj=limited, duration=False, image=pictures)
    except Exception:  # tinytag raises many types for broken tags
        return None


class _LimitedFile:
    """The file as tinytag reads it. A read longer than the limit returns only the beginning, but advances by the size
    that was requested."""

    def __init__(self, file: BinaryIO, pictures: bool) -> None:
        self._file = file
        self._picture_bytes = _MAX_PICTURES_BYTES if pictures else 0
        self._text_bytes = _MAX_TEXTS_BYTES
        self._last = b""

    def read(self, size: int) -> bytes:
        # A read this short is the header of a frame; the next read is its content. A tag that ends at a header is
        # valid.
        if size <= _HEADER_BYTES and self._text_bytes <= 0:
            return b""
        max_bytes = _MAX_TEXT_BYTES
        if self._last.startswith((b"APIC", b"PIC")) and self._picture_bytes > 0:
            max_bytes = _MAX_PICTURE_BYTES
        start = self._file.tell()
        data = self._file.read(min(size, max_bytes))
        if max_bytes == _MAX_PICTURE_BYTES:
            self._picture_bytes -= len(data)
        else:
            self._text_bytes -= len(data)
        if size > max_bytes:
            self._file.seek(start + size)
        self._last = data[:4] if size <= _HEADER_BYTES else b""
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _synchronised(file: io.FileIO, max_bytes: int) -> BinaryIO:
    """The file itself; or, if its tag uses the "unsynchronisation" of ID3v2.2 or 2.3, which tinytag does not undo, only
    its tags with that undone. Of the first tag at most `max_bytes` are read."""
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:3] != b"ID3" or header[3] not in (2, 3) or not header[5] & 0x80:
        return io.BufferedReader(file)
    size = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
    frames = (file.read(min(size, max_bytes)) or b"").replace(b"\xff\x00", b"\xff")
    size_bytes = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    file.seek(max(0, file.seek(0, os.SEEK_END) - _ID3V1_BYTES))
    flags = bytes((header[5] & 0x7F,))
    return io.BytesIO(header[:5] + flags + size_bytes + frames + file.read(_ID3V1_BYTES))
