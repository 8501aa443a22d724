"""FLAC and WAV files for tests, after RFC 9639 and the RIFF specification, with samples as they are given."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

BLOCK_FRAMES = 4096


def flac(
    samples: Sequence[int], channels: int, rate_hz: int, bits: int = 16, *, frames: int | None = None, tags: bytes = b""
) -> bytes:
    """A FLAC file of uncompressed ("verbatim") blocks. `samples` are interleaved, `bits` (8, 16 or 24) wide. `frames`:
    the length that its header claims; 0: unknown. `tags`: further metadata blocks without their last-block flag."""
    size = bits // 8
    count = len(samples) // channels
    claimed = count if frames is None else frames
    plain = b"".join(sample.to_bytes(size, "little", signed=True) for sample in samples)
    packed = rate_hz << 44 | (channels - 1) << 41 | (bits - 1) << 36 | claimed
    info = struct.pack(">HH", BLOCK_FRAMES, BLOCK_FRAMES) + bytes(6) + packed.to_bytes(8, "big")
    info += hashlib.md5(plain, usedforsecurity=False).digest()
    head = b"fLaC" + (b"\x00" if tags else b"\x80") + len(info).to_bytes(3, "big") + info + tags
    return head + b"".join(
        _block(number, samples[at * channels : (at + BLOCK_FRAMES) * channels], channels, size)
        for number, at in enumerate(range(0, count, BLOCK_FRAMES))
    )


def wav(
    samples: bytes, channels: int, rate_hz: int, bits: int, *, coding: int = 1, claimed: int | None = None
) -> bytes:
    """A WAV file with these bytes of sound. `coding` 1: integers, 3: floats, 6: A-law, 7: mu-law. `claimed`: the number
    of bytes that its header claims."""
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", coding, channels, rate_hz, rate_hz * width, width, bits)
    size = len(samples) if claimed is None else claimed
    data = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(data)) + b"WAVE" + data


def aiff(samples: bytes, channels: int, bits: int) -> bytes:
    """An AIFF file at 44.1 kHz; the samples are big-endian."""
    frames = len(samples) // (channels * bits // 8)
    rate = bytes((0x40, 0x0E, 0xAC, 0x44)) + bytes(6)  # 44100 as an 80-bit float
    common = struct.pack(">hIh", channels, frames, bits) + rate
    data = b"COMM" + struct.pack(">I", len(common)) + common
    data += b"SSND" + struct.pack(">III", 8 + len(samples), 0, 0) + samples
    return b"FORM" + struct.pack(">I", 4 + len(data)) + b"AIFF" + data


def _block(number: int, samples: Sequence[int], channels: int, size: int) -> bytes:
    """One frame of the stream, in the sense of the format."""
    head = b"\xff\xf8\x70" + bytes(((channels - 1) << 4,)) + chr(number).encode()
    head += (len(samples) // channels - 1).to_bytes(2, "big")
    head += bytes((_crc(head, 8, 0x07),))
    body = head
    for channel in range(channels):
        body += b"\x02" + b"".join(sample.to_bytes(size, "big", signed=True) for sample in samples[channel::channels])
    return body + _crc(body, 16, 0x8005).to_bytes(2, "big")


def _crc(data: bytes, width: int, polynomial: int) -> int:
    value, top, mask = 0, 1 << (width - 1), (1 << width) - 1
    table = []
    for byte in range(256):
        entry = byte << (width - 8)
        for _ in range(8):
            entry = (entry << 1 ^ polynomial if entry & top else entry << 1) & mask
        table.append(entry)
    for byte in data:
        value = (value << 8 ^ table[value >> (width - 8) ^ byte]) & mask
    return value
