"""Files that the user opens with PhaseLock, in the window and by processes that hand them over."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phaselock.storage.inbox import Inbox
from phaselock.ui.backend import Closed, FilesGiven, InvitationGiven
from tests.support.session_views import guest, host
from tests.support.window_driver import (
    ROOT,
    Remote,
    button,
    click,
    deliver,
    go,
    paste,
    press,
    reads,
    screen,
    show,
    toasts,
    walk,
)

pytestmark = [pytest.mark.gui, pytest.mark.slow]
pytest.importorskip("tkinter", reason="Python was built without tkinter")

INVITATION = "phaselock://192.168.1.42:17404/4829130001"
ELSEWHERE = "phaselock:///192.168.1.42:17404,45.32.1.1/4829134471/7-1f00ab42"
NEWER = "phaselock:///192.168.1.42:17404,45.32.1.9/4829134471/7-1f00ab42"
OTHER = "phaselock://192.168.1.43:17404/5829130001"
QUESTION = "Join the jam of this invitation?"
SENTENCE = " will be added when you create or join a jam."
TIMEOUT_S = 60.0


@pytest.fixture
def window(make: Callable[..., Any]) -> Any:
    return make()


# -- the window --------------------------------------------------------------------------------------------------------


def test_files_wait_on_home_until_a_jam_is_created(window: Any) -> None:
    assert window.program.of("receive") == [()]
    assert not reads(window, SENTENCE)
    deliver(window, FilesGiven(("/music/track 2.mp3",)))
    assert reads(window, "track 2.mp3" + SENTENCE)
    deliver(window, FilesGiven(("/music/track 10.mp3", "/music/track 2.mp3", "/music/Party")))
    assert reads(window, "3 files and folders" + SENTENCE)
    assert window.program.of("add") == []
    show(window, host())
    assert window.program.of("add") == [["/music/track 2.mp3", "/music/track 10.mp3", "/music/Party"]]
    window.program.now = None
    deliver(window, Closed("Over.", failed=False))
    assert not reads(window, SENTENCE)
    show(window, host())
    assert len(window.program.of("add")) == 1


def test_files_wait_until_a_jam_is_joined(window: Any) -> None:
    deliver(window, FilesGiven(("/a.mp3", "/b.mp3")))
    show(window, guest())
    assert window.program.of("request") == ["/a.mp3", "/b.mp3"] and window.program.of("add") == []


def test_files_are_added_to_the_jam_that_is_open(window: Any) -> None:
    show(window, host())
    deliver(window, FilesGiven(("/a.mp3", "/b.m3u")), FilesGiven(("/a.mp3",)))
    assert window.program.of("add") == [["/a.mp3", "/b.m3u"], ["/a.mp3"]]


def test_files_go_on_waiting_if_the_jam_cannot_be_opened(window: Any) -> None:
    deliver(window, FilesGiven(("/a.mp3",)))
    go(window, "create")
    deliver(window, Closed("Port 17401 is in use.", failed=True))
    click(button(window, "Back (Escape)"))
    assert reads(window, "a.mp3" + SENTENCE)


def test_waiting_files_are_forgotten(window: Any) -> None:
    deliver(window, FilesGiven(("/a.mp3", "/b.mp3")))
    assert window.screen.forget in walk(window)
    click(button(window, "Do not add"))
    assert not reads(window, SENTENCE) and window.screen.forget not in walk(window)
    deliver(window, FilesGiven(("/c.mp3",)))
    assert reads(window, "c.mp3" + SENTENCE)
    show(window, host())
    assert window.program.of("add") == [["/c.mp3"]]


@pytest.mark.parametrize("where", ["create", "browse"])
def test_a_form_says_that_files_wait_and_keeps_the_keyboard(window: Any, where: str) -> None:
    go(window, where)
    field = window.screen.display_name
    field.focus()
    window.update()
    deliver(window, FilesGiven(("/a.mp3", "/b.mp3")))
    assert window.toasts.texts == ("2 files" + SENTENCE,)
    before = field.get()
    press(window, "<Key-x>")
    assert field.get() != before
    click(button(window, "Back (Escape)"))
    assert reads(window, "2 files" + SENTENCE)


def test_files_are_dropped_on_home_too(window: Any) -> None:
    window._dropped(types.SimpleNamespace(data="/a.mp3 {/a folder}", action="copy"))
    window.update()
    assert reads(window, "2 files and folders" + SENTENCE)
    show(window, host())
    assert window.program.of("add") == [["/a.mp3", "/a folder"]]


def test_folders_are_called_folders(window: Any) -> None:
    deliver(window, FilesGiven(("/music/A", "/music/B.2")))
    assert reads(window, "2 folders" + SENTENCE)


def test_macos_opens_files(window: Any) -> None:
    window.tk.call("::tk::mac::OpenDocument", "/a.mp3", "/a folder")
    window.update()
    assert reads(window, "2 files and folders" + SENTENCE)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/music/Party/", "Party"),
        ("C:\\Music\\a.mp3", "a.mp3"),
        ("D:\\", "D:"),
        ("/caf\udce9.mp3", "caf.mp3"),
        ("/" + "n" * 250 + ".mp3", "n…"),
    ],
)
def test_the_name_of_a_waiting_file_is_safe_and_short(window: Any, path: str, shown: str) -> None:
    window.geometry("900x600+0+0")
    deliver(window, FilesGiven((path,)))
    assert reads(window, shown + SENTENCE)
    row = window.screen.forget.master
    assert row.winfo_x() >= 16 and row.winfo_x() + row.winfo_width() <= 884


@pytest.mark.parametrize("state", ["normal", "zoomed", "iconic"])
def test_the_window_comes_to_the_front(window: Any, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a window manager does with these calls differs, so they are recorded."""
    did: list[str] = []
    monkeypatch.setattr(window, "state", lambda: state)
    for call in ("deiconify", "lift", "focus_force"):
        monkeypatch.setattr(window, call, lambda call=call: did.append(call))
    window.focus_set()
    window.update()
    show(window, host())
    assert did == []
    deliver(window, FilesGiven(("/a.mp3",)))
    # A maximised window would lose its size by `deiconify`.
    assert did == [*(["deiconify"] if state == "iconic" else []), "lift", "focus_force"]
    monkeypatch.undo()


