"""Test songs: MP3s made from seeded noise, so that nothing has to be shipped or downloaded."""

from __future__ import annotations

import pathlib

import lameenc
import numpy as np
import numpy.typing as npt

BAND_HZ = (100.0, 12_000.0)
"""A song contains nothing outside this band: sound above it in a recording was added on the way."""
_EDGE_SHARE = 0.05
"""Width of the edges of the band, as a share of their frequency."""
_RMS_LEVEL = 0.1
"""As loud as a song; full scale is 1."""
_PIECE_S, _OVERLAP_S = 60.0, 0.1
"""Noise is made in pieces that fade into each other, slowly enough to stay in the band. All at once, ten minutes would
take a gigabyte."""
_BLOCK_FRAMES = 1 << 16


def noise(seconds: float, rate_hz: int, seed: int, channels: int = 2) -> npt.NDArray[np.float32]:
    """Band-limited noise, (frames, channels), float32, full scale 1. Channels are independent, and the noise correlates
    with itself at no other place."""
    frames, piece, overlap = round(seconds * rate_hz), round(_PIECE_S * rate_hz), round(_OVERLAP_S * rate_hz)
    random = np.random.default_rng(seed)
    sound = np.zeros((frames, channels), np.float32)
    fade_in = np.sin(np.linspace(0, np.pi / 2, overlap))[:, None]
    for begin in range(0, max(1, frames - overlap), piece - overlap):
        part = _band_limited(random.standard_normal((min(piece, frames - begin), channels)), rate_hz)
        if begin:
            part[:overlap] *= fade_in
        if begin + piece < frames:
            part[-overlap:] *= fade_in[::-1]
        sound[begin : begin + len(part)] += part
    return np.clip(sound, -1, 1, out=sound)


def _band_limited(white: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    """`white` limited to BAND_HZ, with a level of _RMS_LEVEL; both (frames, channels)."""
    hz = np.fft.rfftfreq(len(white), 1 / rate_hz)
    low_hz, high_hz = BAND_HZ[0], min(BAND_HZ[1], 0.4 * rate_hz)
    rise = np.clip((hz / low_hz - 1 + _EDGE_SHARE) / _EDGE_SHARE, 0, 1)
    fall = np.clip((1 + _EDGE_SHARE - hz / high_hz) / _EDGE_SHARE, 0, 1)
    sound = np.fft.irfft(np.fft.rfft(white, axis=0) * (rise * fall)[:, None], len(white), axis=0)
    loud: npt.NDArray[np.float64] = sound * (_RMS_LEVEL / sound.std())
    return loud


def encode(sound: npt.NDArray[np.float32], rate_hz: int, kbps: int = 160, *, vbr: bool = False) -> bytes:
    """Encode sound, (frames, channels), full scale 1, as MP3 with a constant bitrate; with `vbr` the encoder chooses
    the bitrate of each packet."""
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
    """Write a stereo MP3 of `noise`. Above 16 kHz it is 75 dB below its level at up to 160 kbit/s."""
    path.write_bytes(encode(noise(seconds, rate_hz, seed), rate_hz, kbps))
