"""The middle of both session screens: what plays, where it is, and how well the machines keep together."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any
from uuid import UUID

from phaselock.ui import theme
from phaselock.ui.backend import BANDS, ArtworkRead, SessionView, WaveformRead
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import NowPlaying, SyncView, position_s
from phaselock.ui.widgets.artwork import Artwork
from phaselock.ui.widgets.buttons import TextButton
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.plot import Series, SyncPlot
from phaselock.ui.widgets.seekbar import SeekBar
from phaselock.ui.widgets.spectrum import Spectrum

PLOT_SPAN_S = 120.0
PLOT_EVERY_TICKS = 15
REMEMBERED_SHAPES = 8
MIN_ARTWORK, MAX_ARTWORK = 72, 260
ROOM_FOR_SPECTRUM, ROOM_FOR_PLOT = 424, 352
"""What is not needed gives way in a low window."""
ASK_AGAIN_TICKS = 60
"""The file of a track may be on its way yet."""


class PlayingPanel(Panel):
    """Artwork, title, place in the track, what the screen puts below it, and the sync strip."""

    def __init__(self, master: Any, api: WindowApi, *, on_seek: Callable[[float], None] | None, hint: str) -> None:
        super().__init__(master)
        self._api = api
        self._hint = hint
        self._now: NowPlaying | None = None
        self._sync: SyncView | None = None
        self._state: SessionView | None = None
        self._shapes: collections.OrderedDict[UUID, WaveformRead] = collections.OrderedDict()
        self._pictures: dict[UUID, bytes | None] = {}
        self._ticks = 0
        body = self.body
        body.grid_columnconfigure(0, weight=1)
        body.grid_rowconfigure(0, weight=1)
        self._art_size = 0
        self._art_place = ctk.CTkFrame(body, fg_color="transparent", height=px(MIN_ARTWORK))
        self._art_place.grid(row=0, column=0, sticky="nsew")
        self._art_place.grid_propagate(False)
        self.artwork = Artwork(self._art_place, MIN_ARTWORK)
        self.artwork.place(relx=0.5, rely=0.5, anchor="center")
        self._art_place.bind("<Configure>", lambda event: self._fit(event.width, event.height))
        self._song = label(body, "", theme.SECTION, bold=True)
        self._song.grid(row=1, column=0, pady=(px(12), 0))
        self._artist = label(body, "", theme.BODY, theme.TEXT_SECONDARY)
        self._artist.grid(row=2, column=0)
        self.spectrum = Spectrum(body, bands=BANDS, height=40)
        self.spectrum.grid(row=3, column=0, sticky="ew", pady=(px(8), 0))
        self.seekbar = SeekBar(body, on_seek=on_seek, height=56)
        self.seekbar.grid(row=4, column=0, sticky="ew", pady=(px(8), 0))
        self.controls = ctk.CTkFrame(body, fg_color="transparent")
        self.controls.grid(row=5, column=0, sticky="ew", pady=(px(8), 0))
        strip = ctk.CTkFrame(body, fg_color="transparent")
        strip.grid(row=6, column=0, sticky="ew", pady=(px(12), 0))
        strip.grid_columnconfigure(0, weight=1)
        self._sentence = label(strip, "", theme.SECONDARY, theme.TEXT_SECONDARY)
        self._sentence.configure(anchor="w")
        self._sentence.grid(row=0, column=0, sticky="ew")
        details = TextButton(strip, "Details", api.open_sync)
        details.grid(row=0, column=1, sticky="e")
        strip.bind("<Configure>", lambda event: self._wrap(event.width - details.winfo_reqwidth()), add="+")
        self.plot = SyncPlot(strip, height=72)
        self.plot.grid(row=1, column=0, columnspan=2, sticky="ew")
        body.bind("<Configure>", lambda event: self._make_room(event.height), add="+")

    def show(self, state: SessionView, now: NowPlaying, sync: SyncView) -> None:
        """The newest state; only what differs is drawn."""
        before = self._now
        self._state = state
        if now != before:
            self._now = now
            self._song.configure(text=shortened(now.title, 60) if now.file_id else self._hint)
            self._artist.configure(text=shortened(now.note or now.artist, 70))
            if before is None or before.file_id != now.file_id:
                self._another(now)
        if sync != self._sync:
            self._sync = sync
            colour = {"good": theme.TEXT, "warning": theme.WARNING}.get(sync.kind, theme.TEXT_SECONDARY)
            self._sentence.configure(text=sync.sentence, text_color=colour)

    def tick(self, session_ns: int | None) -> None:
        """Move what moves."""
        state, now = self._state, self._now
        if state is None or now is None:
            return
        self._ticks += 1
        at_s = position_s(state, session_ns)
        self.seekbar.set_position(at_s, now.duration_s)
        shape = self._shapes.get(now.file_id) if now.file_id else None
        self._show_bands(shape, at_s, playing=now.state == "playing")
        if self._ticks % PLOT_EVERY_TICKS == 1:
            self.draw_plot()
        if now.file_id and shape is None and self._ticks % ASK_AGAIN_TICKS == 0:
            self._ask(now.file_id)

    def draw_plot(self) -> None:
        """The last two minutes."""
        now_s = self._api.now_s()
        series = self._api.history.series(PLOT_SPAN_S, now_s)
        lines = [
            Series(one.name, one.colour_index, [(p.t_s, p.error_us, p.uncertainty_us) for p in one.points])
            for one in series
        ]
        self.plot.set_series(lines, PLOT_SPAN_S, now_s)

    def take(self, event: ArtworkRead | WaveformRead) -> None:
        """What was asked for a track."""
        if isinstance(event, ArtworkRead):
            self._pictures[event.file_id] = event.data
            while len(self._pictures) > REMEMBERED_SHAPES:
                del self._pictures[next(iter(self._pictures))]
        else:
            self._shapes[event.file_id] = event
            while len(self._shapes) > REMEMBERED_SHAPES:
                self._shapes.popitem(last=False)
        if self._now is not None and self._now.file_id == event.file_id:
            self._dress(self._now)

    def _another(self, now: NowPlaying) -> None:
        self._dress(now)
        if now.file_id is not None and (now.file_id not in self._shapes or now.file_id not in self._pictures):
            self._ask(now.file_id)
        self.seekbar.set_enabled(now.file_id is not None)

    def _ask(self, file_id: UUID) -> None:
        self._api.program.read_artwork(file_id)
        self._api.program.read_waveform(file_id)

    def _dress(self, now: NowPlaying) -> None:
        picture = self._pictures.get(now.file_id) if now.file_id else None
        self.artwork.show(picture, now.initial)
        shape = self._shapes.get(now.file_id) if now.file_id else None
        self.seekbar.set_peaks(shape.peaks if shape else None)

    def _show_bands(self, shape: WaveformRead | None, at_s: float, *, playing: bool) -> None:
        if shape is None or not shape.bands or not playing or not self._api.visualiser:
            self.spectrum.show(None)
            return
        hop = int(at_s * shape.rate_hz) // shape.hop_frames
        self.spectrum.show(shape.bands[hop * BANDS : (hop + 1) * BANDS] or bytes(BANDS))

    def _make_room(self, height: int) -> None:
        for widget, least in ((self.spectrum, ROOM_FOR_SPECTRUM), (self.plot, ROOM_FOR_PLOT)):
            if height >= px(least):
                widget.grid()
            else:
                widget.grid_remove()

    def _wrap(self, width: int) -> None:
        """The sentence and the names take what room there is."""
        self._sentence.configure(wraplength=max(width, px(80)))
        for text in (self._song, self._artist):
            text.configure(wraplength=max(width, px(80)), justify="center")

    def _fit(self, width: int, height: int) -> None:
        """The artwork takes what the window leaves it."""
        if height < px(MIN_ARTWORK):
            self.artwork.place_forget()
            self._art_size = 0
            return
        if not self._art_size:
            self.artwork.place(relx=0.5, rely=0.5, anchor="center")
        size = max(MIN_ARTWORK, min(MAX_ARTWORK, int(min(width, height) / theme.scale())))
        if abs(size - self._art_size) >= 4:
            self._art_size = size
            self.artwork.set_size(size)


def shortened(text: str, most: int) -> str:
    """With an ellipsis where it is too long."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
