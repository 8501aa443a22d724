"""Overlays, and the one with the shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, SessionView
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.widgets.buttons import IconButton
from phaselock.ui.widgets.panel import Panel

SHORTCUTS = (
    (N_("Space"), N_("Play or pause, or press the button that has the ring")),
    (N_("Ctrl + Right, Ctrl + Left"), N_("Next, previous (or back to the beginning)")),
    (N_("Right, Left"), N_("5 seconds on, back")),
    (N_("Ctrl + Up, Ctrl + Down, M"), N_("Louder, quieter, mute")),
    (N_("Ctrl + O, Ctrl + V"), N_("Add or request songs, join by the copied invitation")),
    (N_("Ctrl + F, Ctrl + T"), N_("Find a song in the queue, open the chat")),
    (N_("Ctrl + S, Ctrl + R"), N_("Shuffle what is to come, repeat the queue")),
    (N_("Enter, double click"), N_("Play that song")),
    (N_("Alt + Up, Alt + Down, drag"), N_("Move a song")),
    (N_("Delete, Ctrl + Z"), N_("Remove songs, bring them back")),
    (N_("Plus, minus"), N_("Louder, quieter: the peer that has the ring")),
    (N_("Right button, menu key, Shift + F10"), N_("The menu of a row")),
    (N_("Tab, arrows"), N_("Walk through everything")),
    (N_("Escape"), N_("Close what lies on top, go back")),
    (N_("Ctrl + plus, Ctrl + minus, Ctrl + 0"), N_("Larger, smaller or usual text")),
    (N_("F11, Ctrl + comma"), N_("Full screen, display")),
    (N_("Ctrl + Q, Ctrl + W"), N_("Close the window")),
    ("?", N_("This sheet")),
)


class Overlay(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """A panel in the middle of the window, instead of the screen. Escape and its cross close it."""

    beside = False
    """True: it takes the place of the queue, and the rest of the screen stays."""

    def __init__(self, master: Any, title: str, on_close: Callable[[], None]) -> None:
        super().__init__(master, fg_color=theme.BACKGROUND, corner_radius=0)
        self.panel = Panel(self, title)
        self.panel.place(relx=0.5, rely=0.5, anchor="center")
        IconButton(self.panel.header, "close", on_close, tooltip=tr("Close (Escape)")).pack(side="right")
        self.body = self.panel.body

    def on_event(self, event: BackendEvent) -> None:
        """An event arrived."""

    def on_state(self, state: SessionView) -> None:
        """There is a new view of the session."""

    def tick(self) -> None:
        """Called up to 25 times a second while a session is open."""


class ShortcutsOverlay(Overlay):
    """The table of shortcuts."""

    def __init__(self, master: Any, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Shortcuts"), on_close)
        for row, (keys, meaning) in enumerate(SHORTCUTS):
            key = label(self.body, tr(keys), theme.SECONDARY, bold=True)
            words = label(self.body, tr(meaning), theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(440))
            for column, text in enumerate((key, words)):
                text.configure(height=px(22))  # all of them fit into the smallest window
                text.grid(row=row, column=column, sticky="w", padx=(px(24) * column, 0), pady=px(1))
