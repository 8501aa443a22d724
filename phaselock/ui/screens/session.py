"""What the screens of host and peer have in common: something plays, at some volume."""

from __future__ import annotations

from typing import Any

from phaselock.ui.port import Mail, Picture, Shape
from phaselock.ui.screens.base import Screen
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.widgets.slider import VolumeSlider


class SessionScreen(Screen):
    """A screen makes `playing` and, with `make_volume`, its slider."""

    playing: PlayingPanel
    volume: VolumeSlider

    def make_volume(self, master: Any) -> VolumeSlider:
        """This machine's own."""
        self.volume = VolumeSlider(master, self.stage.program.set_volume)
        self.volume.set(self.stage.program.preferences().volume)
        return self.volume

    def take_mail(self, mail: Mail) -> None:
        if isinstance(mail, Picture | Shape):
            self.playing.take(mail)

    def tick(self, session_ns: int | None) -> None:
        self.playing.tick(session_ns)

    def key(self, name: str) -> bool:
        match name:
            case "louder" | "quieter":
                self.volume.step(1 if name == "louder" else -1)
            case "mute":
                self.volume.toggle_mute()
            case _:
                return False
        return True
