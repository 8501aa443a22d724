"""The delay estimator, on recordings whose delays are known exactly."""

from __future__ import annotations

import functools
import json
import pathlib

import numpy as np
import pytest
from numpy.typing import NDArray

from phaselock.bench.analysis import delay
from phaselock.bench.analysis.delay import Loudspeaker, Recording, read_recording, spread_us
from phaselock.errors import PhaseLockError
from tests.support.noise import FIRST_NS, Noise, played

MS = 1_000_000


@functools.cache
def noise() -> Noise:
    return Noise(seconds=5.0, seed=5)


@functools.cache
def loudspeaker(late_us: float = 0.0, **kind: float) -> Loudspeaker:
    return Loudspeaker([played(noise(), late_us, **kind)])


def changed(one: Loudspeaker, first: int, last: int, sound: NDArray[np.float32] | float) -> Loudspeaker:
    frames = one.recordings[0].frames.copy()
    frames[first:last] = sound
    return Loudspeaker([recording(one, frames)])


def recording(one: Loudspeaker, frames: NDArray[np.float32], skipped: int = 0) -> Recording:
    """A recording of these frames; the first is frame number `skipped` of the loudspeaker's only recording."""
    whole = one.recordings[0]
    first_ns = whole.first_ns + round(skipped * 1e9 / whole.true_rate_hz)
    return Recording(first_ns, whole.true_rate_hz, whole.rate_hz, frames)


# -- distances ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late_us", "kind"),
    [
        (0.0, {}),
        (1.3, {"ppm": 70.0}),
        (-7.7, {"ppm": -70.0, "rate_hz": 44100}),
        (250.0, {"ppm": 70.0, "rate_hz": 96000}),
        (3000.0, {"ppm": -70.0}),
    ],
)
def test_a_delay_is_estimated_to_a_fraction_of_a_microsecond(late_us: float, kind: dict[str, float]) -> None:
    windows = delay.window_delays([loudspeaker(ppm=-35.0), loudspeaker(late_us, **kind)])
    assert len(windows) >= 9
    assert all(one.sure for one in windows)
    assert max(abs(one.offsets_us[1] - late_us) for one in windows) < 0.05 + abs(late_us) / 20_000


def test_a_large_delay_is_estimated_if_the_windows_overlap_enough() -> None:
    windows = delay.window_delays([loudspeaker(ppm=-35.0), loudspeaker(-120_000.0)])
    assert all(one.sure for one in windows)
    # The first window lacks a quarter: that was played before the recording began.
    assert max(abs(one.offsets_us[1] + 120_000) for one in windows[1:]) < 0.1


def test_the_time_of_opening_an_output_does_not_matter() -> None:
    windows = delay.window_delays([loudspeaker(opened_s=0.0), loudspeaker(43.0, opened_s=0.7), loudspeaker(-10.0)])
    assert all(one.offsets_us == pytest.approx((0.0, 43.0, -10.0), abs=0.1) for one in windows)
    assert spread_us(windows[0]) == pytest.approx(53.0, abs=0.1)
    assert windows[0].at_s == pytest.approx(1.25)  # on the grid of the first recording, after the last one opened


def test_additive_noise_does_not_bias_the_delay() -> None:
    windows = delay.window_delays([loudspeaker(), loudspeaker(43.0, hiss=0.05)])
    assert all(one.sure for one in windows)
    assert max(abs(one.offsets_us[1] - 43.0) for one in windows) < 1.0


def test_polarity_does_not_matter() -> None:
    turned = recording(loudspeaker(43.0), -loudspeaker(43.0).recordings[0].frames)
    assert delay.window_delays([loudspeaker(), Loudspeaker([turned])])[3].offsets_us[1] == pytest.approx(43.0, abs=0.1)


def test_delays_of_different_sounds_are_not_sure() -> None:
    other = Loudspeaker([played(Noise(seconds=5.0, seed=6))])
    windows = delay.window_delays([loudspeaker(), other])
    assert windows
    assert not any(one.sure for one in windows)


def test_the_delay_of_a_tone_is_not_sure() -> None:
    tone = np.sin(np.arange(3 * 48000) * (2 * np.pi * 1000 / 48000)).astype(np.float32)
    both = [Loudspeaker([Recording(FIRST_NS, 48000.0, 48000, tone)]) for _ in range(2)]
    assert not any(one.sure for one in delay.window_delays(both))


