"""Bands: which tone shows in which band, at which level, and when; and peaks."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest

from phaselock._native import BANDS, Spectrum, peak

Levels = npt.NDArray[np.uint8]
Sound = npt.NDArray[np.float32]

HOPS = {
    8000: 372,
    11025: 512,
    16000: 743,
    22050: 1024,
    32000: 1486,
    44100: 2048,
    48000: 2229,
    96000: 4458,
    192000: 8192,
}
each_rate = pytest.mark.parametrize("rate_hz", HOPS)


def edges_hz(rate_hz: int) -> npt.NDArray[np.float64]:
    return np.geomspace(40, min(16000, 0.45 * rate_hz), BANDS + 1)


def sine(rate_hz: int, tone_hz: float, hops: int, amplitude: float = 0.1) -> Sound:
    n = np.arange(hops * HOPS[rate_hz])
    return np.repeat(amplitude * np.sin(2 * np.pi * tone_hz * n / rate_hz), 2).astype(np.float32)


def levels(rate_hz: int, stereo: Sound) -> Levels:
    spectrum = Spectrum(rate_hz)
    data = spectrum.feed(stereo) + spectrum.finish()
    return np.frombuffer(data, np.uint8).reshape(-1, BANDS)


def level(db: float) -> int:
    return round(min(1.0, max(0.0, 1 + db / 60)) * 255)


@each_rate
def test_a_tone_in_the_middle_of_a_band_shows_in_that_band_at_its_level(rate_hz: int) -> None:
    edges = edges_hz(rate_hz)
    for band, middle_hz in enumerate(np.sqrt(edges[:-1] * edges[1:])):
        found = levels(rate_hz, sine(rate_hz, middle_hz, 24))[4:-4]
        assert set(found.argmax(1)) == {band}
        assert np.abs(found[:, band].astype(int) - level(-20)).max() <= 1, f"{middle_hz:.0f} Hz"
        far = np.abs(np.arange(BANDS) - band) > 4
        assert found[:, far].max() < level(-20) - level(-40), f"{middle_hz:.0f} Hz"


@pytest.mark.parametrize("db", [6, 0, -10, -20, -40, -59, -61, -90])
def test_levels_are_linear_in_decibels(db: float) -> None:
    found = levels(44100, sine(44100, 1000, 12, 10 ** (db / 20)))[4:-4]
    assert abs(int(found.max()) - level(db)) <= 1


@each_rate
def test_levels_are_those_of_a_plain_transform(rate_hz: int) -> None:
    hop = HOPS[rate_hz]
    sound = 0.2 * np.random.default_rng(rate_hz).standard_normal((9 * hop + 77, 2)).astype(np.float32)
    found = levels(rate_hz, sound.ravel())
    size = 1 << math.ceil(math.log2(1.41 * hop))
    mono = np.pad(sound.mean(1), ((size - hop) // 2, size))
    window = np.hanning(size + 1)[:-1]
    bins = np.arange(size // 2 + 1)
    edges = edges_hz(rate_hz) * size / rate_hz
    for k, row in enumerate(found):
        power = np.abs(np.fft.rfft(mono[k * hop : k * hop + size] * window)) ** 2
        for band, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
            share = (np.minimum(high, bins + 0.5) - np.maximum(low, bins - 0.5)).clip(0)
            tone = np.sin(2 * np.pi * np.sqrt(low * high) * np.arange(size) / size)
            full = share @ np.abs(np.fft.rfft(tone * window)) ** 2
            assert abs(int(row[band]) - level(10 * np.log10(share @ power / full))) <= 1


@pytest.mark.parametrize("frame", [0, 1000, 2040, 2056, 30_000])
def test_a_click_is_seen_in_its_hop(frame: int) -> None:
    sound = np.zeros((20 * 2048, 2), np.float32)
    sound[frame] = 1
    assert levels(44100, sound.ravel()).sum(1).argmax() == frame // 2048


def test_silence_and_opposite_channels_have_level_zero() -> None:
    assert not levels(44100, np.zeros(50_000, np.float32)).any()
    both = sine(44100, 440, 8)
    both[1::2] *= -1
    assert not levels(44100, both).any()


@hypothesis.given(st.integers(0, 9000), st.lists(st.integers(0, 3000), max_size=6), st.sampled_from(sorted(HOPS)))
def test_each_hop_begun_has_a_row_for_all_divisions_of_the_sound(frames: int, cuts: list[int], rate_hz: int) -> None:
    sound = np.random.default_rng(frames).uniform(-1, 1, 2 * frames).astype(np.float32)
    whole = levels(rate_hz, sound)
    assert len(whole) == -(-frames // HOPS[rate_hz])
    spectrum, data, at = Spectrum(rate_hz), b"", 0
    for cut in [*cuts, frames]:
        data += spectrum.feed(sound[2 * at : 2 * min(at + cut, frames)])
        at = min(at + cut, frames)
    data += spectrum.finish()
    assert data == whole.tobytes()
    assert spectrum.finish() == b""


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 1e-42])
def test_a_sample_that_is_not_a_number_affects_its_window_only(bad: float) -> None:
    good = sine(44100, 1000, 20)
    spoilt = good.copy()
    spoilt[2 * 8 * 2048 : 2 * 9 * 2048] = bad
    expected, found = levels(44100, good), levels(44100, spoilt)
    untouched = [*range(7), *range(10, 20)]
    assert np.array_equal(found[untouched], expected[untouched])
    if np.isnan(bad):
        spoilt[np.isnan(spoilt)] = 0
        assert np.array_equal(found, levels(44100, spoilt))


@each_rate
def test_a_hop_is_about_46_ms(rate_hz: int) -> None:
    assert Spectrum(rate_hz).hop_frames == HOPS[rate_hz]


@pytest.mark.parametrize("rate_hz", [0, -1, 7999, 192001, float("nan"), float("inf")])
def test_other_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Spectrum(rate_hz)


@hypothesis.given(st.lists(st.floats(width=32), max_size=41).filter(lambda some: len(some) % 2 == 0))
def test_the_peak_is_the_largest_number(samples: list[float]) -> None:
    numbers = [abs(sample) for sample in samples if sample == sample]
    assert peak(np.array(samples, np.float32)) == max(numbers, default=0)
