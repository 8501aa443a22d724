"""Loudness, true peak and loudness range, on signals made after the texts of EBU Tech 3341 ("Loudness metering: EBU
mode metering to supplement loudness normalisation", version 3, table 1) and EBU Tech 3342 ("Loudness range: a measure
to supplement EBU R 128 loudness normalization", minimum requirements); the numbers are those of their tests."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from phaselock._native import Loudness

Sound = npt.NDArray[np.float32]


def measured(sound: Sound, rate_hz: int = 48000, block: int = 10_007) -> Loudness:
    loudness = Loudness(rate_hz)
    stereo = sound.ravel()
    for at in range(0, len(stereo), 2 * block):
        loudness.feed(stereo[at : at + 2 * block])
    return loudness


def sine(*parts: tuple[float, float], rate_hz: int = 48000, hz: float = 1000) -> Sound:
    """Parts of a sine in both channels: (peak level in dBFS, seconds)."""
    gains = np.concatenate([np.full(round(seconds * rate_hz), 10 ** (db / 20)) for db, seconds in parts])
    return np.repeat(gains * np.sin(2 * np.pi * hz * np.arange(len(gains)) / rate_hz), 2).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        ([(-23, 20)], -23),  # 1
        ([(-33, 20)], -33),  # 2
        ([(-36, 10), (-23, 60), (-36, 10)], -23),  # 3
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),  # 4
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),  # 5
    ],
)
@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000, 96000])
def test_integrated_loudness(parts: list[tuple[float, float]], lufs: float, rate_hz: int) -> None:
    assert measured(sine(*parts, rate_hz=rate_hz), rate_hz).integrated_lufs == pytest.approx(lufs, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels_db", "range_lu"),
    [([-20, -30], 10), ([-20, -15], 5), ([-40, -20], 20), ([-50, -35, -20, -35, -50], 15)],  # 1 to 4
)
@pytest.mark.parametrize("rate_hz", [8000, 48000])
def test_loudness_range(levels_db: list[float], range_lu: float, rate_hz: int) -> None:
    sound = sine(*((level_db, 20) for level_db in levels_db), rate_hz=rate_hz)
    assert measured(sound, rate_hz).range_lu == pytest.approx(range_lu, abs=0.1), "the text allows 1 LU"


def test_one_level_has_no_range() -> None:
    assert measured(sine((-20, 3.1))).range_lu == pytest.approx(0, abs=0.02)
    assert measured(sine((-20, 2.9))).range_lu == -1, "too short"


@pytest.mark.parametrize(
    ("divisor", "degrees", "amplitude", "dbtp"),
    [(4, 0, 0.5, -6), (4, 45, 0.5, -6), (6, 60, 0.5, -6), (8, 67.5, 0.5, -6), (4, 45, 1.41, 3)],  # 15 to 19
)
def test_true_peak(divisor: int, degrees: float, amplitude: float, dbtp: float) -> None:
    frames = np.arange(48000)
    faded = np.minimum(1, np.minimum(frames, frames[::-1]) / 480)
    sound = np.repeat(amplitude * faded * np.sin(2 * np.pi * frames / divisor + math.radians(degrees)), 2)
    sound = sound.astype(np.float32)
    assert -0.4 <= 20 * math.log10(measured(sound).true_peak) - dbtp <= 0.2


@pytest.mark.parametrize("rate_hz", [44100, 96000, 192000])
def test_the_true_peak_is_never_below_the_largest_sample(rate_hz: int) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, 20_000).astype(np.float32)
    assert measured(sound, rate_hz).true_peak >= np.abs(sound[: -2 * 12]).max()


def test_silence_and_short_sounds_have_no_loudness() -> None:
    assert measured(np.zeros(96_000, np.float32)).integrated_lufs == -math.inf
    assert measured(sine((-20, 0.39))).integrated_lufs == -math.inf
    assert Loudness(8000).integrated_lufs == -math.inf and Loudness(8000).true_peak == 0
    assert measured(sine((-75, 5))).integrated_lufs == -math.inf and measured(sine((-75, 5))).range_lu == -1


def test_samples_that_are_no_numbers_are_silence() -> None:
    sound = sine((-23, 5))
    sound[100_000], sound[200_001] = np.nan, np.inf
    found = measured(sound)
    assert math.isfinite(found.integrated_lufs) and found.true_peak <= 20


def test_other_rates_are_refused() -> None:
    for rate_hz in (7999, 192001, math.nan):
        with pytest.raises(ValueError, match="rate"):
            Loudness(rate_hz)
