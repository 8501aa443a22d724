"""Who is the host of a session: the chain of its hosts, the votes after a loss, and the claims of two hosts that meet.

A session has terms. The founder is the host of term 0; each succession begins the next one. The chain is the list of
the keys of all hosts. A member derives its token for a host from that of any earlier host of the same chain
(protocol/proof.py).

When the host is lost, each member votes for the first successor that it reaches. Who has the votes of more than half of
the members takes over at once. So of two parts of a cut network at most one has another host before the hold has
passed.

Two hosts of one session that meet compare their claims (`gives_way`), and one of them gives way: it becomes a peer of
the other one. The key of the other one is proved by TLS. A host of no common chain is not of this session.

One host may be an earlier one of the other's chain. The earlier one stays, because its session is the older one. Only
if it is alone, and the later one has members, may it give way: if more than half of its lost members, at least two,
have voted for a host after it. One is enough if this machine has slept for HOLD_NS, for which its members wait. The
later host cannot know this, and waits for the decision of the earlier one.

Otherwise the chains part after their last common host. Both hosts know of both branches who was the first host, when it
took over, and whether it was elected by more than half. These stay, in this order: the host with members, the branch
whose first host was elected, that whose first host took over first, that whose first host has the smaller key. What
happened later in a branch makes no difference. So both hosts come to the same result.

A host gives way to another branch only if the other host proves that it was in a line of succession, by the secret of
the heirs. An elected host counts for another machine of its own line only the votes that it can check: the members have
made proofs for all machines of that line. It cannot check the election of a machine that had left the line before, nor
can a later host of its branch: there the word of a successor is believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from phaselock.frozen import frozen
from phaselock.model.heritage import MAX_TERMS, Claim, Election, HostContact, LossVote, Membership, VoteProof
from phaselock.protocol.proof import HOST, heir_token, is_membership_proof, loss_purpose, membership_proof


def extended(chain: Sequence[bytes], key: bytes) -> tuple[bytes, ...]:
    """The chain with the next host. The oldest keys of more than MAX_TERMS are left out."""
    return (*chain, key)[-MAX_TERMS:]


def key_at(term: int, chain: Sequence[bytes], of_term: int) -> bytes | None:
    """The key of the host of `of_term` in a chain that ends with `term`; None: not known."""
    first = term - len(chain) + 1
    return chain[of_term - first] if first <= of_term <= term else None


def derived_token(membership: Membership, term: int, chain: Sequence[bytes]) -> bytes | None:
    """The token of the membership at the last host of this chain; None: it was a member of none of these hosts."""
    for own_term, key, token in reversed(membership.tokens):
        if key_at(term, chain, own_term) == key:
            return token_along(token, own_term, term, chain)
    return None


def token_along(token: bytes, own_term: int, term: int, chain: Sequence[bytes]) -> bytes:
    """The token at the last host of a chain, derived from `token`, the one at the host of `own_term`. The chain ends
    with `term` and reaches back to `own_term`."""
    for key in chain[len(chain) - (term - own_term) :]:
        token = heir_token(token, key)
    return token


def loss_vote(
    peer_id: int, token: bytes, term: int, host_key: bytes, line: Sequence[HostContact], candidate_key: bytes
) -> LossVote:
    """The vote of a member of the host of `term`, which is lost, for one of its successors."""
    purpose = loss_purpose(term, candidate_key)
    proofs = [VoteProof(host_key, membership_proof(token, purpose, host_key))]
    for one in line:
        key = one.host_key
        proofs.append(VoteProof(key, membership_proof(heir_token(token, key), purpose, key)))
    return LossVote(peer_id, tuple(proofs))


def is_vote(vote: LossVote, token: bytes, witness_key: bytes, term: int, candidate_key: bytes) -> bool:
    """Whether this vote is that of the member with this token at the witness."""
    purpose = loss_purpose(term, candidate_key)
    proofs = (one.proof for one in vote.proofs if one.witness_key == witness_key)
    return is_membership_proof(next(proofs, None), token, purpose, witness_key)


@frozen
class Standing:
    """What a host knows of itself when it compares its claim with another one."""

    claim: Claim
    secret: bytes = dataclasses.field(repr=False)
    """That of the heirs."""
    electors: int
    """Members of the host before this one when this one took over."""
    voters: Collection[int]
    """The numbers of the members of this host before the first one was lost. Only their votes count."""
    rivals: Collection[bytes] = ()
    """Keys of the other machines of the line by which this host took over."""
    has_slept: bool = False
    """This machine has slept for HOLD_NS, for which its members wait."""


def is_whole(claim: Claim) -> bool:
    """Whether the claim has a time for each host of its chain, and its chain has no more hosts than there were."""
    return len(claim.took_over_session_ns) == len(claim.chain) <= claim.term + 1


def last_common_term(one: Claim, other: Claim) -> int | None:
    """The term of the last host that both chains have; None: they have none."""
    for term in range(min(one.term, other.term), one.term - len(one.chain), -1):
        key = key_at(one.term, one.chain, term)
        if key is not None and key == key_at(other.term, other.chain, term):
            return term
    return None


def host_proof(secret: bytes, host_key: bytes) -> bytes:
    """The proof of the host with this key that it was in a line of the session."""
    return membership_proof(secret, HOST, host_key)


def is_host_proof(proof: bytes | None, secret: bytes, host_key: bytes) -> bool:
    """Whether this is the `host_proof` of the host with this key."""
    return is_membership_proof(proof, secret, HOST, host_key)


def proven_votes(
    me: Claim, other: Claim, election: Election, token_of: Callable[[int], bytes | None]
) -> Collection[int]:
    """The numbers of the members whose votes of this election of the other host's chain this host can check.
    `token_of` returns the token of a member at this host."""
    lost_term = election.term - 1
    candidate = key_at(other.term, other.chain, election.term)
    lost_key = key_at(other.term, other.chain, lost_term)
    if lost_term < 0 or candidate is None or lost_key is None:
        return ()
    # This host was lost, or a later one of its chain; or this host and the candidate have taken over from the same one.
    is_lost = lost_term >= me.term and key_at(other.term, other.chain, me.term) == me.key
    is_beside = me.term == election.term and key_at(me.term, me.chain, lost_term) == lost_key
    if not (is_lost or is_beside):
        return ()
    found = set()
    for vote in election.votes:
        token = token_of(vote.peer_id)
        if token is None:
            continue
        witness = me.key
        if is_lost:
            chain = other.chain[: len(other.chain) - (other.term - lost_term)]
            token, witness = token_along(token, me.term, lost_term, chain), lost_key
        if is_vote(vote, token, witness, lost_term, candidate):
            found.add(vote.peer_id)
    return found


def voters_for(me: Claim, other: Claim, token_of: Callable[[int], bytes | None]) -> Collection[int]:
    """The members that have voted for a host of the other chain, as far as this host can check it: those of the
    election with the most."""
    return max((proven_votes(me, other, one, token_of) for one in other.elections), key=len, default=())


def gives_way(me: Standing, other: Claim, token_of: Callable[[int], bytes | None], *, is_heir: bool) -> bool | None:
    """Whether this host becomes a peer of the other one; None: the other one decides that. `is_heir`: the other one has
    proved that it was in a line of the session."""
    mine = me.claim
    common = last_common_term(mine, other)
    if common is None or not is_whole(other):
        return False
    if common == other.term:
        return True if other.has_members or not mine.has_members else None
    if common == mine.term:
        proven = len(set(voters_for(mine, other, token_of)).intersection(me.voters))
        enough = _is_majority(proven, len(me.voters)) or me.has_slept and proven >= 1
        return not mine.has_members and other.has_members and enough
    term = common + 1
    is_elected, is_other_elected = _is_elected(mine, term), _is_elected(other, term)
    if is_elected and mine.term == term and key_at(other.term, other.chain, term) in me.rivals:
        found = [proven_votes(mine, other, one, token_of) for one in other.elections if one.term == term]
        is_other_elected = _is_majority(max(map(len, found), default=0), me.electors)
    theirs, ours = _rank(other, term, is_elected=is_other_elected), _rank(mine, term, is_elected=is_elected)
    return is_heir and theirs < ours


def _is_elected(claim: Claim, term: int) -> bool:
    """By its own account, the host of this term was elected by more than half."""
    votes = [(len({vote.peer_id for vote in one.votes}), one.electors) for one in claim.elections if one.term == term]
    return any(_is_majority(*one) for one in votes)


def _is_majority(votes: int, electors: int) -> bool:
    return votes >= 2 and 2 * votes > electors


def _rank(claim: Claim, term: int, *, is_elected: bool) -> tuple[bool, bool, int, bytes]:
    """The smaller one stays. `term`: of the first host of this branch."""
    place = term - (claim.term - len(claim.chain) + 1)
    return not claim.has_members, not is_elected, claim.took_over_session_ns[place], claim.chain[place]
