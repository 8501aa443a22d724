"""Both sides prove that they know the code of a session, without telling it: SPAKE2 (Abdalla and Pointcheval 2005), of
the package spake2, whose messages are not those of RFC 9382.

A recording does not help to guess the code; each attempt to join tests one guess. The key of the host is part of the
names of both sides, so a machine between them, which has another key, fails although both know the code.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.messages import Message, PairingProof, PairingReply, PairingStart

_PEER, _HOST = b"PhaseLock peer", b"PhaseLock host"


class Pairing:
    """One side of one exchange. Each call takes some milliseconds, so call it in a worker thread."""

    def __init__(self, code: str, host_key: bytes, *, is_host: bool) -> None:
        """`code` is in its normal form. `host_key`: SHA-256 of the host's certificate, as this side knows it."""
        import spake2  # late: it takes 10 MB of memory

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


async def prove_code(
    code: str,
    host_key: bytes,
    send: Callable[[Message], None],
    receive: Callable[[], Awaitable[Message]],
    pool: Executor | None,
) -> bool:
    """Prove to the host that this machine knows the code, and return whether the host knows it. ProtocolError if the
    host breaks the protocol, or if it refuses: then with its JoinRejected as the second argument."""
    loop = asyncio.get_running_loop()
    pairing = await loop.run_in_executor(pool, lambda: Pairing(code, host_key, is_host=False))
    send(PairingStart(pairing.share))
    reply = await receive()
    if not isinstance(reply, PairingReply):
        raise ProtocolError("no PairingReply", reply)
    await loop.run_in_executor(pool, pairing.take, reply.share)
    send(PairingProof(pairing.proof))
    answer = await receive()
    if not isinstance(answer, PairingProof):
        raise ProtocolError("no PairingProof", answer)
    return pairing.is_proof(answer.proof)
