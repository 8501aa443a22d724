"""What is heard of a calibration pass, in simulated rooms; and of what is no pass. The larger runs are slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest

from phaselock.audio.listening import Heard, analyse
from phaselock.bench.benchmarks.calibrate import SETTINGS, Setting, measure
from phaselock.bench.lab.rooms import LEAD_S, Conditions, Path, record, room, true_offsets_s
from phaselock.model.sweeps import RATE_HZ, Sounds, Verdict, length_ns, schedule

BEGIN_NS = round(-LEAD_S * 1e9)
HIDDEN_S = {1: 0.0001, 2: 0.4, 3: -0.0434}

Recording = npt.NDArray[np.float32]


def listen(
    conditions: Conditions, *, repeats: int = 3, seed: int = 1, begin_error_ns: int = 0
) -> tuple[Heard, list[float]]:
    """What is heard in a room of four machines, and the true offsets in ms."""
    random = np.random.default_rng(seed)
    paths, sounds = room(random, 4), schedule(4, repeats)
    recording = record(random, paths, sounds, conditions)
    heard = analyse(recording.tobytes(), conditions.rate_hz, BEGIN_NS + begin_error_ns, sounds)
    return heard, [1000 * offset_s for offset_s in true_offsets_s(paths, conditions)]


def verdicts(heard: Heard) -> list[Verdict]:
    return [one.verdict for one in heard.arrivals]


def assert_right_differences(heard: Heard, truth_ms: Sequence[float]) -> None:
    """The machines that are heard have right offsets to the first one of them."""
    found = [(one.offset_ns, ms) for one, ms in zip(heard.arrivals, truth_ms, strict=True) if one.offset_ns is not None]
    for offset_ns, ms in found:
        assert offset_ns / 1e6 == pytest.approx(ms - found[0][1], abs=0.05)


def assert_right(heard: Heard, truth_ms: Sequence[float], within_ms: float = 0.05) -> None:
    assert verdicts(heard) == [Verdict.HEARD] * len(truth_ms)
    for arrival, wanted_ms in zip(heard.arrivals, truth_ms, strict=True):
        assert arrival.offset_ns is not None
        assert arrival.offset_ns / 1e6 == pytest.approx(wanted_ms, abs=within_ms)
        assert arrival.spread_ns < 50_000
    assert heard.arrivals[0].offset_ns == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"snr_db": 20},
        {"snr_db": 10, "noise": "speech", "clock_ppm": 100},
        {"snr_db": 10, "noise": "music", "clock_ppm": -100},
        {"agc": True},
        {"clipping_db": 6},
        {"strong_echo": frozenset({1, 3})},
        {"gain_db": {1: -10}},
    ],
    ids=lambda given: ", ".join(f"{name} {value}" for name, value in given.items()),
)
def test_offsets_are_right(given: dict[str, Any]) -> None:
    conditions = Conditions(hidden_s=HIDDEN_S, **given)
    heard, truth_ms = listen(conditions)
    assert_right(heard, truth_ms)
    assert heard.microphone_ppm == pytest.approx(conditions.clock_ppm, abs=3)


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_a_microphone_may_have_a_lower_rate(rate_hz: int) -> None:
    assert_right(*listen(Conditions(hidden_s=HIDDEN_S, rate_hz=rate_hz)))


@pytest.mark.slow
@pytest.mark.parametrize("begin_error_ns", [-300_000_000, 300_000_000])
def test_the_begin_of_the_recording_is_known_roughly(begin_error_ns: int) -> None:
    assert_right(*listen(Conditions(hidden_s=HIDDEN_S), begin_error_ns=begin_error_ns))


def test_two_repeats_are_enough() -> None:
    assert_right(*listen(Conditions(hidden_s={1: 0.0434, 2: 0.1824}), repeats=2))


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_machines_that_arrive_in_phase_are_told_apart(seed: int, repeats: int) -> None:
    """So do all after a calibration."""
    random, sounds = np.random.default_rng(seed), schedule(6, repeats)
    paths = room(random, 6)
    last_s = max(path.direct_s for path in paths)
    conditions = Conditions(hidden_s={number: last_s - path.direct_s for number, path in enumerate(paths)})
    recording = record(random, paths, sounds, conditions)
    assert_right(analyse(recording.tobytes(), conditions.rate_hz, BEGIN_NS, sounds), [0.0] * 6)


def test_levels_are_those_of_the_loudspeakers() -> None:
    heard, _ = listen(Conditions(gain_db={1: -10, 2: -3}))
    levels_db = [one.level_db for one in heard.arrivals]
    assert None not in levels_db
    assert levels_db[0] - levels_db[1] == pytest.approx(10, abs=1.5)
    assert levels_db[0] - levels_db[2] == pytest.approx(3, abs=1.5)
    assert levels_db[0] == pytest.approx(levels_db[3], abs=1.5)


def test_all_octaves_count_alike_in_a_level() -> None:
    """A dull loudspeaker is as loud as a bright one if its sweep has the same power."""
    size = 4096
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    paths = []
    for share in (1.0, 0.2):  # of what is above 2 kHz
        response = np.fft.irfft(np.where(hz < 2000, 1.0, share) * (hz < 16_000), size)
        paths.append(Path(0.003, np.roll(response, round(0.003 * RATE_HZ))))
    sounds = schedule(2, 3)
    recording = record(np.random.default_rng(1), paths, sounds, Conditions(snr_db=20))
    bright, dull = analyse(recording.tobytes(), RATE_HZ, BEGIN_NS, sounds).arrivals
    assert bright.level_db is not None and dull.level_db is not None
    assert dull.level_db == pytest.approx(bright.level_db, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_levels_are_right_to_a_decibel_in_noise(number: int) -> None:
    found = measure(Setting("noise", 10.0), np.random.default_rng([4, number]), number)
    assert len(found.level_errors_db) == 5
    assert np.abs(found.level_errors_db).max() < 1


@pytest.mark.slow
def test_a_silent_machine_is_not_heard_and_the_others_are_right() -> None:
    heard, truth_ms = listen(Conditions(hidden_s=HIDDEN_S, silent=frozenset({2})))
    assert verdicts(heard) == [Verdict.HEARD, Verdict.HEARD, Verdict.NOT_HEARD, Verdict.HEARD]
    assert heard.arrivals[2].offset_ns is None and heard.arrivals[2].level_db is None
    assert heard.arrivals[3].offset_ns == pytest.approx(truth_ms[3] * 1e6, abs=50_000)


def test_without_the_first_machine_offsets_are_those_to_the_next_one() -> None:
    heard, truth_ms = listen(Conditions(silent=frozenset({0})))
    assert verdicts(heard) == [Verdict.NOT_HEARD, Verdict.HEARD, Verdict.HEARD, Verdict.HEARD]
    assert_right_differences(heard, truth_ms)


@pytest.mark.slow
def test_a_very_quiet_machine_is_not_measured() -> None:
    heard, _ = listen(Conditions(snr_db=10, gain_db={1: -26}))
    assert heard.arrivals[1].verdict in (Verdict.TOO_QUIET, Verdict.NOT_HEARD)
    assert heard.arrivals[2].verdict is Verdict.HEARD


def test_much_noise_is_named() -> None:
    heard, _ = listen(Conditions(snr_db=-25))
    assert set(verdicts(heard)) == {Verdict.NOISE}
    assert heard.microphone_ppm is None


@pytest.mark.slow
def test_a_flutter_echo_92_ms_late_is_not_the_direct_sound() -> None:
    """In this room, the repeats agree best where the sound between two walls has returned."""
    found = measure(SETTINGS[0], np.random.default_rng([1, 0, 102]), 102)
    assert len(found.errors_s) == 5
    assert np.max(np.abs(found.errors_s)) < 0.0001


@pytest.mark.slow
def test_a_recording_that_loses_time_is_refused() -> None:
    for lost_at_s in np.arange(0.5, 4.0, 1.1):
        heard, truth_ms = listen(Conditions(hidden_s=HIDDEN_S, lost_at_s=float(lost_at_s)))
        assert Verdict.UNSTEADY in verdicts(heard)
        assert_right_differences(heard, truth_ms)


@pytest.mark.slow
def test_an_overdriven_microphone_is_refused() -> None:
    heard, _ = listen(Conditions(clipping_db=20))
    assert heard.clipped_share > 0.1
    assert set(verdicts(heard)) == {Verdict.NOISE}


@pytest.mark.slow
def test_a_machine_that_is_not_in_time_with_itself_is_unsteady() -> None:
    random = np.random.default_rng(1)
    sounds = schedule(3, 3)
    late = Sounds((sounds[1].starts_ns[0], *(start_ns + 2_000_000 for start_ns in sounds[1].starts_ns[1:])), False)
    recording = record(random, room(random, 3), [sounds[0], late, sounds[2]], Conditions())
    heard = analyse(recording.tobytes(), 48_000, BEGIN_NS, sounds)
    assert verdicts(heard) == [Verdict.HEARD, Verdict.UNSTEADY, Verdict.HEARD]


# -- recordings of anything ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recording",
    [
        b"",
        b"\0" * 3,
        b"\0" * 4,
        bytes(48_000 * 4),
        np.full(100_000, np.nan, np.float32).tobytes(),
        np.full(100_000, np.inf, np.float32).tobytes(),
        np.full(100_000, -3e38, np.float32).tobytes(),
        np.ones(300_000, np.float32).tobytes(),
        np.sin(np.arange(300_000) * 0.13).astype(np.float32).tobytes(),
    ],
    ids=["nothing", "bytes", "a frame", "silence", "NaN", "infinity", "huge", "constant", "a tone"],
)
def test_what_is_no_pass_is_not_heard(recording: bytes) -> None:
    heard = analyse(recording, 48_000, BEGIN_NS, schedule(3, 3))
    assert set(verdicts(heard)) <= {Verdict.NOT_HEARD, Verdict.NOISE}
    assert [one.offset_ns for one in heard.arrivals] == [None] * 3


@hypothesis.settings(deadline=None, max_examples=10)
@hypothesis.given(
    st.lists(st.tuples(st.integers(0, 299_999), st.sampled_from([np.nan, np.inf, -1e30, 1.0])), max_size=20),
    st.integers(0, 400_000),
    st.integers(-59_000_000_000, 59_000_000_000),
)
def test_no_recording_crashes(damage: list[tuple[int, float]], frames: int, begin_ns: int) -> None:
    samples = PASS.copy()
    for at, value in damage:
        samples[at] = value
    heard = analyse(samples[:frames].tobytes(), 48_000, begin_ns, schedule(2, 2))
    assert len(heard.arrivals) == 2


PASS: Recording = record(np.random.default_rng(3), room(np.random.default_rng(3), 2), schedule(2, 2), Conditions())
PASS = np.pad(PASS, (0, max(0, 400_000 - len(PASS))))


@pytest.mark.parametrize(("rate_hz", "begin_ns"), [(15_999, 0), (96_001, 0), (48_000, 10**12)])
def test_quantities_out_of_range_are_refused(rate_hz: int, begin_ns: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        analyse(bytes(4000), rate_hz, begin_ns, schedule(2, 2))


def test_a_memoryview_of_floats_is_a_recording_too() -> None:
    sounds = schedule(2, 2)
    assert analyse(memoryview(PASS), 48_000, BEGIN_NS, sounds) == analyse(PASS.tobytes(), 48_000, BEGIN_NS, sounds)


# -- larger runs -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_noise_is_no_machine() -> None:
    """The rate of false alarms in listening.py: if it were 1 in 500, none of 1600 would have a probability of 4 %."""
    random, machines = np.random.default_rng(5), 40
    sounds, mute = schedule(machines, 3), room(random, 1) * machines
    for number in range(40):
        conditions = Conditions(noise=("pink", "speech", "music")[number % 3], silent=frozenset(range(machines)))
        recording = record(random, mute, sounds, conditions)
        assert Verdict.HEARD not in verdicts(analyse(recording.tobytes(), 48_000, BEGIN_NS, sounds))


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_no_correction_is_wrong(setting: Setting) -> None:
    found = [measure(setting, np.random.default_rng([9, number]), number) for number in range(6)]
    errors_s = np.abs([error_s for one in found for error_s in one.errors_s])
    assert not sum(one.false for one in found)
    assert np.all(errors_s < 0.001)
    if len(errors_s):
        assert np.percentile(errors_s, 95) < 0.0001


@pytest.mark.slow
def test_many_machines_are_heard_in_one_pass() -> None:
    random, sounds = np.random.default_rng(2), schedule(20, 3)
    paths = room(random, 20)
    conditions = Conditions(hidden_s={k: 0.01 * k for k in range(20)}, clock_ppm=80)
    heard = analyse(record(random, paths, sounds, conditions).tobytes(), 48_000, BEGIN_NS, sounds)
    assert length_ns(sounds) > 15e9
    assert_right(heard, [1000 * offset_s for offset_s in true_offsets_s(paths, conditions)])
