"""Fields for the distances of all loudspeakers from the microphone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.model.calibration import MAX_DISTANCE_M
from phaselock.ui import theme
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import number_text
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.line import Line

COLUMNS = 3
FIELD_WIDTH = 72


class Distances(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """A field for each machine, in metres. `known` are the values used last, by name; Return calls `on_submit`."""

    def __init__(self, master: Any, known: Mapping[object, object], on_submit: Callable[[], object]) -> None:
        super().__init__(master, fg_color="transparent")
        self._known = known
        self._on_submit = on_submit
        hint = label(self, tr("Metres from the microphone to each loudspeaker:"), theme.SECONDARY, theme.TEXT_SECONDARY)
        hint.grid(row=0, column=0, columnspan=COLUMNS, sticky="w")
        for column in range(COLUMNS):
            self.grid_columnconfigure(column, weight=1, uniform="distance")
        self._cells: list[Any] = []
        self.fields: dict[str, Field] = {}
        """By the names of the machines."""

    def set_names(self, names: Sequence[str]) -> None:
        """Offer fields for these machines. The fields keep what the user has typed."""
        if [*self.fields] == [*names]:
            return
        typed = {name: field.get() for name, field in self.fields.items()}
        for cell in self._cells:
            cell.destroy()
        self._cells, self.fields = [], {}
        for place, name in enumerate(names):
            cell = frame(self)
            cell.grid(row=1 + place // COLUMNS, column=place % COLUMNS, sticky="ew", pady=(px(4), 0), padx=(0, px(24)))
            cell.grid_columnconfigure(0, weight=1)
            title = Line(cell, theme.BODY)
            title.set(name)
            title.grid(row=0, column=0, sticky="ew", padx=(0, px(8)))
            field = Field(cell, "", typed.get(name, self._last(name)), on_submit=self._on_submit, width=FIELD_WIDTH)
            field.grid(row=0, column=1)
            unit = label(cell, "m", theme.SECONDARY, theme.TEXT_SECONDARY)
            unit.grid(row=0, column=2, padx=(px(8), 0))
            self._cells.append(cell)
            self.fields[name] = field

    def read(self) -> tuple[tuple[str, float], ...] | None:
        """The distances. None if one is missing or wrong; its field then gets the keyboard."""
        found = [(name, _distance_m(field.get())) for name, field in self.fields.items()]
        wrong = next((name for name, distance_m in found if distance_m is None), None)
        if wrong is not None:
            self.fields[wrong].focus()
            return None
        return tuple((name, distance_m) for name, distance_m in found if distance_m is not None)

    def _last(self, name: str) -> str:
        distance_m = self._known.get(name)
        return number_text(distance_m, "g") if isinstance(distance_m, int | float) else ""


def _distance_m(text: str) -> float | None:
    """A distance that was typed, also with a decimal comma; None if it makes no sense."""
    try:
        distance_m = float(text.strip().removesuffix("m").replace(",", "."))
    except ValueError:
        return None
    return distance_m if 0 <= distance_m <= MAX_DISTANCE_M else None
