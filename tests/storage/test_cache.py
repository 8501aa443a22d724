from __future__ import annotations

import hashlib
import os
import pathlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.errors import PhaseLockError
from phaselock.storage import cache as cache_module
from phaselock.storage.cache import FileCache, hash_file

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).digest()


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> FileCache:
    return FileCache(tmp_path / "tracks")


def receive(cache: FileCache, data: bytes, sha256: bytes = SHA256, size: int = len(DATA)) -> pathlib.Path | None:
    with cache.begin(sha256, size) as partial:
        partial.write(data[partial.offset :])
        return partial.finish()


def test_a_received_file_is_found_by_its_content(cache: FileCache) -> None:
    assert cache.find(SHA256) is None
    path = receive(cache, DATA)
    assert path == cache.path(SHA256) == cache.find(SHA256)
    assert path is not None and path.read_bytes() == DATA
    assert os.listdir(path.parent) == [path.name]


def test_hash_file_tells_hash_and_size(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    assert hash_file(tmp_path / "x") == (SHA256, len(DATA))


@given(cut=st.integers(0, len(DATA)))
def test_what_arrived_before_is_not_needed_again(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    cache = FileCache(tmp_path_factory.mktemp("cache"))
    with cache.begin(SHA256, len(DATA)) as partial:
        partial.write(DATA[:cut])
        assert not partial.complete or cut == len(DATA)
    with cache.begin(SHA256, len(DATA)) as partial:
        assert partial.offset == cut
        partial.write(DATA[cut:])
        assert partial.complete
        assert partial.finish() == cache.path(SHA256)


def test_wrong_content_is_not_kept(cache: FileCache) -> None:
    assert receive(cache, b"x" * len(DATA)) is None
    assert os.listdir(cache.path(SHA256).parent) == []
    assert receive(cache, DATA) == cache.path(SHA256)


def test_an_unfinished_file_is_not_right(cache: FileCache) -> None:
    assert receive(cache, DATA[:-1]) is None


def test_more_than_announced_is_refused(cache: FileCache) -> None:
    with cache.begin(SHA256, 10) as partial:
        partial.write(b"1234567890")
        with pytest.raises(PhaseLockError):
            partial.write(b"1")


def test_a_rest_longer_than_the_file_is_cut(cache: FileCache) -> None:
    with cache.begin(SHA256, len(DATA) + 100) as partial:
        partial.write(DATA + b"junk")
    with cache.begin(SHA256, len(DATA)) as partial:
        assert partial.complete
        assert partial.finish() == cache.path(SHA256)


def test_a_file_changed_on_disk_is_not_trusted(cache: FileCache) -> None:
    path = receive(cache, DATA)
    assert path is not None
    path.write_bytes(b"x" + DATA[1:])
    assert cache.find(SHA256) is None
    assert not path.exists()


def test_two_receivers_of_one_file_do_not_mix(cache: FileCache) -> None:
    with cache.begin(SHA256, len(DATA)) as one, cache.begin(SHA256, len(DATA)) as two:
        one.write(DATA[:100])
        two.write(DATA)
        assert two.finish() == cache.path(SHA256)
        one.write(DATA[100:])
        assert one.finish() == cache.path(SHA256)
    assert cache.find(SHA256) == cache.path(SHA256)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_not_followed(cache: FileCache, tmp_path: pathlib.Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(DATA)
    cache.path(SHA256).parent.mkdir()
    cache.path(SHA256).with_suffix(".part").symlink_to(precious)
    cache.path(SHA256).symlink_to(precious)
    assert cache.find(SHA256) is None
    assert receive(cache, b"x" * len(DATA)) is None
    assert precious.read_bytes() == DATA


def test_a_full_disk_is_told_before_anything_is_sent(cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": len(DATA) - 1}))
    with pytest.raises(PhaseLockError, match="The disk is full"):
        cache.begin(SHA256, len(DATA))
    with cache.begin(SHA256, len(DATA) - 1) as partial:  # and the claim was given back
        assert partial.offset == 0
    assert os.listdir(cache.path(SHA256).parent) == [f"{SHA256.hex()}.part"]
