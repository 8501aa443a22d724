"""Invitations for friends elsewhere, without sockets."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.language.message import Message
from phaselock.model.invitation import Candidate, InvitationState, Nat, parse_invitation
from phaselock.model.notices import Code
from phaselock.model.snapshot import InvitationView
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import ChangeCode, DropPeer, InvitationPlaces, Invite, WithdrawInvitation
from phaselock.session.host.door import FREE_GUESSES, LATER, NEVER
from phaselock.session.host.invitation import MAX_INVITATION_GUESSES, OutsideDoor
from phaselock.session.invitation_sentences import PROBLEMS, way_sentence
from phaselock.session.states import DEAD_NS, HOLD_OUTSIDE_NS
from tests.support.session_harness import SessionHarness
from tests.support.simulation import SECOND
from tests.support.told import Over

CODE = "4829134471"
HOME = Candidate("45.32.1.1", 17401, 17402)
PLACES = InvitationPlaces((Candidate("192.168.1.42", 17404), HOME), Nat.HOME, reachable=True, port=17404)


def invited(code: str = CODE) -> SessionHarness:
    harness = SessionHarness()
    harness.command(Invite(code), PLACES)
    return harness


def view(harness: SessionHarness) -> InvitationView:
    found = harness.host.snapshot().invitation
    assert found is not None
    return found


def test_the_overlay_networks_are_told_by_name() -> None:
    told = InvitationPlaces((Candidate("100.101.2.3", 17404),), Nat.CARRIER, overlays=("Tailscale",))
    for reachable in (False, True):
        places = dataclasses.replace(told, reachable=reachable)
        sentence = way_sentence(InvitationState.OPEN, places, 17402)
        assert sentence.endswith(" A friend in the same Tailscale network can join in any case.")


def test_whose_relays_are_used_and_what_is_missing_is_told() -> None:
    closed = InvitationPlaces((HOME,), Nat.DOUBLE, port=17404)
    over = dataclasses.replace(closed, node="n" * 64, relays=Message("the relay {address}", address="https://r.org"))
    assert way_sentence(InvitationState.OPEN, over, 17402).endswith(
        " You then meet over the relay https://r.org: there both internet addresses are seen, and how much is sent, "
        "but nothing of the music."
    )
    missing = dataclasses.replace(closed, extra="pip install it")
    assert "on both machines: pip install it. Then start" in way_sentence(InvitationState.OPEN, missing, 17402)
    for reachable in (over, missing):
        sentence = way_sentence(InvitationState.OPEN, dataclasses.replace(reachable, reachable=True), 17402)
        assert "relay" not in sentence and "install" not in sentence


def test_the_line_is_told_when_the_places_are_known() -> None:
    harness = SessionHarness()
    assert harness.host.snapshot().invitation is None
    harness.command(Invite(CODE))
    assert harness.host.outside == [e.OpenOutside()]
    assert view(harness).state is InvitationState.OPENING and view(harness).text == ""
    harness.command(PLACES)
    told = harness.host.events("invitation")[-1].fields
    line = parse_invitation(str(told["text"]))
    assert (line.candidates, line.code, line.version) == (PLACES.candidates, CODE, m.PROTOCOL_VERSION)
    assert harness.host.core.session_id.startswith(line.session) and len(line.session) == 4
    assert (told["state"], told["reachable"], told["nat"]) == ("open", True, "home")
    assert view(harness).text == told["text"]


def test_the_code_stays_while_the_invitation_is_open_and_changes_afterwards() -> None:
    harness = invited()
    harness.command(Invite("1111111111"))
    assert parse_invitation(view(harness).text).code == CODE
    harness.command(WithdrawInvitation())
    assert harness.host.snapshot().invitation is None
    assert harness.host.outside == [e.OpenOutside(), e.CloseOutside()]
    harness.command(Invite("1111111111"), PLACES)
    assert parse_invitation(view(harness).text).code == "1111111111"


def test_a_new_place_is_a_new_line() -> None:
    harness = invited()
    moved = InvitationPlaces((Candidate("45.32.1.9", 17401),), Nat.HOME, reachable=True, port=17404)
    harness.command(moved, moved)
    assert len(harness.host.events("invitation")) == 3
    assert parse_invitation(view(harness).text).places == [("45.32.1.9", 17401)]


@pytest.mark.parametrize("room_code", ["", "482913"])
def test_every_connection_from_outside_must_know_the_code_of_the_invitation(room_code: str) -> None:
    harness = invited()
    harness.command(ChangeCode(room_code))
    friend = harness.join("Ana", code=CODE, outside=True)
    plain = harness.join("Ben", outside=True)
    wrong = harness.join("Cid", code="482913", outside=True)
    harness.run(0.5)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]
    assert friend.events("joined")[0].fields["session_name"] == "Friday"
    assert friend.snapshot().host_name == "Hana"
    assert plain.ended is not None and plain.ended.failed
    assert wrong.ended == Over("This invitation is wrong or no longer valid. Ask the host for a new one.", failed=True)


def test_a_connection_from_outside_learns_no_names_before() -> None:
    harness = invited()
    harness.join("Ana")
    harness.run(0.1)
    plain = harness.join("Ben", outside=True)
    harness.run(0.5)
    assert plain.received == [
        m.SessionInfo(m.PROTOCOL_VERSION, harness.host.core.session_id, "", "", (), 5),
        m.CodeNeeded(),
    ]


def test_the_code_of_the_invitation_opens_nothing_inside() -> None:
    harness = invited()
    harness.command(ChangeCode("482913"))
    harness.join("Ana", code=CODE)
    harness.run(0.5)
    assert harness.host.snapshot().peers == ()


def test_guesses_at_the_outside_port_do_not_count_inside() -> None:
    harness = invited()
    harness.command(ChangeCode("482913"))
    for number in range(FREE_GUESSES + 1):
        wrong = harness.join(f"x{number}", code="0000000000", outside=True)
        wrong.ip = "10.0.1.1"
        harness.run(0.5)
    assert wrong.ended is not None
    inside = harness.join("Ana", code="482913")
    inside.ip = "10.0.1.1"
    harness.run(0.5)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]


def test_a_withdrawn_invitation_lets_its_members_return_but_no_one_else_in() -> None:
    harness = invited()
    friend = harness.join("Ana", code=CODE, outside=True)
    harness.run(0.5)
    harness.command(WithdrawInvitation())
    assert view(harness).state is InvitationState.WITHDRAWN and view(harness).text == ""
    late = harness.join("Ben", code=CODE, outside=True)
    harness.run(0.5)
    assert late.ended == Over("This invitation was withdrawn. Ask the host for a new one.", failed=True)
    assert late.received[-1] == m.JoinRejected("This invitation was withdrawn. Ask the host for a new one.", "other")
    friend.cut(7)
    harness.run(12)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]
    assert harness.host.outside == [e.OpenOutside()]
    friend.leave()
    harness.run(HOLD_OUTSIDE_NS / SECOND + 10)
    assert harness.host.outside == [e.OpenOutside(), e.CloseOutside()]
    assert harness.host.snapshot().invitation is None


def test_the_outside_port_waits_for_a_lost_member() -> None:
    harness = invited()
    friend = harness.join("Ana", code=CODE, outside=True)
    harness.run(0.5)
    harness.command(WithdrawInvitation())
    friend.cut()
    harness.run(HOLD_OUTSIDE_NS / SECOND)
    assert harness.host.outside == [e.OpenOutside()]
    harness.run(10)
    assert harness.host.outside == [e.OpenOutside(), e.CloseOutside()]


def test_what_is_withdrawn_twice_is_an_error() -> None:
    harness = invited()
    harness.command(WithdrawInvitation(), WithdrawInvitation())
    assert harness.host.events("error")[-1].fields["code"] == Code.NO_INVITATION


def test_a_removed_friend_does_not_return_by_the_same_line() -> None:
    """It has another name and another address, which it can change, and a second membership, which it has left open."""
    harness = invited()
    other = harness.join("Cleo", code=CODE, outside=True)
    second = harness.join("Bob", code=CODE, outside=True, ip="45.40.1.9")
    harness.join("Ana", code=CODE, outside=True, ip="45.40.1.9")
    harness.run(0.5)
    second.cut()
    harness.run(DEAD_NS / SECOND + 2)
    harness.command(DropPeer("Ana"))
    assert view(harness).state is InvitationState.WITHDRAWN
    again = harness.join("Dora", code=CODE, outside=True, ip="45.40.1.1")
    harness.run(0.5)
    assert again.ended == Over("This invitation was withdrawn. Ask the host for a new one.", failed=True)
    second.repair()
    harness.run(20)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Cleo"]
    assert other.ended is None


def test_a_machine_of_the_house_that_is_removed_changes_no_invitation() -> None:
    harness = invited()
    harness.join("Ana")
    harness.run(0.5)
    harness.command(DropPeer("Ana"))
    assert view(harness).state is InvitationState.OPEN


def test_one_machine_on_the_internet_does_not_make_an_invitation_void() -> None:
    """It has all addresses of a /64, and the guesses of some homes together are more than a room's code permits."""
    harness = invited()
    door = OutsideDoor(CODE, harness.host.core._parts.outbox)
    tried = [door.begin(number, f"2001:db8:0:1::{number:x}", now_ns=SECOND) for number in range(1, 200)]
    assert tried[:FREE_GUESSES] == [""] * FREE_GUESSES and set(tried[FREE_GUESSES:]) == {LATER}
    for number in range(200, 400):
        assert door.begin(number, f"45.32.{number // 200}.{number % 200}", now_ns=SECOND) == ""
        door.wrong(number, now_ns=SECOND)
    assert door.begin(1000, "45.40.1.1", now_ns=SECOND) == ""
    for number in range(2000, 2000 + MAX_INVITATION_GUESSES):
        door.begin(number, f"45.{number >> 8}.{number & 255}.1", now_ns=SECOND)
    assert door.begin(1, "45.41.1.1", now_ns=SECOND) == NEVER


