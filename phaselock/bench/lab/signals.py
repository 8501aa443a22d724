"""Songs for measuring: MP3s made here from seeded noise, so that nothing has to be shipped or fetched."""

from __future__ import annotations

import pathlib

import lameenc
import numpy as np
import numpy.typing as npt

LOWEST_HZ, HIGHEST_HZ = 100.0, 12_000.0
"""Between these is all that such a song holds: what is heard above them was not in it."""
_EDGE = 0.05
"""How wide the edges of the band are, as a part of their frequency."""
_LEVEL = 0.1
_PIECE_S, _OVERLAP_S = 60.0, 0.1
"""Noise is made in pieces that fade into each other, slowly enough to stay in the band."""
_BLOCK_FRAMES = 1 << 16


def noise(seconds: float, rate_hz: int, seed: int, channels: int = 2) -> npt.NDArray[np.float32]:
    """(frames, channels) of noise as loud as a song, different in each channel, like itself at no other place."""
    frames, piece, overlap = round(seconds * rate_hz), round(_PIECE_S * rate_hz), round(_OVERLAP_S * rate_hz)
    chance = np.random.default_rng(seed)
    sound = np.zeros((frames, channels), np.float32)
    fade_in = np.sin(np.linspace(0, np.pi / 2, overlap))[:, None]
    # All at once would need a gigabyte for ten minutes.
    for begin in range(0, max(1, frames - overlap), piece - overlap):
        part = _band(chance.standard_normal((min(piece, frames - begin), channels)), rate_hz)
        if begin:
            part[:overlap] *= fade_in
        if begin + piece < frames:
            part[-overlap:] *= fade_in[::-1]
        sound[begin : begin + len(part)] += part
    return np.clip(sound, -1, 1, out=sound)


def _band(white: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    """What of it lies in the band, as loud as a song."""
    hz = np.fft.rfftfreq(len(white), 1 / rate_hz)
    highest_hz = min(HIGHEST_HZ, 0.4 * rate_hz)
    gain = np.clip((hz / LOWEST_HZ - 1 + _EDGE) / _EDGE, 0, 1) * np.clip((1 + _EDGE - hz / highest_hz) / _EDGE, 0, 1)
    sound = np.fft.irfft(np.fft.rfft(white, axis=0) * gain[:, None], len(white), axis=0)
    loud: npt.NDArray[np.float64] = sound * (_LEVEL / sound.std())
    return loud


def encode(sound: npt.NDArray[np.float32], rate_hz: int, kbps: int = 160, *, vbr: bool = False) -> bytes:
    """An MP3 of (frames, channels) within -1 and 1; `vbr` lets the encoder choose the rate from packet to packet."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_out_sample_rate(rate_hz)
    encoder.set_channels(sound.shape[1])
    encoder.set_quality(7)
    if vbr:
        encoder.set_vbr(4)
        encoder.set_vbr_quality(2)
    else:
        encoder.set_bit_rate(kbps)
    blocks = (sound[at : at + _BLOCK_FRAMES] for at in range(0, len(sound), _BLOCK_FRAMES))
    parts = [encoder.encode(np.round(block * 32767).astype("<i2").tobytes()) for block in blocks]
    return b"".join(map(bytes, (*parts, encoder.flush())))


def noise_song(path: pathlib.Path, seconds: float, rate_hz: int = 44100, seed: int = 1, *, kbps: int = 160) -> None:
    """Write a stereo MP3 of `noise`; above 16 kHz it is 75 dB below its own loudness, unless `kbps` is higher."""
    path.write_bytes(encode(noise(seconds, rate_hz, seed), rate_hz, kbps))
