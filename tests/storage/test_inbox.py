"""The inbox of the open window: messages, the receiver's lock, and many processes at once."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pathlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock.errors import PhaseLockError
from phaselock.storage import inbox as inbox_module
from phaselock.storage.inbox import MAX_AGE_S, MAX_MESSAGE_BYTES, MAX_PATHS, Inbox, absolute, hand_over, opened

SENDERS = 100
INVITATION = "phaselock://192.168.1.42:17404/4829130001"
ROOT = "C:\\" if sys.platform == "win32" else "/"


def song(name: object) -> str:
    return f"{ROOT}{name}.mp3"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "data" / "inbox"


@pytest.fixture
def receiver(folder: pathlib.Path) -> Iterator[Inbox]:
    receiver = Inbox(folder)
    assert receiver.receive()
    yield receiver
    receiver.close()


def left(folder: pathlib.Path) -> list[str]:
    return [name for name in os.listdir(folder) if name != "receiver.lock"]


def write(folder: pathlib.Path, data: bytes, name: str = "a.json") -> pathlib.Path:
    (folder / name).write_bytes(data)
    return folder / name


def with_paths(*paths: object) -> bytes:
    return json.dumps({"paths": paths}).encode()


# -- one sender --------------------------------------------------------------------------------------------------------


def test_a_message_arrives_once(folder: pathlib.Path, receiver: Inbox) -> None:
    sender = Inbox(folder)
    names = [song(1), song("a\u0308 \u2028 \U0001f3b5"), f"{ROOT}folder"]
    sender.send(names)
    assert not sender.receive()
    assert receiver.take() == [tuple(names)]
    assert receiver.take() == [] and left(folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file names are no bytes there")
def test_a_name_that_is_no_text_arrives(folder: pathlib.Path, receiver: Inbox) -> None:
    path = os.fsdecode(b"/caf\xe9.mp3")
    Inbox(folder).send([path])
    assert receiver.take() == [(path,)]
    assert os.fsencode(path) == b"/caf\xe9.mp3"


def test_an_invitation_arrives_as_it_is(folder: pathlib.Path, receiver: Inbox) -> None:
    Inbox(folder).send([opened(INVITATION), opened(INVITATION.upper())])
    assert receiver.take() == [(INVITATION, INVITATION.upper())]


def test_a_message_without_paths_arrives(folder: pathlib.Path, receiver: Inbox) -> None:
    Inbox(folder).send([])
    assert receiver.take() == [()]


def test_too_many_files_are_refused_in_words(folder: pathlib.Path) -> None:
    for paths in ([song(1)] * (MAX_PATHS + 1), [song("x" * 32_000)] * 200):
        with pytest.raises(PhaseLockError, match="too many files"):
            hand_over(Inbox(folder), paths)
    assert not folder.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="other rights there")
def test_other_users_cannot_look_into_the_inbox(folder: pathlib.Path, receiver: Inbox) -> None:
    message = Inbox(folder).send([song(1)])
    assert folder.stat().st_mode & 0o077 == 0 and message.stat().st_mode & 0o077 == 0


def test_paths_become_absolute(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = os.getcwd()
    assert absolute("a.mp3") == os.path.join(here, "a.mp3")
    assert absolute("sub" + os.sep) == os.path.join(here, "sub")
    assert absolute(song(1)) == song(1)


@pytest.mark.skipif(sys.platform == "win32", reason="a working directory cannot be removed there")
def test_links_keep_their_meaning_and_a_lost_working_directory_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far" / "sub").mkdir(parents=True)
    (tmp_path / "far" / "a.mp3").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far" / "sub")
    monkeypatch.chdir(tmp_path / "here")
    assert os.path.samefile(absolute("link/../a.mp3"), tmp_path / "far" / "a.mp3")
    monkeypatch.chdir(tmp_path / "far" / "sub")
    (tmp_path / "far" / "sub").rmdir()
    assert absolute("/a.mp3") == "/a.mp3"
    with pytest.raises(PhaseLockError, match="There is no file a.mp3."):
        absolute("a.mp3")


def test_the_urls_of_files_become_paths(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File managers and browsers give URLs to a program that also opens invitations."""
    path = tmp_path / "Ärger & 100% #1.mp3"
    path.touch()
    assert opened(path.as_uri()) == os.fspath(path)
    assert opened(song(1)) == song(1)
    monkeypatch.chdir(tmp_path)
    assert opened("a.mp3") == os.path.join(os.getcwd(), "a.mp3")


