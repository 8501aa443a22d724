"""The pages of Ogg files (RFC 3533). Every read is bounded."""

from __future__ import annotations

import io

_HEADER_BYTES = 27
"""Of a page, without the lengths of its segments."""
_BEGINS_STREAM = 2
_NO_SOUND = (bytes(8), b"\xff" * 8)
"""Positions of pages on which no sound ends."""
_MAX_HEAD_PAGES = 200
"""About 12 MB: more than the largest picture."""
_MAX_PARTS = 100


def part_begins(file: io.BufferedIOBase) -> list[int]:
    """Where the parts of a chained file begin, in bytes. A file of another kind is one part."""
    begins, at, heading = [0], 0, True
    while len(begins) < _MAX_PARTS:
        file.seek(at)
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES or not header.startswith(b"OggS"):
            break
        begins_stream = bool(header[5] & _BEGINS_STREAM)
        if begins_stream and not heading:
            begins.append(at)
        heading = begins_stream
        at = file.tell() + header[26] + sum(file.read(header[26]))
    return begins


def head(file: io.BufferedIOBase, start: int) -> bytes:
    """What the pages before the sound contain, of the first stream of the file that begins at `start`. Empty if it is
    no Ogg file."""
    file.seek(start)
    data, stream = bytearray(), b""
    for _ in range(_MAX_HEAD_PAGES):
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES or not header.startswith(b"OggS") or header[6:14] not in _NO_SOUND:
            break
        page = file.read(sum(file.read(header[26])))
        stream = stream or header[14:18]
        if header[14:18] == stream:
            data += page
    return bytes(data)
