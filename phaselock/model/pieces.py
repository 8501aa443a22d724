"""Files in pieces: the size of the pieces, and the hash tree by which each piece is checked on its own.

The tree is that of RFC 6962, section 2.1, level by level: a leaf is SHA-256 of a zero byte and the piece, a node is
SHA-256 of a one byte and its two children. The last node of an odd level rises to the next level as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

MIN_PIECE_BYTES = 128 * 1024
"""11 ms at 100 Mbit/s: a piece is passed on only when it is complete and checked."""
MAX_PIECES = 1024
"""Longer files have longer pieces, so that the lists of the pieces stay short."""
MAX_PROOF = 10
"""Largest number of hashes that prove a piece: log2 of MAX_PIECES."""


def piece_bytes(size: int) -> int:
    """The length of each piece but the last one of a file of `size` bytes: a power of two."""
    length = MIN_PIECE_BYTES
    while length * MAX_PIECES < size:
        length *= 2
    return length


def piece_count(size: int) -> int:
    """The number of pieces of a file of `size` bytes."""
    return -(-size // piece_bytes(size))


def piece_span(size: int, piece: int) -> tuple[int, int]:
    """Where this piece begins in a file of `size` bytes, and its length in bytes."""
    length = piece_bytes(size)
    return piece * length, min(length, size - piece * length)


def leaf_hash(data: bytes) -> bytes:
    """The leaf of a piece."""
    return hashlib.sha256(b"\0" + data).digest()


class HashTree:
    """The hash tree of a whole file."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """`leaves`: those of all pieces, one at least."""
        self._levels = [tuple(leaves)]
        while len(below := self._levels[-1]) > 1:
            nodes = [_node(left, right) for left, right in zip(below[::2], below[1::2], strict=False)]
            self._levels.append((*nodes, *(below[-1:] if len(below) % 2 else ())))

    @property
    def root(self) -> bytes:
        """The hash from which every piece can be proved."""
        return self._levels[-1][0]

    def proof(self, piece: int) -> tuple[bytes, ...]:
        """The siblings on the way from the leaf of this piece to the root."""
        proof = []
        for level in self._levels[:-1]:
            if (sibling := piece ^ 1) < len(level):
                proof.append(level[sibling])
            piece //= 2
        return tuple(proof)


def is_proof(proof: Sequence[bytes], leaf: bytes, piece: int, count: int, root: bytes) -> bool:
    """Whether this proof shows that `leaf` belongs to this piece of the file of `count` pieces with this root."""
    rest, value = iter(proof), leaf
    while count > 1:
        if (piece ^ 1) < count:
            if (sibling := next(rest, None)) is None:
                return False
            value = _node(sibling, value) if piece % 2 else _node(value, sibling)
        piece, count = piece // 2, (count + 1) // 2
    return next(rest, None) is None and value == root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
