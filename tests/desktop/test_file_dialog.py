from __future__ import annotations

import os
import pathlib
import threading
from typing import Any

import pytest
from jeepney import DBusAddress, new_signal

from phaselock.desktop import file_dialog
from phaselock.desktop.appearance import PORTAL
from phaselock.desktop.bus import Bus
from phaselock.desktop.file_dialog import FileDialog, Question, path_of_uri, read_folder
from tests.desktop.conftest import Serve
from tests.support.message_bus import Answer, ServiceError

REQUEST = "org.freedesktop.portal.Request"
MUSIC = (("Music", ("*.mp3", "*.MP3")), ("All files", ("*",)))


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A PATH without zenity and kdialog; a test may add its own ones to the folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.fspath(folder))
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    return folder


def program(folder: pathlib.Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {folder}/{name}.args\n{script}\n")
    (folder / name).chmod(0o755)


def ask(question: Question) -> tuple[str, ...] | None:
    return FileDialog(question).answer.result(20)


class Portal:
    """A portal whose dialogs answer with `response`, or stay open if that is None."""

    def __init__(self, service: Serve, response: tuple[int, dict[str, Any]] | None, forger: Bus | None = None) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.closed, self.opened = threading.Event(), threading.Event()
        self._response, self._forger = response, forger
        self._bus = service(PORTAL, self._answer)

    def _answer(self, method: str, asked: tuple[Any, ...]) -> Answer | None:
        if method == "Close":
            self.closed.set()
            return "", ()
        self.asked.append((method, asked))
        handle = "/org/freedesktop/portal/desktop/request/1/" + asked[2]["handle_token"][1]
        threading.Timer(0.05, self._respond, [handle]).start()
        self.opened.set()
        return "o", (handle,)

    def _respond(self, handle: str) -> None:
        """Send the true response last: the test ends when it has come."""
        for bus, response in ((self._forger, (0, {"uris": ("as", ["file:///forged"])})), (self._bus, self._response)):
            if bus is not None and response is not None:
                bus.send(self.signal(handle, response))

    @staticmethod
    def signal(handle: str, response: tuple[int, dict[str, Any]]) -> Any:
        return new_signal(DBusAddress(handle, interface=REQUEST), "Response", "ua{sv}", response)


def test_the_portal_is_asked(service: Serve, no_programs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    portal = Portal(
        service, (0, {"uris": ("as", ["file:///a/b%20c.mp3", "http://x/y.mp3", "file:///%E5%A4%9C%23.mp3"])})
    )
    question = Question("files", "Add songs", ("/nonexistent", os.fspath(tmp_path)), filters=MUSIC, window=0x1F)
    assert ask(question) == ("/a/b c.mp3", "/夜#.mp3")
    ((method, (window, title, options)),) = portal.asked
    assert (method, window, title) == ("OpenFile", "x11:1f", "Add songs")
    assert options["multiple"] == ("b", True) and options["directory"] == ("b", False)
    assert options["current_folder"] == ("ay", os.fsencode(tmp_path) + b"\0")
    assert options["filters"][1][0] == ("Music", [(0, "*.mp3"), (0, "*.MP3")])


@pytest.mark.parametrize(
    ("kind", "method", "key", "value"),
    [
        ("folder", "OpenFile", "directory", ("b", True)),
        ("file", "OpenFile", "multiple", ("b", False)),
        ("save", "SaveFile", "current_name", ("s", "sync.csv")),
    ],
)
def test_other_questions(
    service: Serve, no_programs: pathlib.Path, kind: Any, method: str, key: str, value: tuple[str, Any]
) -> None:
    portal = Portal(service, (1, {}))
    assert ask(Question(kind, "T", (), "sync.csv")) == ()
    assert portal.asked[0][0] == method and portal.asked[0][1][2][key] == value


def test_only_the_portal_answers(service: Serve, no_programs: pathlib.Path) -> None:
    """Another program on the bus sends the signal of the portal to the dialog."""
    forger = Bus()
    Portal(service, (0, {"uris": ("as", ["file:///true"])}), forger)
    assert ask(Question("files", "T", ())) == ("/true",)
    forger.close()


def test_a_dialog_is_closed(service: Serve, no_programs: pathlib.Path) -> None:
    portal = Portal(service, None)
    dialog = FileDialog(Question("files", "T", ()))
    assert portal.opened.wait(10)
    dialog.cancel()
    assert dialog.answer.result(10) == () and portal.closed.wait(10)


@pytest.mark.parametrize("fault", ["no bus", "no portal", "refused", "failed", "nonsense"])
def test_without_a_portal_a_program_is_asked(
    service: Serve, no_programs: pathlib.Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def refuse(method: str, asked: tuple[Any, ...]) -> Answer:
        if fault == "nonsense":
            return "uu", (1, 2)
        raise ServiceError("org.freedesktop.DBus.Error.UnknownInterface")

    if fault == "no bus":
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    elif fault == "failed":
        Portal(service, (2, {}))
    elif fault in ("refused", "nonsense"):
        service(PORTAL, refuse)
    program(no_programs, "zenity", "printf '/m/a b.mp3\\n/m/two\\nlines.mp3\\n'")
    assert ask(Question("files", "T", ("/",), filters=MUSIC)) == ("/m/a b.mp3", "/m/two\nlines.mp3")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("files", "--multiple"),
        ("folder", "--directory"),
        ("save", "--filename=/x.csv"),
        ("file", "--file-filter=Music | *.mp3 *.MP3"),
    ],
)
def test_how_zenity_is_asked(no_programs: pathlib.Path, kind: Any, expected: str) -> None:
    program(no_programs, "zenity", "echo /a")
    name = "x.csv" if kind == "save" else ""
    assert ask(Question(kind, "T", ("/",), name, MUSIC)) == ("/a",)
    assert expected in (no_programs / "zenity.args").read_text().splitlines()


def test_kde_and_what_is_missing(no_programs: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(Question("files", "T", ())) is None
    program(no_programs, "zenity", "echo /zenity")
    program(no_programs, "kdialog", "echo /kdialog")
    assert ask(Question("files", "T", ())) == ("/zenity",)
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "KDE")
    assert ask(Question("files", "T", ())) == ("/kdialog",)
    program(no_programs, "kdialog", "exit 1")  # cancelled
    assert ask(Question("files", "T", ())) == ()
    program(no_programs, "kdialog", "exit 254")  # no display
    assert ask(Question("files", "T", ())) == ("/zenity",)


def test_a_program_is_ended(no_programs: pathlib.Path) -> None:
    program(no_programs, "zenity", "exec /bin/sleep 60")
    dialog = FileDialog(Question("files", "T", ()))
    while not (no_programs / "zenity.args").exists():
        pass
    dialog.cancel()
    assert dialog.answer.result(10) == ()


def test_an_exception_is_no_dialog(no_programs: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    monkeypatch.setattr(file_dialog, "_ask_portal", lambda *_: 1 / 0)
    assert ask(Question("files", "T", ())) is None
    assert len(bugs) == 1 and bugs[0].startswith("the file dialog")


@pytest.mark.parametrize(
    ("uri", "path"),
    [("file:///a%20b", "/a b"), ("file://localhost/a", "/a"), ("file://server/a", ""), ("smb://a/b", ""), ("a", "")],
)
def test_paths_of_uris(uri: str, path: str) -> None:
    assert path_of_uri(uri) == path


def test_a_folder_is_read(tmp_path: pathlib.Path) -> None:
    for name in ("b", "A"):
        (tmp_path / name).mkdir()
    for name in ("z.mp3", "Y.mp3", ".hidden"):
        (tmp_path / name).touch()
    found = read_folder(os.fspath(tmp_path))
    assert (found.folders, found.files, found.problem) == (("A", "b"), ("Y.mp3", "z.mp3"), None)
    assert isinstance(read_folder(os.fspath(tmp_path / "no")).problem, FileNotFoundError)
