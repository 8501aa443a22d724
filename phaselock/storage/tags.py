"""Read the tags of a music file: title, artist, album, loudness and picture, from ID3v2, APEv2, ID3v1, the comments of
FLAC files and the chunks of WAV and AIFF files. Everything here blocks.

The file is hostile: every read is bounded, and a broken tag costs little time and memory.
"""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from phaselock.frozen import frozen
from phaselock.model import names
from phaselock.model.loudness import ALBUM_GAINS, TRACK_GAINS, Loudness, tagged_loudness
from phaselock.storage import chunks, flac_tags, id3
from phaselock.storage.files import open_regular

MAX_ARTWORK_BYTES = 8 << 20

_MAX_TEXT_BYTES = 1024
"""Limit of one text; longer than any title that is shown, in any encoding."""
_MAX_PICTURE_BYTES = MAX_ARTWORK_BYTES + (64 << 10)
"""Limit of one picture with its description."""
_MAX_PICTURES = 8
"""Limit of the pictures that are read to find the front cover."""
_MAX_LEADING_TAGS = 4
_TEXTS = ("title", "artist", "album")
_TEXT_FRAMES = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TRCK": "track", "TPOS": "disc"}
_GAINS = (*TRACK_GAINS, *ALBUM_GAINS)
_USER_FRAME = "TXXX"
_PICTURE_FRAMES = {"APIC": _MAX_PICTURE_BYTES, "PIC": _MAX_PICTURE_BYTES}
_MAX_DESCRIPTION_BYTES = 1024
"""A picture begins within this number of bytes of its frame."""
_FRONT_COVER = 3
_SIGNATURES = (
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"GIF8", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
)
_SIGNATURE = re.compile(b"|".join(b"(%b)" % signature for signature, _ in _SIGNATURES), re.DOTALL)
_ID3V1_BYTES = 128
_ID3V1_EXTENSION_BYTES = 227
_APE_BYTES = 32
_LYRICS3_END_BYTES = 15
_MAX_APE_ITEMS = 100


@frozen
class Tags:
    """What the tags of a file say. Title, artist and album are safe to show; empty if the file has none."""

    title: str
    artist: str
    album: str = ""
    loudness: Loudness | None = None
    """By the ReplayGain or R128 tags of the track."""
    album_loudness: Loudness | None = None
    """By those of the album."""
    place: tuple[int, int] | None = None
    """Number of the disc, 1 if there is none, and of the track on it; None: not known."""


@frozen
class Artwork:
    """A picture of at most MAX_ARTWORK_BYTES that begins with the signature of a JPEG, PNG, GIF or WebP. The rest of it
    is not checked."""

    mime: str
    data: bytes


