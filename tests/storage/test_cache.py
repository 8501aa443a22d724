from __future__ import annotations

import hashlib
import os
import pathlib
import random
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.errors import PhaseLockError
from phaselock.storage import cache as cache_module
from phaselock.storage.cache import MAX_CACHE_BYTES, MIN_FREE_BYTES, FileCache
from phaselock.storage.hashing import hash_file

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


@given(cut=st.integers(0, len(DATA)))
def test_a_transfer_continues_where_it_was_interrupted(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
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


def test_a_part_longer_than_the_file_is_truncated(cache: FileCache) -> None:
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


class Disk:
    """A disk of `size` bytes that contains only the cache."""

    def __init__(self, folder: pathlib.Path, size: int) -> None:
        self.folder, self.size = folder, size

    @property
    def free(self) -> int:
        return self.size - sum(path.stat().st_size for path in self.folder.glob("*"))


@pytest.fixture
def disk(cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(cache.path(SHA256).parent, 1 << 40)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: disk)
    return disk


def put(cache: FileCache, number: int, used_at_s: float, size: int = 1000) -> bytes:
    data = bytes((number,)) * size
    sha256 = hashlib.sha256(data).digest()
    assert receive(cache, data, sha256, size)
    os.utime(cache.path(sha256), (used_at_s, used_at_s))
    return sha256


def held(cache: FileCache, hashes: list[bytes]) -> list[int]:
    return [number for number, sha256 in enumerate(hashes) if cache.path(sha256).exists()]


def test_a_full_disk_is_reported_before_a_transfer(cache: FileCache, disk: Disk) -> None:
    disk.size = MIN_FREE_BYTES + len(DATA) - 1
    with pytest.raises(PhaseLockError, match="The disk is full"):
        cache.begin(SHA256, len(DATA))
    with cache.begin(SHA256, len(DATA) - 1) as partial:  # and the lock was released
        assert partial.offset == 0
    assert os.listdir(cache.path(SHA256).parent) == []


def test_bytes_in_the_cache_need_no_more_space(cache: FileCache, disk: Disk) -> None:
    with cache.begin(SHA256, len(DATA)) as partial:
        partial.write(DATA)
    disk.size = 0
    with cache.begin(SHA256, len(DATA)) as partial:
        assert partial.finish() == cache.path(SHA256)


def test_the_least_recently_used_files_are_removed(tmp_path: pathlib.Path) -> None:
    cache = FileCache(tmp_path, limit_bytes=5000)
    hashes = [put(cache, number, 1000.0 + number) for number in range(5)]
    assert cache.find(hashes[0])  # now it is the most recently used one
    cache.begin(SHA256, 1500).__exit__(None, None, None)
    assert held(cache, hashes) == [0, 3, 4]
    cache.begin(SHA256, 2000).__exit__(None, None, None)
    assert held(cache, hashes) == [0, 3, 4]
    cache.begin(SHA256, 2001).__exit__(None, None, None)
    assert held(cache, hashes) == [0, 4]


def test_a_finished_file_is_the_newest(tmp_path: pathlib.Path) -> None:
    cache = FileCache(tmp_path)
    with cache.begin(SHA256, len(DATA)) as partial:
        partial.write(DATA)
    os.utime(cache.path(SHA256).with_suffix(".part"), (1000, 1000))
    assert receive(cache, DATA)
    other = put(cache, 1, 2000)
    assert cache.path(SHA256).stat().st_mtime > cache.path(other).stat().st_mtime


def test_kept_files_stay_even_beyond_the_limit(tmp_path: pathlib.Path, disk: Disk) -> None:
    cache = FileCache(tmp_path / "tracks", limit_bytes=2500)
    hashes = [put(cache, number, 1000.0 + number) for number in range(2)]
    cache.keep(hashes)
    hashes.append(put(cache, 2, 3000.0))
    cache.keep(iter(hashes))
    with cache.begin(SHA256, 5000):
        assert held(cache, hashes) == [0, 1, 2]
    cache.keep(hashes[1:2])
    with cache.begin(SHA256, 1000):
        assert held(cache, hashes) == [1]


def test_an_announced_file_costs_old_files_only_as_it_arrives(
    cache: FileCache, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "STEP_BYTES", 1000)
    small = FileCache(cache.path(SHA256).parent, limit_bytes=3000)
    hashes = [put(cache, number, 1000.0 + number) for number in range(3)]
    small.keep([SHA256])
    with small.begin(SHA256, 3000, announced=True) as partial:
        assert held(cache, hashes) == [0, 1, 2]
        partial.write(bytes(1))
        assert held(cache, hashes) == [1, 2]
        partial.write(bytes(999))
        assert held(cache, hashes) == [1, 2]
        partial.write(bytes(1500))
        assert held(cache, hashes) == []
    disk.size = MIN_FREE_BYTES + 2999
    with pytest.raises(PhaseLockError, match="The disk is full"):
        small.begin(SHA256, 3000, announced=True)


def test_an_announced_file_that_is_not_kept_costs_no_other_file(cache: FileCache, disk: Disk) -> None:
    small = FileCache(cache.path(SHA256).parent, limit_bytes=3000)
    hashes = [put(cache, number, 1000.0 + number) for number in range(2)]
    with pytest.raises(PhaseLockError, match="There is no space for more songs of this jam"):
        small.begin(SHA256, 1001, announced=True)
    with small.begin(SHA256, 1000, announced=True) as partial:
        partial.write(bytes(1000))
    assert held(cache, hashes) == [0, 1]
    disk.size = MIN_FREE_BYTES + 3999
    with pytest.raises(PhaseLockError, match="There is no space for more songs of this jam"):
        small.begin(b"x" * 32, 1000, announced=True)


def test_a_full_disk_costs_old_files_first_but_none_in_vain(cache: FileCache, disk: Disk) -> None:
    hashes = [put(cache, number, 1000.0 + number) for number in range(5)]
    disk.size = MIN_FREE_BYTES + 6000
    with pytest.raises(PhaseLockError, match="The disk is full"):
        cache.begin(SHA256, 6001)
    assert held(cache, hashes) == [0, 1, 2, 3, 4]
    with cache.begin(SHA256, 2500):
        assert held(cache, hashes) == [2, 3, 4]
    cache.keep(hashes)
    with pytest.raises(PhaseLockError, match="The disk is full"):
        cache.begin(SHA256, 3001)
    assert held(cache, hashes) == [2, 3, 4]


def test_only_unlocked_old_parts_are_removed(cache: FileCache) -> None:
    folder = cache.path(SHA256).parent
    folder.mkdir()
    for name in (f"{'a' * 64}.part", f"{'b' * 64}.3.part", "adopt-x.part", "notes.txt", f"{'c' * 64}.part"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (1000, 1000))
    (folder / f"{'d' * 64}.part").write_bytes(b"new")
    with cache.begin(b"\xcc" * 32, 1), cache.begin(SHA256, 10):
        left = set(os.listdir(folder))
    assert left == {"notes.txt", f"{'c' * 64}.part", f"{'d' * 64}.part", f"{SHA256.hex()}.part"}


def test_other_files_in_the_folder_are_not_touched(cache: FileCache) -> None:
    folder = cache.path(SHA256).parent
    folder.mkdir()
    small = FileCache(folder, limit_bytes=1)
    (folder / "mine.mp3").write_bytes(DATA)
    (folder / f"{'e' * 64}.song").mkdir()
    with small.begin(SHA256, 10):
        assert (folder / "mine.mp3").exists() and (folder / f"{'e' * 64}.song").is_dir()


def test_the_file_on_its_way_is_not_removed_for_itself(tmp_path: pathlib.Path) -> None:
    cache = FileCache(tmp_path, limit_bytes=100)
    assert receive(cache, DATA)
    with cache.begin(SHA256, len(DATA)):
        assert cache.find(SHA256)


def test_files_may_disappear_while_space_is_freed(cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    small = FileCache(cache.path(SHA256).parent, limit_bytes=1)
    hashes = [put(cache, number, 1000.0 + number) for number in range(3)]
    entries = list(small._entries())
    for sha256 in hashes[:2]:
        cache.path(sha256).unlink()
    monkeypatch.setattr(small, "_entries", lambda: iter(entries))
    with small.begin(SHA256, 10):
        assert held(cache, hashes) == []


def test_the_capacity_is_limited_by_the_limit_and_the_disk(cache: FileCache, disk: Disk) -> None:
    assert cache.room_bytes() == MAX_CACHE_BYTES
    disk.size = MIN_FREE_BYTES + 5000
    assert cache.room_bytes() == 5000
    put(cache, 1, 1000.0)
    assert cache.room_bytes() == 5000
    disk.size = 2000
    assert cache.room_bytes() == 0
    assert FileCache(pathlib.Path("nowhere/at/all"), limit_bytes=7).room_bytes() == 0


def test_a_file_of_the_user_is_copied(cache: FileCache, tmp_path: pathlib.Path) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(DATA)
    assert cache.adopt(song, len(DATA)) == (SHA256, len(DATA), cache.path(SHA256))
    song.write_bytes(b"changed")
    assert cache.find(SHA256) == cache.path(SHA256)
    assert cache.path(SHA256).read_bytes() == DATA
    assert os.listdir(cache.path(SHA256).parent) == [f"{SHA256.hex()}.song"]


def test_a_copy_replaces_a_file_that_changed_on_disk(cache: FileCache, tmp_path: pathlib.Path) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(DATA)
    cache.adopt(song, len(DATA))
    cache.path(SHA256).write_bytes(b"x" * len(DATA))
    cache.adopt(song, len(DATA))
    cache.adopt(cache.path(SHA256), len(DATA))  # from the cache itself
    assert cache.find(SHA256)


def test_a_copy_frees_space(tmp_path: pathlib.Path) -> None:
    cache = FileCache(tmp_path / "tracks", limit_bytes=len(DATA) + 500)
    old = put(cache, 1, 1000.0)
    (tmp_path / "song").write_bytes(DATA)
    cache.adopt(tmp_path / "song", len(DATA))
    assert not cache.path(old).exists()


def test_a_file_that_cannot_be_copied_is_reported_with_a_sentence(
    cache: FileCache, tmp_path: pathlib.Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(DATA)
    for path, words in [
        (tmp_path / "none.mp3", r"There is no file none\.mp3\."),
        (tmp_path / "n\0.mp3", "cannot be read"),
        (tmp_path, "cannot be read: not a plain file"),
    ]:
        with pytest.raises(PhaseLockError, match=words):
            cache.adopt(path, 1 << 20)
    with pytest.raises(PhaseLockError, match=r"song\.mp3 is too large"):
        cache.adopt(song, len(DATA) - 1)
    with pytest.raises(PhaseLockError, match="cannot be kept"):
        FileCache(song / "x").adopt(song, len(DATA))
    disk.size = MIN_FREE_BYTES
    with pytest.raises(PhaseLockError, match="The disk is full"):
        cache.adopt(song, len(DATA))
    assert not list(disk.folder.iterdir())


def test_a_file_that_grows_while_it_is_copied_ends_at_the_limit(
    cache: FileCache, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(DATA)

    def grow(needed_bytes: int, arriving: bytes | None) -> None:
        with song.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(cache, "_free_space", grow)
    with pytest.raises(PhaseLockError, match="too large"):
        cache.adopt(song, len(DATA) + 1)
    assert not list(cache.path(SHA256).parent.iterdir())
    assert cache.adopt(song, len(DATA) + 8)[:2] == (hash_file(song)[0], len(DATA) + 8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(cache: FileCache, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    for path in (tmp_path / "pipe.mp3", pathlib.Path("/dev/null")):
        with pytest.raises(PhaseLockError, match="not a plain file"):
            cache.adopt(path, 1 << 20)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="everything may be read")
def test_a_file_without_permission_is_reported(cache: FileCache, tmp_path: pathlib.Path) -> None:
    (tmp_path / "song.mp3").touch(0)
    with pytest.raises(PhaseLockError, match="cannot be read"):
        cache.adopt(tmp_path / "song.mp3", 1 << 20)


def begun(cache: FileCache, number: int, size: int, used_at_s: float) -> pathlib.Path:
    """A part whose transfer was given up."""
    with cache.begin(bytes((number,)) * 32, 1 << 20) as partial:
        partial.write(bytes(size))
    part = cache.path(bytes((number,)) * 32).with_suffix(".part")
    os.utime(part, (used_at_s, used_at_s))
    return part


def test_a_transfer_without_data_leaves_no_file(cache: FileCache, disk: Disk) -> None:
    folder = cache.path(SHA256).parent
    for number in range(20):
        with pytest.raises(PhaseLockError), cache.begin(bytes((number,)) * 32, 10):
            raise PhaseLockError("The host refused.")
    disk.size = 0
    with pytest.raises(PhaseLockError, match="The disk is full"):
        cache.begin(SHA256, 10)
    assert os.listdir(folder) == []


def test_parts_are_removed_like_files_the_oldest_first(cache: FileCache) -> None:
    now_s = time.time()
    small = FileCache(cache.path(SHA256).parent, limit_bytes=5000)
    rests = [begun(cache, 100 + number, 1000, now_s - 100 + 10 * number) for number in range(3)]
    hashes = [put(cache, number, now_s - 95 + 10 * number) for number in range(2)]
    with small.begin(SHA256, 3000) as partial:
        partial.write(bytes(3000))
        assert [rest.exists() for rest in rests] == [False, False, True] and held(cache, hashes) == [1]
        with small.begin(b"x" * 32, 5000):  # a part in use stays, even above the limit
            assert not rests[2].exists() and held(cache, hashes) == []
            assert cache.path(SHA256).with_suffix(".part").stat().st_size == 3000


def test_parts_never_exceed_the_limit(cache: FileCache) -> None:
    small = FileCache(cache.path(SHA256).parent, limit_bytes=3000)
    for number in range(10):
        with small.begin(bytes((number,)) * 32, 1000) as partial:
            partial.write(bytes(999))
    assert sum(path.stat().st_size for path in cache.path(SHA256).parent.iterdir()) <= 3000


def test_a_locked_part_is_not_removed(cache: FileCache, disk: Disk) -> None:
    rest = begun(cache, 100, 1000, time.time() - 100)
    disk.size = MIN_FREE_BYTES + 2000
    with cache.begin(SHA256, 1000) as partial:
        partial.write(bytes(1000))
        with pytest.raises(PhaseLockError, match="The disk is full"):
            cache.begin(b"x" * 32, 1001)
        assert rest.exists()


def test_a_copy_in_progress_is_not_removed(
    cache: FileCache, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, song = FileCache(cache.path(SHA256).parent, limit_bytes=1), tmp_path / "song.mp3"
    song.write_bytes(DATA)
    replace = os.replace

    def meanwhile(part: pathlib.Path, final: pathlib.Path) -> None:
        with small.begin(b"x" * 32, 10):
            replace(part, final)

    monkeypatch.setattr(cache_module.os, "replace", meanwhile)
    assert cache.adopt(song, len(DATA))[2].read_bytes() == DATA


def test_a_part_stays_claimed_until_it_has_its_name(
    cache: FileCache, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(DATA)
    claimed = []
    replace = os.replace

    def meanwhile(part: pathlib.Path, final: pathlib.Path) -> None:
        claimed.append(cache_module._lock_part(part) is None)
        replace(part, final)

    monkeypatch.setattr(os, "replace", meanwhile)
    with cache.begin(SHA256, len(DATA)) as partial:
        partial.write(DATA)
        path = partial.finish()
    assert path is not None and path.read_bytes() == DATA
    assert cache.adopt(song, len(DATA))[2] == path
    assert claimed == [True, True]


def test_parts_may_arrive_in_any_order(tmp_path: pathlib.Path) -> None:
    data = random.Random(7).randbytes(100_000)
    cache, sha256 = FileCache(tmp_path), hashlib.sha256(data).digest()
    with cache.begin(sha256, len(data), announced=True) as partial:
        for start in (60_000, 20_000, 0, 80_000, 40_000):
            partial.write_at(start, data[start : start + 20_000])
            assert partial.read_at(start, 20_000) == data[start : start + 20_000]
        assert partial.complete
        path = partial.finish()
    assert path is not None and path.read_bytes() == data


def test_what_lies_behind_a_gap_is_not_kept(tmp_path: pathlib.Path) -> None:
    cache, sha256 = FileCache(tmp_path), hashlib.sha256(b"abcdef").digest()
    with cache.begin(sha256, 6, announced=True) as partial:
        partial.write_at(0, b"ab")
        partial.write_at(4, b"ef")
        assert partial.offset == 2 and not partial.complete
        with pytest.raises(PhaseLockError, match="More data"):
            partial.write_at(5, b"fg")
    with cache.begin(sha256, 6, announced=True) as partial:
        assert partial.offset == 2
        partial.write(b"cdef")
        assert partial.finish() is not None


def test_a_part_can_begin_again(tmp_path: pathlib.Path) -> None:
    cache, sha256 = FileCache(tmp_path), hashlib.sha256(b"abcdef").digest()
    with cache.begin(sha256, 6, announced=True) as partial:
        partial.write(b"xyz")
    with cache.begin(sha256, 6, announced=True) as partial:
        partial.restart()
        partial.write_at(0, b"abcdef")
        assert partial.finish() is not None
