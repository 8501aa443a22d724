"""The line of succession and the heritage at the host, and what a peer believes of another host."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.heritage import Claim, Election, HeirBar, HostContact, Hosting
from phaselock.protocol import messages as m
from phaselock.protocol.framing import GREETING_CAP, frame
from phaselock.protocol.proof import JOIN, SEEKER, heir_token, membership_proof
from phaselock.session import effects as e
from phaselock.session.claims import host_proof, loss_vote
from phaselock.session.commands import (
    Add,
    AllowGuest,
    DropPeer,
    HandOver,
    Leave,
    Move,
    Quit,
    RemoveGuest,
    UseFallback,
    VoteFor,
)
from phaselock.session.guest_actions import GuestHere, GuestVotes
from phaselock.session.host import estate
from phaselock.session.host.session import HostSession
from phaselock.session.person_keys import FALLBACK_KEY
from phaselock.session.sentences import QUIT_HINT
from tests.support.heirs import a_line, key_of, line_at, successor_of
from tests.support.raw_member import RawMember
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready
from tests.support.simulation import HOST_KEY, SECOND, a_track
from tests.support.told import reason

LIAR = b"L" * 32


def sizes(peer: HarnessPeer, since: int) -> list[int]:
    updates = [one for one in peer.received[since:] if isinstance(one, m.HeritageUpdate)]
    return [len(frame(one)) for one in updates]


# -- the host ----------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_the_host_knows_where_it_is() -> None:
    harness, peers = ready()
    harness.run(10)
    assert not any(peer.told(m.StandBy) or peer.told(m.SuccessionLine) for peer in peers)


def test_a_session_without_succession_says_nothing_of_it() -> None:
    harness = SessionHarness()
    harness.host.core._parts.reign.succession._is_on = False
    peer = harness.join("Ana")
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(10)
    assert not peer.told(m.StandBy)
    assert not peer.told(m.SuccessionLine)
    harness.command(HandOver(None))
    assert error(harness.host) == f"No other machine may become the host of this jam. {QUIT_HINT}"


def test_three_of_the_willing_peers_are_in_the_line() -> None:
    harness, peers = a_line("Ana", "Ben", "Cleo", "Dan")
    assert [one.name for one in line_at(peers[3]).successors] == ["Ana", "Ben", "Cleo"]
    assert line_at(peers[0]).voters == 4
    assert [bool(peer.told(m.HeritageUpdate)) for peer in peers] == [True, True, True, False]
    assert harness.host.events("successors")[-1].fields["names"] == ["Ana", "Ben", "Cleo"]


def test_a_peer_on_a_cable_comes_first() -> None:
    harness, (ana, ben) = ready("Ana", "Ben")
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(0.1)
    ana.call(ana.core.stands_by, 17401, 17402, key_of(ana), (), False)
    ben.call(ben.core.stands_by, 17401, 17402, key_of(ben), (), True)
    harness.run(0.3)
    assert [one.name for one in line_at(ana).successors] == ["Ben", "Ana"]


def test_a_key_is_once_in_the_line_and_the_hosts_not_at_all() -> None:
    harness, peers = a_line("Ana")
    same, hosts = harness.join("Ben"), harness.join("Cleo")
    harness.run(2.1)
    same.call(same.core.stands_by, 17403, 17404, key_of(peers[0]))
    hosts.call(hosts.core.stands_by, 17405, 17406, HOST_KEY)
    harness.run(11)
    assert [one.name for one in line_at(same).successors] == ["Ana"]
    assert not harness.host.events("peer_left")


def test_a_far_peer_is_not_asked() -> None:
    harness, (ana,) = ready("Ana")
    far = harness.join("Far", delay_ns=40_000_000)
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(5)
    assert ana.told(m.StandBy)
    assert not far.told(m.StandBy)


def test_a_change_costs_a_successor_one_row() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben", tracks=50)
    for change in (Move(harness.host.snapshot().queue[30].id, 3), VoteFor(harness.host.snapshot().queue[9].id, True)):
        since = len(ana.received)
        harness.command(change)
        harness.run(2)
        assert sum(sizes(ana, since)) < 1000
    since = len(ana.received)
    harness.run(5)
    assert not sizes(ana, since)


def test_the_largest_row_is_small() -> None:
    name = "\N{SNOWMAN}" * 60
    harness, (ana, ben) = a_line("Ana", "Ben")
    since = len(ana.received)
    track = a_track(99, file_name=name + ".mp3", title=name, artist=name)
    harness.command(Add(track))
    harness.run(2)
    assert sum(sizes(ana, since)) < 1500


def test_a_successor_learns_no_secret_of_another_member() -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    members = list(harness.host.core._parts.members)
    members[2].outside = True  # its address is that of a home elsewhere
    harness.run(1)
    tokens = {member.peer_id: member.token for member in members}
    told = {one.peer_id: one for update in ana.told(m.HeritageUpdate) for one in update.members}
    assert told.keys() == tokens.keys() - {1}
    assert all(one.token == heir_token(tokens[peer_id], key_of(ana)) for peer_id, one in told.items())
    assert [one.ip for one in told.values()] == [ben.ip, ""]
    members[2].call_back_port = 40404  # it may be called there
    harness.run(1)
    assert ana.told(m.HeritageUpdate)[-1].members[0].ip == cleo.ip


def test_a_crowd_that_came_and_went_does_not_hide_who_was_lost_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estate, "MAX_MEMBERS", 3)
    harness, (ana, _) = a_line("Ana", "Ben")
    for name in ("Crowd", "Dan"):
        member = RawMember(harness, name, "10.0.0.66")
        member.report()
        harness.host.connection_lost(member.conn, "reset")
        harness.run(1)
    names = {one.name for one in ana.core._parts.succession.estate.members.values()}
    assert names == {"Ben", "Dan"}


@pytest.mark.parametrize("message", [m.StandingBy(17401, 17402, LIAR), m.TookOver()])
def test_a_member_that_was_not_asked_breaks_the_protocol(message: m.Message) -> None:
    harness, (ana, ben) = ready("Ana", "Ben")
    harness.host.receive(ana.conn, message)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]


def test_a_member_that_changes_the_line_again_and_again_is_told_of_once() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    before = len(ben.told(m.SuccessionLine))
    for port in range(1, 51):
        harness.host.receive(ana.conn, m.StandingBy(port, port, key_of(ana)))
    harness.run(11)
    assert len(ben.told(m.SuccessionLine)) == before + 1
    assert line_at(ben).successors[0].control_port == 50


def test_the_user_learns_why_a_session_cannot_be_handed_over() -> None:
    harness, (ana,) = ready("Ana")
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    for command, sentence in (
        (HandOver(None), f"No other machine is ready to become the host. {QUIT_HINT}"),
        (HandOver("Ana"), "Ana cannot become the host."),
        (HandOver("Nobody"), "There is no peer called Nobody."),
    ):
        harness.command(command)
        assert error(harness.host) == sentence


def test_the_host_goes_on_if_the_successor_does_not_answer() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ana.cut()
    harness.command(HandOver("Ana"))
    harness.command(Move(harness.host.snapshot().queue[0].id, 2))
    assert error(harness.host) == "The jam is being handed over. Please wait a moment."
    harness.run(4)
    assert error(harness.host) == "Ana did not take over. This machine is still the host."
    assert not ben.told(m.HostMoved)
    harness.command(Quit())
    assert ben.ended is None or not harness.host.of(e.FollowHost)


def test_a_host_that_leaves_asks_the_next_in_line_if_the_first_one_does_not_answer() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ana.cut()
    harness.command(Leave())
    assert not ben.told(m.HostMoved)
    harness.run(4)
    assert [one.host.name for one in ben.told(m.HostMoved)] == ["Ben"]
    assert reason(harness.host.ended) == "Ben is the host now. You left the jam."


def test_a_host_that_leaves_ends_the_session_if_nobody_takes_over() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ana.cut()
    ben.cut()
    harness.command(Leave())
    harness.run(4)
    assert harness.host.ended is None
    harness.run(4)
    assert reason(harness.host.ended) == "Session ended."


def test_a_host_that_leaves_without_a_line_ends_the_session() -> None:
    harness, (ana,) = ready("Ana")
    harness.command(Leave())
    harness.run(1)
    assert reason(harness.host.ended) == reason(ana.ended) == "Session ended."


def test_a_host_may_leave_while_it_hands_over() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    harness.command(HandOver("Ben"))
    harness.command(Leave())
    harness.run(4)
    assert reason(harness.host.ended) == "Ben is the host now. You left the jam."
    assert not harness.host.of(e.FollowHost)


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


def liar_contact() -> HostContact:
    return HostContact(1, "Liar", ("10.0.0.66",), 17401, 17402, LIAR)


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


# -- a peer ------------------------------------------------------------------------------------------------------------


def told_by(peer: HarnessPeer, **changes: object) -> list[e.Effect]:
    """A lost peer asks, and the first machine of its line answers with this."""
    (ask, *_) = [one for one in peer.of(e.AskHost) if one.contact.host_key != HOST_KEY][-1:]
    answer = dataclasses.replace(m.HostTold("host"), **changes)  # type: ignore[arg-type]
    before = len(peer.effects)
    peer.call(peer.core.told, ask.number, answer)
    return [one for one in peer.effects[before:] if isinstance(one, (e.FollowHost, e.TakeOver))]


def lost(*names: str) -> tuple[SessionHarness, HarnessPeer, HostContact]:
    """The last peer of a session has lost its host, and the first in line."""
    harness, peers = a_line(*names)
    peer = peers[-1]
    line = line_at(peer)
    peer.cut()
    harness.run(5.5)
    assert peer.of(e.AskHost)
    return harness, peer, line.successors[0]


def test_the_others_are_asked_at_once_if_no_program_listens_where_the_host_was() -> None:
    """Also those that notice it a moment later: several times in the first second."""
    harness, (_, ben) = a_line("Ana", "Ben")
    ben.cut()
    ben.call(ben.core.disconnected, "closed")
    assert not ben.of(e.AskHost)
    ben.call(ben.core.refused)
    assert [one.contact.name for one in ben.of(e.AskHost)] == ["Ana", "Hana"]
    harness.run(0.9)
    assert len(ben.of(e.AskHost)) >= 8


def test_a_lost_peer_follows_a_successor_of_its_host() -> None:
    _, peer, first = lost("Ana", "Ben")
    claim = Claim(1, (HOST_KEY, first.host_key), (0, 0), has_members=False)
    (follow,) = told_by(peer, host=first, claim=claim)
    assert isinstance(follow, e.FollowHost)
    assert (follow.host, follow.term) == (first, 1)
    assert peer.core.host_key == first.host_key


def test_a_peer_that_follows_another_host_warns_its_user_once() -> None:
    harness, peer, first = lost("Ana", "Ben")
    (warning,) = peer.events("warning")
    told_by(peer, host=first, claim=Claim(1, (HOST_KEY, first.host_key), (0, 0), has_members=False))
    harness.run(5)
    assert peer.of(e.Connect)
    assert peer.events("warning") == [warning]


@pytest.mark.parametrize("proves", [True, False])
def test_a_lost_peer_asks_an_announced_host_that_it_does_not_know_and_believes_only_its_proof(proves: bool) -> None:
    harness, peer, _ = lost("Ana", "Ben")
    peer.call(peer.core.met, "10.0.0.66", 17401, LIAR[:16])
    harness.run(1.1)
    (ask,) = [one for one in peer.of(e.AskHost) if one.contact.host_key == LIAR[:16]]
    token = peer.core._parts.succession.membership(0).tokens[-1][2] if proves else b"guess of a token"
    proof = membership_proof(heir_token(token, LIAR), SEEKER, LIAR)
    claim = Claim(1, (HOST_KEY, LIAR), (0, 0), has_members=True)
    peer.call(peer.core.told, ask.number, m.HostTold("host", claim=claim, member_proof=proof))
    follows = [one.host for one in peer.of(e.FollowHost)]
    assert [(one.host_key, one.addresses) for one in follows] == [(LIAR, ("10.0.0.66",))] * proves


def test_a_lost_peer_asks_many_announced_hosts_one_after_the_other() -> None:
    harness, peer, _ = lost("Ana", "Ben")
    for number in range(200):
        peer.call(peer.core.met, "10.0.0.66", 17401, bytes([number]) * 16)
    before = len(peer.of(e.AskHost))
    harness.run(4)
    asked = [one.contact.host_key for one in peer.of(e.AskHost)[before:] if len(one.contact.host_key) < 32]
    assert 3 <= len(asked) == len(set(asked)) <= 5


def test_a_false_announcement_of_the_next_in_line_makes_it_not_gone() -> None:
    _, cleo, ana = lost("Ana", "Ben", "Cleo")
    first = cleo.core._parts.succession._candidate(cleo.now_ns)
    assert first == ana
    for port in (1, 2, 3):
        cleo.call(cleo.core.met, "10.0.0.66", port, ana.host_key[:16])
        cleo.call(cleo.core.told, cleo.of(e.AskHost)[-1].number, None, refused=True)
    assert cleo.core._parts.succession._candidate(cleo.now_ns) == ana


def test_a_false_place_of_an_announced_host_does_not_hide_the_true_one() -> None:
    harness, cleo, _ = lost("Ana", "Ben", "Cleo")
    for address in ("10.0.0.66", "10.0.0.7"):
        cleo.call(cleo.core.met, address, 17401, LIAR[:16])
        harness.host.call(harness.host.core.met, address, 17401, LIAR[:16])
    harness.run(3)
    for node in (cleo, harness.host):
        asked = [one.contact.addresses for one in node.of(e.AskHost) if one.contact.host_key == LIAR[:16]]
        assert asked == [("10.0.0.66",), ("10.0.0.7",)]


def test_false_announcements_of_a_known_machine_cost_few_questions() -> None:
    harness, cleo, ana = lost("Ana", "Ben", "Cleo")
    for node in (cleo, harness.host):
        before = len(node.of(e.AskHost))
        for number in range(200):
            node.call(node.core.met, f"10.0.1.{number}", 17401, ana.host_key[:16])
        assert 10 < len(node.of(e.AskHost)) - before <= e.MAX_ASKED_AT_ONCE


def test_a_new_host_knows_the_machines_that_have_left_the_line() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ben.cut()
    harness.run(10)
    (me,) = line_at(ana).successors
    ana.call(ana.core.received, m.HostMoved(me, 1, (HOST_KEY, me.host_key)))
    (taken,) = ana.of(e.TakeOver)
    core = HostSession.from_heritage(
        taken.heritage, clock_port=17402, token_factory=lambda: b"t" * 16, host_key=me.host_key
    )
    core.took_over(taken.cause, now_ns=harness.host.now_ns)
    effects = core.met("10.0.0.66", 17401, key_of(ben)[:16], now_ns=harness.host.now_ns)
    assert key_of(ben) in [one.contact.host_key for one in effects if isinstance(one, e.AskHost)]


def test_a_host_that_gave_way_in_the_meantime_is_asked_for_its_own_host() -> None:
    harness, (peer,) = a_line("Ana")
    there, its_host = (dataclasses.replace(liar_contact(), host_key=key * 32) for key in (b"t", b"h"))
    peer.call(peer.core.received, m.HostMoved(there, 1, (HOST_KEY, there.host_key)))
    peer.call(peer.core.connect_failed, "no answer", refused=False)
    assert [one.contact for one in peer.of(e.AskHost)].count(there) == 1
    claim = Claim(1, (HOST_KEY, its_host.host_key), (0, 0), has_members=True)
    (follow,) = told_by(peer, sight="present", host=its_host, claim=claim)
    assert isinstance(follow, e.FollowHost)
    assert follow.host == its_host


@pytest.mark.parametrize(
    "claim",
    [
        None,
        Claim(1, (HOST_KEY, LIAR), (0, 0), has_members=True),
        Claim(1, (LIAR, b"Ana".ljust(32, b"k")), (0, 0), has_members=True),
        Claim(0, (b"Ana".ljust(32, b"k"),), (0,), has_members=True),
    ],
)
def test_a_lost_peer_follows_no_host_of_another_chain(claim: Claim | None) -> None:
    harness, peer, first = lost("Ana", "Ben")
    assert not told_by(peer, host=first, claim=claim)
    harness.run(10)
    assert not told_by(peer, host=first, claim=claim)


def test_a_peer_of_a_part_without_a_host_joins_the_other_part_as_a_new_member() -> None:
    """It has joined after the network was cut, so the other part does not know it."""
    harness, (ana, ben) = a_line("Ana", "Ben")
    line = dataclasses.replace(line_at(ben), term=2, chain=(b"a" * 32, b"b" * 32, HOST_KEY))
    ben.call(ben.core.received, line)
    ana.cut()
    ben.cut()
    harness.run(5.5)
    there = dataclasses.replace(liar_contact(), host_key=b"c" * 32)
    claim = Claim(2, (b"a" * 32, b"b" * 32, there.host_key), (0, 0, 0), has_members=True)
    assert not told_by(ben, sight="present", host=there, claim=claim)
    harness.run(10)
    asked = [one for one in ben.of(e.AskHost) if one.contact == there][-1]
    ben.call(ben.core.told, asked.number, m.HostTold("host", claim=claim))
    assert [one.host for one in ben.of(e.FollowHost)] == [there]
    ben.call(ben.core.connected, there.host_key)
    ben.call(ben.core.received, m.SessionInfo(m.PROTOCOL_VERSION, ben.core.session_id, "Friday", "Cleo", (), 0))
    (request,) = [one.message for one in ben.of(e.Send) if isinstance(one.message, m.JoinRequest)][-1:]
    assert (request.peer_id, request.proof) == (None, None)


def test_a_lost_peer_counts_no_false_votes() -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    line = line_at(ana)
    ana.cut()
    harness.run(5.5)
    good = loss_vote(2, ben.core._seat.token, 0, HOST_KEY, line.successors, key_of(ana))
    guessed = loss_vote(3, b"guessed token 16", 0, HOST_KEY, line.successors, key_of(ana))
    other = loss_vote(3, cleo.core._seat.token, 0, HOST_KEY, line.successors, key_of(ben))
    for seek, votes in (
        (m.HostSeek(ana.core.session_id, 3, guessed), 1),
        (m.HostSeek(ana.core.session_id, 3, other), 1),
        (m.HostSeek(ana.core.session_id, 3, good), 1),  # of another member
        (m.HostSeek(ana.core.session_id, 2, good), 2),
        (m.HostSeek(ana.core.session_id, 2, good), 2),
    ):
        assert len(frame(seek)) < GREETING_CAP
        answer, _ = ana.core.sought(seek, now_ns=ana.now_ns)
        assert (answer.sight, answer.votes) == ("lost", votes)
    ana.call(ana.core.timer)
    assert ana.of(e.TakeOver)


def test_votes_are_forgotten_when_they_are_not_renewed() -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    good = loss_vote(2, ben.core._seat.token, 0, HOST_KEY, line_at(ana).successors, key_of(ana))
    ana.cut()
    harness.run(5.5)
    seek = m.HostSeek(ana.core.session_id, 2, good)
    assert ana.core.sought(seek, now_ns=ana.now_ns)[0].votes == 2
    assert ana.core.sought(m.HostSeek(ana.core.session_id, 9), now_ns=ana.now_ns + 4 * SECOND)[0].votes == 1


def test_a_peer_with_a_host_tells_nobody_that_it_is_lost() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    good = loss_vote(2, ben.core._seat.token, 0, HOST_KEY, line_at(ana).successors, key_of(ana))
    answer, _ = ana.core.sought(m.HostSeek(ana.core.session_id, 2, good), now_ns=ana.now_ns)
    assert (answer.sight, answer.host.host_key) == ("present", HOST_KEY)
    harness.run(10)
    assert not ana.of(e.TakeOver)
    stranger, _ = ana.core.sought(m.HostSeek(b"?" * 16, 2, good), now_ns=ana.now_ns)
    assert stranger == m.HostTold("lost")


@pytest.mark.parametrize(
    "change",
    [
        {"chain": (LIAR,)},
        {"host": liar_contact()},
        {"term": 0, "chain": (LIAR, HOST_KEY)},
        {"successors": (liar_contact(), liar_contact())},
    ],
)
def test_a_line_that_contradicts_itself_breaks_the_protocol(change: dict[str, object]) -> None:
    _, (ana, _) = a_line("Ana", "Ben")
    false = dataclasses.replace(line_at(ana), **change)  # type: ignore[arg-type]
    ana.call(ana.core.received, false)
    assert ana.ended is not None


FAKE = "\x1b[2Jfake\u202e"
"""A name that clears a terminal."""


def test_names_that_a_host_tells_of_the_line_are_safe_to_show() -> None:
    harness, (ana,) = a_line("Ana")
    line = line_at(ana)
    successors = tuple(dataclasses.replace(one, name=FAKE) for one in line.successors)
    ana.call(ana.core.received, dataclasses.replace(line, successors=successors))
    assert ana.events("successors")[-1].fields["names"] == ["[2Jfake"]


def test_names_that_a_host_tells_its_successor_are_safe_to_show() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ben_row = next(iter(ana.core._parts.succession.estate.members.values()))
    false_row = dataclasses.replace(ben_row, name=FAKE, asked_name=FAKE)
    bar = HeirBar(FAKE, FAKE, b"t" * 16, "10.0.0.9")
    ana.call(ana.core.received, m.HeritageUpdate(members=(false_row,), bars=(bar,)))
    new = successor_of(harness, ana)
    assert new.snapshot().removed == ("[2Jfake",)
    departed = {one.peer_id: (one.name, one.asked_name) for one in new._parts.admission.departed}
    assert departed[ben_row.peer_id] == ("[2Jfake", "[2Jfake")


def test_a_host_that_moves_to_a_machine_with_another_key_breaks_the_protocol() -> None:
    _, (ana, _) = a_line("Ana", "Ben")
    ana.call(ana.core.received, m.HostMoved(liar_contact(), 1, (HOST_KEY, HOST_KEY)))
    assert ana.ended is not None


def test_a_machine_that_is_never_host_does_not_stand_by() -> None:
    harness = SessionHarness()
    peer = harness.join("Ana")
    peer.core._parts.succession._may_host = False
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(5)
    assert peer.told(m.StandBy)
    assert not peer.of(e.OpenForSuccession)


# -- the page for guests -----------------------------------------------------------------------------------------------


def test_the_guests_are_the_same_at_the_new_host() -> None:
    harness, (ana,) = a_line("Ana")
    zoe, mia = b"z" * 16, b"m" * 16
    song = harness.host.snapshot().queue[2].id
    for guest_id, name in ((zoe, "Zoë"), (mia, "Mia")):
        harness.host.call(harness.host.core.guest, guest_id, GuestHere(name, "10.0.0.9"))
    harness.host.call(harness.host.core.guest, zoe, GuestVotes(song, True))
    harness.command(RemoveGuest(mia))
    harness.host.call(harness.host.core.hosts_with, Hosting(b"s" * 16, 8000, unlisted=True))
    harness.run(2)
    core = successor_of(harness, ana)
    assert core.hosting == Hosting(b"s" * 16, 8000, unlisted=True)
    assert core.is_removed_guest(mia)
    now_ns = harness.host.now_ns
    core.guest(zoe, GuestHere("Zoë", "10.0.0.1"), now_ns=now_ns)
    page = core.guest_page(zoe, now_ns=now_ns)
    assert page is not None
    assert (page.name, page.voted) == ("Zoë", {song})


def test_a_guest_that_was_let_in_again_is_let_in_at_the_new_host() -> None:
    harness, (ana,) = a_line("Ana")
    mia = b"m" * 16
    harness.host.call(harness.host.core.guest, mia, GuestHere("Mia", "10.0.0.9"))
    harness.command(RemoveGuest(mia))
    harness.run(2)
    harness.command(AllowGuest("Mia"))
    harness.run(2)
    assert not successor_of(harness, ana).is_removed_guest(mia)


def test_many_guests_that_do_nothing_cost_the_successors_nothing() -> None:
    harness, (ana,) = a_line("Ana")
    for number in range(200):
        name = f"Guest {number}"
        harness.host.call(harness.host.core.guest, number.to_bytes(16, "big"), GuestHere(name, f"10.0.1.{number}"))
    harness.run(2)
    assert sum(sizes(ana, 0)) > 200 * 50
    since = len(ana.received)
    harness.run(5)
    assert not sizes(ana, since)


def test_phones_are_told_where_the_next_hosts_would_serve_the_page() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ben.call(ben.core.stands_by, 17401, 17402, key_of(ben), ("10.0.0.77",), True, 8000)
    harness.run(11)
    pages = harness.host.core.next_pages()
    ips = {member.name: member.ip for member in harness.host.core._parts.members}
    assert pages == ((ips["Ben"], 8000), (ips["Ana"], 17403), ("10.0.0.77", 8000))
    new = successor_of(harness, ana)
    assert new.next_pages() == (("10.0.0.1", 17403),)


def test_the_new_host_is_told_that_a_fallback_plays() -> None:
    harness, (ana,) = a_line("Ana")
    harness.command(UseFallback(True), Add(a_track(9), fallback=True))
    harness.run(2)
    me = line_at(ana).successors[0]
    ana.call(ana.core.received, m.HostMoved(me, 1, (HOST_KEY, me.host_key)))
    heritage = ana.of(e.TakeOver)[0].heritage
    assert heritage.settings.fallback
    assert [one.file_id for one in heritage.songs if one.asker == FALLBACK_KEY] == [a_track(9).file_id]