def test_windows_with_silence_are_left_out() -> None:
    silent = changed(loudspeaker(), 96000, 98000, 0.0)  # a little after 2 s
    assert [one.at_s for one in delay.window_delays([silent, loudspeaker()])] == [
        at_s + 0.25 for at_s in np.arange(0, 4.6, 0.5) if at_s != 2.0
    ]


def test_a_reopened_output_is_one_loudspeaker() -> None:
    whole = loudspeaker(20.0, ppm=30.0)
    frames = whole.recordings[0].frames
    parts = [recording(whole, frames[150000:], 150000), recording(whole, frames[:100000])]
    windows = delay.window_delays([loudspeaker(), Loudspeaker(parts)])
    assert all(one.offsets_us[1] == pytest.approx(20.0, abs=0.1) for one in windows)
    assert not [one.at_s for one in windows if 2.0 < one.at_s < 3.3]
    assert {one.at_s for one in windows} >= {0.75, 1.75, 3.75, 4.25}
    assert delay.silences_ms(Loudspeaker(parts)) == [pytest.approx(50000 / 48, abs=0.2)]


def test_large_times_keep_their_precision() -> None:
    """Nanoseconds since 1970 as floats have a resolution of 256 ns; their differences are exact."""
    base_ns = 1_800_000_000_123_456_789
    late = [
        Loudspeaker([Recording(base_ns + late_ns, one.true_rate_hz, one.rate_hz, one.frames)])
        for late_ns in (0, 100)
        for one in loudspeaker().recordings
    ]
    assert delay.window_delays(late)[0].offsets_us[1] == pytest.approx(0.1, abs=0.02)


def test_silent_and_empty_recordings_give_empty_results() -> None:
    silence = Loudspeaker([Recording(FIRST_NS, 48000.0, 48000, np.zeros(96000, np.float32))])
    empty = Loudspeaker([Recording(FIRST_NS, 48000.0, 48000, np.zeros(0, np.float32))])
    for nothing in (silence, empty, Loudspeaker([])):
        assert delay.window_delays([nothing, loudspeaker()]) == delay.window_delays([loudspeaker(), nothing]) == []
        assert delay.start_delays([nothing, loudspeaker()]) == delay.start_delays([loudspeaker(), nothing]) == []
        assert delay.starts_ns(nothing) == delay.silences_ms(nothing) == delay.clicks(nothing) == []
    assert delay.window_delays([]) == delay.start_delays([]) == []
    assert delay.window_delays([loudspeaker()]) == delay.start_delays([loudspeaker()]) == []


# -- starts ------------------------------------------------------------------------------------------------------------


