"""Pieces of files, and their hash trees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.pieces import (
    MAX_PIECES,
    MAX_PROOF,
    MIN_PIECE_BYTES,
    HashTree,
    is_proof,
    leaf_hash,
    piece_bytes,
    piece_count,
    piece_span,
)
from phaselock.protocol.messages import MAX_FILE_BYTES

COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 100, MAX_PIECES]


@given(st.integers(1, MAX_FILE_BYTES))
def test_the_pieces_cover_a_file(size: int) -> None:
    count = piece_count(size)
    assert 1 <= count <= MAX_PIECES and piece_bytes(size) >= MIN_PIECE_BYTES
    offset, length = piece_span(size, count - 1)
    assert offset + length == size and 1 <= length <= piece_bytes(size)
    assert count == 1 or piece_span(size, count - 2)[1] == piece_bytes(size)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


@pytest.mark.parametrize("count", COUNTS)
def test_every_piece_can_be_proved_and_no_other_one(count: int) -> None:
    tree = HashTree(leaves(count))
    for piece in range(0, count, max(1, count // 9)):
        proof = tree.proof(piece)
        assert len(proof) <= MAX_PROOF
        assert is_proof(proof, leaf_hash(b"%d" % piece), piece, count, tree.root)
        assert not is_proof(proof, leaf_hash(b"another"), piece, count, tree.root)
        assert not is_proof((*proof, bytes(32)), leaf_hash(b"%d" % piece), piece, count, tree.root)
        if count > 1:
            assert not is_proof(proof, leaf_hash(b"%d" % piece), piece ^ 1, count, tree.root)
            assert not is_proof(proof[:-1], leaf_hash(b"%d" % piece), piece, count, tree.root)


def test_a_node_is_no_leaf() -> None:
    """Who knows the nodes of a tree cannot pass one of them off as a piece."""
    tree = HashTree(leaves(2))
    assert not is_proof((), leaf_hash(b"".join(leaves(2))), 0, 1, tree.root)
