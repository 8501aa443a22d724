"""Noise with a known value at every time, for recordings of outputs that are a known time apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import czt

from phaselock.bench.analysis.delay import Recording

FIRST_NS = 1_000_000_000_007
LEVEL = 0.15


class Noise:
    """A sum of sines, 100 Hz to 12 kHz, of random amplitude and phase, with a period of `seconds` + 1 s."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.seconds = seconds
        self._turn_s = seconds + 1.0
        random = np.random.default_rng(seed)
        self._lowest, highest = round(100 * self._turn_s), round(12000 * self._turn_s)
        sines = random.standard_normal((2, highest - self._lowest))
        self._sines = (sines[0] + 1j * sines[1]) * (LEVEL / np.sqrt(sines.shape[1]))

    def at(self, first_s: float, step_s: float, count: int) -> npt.NDArray[np.float64]:
        """The values at `count` times from `first_s`, `step_s` apart, (count,). A chirp z-transform: exact."""
        turns = np.exp(2j * np.pi * self._lowest * step_s / self._turn_s * np.arange(count))
        number = np.arange(self._lowest, self._lowest + len(self._sines))
        sines = self._sines * np.exp(2j * np.pi * (number * (first_s / self._turn_s) % 1.0))
        return np.real(turns * czt(sines, count, np.exp(2j * np.pi * step_s / self._turn_s)))


def played(
    noise: Noise,
    late_us: float = 0.0,
    *,
    ppm: float = 0.0,
    rate_hz: float = 48000,
    opened_s: float = 0.0,
    hiss: float = 0.0,
) -> Recording:
    """What a card records that has a rate error of `ppm`, was opened at `opened_s` and hears the noise `late_us` late,
    with white noise of standard deviation `hiss`."""
    true_rate_hz = rate_hz * (1 + ppm * 1e-6)
    frames = noise.at(opened_s - late_us * 1e-6, 1 / true_rate_hz, int((noise.seconds - opened_s) * rate_hz))
    if hiss:
        frames = frames + np.random.default_rng(1).normal(0, hiss, len(frames))
    first_ns = FIRST_NS + round(opened_s * 1e9)
    return Recording(first_ns, true_rate_hz, int(rate_hz), frames.astype(np.float32))
