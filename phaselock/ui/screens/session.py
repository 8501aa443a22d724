"""The common part of the screens of host and peer: the current song, the volume, and a search in the queue."""

from __future__ import annotations

from typing import Any

from phaselock.language.catalogue import tr
from phaselock.session.events import VolumeSet
from phaselock.ui.backend import ArtworkRead, BackendEvent, SessionEvent, WaveformRead
from phaselock.ui.screens.base import Screen
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.theme import px
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.rows import RowList
from phaselock.ui.widgets.slider import VolumeSlider


class SessionScreen(Screen):
    """A subclass creates `playing` and `queue`, and `volume` with `make_volume`."""

    playing: PlayingPanel
    volume: VolumeSlider
    queue: RowList
    _field: Field | None = None

    def make_volume(self, master: Any) -> VolumeSlider:
        """Create the slider for the volume of this machine."""
        self.volume = VolumeSlider(master, self.api.program.set_volume)
        preferences = self.api.program.preferences()
        self.volume.set(preferences.volume, muted=preferences.muted)
        return self.volume

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, ArtworkRead | WaveformRead):
            self.playing.on_event(event)
        elif isinstance(event, SessionEvent) and isinstance(event.event, VolumeSet):
            self.volume.set(event.event.volume_percent / 100, muted=event.event.muted)

    def tick(self, session_ns: int | None) -> None:
        self.playing.tick(session_ns)

    def key(self, name: str) -> bool:
        match name:
            case "louder" | "quieter":
                self.volume.step(1 if name == "louder" else -1)
            case "mute":
                self.volume.toggle_mute()
            case "find":
                self.find()
            case _:
                return False
        return True

    def find(self) -> None:
        """Open a field above the queue to search in it; Return selects the next match, Escape closes the field."""
        if self._field is None:
            self._field = Field(self.queue.master, tr("Find"), on_submit=lambda: self._search(next_match=True))
            self._field.pack(fill="x", before=self.queue, pady=(0, px(8)))
            self._field.entry.bind("<KeyRelease>", self._typed, add="+")
            self._field.entry.bind("<Key-Escape>", self._close_search, add="+")
        self._field.focus()

    def _typed(self, event: Any) -> None:
        if event.keysym != "Return":
            self._search(next_match=False)

    def _search(self, *, next_match: bool) -> None:
        text = self._field.get().strip().casefold() if self._field is not None else ""
        rows = [row.key for row in self.queue.rows if text and text in f"{row.title} {row.subtitle}".casefold()]
        if rows:
            chosen = next(iter(self.queue.selection), None)
            at = rows.index(chosen) + int(next_match) if chosen in rows else 0
            key = rows[at % len(rows)]
            self.queue.select([key])
            self.queue.see(key)

    def _close_search(self, _event: object) -> str:
        if self._field is not None:
            self._field.destroy()
            self._field = None
            self.queue.focus_set()
        return "break"
