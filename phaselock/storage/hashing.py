"""SHA-256 without hashlib, whose libcrypto would take 4 MB of memory for as long as the program runs.

Python brings its own implementation too, which the module random uses in the same way. It hashes 200 to 300 MB/s.
"""

from __future__ import annotations

import pathlib
from typing import Any

CHUNK_BYTES = 1 << 16
"""Read at once: Python 3.11 keeps the interpreter lock while it hashes, for 0.3 ms with this length."""


def new_sha256() -> Any:
    """A new hash, like that of hashlib.sha256()."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]  # Python 3.11
        except ImportError:
            from hashlib import sha256
    return sha256()


def hash_file(path: pathlib.Path) -> tuple[bytes, int]:
    """SHA-256 and size in bytes of a file. OSError if it cannot be read."""
    sha256, size = new_sha256(), 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            sha256.update(data)
            size += len(data)
    return sha256.digest(), size
