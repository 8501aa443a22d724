"""Joining, rejection, leaving, timeouts."""

from __future__ import annotations

import pytest

from phaselock.model.key_words import key_words
from phaselock.model.names import PERSON_CHARS
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Add, DropPeer, Quit
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from phaselock.session.states import HOST_ACCEPTS, PEER_ACCEPTS, PeerSide
from tests.support.raw_member import REPORT
from tests.support.session_harness import ReportedOutput, SessionHarness
from tests.support.simulation import HOST_KEY, MS, SECOND, a_track
from tests.support.told import Over, lost, reason


def test_joining_is_reported_on_both_sides() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    joined = ana.events("joined")[0].fields
    assert joined.pop("host_words") == key_words(HOST_KEY)
    names = {"session_name": "Friday", "host_name": "Hana", "name": "Ana"}
    assert joined == names | {"peer_id": 1, "again": False, "moved": False}
    assert harness.host.events("peer_joined")[0].fields == {"peer_id": 1, "name": "Ana", "again": False}
    (allowed,) = harness.host.of(e.AllowClock)
    assert (allowed.peer_id, allowed.conn, len(allowed.key)) == (1, ana.conn, 16)
    assert ana.of(e.StartClock) == [e.StartClock(1, 17402, allowed.key)]
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]


@pytest.mark.parametrize("key", [HOST_KEY, bytes(32)])
def test_a_host_with_another_key_than_the_announced_one_is_not_joined(key: bytes) -> None:
    peer = PeerSession(display_name="Ana", announced_key=HOST_KEY[:16])
    effects = peer.connected(key, now_ns=0)
    ended = [effect.reason.code for effect in effects if isinstance(effect, e.Ended)]
    assert ended == ([] if key == HOST_KEY else [Code.OTHER_SESSION])


def test_pings_are_allowed_before_the_join_is_accepted() -> None:
    harness = SessionHarness()
    harness.join("Ana")
    harness.run(0.1)
    kinds = [type(getattr(effect, "message", effect)) for effect in harness.host.effects]
    assert kinds.index(e.AllowClock) < kinds.index(m.JoinAccepted)


def test_a_newcomer_is_greeted_with_the_names_of_those_present() -> None:
    harness = SessionHarness()
    harness.join("Ana")
    harness.run(0.1)
    ben = harness.join("Ben")
    harness.run(0.1)
    assert ben.received[0] == m.SessionInfo(
        m.PROTOCOL_VERSION, harness.host.core.session_id, "Friday", "Hana", ("Ana",), 5
    )


def test_a_sixth_peer_is_refused_and_the_five_stay() -> None:
    harness = SessionHarness()
    five = [harness.join(name) for name in "ABCDE"]
    sixth = harness.join("F")
    harness.run(1)
    assert sixth.ended == Over("Session is full.", failed=True)
    assert len(harness.host.snapshot().peers) == 5
    assert all(peer.ended is None for peer in five)


def test_the_place_of_a_peer_that_left_is_free_again() -> None:
    harness = SessionHarness(max_peers=1)
    ana = harness.join("Ana")
    harness.run(0.1)
    ana.leave()
    harness.run(0.1)
    ben = harness.join("Ben")
    harness.run(0.1)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    assert ben.events("joined")[0].fields["peer_id"] == 2


