"""A peer without its host: it plays on by the clock it knows, and comes back as the same peer."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import (
    Add,
    DropPeer,
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
from tests.support.party import MS, SECOND, Guest, Party, a_track, all_follow_the_same, error, line, ready
from tests.support.told import Over, lost

HOST_LOST = Over("Host disconnected — session ended.", failed=True)
PLAYING_ON = "The host cannot be heard. Playing on, and looking for it."


def away(*, tracks: int = 1, seconds: float = 60.0, cut_s: float = 20.0) -> tuple[Party, Guest, Guest]:
    """Ana and Ben in the middle of a song, Ana's network gone for so long already."""
    party, (ana, ben) = ready(tracks=tracks, seconds=seconds)
    party.say(Play())
    party.run(3)
    party.cut(ana)
    party.run(cut_s)
    return party, ana, ben


def said_so(guest: Guest) -> int:
    return [event.fields["message"] for event in guest.events("warning")].count(PLAYING_ON)


def since(guest: Guest, count: int, kind: type) -> list[e.Effect]:
    return [effect for effect in guest.effects[count:] if isinstance(effect, kind)]


# -- the network is gone ---------------------------------------------------------------------------------------------


def test_a_gap_of_three_seconds_is_nobodys_business() -> None:
    party, (ana, ben) = ready()
    party.say(Play())
    party.run(3)
    counts = len(ana.effects), len(party.host.of(e.Notify))
    party.cut(ana)
    party.run(3)
    party.mend(ana)
    party.run(10)
    assert {type(effect) for effect in ana.effects[counts[0] :]} == {e.Send}
    assert len(party.host.of(e.Notify)) == counts[1]
    assert ana.connects == 0 and ana.machine.snapshot().connected


def test_after_five_seconds_the_peer_says_so_once_and_plays_on() -> None:
    party, ana, _ = away(tracks=2, cut_s=0)
    before = ana.following
    party.run(2.9)
    assert said_so(ana) == 0 and ana.machine.snapshot().connected
    party.run(2.2)  # it heard the host last up to two seconds before the cut
    assert said_so(ana) == 1 and not ana.machine.snapshot().connected
    party.run(20)
    assert said_so(ana) == 1
    assert ana.ended is None and not ana.of(e.StopClock)
    assert ana.following is before is not None and before.then is not None
    assert [event.fields["reason"] for event in party.host.events("peer_left")] == [
        "Nothing was heard of it for 5 seconds."
    ]


def test_it_comes_back_as_the_same_peer_and_nothing_moves() -> None:
    party, ana, ben = away(tracks=2)
    before, (allowed, *_) = ana.machine.snapshot(), party.host.of(e.AllowClock)
    fetch, count = ana.fetches[0], len(ana.effects)
    party.mend(ana)
    party.run(3)
    assert ana.machine.snapshot() == dataclasses.replace(before, connected=True)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben", "Ana"]
    assert party.host.of(e.AllowClock)[-1] == e.AllowClock(allowed.peer_id, ana.conn)
    assert party.machine.snapshot().peers[1].peer_id == fetch.peer_id == allowed.peer_id
    assert ana.events("joined")[1].fields == ana.events("joined")[0].fields | {"again": True}
    assert party.host.events("peer_joined")[-1].fields == {"peer_id": fetch.peer_id, "name": "Ana", "again": True}
    assert since(ana, count, e.Follow | e.StopClock | e.Fetch) == []  # type: ignore[arg-type]
    assert since(ana, count, e.StartClock) == [e.StartClock(allowed.peer_id, 17402)]
    assert party.machine.snapshot().peers[1].ready
    assert all_follow_the_same(party, [ana, ben])


def test_its_token_is_still_the_one_that_opens_bulk_connections() -> None:
    party, ana, _ = away()
    party.mend(ana)
    party.run(3)
    party.say(Add(a_track(2)))
    party.run(1)
    first, second = ana.fetches
    assert (second.peer_id, second.token) == (first.peer_id, first.token)
    assert party.machine.snapshot().peers[1].ready


