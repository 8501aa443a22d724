"""The ear of the simulated world: it reads from what left the loudspeakers where in the track each of them was.

The tracks are compasses (tests/support/pcm.py), so every single output frame names its place, modulo one turn, whatever
fade lies on it. Times are true seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tests.support.pcm import loudness, stereo

Numbers = npt.NDArray[np.float64]
NEAR_S = 1e-3
SILENT = 0.01
HEARD = 0.02
NEVER_US = 1000.0
"""The promise."""
START_S = 0.002
"""From here on they are compared: before, one of two that keep the limit may still be at the old place."""


@dataclasses.dataclass(frozen=True)
class Sound:
    """A block that left a loudspeaker: its first frame then, the others `frame_s` apart."""

    first_s: float
    frame_s: float
    samples: bytes | bytearray


class Record:
    """What one loudspeaker played."""

    def __init__(self, sounds: Iterable[Sound], turn_s: float) -> None:
        times, blocks = [np.zeros(0)], [np.zeros((0, 2))]
        for sound in sounds:
            blocks.append(stereo(sound.samples))
            times.append(sound.first_s + sound.frame_s * np.arange(len(blocks[-1])))
        frames = np.concatenate(blocks)
        self.at_s = np.concatenate(times)
        self.loudness = loudness(frames)
        self.place_s = np.arctan2(frames[:, 0], frames[:, 1]) / (2 * np.pi) * turn_s

    def look(self, at_s: Numbers) -> tuple[Numbers, Numbers]:
        """(loudness, place in the track modulo a turn) at each time, read from the nearest frame; nothing is heard
        where no frame is near."""
        if len(self.at_s) < 2:
            return np.zeros(len(at_s)), np.zeros(len(at_s))
        right = np.clip(np.searchsorted(self.at_s, at_s), 1, len(self.at_s) - 1)
        nearest = right - (at_s - self.at_s[right - 1] < self.at_s[right] - at_s)
        away_s = at_s - self.at_s[nearest]
        return np.where(np.abs(away_s) < NEAR_S, self.loudness[nearest], 0.0), self.place_s[nearest] + away_s

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


class Ear:
    """Hears several loudspeakers at once."""

    def __init__(self, records: Sequence[Record], turn_s: float) -> None:
        self.records = records
        self._turn_s = turn_s

    def apart_us(self, from_s: float, until_s: float, every_s: float = 0.005) -> tuple[Numbers, Numbers]:
        """(times, greatest distance of two loudspeakers in microseconds) wherever all of them sound."""
        grid = np.arange(from_s, until_s, every_s)
        looks = [record.look(grid) for record in self.records]
        heard = np.all([volume > HEARD for volume, _ in looks], axis=0)
        half = self._turn_s / 2
        ahead = np.array([(place - looks[0][1] + half) % self._turn_s - half for _, place in looks])
        return grid[heard], (ahead.max(axis=0) - ahead.min(axis=0))[heard] * 1e6

    def start(self, at_s: float, *, never_us: float = NEVER_US, within_s: float = 1.0) -> tuple[float, float]:
        """(seconds until all of them sound no further apart than that, greatest distance in the 200 ms from there in
        microseconds) after a time at which sound was to begin or to go on elsewhere."""
        times, apart = self.apart_us(at_s + START_S, at_s + within_s + 0.2, 0.001)
        begun = times[apart < never_us]
        assert len(begun) and begun[0] - at_s < within_s, f"they did not all begin at {at_s}"
        return float(begun[0] - at_s), float(apart[(times >= begun[0]) & (times < begun[0] + 0.2)].max())

    def back_in_phase_s(self, since_s: float, until_s: float, limit_us: float) -> float:
        """How long after `since_s` they are and stay within the limit, all sounding."""
        grid = np.arange(since_s, until_s, 0.005)
        times, apart = self.apart_us(since_s, until_s)
        good = np.isin(grid, times[apart <= limit_us])
        assert good[-1], "they do not come back"
        bad = np.flatnonzero(~good)
        return float(grid[bad[-1]] + 0.005 - since_s) if len(bad) else 0.0
