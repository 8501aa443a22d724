"""Play control: all nodes follow one timeline, also when it changes."""

from __future__ import annotations

import math

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import (
    Add,
    Autoplay,
    HostCommand,
    Next,
    Pause,
    Play,
    Remove,
    Resume,
    Seek,
    Stop,
)
from tests.support.session_harness import ReportedOutput, SessionHarness, all_follow_the_same, error, line, ready
from tests.support.simulation import MS, SECOND, a_track

RATE = 44100


# -- one timeline ----------------------------------------------------------------------------------------------------


def test_play_starts_everybody_at_one_instant() -> None:
    harness, peers = ready()
    harness.command(Play())
    told_at_ns = harness.now_ns
    harness.run(0.01)
    assert all_follow_the_same(harness, peers)
    assert line(harness).anchor_frame == 0
    assert harness.now_ns < line(harness).start_session_ns <= told_at_ns + 150 * MS + 10 * MS
    for node in (harness.host, *peers):
        (playing,) = node.events("playing")
        assert playing.session_ns == line(harness).start_session_ns


def test_a_host_without_peers_plays() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Play())
    assert harness.host.following == e.Follow(line(harness), None)


def test_the_start_leaves_time_for_the_slowest_machine() -> None:
    harness, peers = ready("Ana", "Ben", "Cleo")
    peers[1].output.latency_ns = 900 * MS
    peers[2].delay_ns = 30 * MS
    harness.run(2)
    harness.command(Play())
    start_ns = line(harness).start_session_ns
    assert start_ns - harness.now_ns >= 900 * MS + 60 * MS
    assert start_ns - harness.now_ns >= 10 * MS + 3 * 60 * MS + 350 * MS
    (order,) = [sent.conns for sent in harness.host.of(e.Broadcast) if isinstance(sent.message, m.PlayCommand)]
    assert order == (peers[1].conn, peers[2].conn, peers[0].conn)


def test_the_start_leaves_time_for_the_hosts_own_output() -> None:
    harness, _ = ready()
    harness.host.output.latency_ns = 2 * SECOND
    harness.run(0.2)
    harness.command(Play())
    assert line(harness).start_session_ns >= harness.now_ns + 2 * SECOND


def test_no_peer_can_delay_the_start_for_long() -> None:
    harness, peers = ready()
    peers[0].output.latency_ns = 10**18
    harness.run(2)
    harness.command(Play())
    assert line(harness).start_session_ns < harness.now_ns + 10 * SECOND


def test_pause_silences_everybody_at_one_instant_and_resume_goes_on_at_that_frame() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    harness.command(Pause())
    harness.run(0.01)
    assert all_follow_the_same(harness, peers)
    paused = line(harness)
    assert paused.stop_session_ns is not None and paused.stop_session_ns > harness.now_ns
    frame = paused.frame_at(paused.stop_session_ns)
    harness.run(30)
    harness.command(Resume())
    harness.run(0.01)
    assert all_follow_the_same(harness, peers)
    assert (line(harness).anchor_frame, line(harness).stop_session_ns) == (frame, None)
    assert line(harness).start_session_ns > harness.now_ns
    for node in (harness.host, *peers):
        for name in ("paused", "resumed"):
            assert node.events(name)[0].fields["position_s"] == round(frame / RATE, 6)


def test_play_resumes_a_paused_track() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    harness.command(Pause())
    harness.run(1)
    harness.command(Play())
    harness.run(0.01)
    assert line(harness).anchor_frame > 9 * RATE
    assert all_follow_the_same(harness, peers)


def test_a_resume_never_overtakes_the_pause_before_it() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    peers[0].output.latency_ns = 800 * MS
    harness.run(1)
    harness.command(Pause())
    stop_ns = line(harness).stop_session_ns
    peers[0].leave()
    harness.run(0.1)
    harness.command(Resume())
    assert stop_ns is not None and line(harness).start_session_ns >= stop_ns


