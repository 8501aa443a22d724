"""The window's own file dialog, for desktops without one: a list of folders and songs, and an entry for a path."""

from __future__ import annotations

import concurrent.futures
import fnmatch
import functools
import os
import threading
import tkinter as tk
from collections.abc import Sequence
from tkinter import ttk
from typing import Any

from phaselock.desktop.file_dialog import Folder, Question, read_folder
from phaselock.errors import message_of
from phaselock.language.catalogue import current, tr, tr_plural
from phaselock.ui import theme
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import MainButton, SecondaryButton, TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.icons import icon

POLL_MS = 30
SIZE = (760, 560)
ROW = 34
_TYPED_S = 1000
"""Letters that follow each other within this time, in milliseconds, find a name together."""


class FileList(tk.Toplevel):
    """Sets `answered` when the user has chosen or cancelled; `chosen` has the paths, none if cancelled."""

    def __init__(self, window: Any, question: Question, answered: tk.Variable) -> None:
        super().__init__(window, background=theme.BACKGROUND, padx=px(24), pady=px(20))
        self.chosen: tuple[str, ...] = ()
        self._question = question
        self._answered = answered
        self._folder = Folder("")
        self._reading: concurrent.futures.Future[Folder] | None = None
        """The folder that will be shown when it is read."""
        self._all = self._ended = False
        self._typed, self._typed_due = "", ""
        self._replaces = ""
        """The existing file that a second click replaces."""
        self.title(question.title)
        self.transient(window)
        self.minsize(px(560), px(400))
        x = window.winfo_rootx() + (window.winfo_width() - px(SIZE[0])) // 2
        y = window.winfo_rooty() + (window.winfo_height() - px(SIZE[1])) // 2
        self.geometry(f"{px(SIZE[0])}x{px(SIZE[1])}+{max(0, x)}+{max(0, y)}")
        self._build()
        self.protocol("WM_DELETE_WINDOW", self.cancel)
        self.bind("<Escape>", lambda _event: self.cancel())
        self.bind("<Alt-Up>", lambda _event: self._up())
        self.bind("<Control-l>", lambda _event: self.path.focus())
        self._open(question.folder())
        self.rows.focus_set()

    def cancel(self) -> None:
        """Close it without a choice."""
        self._end(())

    # -- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure(2, weight=1)
        places = frame(self)
        places.grid(row=0, column=0, sticky="ew", pady=(0, px(8)))
        home = os.path.expanduser("~")
        TextButton(places, tr("Folder above"), self._up).pack(side="left")
        for name, path in (
            (tr("Music"), self._question.folders[-1]),
            (tr("Home folder"), home),
            (tr("Whole computer"), "/"),
        ):
            TextButton(places, name, functools.partial(self._open, path)).pack(side="left")
        if self._question.kind in ("file", "files"):
            self._all_button = TextButton(places, tr("Show all files"), self._toggle_all)
            self._all_button.pack(side="right")
        self.path = Field(self, "", on_submit=self._go)
        self.path.grid(row=1, column=0, sticky="ew", pady=(0, px(8)))
        box = tk.Frame(self, background=theme.SURFACE, padx=px(8), pady=px(8))
        box.grid(row=2, column=0, sticky="nsew")
        box.grid_columnconfigure(0, weight=1)
        box.grid_rowconfigure(0, weight=1)
        self.rows = ttk.Treeview(
            box, show="tree", style=_style(self), selectmode="extended" if self._question.kind == "files" else "browse"
        )
        self.rows.grid(row=0, column=0, sticky="nsew")
        bar = ttk.Scrollbar(box, style="PhaseLock.Vertical.TScrollbar", command=self.rows.yview)
        bar.grid(row=0, column=1, sticky="ns", padx=(px(8), 0))

        def scrolled(first: float, last: float) -> None:
            bar.set(first, last)
            if float(first) <= 0 and float(last) >= 1:  # Tk passes strings
                bar.grid_remove()
            else:
                bar.grid()

        self.rows.configure(yscrollcommand=scrolled)
        self._icons = [icon(name, px(20), theme.TEXT_SECONDARY, None) for name in ("folder", "music")]
        self.rows.bind("<<TreeviewSelect>>", lambda _event: self._show_choice())
        self.rows.bind("<Double-Button-1>", self._on_double)
        for key in ("Return", "KP_Enter"):
            self.rows.bind(f"<Key-{key}>", lambda _event: self._confirm())
        self.rows.bind("<BackSpace>", lambda _event: self._up())
        self.rows.bind("<Control-a>", lambda _event: self._select_all())
        self.rows.bind("<Key>", self._on_key, add="+")
        foot = frame(self)
        foot.grid(row=3, column=0, sticky="ew", pady=(px(16), 0))
        self._says = tk.Label(
            foot,
            background=theme.BACKGROUND,
            foreground=theme.TEXT_SECONDARY,
            font=theme.canvas_font(theme.SECONDARY),
            anchor="w",
        )
        self._do = MainButton(foot, self._word(), self._confirm)
        self._do.pack(side="right")
        SecondaryButton(foot, tr("Cancel"), self.cancel).pack(side="right", padx=(0, px(12)))
        self._says.pack(side="left", fill="x", expand=True)

    def _word(self) -> str:
        words = {"files": tr("Add"), "folder": tr("Choose this folder"), "save": tr("Save")}
        return words.get(self._question.kind, tr("Choose"))

    # -- the list ---------------------------------------------------------------------------------------------------

    def _open(self, path: str, *, typed: bool = False) -> None:
        """Show a folder as soon as it is read; a file that was typed is chosen."""
        reading: concurrent.futures.Future[Folder] = concurrent.futures.Future()
        self._reading = reading
        threading.Thread(target=lambda: reading.set_result(read_folder(path)), name="file list", daemon=True).start()
        self.master.after(0, self._look, reading, typed)

    def _look(self, reading: concurrent.futures.Future[Folder], typed: bool) -> None:
        if reading is not self._reading:
            return  # the user has opened another folder
        if not reading.done():
            self.master.after(POLL_MS, self._look, reading, typed)
            return
        self._reading = None
        folder = reading.result()
        if folder.problem is not None:
            if typed:
                self._take(folder.path, folder.problem)
            else:
                self.path.set_error(message_of(folder.problem).translated(current()))
            return
        self._folder = folder
        self.path.set(os.path.join(folder.path, self._question.name))
        self._show()

    def _show(self) -> None:
        """Fill the list with the folder; large folders come in parts, so that the window stays alive."""
        self.path.set_error("")
        self.rows.delete(*self.rows.get_children())
        files = [] if self._question.kind == "folder" else [name for name in self._folder.files if self._fits(name)]
        entries = [(name, True) for name in self._folder.folders] + [(name, False) for name in files]
        self._fill(self._folder, self._all, entries, 0)

    def _fill(self, folder: Folder, all_files: bool, entries: Sequence[tuple[str, bool]], at: int) -> None:
        if self._ended or folder is not self._folder or all_files != self._all:
            return
        for name, is_folder in entries[at : at + 300]:
            self.rows.insert(
                "", "end", text=f" {_printable(name)}", image=self._icons[not is_folder], values=(name, is_folder)
            )
        if at == 0 and (first := self.rows.get_children()):
            self.rows.focus(first[0])
        if at + 300 < len(entries):
            self.master.after(1, self._fill, folder, all_files, entries, at + 300)
        else:
            self._show_choice()

    def _fits(self, name: str) -> bool:
        patterns = self._question.filters[-1 if self._all else 0][1]
        return any(fnmatch.fnmatch(name.lower(), pattern.lower()) for pattern in patterns)

    def _toggle_all(self) -> None:
        self._all = not self._all
        self._all_button.set_text(tr("Only music") if self._all else tr("Show all files"))
        self._show()

    def _selected(self) -> list[tuple[str, bool]]:
        """Names of the selected rows, and whether each is a folder."""
        found = []
        for row in self.rows.selection():
            values: Any = self.rows.item(row, "values")
            found.append((str(values[0]), values[1] == "True"))
        return found

    def _show_choice(self) -> None:
        selected = self._selected()
        songs = [name for name, is_folder in selected if not is_folder]
        self._replaces = ""
        self._do.set_text(tr("Open") if selected and not songs else self._word())
        if self._question.kind == "save" and songs:
            self.path.set(os.path.join(self._folder.path, songs[0]))
        text = tr_plural("{number} song", "{number} songs", len(songs)).format(number=len(songs)) if songs else ""
        if not self.rows.get_children() and self._question.kind != "save":
            text = tr("There is nothing to choose here.")
        self._says.configure(text=text)

    def _select_all(self) -> str:
        if self._question.kind == "files":
            rows = self.rows.get_children()
            self.rows.selection_set([row for row in rows if self.rows.item(row, "values")[1] != "True"])
        return "break"

    def _on_key(self, event: tk.Event[Any]) -> str | None:
        """Find a name by its first letters."""
        if not event.char or not event.char.isprintable() or int(event.state) & 0x4:
            return None
        self._typed += event.char.casefold()
        if self._typed_due:
            self.master.after_cancel(self._typed_due)
        self._typed_due = self.master.after(_TYPED_S, self._forget_typed)
        for row in self.rows.get_children():
            if str(self.rows.item(row, "values")[0]).casefold().startswith(self._typed):
                self.rows.selection_set(row)
                self.rows.focus(row)
                self.rows.see(row)
                break
        return "break"

    def _forget_typed(self) -> None:
        self._typed = self._typed_due = ""

    # -- choosing ---------------------------------------------------------------------------------------------------

    def _up(self) -> str:
        self._open(os.path.dirname(self._folder.path) or "/")
        return "break"

    def _on_double(self, event: tk.Event[Any]) -> str:
        if self.rows.identify_row(event.y):
            self._confirm()
        return "break"

    def _go(self) -> None:
        """Use the path that was typed: open a folder, choose a file."""
        typed = self.path.get().strip().strip("'\"")
        path = os.path.normpath(os.path.join(self._folder.path, os.path.expanduser(typed)))
        if self._question.kind == "folder" and path == self._folder.path:
            self._end((path,))
        else:
            self._open(path, typed=True)

    def _confirm(self) -> None:
        selected = self._selected()
        folders = [name for name, is_folder in selected if is_folder]
        songs = [name for name, is_folder in selected if not is_folder]
        if self._question.kind == "save":
            if folders:
                self._open(os.path.join(self._folder.path, folders[0]))
            else:
                self._go()
        elif songs:
            self._end(tuple(os.path.join(self._folder.path, name) for name in songs))
        elif folders:
            self._open(os.path.join(self._folder.path, folders[0]))
        else:
            self._go()

    def _take(self, path: str, problem: OSError) -> None:
        """Choose a path that was typed and is no folder."""
        saves, exists = self._question.kind == "save", isinstance(problem, NotADirectoryError)
        if saves and exists and self._replaces != path:
            self._replaces = path
            self.path.set_error(tr("There is a file with this name. A second click replaces it."))
            self._do.set_text(tr("Replace"))
        elif exists and self._question.kind != "folder" or saves and isinstance(problem, FileNotFoundError):
            self._end((path,))
        elif isinstance(problem, FileNotFoundError | NotADirectoryError):
            self.path.set_error(tr("There is no such file or folder."))
        else:
            self.path.set_error(message_of(problem).translated(current()))

    def _end(self, chosen: tuple[str, ...]) -> None:
        if self._ended:
            return
        self._ended = True
        if self._typed_due:
            self.master.after_cancel(self._typed_due)
        self.chosen = chosen
        self._reading = None
        self.destroy()
        self._answered.set(True)


