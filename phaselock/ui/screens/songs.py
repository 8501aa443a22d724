"""The host's overlay with how the songs of the queue play: how loud, and how they follow each other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.model.transitions import MAX_CROSSFADE_S, PLAIN
from phaselock.session import commands as c
from phaselock.ui import theme
from phaselock.ui.backend import SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import number_text
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton

WRAP = 340


class SongsOverlay(Overlay):
    """Each change takes effect at once and is stored."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Loudness and crossfade"), on_close)
        self._api = api
        self._lufs: float | None = None
        self._chosen = PLAIN
        even, crossfade, silence = (
            self._row(row, heading, text)
            for row, (heading, text) in enumerate(
                (
                    (tr("Even loudness"), tr("Loud and quiet songs play equally loud.")),
                    (tr("Crossfade"), tr("A song fades into the next one. An album without gaps stays as it is.")),
                    (tr("Skip silence"), tr("Silence at both ends of a song is left out.")),
                )
            )
        )
        self.even = SecondaryButton(even, "", self._switch_even)
        self.even.pack()
        self.shorter = SecondaryButton(crossfade, "−", functools.partial(self._fade, -1))
        self.crossfade = label(crossfade, "", theme.BODY)
        self.crossfade.configure(width=px(40), justify="center")  # the buttons keep their places
        self.longer = SecondaryButton(crossfade, "+", functools.partial(self._fade, 1))
        self.shorter.pack(side="left")
        self.crossfade.pack(side="left", padx=px(12))
        self.longer.pack(side="left")
        self.silence = SecondaryButton(silence, "", self._switch_silence)
        self.silence.pack()
        state = api.program.state()
        if state is not None:
            self.on_state(state)

    def on_state(self, state: SessionView) -> None:
        self._lufs, self._chosen = state.snapshot.loudness_lufs, state.snapshot.transitions
        self.even.set_text(_on_or_off(self._lufs is not None))
        self.silence.set_text(_on_or_off(self._chosen.skip_silence))
        crossfade_s = self._chosen.crossfade_s
        length = tr("{number} s").format(number=number_text(crossfade_s, "g"))
        self.crossfade.configure(text=length if crossfade_s else tr("Off"))
        self.shorter.set_enabled(crossfade_s > 0)
        self.longer.set_enabled(crossfade_s < MAX_CROSSFADE_S)

    def _row(self, row: int, heading: str, text: str) -> Any:
        words = frame(self.body)
        words.grid(row=row, column=0, sticky="w", pady=px(8), padx=(0, px(32)))
        label(words, heading, theme.BODY).pack(anchor="w")
        note = label(words, text, theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(WRAP))
        note.configure(height=px(20))
        note.pack(anchor="w")
        place = frame(self.body)
        place.grid(row=row, column=1, sticky="e", pady=px(8))
        return place

    def _switch_even(self) -> None:
        lufs = self._api.program.preferences().loudness_lufs if self._lufs is None else None
        self._api.program.command(c.SetLoudness(lufs))

    def _fade(self, step_s: float) -> None:
        self._set(crossfade_s=min(max(self._chosen.crossfade_s + step_s, 0.0), MAX_CROSSFADE_S))

    def _switch_silence(self) -> None:
        self._set(skip_silence=not self._chosen.skip_silence)

    def _set(self, **changes: Any) -> None:
        self._api.program.command(c.SetTransitions(dataclasses.replace(self._chosen, **changes)))


def _on_or_off(on: bool) -> str:
    return tr("On") if on else tr("Off")
