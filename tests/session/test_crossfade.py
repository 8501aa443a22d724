"""Crossfades and skipped silence: all machines make the same transition at the same session time."""

from __future__ import annotations

from uuid import UUID

import pytest

from phaselock.model.loudness import Loudness, Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.timeline import FadeOut, Timeline
from phaselock.model.transitions import SHORTEST_NS, Transitions
from phaselock.session.commands import Add, Next, Pause, Play, Previous, Remove, Seek, SetTransitions, Stop
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, line, ready
from tests.support.simulation import MS, SECOND, a_track

RATE = 44100
ALBUM_WITHOUT_GAPS = {1: (0, 60 * RATE), 2: (0, 60 * RATE)}


def fading(crossfade_s: float = 4.0, *, skip_silence: bool = False) -> tuple[SessionHarness, list[HarnessPeer]]:
    """A jam of three songs of a minute that cross-fade; the first one plays."""
    harness, peers = ready(tracks=3)
    harness.command(SetTransitions(Transitions(crossfade_s, skip_silence)), Play())
    harness.run(1)
    return harness, peers


def measure(harness: SessionHarness, number: int, sound: tuple[int, int], album: str = "") -> None:
    core, now_ns = harness.host.core, harness.host.now_ns
    harness.host.do(core.learn_tags(UUID(int=number), Tagged(album), now_ns=now_ns))
    harness.host.do(core.learn_measurement(UUID(int=number), Measurement(Loudness(-16.0), None, *sound), now_ns=now_ns))


def armed(harness: SessionHarness) -> Timeline:
    found = harness.host.snapshot().then
    assert found is not None
    return found


def end_ns(timeline: Timeline) -> int:
    return timeline.session_ns_at(60 * RATE)


def test_the_next_song_begins_before_the_end_on_all_machines() -> None:
    harness, peers = fading()
    first, second = line(harness), armed(harness)
    assert second.start_session_ns == end_ns(first) - 4 * SECOND and second.crossfade_ns == 4 * SECOND
    for node in (harness.host, *peers):
        assert node.following is not None and node.following.timeline is not None
        assert node.following.timeline.fade_out == FadeOut(second.start_session_ns, 4 * SECOND)
        assert node.following.then == second
    harness.run((second.start_session_ns - harness.now_ns) / SECOND + 0.5)
    assert line(harness) == second and all_follow_the_same(harness, peers)
    for node in (harness.host, *peers):
        assert [event.session_ns for event in node.events("track_ended")] == [second.start_session_ns]
        assert node.events("playing")[-1].session_ns == second.start_session_ns
    harness.run(60)
    assert all_follow_the_same(harness, peers) and len(harness.host.events("playing")) == 3


def test_the_last_song_plays_to_its_end() -> None:
    harness, peers = fading()
    harness.command(Next(), Next())
    harness.run(1)
    last = line(harness)
    assert last.file_id == UUID(int=3) and harness.host.snapshot().then is None
    harness.run(60)
    for node in (harness.host, *peers):
        assert node.events("track_ended")[-1].session_ns == end_ns(last)


def test_a_song_that_comes_late_gets_a_shorter_crossfade() -> None:
    harness, peers = ready()
    harness.command(SetTransitions(Transitions(12.0)), Play())
    harness.run(55)
    first = line(harness)
    harness.command(Add(a_track(2)))
    harness.run(1)
    second = line(harness)
    assert second.file_id == UUID(int=2) and 4 * SECOND < second.crossfade_ns < 6 * SECOND
    assert second.start_session_ns + second.crossfade_ns == end_ns(first)
    assert all_follow_the_same(harness, peers)


def test_a_seek_to_the_end_shortens_the_crossfade() -> None:
    harness, peers = fading()
    harness.command(Seek(59.0))
    harness.run(0.1)
    second = armed(harness)
    assert second.crossfade_ns == SECOND and second.start_session_ns == end_ns(line(harness)) - SECOND
    assert all_follow_the_same(harness, peers)


@pytest.mark.parametrize("crossfade_s", [0.0, 2.0, 12.0])
def test_a_change_of_the_crossfade_reaches_a_song_that_is_armed(crossfade_s: float) -> None:
    harness, peers = fading()
    harness.command(SetTransitions(Transitions(crossfade_s)))
    harness.run(0.5)
    assert armed(harness).crossfade_ns == crossfade_s * SECOND
    assert armed(harness).start_session_ns == end_ns(line(harness)) - round(crossfade_s * SECOND)
    assert all_follow_the_same(harness, peers)
    assert harness.host.snapshot().transitions == Transitions(crossfade_s)


def test_a_change_that_comes_too_late_is_for_the_songs_behind() -> None:
    harness, peers = fading()
    second = armed(harness)
    harness.run((second.start_session_ns - harness.now_ns) / SECOND - 0.05)
    harness.command(SetTransitions(Transitions()))
    harness.run(1)
    assert line(harness) == second and armed(harness).crossfade_ns == 0
    assert all_follow_the_same(harness, peers)


