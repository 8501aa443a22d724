"""How a peer looks for the next host, what it believes of it, and what it believes of its own host's line."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.heritage import Claim, HeirBar, HostContact
from phaselock.protocol import messages as m
from phaselock.protocol.framing import GREETING_CAP, frame
from phaselock.protocol.proof import SEEKER, heir_token, membership_proof
from phaselock.session import effects as e
from phaselock.session.claims import loss_vote
from phaselock.session.host.session import HostSession
from tests.support.heirs import LIAR, a_line, key_of, liar_contact, line_at, successor_of
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import HOST_KEY, SECOND


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


def test_a_peer_that_was_told_of_the_next_host_reports_only_that_it_stays_away() -> None:
    _, (_, ben) = a_line("Ana", "Ben")
    (ana, *_) = line_at(ben).successors
    ben.call(ben.core.received, m.HostMoved(ana, 1, (HOST_KEY, ana.host_key)))
    moved_ns = ben.now_ns
    for after_ms, warnings in ((1, 0), (600, 0), (1900, 0), (2100, 1), (2700, 1)):
        now_ns = moved_ns + after_ms * 1_000_000
        ben.effects += ben.core.connect_failed("refused", refused=True, now_ns=now_ns)
        assert len(ben.events("warning")) == warnings, after_ms


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
