from __future__ import annotations

import pathlib
import queue
import sys

import pytest

from phaselock.app import receiver as receiver_module
from phaselock.app.receiver import MAX_POLLS, QUIET_POLLS, Receiver
from phaselock.language.message import Message
from phaselock.storage.inbox import Inbox

INVITATION = "phaselock://192.168.1.42/482913"
ROOT = "C:\\" if sys.platform == "win32" else "/"


def song(name: object) -> str:
    return f"{ROOT}track {name}.mp3"


class Window:
    """What a window gets, and the inbox of the other processes."""

    def __init__(self, folder: pathlib.Path, *given: str) -> None:
        self.got: list[tuple[str, ...]] = []
        self.warnings: list[Message] = []
        self.raised = 0
        self.invitations: list[str] = []
        self.receiver = Receiver(
            Inbox(folder), given, self.got.append, self.invitations.append, self._raise, self.warnings.append
        )
        self.sender = Inbox(folder)

    def _raise(self) -> None:
        self.raised += 1

    def poll(self, times: int) -> None:
        for _ in range(times):
            self.receiver.poll()


def test_files_of_processes_that_start_together_are_sorted_naturally(tmp_path: pathlib.Path) -> None:
    window = Window(tmp_path, song(10))
    window.poll(1)
    for number in (11, 9, 2, 1):
        window.sender.send([song(number)])
        window.poll(QUIET_POLLS - 1)
    window.sender.send([song(3)])
    window.poll(QUIET_POLLS)
    assert window.got == []
    window.poll(1)
    assert window.got == [tuple(song(number) for number in (1, 2, 3, 9, 10, 11))]
    window.poll(50)
    assert len(window.got) == 1
    window.receiver.close()


def test_a_process_without_files_raises_the_window_at_once(tmp_path: pathlib.Path) -> None:
    window = Window(tmp_path)
    window.poll(1)
    window.sender.send([song(1)])
    window.sender.send([])
    window.poll(1)
    assert window.raised == 1 and window.got == []
    window.poll(QUIET_POLLS)
    assert window.raised == 1 and window.got == [(song(1),)]
    window.receiver.close()


def test_invitations_are_passed_on_at_once_and_are_no_files(tmp_path: pathlib.Path) -> None:
    window = Window(tmp_path, INVITATION)
    window.poll(1)
    assert window.invitations == [INVITATION]
    window.sender.send([song(1), INVITATION.upper()])
    window.poll(1)
    assert window.invitations == [INVITATION, INVITATION.upper()] and window.got == [] and not window.raised
    window.poll(QUIET_POLLS)
    assert window.got == [(song(1),)] and len(window.invitations) == 2
    window.receiver.close()


def test_the_files_of_one_process_keep_their_order(tmp_path: pathlib.Path) -> None:
    window = Window(tmp_path, song(2), song(1))
    window.poll(1 + QUIET_POLLS)
    window.sender.send([song(9), song(7), song(8)])
    window.poll(1 + QUIET_POLLS)
    assert window.got == [(song(2), song(1)), (song(9), song(7), song(8))]
    window.receiver.close()


def test_files_are_passed_on_although_more_arrive_all_the_time(tmp_path: pathlib.Path) -> None:
    window = Window(tmp_path)
    for number in range(2 * MAX_POLLS):
        window.sender.send([song(number)])
        window.poll(1)
    first, second = window.got
    assert len(first) == len(second) == MAX_POLLS
    window.receiver.close()


def test_a_second_window_receives_after_the_first(tmp_path: pathlib.Path) -> None:
    first, second = Window(tmp_path), Window(tmp_path)
    first.poll(1)
    second.sender.send([song(1)])
    second.poll(10)
    assert (first.got, second.got) == ([], [])
    first.receiver.close()
    second.poll(1 + QUIET_POLLS)
    assert (first.got, second.got) == ([], [(song(1),)])
    second.receiver.close()


def test_a_folder_that_cannot_be_used_is_told_once_and_own_files_arrive(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    window = Window(tmp_path / "data" / "inbox", song(1))
    window.poll(10)
    (warning,) = window.warnings
    assert warning.startswith("This window cannot receive files from the file manager: ")
    assert window.got == [(song(1),)]
    (tmp_path / "data").unlink()  # now it can
    window.poll(1)
    window.sender.send([song(2)])
    window.poll(1 + QUIET_POLLS)
    assert window.got == [(song(1),), (song(2),)] and len(window.warnings) == 1
    window.receiver.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with a locked file cannot be removed there")
def test_a_folder_that_is_removed_is_made_again(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "inbox"
    window = Window(folder)
    window.poll(1)
    (folder / "receiver.lock").unlink()
    folder.rmdir()
    window.poll(2)
    window.sender.send([song(1)])
    assert not window.sender.receive()
    window.poll(1 + QUIET_POLLS)
    assert window.got == [(song(1),)]
    window.receiver.close()


def test_the_thread_receives_until_it_is_closed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "POLL_S", 0.001)
    monkeypatch.setattr(receiver_module, "IDLE_POLL_S", 0.001)
    got: queue.Queue[tuple[str, ...]] = queue.Queue()
    receiver = Receiver(Inbox(tmp_path), (), got.put, str, int, lambda why: pytest.fail(why))
    receiver.start()
    sender = Inbox(tmp_path)
    sender.send([song(1)])
    assert got.get(timeout=30) == (song(1),)
    receiver.close()
    receiver.close()
    assert sender.receive()  # the lock is free
    sender.close()


def test_a_failure_does_not_end_the_thread(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    monkeypatch.setattr(receiver_module, "POLL_S", 0.001)
    monkeypatch.setattr(receiver_module, "IDLE_POLL_S", 0.001)
    got: queue.Queue[tuple[str, ...]] = queue.Queue()

    def give(paths: tuple[str, ...]) -> None:
        got.put(paths)
        if len(paths) == 2:
            raise RuntimeError("a bug")

    receiver = Receiver(Inbox(tmp_path), (song(1), song(2)), give, str, int, lambda why: pytest.fail(why))
    receiver.start()
    assert got.get(timeout=30) == (song(1), song(2))
    Inbox(tmp_path).send([song(3)])
    assert got.get(timeout=30) == (song(3),)
    receiver.close()
    assert bugs == ["the inbox failed: RuntimeError('a bug')"]
