"""What the screens of host and peer have in common: something plays, at some volume, and the queue can be searched."""

from __future__ import annotations

from typing import Any

from phaselock.ui.backend import ArtworkRead, BackendEvent, WaveformRead
from phaselock.ui.screens.base import Screen
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.theme import px
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.rows import RowList
from phaselock.ui.widgets.slider import VolumeSlider


class SessionScreen(Screen):
    """A screen makes `playing` and, with `make_volume`, its slider."""

    playing: PlayingPanel
    volume: VolumeSlider
    queue: RowList
    _field: Field | None = None

    def make_volume(self, master: Any) -> VolumeSlider:
        """This machine's own."""
        self.volume = VolumeSlider(master, self.api.program.set_volume)
        self.volume.set(self.api.program.preferences().volume)
        return self.volume

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, ArtworkRead | WaveformRead):
            self.playing.take(event)

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
        """A field above the queue: what is typed is looked for, Return goes on to the next one, Escape ends it."""
        if self._field is None:
            self._field = Field(self.queue.master, "Find", on_submit=lambda: self._look(further=True))
            self._field.pack(fill="x", before=self.queue, pady=(0, px(8)))
            self._field.entry.bind("<KeyRelease>", self._typed, add="+")
            self._field.entry.bind("<Key-Escape>", self._found, add="+")
        self._field.focus()

    def _typed(self, event: Any) -> None:
        if event.keysym != "Return":
            self._look(further=False)

    def _look(self, *, further: bool) -> None:
        text = self._field.get().strip().casefold() if self._field is not None else ""
        rows = [row.key for row in self.queue.rows if text and text in f"{row.title} {row.subtitle}".casefold()]
        if rows:
            chosen = next(iter(self.queue.selection), None)
            at = rows.index(chosen) + int(further) if chosen in rows else 0
            key = rows[at % len(rows)]
            self.queue.select([key])
            self.queue.see(key)

    def _found(self, _event: object) -> str:
        if self._field is not None:
            self._field.destroy()
            self._field = None
            self.queue.focus_set()
        return "break"
