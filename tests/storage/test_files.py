from __future__ import annotations

import multiprocessing
import os
import pathlib
import stat
import sys
import threading

import pytest

from phaselock.storage import files as files_module
from phaselock.storage.files import lock, locked, open_part, open_regular, rename, replace_file


def test_a_plain_file_is_opened(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    with open_regular(tmp_path / "x") as file:
        assert file.read() == b"abc"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_nothing_else_is_opened(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x").write_bytes(b"abc")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", pathlib.Path("/dev/zero")):
        with pytest.raises(OSError):
            open_regular(path)
    plain = os.stat(tmp_path / "x")
    with monkeypatch.context() as exchanged:
        exchanged.setattr(files_module.os, "stat", lambda _: plain)  # it was a file at the first check
        with pytest.raises(OSError, match="not a plain file"):
            open_regular(tmp_path / "pipe")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):
        replace_file(path, b"three")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(sys.platform == "win32", reason="other rights there")
def test_a_replaced_file_is_the_owners_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").touch(0o644)
    replace_file(tmp_path / "x", b"")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


def count_up(folder: pathlib.Path) -> None:
    for _ in range(100):
        with locked(folder / "lock"):
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def test_one_is_inside_at_a_time(tmp_path: pathlib.Path) -> None:
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=count_up, args=(tmp_path,)) for _ in range(2)]
    threads = [threading.Thread(target=count_up, args=(tmp_path,)) for _ in range(2)]
    for worker in (*workers, *threads):
        worker.start()
    for worker in (*workers, *threads):
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (tmp_path / "number").read_text() == "400"


def test_a_lock_is_given_back_after_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        raise ZeroDivisionError
    with locked(tmp_path / "lock"):
        pass
    with pytest.raises(OSError), locked(tmp_path / "none" / "lock"):
        pass


def test_a_lock_is_waited_for_without_a_pause(tmp_path: pathlib.Path) -> None:
    """The waiting thread calls the system once and sleeps in it."""
    inside = threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock"):
            inside.set()

    thread = threading.Thread(target=wait)
    with open_part(tmp_path / "lock", new=True) as file:
        assert lock(file.fileno(), wait=False)
        with open_part(tmp_path / "lock", new=False) as another:
            assert not lock(another.fileno(), wait=False)
        thread.start()
        assert not inside.is_set()
    assert inside.wait(60)
    thread.join()
    with open_part(tmp_path / "lock", new=False) as file:
        assert lock(file.fileno(), wait=False)


def test_a_part_is_renamed_and_removed_while_it_is_open(tmp_path: pathlib.Path) -> None:
    with open_part(tmp_path / "part", new=True) as file:
        file.write(b"abc")
        with pytest.raises(FileExistsError):
            open_part(tmp_path / "part", new=True)
        rename(tmp_path / "part", tmp_path / "final")
        file.write(b"def")
    assert (tmp_path / "final").read_bytes() == b"abcdef"
    with open_part(tmp_path / "final", new=False) as file:
        assert file.read() == b"abcdef"
        (tmp_path / "final").unlink()
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        open_part(tmp_path / "final", new=False)


@pytest.mark.parametrize(("refusals", "works"), [(0, True), (2, True), (3, False)])
def test_a_rename_waits_for_other_programs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, refusals: int, works: bool
) -> None:
    calls, replace = 0, os.replace

    def refused(source: pathlib.Path, target: pathlib.Path) -> None:
        nonlocal calls
        calls += 1
        if calls <= refusals:
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(files_module, "_RENAME_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(os, "replace", refused)
    if works:
        replace_file(tmp_path / "x", b"new")
        assert (tmp_path / "x").read_bytes() == b"new"
    else:
        with pytest.raises(PermissionError):
            replace_file(tmp_path / "x", b"new")
        assert os.listdir(tmp_path) == []
    assert calls == min(refusals + 1, 3)


def test_every_rename_is_that_of_one_module() -> None:
    house = pathlib.Path(files_module.__file__).parent.parent
    calls = ("os.replace(", "os.rename(", "part.replace(", "unfinished.replace(", ".rename(")
    found = [path.name for path in house.rglob("*.py") if any(call in path.read_text("utf-8") for call in calls)]
    assert found == ["files.py"]
