"""Overlays: sound and the shortcuts."""

from __future__ import annotations

import tkinter
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Outputs, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import number_text, output_text
from phaselock.ui.widgets.buttons import IconButton, MainButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.panel import Panel

MAX_CORRECTION_MS = 2000.0

SHORTCUTS = (
    (N_("Space"), N_("Play or pause")),
    (N_("Ctrl + Right, Ctrl + Left"), N_("Next, previous (or back to the beginning)")),
    (N_("Right, Left"), N_("5 seconds on, back")),
    (N_("Ctrl + Up, Ctrl + Down, M"), N_("Louder, quieter, mute")),
    (N_("Ctrl + O"), N_("Add songs (host), request a song (peer)")),
    (N_("Ctrl + F"), N_("Find a song in the queue")),
    (N_("Ctrl + S, Ctrl + R"), N_("Shuffle what is to come, repeat the queue")),
    (N_("Enter, double click"), N_("Play that song")),
    (N_("Alt + Up, Alt + Down, drag"), N_("Move a song")),
    (N_("Delete"), N_("Remove songs")),
    (N_("Tab, arrows"), N_("Walk through everything")),
    (N_("Escape"), N_("Close what lies on top")),
    ("?", N_("This sheet")),
)


class Overlay(ctk.CTkFrame):  # type: ignore[misc]
    """A panel in the middle of the window, instead of the screen. Escape and its cross close it."""

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
        """Called about 30 times a second while a session is open."""


class SoundOverlay(Overlay):
    """The output of this machine, and the user's correction of its delay."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Sound"), on_close)
        self._api = api
        chosen = api.program.preferences().device
        label(self.body, tr("Output"), theme.SECONDARY, theme.TEXT_SECONDARY).pack(anchor="w")
        self._frame = ctk.CTkFrame(
            self.body,
            corner_radius=px(8),
            border_width=px(2),
            border_color=theme.ELEVATED,
            fg_color=theme.ELEVATED,
        )
        self.output = ctk.CTkOptionMenu(
            self._frame,
            command=self._choose,
            width=px(412),
            height=px(32),
            corner_radius=px(4),
            fg_color=theme.ELEVATED,
            button_color=theme.ELEVATED,
            button_hover_color=theme.GRID,
            dropdown_fg_color=theme.ELEVATED,
            font=theme.font(theme.BODY),
        )
        self._outputs: dict[str, str | None] = {}
        """The outputs by their texts in the menu; None: the default output of the system."""
        self._offer([chosen])
        self.output.set(next(iter(self._outputs)))
        self.output.pack(fill="x", padx=px(4), pady=px(4))  # within the round corners
        self._frame.pack(fill="x", pady=(px(4), px(16)))
        self._let_keys_choose()
        state = api.program.state()
        own = state.own if state else None
        now_ms = number_text(own.correction_ms if own else 0, "g")
        self.correction = Field(self.body, tr("Offset in milliseconds"), now_ms, on_submit=self._correct)
        if own is not None:
            self.correction.pack(fill="x")
            hint = tr("Positive plays earlier: for a loudspeaker that hides a delay. Kept for this output.")
            explained = label(self.body, hint, theme.CAPTION, theme.TEXT_SECONDARY, wrap=px(420))
            explained.pack(anchor="w", pady=(px(4), px(16)))
            MainButton(self.body, tr("Apply"), self._correct).pack(anchor="e")
        self._device = label(self.body, "", theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(420))
        self._device.pack(anchor="w", pady=(px(8), 0))
        if state is not None:
            self.on_state(state)
        api.program.list_outputs()

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, Outputs):
            outputs = [None, *event.names]
            chosen = self._outputs[self.output.get()]
            self._offer(outputs if chosen in outputs else [*outputs, chosen])

    def on_state(self, state: SessionView) -> None:
        self._device.configure(text=output_text(state))

    def _offer(self, outputs: Sequence[str | None]) -> None:
        """Let the user choose one of these outputs."""
        self._outputs = {output or tr("The system's choice"): output for output in outputs}
        self.output.configure(values=[*self._outputs])

    def _let_keys_choose(self) -> None:
        """Add keys to customtkinter's menu, which supports the pointer only. The frame shows who has the keyboard."""
        tkinter.Frame.configure(self.output, takefocus=True)
        tkinter.Frame.bind(self.output, "<FocusIn>", lambda _: self._frame.configure(border_color=theme.FOCUS))
        tkinter.Frame.bind(self.output, "<FocusOut>", lambda _: self._frame.configure(border_color=theme.ELEVATED))
        for key in ("space", "Return", "KP_Enter", "Down", "Up"):
            tkinter.Frame.bind(self.output, f"<Key-{key}>", self._open_menu)

    def _open_menu(self, _event: object) -> str:
        self.output._open_dropdown_menu()
        return "break"

    def _choose(self, text: str) -> None:
        self._api.program.choose_output(self._outputs[text])

    def _correct(self) -> None:
        self.correction.set_error("")
        try:
            correction_ms = float(self.correction.get().replace(",", ".").replace("−", "-"))
        except ValueError:
            correction_ms = MAX_CORRECTION_MS + 1
        if abs(correction_ms) <= MAX_CORRECTION_MS:
            self._api.program.set_correction_ms(correction_ms)
            form = tr("This output now plays {number} ms earlier.")
            if correction_ms < 0:
                form = tr("This output now plays {number} ms later.")
            self._api.show_toast(form.format(number=number_text(abs(correction_ms), "g")))
        else:
            form = tr("A number from {low} to {high}, please.")
            self.correction.set_error(form.format(low=f"{-MAX_CORRECTION_MS:g}", high=f"{MAX_CORRECTION_MS:g}"))


class ShortcutsOverlay(Overlay):
    """The table of shortcuts."""

    def __init__(self, master: Any, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Shortcuts"), on_close)
        for row, (keys, meaning) in enumerate(SHORTCUTS):
            label(self.body, tr(keys), theme.BODY, bold=True).grid(row=row, column=0, sticky="w", pady=px(4))
            label(self.body, tr(meaning), theme.BODY, theme.TEXT_SECONDARY, wrap=px(440)).grid(
                row=row, column=1, sticky="w", padx=(px(24), 0), pady=px(4)
            )