def test_an_overlay_stays_open_while_files_arrive(window: Any) -> None:
    show(window, host())
    go(window, "sound")
    deliver(window, FilesGiven(("/a.mp3",)))
    assert window.overlay is not None and window.program.of("add") == [["/a.mp3"]]


# -- invitations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["home", "create", "browse"])
def test_an_invitation_that_is_opened_is_joined_after_a_question(window: Any, where: str) -> None:
    go(window, where)
    deliver(window, InvitationGiven(OTHER))
    assert window.program.of("join") == []  # a web page may have opened it
    deliver(window, InvitationGiven(INVITATION))
    assert not window.program.of("join") and reads(window, QUESTION)
    assert window.focus_get() is window._question.cancel  # a key that is pressed just now does not join
    click(button(window._question, "Join"))
    assert window.program.of("join") == [(INVITATION, "Ana", None)]
    assert window.screen.address.get() == INVITATION and reads(window, "Joining…")
    deliver(window, Closed("Cannot reach it.", failed=True))
    assert reads(window, "Cannot reach it.") and reads(window, "Connect")


def test_another_invitation_takes_the_place_of_the_one_that_is_being_joined(window: Any) -> None:
    for invitation in (INVITATION, INVITATION, OTHER):
        deliver(window, InvitationGiven(invitation))
        click(button(window._question, "Join"))
    assert window.program.of("join") == [(INVITATION, "Ana", None)] and window.program.of("leave") == [()]
    deliver(window, Closed("", failed=False))
    assert window.program.of("join") == [(INVITATION, "Ana", None), (OTHER, "Ana", None)]


@pytest.mark.parametrize("state", [host(), guest()])
def test_an_invitation_does_not_end_a_jam_without_a_question(window: Any, state: Any) -> None:
    show(window, state)
    deliver(window, InvitationGiven(INVITATION))
    assert not window.program.of("leave") and not window.program.of("join")
    click(button(window, "Join the other jam"))
    assert window.program.of("leave") == [()] and not window.program.of("join")
    window.program.now = None
    deliver(window, Closed("Over.", failed=False))
    assert window.program.of("join") == [(INVITATION, "Ana", None)] and screen(window) == "BrowserScreen"
    show(window, guest())
    window.program.now = None
    deliver(window, Closed("Over.", failed=False))
    assert screen(window) == "HomeScreen" and len(window.program.of("join")) == 1