def test_a_machine_of_another_version_does_not_learn_who_was_removed() -> None:
    harness = invited()
    friend = harness.join("Ana", code=CODE, outside=True)
    harness.run(0.5)
    harness.command(DropPeer("Ana"))
    warned = len(harness.host.events("warning"))
    conn = 1000
    harness.host.accept(conn, ip=friend.ip, outside=True)
    harness.host.receive(conn, m.JoinRequest("Ana", m.PROTOCOL_VERSION + 1))
    sent = [one.message for one in harness.host.of(e.Send) if one.conn == conn]
    [told] = [message for message in sent if isinstance(message, m.JoinRejected)]
    assert told.kind == "other" and "version" in told.reason
    assert len(harness.host.events("warning")) == warned


@pytest.mark.parametrize(
    ("ip", "far"),
    [
        ("45.40.1.1", True),
        ("45.32.1.1", False),  # this house's own router, which has sent the packets back
        ("192.168.1.7", False),
        ("127.64.1.2", True),  # by the bridge
        ("2001:db8::1", False),  # an address for documentation, which is none of the internet
        ("2a02:8106:1::7", True),
        ("2a02:8106:2::7", False),
    ],
)
def test_a_friend_in_another_house_is_far_although_it_reports_no_delay(ip: str, far: bool) -> None:
    harness = SessionHarness()
    harness.command(Invite(CODE), dataclasses.replace(PLACES, candidates=(HOME, Candidate("2a02:8106:2::1", 17404))))
    harness.join("Ana", code=CODE, outside=True, ip=ip)
    harness.run(2)
    assert [peer.far for peer in harness.host.snapshot().peers] == [far]


@pytest.mark.parametrize("nat", Nat)
def test_each_verdict_has_a_sentence_and_what_helps(nat: Nat) -> None:
    for problem in ("", *PROBLEMS):
        shut = way_sentence(InvitationState.OPEN, InvitationPlaces((HOME,), nat, problem, port=17404), 17402)
        assert isinstance(shut, Message) and shut.count(".") == 2 and "{" not in shut
    by_hand = InvitationPlaces((HOME,), Nat.HOME, "no_answer", port=17404, given="45.32.1.9")
    hoped = str(way_sentence(InvitationState.OPEN, by_hand, 17402))
    assert hoped == "Whether 45.32.1.9 leads to this machine is known when a friend comes in."
    let_in = way_sentence(InvitationState.OPEN, InvitationPlaces((HOME,), nat, reachable=True), 17402)
    assert "let" in let_in or nat is Nat.PUBLIC


def test_a_peer_that_knows_the_beginning_of_the_session_joins_no_other() -> None:
    harness = invited()
    for session, joins in ((harness.host.core.session_id[:4], True), (b"abcd", False)):
        peer = harness.join("Ana", code=CODE, outside=True, session=session)
        harness.run(0.5)
        assert (peer.ended is None) is joins
