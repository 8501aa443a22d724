from __future__ import annotations

import multiprocessing
import os
import pathlib
import stat
import sys
import threading

import pytest

from phaselock.storage import files as files_module
from phaselock.storage.files import locked, open_regular, replace_file


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
