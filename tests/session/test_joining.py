"""Coming, being refused, leaving, falling silent."""

from __future__ import annotations

import pytest

from phaselock.model.names import PERSON_CHARS
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Add, DropPeer, Quit
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from tests.support.party import MS, SECOND, Output, Party, a_track
from tests.support.told import Over, reason


def test_a_peer_joins_and_both_sides_say_so() -> None:
    party = Party()
    ana = party.invite("Ana")
    party.run(0.1)
    joined = ana.events("joined")[0].fields
    assert joined == {"session_name": "Friday", "host_name": "Hana", "name": "Ana", "peer_id": 1, "again": False}
    assert party.host.events("peer_joined")[0].fields == {"peer_id": 1, "name": "Ana", "again": False}
    assert party.host.of(e.AllowClock) == [e.AllowClock(1, ana.conn)]
    assert ana.of(e.StartClock) == [e.StartClock(1, 17402)]
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ana"]


def test_the_address_may_ping_before_the_peer_knows_that_it_may() -> None:
    party = Party()
    party.invite("Ana")
    party.run(0.1)
    kinds = [type(getattr(effect, "message", effect)) for effect in party.host.effects]
    assert kinds.index(e.AllowClock) < kinds.index(m.JoinAccepted)


def test_a_newcomer_is_greeted_with_the_names_of_those_present() -> None:
    party = Party()
    party.invite("Ana")
    party.run(0.1)
    ben = party.invite("Ben")
    party.run(0.1)
    assert ben.got[0] == m.SessionInfo(m.PROTOCOL_VERSION, party.machine.session_id, "Friday", "Hana", ("Ana",), 5)


def test_a_sixth_peer_is_refused_and_the_five_stay() -> None:
    party = Party()
    five = [party.invite(name) for name in "ABCDE"]
    sixth = party.invite("F")
    party.run(1)
    assert sixth.ended == Over("Session is full.", failed=True)
    assert len(party.machine.snapshot().peers) == 5
    assert all(guest.ended is None for guest in five)


def test_a_place_that_was_left_is_free_again() -> None:
    party = Party(max_peers=1)
    ana = party.invite("Ana")
    party.run(0.1)
    party.leave(ana)
    party.run(0.1)
    ben = party.invite("Ben")
    party.run(0.1)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
    assert ben.events("joined")[0].fields["peer_id"] == 2


