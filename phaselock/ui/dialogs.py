"""Asks the user for files and folders, without a standstill of the window.

Windows and macOS have their own dialogs. On Linux those of the desktop are used (desktop/file_dialog.py), and where
there is none, the list of this window (ui/file_list.py).
"""

from __future__ import annotations

import os
import tkinter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phaselock.language.catalogue import tr
from phaselock.model.file_kinds import MUSIC_ENDINGS, SONG_ENDINGS
from phaselock.ui.backend import Program

# Only an open dialog needs the modules below: imported late, they cost the first screen no memory.
if TYPE_CHECKING:
    from phaselock.desktop.file_dialog import FileDialog, Kind, Question
    from phaselock.ui.file_list import FileList

POLL_MS = 50


class Dialogs:
    """One dialog at a time: while one is open, another request is answered as cancelled. The folder of the last choice
    is stored."""

    def __init__(self, window: Any, program: Program) -> None:
        self._window = window
        self._program = program
        self._answered: tkinter.Variable | None = None
        self._dialog: FileDialog | FileList | None = None

    def files(self) -> Sequence[str]:
        """Songs and playlists; empty: cancelled."""
        return self._ask("files", tr("Add songs"), [(tr("Music and playlists"), _plain(SONG_ENDINGS))])

    def song(self) -> str:
        """One song; empty: cancelled."""
        return "".join(self._ask("file", tr("Request a song"), [(tr("Music"), _plain(MUSIC_ENDINGS))])[:1])

    def folder(self) -> str:
        """A folder; empty: cancelled."""
        return "".join(self._ask("folder", tr("Add a folder"))[:1])

    def save(self, name: str, title: str = "") -> str:
        """Where to save a file with this suggested name; empty: cancelled."""
        return "".join(self._ask("save", title or tr("Save"), name=name)[:1])

    def close(self) -> None:
        """Cancel the dialog that is open."""
        if self._dialog is not None:
            self._dialog.cancel()
        if self._answered is not None:
            self._answered.set(True)

    def _ask(
        self, kind: Kind, title: str, kinds: Sequence[tuple[str, Sequence[str]]] = (), *, name: str = ""
    ) -> Sequence[str]:
        if self._answered is not None:
            if isinstance(self._dialog, tkinter.Toplevel):
                self._dialog.lift()
            return ()
        stored = self._program.preferences().ui.get("folder")
        folders = (stored if isinstance(stored, str) else "", _music_folder())
        x11 = self._window.tk.call("tk", "windowingsystem") == "x11"
        filters = [(label, tuple(f"*.{one}" for one in _both_cases(endings, x11))) for label, endings in kinds]
        if kind in ("files", "save") or filters:
            filters.append((tr("All files"), ("*",)))
        self._answered = tkinter.BooleanVar(self._window)
        try:
            if x11:
                from phaselock.desktop.file_dialog import Question

                window = self._window.winfo_id()
                found = self._ask_desktop(Question(kind, title, folders, name, tuple(filters), window))
            else:
                found = self._ask_tk(kind, title, filters, name, next((one for one in folders if one), ""))
        finally:
            self._answered = self._dialog = None
        if found and (folder := os.path.dirname(found[0])):
            self._program.remember(folder=found[0] if kind == "folder" else folder)
        return found

    def _ask_desktop(self, question: Question) -> Sequence[str]:
        from phaselock.desktop.file_dialog import FileDialog
        from phaselock.ui.file_list import FileList

        self._dialog = dialog = FileDialog(question)
        self._poll(dialog)
        if not dialog.answer.done():
            return ()  # the window closes
        found = dialog.answer.result()
        if found is None and self._answered is not None:
            self._dialog = own = FileList(self._window, question, self._answered)
            self._window.wait_variable(self._answered)
            found = own.chosen
        return found or ()

    def _poll(self, dialog: FileDialog) -> None:
        """Let the window run until the dialog has an answer."""
        answered = self._answered
        assert answered is not None

        def look() -> None:
            if dialog.answer.done():
                answered.set(True)
            else:
                self._window.after(POLL_MS, look)

        if not dialog.answer.done():
            self._window.after(POLL_MS, look)
            self._window.wait_variable(answered)

    def _ask_tk(
        self, kind: Kind, title: str, filters: Sequence[tuple[str, tuple[str, ...]]], name: str, folder: str
    ) -> Sequence[str]:
        from tkinter import filedialog

        options: dict[str, Any] = {"parent": self._window, "title": title, "initialdir": folder or None}
        if kind == "folder":
            found = filedialog.askdirectory(**options)
        elif kind == "save":
            found = filedialog.asksaveasfilename(**options, initialfile=name)
        elif kind == "files":
            return tuple(filedialog.askopenfilenames(**options, filetypes=filters) or ())
        else:
            found = filedialog.askopenfilename(**options, filetypes=filters)
        return (found,) if found else ()


def _both_cases(endings: Sequence[str], x11: bool) -> Sequence[str]:
    """Only the dialogs of X11 distinguish upper and lower case."""
    return (*endings, *map(str.upper, endings)) if x11 else endings


def _music_folder() -> str:
    import platformdirs  # imported late: only a dialog needs it

    return platformdirs.user_music_dir()


def _plain(endings: Sequence[str]) -> tuple[str, ...]:
    """Endings without their dots."""
    return tuple(ending[1:] for ending in endings)
