"""The common part of the screens of host and peer: the current song, the volume, and a search in the queue."""

from __future__ import annotations

from typing import Any

from phaselock.session.events import VolumeSet
from phaselock.ui.backend import ArtworkRead, BackendEvent, SessionEvent, WaveformRead
from phaselock.ui.screens.base import Screen
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.screens.queue import FindBar, QueueList
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import QueueRow
from phaselock.ui.widgets.slider import VolumeSlider


class SessionScreen(Screen):
    """A subclass creates `playing` and `queue`, and `volume` with `make_volume`."""

    playing: PlayingPanel
    volume: VolumeSlider
    queue: QueueList
    _find_bar: FindBar | None = None

    def make_volume(self, master: Any) -> VolumeSlider:
        """Create the slider for the volume of this machine."""
        self.volume = VolumeSlider(master, self.api.program.set_volume)
        preferences = self.api.program.preferences()
        self.volume.set(preferences.volume, muted=preferences.muted)
        return self.volume

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, ArtworkRead | WaveformRead):
            self.playing.on_event(event)
        if isinstance(event, ArtworkRead):
            self.queue.paint()
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
        """Open a field above the queue, which then shows only the songs with its text."""
        if self._find_bar is None:
            self._find_bar = FindBar(self.queue, self._close_find)
            self._find_bar.pack(fill="x", before=self.queue, pady=(0, px(8)))
        self._find_bar.open()

    def show_queue(self, rows: tuple[QueueRow, ...]) -> None:
        """Show these songs."""
        self.queue.show_queue(rows)
        if self._find_bar is not None:
            self._find_bar.refresh()

    def _close_find(self) -> None:
        if self._find_bar is not None:
            self._find_bar.destroy()
            self._find_bar = None