@pytest.mark.parametrize("name", ["", "  ", "\u202e\u200b", "\x07\n"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    harness = SessionHarness()
    peer = harness.join("x")
    harness.host.receive(peer.conn, m.JoinRequest(name, m.PROTOCOL_VERSION))
    harness.run(0.1)
    assert peer.ended == Over("Please choose a display name.", failed=True)
    assert harness.host.snapshot().peers == ()


def test_names_are_cleaned_and_made_distinct() -> None:
    harness = SessionHarness()
    names = ["Ana", "ana", "A\u202ena\x1b", "Hana", "z" * 100, "z" * 100]
    peers = [harness.join(name) for name in names[:2]]
    harness.run(0.1)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana", "ana (2)"]
    assert peers[1].snapshot().display_name == "ana (2)"
    for peer in peers:
        peer.leave()
    harness.run(0.1)
    for name in names[2:]:
        conn = harness.open_connection()
        harness.host.receive(conn, m.JoinRequest(name, m.PROTOCOL_VERSION))
    assert [peer.name for peer in harness.host.snapshot().peers] == [
        "Ana",
        "Hana (2)",
        "z" * PERSON_CHARS,
        "z" * (PERSON_CHARS - 4) + " (2)",
    ]


def test_the_host_refuses_another_protocol_version_with_a_reason() -> None:
    harness = SessionHarness()
    conn = harness.open_connection()
    harness.host.receive(conn, m.JoinRequest("Ana", m.PROTOCOL_VERSION + 1))
    send, close = harness.host.effects[-2:]
    assert isinstance(send, e.Send) and isinstance(send.message, m.JoinRejected) and isinstance(close, e.Close)
    assert "same one on both machines" in send.message.reason


def test_the_peer_refuses_another_protocol_version_with_a_reason() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(HOST_KEY, now_ns=0)
    effects = peer.received(m.SessionInfo(m.PROTOCOL_VERSION + 1, bytes(16), "s", "h", (), 5), now_ns=1)
    assert not [effect for effect in effects if isinstance(effect, e.Send)]
    assert isinstance(effects[-1], e.Ended) and effects[-1].failed
    assert "same one on both machines" in reason(effects[-1])


def test_another_session_than_the_announced_one_is_not_joined() -> None:
    for answering in (bytes(16), b"\x01" * 16):
        peer = PeerSession(display_name="Ana", session_id=bytes(16))
        peer.connected(HOST_KEY, now_ns=0)
        effects = peer.received(m.SessionInfo(m.PROTOCOL_VERSION, answering, "s", "h", (), 5), now_ns=1)
        asked = [effect for effect in effects if isinstance(effect, e.Send)]
        if answering == bytes(16):
            assert asked
        else:
            assert not asked
            assert effects[-1] == Over("Another jam answers at the address that was announced.", failed=True)


def test_a_peer_leaves_and_the_others_stay() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.1)
    ana.leave()
    harness.run(10)
    assert ana.ended == Over("You left the jam.", failed=False)
    assert harness.host.events("peer_left")[0].fields["name"] == "Ana"
    assert len(harness.host.events("peer_left")) == 1
    assert harness.host.of(e.ForbidClock) == [e.ForbidClock(1)]
    assert ben.ended is None
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]


def test_a_leave_message_with_the_id_of_another_peer_is_a_breach() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.1)
    harness.host.receive(ana.conn, m.LeaveSession(2))
    harness.run(0.1)
    reason = harness.host.events("peer_left")[0].fields["reason"]
    assert reason == "That machine broke the protocol: LeaveSession makes no sense."
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    assert ben.ended is None


