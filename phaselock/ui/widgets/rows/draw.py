"""How the rows are drawn.

A slot is the set of canvas items that draws one row. There are as many slots as rows fit, and row i always uses slot i
modulo their number, so scrolling moves items and fills only the slots whose row has changed.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

from phaselock.ui import theme
from phaselock.ui.direction import isolated
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.chip import HEIGHT as CHIP_HEIGHT
from phaselock.ui.widgets.chip import PAD as CHIP_PAD
from phaselock.ui.widgets.chip import fill_of
from phaselock.ui.widgets.icons import disc_icon, icon
from phaselock.ui.widgets.raster import corner_mask, dot, plate
from phaselock.ui.widgets.rows.row import Row, RowState
from phaselock.ui.widgets.rows.scroll import Viewport
from phaselock.ui.widgets.rows.slot import Slot

_PICTURE = 40
_PAD = 8
_RADIUS = 8
_ACTION = 32
_HANDLE = 20
_MIN_TITLE = 40
"""Width that a chip leaves to the title."""
_NARROW = 260
"""In narrower rows, the text at the right stands before the subtitle: the title needs the width."""
_BARS = 3
_BAR_INTERVAL_MS = 125
_COLOURED = {"tick": theme.PRIMARY, "voted": theme.PRIMARY, "cross": theme.ERROR_TEXT}
_SIGN = 10
"""Size of the icon in a chip."""


class RowPainter:
    """Draws the visible rows."""

    def __init__(self, canvas: Drawing, view: Viewport) -> None:
        self._canvas = canvas
        self._view = view
        self._height = view.row_height
        self._rows: Sequence[Row] = ()
        self.number_width = 0
        """Width left to the numbers, in pixels."""
        self.slots: list[Slot] = []

    def show(self, rows: Sequence[Row], state_of: Callable[[int], RowState]) -> None:
        """Draw the visible ones of `rows`, each in the state that `state_of(index)` gives."""
        self._rows = rows
        while len(self.slots) < self._view.capacity:
            self.slots.append(Slot(self._canvas, f"slot{len(self.slots)}"))
        count = len(self.slots)
        used = set()
        for index in self._view.visible()[:count]:
            slot = self.slots[index % count]
            used.add(index % count)
            slot.move(index * self._height - self._view.top)
            self._fill(slot, index, state_of(index))
        for i, slot in enumerate(self.slots):
            if i not in used and slot.index >= 0:
                slot.begin()
                slot.end()
                slot.index, slot.state = -1, None
        self.animate()

    def animate(self) -> None:
        """Move three bars while the row that plays is visible; else no timer runs."""
        if self._playing_slots() and self._canvas.winfo_viewable() and not theme.still():
            if not self._canvas.waits("bars"):
                self._canvas.later("bars", _BAR_INTERVAL_MS, self._step_bars)
        else:
            self.freeze()

    def freeze(self) -> None:
        """Stop the bars."""
        self._canvas.cancel("bars")

    def action_at(self, index: int, x: int, y: int) -> int | None:
        """Which action of that row is at a place of the canvas."""
        size = theme.px(_ACTION)
        row, inner = self._rows[index], (y + self._view.top) % self._height
        for i, (left, (name, _, _)) in enumerate(zip(self.action_places(row), row.actions, strict=True)):
            if left <= x < left + size and abs(inner - self._action_y(name)) <= size // 2:
                return i
        return None

    def action_places(self, row: Row) -> list[int]:
        """The left end of each action."""
        edge = self._tools_right(row) - (theme.px(_HANDLE) if row.draggable else 0)
        size = theme.px(_ACTION)
        return [edge - size * (len(row.actions) - i) for i in range(len(row.actions))]

    def shortened(self, row: Row) -> list[str]:
        """The full texts of a visible row of which only a part fits."""
        slot = next((slot for slot in self.slots if slot.index >= 0 and self._rows[slot.index] is row), None)
        texts = (("title", isolated(row.title)), ("subtitle", self._arranged(row).subtitle))
        return [text for name, text in texts if text and slot is not None and slot.text(name) != text]

    def _fill(self, slot: Slot, index: int, state: RowState) -> None:
        row = self._rows[index]
        slot.index = index
        now = (row, state, self.number_width)
        if slot.state != now:
            slot.state = now
            slot.begin()
            shown = row if state.picture is None else dataclasses.replace(row, picture=state.picture)
            self._draw(slot, shown, state)
            slot.end()

    def _playing_slots(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.index >= 0 and self._rows[slot.index].playing]

    def _draw(self, slot: Slot, row: Row, state: RowState) -> None:
        px, right, row = theme.px, state.right - theme.px(_PAD), self._arranged(row)
        ground = self._draw_back(slot, state)
        x = self._picture_x(row)
        if row.number:
            self._draw_number(slot, row)
        if row.initial or row.picture is not None or row.playing or row.sign:
            self._draw_picture(slot, row, x, ground)
            x += px(_PICTURE + 12)
        else:
            x += px(4)
        title_end, subtitle_end = self._draw_right(slot, row, state, (x, right), ground)
        self._draw_title(slot, row, x, max(title_end - x, px(16)), ground)
        if row.subtitle:
            self._draw_subtitle(slot, row, x, max(subtitle_end - x, px(16)), ground)
        self._draw_tools(slot, row, state, ground)
        self._draw_progress(slot, row, x, right)

    def _arranged(self, row: Row) -> Row:
        """The row as it is drawn in the present width."""
        if row.right and not row.actions_shown and self._view.right < theme.px(_NARROW):
            return dataclasses.replace(row, right="", subtitle=" · ".join(filter(None, (row.right, row.subtitle))))
        return row

    def _picture_x(self, row: Row) -> int:
        """The left end of the picture."""
        return theme.px(_PAD) + (self.number_width + theme.px(_PAD) if self.number_width else 0)

    def _draw_number(self, slot: Slot, row: Row) -> None:
        font, colour = theme.canvas_font(theme.CAPTION), theme.PRIMARY if row.playing else theme.TEXT_SECONDARY
        place = (theme.px(_PAD) + self.number_width, self._height // 2)
        slot.put("number", "text", place, text=row.number, font=font, fill=colour, anchor="e")

    def _line_y(self, y: int) -> int:
        """The middle of a line of text; `y`: in a row of 56 pixels of the design."""
        return theme.px(y) + (self._height - theme.px(56)) // 2

    def _draw_back(self, slot: Slot, state: RowState) -> str:
        """The plate behind the row, and the bar of a selected one; gives the colour of the ground."""
        px, canvas = theme.px, self._canvas
        raised = state.hovered or state.selected or state.dragged
        ground = theme.ELEVATED if raised else canvas.ground
        if raised or state.focused:
            ring = theme.FOCUS if state.focused and state.focused_action is None else ""
            picture = plate(state.right, self._height, px(_RADIUS), ground, canvas.ground, outline=ring, line=px(2))
            slot.put("back", "image", (0, 0), image=canvas.hold(f"back{slot.tag}", picture), anchor="nw")
        if state.selected:
            place = (px(2), px(16), px(5), self._height - px(16))
            slot.put("selected", "rectangle", place, fill=theme.TEXT, width=0)
        return ground

    def _draw_title(self, slot: Slot, row: Row, x: int, width: int, ground: str) -> None:
        font = theme.canvas_font(theme.BODY)
        y, title_x = self._line_y(19) if row.subtitle else self._height // 2, x
        if row.colour_dot and not row.subtitle:
            title_x = self._draw_dot(slot, x, y, row.colour_dot, ground)
        slot.put(
            "title",
            "text",
            (title_x, y),
            text=isolated(theme.ellipsis(row.title, font, width - (title_x - x))),
            font=font,
            fill=theme.PRIMARY if row.playing else theme.TEXT_SECONDARY if row.dimmed else theme.TEXT,
            anchor="w",
        )

    def _draw_subtitle(self, slot: Slot, row: Row, x: int, width: int, ground: str) -> None:
        font, y = theme.canvas_font(theme.SECONDARY), self._line_y(38)
        subtitle_x = self._draw_dot(slot, x, y, row.colour_dot, ground) if row.colour_dot else x
        slot.put(
            "subtitle",
            "text",
            (subtitle_x, y),
            text=theme.ellipsis(row.subtitle, font, width - (subtitle_x - x)),
            font=font,
            fill=theme.FAINT if row.dimmed else theme.TEXT_SECONDARY,
            anchor="w",
        )

    def _action_y(self, name: str) -> int:
        """The middle of an action."""
        return self._height // 2

    def _draw_progress(self, slot: Slot, row: Row, x: int, right: int) -> None:
        if row.progress is not None:
            y, thick = self._height - theme.px(5), max(theme.px(2), 1)
            done = x + (right - x) * min(max(row.progress, 0.0), 1.0)
            slot.put("track", "rectangle", (x, y, right, y + thick), fill=theme.REST, width=0)
            slot.put("done", "rectangle", (x, y, done, y + thick), fill=theme.TEXT, width=0)

    def _picture_y(self) -> int:
        """The upper end of the picture."""
        return (self._height - theme.px(_PICTURE)) // 2

    def _draw_picture(self, slot: Slot, row: Row, x: int, ground: str) -> None:
        size, y = theme.px(_PICTURE), self._picture_y()
        middle = (x + size / 2, y + size / 2)
        if row.sign:
            image = self._canvas.hold(f"sign{slot.tag}", icon(row.sign, size, theme.TEXT_SECONDARY, ground, glyph=0.6))
            slot.put("sign", "image", middle, image=image, anchor="center")
            return
        tile, picture = theme.BACKGROUND if ground == theme.ELEVATED else theme.ELEVATED, row.picture
        if picture is None:
            image = plate(size, size, theme.px(4), tile, ground)
            slot.put("tile", "image", (x, y), image=self._canvas.hold(f"tile{slot.tag}", image), anchor="nw")
        else:
            slot.put("picture", "image", middle, image=self._canvas.hold(f"cover{slot.tag}", picture), anchor="center")
            corners = self._canvas.hold(f"corners{slot.tag}", corner_mask(size, theme.px(4), ground))
            slot.put("corners", "image", (x, y), image=corners, anchor="nw")
        if row.playing:
            if picture is not None:
                image = plate(theme.px(24), theme.px(24), theme.px(4), theme.BACKGROUND, theme.BACKGROUND)
                image = self._canvas.hold(f"behind{slot.tag}", image)
                slot.put("behind", "image", middle, image=image, anchor="center")
            for i, place in enumerate(self._bar_places(row)):
                slot.put(f"bar{i}", "rectangle", place, fill=theme.PRIMARY, width=0)
        elif picture is None:
            slot.put(
                "initial",
                "text",
                middle,
                text=row.initial[:1].upper(),
                font=theme.canvas_font(theme.BODY, True),
                fill=theme.FAINT if row.dimmed else theme.TEXT_SECONDARY,
                anchor="center",
            )

    def _draw_dot(self, slot: Slot, x: int, y: int, colour: str, ground: str) -> int:
        """A coloured dot; gives where the text after it begins."""
        size = theme.px(8)
        image = self._canvas.hold(f"dot{slot.tag}", dot(size, theme.present(colour), ground))
        slot.put("dot", "image", (x, y), image=image, anchor="w")
        return x + size + theme.px(6)

    def _draw_right(self, slot: Slot, row: Row, state: RowState, span: tuple[int, int], ground: str) -> tuple[int, int]:
        """The text at the right, left of it the chip; gives where title and subtitle must end. Actions that are always
        shown are right of the text. `span`: the left end of the texts and the right end of the row."""
        px, tools, (begin, right) = theme.px, state.hovered or state.focused, span
        left = right - (self._tools_width(row) + px(4) if row.actions_shown else 0)
        if row.right:
            font, place = theme.canvas_font(theme.SECONDARY), (left, self._height // 2)
            slot.put("right", "text", place, text=row.right, font=font, fill=theme.TEXT_SECONDARY, anchor="e")
            left -= self._text_width(row)
        elif row.pill:
            self._draw_pill(slot, row.pill, left, ground, lit=tools)
            left -= self._pill_width(row.pill) + px(8)
        subtitle_end, hides = left, tools and self._tools_width(row) > 0 and not row.actions_shown
        if row.chip is not None:
            # Only beside the title if there is a subtitle, which needs the width.
            left = self._draw_chip(slot, row, (begin, left), ground, hidden=hides)
        return left, subtitle_end

    def _draw_tools(self, slot: Slot, row: Row, state: RowState, ground: str) -> None:
        """Actions and handle. Those that appear under the pointer cover the ends of title and subtitle, which stay as
        they are."""
        lit, right, width = state.hovered or state.focused, self._tools_right(row), self._tools_width(row)
        if not width or not (lit or row.actions_shown):
            return
        if not row.actions_shown:
            gap = theme.px(4)
            place = (right - width - gap, gap, right, self._height - gap)
            slot.put("veil", "rectangle", place, fill=ground, width=0)
        self._draw_actions(slot, row, state, ground)
        if lit and row.draggable:
            handle = icon("drag", theme.px(_HANDLE), theme.TEXT_SECONDARY, ground)
            image = self._canvas.hold(f"handle{slot.tag}", handle)
            slot.put("handle", "image", (right, self._height // 2), image=image, anchor="e")

    def _tools_width(self, row: Row) -> int:
        return theme.px(_ACTION) * len(row.actions) + (theme.px(_HANDLE) if row.draggable else 0)

    def _tools_right(self, row: Row) -> int:
        """The right end of actions and handle."""
        right, row = self._view.right - theme.px(_PAD), self._arranged(row)
        return right - self._text_width(row) if row.right and not row.actions_shown else right

    def _text_width(self, row: Row) -> int:
        """The width of the text at the right, with a gap left of it."""
        return theme.measure(row.right, theme.canvas_font(theme.SECONDARY)) + theme.px(8)

    def _pill_width(self, text: str) -> int:
        return theme.measure(text, theme.canvas_font(theme.SECONDARY, True)) + 2 * theme.px(16)

    def _draw_pill(self, slot: Slot, text: str, right: int, ground: str, *, lit: bool) -> None:
        px, font, y = theme.px, theme.canvas_font(theme.SECONDARY, True), self._height // 2
        width, height = self._pill_width(text), px(32)
        fill, colour = (theme.PRIMARY, theme.ON_PRIMARY) if lit else (theme.ELEVATED, theme.TEXT)
        image = self._canvas.hold(f"pill{slot.tag}", plate(width, height, height / 2, fill, ground))
        slot.put("pill", "image", (right, y), image=image, anchor="e")
        slot.put("pillwords", "text", (right - width / 2, y), text=text, font=font, fill=colour, anchor="center")

    def _draw_actions(self, slot: Slot, row: Row, state: RowState, ground: str) -> None:
        size = theme.px(_ACTION)
        for i, (x, (name, sign, _)) in enumerate(zip(self.action_places(row), row.actions, strict=True)):
            lit, ringed = state.hovered_action == i, state.focused_action == i
            colour = theme.present(_COLOURED.get(sign, theme.TEXT if lit or ringed else theme.TEXT_SECONDARY))
            raised = theme.RAISED if ground == theme.ELEVATED else theme.ELEVATED
            disc = (theme.GRID if state.pressed_action == name else raised) if lit else ground
            image = disc_icon(sign, size, colour, disc, ground, glyph=22 / 32, ring=ringed)
            image = self._canvas.hold(f"action{i}{slot.tag}", image)
            slot.put(f"action{i}", "image", (x, self._action_y(name)), image=image, anchor="w")

    def _draw_chip(self, slot: Slot, row: Row, span: tuple[int, int], ground: str, *, hidden: bool) -> int:
        """The chip at the right of `span`, of which it leaves a part to the title; gives its left end."""
        assert row.chip is not None
        px, font, (text, colour), (left, right) = theme.px, theme.canvas_font(theme.CAPTION), row.chip, span
        colour = theme.present(colour)
        y = self._line_y(19) if row.subtitle else self._height // 2
        sign = px(_SIGN + 4) if row.chip_sign else 0
        text = theme.ellipsis(text, font, right - left - px(_MIN_TITLE + 12 + 2 * CHIP_PAD) - sign)
        width, height = theme.measure(text, font) + sign + 2 * px(CHIP_PAD), px(CHIP_HEIGHT)
        if not hidden:
            fill = fill_of(colour, ground)
            image = plate(width, height, height / 2, fill, ground)
            slot.put("chip", "image", (right, y), image=self._canvas.hold(f"chip{slot.tag}", image), anchor="e")
            words_x = right - px(CHIP_PAD)
            slot.put("chipwords", "text", (words_x, y), text=text, font=font, fill=colour, anchor="e")
            if row.chip_sign:
                image = self._canvas.hold(f"chipsign{slot.tag}", icon(row.chip_sign, px(_SIGN), colour, fill))
                slot.put("chipsign", "image", (right - width + px(CHIP_PAD), y), image=image, anchor="w")
        return right - width - px(12)

    def _bar_places(self, row: Row) -> list[tuple[float, ...]]:
        """The rectangles of the bars over the picture, now."""
        x, size = self._picture_x(row), theme.px(_PICTURE)
        y = (self._height - size) // 2
        wide, gap, tallest = theme.px(3), theme.px(3), theme.px(16)
        left = x + (size - _BARS * wide - (_BARS - 1) * gap) // 2
        foot = y + (size + tallest) // 2
        now = time.perf_counter()  # time.monotonic has steps of 16 ms in some versions of Python for Windows
        places: list[tuple[float, ...]] = []
        for i in range(_BARS):
            share = 0.62 + 0.38 * math.sin(now * (5.1 + 1.7 * i) + 2.1 * i)
            tall = max(round(tallest * share), theme.px(3))
            places.append((left + i * (wide + gap), foot - tall, left + i * (wide + gap) + wide, foot))
        return places

    def _step_bars(self) -> None:
        for slot in self._playing_slots():
            for i, place in enumerate(self._bar_places(self._rows[slot.index])):
                slot.shift_to(f"bar{i}", place)
        self.animate()
