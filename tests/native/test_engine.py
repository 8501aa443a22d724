"""The engine offline: the code of the audio callback, on simulated times."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_allclose

from phaselock import _native
from phaselock.model.role import ROLES, Role
from phaselock.model.volume import MAX_TRIM_DB, gain_of
from tests.support.pcm import compass, loudness, places, stereo

TRACK_HZ = 44100
DEVICE_HZ = 48000
BLOCK = 480
T0_NS = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


class Machine:
    """An engine on a card that calls back at true times; its local clock is true time."""

    def __init__(self, *, card_ppm: float = 0.0, late_ns: Callable[[], float] = lambda: 0.0) -> None:
        self.clock_map = _native.ClockMap()
        self.clock_map.set(T0_NS, 0, 0.0, 0.0, 0.0)
        self.engine = _native.Engine(self.clock_map)
        self.engine.stream(DEVICE_HZ)
        self.true_hz = DEVICE_HZ * (1 + card_ppm * 1e-6)
        self.late_ns = late_ns
        self.asked = 0
        self.shift_ns = 0.0
        self.blocks: list[npt.NDArray[np.float64]] = []
        self.feeds: list[tuple[int, int, int, int]] = []

    def arm(
        self, anchor: int, start_ns: int, stop_ns: int | None = None, *, frames: int = 10**9, seamless: bool = False
    ) -> int:
        deck = self.engine.free_deck()
        generation = self.engine.reset_deck(deck, anchor)
        self.feeds.append((deck, generation, anchor, frames))
        self.feed()
        assert self.engine.arm(deck, TRACK_HZ, anchor, start_ns, stop_ns, seamless)
        return deck

    def feed(self) -> None:
        still = []
        for deck, generation, at, frames in self.feeds:
            count = min(frames - at, 16384)
            done = self.engine.write(deck, generation, compass(at, count)) if count else 0
            if done < 0:
                continue
            if at + done == frames:
                self.engine.finish(deck, generation)
            else:
                still.append((deck, generation, at + done, frames))
        self.feeds = still

    def run(self, seconds: float, *, feed: bool = True) -> Machine:
        for _ in range(round(seconds * DEVICE_HZ / BLOCK)):
            now_ns = T0_NS + round(self.asked / self.true_hz * 1e9 + self.shift_ns + self.late_ns())
            self.blocks.append(stereo(self.engine.process(BLOCK, now_ns)))
            self.asked += BLOCK
            if feed:
                self.feed()
        return self

    @property
    def sound(self) -> npt.NDArray[np.float64]:
        return np.concatenate(self.blocks)

    def at_ns(self) -> npt.NDArray[np.float64]:
        """True time of each output frame, relative to T0."""
        return np.arange(self.asked) / self.true_hz * 1e9

    def errors_us(self, anchor: int, start_ns: int) -> npt.NDArray[np.float64]:
        """The place of each sounding frame minus the place by the timeline, in us; NaN in silence."""
        want = anchor + (self.at_ns() - (start_ns - T0_NS)) * TRACK_HZ / 1e9
        sound = self.sound
        error = (places(sound, want) - want) / TRACK_HZ * 1e6
        return np.where(loudness(sound) > 0.01, error, np.nan)


def worst(errors: npt.NDArray[np.float64]) -> float:
    return float(np.nanmax(np.abs(errors)))


@pytest.mark.parametrize("start_fraction", [0, 1, 7_777, 20_833, 10_416])
def test_a_start_is_exact_to_a_fraction_of_a_sample(start_fraction: int) -> None:
    start_ns = T0_NS + SECOND + start_fraction
    machine = Machine()
    machine.arm(0, start_ns)
    machine.run(2)
    first = int(np.flatnonzero(loudness(machine.sound) > 0.5)[0])
    assert 0 <= first / DEVICE_HZ * 1e9 - (SECOND + start_fraction) < 1e9 / DEVICE_HZ
    assert worst(machine.errors_us(0, start_ns)[first + 50 :]) < 0.1
    assert not machine.engine.status().underruns


def test_render_is_what_leaves_the_loudspeaker_at_that_time() -> None:
    """The callback comes an output latency earlier; the start is exact by the time of the loudspeaker."""
    start_ns = T0_NS + SECOND
    machine = Machine()
    machine.engine.set_output_latency(300_000_000)
    machine.arm(0, start_ns)
    for _ in range(150):
        dac_ns = T0_NS + machine.asked * SECOND // DEVICE_HZ
        machine.blocks.append(stereo(machine.engine.render(BLOCK, dac_ns)))
        machine.asked += BLOCK
    first = int(np.flatnonzero(loudness(machine.sound) > 0.5)[0])
    assert first == DEVICE_HZ
    assert worst(machine.errors_us(0, start_ns)[first + 50 :]) < 0.1


def test_a_start_in_the_middle_fades_in_and_is_as_exact() -> None:
    start_ns = T0_NS + SECOND
    machine = Machine()
    machine.arm(123_456, start_ns)
    machine.run(2)
    loud = loudness(machine.sound)
    assert loud[:DEVICE_HZ].max() == 0
    assert 0.4 < loud[DEVICE_HZ + 120] < 0.6
    assert loud[DEVICE_HZ + 245] == pytest.approx(1, abs=0.01)
    assert worst(machine.errors_us(123_456, start_ns)[DEVICE_HZ + 60 :]) < 0.1


def test_a_drifting_card_and_clock_are_followed_without_a_jump() -> None:
    rng = random.Random(1)
    machine = Machine(card_ppm=100, late_ns=lambda: rng.expovariate(1 / 60e3))
    machine.clock_map.set(T0_NS, -5_000_000_000, -80e-6, 0.0, 0.0)

    def session(at_ns: float) -> float:  # relative to T0
        return at_ns - 5e9 - 80e-6 * at_ns

    machine.run(5)
    start_ns = T0_NS + round(session(6e9))
    machine.arm(0, start_ns)
    machine.run(15)
    want = (session(machine.at_ns()) - (start_ns - T0_NS)) * TRACK_HZ / 1e9
    error = (places(machine.sound, want) - want) / TRACK_HZ * 1e6
    assert np.abs(error[loudness(machine.sound) > 0.5][100:]).max() < 15
    status = machine.engine.status()
    assert status.correction_ppm == pytest.approx(-180, abs=2)
    assert status.card_ppm == pytest.approx(-100, abs=1)
    assert status.jumps == status.slips == status.underruns == 0


def test_a_small_error_is_bent_away_slowly_and_smoothly() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND
    machine.arm(0, start_ns)
    machine.run(3)
    machine.clock_map.set(T0_NS, 1_000_000, 0.0, 0.0, 0.0)  # the clock turns out to be a millisecond off
    machine.run(8)
    error = machine.errors_us(0, start_ns)
    assert np.nanmax(np.abs(np.diff(error[DEVICE_HZ + 200 :]))) < 500 / DEVICE_HZ + 0.02  # 500 ppm at most, no jump
    assert error[-1] == pytest.approx(1000, abs=15)
    assert machine.engine.status().jumps == 0


def servo_errors_us(machine: Machine, seconds: float, offset_us: Callable[[float], float]) -> npt.NDArray[np.float64]:
    """The cursor minus its target at each callback, while the session clock is `offset_us` ahead of what was expected,
    by the time in seconds; its drift is not told."""
    errors = []
    begun = machine.asked
    while (at_s := (machine.asked - begun) / DEVICE_HZ) < seconds:
        machine.clock_map.set(T0_NS, round(offset_us(at_s) * 1e3), 0.0, 0.0, 0.0)
        machine.run(BLOCK / DEVICE_HZ)
        errors.append(machine.engine.status().phase_error_ns / 1e3)
    return np.array(errors)


def playing() -> Machine:
    machine = Machine()
    machine.arm(0, T0_NS + SECOND)
    return machine.run(3)


def test_the_servo_removes_an_error_with_a_time_constant_of_a_second() -> None:
    errors_us = servo_errors_us(playing(), 2.5, lambda at_s: 100.0)
    assert errors_us[0] == pytest.approx(-100, abs=0.5)
    assert errors_us[[100, 200]] == pytest.approx([-100 * np.exp(-1), -100 * np.exp(-2)], abs=0.5)


def test_an_unknown_rate_error_leaves_a_constant_error() -> None:
    """One second times the rate error: 10 us at 10 ppm."""
    errors_us = servo_errors_us(playing(), 8, lambda at_s: 10 * at_s)
    assert errors_us[-100:] == pytest.approx(-10, abs=0.2)


def test_the_servo_is_a_low_pass_filter_for_the_noise_of_its_target() -> None:
    """Noise of each callback: a fourteenth of it is left."""
    noise_us = np.random.default_rng(1).normal(0, 20, 3000)
    errors_us = servo_errors_us(playing(), 25, lambda at_s: noise_us[round(at_s * DEVICE_HZ / BLOCK)])
    cursor_us = errors_us + noise_us[: len(errors_us)]
    expected_us = [0.0]
    for target_us in noise_us[: len(errors_us) - 1]:
        expected_us.append(expected_us[-1] + (target_us - expected_us[-1]) * BLOCK / DEVICE_HZ)
    assert cursor_us == pytest.approx(expected_us, abs=0.1)
    assert cursor_us.std() < 0.08 * 20


def test_a_large_error_is_crossed_with_a_short_fade() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND
    machine.arm(0, start_ns)
    machine.run(3)
    machine.clock_map.set(T0_NS, 50_000_000, 0.0, 0.0, 0.0)
    machine.run(1)
    assert machine.errors_us(0, start_ns)[-1] == pytest.approx(50_000, abs=1)
    assert machine.engine.status().jumps == 1
    steps = np.abs(np.diff(machine.sound[DEVICE_HZ + 100 :], axis=0)).max()
    assert steps < 0.02  # a hard cut would be up to 1


def test_pause_is_one_instant_with_a_fade_before_it() -> None:
    machine = Machine()
    machine.arm(0, T0_NS + SECOND)
    machine.run(1.5)
    machine.engine.stop_at(T0_NS + 2 * SECOND)
    machine.run(1)
    loud = loudness(machine.sound)
    assert loud[2 * DEVICE_HZ :].max() == 0
    assert loud[2 * DEVICE_HZ - 250] == pytest.approx(1, abs=0.01)
    assert 0.4 < loud[2 * DEVICE_HZ - 120] < 0.6
    assert all(not machine.engine.deck(k).armed for k in range(_native.DECKS))


def test_a_new_timeline_replaces_the_old_one_at_its_start() -> None:
    machine = Machine()
    machine.arm(0, T0_NS + SECOND)
    machine.run(1.5)
    machine.arm(500_000, T0_NS + 2 * SECOND)
    machine.run(2)
    before, after = machine.errors_us(0, T0_NS + SECOND), machine.errors_us(500_000, T0_NS + 2 * SECOND)
    assert worst(before[DEVICE_HZ + 100 : 2 * DEVICE_HZ - 10]) < 0.2
    assert worst(after[2 * DEVICE_HZ + 100 :]) < 0.2


def test_the_next_track_follows_on_the_frame() -> None:
    frames = TRACK_HZ * 2 + 17
    machine = Machine()
    start_ns = T0_NS + SECOND + 4_321
    machine.arm(0, start_ns, frames=frames)
    end_ns = start_ns + round(frames * 1e9 / TRACK_HZ)
    # The second track is the same sound continued, cut at an odd place: no analysis may find the seam.
    deck = machine.engine.free_deck()
    generation = machine.engine.reset_deck(deck, 0)
    assert machine.engine.write(deck, generation, compass(frames, 60_000)) == 60_000
    assert machine.engine.arm(deck, TRACK_HZ, 0, end_ns, None, True)
    machine.run(3.9)
    error = machine.errors_us(0, start_ns)
    loud = loudness(machine.sound)
    assert worst(error[DEVICE_HZ + 100 :]) < 0.1
    assert loud[DEVICE_HZ + 100 :].min() == pytest.approx(1, abs=0.001)


def crossfading(constant: float, begin_ns: int, length_ns: int) -> Machine:
    """A machine on which a deck of 1.0 on the left fades into one of `constant` on the right."""
    machine = Machine()
    left, right = np.zeros((60_000, 2), np.float32), np.zeros((60_000, 2), np.float32)
    left[:, 0], right[:, 1] = 1, constant
    decks = []
    for sound, start_ns, crossfade_ns in ((left, T0_NS + SECOND // 10, 0), (right, begin_ns, length_ns)):
        decks.append(machine.engine.free_deck())
        generation = machine.engine.reset_deck(decks[-1], 0)
        assert machine.engine.write(decks[-1], generation, sound.ravel()) == len(sound)
        assert machine.engine.arm(decks[-1], TRACK_HZ, 0, start_ns, None, True, crossfade_ns)
    assert machine.engine.crossfade_out(decks[0], begin_ns, length_ns)
    return machine


def test_a_crossfade_keeps_the_power_and_is_exact_to_the_frame() -> None:
    begin_ns, length_ns = T0_NS + SECOND // 2 + 12_345, 300_000_000
    machine = crossfading(1.0, begin_ns, length_ns).run(1.0)
    left, right = machine.sound.T
    through = np.clip((machine.at_ns() - (begin_ns - T0_NS)) / length_ns, 0, 1)
    settled = slice(DEVICE_HZ // 5, None)
    assert_allclose(left[settled], np.cos(np.pi / 2 * through)[settled], rtol=0, atol=1e-4)
    assert_allclose(right[settled], np.sin(np.pi / 2 * through)[settled], rtol=0, atol=1e-4)
    assert_allclose((left**2 + right**2)[settled], 1, rtol=0, atol=2e-4)
    assert sum(machine.engine.deck(k).armed for k in range(_native.DECKS)) == 1


def test_a_crossfade_may_be_taken_back_before_it_begins_and_not_after() -> None:
    begin_ns, length_ns = T0_NS + SECOND // 2, 300_000_000
    machine = crossfading(0.0, begin_ns, length_ns).run(0.4)
    assert machine.engine.crossfade_out(0, None, 1)
    machine.run(0.2)
    assert machine.sound[-1, 0] == pytest.approx(1, abs=1e-4)
    assert machine.engine.crossfade_out(0, T0_NS + 700_000_000, length_ns)
    machine.run(0.2)
    assert machine.engine.crossfade_out(0, None, 1)
    machine.run(0.25)
    assert machine.sound[-1, 0] == 0


def test_a_crossfade_that_comes_late_does_not_click() -> None:
    machine = crossfading(0.0, T0_NS + SECOND, 300_000_000).run(0.6)
    assert machine.engine.crossfade_out(0, T0_NS + SECOND // 2, 200_000_000)
    machine.run(0.2)
    left = machine.sound[DEVICE_HZ // 5 :, 0]
    assert np.abs(np.diff(left)).max() < 5e-4  # 100 ms are left: the steepest step of such a fade is 3.3e-4
    assert left[-1] == 0


def test_an_underrun_comes_back_in_phase() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND
    machine.arm(0, start_ns)
    machine.run(2)
    machine.run(3, feed=False)
    assert loudness(machine.sound)[-1] == 0
    assert machine.engine.status().underruns == 1
    machine.run(2)
    error = machine.errors_us(0, start_ns)
    assert worst(error[DEVICE_HZ + 100 :]) < 0.2
    assert loudness(machine.sound)[-1] == pytest.approx(1, abs=0.001)
    assert np.abs(np.diff(machine.sound, axis=0)).max(axis=1)[DEVICE_HZ + 100 :].max() < 0.02


def test_a_late_deck_joins_the_running_timeline() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND // 2
    machine.run(3)
    deck = machine.engine.free_deck()
    first = 3 * TRACK_HZ  # decoded from half a second behind what is due now
    generation = machine.engine.reset_deck(deck, first)
    machine.feeds.append((deck, generation, first, 10**9))
    machine.feed()
    machine.engine.arm(deck, TRACK_HZ, 0, start_ns)
    machine.run(2)
    error = machine.errors_us(0, start_ns)
    heard = np.flatnonzero(~np.isnan(error))
    assert heard[0] / DEVICE_HZ == pytest.approx(3.5, abs=0.02)
    assert worst(error[heard[0] + 100 :]) < 0.2


def test_a_card_that_lost_a_block_is_in_phase_again_soon() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND
    machine.arm(0, start_ns)
    machine.run(5)
    machine.shift_ns += BLOCK / DEVICE_HZ * 1e9  # for good: each later frame is asked for, and leaves, one block later
    lost_at = machine.asked
    machine.run(5)
    shift_ns = np.where(np.arange(machine.asked) >= lost_at, machine.shift_ns, 0)
    want = (machine.at_ns() + shift_ns - SECOND) * TRACK_HZ / 1e9
    error = (places(machine.sound, want) - want) / TRACK_HZ * 1e6
    assert abs(error[lost_at + DEVICE_HZ // 10]) > 9_000
    assert np.abs(error[lost_at + DEVICE_HZ // 2 :]).max() < 5
    assert machine.engine.status().slips == 1


def test_a_processor_taken_away_for_half_a_second_changes_nothing() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND
    machine.arm(0, start_ns)
    machine.run(5)
    away_until_ns = machine.asked / DEVICE_HZ * 1e9 + 0.5e9
    machine.late_ns = lambda: max(0.0, away_until_ns - machine.asked / DEVICE_HZ * 1e9)
    machine.run(1)
    machine.late_ns = lambda: 0.0
    machine.run(3)
    assert worst(machine.errors_us(0, start_ns)[DEVICE_HZ + 100 :]) < 0.2
    assert machine.engine.status().slips == 0


def test_callback_jitter_hardly_matters() -> None:
    rng = random.Random(2)

    def late_ns() -> float:
        return rng.expovariate(1 / 200e3) if rng.random() < 0.7 else 3e6 * rng.random()

    machine = Machine(card_ppm=-60, late_ns=late_ns)
    machine.run(5)
    start_ns = T0_NS + 6 * SECOND
    machine.arm(0, start_ns)
    machine.run(15)
    error = machine.errors_us(0, start_ns)
    assert np.nanpercentile(np.abs(error), 95) < 15
    assert worst(error[6 * DEVICE_HZ + 100 :]) < 40
    assert machine.engine.status().dac_uncertainty_ns < 20_000


def test_volume_is_a_ramp() -> None:
    machine = Machine()
    machine.arm(0, T0_NS + SECOND)
    machine.run(2)
    machine.engine.set_volume(0.25)
    machine.run(1)
    loud = loudness(machine.sound)
    assert loud[-1] == pytest.approx(0.25, abs=0.001)
    assert np.abs(np.diff(loud[DEVICE_HZ + 100 :])).max() < 0.75 / BLOCK * 1.1


def test_a_trim_changes_the_level_in_one_callback_without_a_click() -> None:
    machine, plain = playing(), playing()
    for trim_db in (-6.2, -MAX_TRIM_DB, 0.0):
        machine.engine.set_volume(gain_of(1.0, trim_db))
        for one in (machine, plain):
            one.run(0.5)
        steady = slice(machine.asked - DEVICE_HZ // 4, None)
        ratio = np.std(machine.sound[steady]) / np.std(plain.sound[steady])
        assert 20 * np.log10(ratio) == pytest.approx(trim_db, abs=1e-4)
    settled = slice(3 * DEVICE_HZ + BLOCK, None)
    assert np.abs(np.diff(machine.sound[settled], axis=0)).max() < 1 / BLOCK


ROLE_SHARES: dict[Role, npt.NDArray[np.float64]] = {
    "stereo": np.eye(2),
    "left": np.array([[1, 1], [0, 0]]),
    "right": np.array([[0, 0], [1, 1]]),
    "mono": np.full((2, 2), 0.5),
}
"""The share of each channel (rows) in each output (columns)."""


def test_a_role_changes_the_channels_in_one_callback_without_a_click() -> None:
    """From each role to each."""
    machine, plain = playing(), playing()
    before: Role = "stereo"
    for role in (role for pair in itertools.product(ROLES, ROLES) for role in pair):
        changed = machine.asked
        machine.engine.set_role(role)
        for one in (machine, plain):
            one.run(0.1)
        sound, unmixed = machine.sound[changed:], plain.sound[changed:]
        done = np.clip((np.arange(len(sound)) + 1) / BLOCK, 0, 1)[:, None]
        expected = (1 - done) * (unmixed @ ROLE_SHARES[before]) + done * (unmixed @ ROLE_SHARES[role])
        assert_allclose(sound, expected, rtol=0, atol=1e-6, err_msg=f"from {before} to {role}")
        before = role
    assert np.abs(np.diff(machine.sound[3 * DEVICE_HZ :], axis=0)).max() < 1 / BLOCK


def test_a_quiet_span_fades_the_sound_out_and_in_without_a_click() -> None:
    machine, plain = playing(), playing()
    begin_ns, end_ns = T0_NS + 4 * SECOND, T0_NS + 5 * SECOND
    assert machine.engine.set_quiet([(begin_ns, end_ns)])
    for one in (machine, plain):
        one.run(3)
    expected, sound = loudness(plain.sound), loudness(machine.sound)
    assert sound[round(4.25 * DEVICE_HZ) : round(4.75 * DEVICE_HZ)].max() == 0
    for loud in (slice(round(3.2 * DEVICE_HZ), round(3.98 * DEVICE_HZ)), slice(round(5.02 * DEVICE_HZ), None)):
        assert_allclose(sound[loud], expected[loud], rtol=1e-6)
    half = round(4.1 * DEVICE_HZ)
    assert sound[half] / expected[half] == pytest.approx(0.5, abs=0.05)
    gain = sound[3 * DEVICE_HZ + BLOCK :] / np.maximum(expected[3 * DEVICE_HZ + BLOCK :], 1e-6)
    assert np.abs(np.diff(gain)).max() < 1.7 / (0.2 * DEVICE_HZ)


def test_a_quiet_span_that_is_taken_back_does_not_click() -> None:
    machine = playing()
    machine.engine.set_quiet([(T0_NS, T0_NS + 60 * SECOND)])
    machine.run(1)
    machine.engine.set_quiet([])
    machine.run(1)
    loud = loudness(machine.sound)
    assert loud[round(3.5 * DEVICE_HZ)] == 0 and loud[-1] == pytest.approx(1, abs=0.01)
    assert np.abs(np.diff(loud[3 * DEVICE_HZ :])).max() < 2 / (0.05 * DEVICE_HZ)
    with pytest.raises(ValueError, match="too many"):
        machine.engine.set_quiet([(0, 1)] * 3)


def test_stereo_changes_no_bit_of_the_sound() -> None:
    machine, plain = playing(), playing()
    for role in ("mono", "stereo"):
        machine.engine.set_role(role)
        for one in (machine, plain):
            one.run(0.1)
    machine.run(0.1)
    plain.run(0.1)
    assert (np.concatenate(machine.blocks[-10:]) == np.concatenate(plain.blocks[-10:])).all()


def test_a_role_is_kept_with_the_next_stream_and_a_wrong_one_is_refused() -> None:
    machine = Machine()
    machine.engine.set_role("left")
    machine.engine.stream(DEVICE_HZ)
    with pytest.raises(KeyError):
        machine.engine.set_role("centre")  # type: ignore[arg-type]
    machine.arm(0, T0_NS)
    machine.run(1)
    left, right = machine.sound[BLOCK:].T
    assert left.any() and (left == right).all()


def test_cancel_and_stop_now_fade() -> None:
    machine = Machine()
    deck = machine.arm(0, T0_NS + SECOND)
    machine.run(2)
    machine.engine.cancel(deck)
    machine.run(0.5)
    assert loudness(machine.sound)[-1] == 0
    assert not machine.engine.deck(deck).armed
    assert np.abs(np.diff(machine.sound, axis=0)).max(axis=1)[DEVICE_HZ + 100 :].max() < 0.02


def test_nothing_plays_before_the_clock_is_known() -> None:
    machine = Machine()
    machine.clock_map = _native.ClockMap()
    machine.engine = _native.Engine(machine.clock_map)
    machine.engine.stream(DEVICE_HZ)
    machine.arm(0, T0_NS + SECOND)
    machine.run(3)
    assert loudness(machine.sound).max() == 0
    assert not machine.engine.status().following
    machine.clock_map.set(T0_NS, 0, 0.0, 0.0, 0.0)
    machine.run(1)
    assert worst(machine.errors_us(0, T0_NS + SECOND)) < 0.2


@pytest.mark.parametrize("drift", [-1.0, -2.0, 1e9, float("nan"), float("inf")])
def test_a_clock_map_with_an_impossible_drift_is_not_followed(drift: float) -> None:
    machine = Machine()
    machine.arm(0, T0_NS)
    machine.clock_map.set(T0_NS, 0, drift, 0.0, 0.0)
    machine.run(1)
    assert loudness(machine.sound).max() == 0


def test_an_old_generation_cannot_write() -> None:
    engine = Machine().engine
    old = engine.reset_deck(0, 0)
    assert engine.write(0, old, compass(0, 100)) == 100
    new = engine.reset_deck(0, 5000)
    assert engine.write(0, old, compass(100, 100)) == -1
    assert engine.acquire(0, old)[1] == -1
    assert not engine.commit(0, old, 10)
    assert not engine.finish(0, old)
    assert engine.deck(0).written_frame == 5000
    assert engine.write(0, new, compass(5000, 140_000)) == 131_072
    assert engine.deck(0).room_frames == 0


def test_the_ring_wraps_without_losing_a_frame() -> None:
    machine = Machine()
    start_ns = T0_NS + SECOND
    machine.arm(0, start_ns)
    machine.run(8)  # five turns of the ring
    assert worst(machine.errors_us(0, start_ns)[DEVICE_HZ + 100 :]) < 0.1
    assert machine.engine.status().underruns == 0


def test_a_timeline_that_stops_before_it_starts_frees_its_deck() -> None:
    machine = Machine()
    never = machine.arm(0, T0_NS + 10**6 * SECOND, T0_NS + SECOND)
    machine.run(0.1)
    assert not machine.engine.deck(never).armed
    later = machine.arm(0, T0_NS + 10**6 * SECOND)
    machine.run(0.1)
    assert machine.engine.deck(later).armed
    machine.engine.stop_at(T0_NS + 2 * SECOND)
    machine.run(0.1)
    assert not machine.engine.deck(later).armed


def test_all_track_rates_are_accepted_on_all_devices() -> None:
    engine = Machine().engine
    for device_hz in (44100, 48000, 96000, 44100):
        for track_hz in (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000):
            engine.stream(device_hz)
            engine.reset_deck(0, 0)
            assert engine.arm(0, track_hz, 0, 0)


def test_more_rates_than_kernels_are_played() -> None:
    """A host can announce any number of sampling rates. The kernels of decks that play are kept."""
    machine = Machine()
    playing = machine.arm(0, T0_NS)
    machine.run(0.2)
    before = len(machine.blocks)
    for track_hz in range(30000, 30040):
        deck = machine.engine.free_deck()
        machine.engine.reset_deck(deck, 0)
        assert machine.engine.arm(deck, track_hz, 0, T0_NS + 1000 * SECOND, seamless=True)
        machine.engine.cancel(deck)
        machine.run(0.02)
    assert machine.engine.deck(playing).armed and machine.engine.status().underruns == 0
    assert all(np.abs(block).max() > 0.01 for block in machine.blocks[before:])


def test_arguments_out_of_range_are_refused() -> None:
    engine = Machine().engine
    with pytest.raises(IndexError):
        engine.reset_deck(4, 0)
    with pytest.raises(IndexError):
        engine.arm(-1, 44100, 0, 0)
    with pytest.raises(ValueError):
        engine.arm(0, 10, 0, 0)
    with pytest.raises(ValueError, match="crossfade out of range"):
        engine.arm(0, 44100, 0, 0, crossfade_ns=-1)
    with pytest.raises(ValueError, match="crossfade out of range"):
        engine.crossfade_out(0, 0, 0)
    with pytest.raises(ValueError):
        engine.stream(0)
    with pytest.raises(ValueError):
        _native.Engine(_native.ClockMap(), ring_frames=5000)
    engine.reset_deck(0, 0)
    assert engine.arm(0, 44100, 0, 0)
    with pytest.raises(ValueError):
        engine.reset_deck(0, 0)
