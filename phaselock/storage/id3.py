"""Frames of ID3v2 tags: 2.2, 2.3 and 2.4 with all flags. Everything here blocks.

The tag is hostile: all reads are bounded, and nothing is believed that cannot be checked. Source: id3.org, "ID3 tag
version 2.4.0 - Main Structure", and the same of 2.3.0 and 2.2.0.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from phaselock.frozen import frozen

HEADER_BYTES = 10
MAX_FRAMES = 5000
"""Limit of the frames of one tag that are looked at."""
_CHUNK_BYTES = 1 << 16
_NAMES_2_2 = {
    b"TT2": "TIT2",
    b"TP1": "TPE1",
    b"TAL": "TALB",
    b"TRK": "TRCK",
    b"TPA": "TPOS",
    b"TXX": "TXXX",
    b"PIC": "APIC",
}
"""Frames of ID3v2.2 that 2.3 and 2.4 have with another name. The content of PIC differs too."""
MAX_READ_FRAMES = 16
"""Limit of the frames of a tag that are read, also of invalid ones: a compressed frame may inflate to megabytes."""
_FRAME_NAME = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 \0]?")


@frozen
class Header:
    """The header of a tag, from its first ten bytes or its footer."""

    version: int
    """2, 3 or 4."""
    flags: int
    size: int
    """Bytes between header and footer."""

    @property
    def whole_size(self) -> int:
        """Bytes of the tag with its header and footer."""
        return self.size + HEADER_BYTES * (2 if self.version == 4 and self.flags & 0x10 else 1)


@frozen
class Frame:
    """The content of a frame, without stuffing and compression."""

    name: str
    """As in ID3v2.4. A picture of ID3v2.2 keeps its name "PIC"."""
    content: bytes


def parse_header(data: bytes, mark: bytes = b"ID3") -> Header | None:
    """The header in these ten bytes, which begin with `mark` ("3DI" in a footer); None if they are none."""
    if len(data) < HEADER_BYTES or data[:3] != mark or data[3] not in (2, 3, 4):
        return None
    if any(byte & 0x80 for byte in data[6:10]):
        return None
    return Header(data[3], data[5], _seven_bits(data[6:10]))


def frames(file: io.BufferedIOBase, start: int, header: Header, wanted: Mapping[str, int]) -> Iterator[Frame]:
    """The frames of the tag at `start` whose names are in `wanted`, in order; of each frame at most that number of
    bytes. Encrypted ones are left out. At most MAX_READ_FRAMES. OSError if the file cannot be read."""
    file.seek(start + HEADER_BYTES)
    plain: _Reader = _Plain(file, header.size)
    # Until 2.3 the whole tag is stuffed: each FF is followed by a 00, where the pair could be taken for a packet.
    reader = _Unstuffed(plain) if header.flags & 0x80 and header.version < 4 else plain
    _skip_extended_header(reader, header)
    short = header.version == 2
    left = MAX_READ_FRAMES
    for _ in range(MAX_FRAMES):
        head = reader.read(6 if short else 10)
        if len(head) < (6 if short else 10) or not _FRAME_NAME.fullmatch(head[: 3 if short else 4]):
            return
        raw = head[:3] if short else head[:4].rstrip(b" \0")
        name = "PIC" if raw == b"PIC" else _NAMES_2_2.get(raw, raw.decode())
        size = int.from_bytes(head[3:6], "big") if short else int.from_bytes(head[4:8], "big")
        if header.version == 4:
            size = _size_2_4(plain, head[4:8])
        flags = 0 if short else head[9]
        if name not in wanted:
            reader.skip(size)
            continue
        if not left:
            return
        left -= 1
        most = wanted[name]
        stored = reader.read(min(size, 2 * most + 16))  # stuffing can double it
        reader.skip(size - len(stored))
        content: bytes | None = stored
        if header.version == 3:
            content = _content_2_3(stored, flags, most)
        elif header.version == 4:
            content = _content_2_4(stored, flags, header, most)
        if content:
            yield Frame(name, content[:most])


def _skip_extended_header(reader: _Reader, header: Header) -> None:
    if not header.flags & 0x40 or header.version == 2:
        return
    size_bytes = reader.peek(4)
    if _FRAME_NAME.fullmatch(size_bytes):  # the flag is wrong: the first frame is here
        return
    if header.version == 3:
        reader.skip(4 + int.from_bytes(size_bytes, "big"))
    else:
        reader.skip(max(6, _seven_bits(size_bytes)))


def _size_2_4(reader: _Reader, data: bytes) -> int:
    """The size of a frame of 2.4. It has seven bits in each byte, but older programs write eight. Where both are
    possible, the one behind which the next frame or the padding begins is right."""
    if any(byte & 0x80 for byte in data):
        return int.from_bytes(data, "big")
    seven, eight = _seven_bits(data), int.from_bytes(data, "big")
    if seven == eight:
        return seven
    for size in (seven, eight):
        following = reader.peek(4, ahead=size)
        if not following.strip(b"\0") or _FRAME_NAME.fullmatch(following):
            return size
    return seven


def _content_2_3(stored: bytes, flags: int, most: int) -> bytes | None:
    if flags & 0x40:  # encrypted
        return None
    place = (4 if flags & 0x80 else 0) + (1 if flags & 0x20 else 0)
    return _inflated(stored[place:], most) if flags & 0x80 else stored[place:]


def _content_2_4(stored: bytes, flags: int, header: Header, most: int) -> bytes | None:
    if flags & 0x04:  # encrypted
        return None
    place = (1 if flags & 0x40 else 0) + (4 if flags & 0x01 else 0)
    content = stored[place:]
    # The flag of the tag says that all frames are stuffed. Programs set it also where only some frames are.
    if flags & 0x02 or (header.flags & 0x80 and _is_stuffed(content)):
        content = _unstuffed(content)
    if flags & 0x08:
        return _inflated(content, most) or (_inflated(content[4:], most) if not flags & 0x01 else None)
    return content


def _inflated(data: bytes, most: int) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return None


def _is_stuffed(data: bytes) -> bool:
    """Can these bytes be stuffed? No pair of FF and a byte from E0 on is left then."""
    return re.search(rb"\xff(?:[\xe0-\xff]|$)", data, re.DOTALL) is None


def _unstuffed(data: bytes) -> bytes:
    return data.replace(b"\xff\0", b"\xff")


def _seven_bits(data: bytes) -> int:
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number


class _Reader(Protocol):
    """The bytes of a tag, from front to back. Reading beyond its end gives fewer bytes."""

    def read(self, size: int) -> bytes: ...

    def skip(self, size: int) -> None: ...

    def peek(self, size: int, ahead: int = 0) -> bytes: ...


class _Plain:
    """The tag as it is in the file."""

    def __init__(self, file: io.BufferedIOBase, size: int) -> None:
        self._file = file
        self._end = file.tell() + size

    def read(self, size: int) -> bytes:
        return self._file.read(max(0, min(size, self._end - self._file.tell())))

    def skip(self, size: int) -> None:
        self._file.seek(min(self._end, self._file.tell() + max(0, size)))

    def peek(self, size: int, ahead: int = 0) -> bytes:
        here = self._file.tell()
        self.skip(ahead)
        data = self.read(size)
        self._file.seek(here)
        return data


class _Unstuffed:
    """A tag without its stuffing."""

    def __init__(self, stuffed: _Reader) -> None:
        self._stuffed = stuffed
        self._ready = b""
        self._held = b""

    def read(self, size: int) -> bytes:
        parts = []
        while size > 0 and (part := self._some(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        while size > 0 and (part := self._some(size)):
            size -= len(part)

    def peek(self, size: int, ahead: int = 0) -> bytes:
        assert ahead == 0, "only frames of 2.4 are compared with what follows them"
        data = self.read(size)
        self._ready = data + self._ready
        return data

    def _some(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._ready:
            chunk = self._held + self._stuffed.read(_CHUNK_BYTES)
            self._held = b""
            if len(chunk) > 1 and chunk.endswith(b"\xff"):  # the byte after it may be stuffing
                chunk, self._held = chunk[:-1], chunk[-1:]
            self._ready = _unstuffed(chunk)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data
