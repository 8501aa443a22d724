"""A host that moves to another address, and friends elsewhere that learn where it is, without sockets."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.invitation import Candidate, Invitation, Nat
from phaselock.model.notices import Code
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import InvitationPlaces, Invite, ReturnBy
from phaselock.session.peer.absence import WANTED_CALLED_NS, WANTED_NS
from phaselock.session.states import DEAD_NS, HOLD_NS, HOLD_OUTSIDE_NS
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import SECOND

CODE = "4829134471"
OWN = Candidate("192.168.1.42", 17404, 17402)
OLD, NEW = Candidate("45.32.1.1", 17401, 17403), Candidate("45.32.1.9", 17401, 17402)
AT_OLD = m.HostPlaces((m.HostPlace("192.168.1.42", 17404, 17402), m.HostPlace("45.32.1.1", 17401, 17403)))
AT_NEW = m.HostPlaces((m.HostPlace("192.168.1.42", 17404, 17402), m.HostPlace("45.32.1.9", 17401, 17402)))


def places(*candidates: Candidate, reachable: bool = True) -> InvitationPlaces:
    return InvitationPlaces(candidates, Nat.HOME, reachable=reachable, port=17404)


def with_friend(ip: str = "45.40.1.1") -> tuple[SessionHarness, HarnessPeer]:
    harness = SessionHarness()
    harness.command(Invite(CODE), places(OWN, OLD))
    friend = harness.join("Ana", code=CODE, outside=True, reached="45.32.1.1", ip=ip)
    harness.run(2)
    return harness, friend


def calls(harness: SessionHarness) -> list[e.CallBack]:
    return [effect for effect in harness.host.outside if isinstance(effect, e.CallBack)]


def test_a_friend_is_told_the_places_when_it_joins_and_when_they_change() -> None:
    harness, friend = with_friend()
    assert friend.told(m.HostPlaces) == [AT_OLD] and friend.awaits_call
    harness.command(places(OWN, OLD), places(OWN, NEW))
    harness.run(1)
    assert friend.told(m.HostPlaces) == [AT_OLD, AT_NEW]
    assert friend.used_places == [e.UsePlaces((OWN, OLD)), e.UsePlaces((OWN, NEW))]


def test_a_member_of_the_house_is_told_nothing_of_that() -> None:
    harness, _ = with_friend()
    member = harness.join("Ben")
    harness.run(1)
    harness.command(places(OWN, NEW))
    harness.run(1)
    assert not member.told(m.HostPlaces) and not member.awaits_call


@pytest.mark.parametrize("reached", ["192.168.1.42", "100.64.1.1", "127.0.0.1", "", "fd00::1"])
def test_a_friend_on_the_same_network_awaits_no_call(reached: str) -> None:
    harness = SessionHarness()
    harness.command(Invite(CODE), places(OWN, OLD))
    friend = harness.join("Ana", code=CODE, outside=True, reached=reached)
    harness.run(1)
    assert friend.told(m.HostPlaces) and not friend.awaits_call


def test_a_lost_friend_is_called_and_returns_at_once() -> None:
    harness, friend = with_friend()
    friend.call(friend.core.call_back_at, 40404)
    harness.run(1)
    friend.cut()
    harness.run(DEAD_NS / SECOND + 2)
    (call,) = calls(harness)
    assert (call.peer_id, call.ip, call.port, call.message) == (1, friend.ip, 40404, AT_OLD)
    harness.command(places(OWN, NEW))
    assert calls(harness)[1].message == AT_NEW
    friend.repair()
    friend.call(friend.core.called, AT_NEW)
    assert friend.used_places[-1] == e.UsePlaces((OWN, NEW))
    harness.run(4)
    assert friend.events("joined")[-1].fields["again"]


def test_a_call_ends_the_pause_before_the_next_attempt() -> None:
    harness, friend = with_friend()
    friend.cut()
    harness.run(DEAD_NS / SECOND + 0.1)
    connects = friend.connects
    while friend.connects == connects:
        harness.run(0.05)
    harness.run(2.05)
    connects = friend.connects
    friend.call(friend.core.called, AT_NEW)
    assert friend.connects == connects + 1
    friend.call(friend.core.called, AT_NEW)
    assert friend.connects == connects + 1, "one attempt at a time"


def test_a_port_that_changes_while_the_host_is_lost_is_told_on_return() -> None:
    harness, friend = with_friend()
    friend.cut()
    harness.run(DEAD_NS / SECOND + 1)
    friend.call(friend.core.call_back_at, 40405)
    friend.repair()
    harness.run(5)
    friend.cut()
    harness.run(DEAD_NS / SECOND + 2)
    assert calls(harness)[-1].port == 40405


@pytest.mark.parametrize("ip", ["192.168.1.1", "127.64.1.2", "fd00::1", "::1"])
def test_a_member_lets_the_host_connect_to_no_machine_of_its_own_house(ip: str) -> None:
    harness, friend = with_friend(ip)
    harness.host.receive(friend.conn, m.CallBackAt(5000))
    friend.cut()
    harness.run(DEAD_NS / SECOND + 2)
    assert calls(harness) == []


def test_a_friend_without_a_port_is_not_called() -> None:
    harness, friend = with_friend()
    friend.cut()
    harness.run(DEAD_NS / SECOND + 2)
    harness.command(places(OWN, NEW))
    assert not calls(harness)


def wanted(friend: HarnessPeer) -> int:
    return [event.fields["code"] for event in friend.events("warning")].count(Code.INVITATION_WANTED)


@pytest.mark.parametrize(("port", "after_ns"), [(0, WANTED_NS), (40404, WANTED_CALLED_NS)])
def test_a_friend_that_waits_for_its_host_in_vain_asks_once_for_a_newer_invitation(port: int, after_ns: int) -> None:
    harness, friend = with_friend()
    if port:
        friend.call(friend.core.call_back_at, port)
    friend.cut()
    harness.run(after_ns / SECOND)
    assert not wanted(friend) and not friend.core.snapshot().invitation_wanted
    harness.run(DEAD_NS / SECOND + 40)
    assert wanted(friend) == 1 and friend.core.snapshot().invitation_wanted
    friend.repair()
    harness.run(8)
    assert friend.events("joined")[-1].fields["again"] and not friend.core.snapshot().invitation_wanted


def test_a_member_of_the_house_asks_for_no_invitation() -> None:
    harness, _ = with_friend()
    member = harness.join("Ben")
    member.cut()
    harness.run(HOLD_NS / SECOND - 5)
    assert not wanted(member)


def test_a_newer_invitation_continues_the_membership() -> None:
    harness, friend = with_friend()
    friend.cut()
    harness.run(DEAD_NS / SECOND + WANTED_NS / SECOND + 1)
    assert friend.core.snapshot().invitation_wanted
    newest = Invitation((NEW,), CODE, m.PROTOCOL_VERSION, harness.host.core.session_id[:4])
    friend.repair()
    friend.call(friend.core.command, ReturnBy(newest))
    assert friend.used_places[-1] == e.UsePlaces((NEW,)) and not friend.core.snapshot().invitation_wanted
    harness.run(4)
    joined = friend.events("joined")[-1].fields
    assert joined["again"] and joined["peer_id"] == 1
    used = len(friend.used_places)
    for invitation, code in (
        (newest, Code.INVITATION_HERE),
        (dataclasses.replace(newest, session=b"none"), Code.INVITATION_ELSEWHERE),
        (dataclasses.replace(newest, session=b""), Code.INVITATION_ELSEWHERE),
    ):
        friend.call(friend.core.command, ReturnBy(invitation))
        assert friend.events("error")[-1].fields["code"] == code
    assert len(friend.used_places) == used


def test_a_wanted_invitation_that_does_not_help_is_wanted_again() -> None:
    harness, friend = with_friend()
    friend.cut()
    harness.run(DEAD_NS / SECOND + WANTED_NS / SECOND + 1)
    friend.call(
        friend.core.command, ReturnBy(Invitation((NEW,), CODE, m.PROTOCOL_VERSION, harness.host.core.session_id[:4]))
    )
    harness.run(WANTED_NS / SECOND - 1)
    assert wanted(friend) == 1
    harness.run(2)
    assert wanted(friend) == 2


def test_places_that_lead_to_the_friend_itself_are_not_used() -> None:
    _, friend = with_friend()
    used = len(friend.used_places)
    for address in ("127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "example.org", ""):
        friend.call(friend.core.called, m.HostPlaces((m.HostPlace(address, 17401),)))
    assert len(friend.used_places) == used


def test_a_refused_connection_says_nothing_to_a_friend_elsewhere() -> None:
    """A router that has just started refuses them, and so does another machine with the same private address."""
    harness, friend = with_friend()
    friend.cut()
    harness.run(DEAD_NS / SECOND + 1)
    friend.call(friend.core.connect_failed, "refused", refused=True)
    assert friend.ended is None


def test_a_friend_elsewhere_waits_longer_for_its_host() -> None:
    harness, friend = with_friend()
    friend.cut()
    harness.run(HOLD_NS / SECOND + 20)
    assert friend.ended is None
    harness.run((HOLD_OUTSIDE_NS - HOLD_NS) / SECOND)
    assert friend.ended is not None


@pytest.mark.parametrize(
    ("reached", "counts"),
    [("45.32.1.1", True), ("192.168.1.42", False), ("100.64.1.2", False), ("2a02::1", False), ("", False)],
)
def test_a_friend_that_came_in_at_a_public_address_shows_that_it_can_be_reached(reached: str, counts: bool) -> None:
    harness = SessionHarness()
    harness.command(Invite(CODE), places(OWN, reachable=False))
    harness.join("Ana", code=CODE, outside=True, reached=reached)
    harness.run(1)
    assert (e.ReachedAt(reached) in harness.host.outside) is counts
    view = harness.host.snapshot().invitation
    assert view is not None and view.reachable is counts
    assert (reached in view.sentence) is counts or not reached
    assert bool(harness.host.events("invitation")[-1].fields["reachable"]) is counts
    harness.command(places(OWN, NEW, reachable=False))
    view = harness.host.snapshot().invitation
    assert view is not None and not view.reachable
