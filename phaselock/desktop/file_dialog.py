"""The file dialog of the desktop on Linux: that of the portal, else of zenity or kdialog.

The dialog runs on a thread of its own, because it stays open for as long as the user needs.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

from phaselock.desktop.appearance import PORTAL, PORTAL_PATH
from phaselock.desktop.bus import DISCONNECTED, Bus, BusError, sender_of
from phaselock.errors import InternalError, bug_net
from phaselock.frozen import frozen

TIMEOUT_PORTAL_S = 5.0
"""How long the portal may take to open a dialog. It may have to start first."""
POLL_S = 0.1
"""Time between two looks whether the dialog was cancelled."""
Kind = Literal["file", "files", "folder", "save"]
_REQUEST = "org.freedesktop.portal.Request"
_CHOSEN, _CANCELLED = 0, 1


@frozen
class Question:
    """What the user is asked to choose. `folders`: where to begin, the first one that exists."""

    kind: Kind
    title: str
    folders: tuple[str, ...]
    name: str = ""
    """The suggested name of the file to save."""
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Labels, each with the patterns of names that it shows; the first is chosen at the beginning."""
    window: int = 0
    """The X11 window that asks."""

    def folder(self) -> str:
        """The folder to begin in. Reads the disk."""
        return next((one for one in self.folders if one and os.path.isdir(one)), os.path.expanduser("~"))


class Unavailable(Exception):
    """There is no such dialog on this machine."""


class FileDialog:
    """One open dialog. `answer` has the paths, none if the user cancelled; or None if there is no dialog of the
    desktop."""

    def __init__(self, question: Question) -> None:
        self.answer: concurrent.futures.Future[tuple[str, ...] | None] = concurrent.futures.Future()
        self._question = question
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="file dialog", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Close the dialog, within about POLL_S. The answer is then an empty tuple."""
        self._over.set()

    def _run(self) -> None:
        found = None
        with contextlib.suppress(InternalError), bug_net("the file dialog"):
            found = self._ask()
        self.answer.set_result(found)

    def _ask(self) -> tuple[str, ...] | None:
        folder = self._question.folder()
        for ask in (_ask_portal, *_programs()):
            if self._over.is_set():
                return ()
            with contextlib.suppress(Unavailable):
                return ask(self._question, folder, self._over)
        return None


Ask = Callable[[Question, str, threading.Event], tuple[str, ...]]


def _programs() -> tuple[Ask, ...]:
    """Those of the user's desktop come first."""
    kde = "KDE" in os.environ.get("XDG_CURRENT_DESKTOP", "").upper().split(":")
    return (_ask_kdialog, _ask_zenity) if kde else (_ask_zenity, _ask_kdialog)


# -- the portal --------------------------------------------------------------------------------------------------------


def _ask_portal(question: Question, folder: str, over: threading.Event) -> tuple[str, ...]:
    try:
        bus = Bus()
    except BusError:
        raise Unavailable from None
    try:
        return _converse(bus, question, folder, over)
    except BusError:
        raise Unavailable from None
    finally:
        bus.close()


def _converse(bus: Bus, question: Question, folder: str, over: threading.Event) -> tuple[str, ...]:
    token = f"phaselock{os.urandom(8).hex()}"
    handle = f"{PORTAL_PATH}/request/{bus.name[1:].replace('.', '_')}/{token}"
    bus.listen(f"type='signal',sender='{PORTAL}',interface='{_REQUEST}',member='Response'")
    method = "SaveFile" if question.kind == "save" else "OpenFile"
    arguments = (f"x11:{question.window:x}", question.title, _options(question, folder, token))
    try:
        reply = bus.call(
            PORTAL,
            PORTAL_PATH,
            "org.freedesktop.portal.FileChooser",
            method,
            "ssa{sv}",
            arguments,
            timeout_s=TIMEOUT_PORTAL_S,
        )
        match reply.body:
            case (str(chosen),):  # portals before version 0.9 choose another one
                handle = chosen
            case _:
                raise BusError
        portal = sender_of(reply)
        while not over.is_set():
            message = bus.receive(POLL_S)
            if message is not None and sender_of(message) == portal and _path_of(message) == handle:
                return _chosen(message.body)
    except BusError as error:
        if error.error != DISCONNECTED:
            _close(bus, handle)  # it may still open the dialog
        raise
    _close(bus, handle)
    return ()


def _close(bus: Bus, handle: str) -> None:
    with contextlib.suppress(BusError):
        bus.call(PORTAL, handle, _REQUEST, "Close", timeout_s=1.0)


