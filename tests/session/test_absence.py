"""A peer that has lost its host plays on by the clock that it has measured, and rejoins as the same peer."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import (
    Add,
    HostCommand,
    Leave,
    Next,
    Pause,
    Play,
    Quit,
    Remove,
    Request,
    Seek,
    Stop,
)
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, error, line, ready
from tests.support.simulation import HOST_KEY, MS, SECOND, a_track, returning
from tests.support.told import Over, lost

HOST_LOST = Over("Host disconnected — session ended.", failed=True)
PLAYING_ON = "The host cannot be heard. Playing on, and looking for it."


def away(
    *, tracks: int = 1, seconds: float = 60.0, cut_s: float = 20.0
) -> tuple[SessionHarness, HarnessPeer, HarnessPeer]:
    """Ana and Ben in the middle of a song; Ana's network was cut `cut_s` ago."""
    harness, (ana, ben) = ready(tracks=tracks, seconds=seconds)
    harness.command(Play())
    harness.run(3)
    ana.cut()
    harness.run(cut_s)
    return harness, ana, ben


def said_so(peer: HarnessPeer) -> int:
    return [event.fields["message"] for event in peer.events("warning")].count(PLAYING_ON)


def since(peer: HarnessPeer, count: int, kind: type) -> list[e.Effect]:
    return [effect for effect in peer.effects[count:] if isinstance(effect, kind)]


# -- the network is gone ---------------------------------------------------------------------------------------------


def test_a_gap_of_three_seconds_is_reported_to_no_user() -> None:
    harness, (ana, ben) = ready()
    harness.command(Play())
    harness.run(3)
    counts = len(ana.effects), len(harness.host.of(e.Notify))
    ana.cut()
    harness.run(3)
    ana.repair()
    harness.run(10)
    assert {type(effect) for effect in ana.effects[counts[0] :]} == {e.Send}
    assert len(harness.host.of(e.Notify)) == counts[1]
    assert ana.connects == 0 and ana.snapshot().connected


def test_after_five_seconds_the_peer_says_so_once_and_plays_on() -> None:
    harness, ana, _ = away(tracks=2, cut_s=0)
    before = ana.following
    harness.run(2.9)
    assert said_so(ana) == 0 and ana.snapshot().connected
    harness.run(2.2)  # it heard the host last up to two seconds before the cut
    assert said_so(ana) == 1 and not ana.snapshot().connected
    harness.run(20)
    assert said_so(ana) == 1
    assert ana.ended is None and not ana.of(e.StopClock)
    assert ana.following is before is not None and before.then is not None
    assert [event.fields["reason"] for event in harness.host.events("peer_left")] == [
        "Nothing was heard from there for 5 seconds."
    ]


def test_a_peer_comes_back_as_the_same_peer_and_its_playback_goes_on() -> None:
    harness, ana, ben = away(tracks=2)
    before, (allowed, *_) = ana.snapshot(), harness.host.of(e.AllowClock)
    fetch, count = ana.fetches[0], len(ana.effects)
    ana.repair()
    harness.run(3)
    assert ana.snapshot() == dataclasses.replace(before, connected=True, plays_on=False)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben", "Ana"]
    allowed_again = harness.host.of(e.AllowClock)[-1]
    assert (allowed_again.peer_id, allowed_again.conn) == (allowed.peer_id, ana.conn)
    assert allowed_again.key != allowed.key  # the old one is void
    assert harness.host.snapshot().peers[1].peer_id == fetch.peer_id == allowed.peer_id
    assert ana.events("joined")[1].fields == ana.events("joined")[0].fields | {"again": True}
    assert harness.host.events("peer_joined")[-1].fields == {"peer_id": fetch.peer_id, "name": "Ana", "again": True}
    assert since(ana, count, e.Follow | e.StopClock | e.Fetch) == []  # type: ignore[arg-type]
    assert since(ana, count, e.StartClock) == [e.StartClock(allowed.peer_id, 17402, allowed_again.key)]
    assert harness.host.snapshot().peers[1].ready
    assert all_follow_the_same(harness, [ana, ben])


def test_after_the_return_the_old_token_opens_bulk_connections() -> None:
    harness, ana, _ = away()
    ana.repair()
    harness.run(3)
    harness.command(Add(a_track(2)))
    harness.run(1)
    first, second = ana.fetches
    assert (second.peer_id, second.token) == (first.peer_id, first.token)
    assert harness.host.snapshot().peers[1].ready


