"""The part of the Sound panel that says whether this machine may become the host when the host goes."""

from __future__ import annotations

from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.switch import Switch


class MayHostPart(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """The choice is stored, and holds from the next jam on: this one has asked the machine already."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, fg_color="transparent")
        self._api = api
        line = frame(self)
        line.pack(fill="x")
        label(line, tr("May become the host"), theme.SECONDARY, theme.TEXT_SECONDARY).pack(side="left")
        self.switch = Switch(line, self._set)
        self.switch.set_on(api.program.preferences().may_host)
        self.switch.pack(side="right")
        text = tr("If the host goes, the jam can go on from this machine. A change holds from the next jam on.")
        self._note = label(self, text, theme.SECONDARY, theme.TEXT_SECONDARY)
        self._note.pack(anchor="w", pady=(px(4), 0))

    def wrap(self, width: int) -> None:
        """Break the lines at this width in pixels."""
        self._note.configure(wraplength=width)

    def _set(self, on: bool) -> None:
        self._api.program.set_may_host(on)
        self.switch.set_on(on)
