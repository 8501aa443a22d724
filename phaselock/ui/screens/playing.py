"""The middle of both session screens: the current song, its position, and the phase errors of the machines."""

from __future__ import annotations

import collections
from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.backend import BANDS, ArtworkRead, SessionView, WaveformRead
from phaselock.ui.direction import isolated
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import NowPlaying, SkipVote, SyncView, position_s
from phaselock.ui.widgets.artwork import Artwork
from phaselock.ui.widgets.buttons import IconButton, TextButton
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.plot import Series, SyncPlot
from phaselock.ui.widgets.seekbar import SeekBar
from phaselock.ui.widgets.spectrum import Spectrum
from phaselock.ui.widgets.transport import SMALL

PLOT_SPAN_S = 120.0
PLOT_INTERVAL_S = 0.5
MAX_CACHED_TRACKS = 8
"""Limit of the tracks whose waveforms are kept."""
MIN_ARTWORK, MAX_ARTWORK = 72, 800
MIN_HEIGHT_SPECTRUM, MIN_HEIGHT_PLOT = 424, 352
"""In a lower panel, spectrum or plot are hidden; in pixels of the design."""
RETRY_S = 2.0
"""Between two requests for a waveform: the file may still be in transfer."""


class PlayingPanel(Panel):
    """Artwork, title, spectrum, position, the screen's own controls (`controls`), and the phase errors."""

    def __init__(self, master: Any, api: WindowApi, *, on_seek: Callable[[float], None] | None) -> None:
        super().__init__(master)
        self._api = api
        self._now: NowPlaying | None = None
        self._state: SessionView | None = None
        self._waveforms: collections.OrderedDict[UUID, WaveformRead] = collections.OrderedDict()
        self._plot_due_s = self._retry_due_s = 0.0
        body = self.body
        body.grid_columnconfigure(0, weight=1)
        body.grid_rowconfigure(0, weight=1)
        self._artwork_size = 0
        self._artwork_frame = ctk.CTkFrame(body, fg_color="transparent", height=px(MIN_ARTWORK))
        self._artwork_frame.grid(row=0, column=0, sticky="nsew")
        self._artwork_frame.grid_propagate(False)
        self.artwork = Artwork(self._artwork_frame, api.covers, MIN_ARTWORK)
        self.artwork.place(relx=0.5, rely=1, anchor="s")
        self._artwork_frame.bind("<Configure>", lambda event: self._fit(event.width, event.height))
        self._song = Line(body, theme.SECTION, bold=True, anchor="center")
        self._song.grid(row=1, column=0, sticky="ew", pady=(px(12), px(2)))
        self._artist = Line(body, theme.BODY, theme.TEXT_SECONDARY, anchor="center")
        self._artist.grid(row=2, column=0, sticky="ew")
        self._skip = Line(body, theme.SECONDARY, theme.TEXT_SECONDARY, anchor="center")
        self.spectrum = Spectrum(body, bands=BANDS, height=40)
        self.spectrum.grid(row=4, column=0, sticky="ew", pady=(px(8), 0))
        self.seekbar = SeekBar(body, on_seek=on_seek, height=56)
        self.seekbar.grid(row=5, column=0, sticky="ew", pady=(px(8), 0))
        self.controls = ctk.CTkFrame(body, fg_color="transparent")
        self.controls.grid(row=6, column=0, sticky="ew", pady=(px(8), 0))
        strip = ctk.CTkFrame(body, fg_color="transparent")
        strip.grid(row=7, column=0, sticky="ew", pady=(px(12), 0))
        strip.grid_columnconfigure(0, weight=1)
        self._sentence = Line(strip, theme.SECONDARY, theme.TEXT_SECONDARY)
        self._sentence.grid(row=0, column=0, sticky="ew")
        details = TextButton(strip, tr("Details"), api.open_sync)
        details.grid(row=0, column=1, sticky="e")
        self.plot = SyncPlot(strip, height=72)
        self.plot.grid(row=1, column=0, columnspan=2, sticky="ew")
        self._spectrum_button: SpectrumButton | None = None
        self._is_low = False
        """The spectrum has no room."""
        body.bind("<Configure>", lambda event: self._hide_if_low(event.height), add="+")

    def make_spectrum_button(self, master: Any) -> SpectrumButton:
        """Create the button that switches the spectrum."""
        self._spectrum_button = SpectrumButton(master, self._api, self._spectrum_obstacle)
        return self._spectrum_button

    def show(self, state: SessionView, now: NowPlaying, sync: SyncView, skip: SkipVote) -> None:
        """Show the newest view; draws only what differs."""
        before = self._now
        self._state = state
        if now != before:
            self._now = now
            self._song.set(isolated(now.title))
            self._artist.set(now.note or now.artist)
            if before is None or before.file_id != now.file_id:
                self._change_track(now)
        self._skip.set(skip.text, theme.TEXT_SECONDARY, skip.short)
        if skip.text:
            self._skip.grid(row=3, column=0, sticky="ew", pady=(px(2), 0))
        else:
            self._skip.grid_remove()
        colour = {"good": theme.TEXT, "warning": theme.WARNING}.get(sync.kind, theme.TEXT_SECONDARY)
        sentences = (sync.sentence, sync.short) if now.state in ("playing", "paused") else ("", "")
        self._sentence.set(sentences[0], colour, sentences[1])

    def tick(self, session_ns: int | None) -> None:
        """Show position and spectrum at this session time, and now and then the plot."""
        state, now = self._state, self._now
        if state is None or now is None:
            return
        at_s = position_s(state, session_ns)
        self.seekbar.set_position(at_s, now.duration_s)
        waveform = self._waveforms.get(now.file_id) if now.file_id else None
        self._show_bands(waveform, at_s, playing=now.state == "playing")
        now_s = self._api.now_s()
        if now_s >= self._plot_due_s:
            self._plot_due_s = now_s + PLOT_INTERVAL_S
            self.draw_plot()
            if self._spectrum_button is not None:
                self._spectrum_button.refresh()  # the system may have asked for less motion
        if now.file_id and waveform is None and now_s >= self._retry_due_s:
            self._read_waveform(now.file_id)

    def moves(self) -> bool:
        """Whether the spectrum is on the screen."""
        return self.spectrum.is_shown and bool(self.spectrum.winfo_viewable())

    def draw_plot(self) -> None:
        """Show the phase errors of the last PLOT_SPAN_S seconds."""
        now_s = self._api.now_s()
        self.plot.set_series(series(self._api, PLOT_SPAN_S), PLOT_SPAN_S, now_s)

    def on_event(self, event: ArtworkRead | WaveformRead) -> None:
        """Artwork or waveform of a track has been read."""
        if isinstance(event, ArtworkRead):
            self.artwork.paint()
            return
        self._waveforms[event.file_id] = event
        while len(self._waveforms) > MAX_CACHED_TRACKS:
            self._waveforms.popitem(last=False)
        if self._now is not None and self._now.file_id == event.file_id:
            self._show_files(self._now)

    def _change_track(self, now: NowPlaying) -> None:
        self._show_files(now)
        if now.file_id is not None and now.file_id not in self._waveforms:
            self._read_waveform(now.file_id)
        self.seekbar.set_enabled(now.file_id is not None)

    def _read_waveform(self, file_id: UUID) -> None:
        self._retry_due_s = self._api.now_s() + RETRY_S
        self._api.program.read_waveform(file_id)

    def _show_files(self, now: NowPlaying) -> None:
        self.artwork.show(now.file_id)
        waveform = self._waveforms.get(now.file_id) if now.file_id else None
        self.seekbar.set_peaks(waveform.peaks if waveform else None)

    def _show_bands(self, waveform: WaveformRead | None, at_s: float, *, playing: bool) -> None:
        if waveform is None or not waveform.bands or not playing or theme.still() or not self._api.visualiser:
            self.spectrum.show(None)
            return
        hop = int(at_s * waveform.rate_hz) // waveform.hop_frames
        self.spectrum.show(waveform.bands[hop * BANDS : (hop + 1) * BANDS] or bytes(BANDS))

    def _spectrum_obstacle(self) -> str:
        """Why the spectrum cannot be shown; empty: it can."""
        if theme.still():
            return tr("With less motion there is no spectrum.")
        return tr("The window is too low for the spectrum.") if self._is_low else ""

    def _hide_if_low(self, height: int) -> None:
        self._is_low = height < px(MIN_HEIGHT_SPECTRUM)
        if self._spectrum_button is not None:
            self._spectrum_button.refresh()
        for widget, min_height in ((self.spectrum, MIN_HEIGHT_SPECTRUM), (self.plot, MIN_HEIGHT_PLOT)):
            if height >= px(min_height):
                widget.grid()
            else:
                widget.grid_remove()

    def _fit(self, width: int, height: int) -> None:
        """Fit the artwork into its place; hide it if that is too low."""
        if height < px(MIN_ARTWORK):
            self.artwork.place_forget()
            self._artwork_size = 0
            return
        if not self._artwork_size:
            self.artwork.place(relx=0.5, rely=1, anchor="s")
        size = max(MIN_ARTWORK, min(MAX_ARTWORK, int(min(width, height) / theme.scale())))
        if abs(size - self._artwork_size) >= 4:
            self._artwork_size = size
            self.artwork.set_size(size)


class SpectrumButton(IconButton):
    """Switches the spectrum, and shows whether it is on. `obstacle()`: why it cannot be shown, or empty."""

    def __init__(self, master: Any, api: WindowApi, obstacle: Callable[[], str]) -> None:
        super().__init__(master, "spectrum", self._switch, diameter=SMALL)
        self._api, self._obstacle = api, obstacle
        self.refresh()

    def refresh(self) -> None:
        """Show whether the spectrum is on, or why it cannot be shown."""
        on, reason = self._api.visualiser, self._obstacle()
        self.set_enabled(not reason)
        self.set_on(on and not reason)
        self.set_tooltip(reason or (tr("Hide the spectrum") if on else tr("Show the spectrum")))

    def _switch(self) -> None:
        self._api.show_spectrum(not self._api.visualiser)
        self.refresh()


def series(api: WindowApi, span_s: float, keys: Collection[int] | None = None) -> list[Series]:
    """The lines of the last `span_s` seconds, of the machines with these keys; None: of all."""
    return [
        Series(one.name, one.colour_index, [(p.t_s, p.error_us, p.uncertainty_us) for p in one.points])
        for one in api.history.series(span_s, api.now_s())
        if keys is None or one.key in keys
    ]