def test_it_plays_through_a_seam_into_the_armed_track() -> None:
    party, ana, ben = away(tracks=3, seconds=10, cut_s=15)
    assert ana.machine.snapshot().timeline == line(party)
    assert line(party).file_id == a_track(2).file_id
    assert ana.events("track_ended")[0].session_ns == ben.events("track_ended")[0].session_ns
    assert ana.following != party.host.following  # of the third one it knows nothing yet
    party.mend(ana)
    party.run(3)
    assert all_follow_the_same(party, [ana, ben])


def test_the_end_of_what_it_knows_is_silence_and_no_end() -> None:
    party, ana, ben = away(tracks=3, seconds=10, cut_s=21)
    assert ana.machine.snapshot().timeline is None and ana.ended is None
    party.mend(ana)
    party.run(3)
    assert line(party).file_id == a_track(3).file_id
    assert all_follow_the_same(party, [ana, ben])


@pytest.mark.parametrize(("song_s", "given_up_s"), [(20.0, 65.0), (60.0, 65.0), (300.0, 297.0)])
def test_it_gives_up_after_a_minute_or_at_the_end_of_the_track(song_s: float, given_up_s: float) -> None:
    party, ana, _ = away(seconds=song_s, cut_s=given_up_s - 3)
    assert ana.ended is None
    party.run(6)
    assert ana.ended == HOST_LOST
    assert ana.of(e.StopClock) and ana.following == e.Follow(None)
    assert ana.machine.next_deadline_ns() is None
    assert ana.events("session_end")[0].fields["reason"] == HOST_LOST.reason


def test_a_guest_who_is_let_go_too_late_comes_back_as_a_newcomer_of_its_name() -> None:
    party, ana, ben = away(seconds=20, cut_s=70)
    assert ana.ended == HOST_LOST
    again = party.invite("Ana")
    party.run(1)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben", "Ana"]
    assert again.machine.snapshot().queue == ben.machine.snapshot().queue


def test_it_tries_again_and_again_and_not_too_often() -> None:
    _, ana, _ = away(cut_s=45)
    assert 16 <= ana.connects <= 18


def test_the_end_of_the_old_connection_starts_no_second_try() -> None:
    """However late the news of it comes: two tries that succeed would be one connection too many."""
    party, ana, _ = away(cut_s=5.3)
    assert ana.connects == 1
    deadline_ns, told = ana.machine.next_deadline_ns(), said_so(ana)
    party.on_guest(ana, ana.machine.disconnected, "closed")
    assert (ana.machine.next_deadline_ns(), said_so(ana)) == (deadline_ns, told)
    party.run(0.6)
    assert ana.connects == 1


def test_what_still_comes_on_the_old_connection_is_ignored() -> None:
    party, ana, _ = away(cut_s=5.3)
    before = ana.machine.snapshot()
    for message in (m.Heartbeat(), m.SessionEnd(), m.StopCommand(), m.QueueUpdate((), 9)):
        party.on_guest(ana, ana.machine.received, message)
    assert ana.machine.snapshot() == before and ana.ended is None


def test_a_connection_on_which_nothing_is_said_is_given_up_for_another() -> None:
    """As when the host's process stands still: its machine accepts, and nobody speaks."""
    party, ana, _ = away(cut_s=5.3)
    now_ns = party.now_ns + ana.ahead_ns
    ana.machine.connected(now_ns=now_ns)
    assert not ana.machine.timer(now_ns=now_ns + 4 * SECOND)
    effects = ana.machine.timer(now_ns=now_ns + 5 * SECOND)
    assert e.Close(0, "silent for too long") in effects
    assert e.Connect() in ana.machine.timer(now_ns=now_ns + 5 * SECOND + 500 * MS)


