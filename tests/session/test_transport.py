"""Playing together: one line on all machines, and how it changes."""

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
from tests.support.party import MS, SECOND, Output, Party, a_track, all_follow_the_same, error, line, ready

RATE = 44100


# -- one line --------------------------------------------------------------------------------------------------------


def test_play_starts_everybody_at_one_instant() -> None:
    party, guests = ready()
    party.say(Play())
    told_at_ns = party.now_ns
    party.run(0.01)
    assert all_follow_the_same(party, guests)
    assert line(party).anchor_frame == 0
    assert party.now_ns < line(party).start_session_ns <= told_at_ns + 150 * MS + 10 * MS
    for node in (party.host, *guests):
        (playing,) = node.events("playing")
        assert playing.session_ns == line(party).start_session_ns


def test_a_host_alone_plays_too() -> None:
    party = Party()
    party.say(Add(a_track()), Play())
    assert party.host.following == e.Follow(line(party), None)


def test_the_slowest_machine_has_time_enough() -> None:
    party, guests = ready("Ana", "Ben", "Cleo")
    guests[1].output.latency_ns = 900 * MS
    guests[2].delay_ns = 30 * MS
    party.run(2)
    party.say(Play())
    start_ns = line(party).start_session_ns
    assert start_ns - party.now_ns >= 900 * MS + 60 * MS
    assert start_ns - party.now_ns >= 10 * MS + 3 * 60 * MS + 350 * MS
    (order,) = [sent.conns for sent in party.host.of(e.Broadcast) if isinstance(sent.message, m.PlayCommand)]
    assert order == (guests[1].conn, guests[2].conn, guests[0].conn)


def test_the_hosts_own_card_may_be_the_slowest() -> None:
    party, _ = ready()
    party.host.output.latency_ns = 2 * SECOND
    party.run(0.2)
    party.say(Play())
    assert line(party).start_session_ns >= party.now_ns + 2 * SECOND


def test_no_peer_can_make_the_others_wait_for_long() -> None:
    party, guests = ready()
    guests[0].output.latency_ns = 10**18
    party.run(2)
    party.say(Play())
    assert line(party).start_session_ns < party.now_ns + 10 * SECOND


def test_pause_silences_everybody_at_one_instant_and_resume_goes_on_at_that_frame() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    party.say(Pause())
    party.run(0.01)
    assert all_follow_the_same(party, guests)
    paused = line(party)
    assert paused.stop_session_ns is not None and paused.stop_session_ns > party.now_ns
    frame = paused.frame_at(paused.stop_session_ns)
    party.run(30)
    party.say(Resume())
    party.run(0.01)
    assert all_follow_the_same(party, guests)
    assert (line(party).anchor_frame, line(party).stop_session_ns) == (frame, None)
    assert line(party).start_session_ns > party.now_ns
    for node in (party.host, *guests):
        for name in ("paused", "resumed"):
            assert node.events(name)[0].fields["position_s"] == round(frame / RATE, 6)


def test_play_goes_on_with_a_paused_track() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    party.say(Pause())
    party.run(1)
    party.say(Play())
    party.run(0.01)
    assert line(party).anchor_frame > 9 * RATE
    assert all_follow_the_same(party, guests)


def test_a_resume_never_overtakes_the_pause_before_it() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    guests[0].output.latency_ns = 800 * MS
    party.run(1)
    party.say(Pause())
    stop_ns = line(party).stop_session_ns
    party.leave(guests[0])
    party.run(0.1)
    party.say(Resume())
    assert stop_ns is not None and line(party).start_session_ns >= stop_ns


def test_seek_lands_on_one_frame_everywhere() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    party.say(Seek(30.5))
    party.run(0.01)
    assert all_follow_the_same(party, guests)
    assert line(party).anchor_frame == round(30.5 * RATE)
    assert line(party).start_session_ns > party.now_ns
    assert guests[0].events("seeked")[0].fields["position_s"] == 30.5


@pytest.mark.parametrize(("asked", "frame"), [(-5.0, 0), (1e12, 60 * RATE - 1)])
def test_a_seek_stays_in_the_track(asked: float, frame: int) -> None:
    party, _ = ready()
    party.say(Play(), Seek(asked))
    assert line(party).anchor_frame == frame


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf])
def test_a_seek_to_nowhere_is_refused(nonsense: float) -> None:
    party, _ = ready()
    party.say(Play())
    before = line(party)
    party.say(Seek(nonsense))
    assert error(party) == "There is no such place in the track."
    assert line(party) == before


def test_a_seek_in_a_paused_track_stays_paused_there() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    party.say(Pause())
    party.run(1)
    party.say(Seek(40))
    party.run(1)
    assert all_follow_the_same(party, guests)
    paused = line(party)
    assert paused.stop_session_ns == paused.start_session_ns
    party.say(Resume())
    assert line(party).anchor_frame == 40 * RATE


