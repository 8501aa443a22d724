"""WAV files (RIFF, RF64, Wave64) and AIFF files (IFF): chunks with texts, tags and sound. Every read is bounded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

WAVE64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_MAX_CHUNKS = 1000
_MAX_TEXT_BYTES = 1024
_UNKNOWN_BYTES = 0x7FFF0000
"""Programs that write to a pipe tell this size of the sound, or a larger one."""
_MPEG = b"\x55\0"
"""The coding of a WAV file that contains MPEG audio."""
_INFO = {b"INAM": "title", b"IART": "artist", b"IPRD": "album"}
_IFF = {b"NAME": "title", b"AUTH": "artist"}


def texts(file: io.BufferedIOBase) -> Iterator[tuple[str, bytes]]:
    """The texts that name a field of Tags: (field, bytes)."""
    for name, place, size in _top(file):
        if name == b"LIST":
            file.seek(place)
            if file.read(4) == b"INFO":
                yield from _texts(file, _chunks(file, place + 4, place + size, "little"))
        elif name in _IFF:
            file.seek(place)
            yield _IFF[name], file.read(min(size, _MAX_TEXT_BYTES))


def id3_places(file: io.BufferedIOBase) -> Iterator[int]:
    """Where ID3v2 tags are."""
    for name, place, _ in _top(file):
        if name in (b"id3 ", b"ID3 "):
            yield place


def is_sound(file: io.BufferedIOBase) -> bool:
    """Can the chunk with the sound be reached, from chunk to chunk? If not, miniaudio's decoder may never end."""
    file.seek(0)
    head = file.read(40)
    if head.startswith(WAVE64):
        place = 40
        for _ in range(_MAX_CHUNKS):
            file.seek(place)
            header = file.read(24)
            size = int.from_bytes(header[16:], "little")
            if len(header) < 24 or not 24 <= size < 1 << 40:
                return False
            if header[:4] == b"data":
                return True
            place += (size + 7) // 8 * 8
        return False
    return any(name in (b"data", b"SSND") for name, _, _ in _top(file))


def is_cut_off(file: io.BufferedIOBase) -> bool:
    """Does the file end before the end that its chunk with the sound tells? Not known of Wave64 files, and of those
    that were written to a pipe."""
    end = file.seek(0, io.SEEK_END)
    for name, place, _ in _top(file):
        if name in (b"data", b"SSND"):
            file.seek(place - 4)
            size = int.from_bytes(file.read(4), "little" if name == b"data" else "big")
            return size < _UNKNOWN_BYTES and place + size > end
    return False


def sound_seconds(file: io.BufferedIOBase) -> float | None:
    """How long the sound is by the header; 0: not known, as of Wave64 files. None if it is no such file, or one that
    contains MPEG audio."""
    file.seek(0)
    head = file.read(16)
    if head.startswith(WAVE64):
        return 0.0
    known, bytes_per_s, size = False, 0, 0
    for name, place, length in _top(file):
        known = True
        file.seek(place)
        if name == b"fmt ":
            form = file.read(12)
            if form.startswith(_MPEG):
                return None
            bytes_per_s = int.from_bytes(form[8:12], "little")
        elif name == b"COMM":
            form = file.read(18)
            exponent, mantissa = int.from_bytes(form[8:10], "big") & 0x7FFF, int.from_bytes(form[10:18], "big")
            rate_hz = mantissa >> 16383 + 63 - exponent if 16383 <= exponent <= 16383 + 63 else 0
            return int.from_bytes(form[2:6], "big") / rate_hz if rate_hz else 0.0
        elif name == b"data":
            size = length
    return (size / bytes_per_s if bytes_per_s else 0.0) if known else None


def _texts(file: io.BufferedIOBase, found: Iterator[tuple[bytes, int, int]]) -> Iterator[tuple[str, bytes]]:
    for name, place, size in found:
        if name in _INFO:
            file.seek(place)
            yield _INFO[name], file.read(min(size, _MAX_TEXT_BYTES))


def _top(file: io.BufferedIOBase) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of the file: (name, place, size)."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        yield from _chunks(file, 12, end, "little")
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        yield from _chunks(file, 12, end, "big")


def _chunks(
    file: io.BufferedIOBase, place: int, end: int, order: Literal["little", "big"]
) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_MAX_CHUNKS):
        if place + 8 > end:
            return
        file.seek(place)
        header = file.read(8)
        size = int.from_bytes(header[4:], order)
        yield header[:4], place + 8, min(size, end - place - 8)
        place += 8 + size + size % 2