# -- hostile and mistaken entries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\xfa",
        b"null",
        b"7" * 100_000,
        b"[]",
        b"{}",
        b"[" * 200_000,
        b'{"paths": ' + b"[" * 200_000,
        with_paths(7),
        with_paths(None),
        with_paths(["a"]),
        with_paths(""),
        with_paths("a.mp3"),
        with_paths("../a.mp3"),
        with_paths(song("a\0b")),
        with_paths(song("x" * 40_000)),
        with_paths(song(1), "a.mp3"),
        with_paths(*[song(1)] * (MAX_PATHS + 1)),
        with_paths("http://192.168.1.42"),
        with_paths(INVITATION + "1" * 3000),
        json.dumps({"paths": song(1)}).encode(),
        json.dumps({"paths": {song(1): song(1)}}).encode(),
        json.dumps([song(1)]).encode(),
        with_paths(song(1)) + b" " * MAX_MESSAGE_BYTES,
        pytest.param(
            with_paths("/\ud800.mp3"),
            marks=pytest.mark.skipif(sys.platform == "win32", reason="such names exist there"),
        ),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_an_invalid_message_is_removed_and_the_others_arrive(
    data: bytes, folder: pathlib.Path, receiver: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, data)
    Inbox(folder).send([song(2)])
    assert receiver.take() == [(song(2),)]
    assert left(folder) == [] and "an invalid message is removed" in caplog.text


def test_other_entries_are_no_messages(folder: pathlib.Path, receiver: Inbox) -> None:
    write(folder, with_paths(song(1)), "a.json.x.new")  # a sender is still writing it
    (folder / "folder.json").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.json")
        (folder / "loop.json").symlink_to("loop.json")
        (folder / "zero.json").symlink_to("/dev/zero")
    Inbox(folder).send([song(2)])
    assert receiver.take() == [(song(2),)]
    assert receiver.take() == []


