"""A friend elsewhere and its invitation at the next host, without sockets."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.address import own_outside_port
from phaselock.model.heritage import Cause, HeirInvitation, Heritage
from phaselock.model.invitation import Candidate, InvitationState, Nat
from phaselock.protocol import messages as m
from phaselock.protocol.proof import JOIN
from phaselock.session import effects as e
from phaselock.session.commands import DropPeer, HandOver, InvitationPlaces, Invite, WithdrawInvitation
from phaselock.session.host.invitation import WITHDRAWN
from phaselock.session.host.session import HostSession
from phaselock.session.states import DEAD_NS, HOLD_OUTSIDE_NS
from tests.support.heirs import a_line, key_of, line_at
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import HOST_KEY, SECOND

CODE = "4829134471"
OWN, PUBLIC = Candidate("192.168.1.42", 17404), Candidate("45.32.1.1", 17401, 17403)
AT_HOST = InvitationPlaces((OWN, PUBLIC), Nat.OPEN, reachable=True, port=17404)
NEW_CONN = 1001
FRIEND_IP = "45.40.1.1"


def with_friend(*names: str) -> tuple[SessionHarness, list[HarnessPeer], HarnessPeer]:
    """A line, and a friend elsewhere who has come in by an invitation."""
    harness, peers = a_line(*names)
    harness.command(Invite(CODE), AT_HOST)
    friend = harness.join("Zoë", code=CODE, outside=True, reached="45.32.1.1", ip=FRIEND_IP)
    harness.run(3)
    return harness, peers, friend


def heritage_of(harness: SessionHarness, peer: HarnessPeer) -> Heritage:
    """What this peer knows when the host is lost for good."""
    harness.run(2)
    me = next(one for one in line_at(peer).successors if one.name == peer.name)
    peer.call(peer.core.received, m.HostMoved(me, 1, (HOST_KEY, me.host_key)))
    (taken,) = peer.of(e.TakeOver)
    return taken.heritage


def took_over(harness: SessionHarness, peer: HarnessPeer) -> tuple[HostSession, list[e.Effect]]:
    """The session of this peer after it has taken over, and what it did first."""
    heritage = heritage_of(harness, peer)
    core = HostSession.from_heritage(
        heritage, clock_port=17402, token_factory=lambda: b"t" * 16, host_key=heritage.me.host_key
    )
    return core, core.took_over(peer.of(e.TakeOver)[0].cause, now_ns=harness.host.now_ns)


def invitation_of(core: HostSession) -> tuple[InvitationState, str] | None:
    """Its state and its code."""
    view = core.snapshot().invitation
    return (view.state, core._parts.invitation.door.code) if view is not None else None


def greeted(friend: HarnessPeer, key: bytes) -> list[e.Effect]:
    """What the friend, who has lost its host, does when a machine with this key answers."""
    friend.cut()
    friend.simulation.run(DEAD_NS / SECOND + 1)
    connects = friend.connects
    while friend.connects == connects:
        friend.simulation.run(0.05)
    info = m.SessionInfo(m.PROTOCOL_VERSION, friend.core.session_id, "", "", (), 0)
    effects = friend.core.connected(key, "45.32.1.1", now_ns=friend.now_ns)
    return [*effects, *friend.core.received(info, now_ns=friend.now_ns)]


def joins(effects: list[e.Effect]) -> list[m.JoinRequest]:
    return [one.message for one in effects if isinstance(one, e.Send) and isinstance(one.message, m.JoinRequest)]


def test_a_friend_is_told_where_the_next_hosts_would_be() -> None:
    harness, (ana, ben), friend = with_friend("Ana", "Ben")
    ports = [own_outside_port(key_of(one)) for one in (ana, ben)]
    expected = tuple(m.HostPlace("45.32.1.1", port, port) for port in ports)
    assert friend.told(m.HostPlaces)[-1].heirs == expected
    assert friend.used_places[-1].heirs == tuple(Candidate("45.32.1.1", port, port) for port in ports)
    ben.crash()
    harness.run(2)
    assert friend.told(m.HostPlaces)[-1].heirs == expected[:1]
    assert not ana.told(m.HostPlaces)


@pytest.mark.parametrize(
    ("address", "is_told"), [("2a02:c207::3", True), ("fd00::3", False), ("::1", False), ("10.0.0.3", False)]
)
def test_a_public_ipv6_address_of_the_next_host_is_told(address: str, is_told: bool) -> None:
    harness, (ana,), friend = with_friend("Ana")
    ana.call(ana.core.stands_by, 17401, 17402, key_of(ana), (address,))
    harness.run(11)
    assert (m.HostPlace(address, 17404) in friend.told(m.HostPlaces)[-1].heirs) is is_told


def test_the_invitation_holds_at_the_next_host() -> None:
    harness, (ana,), _ = with_friend("Ana")
    core, effects = took_over(harness, ana)
    assert e.OpenOutside() in effects
    assert invitation_of(core) == (InvitationState.OPENING, CODE)
    (taken,) = ana.of(e.TakeOver)
    assert taken.heritage.settings.invitation == HeirInvitation(CODE, port=17401, clock_port=17403)


def test_without_an_invitation_nothing_is_opened() -> None:
    harness, (ana,) = a_line("Ana")
    core, effects = took_over(harness, ana)
    assert e.OpenOutside() not in effects and invitation_of(core) is None


def test_a_withdrawn_invitation_stays_withdrawn_and_its_friends_may_return() -> None:
    harness, (ana,), friend = with_friend("Ana")
    harness.command(WithdrawInvitation())
    core, effects = took_over(harness, ana)
    assert e.OpenOutside() in effects and invitation_of(core) == (InvitationState.WITHDRAWN, "")
    now_ns = harness.host.now_ns
    core.connected(NEW_CONN, "45.41.1.1", True, now_ns=now_ns)
    core.received(NEW_CONN, m.JoinRequest("Mallory", m.PROTOCOL_VERSION), now_ns=now_ns)
    _, effects = core.begin_pairing(NEW_CONN, now_ns=now_ns)
    assert e.Send(NEW_CONN, m.JoinRejected(WITHDRAWN)) in effects
    (join,) = joins(greeted(friend, key_of(ana)))
    assert accepted(core, join, harness.host.now_ns).peer_id == 2
    core.timer(now_ns=harness.host.now_ns)
    assert invitation_of(core) is not None


def accepted(core: HostSession, join: m.JoinRequest, now_ns: int) -> m.JoinAccepted:
    """The answer of a new host to a friend who comes in by the outside port."""
    conn = NEW_CONN + 1
    core.connected(conn, FRIEND_IP, True, now_ns=now_ns)
    effects = core.received(conn, join, now_ns=now_ns)
    (answer,) = [one.message for one in effects if isinstance(one, e.Send) and isinstance(one.message, m.JoinAccepted)]
    return answer


def test_a_withdrawn_invitation_ends_when_its_friends_do_not_return() -> None:
    harness, (ana,), _ = with_friend("Ana")
    harness.command(WithdrawInvitation())
    core, _ = took_over(harness, ana)
    now_ns = harness.host.now_ns
    core.timer(now_ns=now_ns + 2 * SECOND)
    assert invitation_of(core) is not None
    effects = core.timer(now_ns=now_ns + HOLD_OUTSIDE_NS)
    assert e.CloseOutside() in effects and invitation_of(core) is None


def test_a_withdrawn_invitation_without_friends_is_none() -> None:
    harness, (ana,), friend = with_friend("Ana")
    friend.leave()
    harness.command(WithdrawInvitation())
    core, effects = took_over(harness, ana)
    assert e.OpenOutside() not in effects and invitation_of(core) is None


def test_wrong_guesses_count_at_the_next_host() -> None:
    harness, (ana,), _ = with_friend("Ana")
    harness.host.core._parts.invitation.door.inherit(CODE, 9_999)
    core, _ = took_over(harness, ana)
    now_ns = harness.host.now_ns
    for conn, ip in ((NEW_CONN, "45.41.1.1"), (NEW_CONN + 1, "45.42.1.1")):
        core.connected(conn, ip, True, now_ns=now_ns)
        core.received(conn, m.JoinRequest("Mallory", m.PROTOCOL_VERSION), now_ns=now_ns)
    assert core.begin_pairing(NEW_CONN, now_ns=now_ns)[0] == CODE
    assert core.begin_pairing(NEW_CONN + 1, now_ns=now_ns)[0] == ""


@pytest.mark.parametrize("name", ["Ana", "Ben"])
def test_a_friend_returns_to_the_machine_of_the_line_that_answers(name: str) -> None:
    """With its number, its name and its proof. It cannot know which one the others have chosen."""
    harness, peers, friend = with_friend("Ana", "Ben")
    new = next(one for one in peers if one.name == name)
    core, _ = took_over(harness, new)
    (join,) = joins(greeted(friend, key_of(new)))
    answer = accepted(core, join, harness.host.now_ns)
    assert (answer.peer_id, answer.display_name) == (3, "Zoë")
    friend.call(friend.core.received, answer)
    assert friend.events("host_changed")[-1].fields["cause"] == "host_lost"
    assert friend.events("joined")[-1].fields["moved"] is True
    assert friend.events("joined")[-1].fields["again"]


def test_a_friend_goes_on_at_the_host_that_it_is_told_of() -> None:
    harness, (ana,), friend = with_friend("Ana")
    used = friend.used_places[-1]
    harness.command(HandOver("Ana"))
    harness.run(1)
    assert friend.of(e.FollowHost) and friend.used_places[-1] == used
    assert friend.core.may_be_host(key_of(ana)) and not friend.core.may_be_host(b"?" * 32)


def test_no_machine_of_the_line_is_the_host_while_the_host_is_heard() -> None:
    harness, (ana,), friend = with_friend("Ana")
    assert not friend.core.may_be_host(key_of(ana))
    friend.cut()
    harness.run(DEAD_NS / SECOND + 1)
    assert friend.core.may_be_host(key_of(ana)) and not ana.core.may_be_host(key_of(ana))


def test_a_friend_takes_no_other_machine_for_the_host() -> None:
    _, _, friend = with_friend("Ana")
    effects = greeted(friend, b"?" * 32)
    assert not joins(effects) and any(isinstance(one, e.Close) for one in effects)
    assert friend.ended is None


def test_a_friend_that_met_a_machine_of_the_line_may_still_return_to_its_host() -> None:
    harness, (ana,), friend = with_friend("Ana")
    assert joins(greeted(friend, key_of(ana)))
    friend.call(friend.core.disconnected, "closed")
    effects = friend.core.connected(HOST_KEY, "45.32.1.1", now_ns=friend.now_ns)
    info = m.SessionInfo(m.PROTOCOL_VERSION, friend.core.session_id, "", "", (), 0)
    (join,) = joins([*effects, *friend.core.received(info, now_ns=friend.now_ns)])
    assert friend.core._seat.moved is None
    host = harness.host.core._parts.admission
    assert host._returning(join) or host.member(join.peer_id, join.proof, JOIN)


def test_another_machine_at_the_address_of_a_host_that_was_announced_ends_nothing() -> None:
    harness, (ana,) = a_line("Ana")
    ana.core._seat.announced_key = HOST_KEY[:4]
    assert not joins(greeted(ana, b"?" * 32)) and ana.ended is None


def test_a_peer_of_the_house_does_not_take_who_answers_for_the_host() -> None:
    _, (ana, ben), _ = with_friend("Ana", "Ben")
    assert not joins(greeted(ana, key_of(ben)))


def test_a_friend_who_can_be_called_is_called_by_the_next_host() -> None:
    harness, (ana,), friend = with_friend("Ana")
    friend.call(friend.core.call_back_at, 40404)
    core, _ = took_over(harness, ana)
    new = dataclasses.replace(AT_HOST, candidates=(Candidate("45.32.1.1", 20_001, 20_001),))
    effects = core.command(new, now_ns=harness.host.now_ns)
    at_new = m.HostPlaces((m.HostPlace("45.32.1.1", 20_001, 20_001),))
    assert [one for one in effects if isinstance(one, e.CallBack)] == [e.CallBack(2, FRIEND_IP, 40404, at_new)]


def test_a_friend_who_was_removed_at_the_next_host_returns_by_no_earlier_membership() -> None:
    harness, (ana,), friend = with_friend("Ana")
    friend.call(friend.core.call_back_at, 40404)
    harness.run(0.1)
    friend.crash()
    again = harness.join("Zoë", code=CODE, outside=True, reached="45.32.1.1", ip=FRIEND_IP)
    harness.run(2)
    core, _ = took_over(harness, ana)
    (join,) = joins(greeted(again, key_of(ana)))
    now_ns = harness.host.now_ns
    name = accepted(core, join, now_ns).display_name
    core.command(DropPeer(name), now_ns=now_ns)
    assert not [one for one in core._parts.admission.departed if one.outside]


@pytest.mark.parametrize("ip", ["", "nonsense"])
def test_a_host_that_tells_no_address_of_a_member_can_be_followed(ip: str) -> None:
    harness, (ana,), _ = with_friend("Ana")
    heritage = heritage_of(harness, ana)
    members = tuple(dataclasses.replace(one, ip=ip) for one in heritage.members)
    core = HostSession.from_heritage(
        dataclasses.replace(heritage, members=members),
        clock_port=17402,
        token_factory=lambda: b"t" * 16,
        host_key=heritage.me.host_key,
    )
    core.took_over(Cause.HOST_LOST, now_ns=harness.host.now_ns)
    assert len(core._parts.admission.departed) == 2


def test_who_asks_for_the_host_at_the_outside_port_learns_nothing() -> None:
    harness, _, _ = with_friend("Ana")
    effects = harness.host.core.connected(NEW_CONN, "45.41.1.1", True, now_ns=harness.host.now_ns)
    effects = harness.host.core.received(
        NEW_CONN, m.HostSeek(harness.host.core.session_id, 1), now_ns=harness.host.now_ns
    )
    assert [type(one) for one in effects if getattr(one, "conn", 0) == NEW_CONN] == [e.Close]
