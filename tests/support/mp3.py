"""MP3 files for tests. The LAME library writes no Info header; `description` makes one, as the `lame` program does."""

from __future__ import annotations

import functools
import pathlib

import lameenc
import numpy as np
import numpy.typing as npt

ENCODER_DELAY = 576

_KBPS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_KBPS[0] = _KBPS[2]
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By the version in a header: 3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5."""


@functools.cache
def music(rate_hz: int, channels: int, frames: int) -> npt.NDArray[np.int16]:
    """Sweeps with noise and sharp onsets, (frames, channels): nothing in it repeats."""
    chance = np.random.default_rng(frames)
    t = np.arange(frames) / rate_hz
    beat = np.exp(-8 * (t % 0.3))
    sound = 0.4 * beat * np.sin(2 * np.pi * (200 + 90 * t) * t) + 0.1 * np.sin(2 * np.pi * (3000 - 40 * t) * t)
    sound += 0.03 * beat * chance.standard_normal(frames)
    sides = [sound, 0.7 * np.roll(sound, 37) + 0.02 * chance.standard_normal(frames)][:channels]
    return (np.stack(sides, 1) * 32000).clip(-32768, 32767).astype(np.int16)


@functools.cache
def packets(
    rate_hz: int = 44100, channels: int = 2, frames: int = 100_000, kbps: int = 128, vbr: bool = False
) -> tuple[bytes, ...]:
    """`music` as MP3 packets."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_out_sample_rate(rate_hz)
    encoder.set_channels(channels)
    encoder.set_quality(7)
    encoder.set_bit_rate(kbps)
    if vbr:
        encoder.set_vbr(4)
        encoder.set_vbr_quality(4)
    data = bytes(encoder.encode(music(rate_hz, channels, frames).tobytes()) + encoder.flush())
    found = []
    while data:
        found.append(data[: packet_size(data)])
        data = data[len(found[-1]) :]
    return tuple(found)


def packet_size(header: bytes) -> int:
    """Bytes of the packet with this header."""
    version = header[1] >> 3 & 3
    kbps = _KBPS[version][(header[2] >> 4) - 1]
    return (144000 if version == 3 else 72000) * kbps // _RATES_HZ[version][header[2] >> 2 & 3] + (header[2] >> 1 & 1)


def packet_frames(header: bytes) -> int:
    """Frames in the packet with this header."""
    return 1152 if header[1] >> 3 & 3 == 3 else 576


def description(first: bytes, claimed: int, *, delay: int = ENCODER_DELAY, padding: int | None = None) -> bytes:
    """The Info header packet: it claims `claimed` packets like `first`, and the encoder delay and padding."""
    fields = b"Info" + (1).to_bytes(4, "big") + claimed.to_bytes(4, "big")
    if padding is not None:
        trim = delay << 12 | padding
        fields += b"LAME3.100".ljust(21, b"\0") + trim.to_bytes(3, "big") + bytes(12)
    mono = first[3] >> 6 == 3
    side = (17 if mono else 32) if first[1] >> 3 & 3 == 3 else (9 if mono else 17)
    for index in range(1, 15):
        header = bytes((0xFF, first[1] | 1, index << 4 | first[2] & 0x0C, first[3]))
        if packet_size(header) >= 4 + side + len(fields):
            return (header + bytes(side) + fields).ljust(packet_size(header), b"\0")
    raise AssertionError("no packet holds a description")


def encode(rate_hz: int = 44100, channels: int = 2, frames: int = 100_000, kbps: int = 128, vbr: bool = False) -> bytes:
    """`music` as the `lame` program writes it."""
    sound = packets(rate_hz, channels, frames, kbps, vbr)
    padding = len(sound) * packet_frames(sound[0]) - frames - ENCODER_DELAY
    return description(sound[0], len(sound), padding=padding) + b"".join(sound)


def song(folder: pathlib.Path, seconds: int) -> pathlib.Path:
    """A file of music of this length."""
    path = folder / "tune.mp3"
    path.write_bytes(b"".join(packets(44100, 2, seconds * 44100)))
    return path
