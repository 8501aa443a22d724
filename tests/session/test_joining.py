"""Joining, being refused, leaving, falling silent."""

from __future__ import annotations

import pytest

from phaselock.model.names import PERSON_CHARS
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Add, DropPeer, Quit
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from tests.support.session_harness import SessionHarness
from tests.support.simulation import MS, SECOND, a_track


def test_joining_is_reported_on_both_sides() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    party.run(0.1)
    joined = ana.events("joined")[0].fields
    assert joined == {"session_name": "Friday", "host_name": "Hana", "name": "Ana", "peer_id": 1, "again": False}
    assert party.host.events("peer_joined")[0].fields == {"peer_id": 1, "name": "Ana", "again": False}
    assert party.host.of(e.AllowClock) == [e.AllowClock(1, ana.conn)]
    assert ana.of(e.StartClock) == [e.StartClock(1, 17402)]
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ana"]


def test_pings_are_allowed_before_the_join_is_accepted() -> None:
    party = SessionHarness()
    party.join("Ana")
    party.run(0.1)
    kinds = [type(getattr(effect, "message", effect)) for effect in party.host.effects]
    assert kinds.index(e.AllowClock) < kinds.index(m.JoinAccepted)


def test_a_newcomer_is_greeted_with_the_names_of_those_present() -> None:
    party = SessionHarness()
    party.join("Ana")
    party.run(0.1)
    ben = party.join("Ben")
    party.run(0.1)
    assert ben.received[0] == m.SessionInfo(
        m.PROTOCOL_VERSION, party.host.core.session_id, "Friday", "Hana", ("Ana",), 5
    )


def test_a_sixth_peer_is_refused_and_the_five_stay() -> None:
    party = SessionHarness()
    five = [party.join(name) for name in "ABCDE"]
    sixth = party.join("F")
    party.run(1)
    assert sixth.ended == e.Ended("Session is full.", failed=True)
    assert len(party.host.snapshot().peers) == 5
    assert all(guest.ended is None for guest in five)


def test_the_place_of_a_peer_that_left_is_free_again() -> None:
    party = SessionHarness(max_peers=1)
    ana = party.join("Ana")
    party.run(0.1)
    ana.leave()
    party.run(0.1)
    ben = party.join("Ben")
    party.run(0.1)
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]
    assert ben.events("joined")[0].fields["peer_id"] == 2


@pytest.mark.parametrize("name", ["", "  ", "\u202e\u200b", "\x07\n"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    party = SessionHarness()
    guest = party.join("x")
    party.host.receive(guest.conn, m.JoinRequest(name, m.PROTOCOL_VERSION))
    party.run(0.1)
    assert guest.ended == e.Ended("Please choose a display name.", failed=True)
    assert party.host.snapshot().peers == ()


def test_names_are_cleaned_and_made_distinct() -> None:
    party = SessionHarness()
    names = ["Ana", "ana", "A\u202ena\x1b", "Hana", "z" * 100, "z" * 100]
    guests = [party.join(name) for name in names[:2]]
    party.run(0.1)
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ana", "ana (2)"]
    assert guests[1].snapshot().display_name == "ana (2)"
    for guest in guests:
        guest.leave()
    party.run(0.1)
    for name in names[2:]:
        conn = party.open_connection()
        party.host.receive(conn, m.JoinRequest(name, m.PROTOCOL_VERSION))
    assert [peer.name for peer in party.host.snapshot().peers] == [
        "Ana",
        "Hana (2)",
        "z" * PERSON_CHARS,
        "z" * (PERSON_CHARS - 4) + " (2)",
    ]


def test_the_host_refuses_another_protocol_version_with_a_reason() -> None:
    party = SessionHarness()
    conn = party.open_connection()
    party.host.receive(conn, m.JoinRequest("Ana", m.PROTOCOL_VERSION + 1))
    send, close = party.host.effects[-2:]
    assert isinstance(send, e.Send) and isinstance(send.message, m.JoinRejected) and isinstance(close, e.Close)
    assert "same one on both machines" in send.message.reason


def test_the_peer_refuses_another_protocol_version_with_a_reason() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(now_ns=0)
    effects = peer.received(m.SessionInfo(m.PROTOCOL_VERSION + 1, bytes(16), "s", "h", (), 5), now_ns=1)
    assert not [effect for effect in effects if isinstance(effect, e.Send)]
    assert isinstance(effects[-1], e.Ended) and effects[-1].failed
    assert "same one on both machines" in effects[-1].reason


def test_a_peer_leaves_and_the_others_stay() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    party.run(0.1)
    ana.leave()
    party.run(10)
    assert ana.ended == e.Ended("You left the session.", failed=False)
    assert party.host.events("peer_left")[0].fields["name"] == "Ana"
    assert len(party.host.events("peer_left")) == 1
    assert party.host.of(e.ForbidClock) == [e.ForbidClock(1)]
    assert ben.ended is None
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]


def test_a_leave_message_with_the_id_of_another_peer_is_a_breach() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    party.run(0.1)
    party.host.receive(ana.conn, m.LeaveSession(2))
    party.run(0.1)
    reason = party.host.events("peer_left")[0].fields["reason"]
    assert reason == "It broke the protocol: LeaveSession makes no sense."
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]
    assert ben.ended is None


