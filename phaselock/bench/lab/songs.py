"""Songs of every kind that is decoded on every machine, made from the noise of `signals`."""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from phaselock.bench.lab import flac, signals
from phaselock.frozen import frozen
from phaselock.storage.chunks import WAVE64

_PIECE_S, _PIECES = 10.0, 4
_QUIETER = 0.5
"""With it an hour of FLAC of 24 bits at 192 kHz is no larger than a session accepts (MAX_FILE_BYTES)."""
_RAW_FRAMES = 4096
_WAVE64_CHUNK = bytes.fromhex("f3acd3118cd100c04f8edb8a")
"""The end of the names of all chunks but the first."""


@frozen
class SongKind:
    """A kind of song. `bits`, `is_float` and `seek_table` have no meaning for MP3, and the last four only for it. With
    `vbr` the encoder chooses the bitrate."""

    name: str
    form: Literal["mp3", "flac", "wav", "aiff", "wave64"]
    rate_hz: int
    channels: int = 2
    bits: int = 16
    is_float: bool = False
    seek_table: bool = True
    kbps: int = 0
    vbr: bool = False
    tag_bytes: int = 0
    """Size of an ID3 tag before the sound, as artwork makes it."""


MUSIC: Mapping[str, SongKind] = {
    "mp3": SongKind("MP3", "mp3", 44100, kbps=160),
    "flac": SongKind("FLAC 16/44.1", "flac", 44100),
    "flac96": SongKind("FLAC 24/96", "flac", 96000, bits=24),
    "flac192": SongKind("FLAC 24/192", "flac", 192000, bits=24),
}
"""By their names on the command line."""


def noise_song(path: pathlib.Path, kind: SongKind, seconds: float, seed: int) -> None:
    """Write an MP3 or a FLAC of noise that correlates with itself at no other place; a FLAC is up to a block
    shorter."""
    if kind.form == "mp3":
        signals.noise_song(path, seconds, kind.rate_hz, seed, kbps=kind.kbps)
    else:
        blocks = flac.encode(signals.noise(seconds, kind.rate_hz, seed, kind.channels), kind.rate_hz, kind.bits)
        flac.write(path, blocks, range(len(blocks.bodies)), seek_table=kind.seek_table)


def long_song(path: pathlib.Path, kind: SongKind, seconds: float, seed: int = 1) -> None:
    """Write a song of any kind and of about this length: pieces of noise in a random order. Making it takes little time
    and memory, at any length."""
    random = np.random.default_rng(seed)
    if kind.form == "mp3":
        _long_mp3(path, kind, seconds, random)
    elif kind.form == "flac":
        blocks = flac.encode(_piece(kind, seconds, random), kind.rate_hz, kind.bits)
        count = max(1, round(seconds * kind.rate_hz / flac.BLOCK_FRAMES))
        order = random.integers(0, len(blocks.bodies), count).tolist()
        flac.write(path, blocks, order, seek_table=kind.seek_table)
    else:
        _long_raw(path, kind, seconds, random)


def _long_mp3(path: pathlib.Path, kind: SongKind, seconds: float, random: np.random.Generator) -> None:
    pieces = [
        signals.encode(_piece(kind, seconds, random), kind.rate_hz, kind.kbps, vbr=kind.vbr) for _ in range(_PIECES)
    ]
    with path.open("wb") as file:
        if kind.tag_bytes:
            size = bytes(kind.tag_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
            file.write(b"ID3\x04\0\0" + size + bytes(kind.tag_bytes))
        file.writelines(pieces[k] for k in random.integers(0, _PIECES, max(1, round(seconds / _PIECE_S))))


def _long_raw(path: pathlib.Path, kind: SongKind, seconds: float, random: np.random.Generator) -> None:
    raw = _raw(_piece(kind, seconds, random), kind)
    block = _RAW_FRAMES * kind.channels * kind.bits // 8
    count = max(1, round(seconds * kind.rate_hz / _RAW_FRAMES))
    with path.open("wb") as file:
        file.write(_head(kind, count * _RAW_FRAMES))
        file.writelines(raw[k * block : (k + 1) * block] for k in random.integers(0, len(raw) // block, count))


def _piece(kind: SongKind, seconds: float, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Noise of at most _PIECE_S."""
    seed = int(random.integers(1 << 31))
    return _QUIETER * signals.noise(min(seconds, _PIECE_S), kind.rate_hz, seed, kind.channels)


def _raw(sound: npt.NDArray[np.float32], kind: SongKind) -> bytes:
    if kind.is_float:
        return sound.astype("<f4").tobytes()
    whole = np.rint(sound.astype(float) * (1 << kind.bits - 1)).astype(">i4" if kind.form == "aiff" else "<i4")
    bytes_of = whole.view(np.uint8).reshape(-1, 4)
    size = kind.bits // 8
    return bytes((bytes_of[:, -size:] if kind.form == "aiff" else bytes_of[:, :size]).tobytes())


def _head(kind: SongKind, frames: int) -> bytes:
    """The header of an uncompressed file, up to its samples."""
    width = kind.channels * kind.bits // 8
    size = frames * width
    coding = struct.pack(
        "<HHIIHH",
        3 if kind.is_float else 1,
        kind.channels,
        kind.rate_hz,
        kind.rate_hz * width,
        width,
        kind.bits,
    )
    if kind.form == "wav":
        chunks = b"fmt " + struct.pack("<I", len(coding)) + coding + b"data" + struct.pack("<I", size)
        return b"RIFF" + struct.pack("<I", 4 + len(chunks) + size) + b"WAVE" + chunks
    if kind.form == "aiff":
        bits = kind.rate_hz.bit_length()
        rate = struct.pack(">HQ", 16382 + bits, kind.rate_hz << 64 - bits)  # a float of 80 bits
        common = struct.pack(">hIh", kind.channels, frames, kind.bits) + rate
        chunks = b"COMM" + struct.pack(">I", len(common)) + common + b"SSND" + struct.pack(">III", 8 + size, 0, 0)
        return b"FORM" + struct.pack(">I", 4 + len(chunks) + size) + b"AIFF" + chunks
    chunks = b"wave" + _WAVE64_CHUNK + b"fmt " + _WAVE64_CHUNK + struct.pack("<Q", 24 + len(coding)) + coding
    chunks += b"data" + _WAVE64_CHUNK + struct.pack("<Q", 24 + size)
    return WAVE64 + struct.pack("<Q", len(WAVE64) + 8 + len(chunks) + size) + chunks