def _options(question: Question, folder: str, token: str) -> dict[str, tuple[str, Any]]:
    glob = 0
    filters = [(label, [(glob, pattern) for pattern in patterns]) for label, patterns in question.filters]
    options: dict[str, tuple[str, Any]] = {
        "handle_token": ("s", token),
        "modal": ("b", True),
        "current_folder": ("ay", os.fsencode(folder) + b"\0"),
    }
    if question.kind == "save":
        options["current_name"] = "s", question.name
    else:
        options["multiple"] = "b", question.kind == "files"
        options["directory"] = "b", question.kind == "folder"
    if filters and question.kind != "folder":
        options["filters"] = "a(sa(us))", filters
        options["current_filter"] = "(sa(us))", filters[0]
    return options


def _chosen(body: object) -> tuple[str, ...]:
    """The paths of a response. Unavailable if the portal has failed."""
    match body:
        case (0, {"uris": ("as", list(uris))}):
            return tuple(path for uri in uris if (path := path_of_uri(uri)))
        case (1, _):
            return ()
    raise Unavailable


def path_of_uri(uri: str) -> str:
    """The path of a file URI; empty if it is another URI."""
    from urllib.parse import unquote_to_bytes, urlsplit  # imported late: only a dialog needs it

    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return ""
    return os.fsdecode(unquote_to_bytes(parts.path))


def _path_of(message: Any) -> str:
    from jeepney import HeaderFields

    return str(message.header.fields.get(HeaderFields.path, ""))


# -- programs ----------------------------------------------------------------------------------------------------------


def _ask_zenity(question: Question, folder: str, over: threading.Event) -> tuple[str, ...]:
    where = os.path.join(folder, question.name)
    command = ["zenity", "--file-selection", f"--title={question.title}", f"--filename={where}"]
    command += {
        "file": [],
        "files": ["--multiple", "--separator=\n"],
        "folder": ["--directory"],
        "save": ["--save", "--confirm-overwrite"],
    }[question.kind]
    for label, patterns in question.filters:
        command.append(f"--file-filter={label.replace('|', ' ')} | {' '.join(patterns)}")
    return _run(command, over)


def _ask_kdialog(question: Question, folder: str, over: threading.Event) -> tuple[str, ...]:
    where = os.path.join(folder, question.name)
    filters = "\n".join(f"{label.replace('(', '').replace(')', '')} ({' '.join(ps)})" for label, ps in question.filters)
    command = ["kdialog", "--title", question.title]
    if question.window:
        command += ["--attach", str(question.window)]
    command += {
        "file": ["--getopenfilename", where, filters],
        "files": ["--multiple", "--separate-output", "--getopenfilename", where, filters],
        "folder": ["--getexistingdirectory", where],
        "save": ["--getsavefilename", where, filters],
    }[question.kind]
    return _run(command, over)


def _run(command: Sequence[str], over: threading.Event) -> tuple[str, ...]:
    """The paths that a program prints. Unavailable if it is missing or cannot show its dialog."""
    if shutil.which(command[0]) is None:
        raise Unavailable
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError:
        raise Unavailable from None
    with process:
        while True:
            try:
                printed, _ = process.communicate(timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                if over.is_set():
                    process.kill()
    if over.is_set() or process.returncode == _CANCELLED:
        return ()
    if process.returncode != _CHOSEN:
        raise Unavailable
    # Each path begins with a slash, so that a name may contain a line break.
    paths = os.fsdecode(printed).removesuffix("\n").split("\n/")
    return tuple(path if path.startswith("/") else "/" + path for path in paths if path)


# -- what the own list of the window shows -----------------------------------------------------------------------------


@frozen
class Folder:
    """The contents of a folder, sorted as people expect; `problem`: why it cannot be read."""

    path: str
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    problem: OSError | None = None


MAX_ENTRIES = 20_000
"""Limit of the entries of a folder that are shown."""


def read_folder(path: str, sort_key: Callable[[str], Any] = str.casefold) -> Folder:
    """Read a folder, without hidden entries. May take seconds on a slow disk: call it on a worker thread."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                with contextlib.suppress(OSError):
                    (folders if entry.is_dir() else files).append(entry.name)
                if len(folders) + len(files) >= MAX_ENTRIES:
                    break
    except OSError as error:
        return Folder(path, problem=error)
    return Folder(path, tuple(sorted(folders, key=sort_key)), tuple(sorted(files, key=sort_key)))