def test_a_call_examines_a_limited_number_of_entries(
    folder: pathlib.Path, receiver: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_ENTRIES", 4)
    for number in range(9):
        Inbox(folder).send([song(number)])
    found = []
    while messages := receiver.take():
        assert len(messages) <= 4
        found += messages
    assert sorted(found) == [(song(number),) for number in range(9)]


def test_a_message_that_cannot_be_removed_is_not_delivered_twice(
    folder: pathlib.Path, receiver: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    Inbox(folder).send([song(1)])

    def refuse(path: pathlib.Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "in use")

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", refuse)
        assert receiver.take() == []
    assert receiver.take() == [(song(1),)]


# -- the receiver ------------------------------------------------------------------------------------------------------


def test_a_receiver_that_ends_is_replaced(folder: pathlib.Path, receiver: Inbox) -> None:
    second, third = Inbox(folder), Inbox(folder)
    assert receiver.receive() and not second.receive() and not third.receive()
    second.send([song(1)])
    receiver.close()
    receiver.close()
    assert third.receive() and not second.receive() and not receiver.receive()
    assert third.take() == [(song(1),)]
    third.close()


def test_a_new_receiver_deletes_what_is_old(folder: pathlib.Path) -> None:
    sender = Inbox(folder)
    old, new = sender.send([song("old")]), sender.send([song("new")])
    half = write(folder, b"{", "b.json.x.new")
    for path in (old, half):
        os.utime(path, (time.time() - MAX_AGE_S - 5,) * 2)
    receiver = Inbox(folder)
    assert receiver.receive() and left(folder) == [new.name]
    os.utime(new, (0, 0))  # later, the clock of the machine may be set: the age counts at the start only
    assert receiver.receive() and receiver.take() == [(song("new"),)]
    receiver.close()


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    inbox = Inbox(tmp_path / "file" / "inbox")
    for use in (inbox.receive, lambda: inbox.send([song(1)])):
        with pytest.raises(OSError):
            use()
    assert not hand_over(inbox, [song(1)])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    inbox = Inbox(tmp_path / "data" / "inbox")
    with monkeypatch.context() as patch:
        patch.setattr(inbox_module.tempfile, "TemporaryFile", refuse)
        with pytest.raises(OSError):
            inbox.receive()
    assert inbox.receive()  # the lock was given back
    inbox.close()


def test_without_locks_each_process_opens_its_own_window(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(inbox_module, "lock", refuse)
    assert not hand_over(Inbox(folder), [song(1)])
    assert left(folder) == []


# -- handing over ------------------------------------------------------------------------------------------------------


def test_without_a_window_the_sender_becomes_the_receiver(folder: pathlib.Path) -> None:
    inbox = Inbox(folder)
    assert not hand_over(inbox, [song(1)])
    assert left(folder) == [] and not Inbox(folder).receive() and inbox.receive()
    inbox.close()


def test_a_receiver_that_does_not_answer_gets_no_file_later(folder: pathlib.Path, receiver: Inbox) -> None:
    assert not hand_over(Inbox(folder), [song(1)], timeout_s=0)
    assert receiver.take() == []


def test_a_message_that_is_taken_at_the_last_moment_is_handed_over(
    folder: pathlib.Path, receiver: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Inbox(folder)
    send = sender.send
    taken: list[Any] = []

    def sent(paths: Any) -> pathlib.Path:
        message = send(paths)
        taken.extend(receiver.take())
        receiver.close()
        return message

    monkeypatch.setattr(sender, "send", sent)
    assert hand_over(sender, [song(1)])  # although it could become the receiver
    assert taken == [(song(1),)]
    assert receiver.receive()


def test_a_sender_waits_until_a_slow_receiver_takes_its_message(
    folder: pathlib.Path, receiver: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    taken: list[Any] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            taken.extend(receiver.take())

    monkeypatch.setattr(inbox_module.time, "sleep", pause)
    assert hand_over(Inbox(folder), [song(1)], timeout_s=1e9)
    assert taken == [(song(1),)] and len(pauses) == 20


def test_a_receiver_that_ends_in_the_middle_is_replaced_by_the_sender(
    folder: pathlib.Path, receiver: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module.time, "sleep", lambda _: receiver.close())
    inbox = Inbox(folder)
    assert not hand_over(inbox, [song(1)], timeout_s=1e9)
    assert inbox.receive() and left(folder) == []
    inbox.close()


def as_process(folder: pathlib.Path, number: int, barrier: Any, over: Any, results: Any) -> None:
    """Open one file. A process that has to open the window receives until all others have ended."""
    inbox = Inbox(folder)
    barrier.wait()
    handed_over = hand_over(inbox, [song(number)], timeout_s=600)
    got: list[tuple[str, ...]] = [] if handed_over else [(song(number),)]
    while not handed_over and not over.is_set():
        got += inbox.take()
        time.sleep(0.01)
    results.put((handed_over, got))


def run_together(folder: pathlib.Path, context: Any, start: Any, count: int) -> list[tuple[bool, list[tuple[str]]]]:
    """The results of `count` processes that start at once."""
    barrier, over, results = context.Barrier(count), context.Event(), context.Queue()
    workers = [start(target=as_process, args=(folder, number, barrier, over, results)) for number in range(count)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=120) for _ in range(count - 1)]  # all but the window
    over.set()
    found.append(results.get(timeout=120))
    for worker in workers:
        worker.join()
    return found


def check(found: list[tuple[bool, list[tuple[str]]]]) -> None:
    """Exactly one window has opened, and it has every file once."""
    (got,) = [got for handed_over, got in found if not handed_over]
    assert sorted(got) == sorted((song(number),) for number in range(len(found)))


class _Threads:
    """The interface of multiprocessing with threads: each has its own descriptors of the lock."""

    Barrier, Event = threading.Barrier, threading.Event

    @staticmethod
    def Queue() -> Any:
        import queue

        return queue.Queue()


@pytest.mark.parametrize("count", [2, SENDERS])
def test_many_at_once_open_one_window_which_gets_every_file_once(folder: pathlib.Path, count: int) -> None:
    check(run_together(folder, _Threads, threading.Thread, count))
    assert left(folder) == []


def test_processes_at_once_open_one_window_which_gets_every_file_once(folder: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    check(run_together(folder, context, context.Process, 4))
    assert left(folder) == []


def test_a_second_window_takes_over_and_nothing_is_lost(folder: pathlib.Path) -> None:
    """Windows open and close all the time, while files arrive."""
    got: list[tuple[str, ...]] = []
    over = threading.Event()

    def windows() -> None:
        while not over.is_set():
            window = Inbox(folder)
            if window.receive():
                got.extend(window.take())
                window.close()

    threads = [threading.Thread(target=windows) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(30):
        inbox = Inbox(folder)
        if not hand_over(inbox, [song(number)], timeout_s=600):
            got.append((song(number),))
            inbox.close()
    over.set()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted((song(number),) for number in range(30))
