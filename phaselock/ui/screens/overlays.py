"""Overlays: sound, the large plot of the phase errors, the shortcuts."""

from __future__ import annotations

import pathlib
import tkinter
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.errors import message_of
from phaselock.language.catalogue import current, tr
from phaselock.language.message import N_
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Outputs, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import SyncReadout, number_text, output_text, sync_view
from phaselock.ui.widgets.buttons import IconButton, MainButton, SecondaryButton, TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.plot import Series, SyncPlot

PLOT_SPAN_S = 300.0
PLOT_WIDTH = 760
PLOT_INTERVAL_TICKS = 15
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
        self.place(relx=0, rely=0, relwidth=1, relheight=1)

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
        self.spectrum = TextButton(self.body, self._spectrum_text(), self._switch_spectrum)
        self.spectrum.pack(anchor="w", pady=(px(8), 0))
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

    def _spectrum_text(self) -> str:
        return tr("Hide the spectrum") if self._api.visualiser else tr("Show the spectrum")

    def _switch_spectrum(self) -> None:
        self._api.show_spectrum(not self._api.visualiser)
        self.spectrum.set_text(self._spectrum_text())

    def _choose(self, text: str) -> None:
        self._api.program.choose_output(self._outputs[text])

    def _correct(self) -> None:
        self.correction.set_error("")
        try:
            correction_ms = float(self.correction.get().replace(",", "."))
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


class SyncOverlay(Overlay):
    """The phase errors of all machines in the last five minutes, as a plot and in numbers."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("In phase"), on_close)
        self._api = api
        self._ticks = 0
        self._sentence = label(self.body, "", theme.SECTION, bold=True, wrap=px(PLOT_WIDTH))
        self._sentence.pack(anchor="w")
        self.plot = SyncPlot(self.body, height=280, detailed=True)
        self.plot.configure(width=px(PLOT_WIDTH))
        self.plot.pack(fill="both", expand=True, pady=(px(12), 0))
        self._table = ctk.CTkFrame(self.body, fg_color=theme.SURFACE)
        self._table.pack(anchor="w", pady=(px(12), 0))
        self._shown: Sequence[SyncReadout] = ()
        self._cells: dict[tuple[int, int], ctk.CTkLabel] = {}
        SecondaryButton(self.body, tr("Export as CSV"), self._export).pack(anchor="e", pady=(px(12), 0))
        state = api.program.state()
        if state is not None:
            self.on_state(state)
        self.tick()

    def on_state(self, state: SessionView) -> None:
        sync = sync_view(state)
        self._sentence.configure(text=sync.sentence)
        if sync.machines != self._shown:
            self._shown = sync.machines
            self._show_readouts(sync.machines)

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % PLOT_INTERVAL_TICKS == 1:
            now_s = self._api.now_s()
            series = self._api.history.series(PLOT_SPAN_S, now_s)
            lines = [
                Series(one.name, one.colour_index, [(p.t_s, p.error_us, p.uncertainty_us) for p in one.points])
                for one in series
            ]
            self.plot.set_series(lines, PLOT_SPAN_S, now_s)

    def _show_readouts(self, machines: Sequence[SyncReadout]) -> None:
        heads = ("", tr("error"), tr("within"), tr("drift"), tr("correction"), tr("underruns"))
        rows = [
            (m.name, m.error_text, m.uncertainty_text, m.drift_text, m.correction_text, str(m.underruns))
            for m in machines
        ]
        for y, row in enumerate([heads, *rows]):
            for x, text in enumerate(row):
                self._cell(x, y).configure(text=text)
        for x, y in [place for place in self._cells if place[1] > len(rows)]:
            self._cells.pop((x, y)).destroy()

    def _cell(self, x: int, y: int) -> ctk.CTkLabel:
        """Change the labels of the table, which are made once: the values change every second."""
        if (x, y) not in self._cells:
            colour = theme.TEXT if y and not x else theme.TEXT_SECONDARY
            cell = self._cells[x, y] = label(self._table, "", theme.SECONDARY, colour)
            cell.grid(row=y, column=x, sticky="w" if not x else "e", padx=(0 if not x else px(32), 0))
        return self._cells[x, y]

    def _export(self) -> None:
        if path := self._api.ask_save("phaselock-sync.csv"):
            try:
                pathlib.Path(path).write_bytes(self._api.history.csv().encode())  # its lines end as CSV wants it
            except OSError as error:
                form = tr("Cannot write {path}: {reason}")
                self._api.show_toast(form.format(path=path, reason=message_of(error).translated(current())), "error")
            else:
                self._api.show_toast(tr("Saved as {path}").format(path=path))


class ShortcutsOverlay(Overlay):
    """The table of shortcuts."""

    def __init__(self, master: Any, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Shortcuts"), on_close)
        for row, (keys, meaning) in enumerate(SHORTCUTS):
            label(self.body, tr(keys), theme.BODY, bold=True).grid(row=row, column=0, sticky="w", pady=px(4))
            label(self.body, tr(meaning), theme.BODY, theme.TEXT_SECONDARY, wrap=px(440)).grid(
                row=row, column=1, sticky="w", padx=(px(24), 0), pady=px(4)
            )