def test_seek_lands_on_one_frame_everywhere() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    harness.command(Seek(30.5))
    harness.run(0.01)
    assert all_follow_the_same(harness, peers)
    assert line(harness).anchor_frame == round(30.5 * RATE)
    assert line(harness).start_session_ns > harness.now_ns
    assert peers[0].events("seeked")[0].fields["position_s"] == 30.5


@pytest.mark.parametrize(("asked", "frame"), [(-5.0, 0), (1e12, 60 * RATE - 1)])
def test_a_seek_stays_in_the_track(asked: float, frame: int) -> None:
    harness, _ = ready()
    harness.command(Play(), Seek(asked))
    assert line(harness).anchor_frame == frame


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf])
def test_a_seek_to_no_number_is_refused(nonsense: float) -> None:
    harness, _ = ready()
    harness.command(Play())
    before = line(harness)
    harness.command(Seek(nonsense))
    assert error(harness.host) == "There is no such place in the track."
    assert line(harness) == before


def test_a_seek_in_a_paused_track_stays_paused_there() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    harness.command(Pause())
    harness.run(1)
    harness.command(Seek(40))
    harness.run(1)
    assert all_follow_the_same(harness, peers)
    paused = line(harness)
    assert paused.stop_session_ns == paused.start_session_ns
    harness.command(Resume())
    assert line(harness).anchor_frame == 40 * RATE


def test_stop_silences_everybody_at_one_instant_and_play_begins_again() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    before = line(harness)
    harness.command(Stop())
    harness.run(0.01)
    assert harness.host.snapshot().timeline is None
    follow = harness.host.following
    assert follow is not None and follow.timeline is not None
    assert follow.timeline == before.stopped_at(follow.timeline.stop_session_ns or 0)
    assert follow.timeline.stop_session_ns is not None and follow.timeline.stop_session_ns > harness.now_ns
    assert all_follow_the_same(harness, peers)
    harness.run(5)
    harness.command(Play())
    harness.run(0.01)
    assert line(harness).anchor_frame == 0
    assert all_follow_the_same(harness, peers)


def test_stop_of_a_paused_track() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(1)
    harness.command(Pause(), Stop())
    harness.run(1)
    assert harness.host.snapshot().timeline is None
    assert peers[0].snapshot().timeline is None
    assert all_follow_the_same(harness, peers)


@pytest.mark.parametrize("command", [Pause(), Stop(), Seek(1), Next()])
def test_playback_commands_are_refused_while_nothing_plays(command: HostCommand) -> None:
    harness, _ = ready()
    harness.command(command)
    assert error(harness.host) == "Nothing is playing."


def test_commands_that_do_not_fit_the_state_are_refused() -> None:
    harness = SessionHarness()
    harness.command(Play())
    assert error(harness.host) == "There is nothing to play."
    harness.command(Add(a_track()), Play(), Play())
    assert error(harness.host) == "It is playing already."
    harness.command(Resume())
    assert error(harness.host) == "Nothing is paused."
    harness.command(Next())
    assert error(harness.host) == "There is no next track."


# -- peers that are not ready -----------------------------------------------------------------------------------------


def test_play_waits_for_everybodys_file() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ben.transfer_ns = 5000 * MS
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(1)
    harness.command(Play())
    assert error(harness.host) == "Waiting for all peers to receive the file."
    assert harness.host.events("error")[-1].fields["peers"] == ["Ben"]
    assert harness.host.snapshot().timeline is None
    harness.run(5)
    harness.command(Play())
    harness.run(0.01)
    assert all_follow_the_same(harness, [ana, ben])


def test_a_newcomer_hears_the_song_as_soon_as_it_has_the_file() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    late = harness.join("Late")
    late.transfer_ns = 2000 * MS
    harness.run(1)
    assert late.following is None
    assert all_follow_the_same(harness, peers)
    harness.run(1.1)
    assert all_follow_the_same(harness, [*peers, late])
    assert late.events("playing")[0].session_ns == line(harness).start_session_ns
    harness.command(Seek(3))
    harness.run(0.01)
    assert all_follow_the_same(harness, [*peers, late])