def test_stop_silences_everybody_at_one_instant_and_play_begins_again() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    before = line(party)
    party.say(Stop())
    party.run(0.01)
    assert party.machine.snapshot().timeline is None
    follow = party.host.following
    assert follow is not None and follow.timeline is not None
    assert follow.timeline == before.stopped_at(follow.timeline.stop_session_ns or 0)
    assert follow.timeline.stop_session_ns is not None and follow.timeline.stop_session_ns > party.now_ns
    assert all_follow_the_same(party, guests)
    party.run(5)
    party.say(Play())
    party.run(0.01)
    assert line(party).anchor_frame == 0
    assert all_follow_the_same(party, guests)


def test_stop_of_a_paused_track() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(1)
    party.say(Pause(), Stop())
    party.run(1)
    assert party.machine.snapshot().timeline is None
    assert guests[0].machine.snapshot().timeline is None
    assert all_follow_the_same(party, guests)


@pytest.mark.parametrize("command", [Pause(), Stop(), Seek(1), Next()])
def test_nothing_to_do_says_so(command: HostCommand) -> None:
    party, _ = ready()
    party.say(command)
    assert error(party) == "Nothing is playing."


def test_other_refusals() -> None:
    party = Party()
    party.say(Play())
    assert error(party) == "There is nothing to play."
    party.say(Add(a_track()), Play(), Play())
    assert error(party) == "It is playing already."
    party.say(Resume())
    assert error(party) == "Nothing is paused."
    party.say(Next())
    assert error(party) == "There is no next track."


# -- who is not ready ------------------------------------------------------------------------------------------------


def test_play_waits_for_everybodys_file() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    ben.fetch_ns = 5000 * MS
    party.run(0.1)
    party.say(Add(a_track()))
    party.run(1)
    party.say(Play())
    assert error(party) == "Waiting for all peers to receive the file."
    assert party.host.events("error")[-1].fields["peers"] == ["Ben"]
    assert party.machine.snapshot().timeline is None
    party.run(5)
    party.say(Play())
    party.run(0.01)
    assert all_follow_the_same(party, [ana, ben])


def test_a_newcomer_hears_the_song_as_soon_as_it_has_the_file() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    late = party.invite("Late")
    late.fetch_ns = 2000 * MS
    party.run(1)
    assert late.following is None
    assert all_follow_the_same(party, guests)
    party.run(1.1)
    assert all_follow_the_same(party, [*guests, late])
    assert late.events("playing")[0].session_ns == line(party).start_session_ns
    party.say(Seek(3))
    party.run(0.01)
    assert all_follow_the_same(party, [*guests, late])


def test_a_newcomer_to_a_paused_song_stands_where_the_others_do() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(10)
    party.say(Pause())
    party.run(5)
    late = party.invite("Late")
    party.run(1)
    assert all_follow_the_same(party, [*guests, late])
    assert not late.events("playing")
    party.say(Resume())
    party.run(0.01)
    assert all_follow_the_same(party, [*guests, late])


def test_a_newcomer_knows_the_armed_track_too() -> None:
    party, guests = ready(tracks=2)
    party.say(Play())
    party.run(10)
    late = party.invite("Late")
    party.run(1)
    assert late.following is not None and late.following.then is not None
    assert all_follow_the_same(party, [*guests, late])


def test_a_song_started_without_a_peer_silences_what_that_peer_played_before() -> None:
    party, (ana, ben) = ready()
    party.say(Play())
    party.run(1)
    ana.fetch_results = iter([False, False, False])
    party.say(Add(a_track(2)))
    party.run(10)
    party.say(Next())
    party.run(1)
    follow = ana.following
    assert follow is not None and follow.timeline is not None
    assert follow.timeline.file_id.int == 1
    assert follow.timeline.stop_session_ns == line(party).start_session_ns
    assert ben.following == party.host.following


def test_a_peer_with_a_bad_clock_is_warned_about() -> None:
    party = Party()
    party.invite("Ana", output=Output(clock_usable=False))
    party.run(0.1)
    party.say(Add(a_track()))
    party.run(1)
    party.say(Play())
    assert party.host.events("warning")[0].fields["message"] == "Not yet in time with the host: Ana."
    assert line(party).start_session_ns >= party.now_ns + 500 * MS


# -- from track to track ---------------------------------------------------------------------------------------------


def test_the_next_track_is_armed_where_the_current_one_ends() -> None:
    party, guests = ready(tracks=2)
    party.say(Play())
    party.run(0.01)
    then = party.machine.snapshot().then
    assert then is not None
    assert then.start_session_ns == line(party).session_ns_at(a_track(1).frames)
    assert then.file_id == a_track(2).file_id
    assert party.host.following == e.Follow(line(party), then)
    assert all_follow_the_same(party, guests)


