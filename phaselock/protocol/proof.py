"""Proves that a peer holds the token of its membership. The token itself is sent once, by the host.

The proof is HMAC-SHA256 (RFC 2104) under the token over the purpose and the host's key: it is useless at another host,
and for another purpose.
"""

from __future__ import annotations

import hmac

JOIN = b"join"
FETCH = b"fetch"
UPLOAD = b"upload"
_CONTEXT = b"PhaseLock membership\0"


def membership_proof(token: bytes, purpose: bytes, host_key: bytes) -> bytes:
    """The proof, 32 bytes, for one of the purposes above. `host_key`: SHA-256 of the host's certificate."""
    return hmac.digest(token, _CONTEXT + purpose + b"\0" + host_key, "sha256")


def is_membership_proof(proof: bytes | None, token: bytes, purpose: bytes, host_key: bytes) -> bool:
    """Whether this is the proof. The time that this takes does not depend on the bytes."""
    return hmac.compare_digest(proof or b"", membership_proof(token, purpose, host_key))