def test_a_peer_that_is_away_plays_the_armed_track() -> None:
    harness, ana, ben = away(tracks=3, seconds=10, cut_s=15)
    assert ana.snapshot().timeline == line(harness)
    assert line(harness).file_id == a_track(2).file_id
    assert ana.events("track_ended")[0].session_ns == ben.events("track_ended")[0].session_ns
    assert ana.following != harness.host.following  # it does not know the third track yet
    ana.repair()
    harness.run(3)
    assert all_follow_the_same(harness, [ana, ben])


def test_a_peer_that_is_away_is_silent_after_the_last_track_it_knows() -> None:
    harness, ana, ben = away(tracks=3, seconds=10, cut_s=21)
    assert ana.snapshot().timeline is None and ana.ended is None
    ana.repair()
    harness.run(3)
    assert line(harness).file_id == a_track(3).file_id
    assert all_follow_the_same(harness, [ana, ben])


@pytest.mark.parametrize(("song_s", "given_up_s"), [(20.0, 65.0), (60.0, 65.0), (300.0, 297.0)])
def test_a_peer_gives_up_after_a_minute_or_at_the_end_of_the_track(song_s: float, given_up_s: float) -> None:
    harness, ana, _ = away(seconds=song_s, cut_s=given_up_s - 3)
    assert ana.ended is None
    harness.run(6)
    assert ana.ended == HOST_LOST
    assert ana.of(e.StopClock) and ana.following == e.Follow(None)
    assert ana.core.next_deadline_ns() is None
    assert ana.events("session_end")[0].fields["reason"] == HOST_LOST.reason


def test_after_it_has_given_up_a_peer_joins_as_a_newcomer_of_the_same_name() -> None:
    harness, ana, ben = away(seconds=20, cut_s=70)
    assert ana.ended == HOST_LOST
    again = harness.join("Ana")
    harness.run(1)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben", "Ana"]
    assert again.snapshot().queue == ben.snapshot().queue


def test_a_peer_that_is_away_tries_to_connect_every_two_to_three_seconds() -> None:
    _, ana, _ = away(cut_s=45)
    assert 16 <= ana.connects <= 18


def test_the_end_of_the_old_connection_starts_no_second_attempt() -> None:
    """However late it is reported: two successful attempts would leave one connection too many."""
    harness, ana, _ = away(cut_s=5.3)
    assert ana.connects == 1
    deadline_ns, told = ana.core.next_deadline_ns(), said_so(ana)
    ana.call(ana.core.disconnected, "closed")
    assert (ana.core.next_deadline_ns(), said_so(ana)) == (deadline_ns, told)
    harness.run(0.6)
    assert ana.connects == 1


def test_messages_of_the_old_connection_are_ignored() -> None:
    harness, ana, _ = away(cut_s=5.3)
    before = ana.snapshot()
    for message in (m.Heartbeat(), m.SessionEnd(), m.StopCommand(), m.QueueUpdate((), 9)):
        ana.call(ana.core.received, message)
    assert ana.snapshot() == before and ana.ended is None


def test_a_connection_without_any_message_is_replaced() -> None:
    """As when the host's process is stalled: its kernel accepts the connection, and no message follows."""
    harness, ana, _ = away(cut_s=5.3)
    now_ns = ana.now_ns
    ana.core.connected(HOST_KEY, now_ns=now_ns)
    assert not ana.core.timer(now_ns=now_ns + 4 * SECOND)
    effects = ana.core.timer(now_ns=now_ns + 5 * SECOND)
    assert e.Close(0, "silent for too long") in effects
    assert e.Connect() in ana.core.timer(now_ns=now_ns + 5 * SECOND + 500 * MS)


# -- changes at the host meanwhile -----------------------------------------------------------------------------------

MEANWHILE: dict[str, tuple[HostCommand, ...]] = {
    "nothing": (),
    "paused": (Pause(),),
    "sought": (Seek(40),),
    "stopped": (Stop(),),
    "went on": (Next(),),
    "paused and sought": (Pause(), Seek(5)),
    "removed what plays": (Remove(a_track(1).file_id),),
    "removed what comes": (Remove(a_track(2).file_id),),
    "added": (Add(a_track(9)),),
}


