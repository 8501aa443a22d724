"""Both sides prove that they know the code of a session, without telling it: SPAKE2 (RFC 9382), of the package spake2.

A recording does not help to guess the code; each attempt to join tests one guess. The key of the host is part of the
names of both sides, so somebody between them, who has another key, fails even if both know the code.

Importing this module takes 10 MB of memory, so it is imported where a session has a code.
"""

from __future__ import annotations

import hmac

import spake2  # type: ignore[import-untyped]

from phaselock.protocol.codec import ProtocolError

_PEER, _HOST = b"PhaseLock peer", b"PhaseLock host"


class Pairing:
    """One side of one exchange. Each call takes some milliseconds, so call it in a worker thread."""

    def __init__(self, code: str, host_key: bytes, *, is_host: bool) -> None:
        """`code` is in its normal form. `host_key`: SHA-256 of the host's certificate, as this side knows it."""
        side = spake2.SPAKE2_B if is_host else spake2.SPAKE2_A
        self._side = side(code.encode(), idA=_PEER + host_key, idB=_HOST + host_key)
        self._own, self._other = (_HOST, _PEER) if is_host else (_PEER, _HOST)
        self._key = b""
        self.share: bytes = self._side.start()
        """For the other side, 33 bytes."""

    def take(self, share: bytes) -> None:
        """Take the share of the other side. ProtocolError if it is none."""
        try:
            self._key = self._side.finish(share)
        except Exception as error:  # the package raises many types, AssertionError too
            raise ProtocolError(f"the share is none: {error}") from None

    @property
    def proof(self) -> bytes:
        """What proves that this side knows the code, 32 bytes, once the share was taken."""
        return hmac.digest(self._key, self._own, "sha256")

    def is_proof(self, proof: bytes) -> bool:
        """Whether the other side knows the code."""
        return hmac.compare_digest(proof, hmac.digest(self._key, self._other, "sha256"))