def test_a_newcomer_to_a_paused_song_is_paused_at_the_same_place() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(10)
    harness.command(Pause())
    harness.run(5)
    late = harness.join("Late")
    harness.run(1)
    assert all_follow_the_same(harness, [*peers, late])
    assert not late.events("playing")
    harness.command(Resume())
    harness.run(0.01)
    assert all_follow_the_same(harness, [*peers, late])


def test_a_newcomer_knows_the_armed_track_too() -> None:
    harness, peers = ready(tracks=2)
    harness.command(Play())
    harness.run(10)
    late = harness.join("Late")
    harness.run(1)
    assert late.following is not None and late.following.then is not None
    assert all_follow_the_same(harness, [*peers, late])


def test_a_song_started_without_a_peer_silences_what_that_peer_played_before() -> None:
    harness, (ana, ben) = ready()
    harness.command(Play())
    harness.run(1)
    ana.fetch_results = iter([False, False, False])
    harness.command(Add(a_track(2)))
    harness.run(10)
    harness.command(Next())
    harness.run(1)
    follow = ana.following
    assert follow is not None and follow.timeline is not None
    assert follow.timeline.file_id.int == 1
    assert follow.timeline.stop_session_ns == line(harness).start_session_ns
    assert ben.following == harness.host.following


def test_a_peer_with_a_bad_clock_is_warned_about() -> None:
    harness = SessionHarness()
    harness.join("Ana", output=ReportedOutput(clock_usable=False))
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(1)
    harness.command(Play())
    assert harness.host.events("warning")[0].fields["message"] == "Not yet in time with the host: Ana."
    assert line(harness).start_session_ns >= harness.now_ns + 500 * MS


# -- from track to track ---------------------------------------------------------------------------------------------


def test_the_next_track_is_armed_where_the_current_one_ends() -> None:
    harness, peers = ready(tracks=2)
    harness.command(Play())
    harness.run(0.01)
    then = harness.host.snapshot().then
    assert then is not None
    assert then.start_session_ns == line(harness).session_ns_at(a_track(1).frames)
    assert then.file_id == a_track(2).file_id
    assert harness.host.following == e.Follow(line(harness), then)
    assert all_follow_the_same(harness, peers)


def test_the_armed_track_becomes_the_current_one_without_a_gap() -> None:
    harness, peers = ready(tracks=3)
    harness.command(Play())
    harness.run(1)
    end_ns = line(harness).session_ns_at(a_track(1).frames)
    harness.run(60)
    assert line(harness).file_id == a_track(2).file_id
    assert line(harness).start_session_ns == end_ns
    assert harness.host.snapshot().then is not None
    assert all_follow_the_same(harness, peers)
    for node in (harness.host, *peers):
        assert node.events("track_ended")[0].session_ns == end_ns
        assert [event.session_ns for event in node.events("playing")][1] == end_ns
    assert [item.status for item in harness.host.snapshot().queue] == [
        ItemStatus.PLAYED, ItemStatus.PLAYING, ItemStatus.READY,
    ]  # fmt: skip


def test_after_the_last_track_play_starts_with_the_first() -> None:
    harness, peers = ready(tracks=2, seconds=5)
    harness.command(Play())
    harness.run(12)
    assert harness.host.snapshot().timeline is None
    assert peers[0].snapshot().timeline is None
    assert len(peers[0].events("track_ended")) == 2
    assert {item.status for item in harness.host.snapshot().queue} == {ItemStatus.PLAYED}
    harness.command(Play())
    assert line(harness).file_id == a_track(1).file_id
    harness.command(Stop())
    assert [item.status for item in harness.host.snapshot().queue] == [ItemStatus.READY, ItemStatus.PLAYED]


def test_a_track_that_is_added_late_is_armed_too() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(5)
    harness.command(Add(a_track(2)))
    harness.run(1)
    assert harness.host.snapshot().then is not None
    assert all_follow_the_same(harness, peers)


