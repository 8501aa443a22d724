"""The list of the peers: each row has the state of one speaker, and a slider for its volume."""

from __future__ import annotations

import dataclasses
import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.frozen import frozen
from phaselock.ui import theme
from phaselock.ui.widgets.base import commands
from phaselock.ui.widgets.chip import HEIGHT as CHIP_HEIGHT
from phaselock.ui.widgets.chip import PAD as CHIP_PAD
from phaselock.ui.widgets.chip import fill_of
from phaselock.ui.widgets.raster import dot, plate
from phaselock.ui.widgets.rows.draw import RowPainter
from phaselock.ui.widgets.rows.list import RowList
from phaselock.ui.widgets.rows.row import Row, RowState
from phaselock.ui.widgets.rows.scroll import Viewport
from phaselock.ui.widgets.rows.slot import Slot
from phaselock.ui.widgets.slider import KNOB, STEP

ROW_HEIGHT = 110
MUTE = "mute"
"""Name of the action that mutes, at the left of the slider."""
CHANNELS = "channels"
"""Name of the action that selects channels, at the left of that, below the picture. Both come first in a row."""
_NAME_Y, _CHIP_Y, _STATE_Y, _SLIDER_Y = 20, 45, 67, 90
_ACTION, _PAD, _TEXT_X = 32, 8, 60
_AT_SLIDER = {CHANNELS: _PAD + 4, MUTE: _TEXT_X - 8}
"""The left ends of the actions on the line of the slider."""
_STEP_PERCENT = round(STEP * 100)
_TELL_EVERY_MS = 200
"""Smallest interval between two calls of `on_volume` while a slider is dragged."""
_CONFIRM_MS = 1000


@frozen
class SpeakerRow(Row):
    """A peer. `chip` stands below the title, and `subtitle` with its dot below the chip."""

    volume_percent: int | None = None
    """0 to 100; None: not known, and the row has no slider."""
    muted: bool = False


class _Painter(RowPainter):
    """Draws the rows of speakers."""

    held: tuple[str, int] | None = None
    """Key of the row whose slider is dragged, and the volume that it shows meanwhile, in percent."""

    def volume_at(self, index: int, x: int, y: int) -> int | None:
        """The volume in percent at this place of a row's slider; None: the place is not on its slider."""
        row = self._rows[index]
        inner = (y + self._view.top) % self._height
        left, right = self._ends(self._view.right)
        pad = theme.px(KNOB)
        on_it = abs(inner - theme.px(_SLIDER_Y)) <= theme.px(14) and left - pad <= x <= right + pad
        if not isinstance(row, SpeakerRow) or row.volume_percent is None or not on_it:
            return None
        return self.percent(x)

    def percent(self, x: int) -> int:
        """The volume for this place of the pointer, 0 to 100."""
        left, right = self._ends(self._view.right)
        return round(100 * min(max((x - left) / (right - left), 0.0), 1.0))

    def action_places(self, row: Row) -> list[int]:
        places = super().action_places(row)
        at_slider = [theme.px(_AT_SLIDER[name]) for name, _, _ in row.actions if name in _AT_SLIDER]
        return [*at_slider, *places[len(at_slider) :]]

    def _ends(self, right: int) -> tuple[int, int]:
        """Left and right end of the line of a slider, in a row that ends at `right`."""
        pad = theme.px(KNOB / 2 + 2)
        return theme.px(_TEXT_X + 24) + pad, max(right - theme.px(_PAD) - pad, theme.px(_TEXT_X + 25) + pad)

    def _action_y(self, name: str) -> int:
        return theme.px(_SLIDER_Y if name in _AT_SLIDER else _NAME_Y)

    def _line_y(self, y: int) -> int:
        return theme.px(_NAME_Y if y < 28 else _STATE_Y)

    def _picture_y(self) -> int:
        return theme.px(_PAD)

    def _draw(self, slot: Slot, row: Row, state: RowState) -> None:
        px, right = theme.px, state.right - theme.px(_PAD)
        ground = self._draw_back(slot, state)
        self._draw_picture(slot, row, px(_PAD), ground)
        lit = state.hovered or state.focused
        shown = tuple(action for action in row.actions if lit or action[0] == MUTE)
        tools_width = px(_ACTION) * sum(name not in _AT_SLIDER for name, _, _ in shown)
        self._draw_title(slot, row, px(_TEXT_X), max(right - tools_width - px(_TEXT_X), px(16)), ground)
        if row.chip is not None:
            self._draw_state_chip(slot, row.chip, right, ground)
        self._draw_subtitle(slot, row, px(_TEXT_X), right - px(_TEXT_X), ground)
        self._draw_actions(slot, dataclasses.replace(row, actions=shown), state, ground)
        if isinstance(row, SpeakerRow) and row.volume_percent is not None:
            percent = self.held[1] if self.held is not None and self.held[0] == row.key else row.volume_percent
            self._draw_slider(slot, percent, row.muted, state, ground)
        self._draw_progress(slot, row, px(_TEXT_X), right)

    def _draw_state_chip(self, slot: Slot, chip: tuple[str, str], right: int, ground: str) -> None:
        """The chip below the title. Its text is cut at the end of the row."""
        px, font, (words, colour) = theme.px, theme.canvas_font(theme.CAPTION), chip
        colour = theme.present(colour)
        x, y = px(_TEXT_X), px(_CHIP_Y)
        words = theme.ellipsis(words, font, right - x - 2 * px(CHIP_PAD))
        width, height = theme.measure(words, font) + 2 * px(CHIP_PAD), px(CHIP_HEIGHT)
        image = plate(width, height, height / 2, fill_of(colour, ground), ground)
        slot.put("chip", "image", (x, y), image=self._canvas.hold(f"chip{slot.tag}", image), anchor="w")
        slot.put("chipwords", "text", (x + width / 2, y), text=words, font=font, fill=colour, anchor="center")

    def _draw_slider(self, slot: Slot, percent: int, muted: bool, state: RowState, ground: str) -> None:
        (left, right), y, thick = self._ends(state.right), theme.px(_SLIDER_Y), max(theme.px(2), 1)
        x = left + (right - left) * percent / 100
        colour = theme.DISABLED if muted else theme.TEXT if state.hovered or state.focused else theme.TEXT_SECONDARY
        slot.put("rest", "rectangle", (left, y - thick, right, y + thick), fill=theme.REST, width=0)
        slot.put("level", "rectangle", (left, y - thick, x, y + thick), fill=colour, width=0)
        if state.hovered or state.focused or self.held is not None:
            knob = self._canvas.hold(f"knob{slot.tag}", dot(theme.px(KNOB), colour, ground))
            slot.put("knob", "image", (x, y), image=knob, anchor="center")