@pytest.mark.parametrize("side", [host, guest])
@pytest.mark.parametrize("text", [ELSEWHERE, "phaselock://192.168.1.42", "phaselock://192.168.1.42:17401/482913"])
def test_an_invitation_to_the_jam_that_is_open_ends_nothing(window: Any, side: Any, text: str) -> None:
    show(window, side(session_id=bytes.fromhex("1f00ab42") + bytes(12)))
    deliver(window, InvitationGiven(text))
    assert toasts(window)[-1] == "You are in this jam: the invitation is for others."
    assert not reads(window, "Join the other jam") and not window.program.of("leave")
    deliver(window, InvitationGiven(ELSEWHERE.replace("1f00ab42", "1f00ab43")))
    assert reads(window, "Join the other jam")


def test_the_question_of_an_invitation_is_answered_with_no(window: Any) -> None:
    show(window, guest())
    deliver(window, InvitationGiven(INVITATION))
    press(window, "<Key-Escape>")
    window.program.now = None
    deliver(window, Closed("Host disconnected.", failed=True))
    assert not window.program.of("join") and screen(window) == "HomeScreen"


def test_an_invitation_that_is_opened_is_not_joined_without_an_answer(window: Any) -> None:
    deliver(window, InvitationGiven(INVITATION))
    press(window, "<Key-Escape>")
    assert not reads(window, QUESTION) and not window.program.of("join") and screen(window) == "HomeScreen"


def test_an_invitation_that_is_pasted_is_joined(window: Any) -> None:
    paste(window, "nothing of that kind")
    assert screen(window) == "HomeScreen" and not window.program.of("join")
    paste(window, f"Come and listen! {INVITATION}\nSee you")
    assert window.program.of("join") == [(INVITATION, "Ana", None)]


@pytest.mark.parametrize(("where", "field"), [("create", "session_name"), ("browse", "address")])
def test_an_invitation_is_pasted_into_any_field(window: Any, where: str, field: str) -> None:
    go(window, where)
    getattr(window.screen, field).focus()
    window.update()
    paste(window, "Friday")
    assert getattr(window.screen, field).get() == "Friday"
    paste(window, INVITATION)
    assert window.screen.address.get() == INVITATION and window.program.of("join") == [(INVITATION, "Ana", None)]


def test_in_a_jam_an_invitation_is_pasted_into_a_message(window: Any) -> None:
    show(window, guest())
    go(window, "chat")
    entry = window.overlay.field.entry._entry
    entry.focus_force()
    window.update()
    paste(window, INVITATION)
    assert entry.get() == INVITATION and window._question is None


@pytest.mark.parametrize("opened", [False, True])
def test_a_newer_invitation_to_the_jam_that_is_open_is_not_joined_anew(window: Any, opened: bool) -> None:
    def give() -> None:
        if opened:
            deliver(window, InvitationGiven(NEWER))
        else:
            paste(window, NEWER)

    session_id = bytes.fromhex("1f00ab42") + bytes(12)
    for side in (guest, host):
        show(window, side(session_id=session_id))
        give()
        assert toasts(window)[-1] == "You are in this jam: the invitation is for others."
    assert not window.program.of("return_by")
    show(window, guest(connected=False, session_id=session_id))
    give()
    assert window.program.of("return_by") == [NEWER] and window._question is None
    assert not window.program.of("leave") and not window.program.of("join")


def test_without_a_host_an_invitation_is_pasted_while_a_message_is_written(window: Any) -> None:
    show(window, guest(connected=False, session_id=bytes.fromhex("1f00ab42")))
    go(window, "chat")
    entry = window.overlay.field.entry._entry
    entry.focus_force()
    window.update()
    paste(window, NEWER)
    assert entry.get() == "" and window.program.of("return_by") == [NEWER]