# -- what the host did meanwhile -------------------------------------------------------------------------------------

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
    party, ana, ben = away(tracks=3, cut_s=8)
    for command in commands:
        party.say(command)
        party.run(2)
    party.mend(ana)
    party.run(3)
    assert all_follow_the_same(party, [ben])
    mine, theirs = ana.machine.snapshot(), party.machine.snapshot()
    assert (mine.queue, mine.timeline, mine.then) == (theirs.queue, theirs.timeline, theirs.then)
    assert (mine.now and mine.now.id) == (theirs.now and theirs.now.id)
    if theirs.timeline is None:
        assert ana.following == e.Follow(None)  # the others have been silent for long
    else:
        assert ana.following == party.host.following


def test_a_track_that_came_meanwhile_is_fetched_and_then_heard() -> None:
    party, ana, ben = away(cut_s=8)
    party.say(Add(a_track(2)))
    party.run(1)
    party.say(Next())
    party.run(1)
    ana.fetch_ns = 4 * SECOND
    party.mend(ana)
    party.run(3)
    assert line(party).file_id == a_track(2).file_id  # nobody waits
    assert ana.following is not None and ana.following.timeline is not None
    stop_ns = ana.following.timeline.stop_session_ns
    assert stop_ns is not None and stop_ns <= party.now_ns  # the old song does not go on beside the others' new one
    party.run(4)
    assert all_follow_the_same(party, [ana, ben])


def test_files_that_were_on_their_way_are_begun_again() -> None:
    party, ana, _ = away(cut_s=0)
    party.mend(ana)
    ana.fetch_ns = 10 * SECOND
    party.say(Add(a_track(2)))
    party.run(1)
    party.cut(ana)
    party.run(10)
    assert ana.of(e.CancelFetch) == [e.CancelFetch(a_track(2).file_id)]
    ana.fetch_ns = 50 * MS
    party.mend(ana)
    party.run(3)
    assert [fetch.track.file_id.int for fetch in ana.fetches] == [1, 2, 2]
    assert party.machine.snapshot().peers[1].ready
    assert not party.host.events("error")


def test_a_return_before_the_host_has_noticed_takes_the_old_seat() -> None:
    party, guests = ready("A", "B", "C", "D", "E")
    ana = guests[0]
    old, new = ana.conn, party.stranger()
    party.receive(new, m.JoinRequest("A", m.PROTOCOL_VERSION, ana.fetches[0].token))
    assert party.host.of(e.Close) == [e.Close(old, "it came back on another connection")]
    assert [peer.name for peer in party.machine.snapshot().peers] == ["B", "C", "D", "E", "A"]
    assert party.host.events("peer_joined")[-1].fields == {"peer_id": 1, "name": "A", "again": True}
    assert [event.fields["reason"] for event in party.host.events("peer_left")] == ["It connects anew."]
    kinds = [effect for effect in party.host.effects if isinstance(effect, e.ForbidClock | e.AllowClock)]
    assert kinds[5:] == [e.ForbidClock(1), e.AllowClock(1, new)]
    party.on_host(party.machine.disconnected, old, "closed")
    assert len(party.machine.snapshot().peers) == 5


def test_a_token_that_nobody_has_gets_a_new_membership() -> None:
    party, _ = ready("Ana")
    party.receive(party.stranger(), m.JoinRequest("Ana", m.PROTOCOL_VERSION, b"?" * 16))
    accepted = [send.message for send in party.host.of(e.Send) if isinstance(send.message, m.JoinAccepted)][-1]
    assert (accepted.peer_id, accepted.display_name) == (2, "Ana (2)") and accepted.token != b"?" * 16
    assert len(party.machine.snapshot().peers) == 2


@pytest.mark.parametrize("how", ["left", "dropped", "broke the protocol"])
def test_who_did_not_just_lose_the_connection_is_nobody_in_particular(how: str) -> None:
    party, (ana, _) = ready()
    token = ana.fetches[0].token
    match how:
        case "left":
            party.leave(ana)
        case "dropped":
            party.say(DropPeer("Ana"))
        case _:
            party.receive(ana.conn, m.StopCommand())
    party.run(1)
    party.receive(party.stranger(), m.JoinRequest("Zoe", m.PROTOCOL_VERSION, token))
    assert party.host.events("peer_joined")[-1].fields == {"peer_id": 3, "name": "Zoe", "again": False}


