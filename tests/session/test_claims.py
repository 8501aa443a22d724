"""Claims of hosts that meet, and votes after a loss."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.heritage import Claim, HostContact, LossVote, Membership
from phaselock.protocol.proof import heir_token
from phaselock.session.claims import (
    Standing,
    derived_token,
    extended,
    gives_way,
    is_vote,
    key_at,
    loss_vote,
    proven_votes,
    token_along,
)

HANA, ANA, BEN, CLEO, LIAR = (bytes([number]) * 32 for number in range(5))
TOKENS = {peer_id: bytes([100 + peer_id]) * 16 for peer_id in range(1, 6)}
"""Of the members at Hana."""
LINE = tuple(HostContact(peer_id, "", ("10.0.0.1",), 1, 1, key) for peer_id, key in enumerate((ANA, BEN, CLEO), 1))


def votes(*peer_ids: int, candidate: bytes = ANA) -> tuple[LossVote, ...]:
    """Of members of Hana, which is lost."""
    return tuple(loss_vote(one, TOKENS[one], 0, HANA, LINE, candidate) for one in peer_ids)


def claim(*chain: bytes, members: bool = True, took_over: int = 1, by: tuple[LossVote, ...] = ()) -> Claim:
    term = len(chain) - 1
    return Claim(term, chain, took_over, members, term if by else 0, by)


def standing(one: Claim, electors: int = 4, voters: int = 4, slept: bool = False) -> Standing:
    return Standing(one, electors, voters, slept)


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


def test_the_lost_host_and_the_other_successors_can_check_the_votes() -> None:
    other = claim(HANA, ANA, by=votes(1, 4, 5))
    assert set(proven_votes(claim(HANA), other, TOKENS.get)) == {1, 4, 5}
    at_ben = {one: heir_token(token, BEN) for one, token in TOKENS.items()}
    assert set(proven_votes(claim(HANA, BEN), other, at_ben.get)) == {1, 4, 5}
    handed_on = dataclasses.replace(claim(HANA, ANA, CLEO), elected_term=1, votes=other.votes)
    assert set(proven_votes(claim(HANA), handed_on, TOKENS.get)) == {1, 4, 5}


def test_votes_of_strangers_or_for_others_prove_nothing() -> None:
    assert not proven_votes(claim(HANA), claim(HANA, LIAR, by=votes(1, 4)), TOKENS.get)
    assert not proven_votes(claim(LIAR), claim(HANA, ANA, by=votes(1, 4)), TOKENS.get)
    twice = claim(HANA, ANA, by=votes(4, 4))
    assert set(proven_votes(claim(HANA), twice, TOKENS.get)) == {4}
    unknown = claim(HANA, ANA, by=votes(4, 5))
    assert set(proven_votes(claim(HANA), unknown, {4: TOKENS[4]}.get)) == {4}


@pytest.mark.parametrize(
    ("me", "other", "proven", "way"),
    [
        # An earlier host with members stays; one that is alone gives way to one that was elected.
        (standing(claim(HANA, ANA, by=votes(1, 4, 5))), claim(HANA), 0, True),
        (standing(claim(HANA, ANA, by=votes(1, 4, 5))), claim(HANA, members=False), 0, False),
        (standing(claim(HANA, ANA, members=False, by=votes(1, 4, 5))), claim(HANA, members=False), 0, True),
        (standing(claim(HANA, ANA, by=votes(1))), claim(HANA, members=False), 0, True),
        (standing(claim(HANA)), claim(HANA, ANA), 3, False),
        (standing(claim(HANA, members=False)), claim(HANA, ANA), 3, True),
        (standing(claim(HANA, members=False)), claim(HANA, ANA), 2, False),
        (standing(claim(HANA, members=False), voters=1), claim(HANA, ANA), 1, False),
        (standing(claim(HANA, members=False), slept=True), claim(HANA, ANA), 1, True),
        (standing(claim(HANA, members=False), slept=True), claim(HANA, ANA), 0, False),
        (standing(claim(HANA, members=False)), claim(HANA, ANA, members=False), 3, False),
        # Two successors of one lost host.
        (standing(claim(HANA, ANA)), claim(HANA, BEN, members=False), 0, False),
        (standing(claim(HANA, ANA, members=False)), claim(HANA, BEN), 0, True),
        (standing(claim(HANA, ANA)), claim(HANA, BEN), 3, True),
        (standing(claim(HANA, ANA, by=votes(1, 4, 5))), claim(HANA, BEN, took_over=0), 0, False),
        (standing(claim(HANA, ANA)), claim(HANA, BEN, took_over=0), 0, True),
        (standing(claim(HANA, ANA)), claim(HANA, BEN), 0, False),
        (standing(claim(HANA, BEN)), claim(HANA, ANA), 0, True),
        # Another session.
        (standing(claim(HANA, members=False)), claim(LIAR), 0, False),
        (standing(claim(HANA, ANA, members=False)), claim(LIAR, BEN), 9, False),
    ],
)
def test_who_gives_way(me: Standing, other: Claim, proven: int, way: bool) -> None:
    assert gives_way(me, other, proven) is way


def test_of_two_hosts_that_know_the_same_exactly_one_gives_way() -> None:
    claims = [
        claim(*chain, members=members, took_over=took_over)
        for chain in ((HANA,), (HANA, ANA), (HANA, BEN), (HANA, ANA, CLEO))
        for members in (True, False)
        for took_over in (1, 2)
    ]
    for one in claims:
        for other in claims:
            if one.key != other.key and not (one.chain[-1] in other.chain or other.chain[-1] in one.chain):
                assert gives_way(standing(one), other, 0) is not gives_way(standing(other), one, 0)
