"""The length of a music file as its headers tell it, for display only: the sound is not read. Every read is bounded."""

from __future__ import annotations

import io
import re

from phaselock.storage.chunks import sound_seconds
from phaselock.storage.id3 import HEADER_BYTES, parse_header

_MAX_TAGS = 4
_BEGINNING_BYTES = 32 << 10
_PACKET = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", re.DOTALL)
"""The beginning of a header of layer III."""
_KBPS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By the code in a header, from 1; True: of MPEG 1."""
_RATES_HZ = (44100, 48000, 32000)
_DIVISORS = {3: 1, 2: 2, 0: 4}
"""Of the rates, by the code of the version: MPEG 1, 2 and 2.5."""
_VBRI_PLACE = 36
_MAX_SECONDS = 1e6


def song_seconds(file: io.BufferedIOBase) -> float | None:
    """How long the music in this file is; 0: its header does not tell. None if it is no file of a kind that is played
    as it is. OSError if it cannot be read."""
    start = 0
    for _ in range(_MAX_TAGS):
        file.seek(start)
        header = parse_header(file.read(HEADER_BYTES))
        if header is None:
            break
        start += header.whole_size
    file.seek(start)
    data = file.read(_BEGINNING_BYTES)
    seconds = _flac_seconds(data) if data.startswith(b"fLaC") else sound_seconds(file)
    if seconds is None:
        seconds = _mp3_seconds(data, file.seek(0, io.SEEK_END) - start)
    return seconds if seconds is None or seconds < _MAX_SECONDS else 0.0


def _flac_seconds(data: bytes) -> float | None:
    """RFC 9639, section 8.2."""
    packed = int.from_bytes(data[18:26], "big")
    rate_hz, frames = packed >> 44, packed & (1 << 36) - 1
    return frames / rate_hz if rate_hz else 0.0


def _mp3_seconds(data: bytes, size: int) -> float | None:
    """By the number of packets that the first one tells, else by the bit rate of the first one."""
    for found in _PACKET.finditer(data):
        at = found.start()
        version, padding = data[at + 1] >> 3 & 3, data[at + 2] >> 1 & 1
        if len(data) < at + 4 or data[at + 2] >> 2 & 3 == 3:
            continue
        rate_hz = _RATES_HZ[data[at + 2] >> 2 & 3] // _DIVISORS[version]
        kbps = _KBPS[version == 3][(data[at + 2] >> 4) - 1]
        length = (144_000 if version == 3 else 72_000) * kbps // rate_hz + padding
        following = data[at + length : at + length + 2]
        if len(following) == 2 and following != data[at : at + 2]:  # no packet: bytes that look like a header
            continue
        packet_frames = 1152 if version == 3 else 576
        mono = data[at + 3] >> 6 == 3
        side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
        info = data[at + 4 + side : at + 4 + side + 12]
        packets = 0
        if info[:4] in (b"Xing", b"Info") and info[7:8] and info[7] & 1:
            packets = int.from_bytes(info[8:12], "big")
        elif data[at + _VBRI_PLACE : at + _VBRI_PLACE + 4] == b"VBRI":
            packets = int.from_bytes(data[at + _VBRI_PLACE + 14 : at + _VBRI_PLACE + 18], "big")
        return packets * packet_frames / rate_hz if packets else (size - at) / (125 * kbps)
    return None