def test_a_name_that_was_taken_meanwhile_gets_a_number() -> None:
    party, ana, _ = away()
    party.invite("Ana")
    party.run(1)
    party.mend(ana)
    party.run(3)
    assert ana.machine.snapshot().display_name == "Ana (2)"


# -- the host is gone ------------------------------------------------------------------------------------------------


def test_a_crashed_host_ends_the_session_at_once() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(3)
    party.crash_host()
    party.run(0.1)
    for guest in guests:
        assert guest.ended == HOST_LOST
        assert said_so(guest) == 0
        assert guest.following == e.Follow(None)


def test_a_host_that_has_crashed_meanwhile_ends_it_at_the_return() -> None:
    party, ana, _ = away()
    party.crash_host()
    party.run(5)
    assert ana.ended is None
    party.mend(ana)
    party.run(3)
    assert ana.ended == HOST_LOST


def test_a_session_that_has_ended_meanwhile_is_over_at_the_return() -> None:
    party, ana, _ = away()
    party.say(Quit())
    party.mend(ana)
    party.run(3)
    assert ana.ended == HOST_LOST


def test_another_session_at_the_same_place_is_not_ours() -> None:
    party, ana, _ = away()
    party.machine = HostSession(session_name="Friday", host_name="Hana", token_factory=lambda: b"n" * 16)
    party.mend(ana)
    party.run(3)
    assert ana.ended == HOST_LOST
    assert party.machine.snapshot().peers == ()


def answers(machine: PeerSession, info: m.SessionInfo, message: m.Message) -> e.Effect:
    """The last effect of a peer that has lost its connection and is answered so at its return."""
    machine.disconnected("reset", now_ns=10 * SECOND)
    machine.connected(now_ns=10 * SECOND)
    machine.received(info, now_ns=10 * SECOND)
    return machine.received(message, now_ns=10 * SECOND)[-1]


def joined_machine() -> tuple[PeerSession, m.SessionInfo]:
    machine, info = PeerSession(display_name="Ana"), m.SessionInfo(m.PROTOCOL_VERSION, bytes(16), "s", "h", (), 5)
    machine.connected(now_ns=0)
    machine.received(info, now_ns=0)
    machine.received(m.JoinAccepted(1, m.SessionState((), 0), b"t" * 16, 17402, "Ana"), now_ns=0)
    return machine, info


@pytest.mark.parametrize("reason", ["Session is full.", "Session ended."])
def test_a_rejection_at_the_return_ends_it_with_its_words(reason: str) -> None:
    assert answers(*joined_machine(), m.JoinRejected(reason)) == Over(reason, failed=True)


def test_the_place_of_a_silent_peer_is_kept_for_a_minute() -> None:
    party = Party(max_peers=1)
    ana = party.invite("Ana")
    party.run(1)
    party.cut(ana)
    party.run(7)
    ben = party.invite("Ben")
    party.run(1)
    assert ben.ended == Over("Session is full.", failed=True)
    party.mend(ana)
    party.run(3)
    assert ana.ended is None and [peer.name for peer in party.machine.snapshot().peers] == ["Ana"]


def test_a_place_is_kept_no_longer_and_not_from_one_of_the_same_name() -> None:
    party = Party(max_peers=1)
    party.cut(party.invite("Ana"))
    party.run(7)
    again = party.invite("Ana")  # its machine lost its power, say
    party.run(1)
    assert again.ended is None
    party.cut(again)
    party.run(67)
    ben = party.invite("Ben")
    party.run(1)
    assert ben.ended is None


