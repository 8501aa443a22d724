"""The first screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phaselock.language.catalogue import current, tr
from phaselock.model.file_kinds import counted
from phaselock.model.names import file_label
from phaselock.model.notices import Code
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Closed
from phaselock.ui.screens.base import CODE_QUESTIONS, Screen, WindowApi
from phaselock.ui.theme import ctk, px
from phaselock.ui.widgets.banner import Banner
from phaselock.ui.widgets.buttons import IconButton, MainButton, SecondaryButton, TextButton
from phaselock.ui.widgets.label import Label
from phaselock.ui.widgets.logo import Logo

BUTTON_WIDTH = 280
NAME_WIDTH = 240
"""Limit of the name of a file in a sentence."""


class HomeScreen(Screen):
    """Logo, name, and the buttons that create or join a session."""

    def __init__(self, master: Any, api: WindowApi, note: str = "", lost: str = "") -> None:
        """`note`: why the last session ended; `lost`: the address of its host, to join it again."""
        super().__init__(master, api)
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure((0, 9), weight=1)
        Logo(self, 96).grid(row=1)
        label(self, "PhaseLock", theme.TITLE, bold=True).grid(row=2, pady=(px(16), 0))
        label(self, tr("Your speakers, in phase."), theme.BODY, theme.TEXT_SECONDARY).grid(row=3, pady=(px(4), px(32)))
        buttons = ctk.CTkFrame(self, fg_color=theme.BACKGROUND)
        buttons.grid(row=4)
        buttons.grid_columnconfigure(0, minsize=px(BUTTON_WIDTH))
        self.create = MainButton(buttons, tr("Create jam"), api.go_create)
        self.create.grid(row=0, sticky="ew")
        self.join = SecondaryButton(buttons, tr("Join jam"), api.go_browse)
        self.join.grid(row=1, sticky="ew", pady=(px(16), 0))
        self._waiting = ctk.CTkFrame(self, fg_color=theme.SURFACE, corner_radius=px(8))
        self._waiting_text = label(self._waiting, "", theme.SECONDARY)
        self._waiting_text.pack(side="left", padx=(px(16), px(8)), pady=px(8))
        self.forget = IconButton(self._waiting, "close", api.forget_waiting, diameter=28, tooltip=tr("Do not add"))
        self.forget.pack(side="left", padx=(0, px(8)))
        self.show_waiting()
        foot = ctk.CTkFrame(self, fg_color=theme.BACKGROUND)
        foot.grid(row=6, pady=(px(32), 0))
        self.sound = TextButton(foot, self._who(), api.open_sound)
        self.sound.pack(side="left")
        TextButton(foot, tr("Display"), api.open_display).pack(side="left", padx=(px(8), 0))
        self._rejoining = False
        self.banner: Banner | None = None
        self._offer(note, lost)

    def again(self) -> Screen:
        return HomeScreen(self.master, self.api, self._note, self._lost)

    def destroy(self) -> None:
        if self.api.program.state() is None:
            self._give_up()
        super().destroy()

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, Closed) and self._rejoining:
            self._say(event.reason, rejoining=False)
            if event.why is Code.BARRED:
                self._offer(event.reason, "")
            if event.why in CODE_QUESTIONS:
                self.api.ask_code("", event, self._rejoin, self._give_up)
            else:
                self.api.close_question()

    def uncovered(self) -> None:
        self.sound.set_text(self._who())

    def show_waiting(self) -> None:
        """Show how many files wait for a session, if any do."""
        if paths := self.api.waiting:
            self._waiting_text.configure(text=waiting_text(paths))
            self._waiting.grid(row=5, pady=(px(24), 0))
        else:
            self._waiting.grid_forget()

    def _offer(self, note: str, lost: str) -> None:
        """Say why the last session ended, and offer to join its host again."""
        self._note, self._lost = note, lost
        if self.banner is not None:
            self.banner.destroy()
        if note:
            self.banner = Banner(self, note, (tr("Rejoin"), self._rejoin) if lost else None)

    def _rejoin(self, code: str | None = None) -> None:
        self._say(tr("Joining…"), rejoining=True)
        self.api.program.join(self._lost, self.api.program.preferences().display_name, code)

    def _give_up(self) -> None:
        if self._rejoining:
            self.api.program.leave()

    def _say(self, text: str, *, rejoining: bool) -> None:
        self._rejoining = rejoining
        if self.banner is not None and self.banner.winfo_exists() and self.banner.button is not None:
            self.banner.set_text(text)
            self.banner.button.set_enabled(not rejoining)

    def _who(self) -> str:
        preferences = self.api.program.preferences()
        sound = tr("Sound: {device}").format(device=preferences.device) if preferences.device else ""
        return f"{preferences.display_name}  ·  {sound or tr('Sound: default output')}"


def waiting_text(paths: Sequence[str]) -> str:
    """The sentence about files that wait for a session, at least one. A single one is named."""
    name = theme.ellipsis(file_label(paths[0].rstrip("/\\")), theme.canvas_font(theme.SECONDARY), px(NAME_WIDTH))
    if len(paths) == 1:
        return tr("{file_name} will be added when you create or join a jam.").format(file_name=name)
    return tr("{files} will be added when you create or join a jam.").format(files=counted(paths).translated(current()))


def label(master: Any, text: str, size: int, colour: str = theme.TEXT, *, bold: bool = False, wrap: int = 0) -> Label:
    """A label with the window's font."""
    return Label(
        master, text, font=theme.font(size, bold), text_color=colour, wraplength=wrap, justify="left", height=px(28)
    )