def test_the_host_ends_the_session_for_everybody() -> None:
    party = SessionHarness()
    guests = [party.join("Ana"), party.join("Ben")]
    party.run(0.1)
    conn = party.open_connection()
    party.command(Quit())
    assert party.host.effects[-1] == e.Ended("Session ended.", failed=False)
    assert e.Send(conn, m.JoinRejected("Session ended.")) in party.host.effects
    party.run(1)
    for guest in guests:
        assert guest.ended == e.Ended("Session ended.", failed=False)
        assert guest.of(e.StopClock) == [e.StopClock()]
        assert guest.effects[-1] == guest.ended
    assert party.host.core.next_deadline_ns() is None


def test_after_the_end_connections_are_closed() -> None:
    party = SessionHarness()
    party.command(Quit())
    assert party.host.core.connected(9, now_ns=party.now_ns) == [e.Close(9, "session ended")]
    assert party.host.core.command(Add(a_track()), now_ns=party.now_ns) == []


def test_a_dropped_peer_is_told_why() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    party.run(0.1)
    party.command(DropPeer("ana"))
    party.run(0.1)
    assert ana.ended == e.Ended("The host has removed you from the session.", failed=True)
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]
    party.command(DropPeer("Zoe"))
    assert party.host.events("error")[-1].fields["message"] == "There is no peer called Zoe."
    assert ben.ended is None


def test_a_silent_peer_is_dropped_after_five_seconds() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    party.run(1)
    ana.cut()
    party.run(4.7)
    assert len(party.host.snapshot().peers) == 2
    party.run(0.5)
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]
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


def test_after_its_own_suspension_the_host_drops_no_peer() -> None:
    party = SessionHarness()
    party.join("Ana")
    party.run(1)
    party.now_ns += 60 * SECOND
    party.host.call(party.host.core.timer)
    assert len(party.host.snapshot().peers) == 1


def test_after_its_own_suspension_a_peer_does_not_give_up_the_host() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    party.run(1)
    effects = ana.core.timer(now_ns=ana.now_ns + 60 * SECOND)
    assert not [effect for effect in effects if isinstance(effect, e.Ended)]


def test_a_silent_connection_is_closed_after_five_seconds() -> None:
    party = SessionHarness()
    conn = party.open_connection()
    party.run(4.9)
    assert not party.host.of(e.Close)
    party.run(0.2)
    assert party.host.of(e.Close) == [e.Close(conn, "no JoinRequest came")]


def test_a_silent_host_is_given_up() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(now_ns=0)
    assert peer.next_deadline_ns() == 5 * SECOND
    effects = peer.timer(now_ns=5 * SECOND)
    assert effects[-1] == e.Ended("The host does not answer.", failed=True)


