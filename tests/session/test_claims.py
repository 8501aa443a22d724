"""Claims of hosts that meet, and votes after a loss."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.heritage import (
    MAX_ADDRESSES,
    MAX_ELECTIONS,
    MAX_MEMBERS,
    MAX_TERMS,
    Claim,
    Election,
    HostContact,
    LossVote,
    Membership,
    VoteProof,
)
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, frame
from phaselock.protocol.messages import HostSeek, HostTold
from phaselock.protocol.proof import heir_token
from phaselock.session.claims import (
    Standing,
    derived_token,
    extended,
    gives_way,
    host_proof,
    is_host_proof,
    is_vote,
    key_at,
    last_common_term,
    loss_vote,
    proven_votes,
    token_along,
)

HANA, ANA, BEN, CLEO, LIAR = (bytes([number]) * 32 for number in range(5))
TOKENS = {peer_id: bytes([100 + peer_id]) * 16 for peer_id in range(1, 6)}
"""Of the members at Hana."""
LINE_KEYS = ANA, BEN, CLEO
AT_BEN = {peer_id: heir_token(token, BEN) for peer_id, token in TOKENS.items()}
LINE = tuple(HostContact(peer_id, "", ("10.0.0.1",), 1, 1, key) for peer_id, key in enumerate(LINE_KEYS, 1))


SECRET = b"secret of heirs!"


def votes(*peer_ids: int, candidate: bytes = ANA) -> tuple[LossVote, ...]:
    """Of members of Hana, which is lost."""
    return tuple(loss_vote(one, TOKENS[one], 0, HANA, LINE, candidate) for one in peer_ids)


def claim(
    *chain: bytes, members: bool = True, took_over: int = 1, by: tuple[LossVote, ...] = (), electors: int = 4
) -> Claim:
    """Of the last host of this chain. The first one after Hana took over then, and by these votes."""
    took_over_ns = 0, *range(took_over, took_over + len(chain) - 1)
    return Claim(len(chain) - 1, chain, took_over_ns, members, (Election(1, electors, by),) if by else ())


def standing(
    one: Claim, voters: Collection[int] = (1, 2, 4, 5), slept: bool = False, rivals: Collection[bytes] = LINE_KEYS
) -> Standing:
    return Standing(one, SECRET, 4, voters, rivals, slept)


def test_a_chain_has_the_newest_hosts() -> None:
    chain: tuple[bytes, ...] = ()
    for number in range(40):
        chain = extended(chain, bytes([number]) * 32)
    assert len(chain) == 32
    assert key_at(39, chain, 39) == bytes([39]) * 32
    assert key_at(39, chain, 8) == bytes([8]) * 32
    assert key_at(39, chain, 7) is key_at(39, chain, 40) is None


def test_a_member_and_a_later_host_derive_the_same_token() -> None:
    at_ana = heir_token(TOKENS[4], ANA)  # Hana tells Ana
    at_ben = heir_token(at_ana, BEN)  # Ana tells Ben
    member = Membership(4, ((0, HANA, TOKENS[4]),))
    assert derived_token(member, 2, (HANA, ANA, BEN)) == at_ben == token_along(TOKENS[4], 0, 2, (HANA, ANA, BEN))
    assert derived_token(member, 0, (HANA,)) == TOKENS[4]
    assert derived_token(member, 1, (LIAR, ANA)) is None
    later = Membership(4, ((0, HANA, TOKENS[4]), (1, ANA, at_ana)))
    assert derived_token(later, 1, (HANA, BEN)) == heir_token(TOKENS[4], BEN)


def test_a_vote_is_for_one_machine_and_from_one_member() -> None:
    (vote,) = votes(4)
    at_ana = heir_token(TOKENS[4], ANA)
    assert is_vote(vote, at_ana, ANA, 0, ANA)
    assert not is_vote(vote, at_ana, ANA, 0, BEN)
    assert not is_vote(vote, at_ana, ANA, 1, ANA)
    assert not is_vote(vote, heir_token(TOKENS[5], ANA), ANA, 0, ANA)
    assert not is_vote(LossVote(4, ()), at_ana, ANA, 0, ANA)


def proven(me: Claim, other: Claim, tokens: dict[int, bytes] = TOKENS) -> set[int]:
    return set(proven_votes(me, other, other.elections[-1], tokens.get))


def test_the_lost_host_and_the_other_successors_can_check_the_votes() -> None:
    other = claim(HANA, ANA, by=votes(1, 4, 5))
    assert proven(claim(HANA), other) == {1, 4, 5}
    assert proven(claim(HANA, BEN), other, AT_BEN) == {1, 4, 5}
    handed_on = claim(HANA, ANA, CLEO, by=votes(1, 4, 5))
    assert proven(claim(HANA), handed_on) == proven(claim(HANA, BEN), handed_on, AT_BEN) == {1, 4, 5}


def test_claims_of_any_term_are_compared_at_once() -> None:
    late = dataclasses.replace(claim(HANA, BEN), term=2**32 - 1)
    assert last_common_term(late, dataclasses.replace(late, chain=(LIAR, LIAR))) is None
    assert last_common_term(late, dataclasses.replace(late, chain=(HANA, LIAR))) == 2**32 - 2


def test_votes_of_strangers_or_for_others_prove_nothing() -> None:
    assert not proven(claim(HANA), claim(HANA, LIAR, by=votes(1, 4)))
    assert not proven(claim(LIAR), claim(HANA, ANA, by=votes(1, 4)))
    assert proven(claim(HANA), claim(HANA, ANA, by=votes(4, 4))) == {4}
    assert proven(claim(HANA), claim(HANA, ANA, by=votes(4, 5)), {4: TOKENS[4]}) == {4}


def test_the_secret_of_the_heirs_proves_one_host() -> None:
    proof = host_proof(SECRET, ANA)
    assert is_host_proof(proof, SECRET, ANA)
    assert not is_host_proof(proof, SECRET, LIAR)
    assert not is_host_proof(host_proof(b"guess of secret!", ANA), SECRET, ANA)
    assert not is_host_proof(None, SECRET, ANA)


def test_the_largest_claim_fits_into_an_answer() -> None:
    """A claim without votes fits into a question."""
    members = [LossVote(one, tuple(VoteProof(key, key) for key in (HANA, *LINE_KEYS))) for one in range(MAX_MEMBERS)]
    elections = tuple(Election(term, 2**32 - 1, tuple(members)) for term in range(MAX_ELECTIONS))
    largest = Claim(2**32 - 1, (ANA,) * MAX_TERMS, (2**62,) * MAX_TERMS, True, elections)
    place = HostContact(1, "\N{SNOWMAN}" * 20, ("f" * 45,) * MAX_ADDRESSES, 65535, 65535, ANA)
    assert len(frame(HostTold("host", 0, 0, place, largest, True, HANA, HANA))) < SESSION_CAP
    question = HostSeek(HANA[:16], 2**32 - 1, None, dataclasses.replace(largest, elections=()), place)
    assert len(frame(question)) < GREETING_CAP


ELECTED, BY_BEN = votes(1, 4, 5), votes(2, 3, 5, candidate=BEN)


@pytest.mark.parametrize(
    ("me", "other", "way"),
    [
        # An earlier host with members stays; one that is alone decides whether it gives way to a later one.
        (standing(claim(HANA, ANA, by=ELECTED)), claim(HANA), True),
        (standing(claim(HANA, ANA, by=ELECTED)), claim(HANA, members=False), None),
        (standing(claim(HANA, ANA, members=False, by=ELECTED)), claim(HANA, members=False), True),
        (standing(claim(HANA)), claim(HANA, ANA, by=ELECTED), False),
        (standing(claim(HANA, members=False)), claim(HANA, ANA, by=ELECTED), True),
        (standing(claim(HANA, members=False)), claim(HANA, ANA, CLEO, by=ELECTED), True),
        (standing(claim(HANA, members=False)), claim(HANA, ANA, by=votes(1, 4)), False),
        (standing(claim(HANA, members=False), voters=(1,)), claim(HANA, ANA, by=votes(1)), False),
        (standing(claim(HANA, members=False), voters=(1, 2)), claim(HANA, ANA, by=votes(3, 4, 5)), False),
        (standing(claim(HANA, members=False), voters=()), claim(HANA, ANA, by=ELECTED), False),
        (standing(claim(HANA, members=False), voters=(2,), slept=True), claim(HANA, ANA, by=votes(1)), False),
        (standing(claim(HANA, members=False), slept=True), claim(HANA, ANA, by=votes(1)), True),
        (standing(claim(HANA, members=False), slept=True), claim(HANA, ANA), False),
        (standing(claim(HANA, members=False)), claim(HANA, ANA, members=False, by=ELECTED), False),
        # Two successors of one lost host.
        (standing(claim(HANA, BEN)), claim(HANA, ANA, members=False), False),
        (standing(claim(HANA, BEN, members=False)), claim(HANA, ANA, took_over=9), True),
        (standing(claim(HANA, BEN)), claim(HANA, ANA, took_over=9, by=ELECTED), True),
        (standing(claim(HANA, BEN, by=BY_BEN)), claim(HANA, ANA, took_over=0), False),
        (standing(claim(HANA, BEN)), claim(HANA, ANA, took_over=0), True),
        (standing(claim(HANA, BEN)), claim(HANA, ANA), True),
        (standing(claim(HANA, ANA)), claim(HANA, BEN), False),
        # What happened later in a branch makes no difference.
        (standing(claim(HANA, BEN, by=BY_BEN)), claim(HANA, ANA, CLEO, took_over=0), False),
        (standing(claim(HANA, BEN, LIAR)), claim(HANA, ANA, CLEO, took_over=9, by=ELECTED), True),
        (standing(claim(HANA, BEN, LIAR, by=BY_BEN)), claim(HANA, ANA, CLEO, took_over=0), False),
        # Another session, and a claim that contradicts itself.
        (standing(claim(HANA, members=False)), claim(LIAR), False),
        (standing(claim(HANA, ANA, members=False)), claim(LIAR, BEN), False),
        (standing(claim(HANA, BEN)), dataclasses.replace(claim(HANA, ANA), took_over_session_ns=(0,)), False),
    ],
)
def test_who_gives_way(me: Standing, other: Claim, way: bool | None) -> None:
    tokens = TOKENS if me.claim.key == HANA else AT_BEN
    assert gives_way(me, other, tokens.get, is_heir=True) is way


@pytest.mark.parametrize("chain", [(HANA, LIAR), (HANA, ANA, LIAR), (HANA, CLEO), (HANA, LIAR, LIAR, LIAR)])
@pytest.mark.parametrize("by", [(), ELECTED, votes(1, 2, 3, 4, 5)])
@pytest.mark.parametrize("members", [False, True])
def test_no_host_gives_way_to_a_machine_that_was_in_no_line(
    chain: tuple[bytes, ...], by: tuple[LossVote, ...], members: bool
) -> None:
    for me in (claim(HANA, BEN, members=members), claim(HANA, BEN, BEN, members=members)):
        assert gives_way(standing(me), claim(*chain, took_over=0, by=by), AT_BEN.get, is_heir=False) is False


@pytest.mark.parametrize(
    "by",
    [
        votes(2, 3, 4, 5, candidate=BEN),  # for another machine
        tuple(LossVote(one, ()) for one in (1, 4, 5, 77, 78)),
        tuple(loss_vote(one, bytes([one]) * 16, 0, HANA, LINE, ANA) for one in (1, 4, 5)),
        votes(4, 4, 4),
        votes(4, 5),
    ],
)
def test_an_elected_host_gives_way_to_no_rival_whose_votes_are_false(by: tuple[LossVote, ...]) -> None:
    me = standing(claim(HANA, BEN, took_over=5, by=BY_BEN))
    assert gives_way(me, claim(HANA, ANA, took_over=0, by=by, electors=0), AT_BEN.get, is_heir=True) is False


# -- histories ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Machine:
    """A host of a random history, and what it knows."""

    standing: Standing
    tokens: dict[int, bytes]
    """Of all members of the session that it knows, at this host."""


class History:
    """All hosts of one session, which lose each other. The machine with the number `n` has the key `key(n)`, and is a
    host once."""

    def __init__(self) -> None:
        first = Claim(0, (key(0),), (0,), has_members=True)
        secrets = {one: bytes([one]) * 16 for one in range(1, 6)}
        self.hosts = [Machine(Standing(first, SECRET, 0, secrets.keys()), secrets)]
        self.now_ns = 0
        self.last_number = 5

    def succeed(self, at: int, heirs: list[int], voters: set[int], *, joins: bool) -> None:
        """The host at this place is lost. The first of these members takes over, with the votes of some others; maybe
        a new member has joined before. The host may come back."""
        self.now_ns += 10
        host = self.hosts[at]
        if joins:
            self.last_number += 1
            host.tokens = {**host.tokens, self.last_number: bytes([self.last_number, at]) * 8}
            host.standing = dataclasses.replace(host.standing, voters=host.tokens.keys())
        old, term = host.standing.claim, host.standing.claim.term
        hosts = {one.standing.claim.key for one in self.hosts}
        willing = [one for one in sorted(host.tokens) if key(one) not in hosts]
        if not willing:
            return
        line = list(dict.fromkeys(willing[one % len(willing)] for one in heirs))
        places = [HostContact(one, "", ("",), 1, 1, key(one)) for one in line]
        me = line[0]
        electors = len(host.tokens)
        voting = {me, *(one for one in voters if one in host.tokens)}
        cast = tuple(loss_vote(one, host.tokens[one], term, old.key, places, key(me)) for one in sorted(voting))
        chain = extended(old.chain, key(me))
        took_over_ns = (*old.took_over_session_ns, self.now_ns)[-len(chain) :]
        elections = (*old.elections, Election(term + 1, electors, cast))[-MAX_ELECTIONS:]
        claim = Claim(term + 1, chain, took_over_ns, has_members=len(voting) > 1, elections=elections)
        tokens = {one: heir_token(token, key(me)) for one, token in host.tokens.items() if one != me}
        rivals = {key(one) for one in line[1:]}
        self.hosts.append(Machine(Standing(claim, SECRET, electors, tokens.keys(), rivals), tokens))


def key(number: int) -> bytes:
    return bytes([number]) * 32


STEP = st.tuples(
    st.integers(0, 20), st.lists(st.integers(0, 9), min_size=1, max_size=3), st.sets(st.integers(1, 12)), st.booleans()
)


def meets(one: Machine, other: Machine) -> tuple[bool, bool]:
    """Which of the two gives way; the later host of a chain does what the earlier one has not done."""
    ways = [
        gives_way(me.standing, you.standing.claim, me.tokens.get, is_heir=True)
        for me, you in ((one, other), (other, one))
    ]
    first, second = (not ways[1 - place] if way is None else way for place, way in enumerate(ways))
    return bool(first), bool(second)


@given(st.lists(STEP, min_size=1, max_size=12), st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12)))
def test_of_any_two_hosts_of_a_session_exactly_one_gives_way(
    steps: list[Any], alone: set[int], sleepers: set[int]
) -> None:
    history = History()
    for at, heirs, voters, joins in steps:
        history.succeed(at % len(history.hosts), heirs, voters, joins=joins)
    for place, host in enumerate(history.hosts):
        about = host.standing.claim.has_members and place not in alone
        claim = dataclasses.replace(host.standing.claim, has_members=about)
        host.standing = dataclasses.replace(host.standing, claim=claim, has_slept=place in sleepers)
    for one, other in itertools.combinations(history.hosts, 2):
        assert sorted(meets(one, other)) == [False, True]
        if last_common_term(one.standing.claim, other.standing.claim) not in (
            one.standing.claim.term,
            other.standing.claim.term,
        ):
            for me, you in ((one, other), (other, one)):
                assert not gives_way(me.standing, you.standing.claim, me.tokens.get, is_heir=False)