def test_macos_opens_an_invitation(window: Any) -> None:
    window.tk.call("::tk::mac::LaunchURL", INVITATION)
    window.update()
    click(button(window._question, "Join"))
    assert window.program.of("join") == [(INVITATION, "Ana", None)]


# -- processes ---------------------------------------------------------------------------------------------------------


class Opening:
    """`phaselock window FILE...` as a file manager starts it."""

    def __init__(self, home: pathlib.Path, *files: str, folder: pathlib.Path = ROOT, language: str = "en") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "phaselock", "window", "--backend", "null", *files],
            cwd=folder,
            env={
                **os.environ,
                "PHASELOCK_HOME": os.fspath(home),
                "PHASELOCK_LANG": language,
                "PYTHONPATH": os.pathsep.join([os.fspath(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def end(self) -> tuple[int, str, str]:
        """Wait: exit status, standard output and standard error."""
        output, errors = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, output.strip(), errors.strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def test_a_process_hands_its_files_over(display: str, tmp_path: pathlib.Path, stack: contextlib.ExitStack) -> None:
    window = Remote(tmp_path)
    stack.callback(window.kill)
    inbox = Inbox(tmp_path / "data" / "inbox")
    while inbox.receive():  # until the window is the receiver
        inbox.close()
        window.do("title")

    def open_files(*files: str, **options: Any) -> tuple[int, str, str]:
        process = Opening(tmp_path, *files, **options)
        stack.callback(process.kill)
        return process.end()

    assert open_files("a.mp3", folder=tmp_path) == (0, "The window that is open has received 1 file.", "")
    window.wait_until("reads", "a.mp3" + SENTENCE)
    assert open_files("b.mp3", "Party", folder=tmp_path, language="de")[1:] == (
        "Das offene Fenster hat 2 Dateien und Ordner erhalten.",
        "",
    )
    window.wait_until("reads", "3 files and folders" + SENTENCE)
    assert open_files(INVITATION) == (
        0,
        "The window that is open has received the invitation.",
        "",
    )
    window.wait_until("reads", QUESTION)
    assert window.do("waiting") == [str(tmp_path / name) for name in ("a.mp3", "b.mp3", "Party")]
    window.do("close")
    assert window.end() == (0, "[]", "")


def test_a_process_without_files_raises_the_window_that_is_open(
    display: str, tmp_path: pathlib.Path, stack: contextlib.ExitStack
) -> None:
    window = Remote(tmp_path)
    stack.callback(window.kill)
    inbox = Inbox(tmp_path / "data" / "inbox")
    while inbox.receive():  # until the window is the receiver
        inbox.close()
        window.do("title")
    window.do("iconify")
    process = Opening(tmp_path)
    stack.callback(process.kill)
    assert process.end() == (0, "PhaseLock is open already. Its window comes to the front.", "")
    window.wait_for("state", "normal")
    window.do("close")
    assert window.end() == (0, "[]", "")


def test_processes_that_start_at_once_open_one_window(
    display: str, tmp_path: pathlib.Path, stack: contextlib.ExitStack
) -> None:
    processes = [Opening(tmp_path, f"/track {number}.mp3") for number in range(5)]
    for process in processes:
        stack.callback(process.kill)
    ended = []
    while len(ended) < len(processes) - 1:
        for process in processes:
            if process not in ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.process.wait(0.1)
                    assert process.end() == (0, "The window that is open has received 1 file.", "")
                    ended.append(process)
    (window,) = set(processes) - set(ended)
    assert os.listdir(tmp_path / "data" / "inbox") == ["receiver.lock"]
    assert window.process.poll() is None
    late = Opening(tmp_path, "/late.mp3")
    stack.callback(late.kill)
    assert late.end()[0] == 0
    window.process.send_signal(signal.SIGTERM)
    assert window.end()[1:] == ("", "")


def test_without_a_state_folder_the_window_opens_and_says_so(
    display: str, tmp_path: pathlib.Path, stack: contextlib.ExitStack
) -> None:
    (tmp_path / "data").write_bytes(b"")
    window = Remote(tmp_path)
    stack.callback(window.kill)
    window.wait_until("toasts", true=lambda toasts: any("cannot receive files" in text for text in toasts))
    window.do("close")
    assert window.end() == (0, "[]", "")
