"""SHA-256 of files."""

from __future__ import annotations

import hashlib
import pathlib

CHUNK_BYTES = 1 << 16


def hash_file(path: pathlib.Path) -> tuple[bytes, int]:
    """SHA-256 and size in bytes of a file. OSError if it cannot be read."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            sha256.update(data)
            size += len(data)
    return sha256.digest(), size