@pytest.mark.parametrize("name", ["", "  ", "\u202e\u200b", "\x07\n"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    party = Party()
    guest = party.invite("x")
    party.receive(guest.conn, m.JoinRequest(name, m.PROTOCOL_VERSION))
    party.run(0.1)
    assert guest.ended == Over("Please choose a display name.", failed=True)
    assert party.machine.snapshot().peers == ()


def test_names_are_reduced_and_made_distinct() -> None:
    party = Party()
    names = ["Ana", "ana", "A\u202ena\x1b", "Hana", "z" * 100, "z" * 100]
    guests = [party.invite(name) for name in names[:2]]
    party.run(0.1)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ana", "ana (2)"]
    assert guests[1].machine.snapshot().display_name == "ana (2)"
    for guest in guests:
        party.leave(guest)
    party.run(0.1)
    for name in names[2:]:
        conn = party.stranger()
        party.receive(conn, m.JoinRequest(name, m.PROTOCOL_VERSION))
    assert [peer.name for peer in party.machine.snapshot().peers] == [
        "Ana",
        "Hana (2)",
        "z" * PERSON_CHARS,
        "z" * (PERSON_CHARS - 4) + " (2)",
    ]


def test_the_host_refuses_another_version_in_words() -> None:
    party = Party()
    conn = party.stranger()
    party.receive(conn, m.JoinRequest("Ana", m.PROTOCOL_VERSION + 1))
    send, close = party.host.effects[-2:]
    assert isinstance(send, e.Send) and isinstance(send.message, m.JoinRejected) and isinstance(close, e.Close)
    assert "same one on both machines" in send.message.reason


def test_the_peer_refuses_another_version_in_words() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(now_ns=0)
    effects = peer.received(m.SessionInfo(m.PROTOCOL_VERSION + 1, bytes(16), "s", "h", (), 5), now_ns=1)
    assert not [effect for effect in effects if isinstance(effect, e.Send)]
    assert isinstance(effects[-1], e.Ended) and effects[-1].failed
    assert "same one on both machines" in reason(effects[-1])


def test_who_leaves_is_gone_and_the_others_stay() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    party.run(0.1)
    party.leave(ana)
    party.run(10)
    assert ana.ended == Over("You left the session.", failed=False)
    assert party.host.events("peer_left")[0].fields["name"] == "Ana"
    assert len(party.host.events("peer_left")) == 1
    assert party.host.of(e.ForbidClock) == [e.ForbidClock(1)]
    assert ben.ended is None
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]


def test_leaving_in_the_name_of_another_is_a_breach() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    party.run(0.1)
    party.receive(ana.conn, m.LeaveSession(2))
    party.run(0.1)
    reason = party.host.events("peer_left")[0].fields["reason"]
    assert reason == "It broke the protocol: LeaveSession makes no sense."
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
    assert ben.ended is None


def test_the_host_ends_the_session_for_everybody() -> None:
    party = Party()
    guests = [party.invite("Ana"), party.invite("Ben")]
    party.run(0.1)
    conn = party.stranger()
    party.say(Quit())
    assert party.host.effects[-1] == Over("Session ended.", failed=False)
    assert e.Send(conn, m.JoinRejected("Session ended.")) in party.host.effects
    party.run(1)
    for guest in guests:
        assert guest.ended == Over("Session ended.", failed=False)
        assert guest.of(e.StopClock) == [e.StopClock()]
        assert guest.effects[-1] == guest.ended
    assert party.machine.next_deadline_ns() is None


def test_after_the_end_nobody_comes_in() -> None:
    party = Party()
    party.say(Quit())
    assert party.machine.connected(9, now_ns=party.now_ns) == [e.Close(9, "session ended")]
    assert party.machine.command(Add(a_track()), now_ns=party.now_ns) == []


def test_a_dropped_peer_is_told_why() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    party.run(0.1)
    party.say(DropPeer("ana"))
    party.run(0.1)
    assert ana.ended == Over("The host has removed you from the session.", failed=True)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
    party.say(DropPeer("Zoe"))
    assert party.host.events("error")[-1].fields["message"] == "There is no peer called Zoe."
    assert ben.ended is None


def test_a_silent_peer_is_dropped_after_five_seconds() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    party.run(1)
    ana.cut = True
    party.run(4.7)
    assert len(party.machine.snapshot().peers) == 2
    party.run(0.5)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
    assert ben.ended is None


def test_heartbeats_alone_keep_a_session_alive() -> None:
    tokens = iter([b"s" * 16, b"a" * 16])  # one for the session, one for Ana
    machine = HostSession(session_name="s", host_name="h", token_factory=lambda: next(tokens))
    machine.connected(1, now_ns=0)
    machine.received(1, m.JoinRequest("Ana", m.PROTOCOL_VERSION), now_ns=0)
    sent = []
    for second in range(2, 61, 2):
        now_ns = second * SECOND
        assert machine.next_deadline_ns() == now_ns
        sent += machine.timer(now_ns=now_ns)
        machine.received(1, m.Heartbeat(), now_ns=now_ns)
    assert [effect for effect in sent if isinstance(effect, e.Send)] == [e.Send(1, m.Heartbeat())] * 30
    assert len(machine.snapshot().peers) == 1


def test_a_host_that_slept_blames_nobody() -> None:
    party = Party()
    party.invite("Ana")
    party.run(1)
    party.now_ns += 60 * SECOND
    party.on_host(party.machine.timer)
    assert len(party.machine.snapshot().peers) == 1


def test_a_peer_that_slept_blames_nobody() -> None:
    party = Party()
    ana = party.invite("Ana")
    party.run(1)
    effects = ana.machine.timer(now_ns=party.now_ns + ana.ahead_ns + 60 * SECOND)
    assert not [effect for effect in effects if isinstance(effect, e.Ended)]


def test_a_stranger_who_says_nothing_is_closed() -> None:
    party = Party()
    conn = party.stranger()
    party.run(4.9)
    assert not party.host.of(e.Close)
    party.run(0.2)
    assert party.host.of(e.Close) == [e.Close(conn, "no JoinRequest came")]


def test_a_host_that_says_nothing_is_given_up() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(now_ns=0)
    assert peer.next_deadline_ns() == 5 * SECOND
    effects = peer.timer(now_ns=5 * SECOND)
    assert effects[-1] == Over("The host does not answer.", failed=True)


def test_a_connection_that_ends_before_joining_is_an_error() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(now_ns=0)
    effects = peer.disconnected("connection reset by peer", now_ns=1)
    assert effects[-1] == Over("The connection to the host was lost: connection reset by peer.", failed=True)
    assert peer.disconnected("again", now_ns=2) == []


def test_a_crashed_peer_is_gone_at_once() -> None:
    party = Party()
    ana = party.invite("Ana")
    party.run(1)
    party.crash(ana)
    assert party.machine.snapshot().peers == ()
    assert party.host.events("peer_left")[0].fields["reason"] == "connection reset"


def test_a_bulk_connection_comes_and_goes_unseen() -> None:
    party = Party()
    conn = party.stranger()
    before = len(party.host.effects)
    party.on_host(party.machine.disconnected, conn, "bulk")
    assert len(party.host.effects) == before
    party.run(6)
    assert not party.host.of(e.Close)


UNEXPECTED_BY_HOST = [
    m.SessionInfo(1, bytes(16), "s", "h", (), 5),
    m.JoinRequest("again", m.PROTOCOL_VERSION),
    m.JoinRejected("no"),
    m.SessionEnd(),
    m.FileTransferStart(a_track().file_id, "x.mp3", 1, bytes(32), 44100, 1),
    m.FileReceived(a_track(1).file_id, True),
    m.FileRequest(1, bytes(16), a_track().file_id, 0),
    m.PlayCommand(a_track().file_id, 44100, 0, 0),
    m.StopCommand(),
    m.QueueUpdate((), 1),
    m.SongUploadChunk(a_track().file_id, 0, b"x"),
]


@pytest.mark.parametrize("message", UNEXPECTED_BY_HOST, ids=lambda message: type(message).__name__)
def test_a_breach_costs_the_peer_its_place_and_nobody_else(message: m.Message) -> None:
    party = Party()
    bad, good = party.invite("Bad"), party.invite("Good")
    party.run(0.1)
    party.say(Add(a_track(1)))
    party.run(1)
    party.receive(bad.conn, message)
    party.run(1)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Good"]
    assert party.host.events("peer_left")[0].fields["reason"].startswith("It broke the protocol: ")
    assert bad.ended is not None and good.ended is None
    party.receive(bad.conn, m.Heartbeat())
    assert len(party.machine.snapshot().peers) == 1


def test_a_stranger_may_only_ask_to_join() -> None:
    party = Party()
    conn = party.stranger()
    party.receive(conn, m.Heartbeat())
    assert party.host.effects[-1] == e.Close(conn, "Heartbeat before JoinRequest")


UNEXPECTED_BY_PEER = [
    m.SessionInfo(1, bytes(16), "s", "h", (), 5),
    m.JoinRejected("no"),
    m.JoinRequest("x", 1),
    m.ResumeCommand(0, 0),
    m.PauseCommand(0),
    m.SeekCommand(0, 0),
    m.FileChunk(a_track().file_id, 0, b"x"),
    m.PeerStatus(0, 0, 0, None, "unknown", 0, 0, 0, None, 0, False, False, 0),
]


@pytest.mark.parametrize("message", UNEXPECTED_BY_PEER, ids=lambda message: type(message).__name__)
def test_a_host_that_breaks_the_protocol_is_left(message: m.Message) -> None:
    party = Party()
    ana = party.invite("Ana")
    party.run(0.1)
    party.on_guest(ana, ana.machine.received, message)
    assert ana.ended is not None and ana.ended.failed
    assert reason(ana.ended).startswith("The host broke the protocol: ")
    assert ana.of(e.Close)


def test_reports_come_often_at_first_and_then_once_a_second() -> None:
    party = Party()
    ana = party.invite("Ana")

    def reports() -> int:
        return sum(isinstance(send.message, m.PeerStatus) for send in ana.of(e.Send))

    party.run(5)
    assert 23 <= reports() <= 27
    before = reports()
    party.run(20)
    assert 19 <= reports() - before <= 21


def test_another_device_or_latency_is_reported_at_once() -> None:
    party = Party()
    ana = party.invite("Ana")
    party.run(10.05)
    ana.output.latency_ns = 300 * MS
    party.run(0.11)
    assert party.machine.snapshot().peers[0].output_latency_ns == 300 * MS
    ana.output.device_name = "Bluetooth\x1b[2J"
    party.run(0.11)
    assert party.host.events("device")[-1].fields == {
        "state": "open", "name": "Bluetooth[2J", "detail": "", "timing": "exact", "peer": "Ana",
    }  # fmt: skip
    ana.output.timing, ana.output.dac_uncertainty_ns = "unknown", None
    party.run(0.11)
    assert party.host.events("device")[-1].fields["timing"] == "unknown"
    seen = party.machine.snapshot().peers[0]
    assert (seen.timing, seen.dac_uncertainty_ns) == ("unknown", None)
    ana.output.device_name = None
    party.run(0.11)
    assert party.host.events("device")[-1].fields["state"] == "none"


def test_a_clock_that_is_not_known_yet_has_no_uncertainty_at_the_host() -> None:
    party = Party()
    ana = party.invite("Ana", output=Output(clock_usable=False, uncertainty_ns=None))
    party.run(1)
    seen = party.machine.snapshot().peers[0]
    assert (seen.reported, seen.clock_usable, seen.offset_uncertainty_ns) == (True, False, None)
    ana.output.clock_usable, ana.output.uncertainty_ns = True, 7_000
    party.run(2)
    assert party.machine.snapshot().peers[0].offset_uncertainty_ns == 7_000


def test_a_peer_that_talks_without_end_is_dropped_and_a_lively_one_is_not() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    party.run(0.1)
    for _ in range(60):
        for _ in range(25):
            party.receive(ben.conn, m.Heartbeat())
        party.run(0.5)
    for _ in range(1500):
        party.receive(ben.conn, m.Heartbeat())
    assert not party.host.events("peer_left")
    while not party.host.events("peer_left"):
        party.receive(ana.conn, m.Heartbeat())
    assert party.host.events("peer_left")[0].fields["reason"] == "It broke the protocol: it talks without end."
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
