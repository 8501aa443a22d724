"""The resampler's quality: aliases and images at least 100 dB down, flat in the audible range."""

from __future__ import annotations

import numpy as np
import pytest

from phaselock._native import resample

OTHER_RATES = (32000, 48000), (48000, 96000), (22050, 48000), (48000, 16000), (44100, 44100)
RATES = [(44100, 48000), (48000, 44100), *(pytest.param(*rates, marks=pytest.mark.slow) for rates in OTHER_RATES)]


def interpolated(tone_hz: float, from_hz: int, to_hz: int, bend: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(output, the moments of its frames in seconds of the input)"""
    n = np.arange(from_hz)
    x = np.sin(2 * np.pi * tone_hz * n / from_hz).astype(np.float32)
    step = from_hz / to_hz * bend
    count = int((from_hz - 1700) / step)
    y = np.frombuffer(resample(np.repeat(x, 2), from_hz, to_hz, 800.37, step, count), np.float32)
    assert np.array_equal(y[0::2], y[1::2])
    return y[0::2].astype(np.float64), (800.37 + step * np.arange(count)) / from_hz


def gain_and_worst_spur_db(tone_hz: float, from_hz: int, to_hz: int) -> tuple[float, float]:
    y, at_s = interpolated(tone_hz, from_hz, to_hz)
    basis = np.stack([np.sin(2 * np.pi * tone_hz * at_s), np.cos(2 * np.pi * tone_hz * at_s)], axis=1)
    fit, *_ = np.linalg.lstsq(basis, y, rcond=None)
    window = np.kaiser(len(y), 20)
    spectrum = np.abs(np.fft.rfft((y - basis @ fit) * window)) * 2 / window.sum()
    return 20 * np.log10(max(np.hypot(*fit), 1e-12)), 20 * np.log10(spectrum.max())


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_aliases_and_images_are_100_db_down(from_hz: int, to_hz: int) -> None:
    nyquist = min(from_hz, to_hz) / 2
    transition_hz = 3000 * nyquist / 22050
    for tone_hz in np.linspace(100, nyquist - transition_hz / 2, 12):
        gain, spur = gain_and_worst_spur_db(float(tone_hz), from_hz, to_hz)
        assert spur < -100, f"{tone_hz:.0f} Hz"
    for tone_hz in np.linspace(nyquist + transition_hz / 2, 0.495 * from_hz, 6) if from_hz > to_hz else ():
        gain, spur = gain_and_worst_spur_db(float(tone_hz), from_hz, to_hz)
        assert max(gain, spur) < -100, f"{tone_hz:.0f} Hz"


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_the_pass_band_is_flat(from_hz: int, to_hz: int) -> None:
    nyquist = min(from_hz, to_hz) / 2
    for tone_hz in np.linspace(20, 0.86 * nyquist, 10):
        gain, _ = gain_and_worst_spur_db(float(tone_hz), from_hz, to_hz)
        assert abs(gain) < 0.01


def test_all_phases_are_at_their_places() -> None:
    x = np.sin(2 * np.pi * 1000 / 44100 * np.arange(4000)).astype(np.float32)
    stereo = np.repeat(x, 2)
    for fraction in np.linspace(0, 0.999, 37):
        y = np.frombuffer(resample(stereo, 44100, 48000, 2000 + float(fraction), 1.0, 1), np.float32)
        assert y[0] == pytest.approx(np.sin(2 * np.pi * 1000 / 44100 * (2000 + fraction)), abs=2e-6)
