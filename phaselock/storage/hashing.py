"""SHA-256 of files, and their hash trees."""

from __future__ import annotations

import hashlib
import pathlib

from phaselock.model.pieces import HashTree, leaf_hash, piece_bytes

CHUNK_BYTES = 1 << 16


def hash_file(path: pathlib.Path) -> tuple[bytes, int]:
    """SHA-256 and size in bytes of a file. OSError if it cannot be read."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            sha256.update(data)
            size += len(data)
    return sha256.digest(), size


def hash_tree(path: pathlib.Path, size: int) -> HashTree:
    """The hash tree of a file of `size` bytes. OSError if it cannot be read, ValueError if it has another size."""
    leaves, length = [], piece_bytes(size)
    with path.open("rb") as file:
        while data := file.read(length):
            leaves.append(leaf_hash(data))
        if file.tell() != size:
            raise ValueError(f"{file.tell()} bytes where {size} are expected")
    return HashTree(leaves)
