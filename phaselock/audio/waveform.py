"""How a track looks, for the eye: the loudest samples along its whole length, and its bands as time goes by.

Background work on a machine that may be playing: the decoder and the transform run without the interpreter's lock, and
after every block the thread rests for as long as the block took. So it takes half of one core at most, and less on a
machine that is busy with something else, where its own blocks take longer.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Callable

from phaselock import _native
from phaselock.audio.decoder import CHANNELS, Mp3Source
from phaselock.audio.mp3_file import Mp3Info

PEAKS = 600
"""Parts of a track that have a peak of their own."""
BANDS = _native.BANDS
"""Between 40 Hz and 16 kHz, or 0.45 of a low rate; equally wide in pitch."""

_BLOCK_FRAMES = 32768
"""A millisecond or two of work; small enough for the cache of a core."""
_MAX_REST_S = 0.1
"""A machine that slept meanwhile need not rest for as long."""


@dataclasses.dataclass(frozen=True, slots=True)
class Analysis:
    """How a track looks."""

    peaks: bytes
    """PEAKS values of 0 to 255, silence to full scale: the largest absolute sample of each part."""
    bands: bytes
    """BANDS values of 0 to 255, -60 dB to full scale, low to high, for every `hop_frames` frames begun."""
    hop_frames: int
    """About 46 ms."""
    rate_hz: int


def analyse(path: pathlib.Path, info: Mp3Info, *, cancelled: Callable[[], bool] = lambda: False) -> Analysis | None:
    """Decode an inspected MP3 once, at leisure, on the calling thread. None as soon as `cancelled` says so (asked every
    few milliseconds). PhaseLockError if the file cannot be read."""
    spectrum = _native.Spectrum(info.rate_hz)
    peaks = _Peaks(info.frames)
    bands = bytearray()
    block = memoryview(bytearray(4 * CHANNELS * _BLOCK_FRAMES)).cast("f")
    with Mp3Source(path, info) as source:
        while not cancelled():
            began_s = time.perf_counter()
            stereo = block[: CHANNELS * source.read_into(block, _BLOCK_FRAMES)]
            if not stereo:
                bands += spectrum.finish()
                return Analysis(bytes(peaks.levels), bytes(bands), spectrum.hop_frames, info.rate_hz)
            peaks.feed(stereo)
            bands += spectrum.feed(stereo)
            time.sleep(min(time.perf_counter() - began_s, _MAX_REST_S))
    return None


class _Peaks:
    """The loudest sample of each part of a track of so many frames. A part has one frame at least: parts of a track
    with fewer frames than parts share them."""

    def __init__(self, frames: int) -> None:
        self.levels = bytearray(PEAKS)
        self._frames = frames
        self._at = 0
        self._part = 0

    def feed(self, stereo: memoryview[float]) -> None:
        """Take in the next frames."""
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