def test_a_next_track_that_comes_too_late_starts_as_soon_as_everybody_has_it() -> None:
    harness, peers = ready(seconds=5)
    peers[0].transfer_ns = 10 * SECOND
    harness.command(Play())
    harness.run(1)
    harness.command(Add(a_track(2)))
    harness.run(8)
    assert harness.host.snapshot().timeline is None
    harness.run(5)
    assert line(harness).file_id == a_track(2).file_id
    assert all_follow_the_same(harness, peers)


def test_a_next_track_that_comes_just_before_the_end_is_not_armed_in_a_hurry() -> None:
    harness, peers = ready(seconds=5)
    harness.command(Play())
    end_ns = line(harness).session_ns_at(a_track(1, 5).frames)
    harness.run((end_ns - 100 * MS - harness.now_ns) / SECOND)
    harness.command(Add(a_track(2)))
    harness.run(0.3)
    assert line(harness).file_id == a_track(2).file_id
    assert line(harness).start_session_ns >= end_ns + 100 * MS
    assert all_follow_the_same(harness, peers)


def test_stop_while_waiting_for_the_next_track_stays_stopped() -> None:
    harness, peers = ready(seconds=5)
    peers[0].transfer_ns = 10 * SECOND
    harness.command(Play())
    harness.run(1)
    harness.command(Add(a_track(2)))
    harness.run(8)
    harness.command(Stop())
    harness.run(10)
    assert harness.host.snapshot().timeline is None


def test_next_leaves_the_current_track_at_once() -> None:
    harness, peers = ready(tracks=3)
    harness.command(Play())
    harness.run(5)
    harness.command(Next())
    harness.run(0.01)
    assert line(harness).file_id == a_track(2).file_id
    assert line(harness).start_session_ns < harness.now_ns + 200 * MS
    assert all_follow_the_same(harness, peers)
    assert harness.host.following is not None and harness.host.following.then is not None


def test_next_waits_for_everybodys_file_while_the_current_track_plays_on() -> None:
    harness, peers = ready()
    peers[0].transfer_ns = 10 * SECOND
    harness.command(Play(), Add(a_track(2)))
    harness.run(1)
    before = line(harness)
    harness.command(Next())
    told = harness.host.events("warning")[-1].fields
    assert told["message"] == "song 2.mp3 starts as soon as it is there. Waiting for Ana."
    assert (told["file_name"], told["peers"]) == ("song 2.mp3", ["Ana"])
    waiting_for = harness.host.snapshot().waiting_for
    assert waiting_for is not None and waiting_for.file_name == "song 2.mp3"
    harness.run(8)
    assert line(harness) == before and all_follow_the_same(harness, peers)
    harness.run(2)
    assert line(harness).file_id == a_track(2).file_id and harness.host.snapshot().waiting_for is None
    assert all_follow_the_same(harness, peers)


def test_a_pause_disarms_and_a_resume_arms_again() -> None:
    harness, peers = ready(tracks=2)
    harness.command(Play())
    harness.run(5)
    harness.command(Pause())
    harness.run(1)
    assert harness.host.following is not None and harness.host.following.then is None
    assert all_follow_the_same(harness, peers)
    harness.command(Resume())
    harness.run(0.01)
    then = harness.host.snapshot().then
    assert then is not None and then.start_session_ns == line(harness).session_ns_at(a_track(1).frames)
    assert all_follow_the_same(harness, peers)


