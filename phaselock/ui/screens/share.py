"""The host's overlay for those who want to join: the address, the code, and both as a picture for a camera."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.model.code import CODE_RULE, normal_code, shown_code
from phaselock.model.invitation import invitation_text
from phaselock.session import commands as c
from phaselock.ui import theme
from phaselock.ui.backend import SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.code import copy_invitation, new_code
from phaselock.ui.screens.guest_page import GuestPagePart
from phaselock.ui.screens.home import label
from phaselock.ui.screens.invite import InvitePart
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import IconButton, SecondaryButton, TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.qr import qr_image
from phaselock.ui.widgets.segments import Segments

QR_SIZE = 232
WIDTH, GAP = 380, 32
CODE_SIZE = 40
"""Of the digits, which are read from across the room."""
HEIGHT = 340
MAX_LARGE = 9
"""Characters of the longest code of that size."""


class ShareOverlay(Overlay):
    """A change of the code takes effect at once, and is not stored for the next jam."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None], tab: int | None = None) -> None:
        super().__init__(master, tr("Let others join"), on_close)
        self._api = api
        self._shown: tuple[str, str, str] | None = None
        tabs = tr("With PhaseLock"), tr("With a phone"), tr("With a friend elsewhere")
        self.tabs = Segments(self.panel.header, tabs, self._choose_tab)
        self.tabs.pack(side="right", padx=px(16))
        self.body.grid_columnconfigure(0, minsize=px(QR_SIZE + GAP))
        self.body.grid_columnconfigure(1, minsize=px(WIDTH))
        self.body.grid_rowconfigure(0, minsize=px(HEIGHT))  # so that nothing jumps between the tabs
        self._columns = [(frame(self.body), frame(self.body)) for _tab in self.tabs.buttons]
        left, right = self._columns[0]
        self.picture = tk.Label(left, background=theme.SURFACE, borderwidth=0, highlightthickness=0)
        self.picture.pack()
        self.copy = TextButton(left, tr("Copy invitation"), self._copy_invitation)
        self.copy.pack(pady=(px(8), 0))
        self._build_code(right)
        self._below = self._caption(right, tr("Address"))
        self._below.pack(anchor="w", pady=(px(16), 0))
        line = frame(right)
        line.pack(fill="x")
        line.grid_columnconfigure(0, weight=1)
        self.address = Line(line, theme.BODY)
        self.address.grid(row=0, column=0, sticky="ew")
        copy = IconButton(line, "copy", self._copy_address, tooltip=tr("Copy address"))
        copy.grid(row=0, column=1, padx=(px(8), 0))
        self._caption(right, tr("Is it the right host? Compare these words:")).pack(anchor="w", pady=(px(16), 0))
        self.words = label(right, "", theme.SECONDARY)
        self.words.configure(height=px(20))
        self.words.pack(anchor="w")
        note = label(right, tr("Others see the same four words under Details."), theme.SECONDARY, wrap=px(WIDTH))
        note.configure(height=px(20), text_color=theme.TEXT_SECONDARY)
        note.pack(anchor="w")
        self.page = GuestPagePart(*self._columns[1], api, picture=QR_SIZE, width=WIDTH)
        self.invitation = InvitePart(*self._columns[2], api, picture=QR_SIZE, width=WIDTH)
        last = api.program.preferences().ui.get("share")
        self.show_tab(tab if tab is not None else last if isinstance(last, int) and 0 <= last < len(tabs) else 0)
        state = api.program.state()
        if state is not None:
            self.on_state(state)

    def show_tab(self, number: int) -> None:
        """Show how to join with PhaseLock (0), with a phone (1), or from elsewhere (2)."""
        self.tabs.show(number)
        for tab, (left, right) in enumerate(self._columns):
            if tab == number:
                left.grid(row=0, column=0, sticky="n", padx=(0, px(GAP)))
                right.grid(row=0, column=1, sticky="nsew")
            else:
                left.grid_forget()
                right.grid_forget()

    def _choose_tab(self, number: int) -> None:
        self._api.program.remember(share=number)
        self.show_tab(number)

    def on_state(self, state: SessionView) -> None:
        self.page.on_state(state)
        self.invitation.on_state(state)
        shown = address, code, words = state.address, state.snapshot.code, state.host_words
        if shown == self._shown:
            return
        if self._shown is not None and code != self._shown[1]:
            self._fold_own()
        self._shown = shown
        self.address.set(address)
        self.words.configure(text=words)
        self._picture = qr_image(invitation_text(address, code), px(QR_SIZE))
        self.picture.configure(image=self._picture)
        if code:
            large = len(code) <= MAX_LARGE
            self.code.configure(font=theme.font(CODE_SIZE if large else theme.SECTION, True))
            self.code.configure(text=shown_code(code))
            self._code_line.pack(fill="x", before=self._buttons)
            self._open.pack_forget()
            self.new.set_text(tr("New code"))
            self.remove.pack(side="left", padx=(px(8), 0))
            self._note.pack(anchor="w", pady=(px(8), 0), before=self._below)
        else:
            self._code_line.pack_forget()
            self._open.pack(anchor="w", before=self._buttons)
            self.new.set_text(tr("Use a code"))
            self.remove.pack_forget()
            self._note.pack_forget()

    def _build_code(self, place: Any) -> None:
        self._caption(place, tr("Code")).pack(anchor="w")
        line = self._code_line = frame(place)
        line.grid_columnconfigure(0, weight=1)
        self.code = label(line, "", CODE_SIZE, bold=True, wrap=px(WIDTH - 48))
        self.code.grid(row=0, column=0, sticky="w")
        copy = IconButton(line, "copy", self._copy_code, tooltip=tr("Copy the code"))
        copy.grid(row=0, column=1, padx=(px(8), 0))
        self._open = label(place, tr("Everybody on this network may join."), theme.BODY, wrap=px(WIDTH))
        buttons = self._buttons = frame(place)
        buttons.pack(fill="x", pady=(px(8), 0))
        self.new = SecondaryButton(buttons, "", lambda: self._change(new_code()))
        self.new.pack(side="left")
        self.own = TextButton(buttons, tr("Own word"), self._toggle_own)
        self.own.pack(side="left", padx=(px(8), 0))
        self.remove = TextButton(buttons, tr("Remove"), self._remove)
        self._own_line = frame(place)
        self._own_line.grid_columnconfigure(0, weight=1)
        self.word = Field(self._own_line, tr("A word or digits, 4 to 64 characters"), on_submit=self._set_own)
        self.word.grid(row=0, column=0, sticky="ew")
        self.word.entry.bind("<Key-Escape>", self._on_escape, add="+")
        self.set_own = SecondaryButton(self._own_line, tr("Set"), self._set_own)
        self.set_own.grid(row=0, column=1, sticky="n", padx=(px(8), 0), pady=(self.word.entry_y(), 0))
        self._note = label(
            place, tr("Those who are here stay when you change the code."), theme.SECONDARY, wrap=px(WIDTH)
        )
        self._note.configure(height=px(20), text_color=theme.TEXT_SECONDARY)

    def _caption(self, place: Any, text: str) -> Any:
        caption = label(place, text, theme.SECONDARY, theme.TEXT_SECONDARY)
        caption.configure(height=px(20))
        return caption

    def _toggle_own(self) -> None:
        if self._own_line.winfo_manager():
            self._fold_own()
        else:
            self._own_line.pack(fill="x", pady=(px(8), 0), after=self._buttons)
            self.update_idletasks()  # Tk gives the keyboard only to what is visible
            self.word.focus()

    def _fold_own(self) -> None:
        if self._own_line.winfo_manager():
            self.word.set("")
            self._own_line.pack_forget()
            self.own.focus_set()

    def _on_escape(self, _event: object) -> str:
        self._fold_own()
        return "break"  # it would close the panel

    def _set_own(self) -> None:
        code = normal_code(self.word.get())
        if code and self._shown is not None and code == self._shown[1]:
            self._fold_own()
        elif code:
            self._change(self.word.get())
        else:
            self.word.set_error(tr(CODE_RULE))

    def _remove(self) -> None:
        if self._shown is not None:
            code = self._shown[1]
            self._change("")
            self._api.show_toast(tr("Everybody may join now."), action=(tr("Undo"), lambda: self._change(code)))

    def _change(self, code: str) -> None:
        self._api.program.command(c.ChangeCode(code))

    def _copy(self, text: str, said: str) -> None:
        self.clipboard_clear()
        self.clipboard_append(text)
        self._api.show_toast(said)

    def _copy_code(self) -> None:
        if self._shown is not None:
            self._copy(self._shown[1], tr("Code copied."))

    def _copy_address(self) -> None:
        if self._shown is not None:
            self._copy(self._shown[0], tr("Address copied."))

    def _copy_invitation(self) -> None:
        if self._shown is not None:
            copy_invitation(self, self._api, *self._shown[:2])
