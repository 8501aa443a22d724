"""The sound of one machine in a calibration pass, as a track that a deck plays."""

from __future__ import annotations

import array
import ctypes
import functools
import math

from phaselock.audio.formats.base import CHANNELS
from phaselock.model.sweeps import FADE_NS, HIGH_HZ, LEVEL, LOW_HZ, RATE_HZ, SWEEP_NS, Sounds

SWEEP_FRAMES = SWEEP_NS * RATE_HZ // 1_000_000_000
_FRAME_BYTES = 4 * CHANNELS


class SweepSource:
    """A track at RATE_HZ whose frame 0 is the begin of the pass: the machine's sweeps on both channels, and silence
    between them. It ends with the last sweep. See `formats.base.Source`."""

    def __init__(self, sounds: Sounds) -> None:
        self._sweep = _stereo_sweep(sounds.upward)
        self._starts = [start_ns * RATE_HZ // 1_000_000_000 for start_ns in sounds.starts_ns]
        self._frames = self._starts[-1] + SWEEP_FRAMES
        self._frame = 0

    def seek(self, frame: int) -> None:
        """The next frame read is `frame`, clamped to the track."""
        self._frame = min(max(frame, 0), self._frames)

    def read_into(self, address: int, frames: int) -> int:
        """Write at most `frames` frames to the address; return how many were written, 0 at the end of the track."""
        frames = min(frames, self._frames - self._frame)
        place = memoryview((ctypes.c_char * (frames * _FRAME_BYTES)).from_address(address)).cast("B")
        place[:] = bytes(frames * _FRAME_BYTES)
        for start in self._starts:
            first = max(start, self._frame)
            behind = min(start + SWEEP_FRAMES, self._frame + frames)
            if first < behind:
                sweep = self._sweep[(first - start) * _FRAME_BYTES : (behind - start) * _FRAME_BYTES]
                place[(first - self._frame) * _FRAME_BYTES : (behind - self._frame) * _FRAME_BYTES] = sweep
        self._frame += frames
        return frames

    def close(self) -> None:
        """There is no file to close."""


@functools.cache
def sweep(upward: bool, rate_hz: int = RATE_HZ) -> array.array[float]:
    """One sweep of amplitude LEVEL with faded ends, after Farina 2000: (frames,) float32, SWEEP_FRAMES at RATE_HZ. At
    another rate it has the samples that a recording of the sweep at RATE_HZ has. Callers share it."""
    growth_s = SWEEP_NS / 1e9 / math.log(HIGH_HZ / LOW_HZ)
    last_s = (SWEEP_FRAMES - 1) / RATE_HZ
    samples = array.array("f")
    for frame in range(math.floor(last_s * rate_hz + 1e-6) + 1):
        elapsed_s = frame / rate_hz if upward else last_s - frame / rate_hz
        edge = min(1.0, elapsed_s / (FADE_NS / 1e9), (last_s - elapsed_s) / (FADE_NS / 1e9))
        gain = LEVEL * (0.5 - 0.5 * math.cos(math.pi * edge))
        samples.append(gain * math.sin(2 * math.pi * LOW_HZ * growth_s * math.expm1(elapsed_s / growth_s)))
    return samples


@functools.cache
def _stereo_sweep(upward: bool) -> memoryview:
    """One sweep as bytes of interleaved stereo."""
    mono = sweep(upward)
    stereo = array.array("f", bytes(_FRAME_BYTES * len(mono)))
    for channel in range(CHANNELS):
        stereo[channel::CHANNELS] = mono
    return memoryview(stereo).cast("B")