@pytest.mark.parametrize("commands", MEANWHILE.values(), ids=MEANWHILE)
def test_at_its_return_it_follows_what_the_host_has_done(commands: tuple[HostCommand, ...]) -> None:
    harness, ana, ben = away(tracks=3, cut_s=8)
    for command in commands:
        harness.command(command)
        harness.run(2)
    ana.repair()
    harness.run(3)
    assert all_follow_the_same(harness, [ben])
    mine, theirs = ana.snapshot(), harness.host.snapshot()
    assert (mine.queue, mine.timeline, mine.then) == (theirs.queue, theirs.timeline, theirs.then)
    assert (mine.now and mine.now.id) == (theirs.now and theirs.now.id)
    if theirs.timeline is None:
        assert ana.following == e.Follow(None)  # the others stopped long ago
    else:
        assert ana.following == harness.host.following


def test_a_track_that_came_meanwhile_is_fetched_and_then_heard() -> None:
    harness, ana, ben = away(cut_s=8)
    harness.command(Add(a_track(2)))
    harness.run(1)
    harness.command(Next())
    harness.run(1)
    ana.transfer_ns = 4 * SECOND
    ana.repair()
    harness.run(3)
    assert line(harness).file_id == a_track(2).file_id  # the host does not wait for it
    assert ana.following is not None and ana.following.timeline is not None
    stop_ns = ana.following.timeline.stop_session_ns
    assert stop_ns is not None and stop_ns <= harness.now_ns  # the old song does not play beside the new one
    harness.run(4)
    assert all_follow_the_same(harness, [ana, ben])


def test_interrupted_fetches_begin_again_after_the_return() -> None:
    harness, ana, _ = away(cut_s=0)
    ana.repair()
    ana.transfer_ns = 10 * SECOND
    harness.command(Add(a_track(2)))
    harness.run(1)
    ana.cut()
    harness.run(10)
    assert ana.of(e.CancelFetch) == [e.CancelFetch(a_track(2).file_id)]
    ana.transfer_ns = 50 * MS
    ana.repair()
    harness.run(3)
    assert [fetch.track.file_id.int for fetch in ana.fetches] == [1, 2, 2]
    assert harness.host.snapshot().peers[1].ready
    assert not harness.host.events("error")


def test_a_return_before_the_host_noticed_the_loss_takes_the_old_place() -> None:
    harness, peers = ready("A", "B", "C", "D", "E")
    ana = peers[0]
    old, new = ana.conn, harness.open_connection()
    harness.host.receive(new, returning("A", 1, ana.fetches[0].token))
    assert harness.host.of(e.Close) == [e.Close(old, "it came back on another connection")]
    assert [peer.name for peer in harness.host.snapshot().peers] == ["B", "C", "D", "E", "A"]
    assert harness.host.events("peer_joined")[-1].fields == {"peer_id": 1, "name": "A", "again": True}
    assert [event.fields["reason"] for event in harness.host.events("peer_left")] == ["It reconnects."]
    kinds = [effect for effect in harness.host.effects if isinstance(effect, e.ForbidClock | e.AllowClock)]
    forbidden, allowed = kinds[5:]
    assert (forbidden, allowed.peer_id, allowed.conn) == (e.ForbidClock(1), 1, new)
    assert len({one.key for one in harness.host.of(e.AllowClock)}) == 6
    harness.host.call(harness.host.core.disconnected, old, lost("closed"))
    assert len(harness.host.snapshot().peers) == 5


def test_a_token_that_nobody_has_gets_a_new_membership() -> None:
    harness, _ = ready("Ana")
    harness.host.receive(harness.open_connection(), returning("Ana", 1, b"?" * 16))
    accepted = [send.message for send in harness.host.of(e.Send) if isinstance(send.message, m.JoinAccepted)][-1]
    assert (accepted.peer_id, accepted.display_name) == (2, "Ana (2)") and accepted.token != b"?" * 16
    assert len(harness.host.snapshot().peers) == 2