def test_both_sides_refuse_a_message_that_they_accept_but_do_not_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is in the list of a state but not in the code must not be dropped in silence."""
    unhandled = m.FileRefused("No.")
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.1)
    accepts = {**PEER_ACCEPTS, PeerSide.JOINED: PEER_ACCEPTS[PeerSide.JOINED] | {m.FileRefused}}
    monkeypatch.setattr("phaselock.session.host.session.HOST_ACCEPTS", HOST_ACCEPTS | {m.FileRefused})
    monkeypatch.setattr("phaselock.session.peer.session.PEER_ACCEPTS", accepts)
    ana.call(ana.core.received, unhandled)
    harness.host.receive(ben.conn, unhandled)
    assert ana.of(e.Close)[-1] == e.Close(e.HOST_CONN, "FileRefused makes no sense")
    assert ana.ended is not None and ana.ended.failed
    assert ana.ended.reason == Notice(Code.HOST_BROKE_PROTOCOL, "FileRefused makes no sense")
    assert harness.host.of(e.Close)[-1] == e.Close(ben.conn, "FileRefused makes no sense")
    assert (
        harness.host.events("peer_left")[-1].fields["reason"]
        == "That machine broke the protocol: FileRefused makes no sense."
    )


def test_the_host_ends_the_session_for_everybody() -> None:
    harness = SessionHarness()
    peers = [harness.join("Ana"), harness.join("Ben")]
    harness.run(0.1)
    conn = harness.open_connection()
    harness.command(Quit())
    assert harness.host.effects[-1] == Over("Session ended.", failed=False)
    assert e.Send(conn, m.JoinRejected("Session ended.")) in harness.host.effects
    harness.run(1)
    for peer in peers:
        assert peer.ended == Over("Session ended.", failed=False)
        assert peer.of(e.StopClock) == [e.StopClock()]
        assert peer.effects[-1] == peer.ended
    assert harness.host.core.next_deadline_ns() is None


def test_after_the_end_connections_are_closed() -> None:
    harness = SessionHarness()
    harness.command(Quit())
    assert harness.host.core.connected(9, "10.0.0.9", now_ns=harness.now_ns) == [e.Close(9, "session ended")]
    assert harness.host.core.command(Add(a_track()), now_ns=harness.now_ns) == []


def test_a_dropped_peer_is_told_why() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.1)
    harness.command(DropPeer("ana"))
    harness.run(0.1)
    assert ana.ended == Over("The host has removed you from the jam.", failed=True)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    harness.command(DropPeer("Zoe"))
    assert harness.host.events("error")[-1].fields["message"] == "There is no peer called Zoe."
    assert ben.ended is None


def test_a_silent_peer_is_dropped_after_five_seconds() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(1)
    ana.cut()
    harness.run(4.7)
    assert len(harness.host.snapshot().peers) == 2
    harness.run(0.5)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    assert ben.ended is None


def test_heartbeats_and_reports_keep_a_session_alive() -> None:
    tokens = iter([b"s" * 16, b"h" * 16, b"a" * 16, b"k" * 16])  # session, host, Ana, and the key of her clock
    session = HostSession(session_name="s", host_name="h", token_factory=lambda: next(tokens), host_key=HOST_KEY)
    session.connected(1, "10.0.0.1", now_ns=0)
    session.received(1, m.JoinRequest("Ana", m.PROTOCOL_VERSION), now_ns=0)
    sent = []
    for second in range(2, 61, 2):
        now_ns = second * SECOND
        assert session.next_deadline_ns() == now_ns
        sent += session.timer(now_ns=now_ns)
        session.received(1, m.Heartbeat(), now_ns=now_ns)
        session.received(1, REPORT, now_ns=now_ns)
    assert [effect for effect in sent if isinstance(effect, e.Send)] == [e.Send(1, m.Heartbeat())] * 30
    assert len(session.snapshot().peers) == 1


def test_after_its_own_suspension_the_host_drops_no_peer() -> None:
    harness = SessionHarness()
    harness.join("Ana")
    harness.run(1)
    harness.now_ns += 60 * SECOND
    harness.host.call(harness.host.core.timer)
    assert len(harness.host.snapshot().peers) == 1


def test_after_its_own_suspension_a_peer_does_not_give_up_the_host() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(1)
    effects = ana.core.timer(now_ns=ana.now_ns + 60 * SECOND)
    assert not [effect for effect in effects if isinstance(effect, e.Ended)]


def test_a_silent_connection_is_closed_after_five_seconds() -> None:
    harness = SessionHarness()
    conn = harness.open_connection()
    harness.run(4.9)
    assert not harness.host.of(e.Close)
    harness.run(0.2)
    assert harness.host.of(e.Close) == [e.Close(conn, "no JoinRequest came")]


def test_a_silent_host_is_given_up() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(HOST_KEY, now_ns=0)
    assert peer.next_deadline_ns() == 5 * SECOND
    effects = peer.timer(now_ns=5 * SECOND)
    assert effects[-1] == Over("The host does not answer.", failed=True)


def test_a_connection_that_ends_before_joining_is_an_error() -> None:
    peer = PeerSession(display_name="Ana")
    peer.connected(HOST_KEY, now_ns=0)
    effects = peer.disconnected("connection reset by peer", now_ns=1)
    assert effects[-1] == Over("The connection to the host was lost: connection reset by peer.", failed=True)
    assert peer.disconnected("again", now_ns=2) == []


def test_a_crashed_peer_is_gone_at_once() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(1)
    ana.crash()
    assert harness.host.snapshot().peers == ()
    assert harness.host.events("peer_left")[0].fields["reason"] == "connection reset"


def test_a_bulk_connection_has_no_effects() -> None:
    harness = SessionHarness()
    conn = harness.open_connection()
    before = len(harness.host.effects)
    harness.host.call(harness.host.core.disconnected, conn, lost("bulk"))
    assert len(harness.host.effects) == before
    harness.run(6)
    assert not harness.host.of(e.Close)


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
    harness = SessionHarness()
    bad, good = harness.join("Bad"), harness.join("Good")
    harness.run(0.1)
    harness.command(Add(a_track(1)))
    harness.run(1)
    harness.host.receive(bad.conn, message)
    harness.run(1)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Good"]
    assert harness.host.events("peer_left")[0].fields["reason"].startswith("That machine broke the protocol: ")
    assert bad.ended is not None and good.ended is None
    harness.host.receive(bad.conn, m.Heartbeat())
    assert len(harness.host.snapshot().peers) == 1


def test_the_first_message_of_a_connection_must_be_a_join_request() -> None:
    harness = SessionHarness()
    conn = harness.open_connection()
    harness.host.receive(conn, m.Heartbeat())
    assert harness.host.effects[-1] == e.Close(conn, "Heartbeat before JoinRequest")


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
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    ana.call(ana.core.received, message)
    assert ana.ended is not None and ana.ended.failed
    assert reason(ana.ended).startswith("The host broke the protocol: ")
    assert ana.of(e.Close)


def test_reports_come_often_at_first_and_then_once_a_second() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")

    def reports() -> int:
        return sum(isinstance(send.message, m.PeerStatus) for send in ana.of(e.Send))

    harness.run(5)
    assert 23 <= reports() <= 27
    before = reports()
    harness.run(20)
    assert 19 <= reports() - before <= 21


def test_another_device_or_latency_is_reported_at_once() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(10.05)
    ana.output.latency_ns = 300 * MS
    ana.report()
    harness.run(0.01)
    assert harness.host.snapshot().peers[0].output_latency_ns == 300 * MS
    ana.output.device_name = "Bluetooth\x1b[2J"
    ana.report()
    harness.run(0.01)
    assert harness.host.events("device")[-1].fields == {
        "state": "open", "name": "Bluetooth[2J", "detail": "", "timing": "exact", "peer": "Ana",
    }  # fmt: skip
    ana.output.timing, ana.output.dac_uncertainty_ns = "unknown", None
    ana.report()
    harness.run(0.01)
    assert harness.host.events("device")[-1].fields["timing"] == "unknown"
    seen = harness.host.snapshot().peers[0]
    assert (seen.timing, seen.dac_uncertainty_ns) == ("unknown", None)
    ana.output.device_name = None
    ana.report()
    harness.run(0.01)
    assert harness.host.events("device")[-1].fields["state"] == "none"


def test_an_unknown_clock_has_no_uncertainty_at_the_host() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana", output=ReportedOutput(clock_usable=False, uncertainty_ns=None))
    harness.run(1)
    seen = harness.host.snapshot().peers[0]
    assert (seen.reported, seen.clock_usable, seen.offset_uncertainty_ns) == (True, False, None)
    ana.output.clock_usable, ana.output.uncertainty_ns = True, 7_000
    harness.run(2)
    assert harness.host.snapshot().peers[0].offset_uncertainty_ns == 7_000


def test_a_peer_that_exceeds_the_message_rate_is_dropped() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.1)
    for _ in range(60):
        for _ in range(25):
            harness.host.receive(ben.conn, m.Heartbeat())
        harness.run(0.5)
    for _ in range(1500):
        harness.host.receive(ben.conn, m.Heartbeat())
    assert not harness.host.events("peer_left")
    while not harness.host.events("peer_left"):
        harness.host.receive(ana.conn, m.Heartbeat())
    assert (
        harness.host.events("peer_left")[0].fields["reason"] == "That machine broke the protocol: it talks without end."
    )
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
