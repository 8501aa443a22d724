"""What a host tells and believes of other machines that say that they are the host of its session."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.heritage import Claim, Election, HostContact
from phaselock.protocol import messages as m
from phaselock.protocol.proof import JOIN, SEEKER, membership_proof
from phaselock.session import effects as e
from phaselock.session.claims import host_proof, loss_vote
from phaselock.session.commands import (
    DropPeer,
)
from tests.support.heirs import LIAR, a_line, key_of, liar_contact, line_at, successor_of
from tests.support.raw_member import RawMember
from tests.support.session_harness import SessionHarness
from tests.support.simulation import HOST_KEY


def test_who_asks_a_host_is_told_and_sent_away() -> None:
    harness, (ana, _) = a_line("Ana", "Ben")
    conn = harness.open_connection()
    harness.host.receive(conn, m.HostSeek(harness.host.core.session_id, 1))
    (answer,) = [one.message for one in harness.host.of(e.Send) if one.conn == conn and type(one.message) is m.HostTold]
    assert (answer.sight, answer.host.host_key, answer.claim.chain) == ("host", HOST_KEY, (HOST_KEY,))
    token = ana.core._parts.succession.membership(1).tokens[-1][2]
    assert answer.member_proof == membership_proof(token, SEEKER, HOST_KEY)
    other = harness.open_connection()
    harness.host.receive(other, m.HostSeek(b"?" * 16, 1))
    closed = [one.conn for one in harness.host.of(e.Close)]
    assert closed[-2:] == [conn, other]
    assert not [one for one in harness.host.of(e.Send) if one.conn == other and type(one.message) is m.HostTold]


@pytest.mark.parametrize("chain", [(LIAR,), (LIAR, LIAR), (HOST_KEY, LIAR)])
@pytest.mark.parametrize("alone", [False, True])
def test_a_host_gives_way_to_no_claim_that_it_cannot_check(chain: tuple[bytes, ...], alone: bool) -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    if alone:
        ana.cut()
        ben.cut()
        harness.run(12)
    vote = loss_vote(1, b"guessed token 16", 0, HOST_KEY, line_at(ben).successors, LIAR)
    elections = (Election(1, 2, (vote, vote)),)
    claim = Claim(len(chain) - 1, chain, (0,) * len(chain), has_members=True, elections=elections)
    conn = harness.open_connection()
    without = dataclasses.replace(claim, elections=())
    harness.host.receive(conn, m.HostSeek(harness.host.core.session_id, 1, None, without, liar_contact()))
    asked = [one for one in harness.host.of(e.AskHost) if one.contact.host_key == LIAR]
    for ask in asked:
        answer = m.HostTold("host", host=liar_contact(), claim=claim, gives_way=False)
        harness.host.call(harness.host.core.told, ask.number, answer)
    assert not harness.host.of(e.FollowHost)
    assert bool(asked) is (HOST_KEY in chain)


def test_a_host_that_is_alone_gives_way_to_no_votes_of_former_members() -> None:
    """A machine has joined twice, and was lost twice. Then the others have left."""
    harness, (ana, ben) = a_line("Ana", "Ben")
    line, votes = line_at(ben), []
    for name in ("Liar", "Lira"):
        former = RawMember(harness, name, "10.0.0.66")
        former.report()
        assert former.accepted is not None
        about = former.accepted.peer_id, former.accepted.token
        votes.append(loss_vote(*about, 0, HOST_KEY, line.successors, LIAR))
        harness.host.connection_lost(former.conn, "reset")
    ana.leave()
    ben.leave()
    harness.run(1)
    assert not len(harness.host.core._parts.members)
    claim = Claim(1, (HOST_KEY, LIAR), (0, 0), has_members=True, elections=(Election(1, 2, tuple(votes)),))
    without = dataclasses.replace(claim, elections=())
    conn = harness.open_connection()
    harness.host.receive(conn, m.HostSeek(harness.host.core.session_id, 1, None, without, liar_contact()))
    (*_, ask) = harness.host.of(e.AskHost)
    harness.host.call(
        harness.host.core.told, ask.number, m.HostTold("host", host=liar_contact(), claim=claim, gives_way=False)
    )
    assert not harness.host.of(e.FollowHost)


def test_a_host_asks_few_machines_that_only_claim() -> None:
    harness, _ = a_line("Ana", "Ben")
    claim = Claim(1, (HOST_KEY, LIAR), (0, 0), has_members=True)
    for _ in range(20):
        conn = harness.open_connection()
        harness.host.receive(conn, m.HostSeek(harness.host.core.session_id, 1, None, claim, liar_contact()))
    assert len(harness.host.of(e.AskHost)) == 1


def announced(harness: SessionHarness, key: bytes) -> list[e.AskHost]:
    """A host of this session with this key is announced. All questions so far to machines of keys that begin so."""
    harness.host.call(harness.host.core.met, "10.0.0.66", 17401, key[:16])
    harness.host.call(harness.host.core.timer)
    return [one for one in harness.host.of(e.AskHost) if one.contact.host_key == key[:16]]


@pytest.mark.parametrize("proves", [False, True])
def test_a_host_asks_an_announced_one_that_it_does_not_know_and_believes_only_its_proof(proves: bool) -> None:
    harness, (ana,) = a_line("Ana")
    new = successor_of(harness, ana)
    effects = new.met("10.0.0.66", 17401, LIAR[:16], now_ns=harness.host.now_ns)
    effects += new.timer(now_ns=harness.host.now_ns)
    (ask,) = [one for one in effects if isinstance(one, e.AskHost) and one.contact.host_key == LIAR[:16]]
    claim = Claim(1, (HOST_KEY, LIAR), (0, 0), has_members=True)
    proof = host_proof(harness.host.core._parts.reign._lineage.secret if proves else b"guess of secret!", LIAR)
    told = m.HostTold("host", host=liar_contact(), claim=claim, gives_way=False, proof=proof)
    follows = [one.host for one in new.told(ask.number, told, now_ns=harness.host.now_ns) if type(one) is e.FollowHost]
    assert [(one.host_key, one.addresses) for one in follows] == [(LIAR, ("10.0.0.66",))] * proves


def test_an_announced_host_with_another_key_is_not_believed() -> None:
    harness, _ = a_line("Ana", "Ben")
    (ask,) = announced(harness, b"other".ljust(32, b"o"))
    claim = Claim(0, (LIAR,), (0,), has_members=True)
    harness.host.call(harness.host.core.told, ask.number, m.HostTold("host", host=liar_contact(), claim=claim))
    assert not harness.host.of(e.FollowHost)


def test_each_of_many_announced_hosts_is_asked_but_slowly() -> None:
    harness, _ = a_line("Ana", "Ben")
    before = len(harness.host.of(e.AskHost))
    keys = [bytes([number, 1]).ljust(32, b"x") for number in range(40)]
    for key in keys * 2:
        announced(harness, key)
    assert len(harness.host.of(e.AskHost)) == before + 1
    harness.run(5)
    assert len(harness.host.of(e.AskHost)) <= before + 1 + 5 * 4
    harness.run(6)
    assert {one.contact.host_key for one in harness.host.of(e.AskHost)[before:]} == {key[:16] for key in keys}


@pytest.mark.parametrize("removed", [False, True])
def test_a_host_gives_way_to_no_earlier_one_that_its_user_has_removed(removed: bool) -> None:
    harness, (ana, _) = a_line("Ana", "Ben")
    settings = ana.core._parts.succession.estate.settings
    assert settings is not None
    new, now_ns = successor_of(harness, ana), harness.host.now_ns
    new.connected(1, "10.0.0.1", now_ns=now_ns)
    proof = membership_proof(settings.host_token, JOIN, key_of(ana))
    new.received(1, m.JoinRequest("Hana", m.PROTOCOL_VERSION, settings.host_peer_id, proof), now_ns=now_ns)
    if removed:
        new.command(DropPeer("Hana"), now_ns=now_ns)
    assert len(new._parts.members) == (not removed)
    new.connected(2, "10.0.0.1", now_ns=now_ns)
    claim = Claim(0, (HOST_KEY,), (0,), has_members=True)
    contact = HostContact(0, "Hana", ("10.0.0.1",), 17401, 17402, HOST_KEY)
    effects = new.received(2, m.HostSeek(new.session_id, 0, None, claim, contact), now_ns=now_ns)
    (ask,) = [one for one in effects if isinstance(one, e.AskHost) and one.contact == contact]
    told = m.HostTold("host", host=contact, claim=claim, gives_way=False)
    follows = [one for one in new.told(ask.number, told, now_ns=now_ns) if isinstance(one, e.FollowHost)]
    assert bool(follows) is not removed


def test_a_host_remembers_few_keys_of_machines_that_only_claim() -> None:
    harness, (ana,) = a_line("Ana")
    reign = harness.host.core._parts.reign
    for number in range(400):
        key = number.to_bytes(32, "big")
        contact = dataclasses.replace(liar_contact(), host_key=key)
        reign.reunion.ask(contact)
        told = m.HostTold("host", host=contact, claim=Claim(0, (key,), (0,), has_members=True))
        harness.host.call(harness.host.core.told, reign.reunion._last_number, told)
        member = dataclasses.replace(harness.host.core._parts.members.members[ana.conn], peer_id=number + 2)
        reign.succession.stands_by(member, m.StandingBy(1, 1, key))
    assert len(reign.reunion._verdicts) == 64
    assert len(reign.succession.keys) == 256
