"""The overlay with the phase errors of all machines in the last five minutes, as a plot and in numbers."""

from __future__ import annotations

import pathlib
import time
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.errors import message_of
from phaselock.language.catalogue import current, tr, tr_plural
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.calibrate import CalibrationPart
from phaselock.ui.screens.home import label
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.screens.playing import series
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import SyncReadout, confirmed_cell, sync_view
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import TextButton
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.plot import SyncPlot
from phaselock.ui.widgets.raster import dot

PLOT_SPAN_S = 300.0
PLOT_INTERVAL_TICKS = 15
WIDTH, HEIGHT = 960, 720
"""Limits of the panel, in pixels of the design."""
MARGIN = 24
SENTENCE_HEIGHT = 40
"""Room for two lines: the plot does not move when the sentence changes."""
_WIDEST = ("−1000 µs", "±1000 µs", "−100.0 ppm", "−100.0 ppm", "0000", "00:00, within 0.00 ms")
"""Figures as wide as usual ones: the columns do not move while the figures change."""


class SyncOverlay(Overlay):
    """Sentence, plot, and a row of figures for each machine."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Sync"), on_close)
        self._api = api
        self._ticks = 0
        export = TextButton(self.panel.header, tr("Export as CSV"), self._export)
        export.pack(side="right", padx=(0, px(8)))
        self.body.grid_columnconfigure(0, weight=1)
        self.body.grid_rowconfigure(1, weight=1)
        self._sentence = label(self.body, "", theme.BODY, bold=True)
        self._sentence.configure(height=px(SENTENCE_HEIGHT), anchor="nw")
        self._sentence.grid(row=0, column=0, sticky="ew")
        self.plot = SyncPlot(self.body, height=120, detailed=True)
        self.plot.grid(row=1, column=0, sticky="nsew", pady=(px(8), 0))
        self._table = frame(self.body)
        self._table.grid(row=2, column=0, sticky="ew", pady=(px(8), 0))
        self._rest = Line(self.body, theme.CAPTION, theme.TEXT_SECONDARY)
        """How many machines the table leaves out."""
        self.calibration: CalibrationPart | None = None
        self._table.grid_columnconfigure(1, weight=1)
        font = theme.canvas_font(theme.SECONDARY)
        for x, widest in enumerate(_WIDEST, 2):
            self._table.grid_columnconfigure(x, minsize=theme.measure(widest, font))
        self._shown: Sequence[SyncReadout] = ()
        self._rows: list[_Row] = []
        heads = ("", tr("error"), tr("within"), tr("drift"), tr("correction"), tr("underruns"), tr("microphone"))
        _Row(self._table, 0).set("", heads)
        self.bind("<Configure>", lambda event: self._fit(event.width, event.height), add="+")
        state = api.program.state()
        if state is not None and state.hosting:
            self.calibration = CalibrationPart(self.body, api, state, self._make_room)
            self.calibration.grid(row=4, column=0, sticky="ew", pady=(px(12), 0))
        elif state is not None:
            self._key = Line(self.body, theme.CAPTION, theme.TEXT_SECONDARY)
            self._key.grid(row=4, column=0, sticky="ew", pady=(px(16), 0))
            form = tr("The host's key, for those who care: {words}")
            self._key.set(form.format(words=state.host_words))
        if state is not None:
            self.on_state(state)
        self.tick()

    def on_event(self, event: BackendEvent) -> None:
        if self.calibration is not None:
            self.calibration.on_event(event)

    def on_state(self, state: SessionView) -> None:
        sync = sync_view(state)
        self._sentence.configure(text="\n".join(filter(None, (sync.sentence, sync.far))))
        if self.calibration is not None:
            self.calibration.on_state(state)
        if sync.machines != self._shown:
            self._shown = sync.machines
            self._show_readouts(sync.machines)
            self._show_rest(len(state.snapshot.peers) + 1 - len(sync.machines))

    def tick(self) -> None:
        if self.calibration is not None:
            self.calibration.tick()
        self._ticks += 1
        if self._ticks % PLOT_INTERVAL_TICKS == 1:
            keys = {one.key for one in self._shown}
            self.plot.set_series(series(self._api, PLOT_SPAN_S, keys), PLOT_SPAN_S, self._api.now_s())

    def _make_room(self) -> None:
        """What a calibration shows takes the place of the plot, until the overlay is opened again."""
        self.plot.grid_remove()
        self.body.grid_rowconfigure(1, weight=0)
        self.body.grid_rowconfigure(4, weight=1)
        if self.calibration is not None:
            self.calibration.grid_configure(sticky="new")

    def _fit(self, width: int, height: int) -> None:
        """The size of the panel does not depend on its texts: it is as large as the window allows, up to a limit."""
        wide, high = min(px(WIDTH), width - 2 * px(MARGIN)), min(px(HEIGHT), height - px(MARGIN))
        # customtkinter does not let `place` set a size.
        tk.Place.place_configure(self.panel, relx=0.5, rely=0.5, anchor="center", width=wide, height=high)
        self._sentence.configure(wraplength=max(wide - px(48), 1))

    def _show_readouts(self, machines: Sequence[SyncReadout]) -> None:
        while len(self._rows) < len(machines):
            self._rows.append(_Row(self._table, len(self._rows) + 1))
        for row in self._rows[len(machines) :]:
            row.destroy()
        del self._rows[len(machines) :]
        for row, m in zip(self._rows, machines, strict=True):
            colour = self._api.history.colour_of(m.key)
            figures = (m.error_text, m.uncertainty_text, m.drift_text, m.correction_text, str(m.underruns))
            heard = confirmed_cell(m.confirmed, self._api.program.session_ns(), time.time())
            row.set("" if colour is None else theme.MACHINES[colour], (m.name, *figures, heard))

    def _show_rest(self, number: int) -> None:
        if number:
            form = tr_plural("and {number} more machine", "and {number} more machines", number)
            self._rest.set(form.format(number=number))
            self._rest.grid(row=3, column=0, sticky="ew", pady=(px(4), 0))
        else:
            self._rest.grid_forget()

    def _export(self) -> None:
        if path := self._api.ask_save("phaselock-sync.csv"):
            try:
                pathlib.Path(path).write_bytes(self._api.history.csv().encode())  # its lines end as CSV wants it
            except OSError as error:
                form = tr("Cannot write {path}: {reason}")
                self._api.show_toast(form.format(path=path, reason=message_of(error).translated(current())), "error")
            else:
                self._api.show_toast(tr("Saved as {path}").format(path=path))


class _Row:
    """A row of the table: a dot in the colour of the machine's line, its name, its figures."""

    def __init__(self, table: Any, y: int) -> None:
        self._colour: str | None = None
        ground, font = theme.behind(table), theme.canvas_font(theme.SECONDARY)
        self._dot = tk.Label(table, background=ground, borderwidth=0, padx=0, pady=0)
        self._name = Line(table, theme.SECONDARY)
        self._figures = [
            tk.Label(table, background=ground, foreground=theme.TEXT_SECONDARY, font=font, padx=0, pady=px(1))
            for _ in _WIDEST
        ]
        self._dot.grid(row=y, column=0, padx=(0, px(8)))
        self._name.grid(row=y, column=1, sticky="ew")
        for x, figure in enumerate(self._figures, 2):
            figure.grid(row=y, column=x, sticky="e", padx=(px(24), 0))

    def set(self, colour: str, texts: Sequence[str]) -> None:
        """Set the colour (empty: no dot), the name and the figures."""
        if colour != self._colour:
            self._colour = colour
            self._image = dot(px(8), colour or theme.behind(self._dot.master), theme.behind(self._dot.master))
            self._dot.configure(image=self._image)
        self._name.set(texts[0])
        for label_, text in zip(self._figures, texts[1:], strict=True):
            label_.configure(text=text)

    def destroy(self) -> None:
        """Remove the row."""
        for one in (self._dot, self._name, *self._figures):
            one.destroy()
