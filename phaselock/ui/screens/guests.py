"""The guests, below the peers in the host's list of people: phones with the host's page open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.screens.home import label
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import GuestRow
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.rows import Row, RowList

_ROW_HEIGHT = 48
_MAX_SHARE = 0.4
"""Of the height of the panel; the loudspeakers above have the rest."""


class Guests:
    """A heading and a row for each guest; hidden while there are none. `on_remove(key of the row)`."""

    def __init__(self, master: Any, above: Any, on_remove: Callable[[str], object]) -> None:
        self._above = above
        self._room = 0
        self._box = frame(master)
        heading = Line(self._box, theme.BODY, bold=True)
        heading.set(tr("Guests"))
        heading.grid(row=0, column=0, sticky="ew")
        self._note = label(self._box, "", theme.CAPTION, theme.TEXT_SECONDARY)
        self._note.grid(row=0, column=1)
        self._box.grid_columnconfigure(0, weight=1)
        self.list = RowList(self._box, row_height=_ROW_HEIGHT, on_action=lambda key, _action: on_remove(key))
        self.list.grid(row=1, column=0, columnspan=2, sticky="ew", pady=(px(4), 0))
        master.bind("<Configure>", lambda event: self._fit(event.height), add="+")

    def show(self, guests: Sequence[GuestRow], note: str) -> None:
        """Show these guests, and how many are here."""
        self._note.configure(text=note)
        self.list.set_rows([_row(guest) for guest in guests])
        self._fit(self._room)
        if guests:
            self._box.pack(side="bottom", fill="x", pady=(px(12), 0), before=self._above)
        else:
            self._box.pack_forget()

    def _fit(self, room: int) -> None:
        """Show as many rows as the panel has room for; the list scrolls."""
        self._room = room
        fitting = max(2, int(_MAX_SHARE * room / px(_ROW_HEIGHT)))
        self.list.configure(height=px(_ROW_HEIGHT) * min(len(self.list.rows), fitting), width=1)


def _row(guest: GuestRow) -> Row:
    return Row(
        guest.guest_id,
        guest.name,
        guest.detail,
        sign="phone",
        dimmed=not guest.connected,
        actions=(("remove", "close", tr("Remove {name}").format(name=guest.name)),),
    )
