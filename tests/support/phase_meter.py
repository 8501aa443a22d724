"""Measures how far apart the outputs of an audio simulation play.

The tracks are compasses (tests/support/pcm.py): every output frame gives its place in the track, modulo one turn, at
any volume. Times are true seconds.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.pcm import loudness, stereo

Numbers = npt.NDArray[np.float64]
FRAME_BYTES = 8
NEAR_S = 1e-3
"""The nearest frame counts if it is this near; else there is silence."""
SILENT = 0.01
"""Loudness below which there is silence; full volume is 1."""
AUDIBLE = 0.02
"""Loudness from which the place can be read."""
MAX_APART_US = 1000.0
"""The product's promise."""
START_S = 0.002
"""After a start the outputs are compared from here on: before, one of two that keep the limit may still be at the old
place."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A block that left an output: its first frame at `first_s`, the others `frame_s` apart."""

    first_s: float
    frame_s: float
    samples: bytes | bytearray


class Capture:
    """What one output played."""

    def __init__(self, played: Iterable[Block], turn_s: float) -> None:
        blocks = list(played)
        counts = np.array([len(block.samples) // FRAME_BYTES for block in blocks], int)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        first_s = np.repeat([block.first_s for block in blocks], counts)
        self.at_s: Numbers = first_s + np.repeat([block.frame_s for block in blocks], counts) * within
        self._frames = stereo(b"".join(block.samples for block in blocks))
        self._turn_s = turn_s

    def heard(self, index: npt.NDArray[Any]) -> tuple[Numbers, Numbers]:
        """(loudness, place in the track in seconds modulo a turn) of the frames with these indices."""
        frames = self._frames[index]
        return loudness(frames), np.arctan2(frames[:, 0], frames[:, 1]) / (2 * np.pi) * self._turn_s

    @functools.cached_property
    def loudness(self) -> Numbers:
        """Of all frames."""
        return loudness(self._frames)

    def look(self, at_s: Numbers) -> tuple[Numbers, Numbers]:
        """(loudness, place in the track in seconds modulo a turn) at each time, read from the nearest frame. The
        loudness is 0 where no frame is near. All arrays have the shape of `at_s`, (times,)."""
        if len(self.at_s) < 2:
            return np.zeros(len(at_s)), np.zeros(len(at_s))
        right = np.clip(np.searchsorted(self.at_s, at_s), 1, len(self.at_s) - 1)
        nearest = right - (at_s - self.at_s[right - 1] < self.at_s[right] - at_s)
        away_s = at_s - self.at_s[nearest]
        volume, place_s = self.heard(nearest)
        return np.where(np.abs(away_s) < NEAR_S, volume, 0.0), place_s + away_s

    def edges_s(self, *, rising: bool, level: float = 0.5) -> list[float]:
        """When the loudness crosses `level`, to a part of a frame."""
        over = self.loudness >= level
        k = np.flatnonzero(~over[:-1] & over[1:] if rising else over[:-1] & ~over[1:])
        part = (level - self.loudness[k]) / (self.loudness[k + 1] - self.loudness[k])
        return [float(t) for t in self.at_s[k] + part * (self.at_s[k + 1] - self.at_s[k])]

    def silences(self, from_s: float, until_s: float) -> list[tuple[float, float]]:
        """(begin, seconds) of every silence of a millisecond or more within the span."""
        grid = np.arange(from_s, until_s, 0.25e-3)
        quiet = np.concatenate([[False], self.look(grid)[0] < SILENT, [False]])
        begins, ends = np.flatnonzero(quiet[1:] & ~quiet[:-1]), np.flatnonzero(~quiet[1:] & quiet[:-1])
        return [(float(grid[b]), (e - b) * 0.25e-3) for b, e in zip(begins, ends, strict=True) if e - b >= 4]


class PhaseMeter:
    """Compares several outputs."""

    def __init__(self, captures: Sequence[Capture], turn_s: float) -> None:
        self.captures = captures
        self._turn_s = turn_s

    def apart_us(self, from_s: float, until_s: float, every_s: float = 0.005) -> tuple[Numbers, Numbers]:
        """(times, greatest distance of two outputs in microseconds) where all of them are audible, each (times,)."""
        grid = np.arange(from_s, until_s, every_s)
        looks = [capture.look(grid) for capture in self.captures]
        audible = np.all([volume > AUDIBLE for volume, _ in looks], axis=0)
        half = self._turn_s / 2
        ahead = np.array([(place - looks[0][1] + half) % self._turn_s - half for _, place in looks])
        return grid[audible], (ahead.max(axis=0) - ahead.min(axis=0))[audible] * 1e6

    def start(self, at_s: float, *, max_apart_us: float = MAX_APART_US, within_s: float = 1.0) -> tuple[float, float]:
        """(seconds from `at_s`, where sound should start or continue elsewhere, until all are audible and no further
        apart than `max_apart_us`; greatest distance in the 200 ms from there in microseconds). AssertionError if that
        does not happen within `within_s`."""
        times, apart = self.apart_us(at_s + START_S, at_s + within_s + 0.2, 0.001)
        begun = times[apart < max_apart_us]
        assert len(begun) and begun[0] - at_s < within_s, f"not all outputs started at {at_s}"
        return float(begun[0] - at_s), float(apart[(times >= begun[0]) & (times < begun[0] + 0.2)].max())

    def back_in_phase_s(self, since_s: float, until_s: float, limit_us: float) -> float:
        """Seconds from `since_s` until all are audible and stay within the limit. AssertionError if they do not."""
        grid = np.arange(since_s, until_s, 0.005)
        times, apart = self.apart_us(since_s, until_s)
        good = np.isin(grid, times[apart <= limit_us])
        assert good[-1], "the outputs did not come back in phase"
        bad = np.flatnonzero(~good)
        return float(grid[bad[-1]] + 0.005 - since_s) if len(bad) else 0.0