@pytest.mark.parametrize("how", ["left", "broke the protocol"])
def test_only_a_peer_that_lost_its_connection_can_return_with_its_token(how: str) -> None:
    harness, (ana, _) = ready()
    token = ana.fetches[0].token
    match how:
        case "left":
            ana.leave()
        case _:
            harness.host.receive(ana.conn, m.StopCommand())
    harness.run(1)
    harness.host.receive(harness.open_connection(), returning("Zoe", 1, token))
    assert harness.host.events("peer_joined")[-1].fields == {"peer_id": 3, "name": "Zoe", "again": False}


def test_a_peer_whose_name_was_taken_meanwhile_gets_a_number() -> None:
    harness, ana, _ = away()
    harness.join("Ana")
    harness.run(1)
    ana.repair()
    harness.run(3)
    assert ana.snapshot().display_name == "Ana (2)"


# -- the host is gone ------------------------------------------------------------------------------------------------


def test_a_crashed_host_ends_the_session_at_once() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(3)
    harness.host.crash()
    harness.run(0.1)
    for peer in peers:
        assert peer.ended == HOST_LOST
        assert said_so(peer) == 0
        assert peer.following == e.Follow(None)


def test_nothing_promises_to_play_on_until_the_first_attempt_has_failed() -> None:
    harness, (ana, _) = ready()
    harness.command(Play())
    harness.run(3)
    ana.call(ana.core.disconnected, "reset")
    assert not ana.snapshot().connected and not ana.snapshot().plays_on
    ana.call(ana.core.connect_failed, "it does not answer", refused=False)
    assert ana.snapshot().plays_on and said_so(ana) == 1
    harness.run(5)
    assert ana.snapshot().connected and not ana.snapshot().plays_on


def test_at_its_return_a_peer_ends_if_the_host_has_crashed() -> None:
    harness, ana, _ = away()
    harness.host.crash()
    harness.run(5)
    assert ana.ended is None
    ana.repair()
    harness.run(3)
    assert ana.ended == HOST_LOST


def test_at_its_return_a_peer_ends_if_the_session_has_ended() -> None:
    harness, ana, _ = away()
    harness.command(Quit())
    ana.repair()
    harness.run(3)
    assert ana.ended == HOST_LOST


def test_a_peer_does_not_return_to_another_session_at_the_same_address() -> None:
    harness, ana, _ = away()
    harness.host.core = HostSession(
        session_name="Friday", host_name="Hana", token_factory=lambda: b"n" * 16, host_key=HOST_KEY
    )
    ana.repair()
    harness.run(3)
    assert ana.ended == HOST_LOST
    assert harness.host.snapshot().peers == ()


def answers(session: PeerSession, info: m.SessionInfo, message: m.Message) -> e.Effect:
    """The last effect of a peer that lost its connection and receives this message when it returns."""
    session.disconnected("reset", now_ns=10 * SECOND)
    session.connected(HOST_KEY, now_ns=10 * SECOND)
    session.received(info, now_ns=10 * SECOND)
    return session.received(message, now_ns=10 * SECOND)[-1]


def joined_peer() -> tuple[PeerSession, m.SessionInfo]:
    session, info = PeerSession(display_name="Ana"), m.SessionInfo(m.PROTOCOL_VERSION, bytes(16), "s", "h", (), 5)
    session.connected(HOST_KEY, now_ns=0)
    session.received(info, now_ns=0)
    session.received(m.JoinAccepted(1, m.SessionState((), 0), b"t" * 16, 17402, "Ana", b"k" * 16), now_ns=0)
    return session, info


@pytest.mark.parametrize("reason", ["Session is full.", "Session ended."])
def test_a_rejection_at_the_return_ends_the_peer_with_its_reason(reason: str) -> None:
    assert answers(*joined_peer(), m.JoinRejected(reason)) == Over(reason, failed=True)


def test_the_place_of_a_silent_peer_is_kept_for_a_minute() -> None:
    harness = SessionHarness(max_peers=1)
    ana = harness.join("Ana")
    harness.run(1)
    ana.cut()
    harness.run(7)
    ben = harness.join("Ben")
    harness.run(1)
    assert ben.ended == Over("Session is full.", failed=True)
    ana.repair()
    harness.run(3)
    assert ana.ended is None and [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]


