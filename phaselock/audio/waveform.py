"""Analysis of a track: the peak of each part of its length, its spectrum over time, its loudness, and where its sound
begins and ends.

This is background work on a computer that may be playing. The decoder and the transform release the GIL, and after each
block the thread sleeps for as long as the block took. So it uses at most half of one core, and less on a busy computer,
where its blocks take longer. It has the priority of the other threads: with a lower one it could lose its core while it
holds the GIL, for which the decoder of the player would have to wait.
"""

from __future__ import annotations

import contextlib
import math
import pathlib
import time
from collections.abc import Callable

from phaselock import _native
from phaselock.audio.formats.base import CHANNELS, Music
from phaselock.frozen import frozen
from phaselock.model.loudness import Loudness
from phaselock.model.measurement import Measurement

PEAKS = 600
"""Number of parts of a track; each has one peak."""
BANDS = _native.BANDS
"""Number of bands of the spectrum, from 40 Hz to 16 kHz or 0.45 times the rate, of equal width in pitch."""

_BLOCK_FRAMES = 32768
"""About 1 to 2 ms of work; a block fits into the cache of a core."""
_MAX_REST_S = 0.1
"""Longest pause after a block: it may have taken hours if the computer was suspended."""


@frozen
class Analysis:
    """Peaks and spectrum of a whole track, and what was measured in it."""

    peaks: bytes
    """PEAKS bytes, one for each part: its largest absolute sample, from 0 (silence) to 255 (full scale)."""
    bands: bytes
    """Shape (ceil(frames / hop_frames), BANDS), row by row, low bands first: the level of each band, from 0 (-60 dB) to
    255 (full scale)."""
    hop_frames: int
    """Distance of two rows of `bands`: about 46 ms."""
    rate_hz: int
    measurement: Measurement


def analyse(path: pathlib.Path, info: Music, *, cancelled: Callable[[], bool] = lambda: False) -> Analysis | None:
    """Decode an inspected file once, slowly, on the calling thread. Return None soon after `cancelled` returns True (it
    is called every few milliseconds). PhaseLockError if the file cannot be read."""
    spectrum = _native.Spectrum(info.rate_hz)
    meter = _native.Loudness(info.rate_hz)
    sound = _native.SoundRange()
    peaks = _Peaks(info.frames)
    bands = bytearray()
    block = memoryview(bytearray(4 * CHANNELS * _BLOCK_FRAMES)).cast("f")
    with contextlib.closing(info.open(path)) as source:
        while not cancelled():
            began_s = time.perf_counter()
            stereo = block[: CHANNELS * source.read_into(block, _BLOCK_FRAMES)]
            if not stereo:
                bands += spectrum.finish()
                lufs = meter.integrated_lufs
                loudness = Loudness(lufs if math.isfinite(lufs) else None, meter.true_peak)
                range_lu = meter.range_lu if meter.range_lu >= 0 else None
                measurement = Measurement(loudness, range_lu, sound.begin_frame, sound.end_frame)
                return Analysis(bytes(peaks.levels), bytes(bands), spectrum.hop_frames, info.rate_hz, measurement)
            peaks.feed(stereo)
            meter.feed(stereo)
            sound.feed(stereo)
            bands += spectrum.feed(stereo)
            time.sleep(min(time.perf_counter() - began_s, _MAX_REST_S))
    return None


class _Peaks:
    """The largest absolute sample of each part of a track. A part has at least one frame: if the track has fewer frames
    than parts, parts share frames."""

    def __init__(self, frames: int) -> None:
        self.levels = bytearray(PEAKS)
        self._frames = frames
        self._at = 0
        self._part = 0

    def feed(self, stereo: memoryview[float]) -> None:
        """Add the next frames (interleaved stereo)."""
        end = self._at + len(stereo) // CHANNELS
        while self._part < PEAKS:
            first = self._part * self._frames // PEAKS
            behind = max(first + 1, (self._part + 1) * self._frames // PEAKS)
            if first >= end:
                break
            there = stereo[CHANNELS * (max(first, self._at) - self._at) : CHANNELS * (min(behind, end) - self._at)]
            level = round(255 * min(1.0, _native.peak(there)))
            self.levels[self._part] = max(self.levels[self._part], level)
            if behind > end:
                break
            self._part += 1
        self._at = end