def test_nobody_takes_the_name_of_one_who_is_expected_back() -> None:
    party = Party()
    ana = party.invite("Ana")
    party.invite("Ben")
    party.run(1)
    party.cut(ana)
    party.run(7)
    assert [one.name for one in party.machine._departed.values()] == ["Ana"]
    for number in range(40):  # came and went without a word
        conn = party.stranger()
        party.receive(conn, m.JoinRequest(f"x{number}", m.PROTOCOL_VERSION))
        party.on_host(party.machine.disconnected, conn, lost("closed"))
    party.mend(ana)
    party.run(3)
    assert {peer.name: peer.peer_id for peer in party.machine.snapshot().peers} == {"Ben": 2, "Ana": 1}


def test_it_asks_with_its_token_and_the_name_it_goes_by() -> None:
    machine, info = joined_machine()
    machine.disconnected("reset", now_ns=10 * SECOND)
    machine.connected(now_ns=10 * SECOND)
    effects = machine.received(info, now_ns=10 * SECOND)
    assert effects == [e.Send(0, m.JoinRequest("Ana", m.PROTOCOL_VERSION, b"t" * 16))]


# -- thrown out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["the connection", "the greeting", "joining"])
def test_a_peer_that_is_thrown_out_each_time_does_not_hammer(after: str) -> None:
    machine, info = joined_machine()
    now_ns, connects = 10 * SECOND, 0
    effects = machine.disconnected("reset", now_ns=now_ns)
    while now_ns < 20 * SECOND:
        if e.Connect() in effects:
            connects += 1
            machine.connected(now_ns=now_ns)
            if after != "the connection":
                machine.received(info, now_ns=now_ns)
            if after == "joining":
                accepted = m.JoinAccepted(1, m.SessionState((), 0), b"t" * 16, 17402, "Ana")
                machine.received(accepted, now_ns=now_ns)
            effects = machine.disconnected("thrown out", now_ns=now_ns)
        else:
            deadline_ns = machine.next_deadline_ns()
            assert deadline_ns is not None and deadline_ns > now_ns
            now_ns = deadline_ns
            effects = machine.timer(now_ns=now_ns)
    assert 18 <= connects <= 21


# -- people at a peer that is away -----------------------------------------------------------------------------------


def test_leaving_while_away() -> None:
    party, ana, _ = away()
    party.leave(ana)
    assert ana.ended == Over("You left the session.", failed=False)
    assert not any(isinstance(send.message, m.LeaveSession) for send in ana.of(e.Send))
    connects = ana.connects
    party.mend(ana)
    party.run(10)
    assert ana.connects == connects
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]


def test_leaving_in_the_middle_of_coming_back() -> None:
    for received in (0, 1):
        machine, info = joined_machine()
        machine.disconnected("reset", now_ns=10 * SECOND)
        machine.connected(now_ns=10 * SECOND)
        for message in [info][:received]:
            machine.received(message, now_ns=10 * SECOND)
        effects = machine.command(Leave(), now_ns=10 * SECOND)
        assert effects[0] == e.Close(0, "left") and effects[-1] == Over("You left the session.", failed=False)


def test_a_request_while_away_is_refused_in_words() -> None:
    party, ana, _ = away()
    party.on_guest(ana, ana.machine.command, Request(uuid.UUID(int=77), "x.mp3", 10, bytes(32)))
    assert error(ana) == "There is no connection to the host just now. Please try again in a moment."
    assert ana.machine.snapshot().requests == ()


def test_what_happens_to_its_own_output_meanwhile_is_told_at_the_return() -> None:
    party, ana, _ = away()
    ana.output.device_name = None
    party.run(1)
    party.mend(ana)
    party.run(6)
    assert party.machine.snapshot().peers[1].device_name is None
    assert party.host.events("device")[-1].fields["peer"] == "Ana"


def test_while_away_nothing_is_sent_and_the_timer_has_something_to_wait_for() -> None:
    party, ana, _ = away(cut_s=6)
    sent = len(ana.of(e.Send))
    party.run(20)
    assert len(ana.of(e.Send)) == sent
    deadline_ns = ana.machine.next_deadline_ns()
    assert deadline_ns is not None and deadline_ns > party.now_ns + ana.ahead_ns
