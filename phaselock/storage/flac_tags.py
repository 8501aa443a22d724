"""The comments and pictures of FLAC files (RFC 9639, sections 8.6 and 8.8), also inside Ogg (section 10.1). Every read
is bounded."""

from __future__ import annotations

import io
from collections.abc import Iterator

from phaselock.model.loudness import ALBUM_GAINS, TRACK_GAINS
from phaselock.storage import ogg

_MAX_BLOCKS = 100
_MAX_COMMENTS = 1000
_MAX_COMMENTS_BYTES = 1 << 20
_COMMENTS, _PICTURE = 4, 6
_OGG_MAPPING_BYTES = 9
"""Before the beginning of the FLAC file in its first packet."""
_FIELDS = {
    **{name: name for name in ("title", "artist", "album", *TRACK_GAINS, *ALBUM_GAINS)},
    "tracknumber": "track",
    "discnumber": "disc",
}
"""Names of comments in lower case, and the fields."""


def comments(file: io.BufferedIOBase, start: int) -> Iterator[tuple[str, str]]:
    """The comments of the FLAC file that begins at `start` of _FIELDS: (field, text)."""
    file, start = _plain(file, start)
    for kind, place, size in _blocks(file, start):
        if kind != _COMMENTS:
            continue
        file.seek(place)
        data = file.read(min(size, _MAX_COMMENTS_BYTES))
        at = 4 + int.from_bytes(data[:4], "little")  # behind the name of the encoder
        count = int.from_bytes(data[at : at + 4], "little")
        at += 4
        for _ in range(min(count, _MAX_COMMENTS)):
            length = int.from_bytes(data[at : at + 4], "little")
            key, _, text = data[at + 4 : at + 4 + length].partition(b"=")
            field = _FIELDS.get(key.decode("ascii", "replace").lower())
            if field is not None:
                yield field, text.decode("utf-8", "replace").split("\0")[0]
            at += 4 + length
            if at >= len(data):
                break


def pictures(file: io.BufferedIOBase, start: int, most: int) -> Iterator[tuple[int, bytes]]:
    """The pictures of the FLAC file that begins at `start`: (kind after ID3v2, at most `most` bytes of the picture)."""
    file, start = _plain(file, start)
    for block, place, size in _blocks(file, start):
        if block != _PICTURE:
            continue
        end = place + size
        file.seek(place)
        kind = int.from_bytes(file.read(4), "big")
        for _ in range(2):  # type and description
            file.seek(min(end, file.tell() + 4 + _number(file)))
        file.seek(16, io.SEEK_CUR)  # width, height, depth and colours
        length = _number(file)
        file.seek(4, io.SEEK_CUR)
        yield kind, file.read(max(0, min(length, most, end - file.tell())))


def _plain(file: io.BufferedIOBase, start: int) -> tuple[io.BufferedIOBase, int]:
    """The file and the place where its metadata begin. Those of a file inside Ogg are read."""
    if data := ogg.head(file, start):
        return io.BytesIO(data), _OGG_MAPPING_BYTES
    return file, start


def _number(file: io.BufferedIOBase) -> int:
    """The next 32 bits, which remain unread."""
    data = file.read(4)
    file.seek(-len(data), io.SEEK_CUR)
    return int.from_bytes(data, "big")


def _blocks(file: io.BufferedIOBase, start: int) -> Iterator[tuple[int, int, int]]:
    """The metadata blocks: (type, place, size)."""
    file.seek(start)
    if file.read(4) != b"fLaC":
        return
    place = start + 4
    for _ in range(_MAX_BLOCKS):
        file.seek(place)
        header = file.read(4)
        if len(header) < 4:
            return
        size = int.from_bytes(header[1:], "big")
        yield header[0] & 0x7F, place + 4, size
        if header[0] & 0x80:
            return
        place += 4 + size
