"""What a row shows. Values without a widget."""

from __future__ import annotations

import tkinter as tk

from phaselock.frozen import frozen


@frozen
class Row:
    """What one row shows."""

    key: str
    title: str
    subtitle: str = ""
    initial: str = ""
    picture: tk.PhotoImage | None = None
    """At most 40 pixels of the design; without one, a tile with the initial."""
    colour_dot: str | None = None
    """A colour, shown as a dot before the subtitle, which says it in words."""
    right: str = ""
    chip: tuple[str, str] | None = None
    """Text and colour."""
    progress: float | None = None
    """0 to 1."""
    playing: bool = False
    dimmed: bool = False
    actions: tuple[tuple[str, str, str], ...] = ()
    """Name, icon and tooltip of each; a tick is green, a cross red."""
    draggable: bool = False
    tooltip: str = ""
    actions_shown: bool = False
    """Always, not only under the pointer."""
    number: str = ""
    """Left of the picture. The list leaves the same width to the numbers of all rows."""
    sign: str = ""
    """An icon in place of the picture, without a tile."""
    button: bool = False
    """One click opens it; it cannot be selected."""
    pill: str = ""
    """What a click on the row does, in place of `right`; it looks like a button."""
    chip_sign: str = ""
    """An icon before the text of the chip."""


@frozen
class RowState:
    """How pointer, keyboard and selection change the look of a row."""

    hovered: bool
    hovered_action: int | None
    selected: bool
    focused: bool
    """The row, or the action below, shows the ring of the keyboard."""
    focused_action: int | None
    dragged: bool
    pressed_action: str | None
    right: int
    """Where the row ends, in pixels."""
    picture: tk.PhotoImage | None = None
    """In place of the row's own picture."""