def test_a_place_is_kept_for_a_minute_and_given_to_a_peer_of_the_same_name() -> None:
    harness = SessionHarness(max_peers=1)
    harness.join("Ana").cut()
    harness.run(7)
    again = harness.join("Ana")  # for example after a power failure
    harness.run(1)
    assert again.ended is None
    again.cut()
    harness.run(67)
    ben = harness.join("Ben")
    harness.run(1)
    assert ben.ended is None


def test_newcomers_do_not_push_out_a_peer_that_may_return() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.join("Ben")
    harness.run(1)
    ana.cut()
    harness.run(7)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    for number in range(40):  # join and disconnect at once
        conn = harness.open_connection()
        harness.host.receive(conn, m.JoinRequest(f"x{number}", m.PROTOCOL_VERSION))
        harness.host.call(harness.host.core.disconnected, conn, lost("closed"))
    ana.repair()
    harness.run(3)
    assert {peer.name: peer.peer_id for peer in harness.host.snapshot().peers} == {"Ben": 2, "Ana": 1}


def test_a_returning_peer_asks_with_its_token_and_its_name() -> None:
    session, info = joined_peer()
    session.disconnected("reset", now_ns=10 * SECOND)
    session.connected(HOST_KEY, now_ns=10 * SECOND)
    effects = session.received(info, now_ns=10 * SECOND)
    assert effects == [e.Send(0, returning("Ana", 1, b"t" * 16))]


# -- thrown out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["the connection", "the greeting", "joining"])
def test_a_peer_that_is_always_disconnected_waits_between_attempts(after: str) -> None:
    session, info = joined_peer()
    now_ns, connects = 10 * SECOND, 0
    effects = session.disconnected("reset", now_ns=now_ns)
    while now_ns < 20 * SECOND:
        if e.Connect() in effects:
            connects += 1
            session.connected(HOST_KEY, now_ns=now_ns)
            if after != "the connection":
                session.received(info, now_ns=now_ns)
            if after == "joining":
                accepted = m.JoinAccepted(1, m.SessionState((), 0), b"t" * 16, 17402, "Ana", b"k" * 16)
                session.received(accepted, now_ns=now_ns)
            effects = session.disconnected("thrown out", now_ns=now_ns)
        else:
            deadline_ns = session.next_deadline_ns()
            assert deadline_ns is not None and deadline_ns > now_ns
            now_ns = deadline_ns
            effects = session.timer(now_ns=now_ns)
    assert 18 <= connects <= 21


# -- commands at a peer that is away ---------------------------------------------------------------------------------


def test_leaving_while_away() -> None:
    harness, ana, _ = away()
    ana.leave()
    assert ana.ended == Over("You left the jam.", failed=False)
    assert not any(isinstance(send.message, m.LeaveSession) for send in ana.of(e.Send))
    connects = ana.connects
    ana.repair()
    harness.run(10)
    assert ana.connects == connects
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]


def test_leaving_while_reconnecting() -> None:
    for received in (0, 1):
        session, info = joined_peer()
        session.disconnected("reset", now_ns=10 * SECOND)
        session.connected(HOST_KEY, now_ns=10 * SECOND)
        for message in [info][:received]:
            session.received(message, now_ns=10 * SECOND)
        effects = session.command(Leave(), now_ns=10 * SECOND)
        assert effects[0] == e.Close(0, "left") and effects[-1] == Over("You left the jam.", failed=False)


def test_a_request_while_away_is_refused_with_a_reason() -> None:
    harness, ana, _ = away()
    ana.call(ana.core.command, Request(uuid.UUID(int=77), "x.mp3", 10, bytes(32)))
    assert error(ana) == "There is no connection to the host just now. Please try again in a moment."
    assert ana.snapshot().requests == ()


def test_a_change_of_the_output_while_away_is_reported_after_the_return() -> None:
    harness, ana, _ = away()
    ana.output.device_name = None
    harness.run(1)
    ana.repair()
    harness.run(6)
    assert harness.host.snapshot().peers[1].device_name is None
    assert harness.host.events("device")[-1].fields["peer"] == "Ana"


def test_while_away_nothing_is_sent_and_the_deadline_lies_ahead() -> None:
    harness, ana, _ = away(cut_s=6)
    sent = len(ana.of(e.Send))
    harness.run(20)
    assert len(ana.of(e.Send)) == sent
    deadline_ns = ana.core.next_deadline_ns()
    assert deadline_ns is not None and deadline_ns > ana.now_ns
