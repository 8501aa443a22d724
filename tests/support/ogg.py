"""Ogg files for tests, after RFC 3533. Their checksums are wrong; nothing here looks at them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

SEGMENTS = 255
SEGMENT_BYTES = 255


def ogg(packets: Sequence[bytes], serial: int = 7, heads: int = 2) -> bytes:
    """One stream: each packet begins a page, and the first `heads` of them are no sound."""
    pages = []
    for number, packet in enumerate(packets):
        lengths = bytes([SEGMENT_BYTES]) * (len(packet) // SEGMENT_BYTES) + bytes([len(packet) % SEGMENT_BYTES])
        for at in range(0, len(lengths), SEGMENTS):
            part = lengths[at : at + SEGMENTS]
            body = packet[at * SEGMENT_BYTES :][: sum(part)]
            flags = (1 if at else 0) | (2 if not pages else 0)
            granule = 0 if number < heads else number * 1000
            head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, len(pages), 0)
            pages.append(head + bytes([len(part)]) + part + body)
    return b"".join(pages)


def flac_in_ogg(file: bytes, serial: int = 7) -> bytes:
    """This FLAC file (RFC 9639, section 10.1) in one packet for the stream information and one for all the rest."""
    info = 4 + 4 + 34
    return ogg([b"\x7fFLAC\1\0\0\1" + file[:info], file[info:]], serial)
