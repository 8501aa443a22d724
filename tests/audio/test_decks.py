"""Decks with the real engine, offline. The track is a signal that encodes its own position (support/pcm.py)."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pytest

from phaselock import _native
from phaselock.audio.decks import Decks
from phaselock.audio.interface import AudioEvent, DecodeFailed, Plan
from phaselock.model.file_kinds import UnplayableFileError
from tests.support.compass_plans import BLOCK, DEVICE_HZ, SECOND, T0_NS, TRACK_HZ, plan
from tests.support.pcm import CompassSource, loudness, places, stereo

LATENCY_NS = 100_000_000


class Machine:
    """Decks and their engine; frame k leaves the loudspeaker at T0 + LATENCY + k / DEVICE_HZ."""

    def __init__(self) -> None:
        self.clock_map = _native.ClockMap(identity=True)
        self.engine = _native.Engine(self.clock_map)
        self.engine.set_output_latency(LATENCY_NS)
        self.engine.stream(DEVICE_HZ)
        self.sources: list[CompassSource] = []
        self.broken: set[UUID] = set()
        self.decks = Decks(self.engine, self.open)
        self.events: list[AudioEvent] = []
        self.blocks: list[npt.NDArray[np.float64]] = []
        self.asked = 0

    def open(self, wanted: Plan) -> CompassSource:
        if wanted.track.file_id in self.broken:
            raise UnplayableFileError(wanted.track.file_name)
        self.sources.append(CompassSource(wanted.track.frames))
        return self.sources[-1]

    def run(self, seconds: float) -> Machine:
        for _ in range(round(seconds * DEVICE_HZ / BLOCK)):
            now_ns = T0_NS + self.asked * SECOND // DEVICE_HZ
            busy = True
            while busy:
                busy, events = self.decks.pump(now_ns, output_latency_ns=LATENCY_NS)
                self.events += events
            self.blocks.append(stereo(self.engine.process(BLOCK, now_ns)))
            self.asked += BLOCK
        return self

    def heard(self, follow: Plan, from_s: float, to_s: float) -> tuple[float, float]:
        """(minimum loudness, largest distance from the plan in us) between two times after T0 at the loudspeaker."""
        sound = np.concatenate(self.blocks)
        at_s = LATENCY_NS / 1e9 + np.arange(len(sound)) / DEVICE_HZ
        part = (at_s >= from_s) & (at_s < to_s)
        line = follow.timeline
        want = line.anchor_frame + (at_s[part] - (line.start_session_ns - T0_NS) / 1e9) * TRACK_HZ
        error_us = (places(sound[part], want) - want) / TRACK_HZ * 1e6
        loud = loudness(sound[part])
        return float(loud.min()), float(np.abs(error_us).max() if loud.min() > 0.01 else np.inf)

    def loudest(self, from_s: float, to_s: float) -> float:
        at_s = LATENCY_NS / 1e9 + np.arange(self.asked) / DEVICE_HZ
        return float(loudness(np.concatenate(self.blocks)[(at_s >= from_s) & (at_s < to_s)]).max(initial=0.0))

    def armed(self) -> int:
        return sum(self.engine.deck(k).armed for k in range(_native.DECKS))


def assert_follows(machine: Machine, follow: Plan, from_s: float, to_s: float) -> None:
    least, worst_us = machine.heard(follow, from_s, to_s)
    assert least == pytest.approx(1, abs=0.02)
    assert worst_us < 1


def test_play_pause_resume_seek_stop() -> None:
    machine = Machine()
    first = plan(0, 1)
    assert machine.decks.are_idle()
    machine.decks.follow(first, None)
    assert not machine.decks.are_idle()
    machine.run(2)
    assert not machine.decks.are_idle()
    paused = dataclasses.replace(first, timeline=first.timeline.stopped_at(T0_NS + 3 * SECOND))
    machine.decks.follow(paused, None)
    machine.run(2)
    assert_follows(machine, first, 1.01, 2.99)
    assert machine.loudest(3.0, 4.0) == 0
    assert machine.armed() == 0
    assert machine.decks.are_idle()
    resumed = plan(paused.timeline.frame_at(T0_NS + 3 * SECOND), 5)
    machine.decks.follow(resumed, None)
    assert not machine.decks.are_idle()
    machine.run(2.5)
    sought = plan(40 * TRACK_HZ, 7)
    machine.decks.follow(sought, None)
    machine.run(2)
    assert_follows(machine, resumed, 5.01, 6.99)
    assert_follows(machine, sought, 7.01, 8.5)
    machine.decks.follow(None, None)
    machine.run(0.5)
    assert machine.loudest(8.7, 9.0) == 0
    assert machine.armed() == 0
    assert all(source.closed for source in machine.sources)
    assert machine.engine.status().underruns == 0


def level_db(machine: Machine, from_s: float, to_s: float) -> tuple[float, float]:
    """The smallest and the largest level between two times."""
    at_s = LATENCY_NS / 1e9 + np.arange(machine.asked) / DEVICE_HZ
    loud = loudness(np.concatenate(machine.blocks)[(at_s >= from_s) & (at_s < to_s)])
    return float(20 * np.log10(loud.min())), float(20 * np.log10(loud.max()))


def test_a_track_plays_at_its_gain_and_a_change_is_ramped() -> None:
    machine = Machine()
    first, then = plan(0, 1, seconds=40), dataclasses.replace(plan(0, 41, number=2), gain_db=-3.0)
    machine.decks.follow(dataclasses.replace(first, gain_db=-6.0), then)
    machine.run(5)
    assert level_db(machine, 1.1, 4.9) == pytest.approx((-6, -6), abs=0.1)
    machine.decks.follow(dataclasses.replace(first, gain_db=-12.0), dataclasses.replace(then, gain_db=-9.0))
    machine.run(44)
    assert len(machine.sources) == 3, "only the next track is decoded again"
    sound = loudness(np.concatenate(machine.blocks))
    at_s = LATENCY_NS / 1e9 + np.arange(len(sound)) / DEVICE_HZ
    changing = sound[(at_s > 4.5) & (at_s < 39)]
    assert np.abs(np.diff(changing[:: DEVICE_HZ // 50])).max() < 0.02, "no jump within 20 ms"
    assert level_db(machine, 35, 40.9) == pytest.approx((-12, -12), abs=0.1)
    assert level_db(machine, 41.1, 48.9) == pytest.approx((-9, -9), abs=0.1)


def test_a_running_timeline_is_joined_at_once_and_in_phase() -> None:
    machine = Machine().run(3)
    running = plan(1000, -20)
    machine.decks.follow(running, None)
    machine.run(2)
    assert machine.loudest(0, 3.1) == 0
    assert_follows(machine, running, 3.4, 5.0)


def test_a_paused_timeline_is_silent() -> None:
    machine = Machine().run(1)
    machine.decks.follow(plan(0, -20, -10), None)
    machine.run(1)
    assert machine.armed() == 0
    assert machine.decks.are_idle()
    assert machine.loudest(0, 2) == 0


def test_the_next_track_joins_without_a_gap_and_is_kept_when_it_takes_over() -> None:
    machine = Machine()
    first = plan(0, 1, seconds=2.0)
    second = plan(0, 3, number=2)
    machine.decks.follow(first, second)
    machine.run(2.5)
    machine.decks.follow(second, None)  # by the session clock the second track has started, a little before it sounds
    machine.run(2.5)
    assert_follows(machine, first, 1.01, 2.99)
    assert_follows(machine, second, 3.005, 5.0)
    assert machine.loudest(2.99, 3.01) > 0.9
    assert len(machine.sources) == 2


def crossfaded(machine: Machine) -> tuple[Plan, Plan]:
    """Follow a track of 3 s from 1 s on, which fades into a second one from 3 s to 4 s."""
    second = plan(0, 3, number=2)
    second = dataclasses.replace(second, timeline=dataclasses.replace(second.timeline, crossfade_ns=SECOND))
    first = plan(0, 1, seconds=3.0)
    first = dataclasses.replace(first, timeline=first.timeline.into(second.timeline))
    machine.decks.follow(first, second)
    return first, second


def test_a_crossfade_goes_on_when_the_next_track_takes_over() -> None:
    machine = Machine()
    first, second = crossfaded(machine)
    machine.run(2.5)
    assert machine.armed() == 2
    machine.decks.follow(second, None)
    machine.run(2.5)
    assert_follows(machine, first, 1.01, 2.99)
    assert_follows(machine, second, 4.01, 4.9)
    assert machine.loudest(2.99, 3.02) > 0.9
    assert machine.armed() == 1
    assert len(machine.sources) == 2


def test_a_crossfade_that_is_taken_back_leaves_the_track_as_it_was() -> None:
    machine = Machine()
    first, _ = crossfaded(machine)
    machine.run(1.5)
    machine.decks.follow(dataclasses.replace(first, timeline=first.timeline.into(None)), None)
    machine.run(3)
    assert_follows(machine, first, 1.01, 3.99)


def test_a_stop_silences_both_tracks_of_a_crossfade() -> None:
    machine = Machine()
    _, second = crossfaded(machine)
    machine.run(2.5)
    machine.decks.follow(second, None)
    machine.run(1.0)
    machine.decks.follow(None, None)
    machine.run(0.5)
    assert machine.loudest(3.7, 4.0) == 0
    assert machine.armed() == 0


def test_a_pause_in_a_crossfade_silences_both_tracks() -> None:
    machine = Machine()
    _, second = crossfaded(machine)
    machine.run(2.5)
    machine.decks.follow(second, None)
    machine.run(0.5)
    paused = dataclasses.replace(second, timeline=second.timeline.stopped_at(T0_NS + 3_500_000_000))
    machine.decks.follow(paused, None)
    machine.run(1.0)
    assert machine.loudest(3.4, 3.49) > 0.9
    assert machine.loudest(3.5, 4.0) == 0


def test_a_stream_that_begins_in_a_track_that_will_fade_out_fades_it() -> None:
    machine = Machine()
    crossfaded(machine)
    machine.run(1.5)
    machine.engine.stream(DEVICE_HZ)
    machine.decks.restart()
    machine.run(1.5)
    assert machine.armed() == 2
    assert machine.loudest(2.7, 2.9) == pytest.approx(1, abs=0.02)
    machine.run(1.2)
    assert machine.armed() == 1


def test_a_track_whose_file_comes_in_the_crossfade_does_not_cut_the_one_before() -> None:
    machine = Machine()
    first, second = crossfaded(machine)
    machine.decks.follow(first, None)
    machine.run(2.7)
    machine.decks.follow(second, None)
    machine.run(0.4)
    assert machine.armed() == 2


def test_another_track_that_was_paused_before_now_silences_the_one_that_plays() -> None:
    machine = Machine()
    machine.decks.follow(plan(0, 1), None)
    machine.run(2)
    machine.decks.follow(plan(0, 1.2, 1.5, number=2), None)
    machine.run(0.5)
    assert machine.armed() == 0


def test_another_next_track_replaces_the_armed_one() -> None:
    machine = Machine()
    first, wrong, right = plan(0, 1, seconds=2.0), plan(5000, 3, number=2), plan(20_000, 3, number=3)
    machine.decks.follow(first, wrong)
    machine.run(1.5)
    machine.decks.follow(first, right)
    machine.run(3)
    assert_follows(machine, first, 1.01, 2.98)
    assert_follows(machine, right, 3.02, 4.4)


def test_a_pause_that_a_resume_overtook_is_still_a_pause() -> None:
    machine = Machine()
    first = plan(0, 1)
    machine.decks.follow(first, None)
    machine.run(1.5)
    stop_ns = T0_NS + 2 * SECOND
    machine.decks.follow(dataclasses.replace(first, timeline=first.timeline.stopped_at(stop_ns)), None)
    resumed = plan(first.timeline.frame_at(stop_ns), 3)
    machine.decks.follow(resumed, None)
    machine.run(2.5)
    assert_follows(machine, first, 1.01, 1.99)
    assert machine.loudest(2.0, 3.0) == 0
    assert_follows(machine, resumed, 3.01, 3.9)


def test_many_quick_seeks_end_at_the_last() -> None:
    machine = Machine()
    machine.decks.follow(plan(0, 0.5), None)
    machine.run(1)
    for k in range(20):
        machine.decks.follow(plan(k * 10_000, 1.5 + k * 0.03), None)
        machine.run(0.03)
    machine.run(2)
    assert_follows(machine, plan(190_000, 1.5 + 19 * 0.03), 2.3, 3.5)
    assert machine.armed() == 1
    assert sum(not source.closed for source in machine.sources) == 1


def test_a_restarted_stream_continues_at_the_place_of_the_timeline() -> None:
    machine = Machine()
    first = plan(0, 1)
    machine.decks.follow(first, None)
    machine.run(2)
    machine.engine.stream(DEVICE_HZ)
    machine.decks.restart()
    machine.run(2)
    # The frames of the new stream are counted from its own start; only the timeline matters.
    assert_follows(machine, first, 2.4, 4.0)


def test_a_machine_that_slept_seeks_instead_of_decoding_all_it_missed() -> None:
    machine = Machine()
    first = plan(0, 1, seconds=4000)
    machine.decks.follow(first, None)
    machine.run(2)
    machine.clock_map.set(T0_NS, 1800 * SECOND, 0.0, 0.0, 0.0)  # the session clock jumps ahead by half an hour
    machine.run(3)
    line = dataclasses.replace(first.timeline, start_session_ns=T0_NS - 1799 * SECOND)
    late = dataclasses.replace(first, timeline=line)
    assert_follows(machine, late, 4.0, 5.0)
    assert len(machine.sources) == 2
    assert machine.armed() == 1


def test_an_undecodable_file_is_reported_once_and_others_play() -> None:
    machine = Machine()
    machine.broken.add(UUID(int=7))
    bad = plan(0, 1, number=7)
    machine.decks.follow(bad, None)
    machine.run(1)
    assert machine.events == [DecodeFailed(bad, "Invalid or corrupted MP3 file: 7.mp3")]
    machine.decks.follow(plan(0, 2), None)
    machine.run(2)
    assert_follows(machine, plan(0, 2), 2.01, 3.0)


def test_a_file_that_comes_back_is_played() -> None:
    machine = Machine()
    machine.broken.add(UUID(int=7))
    first = plan(0, 1, number=7)
    machine.decks.follow(first, None)
    machine.run(1)
    machine.broken.clear()
    machine.decks.follow(None, None)
    machine.run(0.1)
    machine.decks.follow(first, None)
    machine.run(1)
    assert_follows(machine, first, 1.3, 2.0)


def test_a_file_that_fails_while_playing_fades_out_and_is_reported() -> None:
    machine = Machine()
    good = plan(0, 1)
    machine.decks.follow(good, None)
    machine.run(1.5)

    def fail(_address: int, _frames: int) -> int:
        raise UnplayableFileError("1.mp3")

    machine.sources[0].read_into = fail  # type: ignore[method-assign]
    machine.run(9)
    assert [type(event) for event in machine.events] == [DecodeFailed]
    assert machine.loudest(9, 10) == 0


@pytest.mark.parametrize("method", ["seek", "read_into"])
def test_a_source_that_fails_is_reported_and_others_play(
    method: str, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    def fail(*_: object) -> int:
        raise ValueError("odd")

    machine = Machine()
    with monkeypatch.context() as patch:
        patch.setattr(CompassSource, method, fail)
        machine.decks.follow(plan(0, 1, number=7), None)
        machine.run(1)
    (event,) = machine.events
    assert isinstance(event, DecodeFailed) and event.reason.startswith("Something went wrong inside PhaseLock.")
    machine.decks.follow(plan(0, 2), None)
    machine.run(2)
    assert_follows(machine, plan(0, 2), 2.01, 3.0)
    assert len(bugs) == 1
