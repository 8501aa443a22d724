"""Proves that a peer holds the token of its membership, or an access to the pieces of a file at another peer. The token
itself is sent once, by the host.

The proof is HMAC-SHA256 (RFC 2104) under the token over the purpose and the host's key: it is useless at another host,
and for another purpose.

A successor of the host learns tokens that are derived from those of the members, for this successor alone. A member
derives the same one from its own token when it comes to the successor. So a successor cannot act as a member at the
host or at another successor.

All successors know one secret of the session, `heirs_secret`. By it two hosts without a common member can prove that
they are of one session. Its proof has the same form, with the key of the host that proves.
"""

from __future__ import annotations

import hmac
from uuid import UUID

JOIN = b"join"
FETCH = b"fetch"
UPLOAD = b"upload"
HOST = b"host"
HOST_LOST = b"host lost"
SEEKER = b"seeker"
_BEQUEST = b"bequest"
_HEIR_CONTEXT = b"PhaseLock heir\0"
_HEIRS_CONTEXT = b"PhaseLock secret of the heirs"
_CONTEXT = b"PhaseLock membership\0"
_ACCESS_CONTEXT = b"PhaseLock access to pieces\0"
_PROOF_CONTEXT = b"PhaseLock fetch of pieces\0"


def membership_proof(token: bytes, purpose: bytes, host_key: bytes) -> bytes:
    """The proof, 32 bytes, for one of the purposes above. `host_key`: SHA-256 of the host's certificate."""
    return hmac.digest(token, _CONTEXT + purpose + b"\0" + host_key, "sha256")


def is_membership_proof(proof: bytes | None, token: bytes, purpose: bytes, host_key: bytes) -> bool:
    """Whether this is the proof. The time that this takes does not depend on the bytes."""
    return hmac.compare_digest(proof or b"", membership_proof(token, purpose, host_key))


def piece_access(key: bytes, peer_id: int, file_id: UUID) -> bytes:
    """The access of the member `peer_id` to the pieces of this file at the member with this PiecesKey. The host makes
    it, and that member can, too."""
    return hmac.digest(key, _ACCESS_CONTEXT + peer_id.to_bytes(4, "little") + file_id.bytes, "sha256")


def piece_proof(access: bytes, host_key: bytes) -> bytes:
    """The proof, 32 bytes, that its sender has this access. `host_key`: SHA-256 of the certificate of the source."""
    return hmac.digest(access, _PROOF_CONTEXT + host_key, "sha256")


def is_piece_proof(proof: bytes, access: bytes, host_key: bytes) -> bool:
    """Whether this is the proof. The time that this takes does not depend on the bytes."""
    return hmac.compare_digest(proof, piece_proof(access, host_key))


def heir_token(token: bytes, heir_key: bytes) -> bytes:
    """The token, 16 bytes, of the same membership at the host with the key `heir_key`, a successor."""
    return hmac.digest(token, _HEIR_CONTEXT + heir_key, "sha256")[:16]


def heirs_secret(token: bytes) -> bytes:
    """The secret, 16 bytes, of the heirs of the founder with this token."""
    return hmac.digest(token, _HEIRS_CONTEXT, "sha256")[:16]


def bequest_purpose(peer_id: int) -> bytes:
    """The purpose of a proof that the member with this number was in a line of the session."""
    return _BEQUEST + peer_id.to_bytes(4, "little")


def loss_purpose(term: int, candidate_key: bytes) -> bytes:
    """The purpose of a proof that the host of this term is lost, and the vote for the machine with this key."""
    return HOST_LOST + term.to_bytes(4, "little") + candidate_key