def test_a_connection_that_ends_before_joining_is_an_error() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(now_ns=0)
    effects = peer.disconnected("connection reset by peer", now_ns=1)
    assert effects[-1] == e.Ended("The connection to the host was lost: connection reset by peer.", failed=True)
    assert peer.disconnected("again", now_ns=2) == []


def test_a_crashed_peer_is_gone_at_once() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    party.run(1)
    ana.crash()
    assert party.host.snapshot().peers == ()
    assert party.host.events("peer_left")[0].fields["reason"] == "connection reset"


def test_a_bulk_connection_has_no_effects() -> None:
    party = SessionHarness()
    conn = party.open_connection()
    before = len(party.host.effects)
    party.host.call(party.host.core.disconnected, conn, "bulk")
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
def test_a_peer_that_breaks_the_protocol_is_dropped_and_the_others_stay(message: m.Message) -> None:
    party = SessionHarness()
    bad, good = party.join("Bad"), party.join("Good")
    party.run(0.1)
    party.command(Add(a_track(1)))
    party.run(1)
    party.host.receive(bad.conn, message)
    party.run(1)
    assert [peer.name for peer in party.host.snapshot().peers] == ["Good"]
    assert party.host.events("peer_left")[0].fields["reason"].startswith("It broke the protocol: ")
    assert bad.ended is not None and good.ended is None
    party.host.receive(bad.conn, m.Heartbeat())
    assert len(party.host.snapshot().peers) == 1


def test_the_first_message_of_a_connection_must_be_a_join_request() -> None:
    party = SessionHarness()
    conn = party.open_connection()
    party.host.receive(conn, m.Heartbeat())
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
def test_a_peer_leaves_a_host_that_breaks_the_protocol(message: m.Message) -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    party.run(0.1)
    ana.call(ana.core.received, message)
    assert ana.ended is not None and ana.ended.failed
    assert ana.ended.reason.startswith("The host broke the protocol: ")
    assert ana.of(e.Close)


def test_reports_come_often_at_first_and_then_once_a_second() -> None:
    party = SessionHarness()
    ana = party.join("Ana")

    def reports() -> int:
        return sum(isinstance(send.message, m.PeerStatus) for send in ana.of(e.Send))

    party.run(5)
    assert 23 <= reports() <= 27
    before = reports()
    party.run(20)
    assert 19 <= reports() - before <= 21


def test_another_device_or_latency_is_reported_at_once() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    party.run(10.05)
    ana.output.latency_ns = 300 * MS
    party.run(0.11)
    assert party.host.snapshot().peers[0].output_latency_ns == 300 * MS
    ana.output.device_name = "Bluetooth\x1b[2J"
    party.run(0.11)
    assert party.host.events("device")[-1].fields == {
        "state": "open", "name": "Bluetooth[2J", "detail": "", "timing": "exact", "peer": "Ana",
    }  # fmt: skip
    ana.output.timing, ana.output.dac_uncertainty_ns = "unknown", None
    party.run(0.11)
    assert party.host.events("device")[-1].fields["timing"] == "unknown"
    seen = party.host.snapshot().peers[0]
    assert (seen.timing, seen.dac_uncertainty_ns) == ("unknown", None)
    ana.output.device_name = None
    party.run(0.11)
    assert party.host.events("device")[-1].fields["state"] == "none"


def test_a_peer_that_exceeds_the_message_rate_is_dropped() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    party.run(0.1)
    for _ in range(60):
        for _ in range(25):
            party.host.receive(ben.conn, m.Heartbeat())
        party.run(0.5)
    for _ in range(1500):
        party.host.receive(ben.conn, m.Heartbeat())
    assert not party.host.events("peer_left")
    while not party.host.events("peer_left"):
        party.host.receive(ana.conn, m.Heartbeat())
    assert party.host.events("peer_left")[0].fields["reason"] == "It broke the protocol: it talks without end."
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]