def _printable(name: str) -> str:
    """The name as Tk can show it: names on disk may be no text."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _style(master: tk.Misc) -> str:
    """The style of a dark list."""
    style = ttk.Style(master)
    style.theme_use("clam")
    name = "PhaseLock.Treeview"
    style.configure(
        name,
        background=theme.SURFACE,
        fieldbackground=theme.SURFACE,
        foreground=theme.TEXT,
        font=theme.canvas_font(theme.BODY),
        rowheight=px(ROW),
        borderwidth=0,
        relief="flat",
        indent=0,
    )
    style.layout(name, [("Treeview.treearea", {"sticky": "nswe"})])
    style.map(name, background=[("selected", theme.RAISED)], foreground=[("selected", theme.TEXT)])
    bar = "PhaseLock.Vertical.TScrollbar"
    thumb: Any = {"children": [("Vertical.Scrollbar.thumb", {"expand": "1", "sticky": "nswe"})], "sticky": "ns"}
    style.layout(bar, [("Vertical.Scrollbar.trough", thumb)])
    style.configure(
        bar,
        background=theme.REST,
        troughcolor=theme.SURFACE,
        bordercolor=theme.SURFACE,
        lightcolor=theme.REST,
        darkcolor=theme.REST,
        relief="flat",
        gripcount=0,
        width=px(8),
        arrowsize=px(8),
    )
    style.map(bar, background=[("active", theme.TEXT_SECONDARY), ("disabled", theme.SURFACE)])
    return name