def test_the_armed_track_becomes_the_current_one_without_a_gap() -> None:
    party, guests = ready(tracks=3)
    party.say(Play())
    party.run(1)
    end_ns = line(party).session_ns_at(a_track(1).frames)
    party.run(60)
    assert line(party).file_id == a_track(2).file_id
    assert line(party).start_session_ns == end_ns
    assert party.machine.snapshot().then is not None
    assert all_follow_the_same(party, guests)
    for node in (party.host, *guests):
        assert node.events("track_ended")[0].session_ns == end_ns
        assert [event.session_ns for event in node.events("playing")][1] == end_ns
    assert [item.status for item in party.machine.snapshot().queue] == [
        ItemStatus.PLAYED, ItemStatus.PLAYING, ItemStatus.READY,
    ]  # fmt: skip


def test_after_the_last_track_there_is_nothing_and_play_begins_anew() -> None:
    party, guests = ready(tracks=2, seconds=5)
    party.say(Play())
    party.run(12)
    assert party.machine.snapshot().timeline is None
    assert guests[0].machine.snapshot().timeline is None
    assert len(guests[0].events("track_ended")) == 2
    assert {item.status for item in party.machine.snapshot().queue} == {ItemStatus.PLAYED}
    party.say(Play())
    assert line(party).file_id == a_track(1).file_id
    party.say(Stop())
    assert [item.status for item in party.machine.snapshot().queue] == [ItemStatus.READY, ItemStatus.PLAYED]


def test_a_track_that_is_added_late_is_armed_too() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(5)
    party.say(Add(a_track(2)))
    party.run(1)
    assert party.machine.snapshot().then is not None
    assert all_follow_the_same(party, guests)


def test_a_next_track_that_comes_too_late_starts_as_soon_as_everybody_has_it() -> None:
    party, guests = ready(seconds=5)
    guests[0].fetch_ns = 10 * SECOND
    party.say(Play())
    party.run(1)
    party.say(Add(a_track(2)))
    party.run(8)
    assert party.machine.snapshot().timeline is None
    party.run(5)
    assert line(party).file_id == a_track(2).file_id
    assert all_follow_the_same(party, guests)


def test_a_next_track_that_comes_just_before_the_end_is_not_armed_in_a_hurry() -> None:
    party, guests = ready(seconds=5)
    party.say(Play())
    end_ns = line(party).session_ns_at(a_track(1, 5).frames)
    party.run((end_ns - 100 * MS - party.now_ns) / SECOND)
    party.say(Add(a_track(2)))
    party.run(0.3)
    assert line(party).file_id == a_track(2).file_id
    assert line(party).start_session_ns >= end_ns + 100 * MS
    assert all_follow_the_same(party, guests)


def test_stop_while_waiting_for_the_next_track_stays_stopped() -> None:
    party, guests = ready(seconds=5)
    guests[0].fetch_ns = 10 * SECOND
    party.say(Play())
    party.run(1)
    party.say(Add(a_track(2)))
    party.run(8)
    party.say(Stop())
    party.run(10)
    assert party.machine.snapshot().timeline is None


def test_next_leaves_the_current_track_at_once() -> None:
    party, guests = ready(tracks=3)
    party.say(Play())
    party.run(5)
    party.say(Next())
    party.run(0.01)
    assert line(party).file_id == a_track(2).file_id
    assert line(party).start_session_ns < party.now_ns + 200 * MS
    assert all_follow_the_same(party, guests)
    assert party.host.following is not None and party.host.following.then is not None


def test_next_waits_for_everybodys_file_while_the_current_track_plays_on() -> None:
    party, guests = ready()
    guests[0].fetch_ns = 10 * SECOND
    party.say(Play(), Add(a_track(2)))
    party.run(1)
    before = line(party)
    party.say(Next())
    told = party.host.events("warning")[-1].fields
    assert told["message"] == "song 2.mp3 starts as soon as it is there. Waiting for Ana."
    assert (told["file_name"], told["peers"]) == ("song 2.mp3", ["Ana"])
    waiting_for = party.machine.snapshot().waiting_for
    assert waiting_for is not None and waiting_for.file_name == "song 2.mp3"
    party.run(8)
    assert line(party) == before and all_follow_the_same(party, guests)
    party.run(2)
    assert line(party).file_id == a_track(2).file_id and party.machine.snapshot().waiting_for is None
    assert all_follow_the_same(party, guests)


def test_a_pause_disarms_and_a_resume_arms_again() -> None:
    party, guests = ready(tracks=2)
    party.say(Play())
    party.run(5)
    party.say(Pause())
    party.run(1)
    assert party.host.following is not None and party.host.following.then is None
    assert all_follow_the_same(party, guests)
    party.say(Resume())
    party.run(0.01)
    then = party.machine.snapshot().then
    assert then is not None and then.start_session_ns == line(party).session_ns_at(a_track(1).frames)
    assert all_follow_the_same(party, guests)