def test_another_next_song_takes_the_crossfade_over_and_none_takes_it_back() -> None:
    harness, peers = fading()
    harness.command(Remove(UUID(int=2)))
    harness.run(0.5)
    assert armed(harness).file_id == UUID(int=3) and armed(harness).crossfade_ns == 4 * SECOND
    harness.command(Remove(UUID(int=3)))
    harness.run(0.5)
    assert harness.host.following is not None and harness.host.following.timeline == line(harness)
    assert all_follow_the_same(harness, peers)


def test_a_pause_in_a_crossfade_pauses_the_song_that_fades_in() -> None:
    harness, peers = fading()
    second = armed(harness)
    harness.run((second.start_session_ns - harness.now_ns) / SECOND + 1)
    harness.command(Pause())
    harness.run(0.5)
    paused = line(harness)
    assert paused == second.stopped_at(paused.stop_session_ns or 0)
    assert all_follow_the_same(harness, peers)


def test_a_stop_ends_a_crossfade() -> None:
    harness, peers = fading()
    harness.run((armed(harness).start_session_ns - harness.now_ns) / SECOND + 1)
    harness.command(Stop())
    harness.run(0.5)
    assert all_follow_the_same(harness, peers) and harness.host.snapshot().timeline is None


def test_a_newcomer_in_a_crossfade_follows_the_song_that_fades_in() -> None:
    harness, peers = fading()
    harness.run((armed(harness).start_session_ns - harness.now_ns) / SECOND + 0.5)
    peers.append(harness.join("Cleo"))
    harness.run(2)
    assert all_follow_the_same(harness, peers)
    assert peers[-1].following is not None and peers[-1].following.timeline == line(harness).into(armed(harness))


def test_a_peer_without_the_next_song_fades_out_with_the_others() -> None:
    harness, peers = fading()
    late = harness.join("Cleo")
    late.slow_files = {UUID(int=2), UUID(int=3)}
    harness.run(2)
    first, second = line(harness), armed(harness)
    assert late.following is not None and late.following.timeline == first.into(second) and late.following.then is None
    harness.run((second.start_session_ns - harness.now_ns) / SECOND + 1)
    assert late.following.timeline == first.into(second)
    assert all_follow_the_same(harness, peers)


def test_silence_is_skipped_as_soon_as_it_is_known() -> None:
    harness, peers = fading(0.0, skip_silence=True)
    measure(harness, 1, (0, 50 * RATE))
    measure(harness, 2, (3 * RATE, 60 * RATE))
    harness.run(0.5)
    second = armed(harness)
    assert second.anchor_frame == 3 * RATE - round(0.02 * RATE)
    last_ns = line(harness).session_ns_at(50 * RATE + round(0.2 * RATE))
    assert second.start_session_ns == last_ns - SHORTEST_NS and second.crossfade_ns == SHORTEST_NS
    assert all_follow_the_same(harness, peers)


def test_a_song_that_is_started_begins_with_its_sound() -> None:
    harness, peers = ready()
    harness.command(SetTransitions(Transitions(skip_silence=True)))
    measure(harness, 1, (2 * RATE, 60 * RATE))
    harness.command(Play())
    harness.run(0.5)
    assert line(harness).anchor_frame == 2 * RATE - round(0.02 * RATE)
    assert all_follow_the_same(harness, peers)


def test_previous_counts_from_the_beginning_of_the_sound() -> None:
    harness, peers = fading(0.0, skip_silence=True)
    for number in (1, 2):
        measure(harness, number, (10 * RATE, 60 * RATE))
    harness.command(Play(UUID(int=2)))
    harness.run(5)
    begin_frame = 10 * RATE - round(0.02 * RATE)
    harness.command(Previous())
    harness.run(0.5)
    assert (line(harness).file_id, line(harness).anchor_frame) == (UUID(int=2), begin_frame)
    harness.command(Previous())
    harness.run(0.5)
    assert (line(harness).file_id, line(harness).anchor_frame) == (UUID(int=1), begin_frame)
    assert all_follow_the_same(harness, peers)


def test_a_seek_into_the_silence_at_the_end_goes_on_at_once() -> None:
    harness, peers = fading(0.0, skip_silence=True)
    measure(harness, 1, (0, 40 * RATE))
    harness.command(Seek(50.0))
    harness.run(0.1)
    sought, second = line(harness), armed(harness)
    assert second.start_session_ns <= sought.start_session_ns + 100 * MS
    harness.run(2)
    assert line(harness) == second and all_follow_the_same(harness, peers)


def test_an_album_without_gaps_is_not_faded() -> None:
    harness, peers = fading()
    for number, sound in ALBUM_WITHOUT_GAPS.items():
        measure(harness, number, sound, "Live")
    harness.run(0.5)
    assert armed(harness) == Timeline(UUID(int=2), RATE, 0, end_ns(line(harness)))
    assert all_follow_the_same(harness, peers)
