import hashlib
import pathlib

import pytest

from phaselock.storage.hashing import CHUNK_BYTES, hash_file


@pytest.mark.parametrize("size", [0, 1, 55, 56, 64, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_file_has_the_hash_that_others_compute(tmp_path: pathlib.Path, size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    (tmp_path / "x").write_bytes(data)
    assert hash_file(tmp_path / "x") == (hashlib.sha256(data).digest(), size)
