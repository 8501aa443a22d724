"""How loud the machines were heard, and the offer to trim them to the quietest one, at the host."""

from __future__ import annotations

from typing import Any

from phaselock.language.catalogue import current, tr
from phaselock.model.snapshot import LevelsView
from phaselock.session.commands import EvenLevels, UndoLevels
from phaselock.session.hearing_sentences import level_text
from phaselock.ui import theme
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.widgets.buttons import SecondaryButton


class LevelsPart(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """Sentences and a button. It packs itself below the rest of its master while there is an offer."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, fg_color="transparent")
        self._api = api
        self.button = SecondaryButton(self, "", self._press)
        self.button.pack(side="right", padx=(px(16), 0))
        self._says = label(self, "", theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(460))
        self._says.configure(justify="left", anchor="w")
        self._says.pack(side="left", fill="x", expand=True)
        self._levels: LevelsView | None = None

    def show(self, levels: LevelsView | None) -> None:
        """There are new levels; None: they are unknown."""
        if levels == self._levels:
            return
        self._levels = levels
        if levels is None or not (levels.can_even or levels.can_undo):
            self.pack_forget()
            return
        self._says.configure(text=level_text(levels, current()) or tr("The volumes are even now."))
        self.button.set_text(tr("Undo") if levels.can_undo else tr("Even out volumes"))
        self.pack(side="bottom", fill="x", pady=(px(8), 0))

    def _press(self) -> None:
        undo = self._levels is not None and self._levels.can_undo
        self._api.program.command(UndoLevels() if undo else EvenLevels())
