"""Peers that are far away: no click and no song waits long for them, and they join in when they have the song."""

from __future__ import annotations

import pytest

from phaselock.model.distance import FAR_NS
from phaselock.protocol import messages as m
from phaselock.session.commands import Add, Autoplay, Calibrate, Check, Invite, Next, Play
from phaselock.session.host.members import FAR_WAIT_NS, MARGIN_NS, network_allowance_ns
from phaselock.session.host.send_rate import SendRate
from phaselock.session.host.transport import SILENCE_NS
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, error, line
from tests.support.simulation import MS, SECOND, a_track

NEVER_NS = 10**15


def with_far_friend(delay_ms: int = 40, songs: int = 0) -> tuple[SessionHarness, HarnessPeer, HarnessPeer]:
    """Ana is in the room, and Far is not. Both have the songs."""
    harness = SessionHarness()
    near = harness.join("Ana")
    far = harness.join("Far", delay_ns=delay_ms * MS)
    harness.run(1)
    harness.command(*(Add(a_track(number, 10.0)) for number in range(1, songs + 1)))
    harness.run(2)
    return harness, near, far


def warnings(harness: SessionHarness) -> list[str]:
    return [one.fields["message"] for one in harness.host.events("warning")]


def bring(harness: SessionHarness, peer: HarnessPeer, number: int) -> None:
    peer.call(peer.core.file_ready, a_track(number).file_id)
    harness.run(0.5)


# -- who is far --------------------------------------------------------------------------------------------------------


def test_a_long_least_round_trip_makes_a_peer_far_and_a_late_packet_does_not() -> None:
    harness, _, far = with_far_friend()
    near_view, far_view = harness.host.snapshot().peers
    assert (near_view.far, far_view.far, far_view.away_ns) == (False, True, 40 * MS)
    far.delay_ns = (FAR_NS - MS) // 2
    harness.run(2)
    assert harness.host.snapshot().peers[1].far  # the limit is not crossed to and fro
    far.delay_ns = MS
    harness.run(2)
    assert not harness.host.snapshot().peers[1].far
    far.delay_ns = (FAR_NS - MS) // 2
    harness.run(2)
    assert not harness.host.snapshot().peers[1].far


def test_a_peer_that_came_by_an_invitation_is_far_from_a_shorter_path_on() -> None:
    harness = SessionHarness()
    harness.command(Invite("4829134471"))
    for name, delay_ms, outside in (("Ana", 3, True), ("Ben", 3, False), ("Cleo", 1, True)):
        harness.join(name, delay_ns=delay_ms * MS, code="4829134471" if outside else "", outside=outside)
    harness.run(2)
    assert {peer.name: peer.far for peer in harness.host.snapshot().peers} == {"Ana": True, "Ben": False, "Cleo": False}


def test_a_peer_that_does_not_tell_its_least_round_trip_is_near() -> None:
    status = m.PeerStatus(0, 0, 0, 0, "exact", 0, 90 * MS, 0, "card", 0, True, False, 0)
    assert status.least_rtt_ns == 0
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(1)
    ana.output.clock_usable = False
    harness.host.receive(ana.conn, status)
    assert not harness.host.snapshot().peers[0].far


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay_ms", "most_ms"), [(30, 145), (80, 200), (200, 252), (700, 252)])
def test_a_click_does_not_wait_long_for_a_far_peer(delay_ms: int, most_ms: int) -> None:
    harness, near, far = with_far_friend(delay_ms, songs=1)
    harness.run(2)
    clicked_ns = harness.now_ns
    harness.command(Play())
    assert line(harness).start_session_ns - clicked_ns <= most_ms * MS
    harness.run(2)
    assert all_follow_the_same(harness, [near, far])


@pytest.mark.parametrize(("delay_ms", "latency_ms", "told"), [(80, 10, False), (200, 10, True), (40, 300, True)])
def test_the_host_is_told_of_a_far_peer_that_begins_late_after_each_command(
    delay_ms: int, latency_ms: int, told: bool
) -> None:
    """It joins in phase. It is told once, and not for single packets that are late."""
    harness, near, far = with_far_friend(delay_ms, songs=1)
    far.output.latency_ns = latency_ms * MS
    harness.run(3)
    harness.command(Play())
    harness.run(3)
    assert all_follow_the_same(harness, [near, far])
    sentence = f"Far needs {latency_ms + 2 * delay_ms} ms for each command, and nothing waits for it that long."
    assert [text.startswith(sentence) for text in warnings(harness) if "for each command" in text] == [True] * told