def read_tags(path: pathlib.Path, reduced: Callable[[str], str] = names.title) -> Tags:
    """Title, artist and album from the file's tags, each as `reduced` makes it safe to show, and its loudness. Never
    raises."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError), open_regular(path) as raw, io.BufferedReader(raw) as file:
        for field, text in _texts(file):
            if not found.get(field):
                found[field] = reduced(text) if field in _TEXTS else text
    title, artist, album = (found.get(field, "") for field in _TEXTS)
    track, album_tagged = (
        tagged_loudness(*(found.get(field, "") for field in fields)) for fields in (TRACK_GAINS, ALBUM_GAINS)
    )
    return Tags(title, artist, album, track, album_tagged, _place(found.get("disc", ""), found.get("track", "")))


def _place(disc: str, track: str) -> tuple[int, int] | None:
    """The place of the track from texts such as "1/2" and "07"."""
    numbers = [re.match(r"\s*(\d{1,4})(?!\d)", text, re.ASCII) for text in (disc, track)]
    return (int(numbers[0][1]) if numbers[0] else 1, int(numbers[1][1])) if numbers[1] else None


def read_artwork(path: pathlib.Path) -> Artwork | None:
    """The front cover, else another picture; None if there is no usable one. Never raises."""
    other = None
    try:
        with open_regular(path) as raw, io.BufferedReader(raw) as file:
            for is_front, data in _pictures(file):
                signature = _SIGNATURE.match(data)
                if signature is None or signature.lastindex is None or len(data) > MAX_ARTWORK_BYTES:
                    continue
                artwork = Artwork(_SIGNATURES[signature.lastindex - 1][1], data)
                if is_front:
                    return artwork
                other = other or artwork
    except (OSError, ValueError):
        pass
    return other


def _texts(file: io.BufferedIOBase) -> Iterator[tuple[str, str]]:
    """The texts of all tags, the most reliable first: (field of Tags, text)."""
    yield from flac_tags.comments(file, _behind_tags(file))
    for start, header in _id3v2_tags(file):
        for frame in id3.frames(file, start, header, dict.fromkeys(_TEXT_FRAMES, _MAX_TEXT_BYTES)):
            yield _TEXT_FRAMES[frame.name], _frame_texts(frame.content)[0]
        # Programs write many of them, and only a limited number of frames is read: those above come first.
        for frame in id3.frames(file, start, header, {_USER_FRAME: _MAX_TEXT_BYTES}):
            key, *values = _frame_texts(frame.content)
            if key.lower() in _GAINS and values:
                yield key.lower(), values[0]
    ends = _trailing_tags(file)
    wanted = (b"title", b"artist", b"album", b"track", b"disc", *(key.encode() for key in _GAINS))
    for name, value in _ape_items(file, ends, wanted, _MAX_TEXT_BYTES):
        yield name.decode(), value.decode("utf-8", "replace").split("\0")[0]
    if "TAG" in ends:
        file.seek(ends["TAG"])
        data = file.read(_ID3V1_BYTES)
        yield "title", _byte_text(data[3:33])
        yield "artist", _byte_text(data[33:63])
        yield "album", _byte_text(data[63:93])
        if data[125] == 0 and data[126]:  # ID3v1.1
            yield "track", str(data[126])
    for field, text in chunks.texts(file):
        yield field, _byte_text(text)


def _pictures(file: io.BufferedIOBase) -> Iterator[tuple[bool, bytes]]:
    """The pictures of all tags: is it the front cover, and its bytes."""
    left = _MAX_PICTURES
    for kind, picture in flac_tags.pictures(file, _behind_tags(file), _MAX_PICTURE_BYTES):
        yield kind == _FRONT_COVER, picture
        left -= 1
        if not left:
            return
    for start, header in _id3v2_tags(file):
        for frame in id3.frames(file, start, header, _PICTURE_FRAMES):
            yield _is_front_cover(frame), _from_signature(frame.content)
            left -= 1
            if not left:
                return
    for _, value in _ape_items(file, _trailing_tags(file), (b"cover art (front)",), _MAX_PICTURE_BYTES):
        yield True, _from_signature(value)


def _is_front_cover(frame: id3.Frame) -> bool:
    """The kind is behind the encoding and the type: three letters in 2.2, else a text that ends with a zero."""
    place = 4 if frame.name == "PIC" else frame.content.find(b"\0", 1) + 1
    return frame.content[place : place + 1] == bytes((_FRONT_COVER,))


def _from_signature(content: bytes) -> bytes:
    """The picture behind its description. Programs end descriptions in different ways, so its first bytes decide."""
    found = _SIGNATURE.search(content, 0, _MAX_DESCRIPTION_BYTES)
    return content[found.start() :] if found else b""


def _id3v2_tags(file: io.BufferedIOBase) -> Iterator[tuple[int, id3.Header]]:
    """The tags at the beginning of the file, one that is appended, and those in chunks: where they begin, and their
    headers."""
    yield from _leading_tags(file)
    if (end := _trailing_tags(file).get("3DI")) is not None:
        file.seek(end)
        header = id3.parse_header(file.read(id3.HEADER_BYTES), b"3DI")
        if header and end - header.size - id3.HEADER_BYTES >= 0:
            yield end - header.size - id3.HEADER_BYTES, header
    for place in chunks.id3_places(file):
        file.seek(place)
        header = id3.parse_header(file.read(id3.HEADER_BYTES))
        if header:
            yield place, header


def _leading_tags(file: io.BufferedIOBase) -> Iterator[tuple[int, id3.Header]]:
    start = 0
    for _ in range(_MAX_LEADING_TAGS):
        file.seek(start)
        header = id3.parse_header(file.read(id3.HEADER_BYTES))
        if header is None:
            return
        yield start, header
        start += header.whole_size


def _behind_tags(file: io.BufferedIOBase) -> int:
    """Where the file begins behind the ID3v2 tags at its beginning."""
    return max((start + header.whole_size for start, header in _leading_tags(file)), default=0)


def _trailing_tags(file: io.BufferedIOBase) -> dict[str, int]:
    """Where the tags at the end of the file are, which may stand in any order. Of "TAG" (ID3v1) the beginning, of
    "APETAGEX" and "3DI" (ID3v2) the footer."""
    end = file.seek(0, os.SEEK_END)
    found: dict[str, int] = {}
    while len(found) < 4:
        begin = max(0, end - _ID3V1_BYTES - _ID3V1_EXTENSION_BYTES)
        file.seek(begin)
        last = file.read(end - begin)
        if last[-_ID3V1_BYTES:].startswith(b"TAG") and len(last) >= _ID3V1_BYTES and "TAG" not in found:
            end = found["TAG"] = end - _ID3V1_BYTES
            if last.startswith(b"TAG+"):
                end = begin
        elif last[-_APE_BYTES:].startswith(b"APETAGEX") and len(last) >= _APE_BYTES and "APETAGEX" not in found:
            found["APETAGEX"] = end - _APE_BYTES
            has_header = last[-9] & 0x80
            end -= int.from_bytes(last[-20:-16], "little") + (_APE_BYTES if has_header else 0)
        elif (header := id3.parse_header(last[-id3.HEADER_BYTES :], b"3DI")) and "3DI" not in found:
            found["3DI"] = end - id3.HEADER_BYTES
            end -= header.size + 2 * id3.HEADER_BYTES
        elif (lyrics := re.fullmatch(rb"(\d{6})LYRICS200", last[-_LYRICS3_END_BYTES:])) and "LYRICS200" not in found:
            found["LYRICS200"] = end
            end -= int(lyrics[1]) + _LYRICS3_END_BYTES
        else:
            break
        if end <= 0:
            break
    return found


def _ape_items(
    file: io.BufferedIOBase, ends: dict[str, int], wanted: tuple[bytes, ...], most: int
) -> Iterator[tuple[bytes, bytes]]:
    """The items of the APEv2 tag whose keys are wanted: (key in lower case, value). Source: wiki.hydrogenaud.io,
    "APEv2 specification"."""
    if "APETAGEX" not in ends:
        return
    file.seek(ends["APETAGEX"])
    footer = file.read(_APE_BYTES)
    place = ends["APETAGEX"] + _APE_BYTES - int.from_bytes(footer[12:16], "little")
    for _ in range(min(_MAX_APE_ITEMS, int.from_bytes(footer[16:20], "little"))):
        if not 0 <= place < ends["APETAGEX"]:
            return
        file.seek(place)
        head = re.match(rb"(....)....([\x20-\x7e]{2,255})\0", file.read(8 + 256), re.DOTALL)
        if head is None:
            return
        size = int.from_bytes(head[1], "little")
        if (key := head[2].lower()) in wanted:
            file.seek(place + head.end())
            yield key, file.read(min(size, most, ends["APETAGEX"] - place - head.end()))
        place += head.end() + size


def _frame_texts(content: bytes) -> list[str]:
    """The texts of a text frame, at least one: several values, or a description and its value."""
    encoding, data = content[0], content[1:]
    if encoding in (1, 2):
        data = data[: len(data) // 2 * 2]
        name = "utf-16-be" if encoding == 2 else "utf-16-le"
        for mark, marked in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
            if data.startswith(mark):
                data, name = data[2:], marked
        return [text.lstrip("\ufeff") for text in data.decode(name, "replace").split("\0")]
    if encoding == 3:
        return data.decode("utf-8", "replace").split("\0")
    return [_byte_text(part) for part in (data if encoding == 0 else content).split(b"\0")]


def _byte_text(data: bytes) -> str:
    """A text in an encoding of one byte. The standard says latin-1; programs write their code page or UTF-8, of which
    the last character may be cut off."""
    data = data.partition(b"\0")[0]
    if any(byte >= 0x80 for byte in data):
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and error.start > 0 and max(data[: error.start]) >= 0x80:
                return data[: error.start].decode()
    return "".join(bytes((byte,)).decode("cp1252", "ignore") or chr(byte) for byte in data)