@pytest.mark.parametrize("before_end_ms", [0, 1, 20, 60, 109, 111, 130, 200])
@pytest.mark.parametrize("command", [Pause(), Stop(), Next(), Seek(3)], ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("delay_ms", [0.2, 40])
def test_a_command_across_the_seam_means_the_same_to_everybody(
    before_end_ms: float, command: HostCommand, delay_ms: float
) -> None:
    party, guests = ready(tracks=3, seconds=8)
    guests[1].delay_ns = round(delay_ms * MS)
    party.run(2)
    party.say(Play())
    end_ns = line(party).session_ns_at(a_track(1, 8).frames)
    party.run((end_ns - before_end_ms * MS - party.now_ns) / SECOND)
    party.say(command)
    party.run(2)
    assert all_follow_the_same(party, guests)
    assert not party.host.events("error")
    for guest in guests:
        assert guest.machine.snapshot().timeline == party.machine.snapshot().timeline
    party.run(5)
    party.say(Resume() if isinstance(command, Pause) else Play() if isinstance(command, Stop) else Seek(1))
    party.run(1)
    assert all_follow_the_same(party, guests)


# -- autoplay --------------------------------------------------------------------------------------------------------


def playing_after_s(party: Party, limit_s: float = 30) -> float:
    begun_ns = party.now_ns
    while party.machine.snapshot().timeline is None and party.now_ns < begun_ns + limit_s * SECOND:
        party.run(0.05)
    return (party.now_ns - begun_ns) / SECOND


def test_autoplay_waits_for_so_many_peers_and_their_clocks() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(2))
    party.invite("Ana")
    party.run(5)
    assert party.machine.snapshot().timeline is None
    party.invite("Ben")
    assert 1.0 <= playing_after_s(party) < 1.8
    assert not party.host.events("warning")


def test_autoplay_without_peers_waits_for_the_hosts_own_card() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(0))
    assert 1.0 <= playing_after_s(party) < 1.5


def test_autoplay_gives_a_fair_clock_some_seconds() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(1))
    party.invite("Ana", output=Output(uncertainty_ns=400_000))
    assert 4.0 <= playing_after_s(party) < 4.5
    assert not party.host.events("warning")


def test_autoplay_starts_in_the_end_and_warns() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(1))
    party.invite("Ana", output=Output(uncertainty_ns=50 * MS))
    assert 15.0 <= playing_after_s(party) < 15.5
    assert party.host.events("warning")[0].fields["message"] == "Not yet in time with the host: Ana."


def test_autoplay_does_not_wait_for_a_card_that_does_not_exist() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(1))
    party.invite("Ana", output=Output(device_name=None, dac_deviation_ns=10**12))
    assert 4.0 <= playing_after_s(party) < 4.5


def test_autoplay_does_not_wait_for_an_output_that_does_not_tell_its_delay() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(1))
    party.invite("Ana", output=Output(timing="unknown", dac_uncertainty_ns=None))
    assert 1.0 <= playing_after_s(party) < 1.5


def test_autoplay_waits_for_a_slow_file() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(1))
    ana = party.invite("Ana")
    ana.fetch_ns = 20 * SECOND
    assert 20.0 <= playing_after_s(party) < 20.3
    party.run(0.1)
    assert all_follow_the_same(party, [ana])


def test_autoplay_happens_once() -> None:
    party = Party()
    party.say(Add(a_track()), Autoplay(0))
    playing_after_s(party)
    party.say(Stop())
    party.run(30)
    assert party.machine.snapshot().timeline is None


def test_people_see_what_play_would_start_and_how_much_of_it_is_where() -> None:
    party = Party()
    assert party.machine.snapshot().upcoming is None
    ana = party.invite("Ana")
    party.run(0.1)
    ana.fetch_ns = 10**15
    first, second = a_track(1), a_track(2)
    party.say(Add(first), Add(second))
    assert party.machine.snapshot().upcoming == first.file_id
    party.run(0.1)
    party.on_host(party.machine.fetch_progress, 1, first.file_id, 400)
    (on_the_way, *_) = party.machine.snapshot().peers[0].files
    assert (on_the_way.done_bytes, on_the_way.size) == (400, first.size)
    for track in (first, second):
        party.on_guest(ana, ana.machine.file_ready, track.file_id)
    party.run(0.1)
    party.say(Play(second.file_id))
    assert party.machine.snapshot().upcoming == second.file_id
    party.say(Stop())
    assert party.machine.snapshot().upcoming == second.file_id
    party.say(Remove(second.file_id))
    assert party.machine.snapshot().upcoming == first.file_id