class SpeakerList(RowList):
    """A list of `SpeakerRow`s. `on_volume(key, percent)` is called while a slider moves. The keys plus and minus move
    the slider of the row that has the keyboard. The other arguments are those of `RowList`."""

    _painter: _Painter

    def __init__(
        self,
        master: Any,
        *,
        on_volume: Callable[[str, int], object],
        on_action: Callable[[str, str], object],
        empty: tuple[str, str | None, Callable[[], object] | None] = ("", None, None),
    ) -> None:
        self._on_volume = on_volume
        self._told_percent: int | None = None
        self._sliding = False
        super().__init__(master, row_height=ROW_HEIGHT, on_action=on_action, empty=empty)
        for key, sign in (("plus", 1), ("KP_Add", 1), ("minus", -1), ("KP_Subtract", -1)):
            self.bind(f"<Key-{key}>", lambda event, sign=sign: self._on_step(event, sign))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    def _make_painter(self, view: Viewport) -> RowPainter:
        return _Painter(self, view)

    def _on_press(self, event: tk.Event[Any]) -> None:
        index = self._view.index_at(event.x, event.y)
        percent = self._painter.volume_at(index, event.x, event.y) if index >= 0 else None
        if percent is None:
            super()._on_press(event)
            return
        self._unhint()
        self.focus_set()
        self._sliding = True
        self._hold(self._rows[index].key, percent)

    def _on_drag(self, event: tk.Event[Any]) -> None:
        if self._sliding and self._painter.held is not None:
            self._hold(self._painter.held[0], self._painter.percent(event.x))
        else:
            super()._on_drag(event)

    def _on_release(self, event: tk.Event[Any]) -> None:
        if not self._sliding:
            super()._on_release(event)
            return
        self._sliding = False
        self.cancel("tell")
        self._tell()
        self._release_soon()

    def _hold(self, key: str, percent: int) -> None:
        self.cancel("release")
        self._painter.held = key, percent
        self._redraw(key)
        if not self.waits("tell"):
            self.later("tell", _TELL_EVERY_MS, self._tell)

    def _tell(self) -> None:
        held = self._painter.held
        if held is not None and held[1] != self._told_percent:
            self._told_percent = held[1]
            self._on_volume(*held)

    def _let_go(self) -> None:
        held, self._painter.held, self._told_percent = self._painter.held, None, None
        if held is not None:
            self._redraw(held[0])

    def _on_step(self, event: tk.Event[Any], sign: int) -> str | None:
        at = self._selection.cursor_index()
        row = self._rows[at] if at is not None else None
        if commands(event) or not isinstance(row, SpeakerRow) or row.volume_percent is None:
            return None
        self.by_keyboard()
        held = self._painter.held
        now = held[1] if held is not None and held[0] == row.key else row.volume_percent
        self._hold(row.key, min(max(now + sign * _STEP_PERCENT, 0), 100))
        self._release_soon()
        return "break"

    def _release_soon(self) -> None:
        """Until the peer's report confirms the new volume, the slider stays where the user has put it."""
        self.later("release", _CONFIRM_MS, self._let_go)

    def _redraw(self, key: str) -> None:
        """Draw the row again although its content has not changed."""
        for slot in self._painter.slots:
            if slot.index >= 0 and self._rows[slot.index].key == key:
                slot.state = None
        self._show()