def test_the_slow_output_of_a_far_peer_does_not_slow_the_room() -> None:
    harness, _, far = with_far_friend(songs=1)
    far.output.latency_ns = 900 * MS
    harness.run(2)
    clicked_ns = harness.now_ns
    harness.command(Play())
    of_the_room_ns = 10 * MS + network_allowance_ns(400_000) + MARGIN_NS
    assert line(harness).start_session_ns - clicked_ns == of_the_room_ns + FAR_WAIT_NS


def test_the_next_song_is_armed_early_enough_for_a_far_peer() -> None:
    harness, near, far = with_far_friend(200, songs=1)
    harness.command(Play())
    harness.run(5)
    harness.command(Add(a_track(2, 10.0)))
    harness.run(5)
    assert line(harness).file_id.int == 1 and far.snapshot().then is not None
    harness.run(1.5)
    assert line(harness).file_id.int == 2 and all_follow_the_same(harness, [near, far])


# -- songs -------------------------------------------------------------------------------------------------------------


def test_a_song_starts_three_seconds_after_the_click_without_a_far_peer_which_joins_in() -> None:
    harness, near, far = with_far_friend()
    far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(1, 60.0)))
    harness.run(0.5)
    harness.command(Play())
    waiting = harness.host.snapshot().waiting_for
    assert waiting is not None and waiting.id.int == 1
    harness.run(SILENCE_NS / SECOND - 0.1)
    assert harness.host.snapshot().timeline is None
    harness.run(0.2)
    assert line(harness).file_id.int == 1
    harness.run(1)
    assert near.following == harness.host.following != far.following
    assert "Far is far away, and joins in as soon as it has received song 1.mp3." in warnings(harness)
    bring(harness, far, 1)
    assert all_follow_the_same(harness, [near, far])
    assert harness.host.snapshot().peers[1].waited_for


def test_a_song_that_a_far_peer_receives_in_time_starts_for_all() -> None:
    harness, near, far = with_far_friend()
    far.transfer_ns = 2 * SECOND
    harness.command(Add(a_track(1, 60.0)))
    harness.run(0.5)
    harness.command(Play())
    harness.run(1.4)
    assert harness.host.snapshot().timeline is None
    harness.run(1)
    assert all_follow_the_same(harness, [near, far]) and line(harness).file_id.int == 1
    assert not [text for text in warnings(harness) if "far away" in text]


def send(harness: SessionHarness, number: int, chunk: int, seconds: float) -> None:
    """Far receives a chunk of this song each 0.2 seconds."""
    member = harness.host.core._parts.members.numbered(2)
    assert member
    for _ in range(round(seconds / 0.2)):
        sent = member.transfers[a_track(number).file_id].done_bytes + chunk
        harness.host.call(harness.host.core.fetch_progress, 2, a_track(number).file_id, sent)
        harness.run(0.2)


def test_a_song_does_not_wait_for_a_far_peer_that_obviously_comes_too_late() -> None:
    """At four times the measured rate, too. The rate is known after a second, and for the next song."""
    harness, near, far = with_far_friend()
    far.transfer_ns = NEVER_NS
    harness.command(*(Add(a_track(number, 60.0, size=10_000_000)) for number in (1, 2)))
    harness.run(0.5)
    harness.command(Play())
    send(harness, 1, 100_000, 1.0)
    assert harness.host.snapshot().timeline is None
    send(harness, 1, 100_000, 0.4)
    assert line(harness).file_id.int == 1
    assert "Far is far away, and joins in as soon as it has received song 1.mp3." in warnings(harness)
    bring(harness, far, 1)
    assert far.following.timeline == near.following.timeline == line(harness)
    clicked_ns = harness.now_ns
    harness.command(Next())
    assert line(harness).file_id.int == 2 and line(harness).start_session_ns - clicked_ns < 250 * MS


@pytest.mark.parametrize(("chunk", "before_s"), [(1_000_000, 0.0), (400_000, 0.0), (500_000, 2.0)])
def test_a_song_waits_for_a_far_peer_that_may_come_in_time(chunk: int, before_s: float) -> None:
    """Also if it has received most of the song before the click."""
    harness, _, far = with_far_friend()
    far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(1, 60.0, size=10_000_000)))
    harness.run(0.5)
    send(harness, 1, chunk, before_s)
    harness.command(Play())
    send(harness, 1, chunk, 1.4)
    assert harness.host.snapshot().timeline is None


def test_a_part_that_was_there_before_is_no_rate() -> None:
    """A transfer goes on where the last one ended. Its time before the first progress does not count either."""
    rate = SendRate()
    rate.restart()
    rate.moved(8_000_000, now_ns=5 * SECOND)
    assert not rate.is_too_slow(10**9, 0, 6 * SECOND)
    rate.moved(100_000, now_ns=6 * SECOND)
    assert rate.is_too_slow(400_001, 0, 7 * SECOND)
    assert not rate.is_too_slow(400_000, 0, 7 * SECOND)
    assert not rate.is_too_slow(400_001, 0, 8 * SECOND)