def begun(one: Loudspeaker, at_s: float, fade_s: float = 0.0) -> Loudspeaker:
    """The loudspeaker, silent until `at_s`."""
    frames = one.recordings[0].frames.copy()
    first = round(at_s * 48000)
    frames[:first] = 0
    fade = round(fade_s * 48000)
    frames[first : first + fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    return Loudspeaker([recording(one, frames)])


@pytest.mark.parametrize("late_us", [0.0, 7.7, -250.0, 3000.0])
def test_the_delay_of_a_start_is_estimated(late_us: float) -> None:
    [start] = delay.start_delays([begun(loudspeaker(), 1.0), begun(loudspeaker(late_us), 1.0)])
    assert start.at_s == pytest.approx(1.0, abs=0.001)
    assert start.offsets_us[1] == pytest.approx(late_us, abs=0.2)
    assert start.sure


def test_the_first_loud_frame_agrees_for_an_abrupt_start() -> None:
    late_us = 16 * 1e6 / 48000
    [start] = delay.start_delays([begun(loudspeaker(), 1.0), begun(loudspeaker(late_us), 1.0 + late_us / 1e6)])
    assert start.first_loud_us[1] == pytest.approx(late_us, abs=1.0)
    assert start.offsets_us[1] == pytest.approx(late_us, abs=0.2)
    assert start.together


def test_a_fade_moves_the_first_loud_frame_but_not_the_delay() -> None:
    [start] = delay.start_delays([begun(loudspeaker(), 1.0), begun(loudspeaker(10.0), 1.0, fade_s=0.05)])
    assert start.first_loud_us[1] > 100
    assert start.offsets_us[1] == pytest.approx(10.0, abs=1.0)
    assert start.together


def test_a_late_start_in_phase_is_not_together() -> None:
    [start] = delay.start_delays([begun(loudspeaker(), 1.0), begun(loudspeaker(10.0), 1.03)])
    assert start.offsets_us[1] == pytest.approx(10.0, abs=0.2)
    assert start.first_loud_us[1] == pytest.approx(30_000, abs=200)
    assert start.sure
    assert not start.together


def test_a_large_start_delay_is_estimated() -> None:
    [start] = delay.start_delays([begun(loudspeaker(), 1.0), begun(loudspeaker(300_000.0), 1.3)])
    assert start.offsets_us[1] == pytest.approx(300_000, abs=0.5)
    assert start.sure
    assert start.together


def test_only_shared_starts_are_returned() -> None:
    paused = changed(begun(loudspeaker(), 1.0), 3 * 48000, 4 * 48000, 0.0)
    assert len(delay.starts_ns(paused)) == 2
    assert len(delay.start_delays([paused, changed(loudspeaker(5.0), 3 * 48000, 4 * 48000, 0.0)])) == 1
    late = changed(begun(loudspeaker(5.0), 2.0), 3 * 48000, 4 * 48000, 0.0)
    [resumed] = delay.start_delays([paused, late])
    assert resumed.at_s == pytest.approx(4.0, abs=0.001)


def test_a_start_follows_a_silence() -> None:
    [start] = delay.starts_ns(begun(loudspeaker(), 1.5))
    assert start - FIRST_NS == pytest.approx(1500 * MS, abs=MS)
    short = changed(begun(loudspeaker(), 1.5), 96000, 96000 + 9600, 0.0)
    assert len(delay.starts_ns(short)) == 1
    assert len(delay.starts_ns(short, silence_s=0.15)) == 2


# -- faults ------------------------------------------------------------------------------------------------------------


def test_an_intact_recording_has_no_faults() -> None:
    assert delay.clicks(loudspeaker()) == delay.silences_ms(loudspeaker()) == []


@pytest.mark.parametrize("lost", [1, 48], ids=["a sample", "a millisecond"])
@pytest.mark.parametrize("at", [114_000, 117_000, 120_000])
def test_lost_frames_give_one_click(at: int, lost: int) -> None:
    frames = loudspeaker().recordings[0].frames
    jumped = Loudspeaker([recording(loudspeaker(), np.delete(frames, slice(at, at + lost)))])
    [at_ns] = delay.clicks(jumped)
    assert abs(at_ns - FIRST_NS - at * 1e9 / 48000) <= 250 * MS


def test_separate_clicks_are_counted_separately() -> None:
    sparks = loudspeaker()
    for at in (66_000, 120_000, 140_000, 160_000):
        sparks = changed(sparks, at, at + 1, 0.9)
    assert len(delay.clicks(sparks)) == 4
    crackling = changed(loudspeaker(), 48_000, 144_000, 0.0)
    crackling.recordings[0].frames[48_000:144_000:100] = 0.9
    assert len(delay.clicks(crackling)) >= 4  # at least one click in each half second


def test_a_gap_of_a_millisecond_is_a_click() -> None:
    assert delay.clicks(changed(loudspeaker(), 120_000, 120_048, 0.0))
    assert delay.silences_ms(changed(loudspeaker(), 120_000, 120_048, 0.0)) == []


def test_a_single_wrong_frame_is_a_click() -> None:
    assert delay.clicks(changed(loudspeaker(), 120_000, 120_001, 0.9))


def test_a_faded_silence_is_not_a_click() -> None:
    frames = loudspeaker().recordings[0].frames.copy()
    fade = np.linspace(0, 1, 240, dtype=np.float32)
    frames[96000:96240] *= fade[::-1]
    frames[96240:110000] = 0
    frames[110000:110240] *= fade
    paused = Loudspeaker([recording(loudspeaker(), frames)])
    assert delay.clicks(paused) == []
    assert delay.silences_ms(paused) == [pytest.approx(13760 / 48, abs=0.5)]


@pytest.mark.parametrize(("frames", "found"), [(140, 0), (150, 1)])
def test_a_silence_has_at_least_three_milliseconds(frames: int, found: int) -> None:
    assert len(delay.silences_ms(changed(loudspeaker(), 120_000, 120_000 + frames, 0.0))) == found


def test_silences_are_in_true_time() -> None:
    paused = changed(changed(loudspeaker(ppm=70.0), 96_000, 110_000, 0.0), 200_000, 200_480, 0.0)
    [pause, dropout] = delay.silences(paused)
    true_rate_hz = paused.recordings[0].true_rate_hz
    assert pause[0] == pytest.approx(FIRST_NS + 95_999e9 / true_rate_hz, abs=MS / 4)
    assert pause[1] == pytest.approx(14_001e3 / true_rate_hz, abs=0.2)
    assert dropout[0] == pytest.approx(FIRST_NS + 199_999e9 / true_rate_hz, abs=MS / 4)
    assert delay.silences_ms(paused) == [pause[1], dropout[1]]


@pytest.mark.parametrize("block_frames", [100_000, 110_000, 110_001, 4_000])
def test_a_silence_across_blocks_is_one_silence(block_frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are processed in blocks, because an hour does not fit in memory at once."""
    paused = changed(changed(loudspeaker(), 96_000, 110_000, 0.0), 200_000, 200_480, 0.0)
    found = delay.silences(paused), delay.starts_ns(paused)
    assert [len(one) for one in found] == [2, 2]
    monkeypatch.setattr(delay, "_BLOCK_FRAMES", block_frames)
    assert (delay.silences(paused), delay.starts_ns(paused)) == found


# -- files -------------------------------------------------------------------------------------------------------------

NOTES = {
    "first_ns": FIRST_NS,
    "rate_hz": 48000,
    "true_rate_hz": 48001.5,
    "channels": 2,
    "period_frames": 512,
    "underruns": [512, 4096],
    "late_wakes": [[1024, 61.5]],
}


def write(path: pathlib.Path, notes: object = NOTES, sound: bytes = bytes(32)) -> pathlib.Path:
    path.write_text(json.dumps(notes), "utf-8")
    path.with_suffix(".f32").write_bytes(sound)
    return path


def test_a_recording_is_read_without_an_incomplete_last_frame(tmp_path: pathlib.Path) -> None:
    sound = np.array([0.5, -0.5, 0.25, -0.25, 0.125], "<f4").tobytes()
    found = read_recording(write(tmp_path / "host-0.json", sound=sound))
    assert found.frames.tolist() == [0.5, 0.25]
    assert (found.first_ns, found.rate_hz, found.true_rate_hz) == (FIRST_NS, 48000, 48001.5)
    assert (found.underruns, found.late_wakes_ms) == (2, [61.5])
    both = Loudspeaker([found, found])
    assert (both.underruns, both.late_wakes_ms) == (4, [61.5, 61.5])


@pytest.mark.parametrize(
    "notes",
    [
        None,
        [],
        NOTES | {"channels": 0},
        NOTES | {"true_rate_hz": 0},
        NOTES | {"true_rate_hz": True},
        NOTES | {"first_ns": "now"},
        NOTES | {"rate_hz": 1e300},
        NOTES | {"late_wakes": [1]},
        NOTES | {"underruns": None},
        {key: value for key, value in NOTES.items() if key != "first_ns"},
    ],
)
def test_other_files_are_refused(tmp_path: pathlib.Path, notes: object) -> None:
    with pytest.raises(PhaseLockError, match=r"other\.json is not a recording: .+\.$"):
        read_recording(write(tmp_path / "other.json", notes))


def test_samples_that_are_not_finite_and_missing_files_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(PhaseLockError, match="samples that are not finite"):
        read_recording(write(tmp_path / "other.json", sound=np.array([np.nan, 0], "<f4").tobytes()))
    with pytest.raises(PhaseLockError, match=r"cannot be read: No such file or directory\.$"):
        read_recording(tmp_path / "none.json")
    write(tmp_path / "mute.json").with_suffix(".f32").unlink()
    with pytest.raises(PhaseLockError, match=r"cannot be read: No such file or directory\.$"):
        read_recording(tmp_path / "mute.json")
