"""Who is the host of a session: the chain of its hosts, the votes after a loss, and the claims of two hosts that meet.

A session has terms. The founder is the host of term 0; each succession begins the next one. The chain is the list of
the keys of all hosts. A member derives its token for a host from that of any earlier host of the same chain
(protocol/proof.py).

When the host is lost, each member votes for the first successor that it reaches. Who has the votes of more than half of
the members takes over at once. So of two parts of a cut network at most one has another host before the hold has
passed.

Two hosts of one session that meet compare their claims (`gives_way`). A host trusts no claim but its own knowledge: the
other one has proved its key by TLS, and its votes by the tokens of the members.

- A host gives way to an earlier host of its own chain that still has members: the older session stays. A host that was
  elected and has members stays if the earlier host is alone.
- A host that is alone gives way to a later host of its chain if more than half of its lost members, at least two, have
  voted for that one; one is enough if this machine has slept for HOLD_NS, for which its members wait.
- Of two hosts that follow the same lost host, those stay in this order: the one with members, the one elected by more
  than half, the one that took over first, the one with the smaller key.
- A host of no common chain is not of this session.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from phaselock.model.heritage import MAX_TERMS, Claim, HostContact, LossVote, Membership, VoteProof
from phaselock.protocol.proof import heir_token, is_membership_proof, loss_purpose, membership_proof


def extended(chain: Sequence[bytes], key: bytes) -> tuple[bytes, ...]:
    """The chain with the next host."""
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
    """The token of `own_term` as the last host of this chain, which reaches back to `own_term`, knows it."""
    for key in chain[len(chain) - (term - own_term) :] if term > own_term else ():
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


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What a host knows of itself when it compares its claim with another one."""

    claim: Claim
    electors: int
    """Members of the lost host that the votes of the claim are for."""
    voters: int
    """Members of this host before the first one was lost."""
    has_slept: bool
    """This machine has slept for HOLD_NS, for which its members wait."""

    @property
    def is_elected(self) -> bool:
        """More than half of the members have voted for this host, or for one before it."""
        return len(self.claim.votes) >= 2 and 2 * len(self.claim.votes) > self.electors


def proven_votes(me: Claim, other: Claim, token_of: Callable[[int], bytes | None]) -> Collection[int]:
    """The numbers of the members whose votes for the other host this host can check. `token_of` returns the token of a
    member at this host."""
    lost_term = other.elected_term - 1
    candidate = key_at(other.term, other.chain, other.elected_term)
    lost_key = key_at(other.term, other.chain, lost_term)
    if lost_term < 0 or candidate is None or lost_key is None:
        return ()
    is_before = lost_term >= me.term and key_at(other.term, other.chain, me.term) == me.key
    is_beside = me.term == lost_term + 1 and key_at(me.term, me.chain, lost_term) == lost_key
    if not (is_before or is_beside):
        return ()
    found = set()
    for vote in other.votes:
        token = token_of(vote.peer_id)
        if token is None:
            continue
        witness = me.key
        if is_before:
            chain = other.chain[: len(other.chain) - (other.term - lost_term)]
            token, witness = token_along(token, me.term, lost_term, chain), lost_key
        if is_vote(vote, token, witness, lost_term, candidate):
            found.add(vote.peer_id)
    return found


def is_before(one: Claim, other: Claim) -> bool:
    """The one host is an earlier host of the other one's chain."""
    return one.term < other.term and key_at(other.term, other.chain, one.term) == one.key


def gives_way(me: Standing, other: Claim, proven: int) -> bool:
    """Whether this host becomes a peer of the other one, of whose votes it could check `proven`."""
    mine = me.claim
    if is_before(other, mine):
        return other.has_members or not (me.is_elected and mine.has_members)
    if is_before(mine, other):
        enough = proven >= 2 and 2 * proven > me.voters or me.has_slept and proven >= 1
        return not mine.has_members and other.has_members and enough
    if not _have_common_host(mine, other):
        return False
    is_elected = proven >= 2 and 2 * proven > me.electors
    own_rank = not mine.has_members, not me.is_elected, mine.took_over_session_ns, mine.key
    return (not other.has_members, not is_elected, other.took_over_session_ns, other.key) < own_rank


def _have_common_host(one: Claim, other: Claim) -> bool:
    terms = range(max(0, one.term - len(one.chain) + 1), one.term + 1)
    keys = [(key_at(one.term, one.chain, term), key_at(other.term, other.chain, term)) for term in terms]
    return any(here is not None and here == there for here, there in keys)