@pytest.mark.parametrize("before_end_ms", [0, 1, 20, 60, 109, 111, 130, 200])
@pytest.mark.parametrize("command", [Pause(), Stop(), Next(), Seek(3)], ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("delay_ms", [0.2, 40])
def test_a_command_across_the_seam_means_the_same_to_everybody(
    before_end_ms: float, command: HostCommand, delay_ms: float
) -> None:
    harness, peers = ready(tracks=3, seconds=8)
    peers[1].delay_ns = round(delay_ms * MS)
    harness.run(2)
    harness.command(Play())
    end_ns = line(harness).session_ns_at(a_track(1, 8).frames)
    harness.run((end_ns - before_end_ms * MS - harness.now_ns) / SECOND)
    harness.command(command)
    harness.run(2)
    assert all_follow_the_same(harness, peers)
    assert not harness.host.events("error")
    for peer in peers:
        assert peer.snapshot().timeline == harness.host.snapshot().timeline
    harness.run(5)
    harness.command(Resume() if isinstance(command, Pause) else Play() if isinstance(command, Stop) else Seek(1))
    harness.run(1)
    assert all_follow_the_same(harness, peers)


# -- autoplay --------------------------------------------------------------------------------------------------------


def playing_after_s(harness: SessionHarness, limit_s: float = 30) -> float:
    begun_ns = harness.now_ns
    while harness.host.snapshot().timeline is None and harness.now_ns < begun_ns + limit_s * SECOND:
        harness.run(0.05)
    return (harness.now_ns - begun_ns) / SECOND


def test_autoplay_waits_for_the_given_number_of_peers_and_their_clocks() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(2))
    harness.join("Ana")
    harness.run(5)
    assert harness.host.snapshot().timeline is None
    harness.join("Ben")
    assert 1.0 <= playing_after_s(harness) < 1.8
    assert not harness.host.events("warning")


def test_autoplay_without_peers_waits_for_the_hosts_own_card() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(0))
    assert 1.0 <= playing_after_s(harness) < 1.5


def test_autoplay_gives_a_fair_clock_some_seconds() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(1))
    harness.join("Ana", output=ReportedOutput(uncertainty_ns=400_000))
    assert 4.0 <= playing_after_s(harness) < 4.5
    assert not harness.host.events("warning")


def test_autoplay_starts_without_a_good_clock_after_fifteen_seconds_and_warns() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(1))
    harness.join("Ana", output=ReportedOutput(uncertainty_ns=50 * MS))
    assert 15.0 <= playing_after_s(harness) < 15.5
    assert harness.host.events("warning")[0].fields["message"] == "Not yet in time with the host: Ana."


def test_autoplay_does_not_wait_for_the_output_of_a_peer_without_one() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(1))
    harness.join("Ana", output=ReportedOutput(device_name=None, dac_deviation_ns=10**12))
    assert 4.0 <= playing_after_s(harness) < 4.5


def test_autoplay_does_not_wait_for_an_output_of_unknown_delay() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(1))
    harness.join("Ana", output=ReportedOutput(timing="unknown", dac_uncertainty_ns=None))
    assert 1.0 <= playing_after_s(harness) < 1.5


def test_autoplay_waits_for_a_slow_file() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(1))
    ana = harness.join("Ana")
    ana.transfer_ns = 20 * SECOND
    assert 20.0 <= playing_after_s(harness) < 20.3
    harness.run(0.1)
    assert all_follow_the_same(harness, [ana])


def test_autoplay_happens_once() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()), Autoplay(0))
    playing_after_s(harness)
    harness.command(Stop())
    harness.run(30)
    assert harness.host.snapshot().timeline is None


def test_the_snapshot_has_the_upcoming_track_and_its_transfer_progress() -> None:
    harness = SessionHarness()
    assert harness.host.snapshot().upcoming is None
    ana = harness.join("Ana")
    harness.run(0.1)
    ana.transfer_ns = 10**15
    first, second = a_track(1), a_track(2)
    harness.command(Add(first), Add(second))
    assert harness.host.snapshot().upcoming == first.file_id
    harness.run(0.1)
    harness.host.call(harness.host.core.fetch_progress, 1, first.file_id, 400)
    (on_the_way, *_) = harness.host.snapshot().peers[0].files
    assert (on_the_way.done_bytes, on_the_way.size) == (400, first.size)
    for track in (first, second):
        ana.call(ana.core.file_ready, track.file_id)
    harness.run(0.1)
    harness.command(Play(second.file_id))
    assert harness.host.snapshot().upcoming == second.file_id
    harness.command(Stop())
    assert harness.host.snapshot().upcoming == second.file_id
    harness.command(Remove(second.file_id))
    assert harness.host.snapshot().upcoming == first.file_id