def test_a_second_click_starts_the_song_at_once() -> None:
    harness, _, far = with_far_friend(songs=1)
    far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(2, 60.0)))
    harness.run(0.5)
    harness.command(Play(a_track(2).file_id))
    harness.run(0.5)
    assert harness.host.snapshot().timeline is None
    harness.command(Play())
    assert line(harness).file_id.int == 2


def test_a_near_peer_is_still_waited_for_and_a_click_is_refused_meanwhile() -> None:
    harness, near, far = with_far_friend()
    near.transfer_ns = far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(1, 60.0)))
    harness.run(0.5)
    harness.command(Play())
    harness.run(5)
    assert harness.host.snapshot().timeline is None and harness.host.snapshot().waiting_for is None
    assert error(harness.host) == "Waiting for all peers to receive the file."
    bring(harness, near, 1)
    harness.command(Play())
    harness.run(4)
    assert line(harness).file_id.int == 1


def test_the_next_song_follows_without_a_gap_although_a_far_peer_lacks_it() -> None:
    harness, near, far = with_far_friend(songs=1)
    far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(2, 60.0)), Play())
    harness.run(1)
    assert harness.host.snapshot().then is not None
    end_ns = line(harness).session_ns_at(a_track(1, 10.0).frames)
    harness.run(10)
    assert line(harness).file_id.int == 2 and line(harness).start_session_ns == end_ns
    assert not harness.host.snapshot().peers[1].waited_for
    bring(harness, far, 2)
    assert all_follow_the_same(harness, [near, far])


def test_next_waits_three_seconds_for_a_far_peer_and_the_song_plays_on_meanwhile() -> None:
    harness, _, far = with_far_friend(songs=1)
    far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(2, 60.0)), Play())
    harness.run(1)
    harness.command(Next())
    harness.run(2.9)
    assert line(harness).file_id.int == 1
    harness.run(0.5)
    assert line(harness).file_id.int == 2


def test_a_far_peer_that_lags_behind_keeps_no_other_song_waiting() -> None:
    harness, _, far = with_far_friend()
    far.transfer_ns = NEVER_NS
    harness.command(*(Add(a_track(number, 10.0)) for number in (1, 2, 3)))
    harness.run(0.5)
    harness.command(Play())
    harness.run(4)
    clicked_ns = harness.now_ns
    harness.command(Next())
    assert line(harness).file_id.int == 2 and line(harness).start_session_ns - clicked_ns < 250 * MS


def test_autoplay_does_not_wait_for_a_far_peer() -> None:
    harness, _, far = with_far_friend()
    far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(1, 60.0)), Autoplay(1))
    harness.run(1)
    assert line(harness).file_id.int == 1


def test_a_track_that_near_peers_have_overtakes_although_a_far_one_lacks_it() -> None:
    harness, near, far = with_far_friend(songs=1)
    near.transfer_ns = far.transfer_ns = NEVER_NS
    harness.command(Add(a_track(2, 10.0)), Add(a_track(3, 10.0)), Play())
    harness.run(1)
    bring(harness, near, 3)
    harness.run(10 + SILENCE_NS / SECOND)
    assert line(harness).file_id.int == 3


# -- the room's microphone ---------------------------------------------------------------------------------------------


def test_a_far_peer_takes_no_turn_in_a_check_of_the_loudspeakers() -> None:
    harness, _, _ = with_far_friend()
    harness.command(Add(a_track(1, 600.0)))
    harness.run(1)
    harness.command(Play())
    harness.run(2)
    harness.command(Check())
    (began,) = harness.host.events("check_began")
    assert began.fields["machines"] == ["Hana", "Ana"]


def test_a_far_peer_alone_is_not_calibrated() -> None:
    harness = SessionHarness()
    harness.join("Far", delay_ns=40 * MS)
    harness.run(3)
    harness.command(Check())
    assert harness.host.events("check_began") == []


@pytest.mark.parametrize("command", [Calibrate("far"), Check("Far")])
def test_the_microphone_of_a_far_peer_is_refused(command: Calibrate | Check) -> None:
    harness, _, _ = with_far_friend(songs=1)
    harness.command(Play())
    harness.run(2)
    harness.command(command)
    assert error(harness.host) == "Far is far away: its microphone does not hear the loudspeakers here."
    assert harness.host.snapshot().calibration is None and harness.host.snapshot().check is None
