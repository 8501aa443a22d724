"""The list of peers, queue, requests and sessions: one canvas that draws only the rows in sight.

A slot is what draws one row. There are as many as rows fit, and row i always uses slot i modulo their number, so
scrolling moves items and fills only the slots whose row has changed. A slot knows what each of its items shows and
touches only what differs.
"""

from __future__ import annotations

import dataclasses
import math
import time
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets import tooltip
from phaselock.ui.widgets.base import CONTROL, Drawing, bind_wheel, commands, inside, shifted
from phaselock.ui.widgets.buttons import SecondaryButton
from phaselock.ui.widgets.chip import HEIGHT as CHIP_HEIGHT
from phaselock.ui.widgets.chip import PAD as CHIP_PAD
from phaselock.ui.widgets.chip import fill_of
from phaselock.ui.widgets.icons import disc_icon, icon
from phaselock.ui.widgets.raster import dot, plate

PICTURE = 40
_PAD = 8
_RADIUS = 8
_ACTION = 32
_HANDLE = 20
_SCROLL = 6
_BARS = 3
_BAR_MS = 125
_NOTCH = 1.5  # rows
_DRAG_FROM = 5
_EDGE_MS = 30
_ALT = {"x11": 0x8, "win32": 0x20000, "aqua": 0x10}
_COLOURED = {"tick": theme.PRIMARY, "cross": theme.blend(theme.ERROR, theme.TEXT, 0.85)}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What one row shows."""

    key: str
    title: str
    subtitle: str = ""
    initial: str = ""
    picture: tk.PhotoImage | None = None
    """At most 40 pixels of the design; the tile with the initial without one."""
    colour_dot: str | None = None
    """Before the subtitle, which has its words."""
    right: str = ""
    chip: tuple[str, str] | None = None
    """Words and their colour."""
    progress: float | None = None
    playing: bool = False
    dimmed: bool = False
    actions: tuple[tuple[str, str, str], ...] = ()
    """Name, icon and tooltip; a tick is green, a cross red."""
    draggable: bool = False
    tooltip: str = ""
    actions_shown: bool = False
    """Always, not only under the pointer."""


class _Slot:
    """The items of one row, by name. `put` and `hide` touch only what differs."""

    def __init__(self, canvas: tk.Canvas, tag: str) -> None:
        self._canvas = canvas
        self.tag = tag
        self.index = -1
        self.y = 0
        self.state: object = None
        self._items: dict[str, int] = {}
        self._shown: dict[str, tuple[object, ...] | None] = {}
        self._used: set[str] = set()

    def move(self, y: int) -> None:
        if y != self.y:
            self._canvas.move(self.tag, 0, y - self.y)
            self.y = y

    def begin(self) -> None:
        self._used.clear()

    def put(self, name: str, kind: str, place: tuple[float, ...], **options: Any) -> None:
        self._used.add(name)
        now = (place, *options.values())
        before = self._shown.get(name)
        if before == now:
            return
        item = self._items.get(name)
        shifted_place = [value + (self.y if i % 2 else 0) for i, value in enumerate(place)]
        if item is None:
            create: Any = {
                "image": self._canvas.create_image,
                "text": self._canvas.create_text,
                "rectangle": self._canvas.create_rectangle,
            }[kind]
            self._items[name] = create(*shifted_place, tags=self.tag, **options)
            if name == "back":
                self._canvas.tag_lower(self._items[name])
        else:
            if before is None or before[0] != place:
                self._canvas.coords(item, *shifted_place)
            self._canvas.itemconfigure(item, state="normal", **options)
        self._shown[name] = now

    def end(self) -> None:
        for name, now in self._shown.items():
            if now is not None and name not in self._used:
                self._canvas.itemconfigure(self._items[name], state="hidden")
                self._shown[name] = None

    def text(self, name: str) -> str:
        item = self._items.get(name)
        return str(self._canvas.tk.call(self._canvas, "itemcget", item, "-text")) if item is not None else ""

    def shift_to(self, name: str, place: tuple[float, ...]) -> None:
        """Move an item that is shown, as an animation does."""
        before = self._shown.get(name)
        if before is not None:
            self._canvas.coords(self._items[name], *[v + (self.y if i % 2 else 0) for i, v in enumerate(place)])
            self._shown[name] = (place, *before[1:])


class RowList(Drawing):
    """A list of rows. `on_open(key)`, `on_action(key, name)`, `on_move(key, index it has afterwards)`,
    `on_select(keys)`, `on_delete(keys)`; `empty`: a line, and perhaps a button's words and what it does."""

    def __init__(
        self,
        master: Any,
        *,
        row_height: int = 56,
        on_open: Callable[[str], object] | None = None,
        on_action: Callable[[str, str], object] | None = None,
        on_move: Callable[[str, int], object] | None = None,
        on_select: Callable[[tuple[str, ...]], object] | None = None,
        on_delete: Callable[[tuple[str, ...]], object] | None = None,
        empty: tuple[str, str | None, Callable[[], object] | None] = ("", None, None),
    ) -> None:
        super().__init__(master, theme.px(240), theme.px(row_height * 3), focus=True)
        self._high = theme.px(row_height)
        self._on_open, self._on_action, self._on_move = on_open, on_action, on_move
        self._on_select, self._on_delete = on_select, on_delete
        self._selects = bool(on_select or on_open or on_delete or on_move)
        self._rows: list[Row] = []
        self._index: dict[str, int] = {}
        self._slots: list[_Slot] = []
        self._top = 0
        self._selected: set[str] = set()
        self._cursor: str | None = None
        self._anchor: str | None = None
        self._action_at: int | None = None
        """Which action of the cursor's row has the keyboard."""
        self._over: tuple[int, int | None] = (-1, None)
        """Row and action under the pointer."""
        self._press: tuple[str, int, int] | None = None
        self._pressed_action: tuple[str, str] | None = None
        self._clicked_alone: str | None = None
        self._drag: str | None = None
        self._drop_at: int | None = None
        self._drag_y = 0
        self._grip: int | None = None
        """Dragging the scroll bar: where on it it is held."""
        self._hinted = ""
        self._line = self.create_rectangle(0, 0, 0, 0, fill=theme.FOCUS, width=0, state="hidden")
        self._line_dot = self.create_image(
            0, 0, image=self.hold("drop", dot(theme.px(8), theme.FOCUS, None)), state="hidden"
        )
        self._scroll = self.create_line(
            0, 0, 0, 0, fill=theme.REST, width=theme.px(_SCROLL), capstyle="round", state="hidden"
        )
        self._empty = empty[0]
        self._empty_text = self.create_text(
            0,
            0,
            text=empty[0],
            font=theme.canvas_font(theme.SECONDARY),
            fill=theme.TEXT_SECONDARY,
            justify="center",
            anchor="center",
        )
        self._empty_button: SecondaryButton | None = None
        if empty[1] and empty[2]:
            self._empty_button = SecondaryButton(self, empty[1], empty[2])
        self._empty_window = self.create_window(0, 0, anchor="n", state="hidden")
        if self._empty_button is not None:
            self.itemconfigure(self._empty_window, window=self._empty_button)
        self._bind_events()

    # What is shown

    @property
    def rows(self) -> tuple[Row, ...]:
        """All of them."""
        return tuple(self._rows)

    @property
    def selection(self) -> tuple[str, ...]:
        """Keys of the selected rows, in order."""
        return tuple(row.key for row in self._rows if row.key in self._selected)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these. What is looked at stays where it is, and what is selected stays so."""
        if len(rows) == len(self._rows) and all(map(_same, rows, self._rows)):
            return
        anchor, shift = None, 0
        if self._rows and self._top > 0:
            at = min(self._top // self._high, len(self._rows) - 1)
            anchor, shift = self._rows[at].key, self._top - at * self._high
        cursor_at = self._index.get(self._cursor) if self._cursor else None
        self._rows = list(rows)
        self._index = {row.key: i for i, row in enumerate(self._rows)}
        kept = self._selected & self._index.keys()
        lost = kept != self._selected
        self._selected = kept
        if self._cursor not in self._index:
            self._action_at = None
            # The keyboard goes on where the row was.
            self._cursor = (
                self._rows[min(cursor_at, len(self._rows) - 1)].key if cursor_at is not None and self._rows else None
            )
        if self._anchor not in self._index:
            self._anchor = self._cursor
        if self._drag is not None and self._drag not in self._index:
            self._end_drag()
        if anchor is not None and anchor in self._index:
            self._top = self._index[anchor] * self._high + shift
        self._show()
        if lost and self._on_select is not None:
            self._on_select(self.selection)

    def set_empty(self, text: str) -> None:
        """Other words for when there are no rows."""
        if text != self._empty:
            self._empty = text
            self.itemconfigure(self._empty_text, text=text)
            self._show_empty()

    def select(self, keys: Sequence[str]) -> None:
        """Select these, the last of them with the keyboard."""
        known = [key for key in keys if key in self._index]
        self._choose(set(known), known[-1] if known else self._cursor)

    def see(self, key: str) -> None:
        """Scroll so that this row is in sight."""
        at = self._index.get(key)
        if at is not None:
            self._scroll_to(min(at * self._high, max(self._top, (at + 1) * self._high - self.winfo_height())))

    def top_row(self) -> int:
        """Index of the first row in sight."""
        return self._top // self._high

    def paint(self) -> None:
        """Show what is the case now."""
        self._show()

    # Drawing

    def _limit(self) -> int:
        return max(len(self._rows) * self._high - self.winfo_height(), 0)

    def _scroll_to(self, top: float) -> None:
        top = round(min(max(top, 0), self._limit()))
        if top != self._top:
            self._top = top
            self._unhint()
            self._show()

    def _show(self) -> None:
        height = self.winfo_height()
        if self.winfo_width() <= 1:
            return
        self._top = min(max(self._top, 0), self._limit())
        wanted = min(math.ceil(height / self._high) + 1, len(self._rows))
        while len(self._slots) < wanted:
            self._slots.append(_Slot(self, f"slot{len(self._slots)}"))
        count = len(self._slots)
        first = self._top // self._high
        last = min(first + math.ceil(height / self._high) + 1, len(self._rows))
        taken = set()
        if count:
            for index in range(first, min(last, first + count)):
                slot = self._slots[index % count]
                taken.add(index % count)
                slot.move(index * self._high - self._top)
                self._fill(slot, index)
        for i, slot in enumerate(self._slots):
            if i not in taken and slot.index >= 0:
                slot.begin()
                slot.end()
                slot.index, slot.state = -1, None
        self._show_scroll(height)
        self._show_empty()
        self._show_drop()
        self._animate()

    def _fill(self, slot: _Slot, index: int) -> None:
        row = self._rows[index]
        over = index == self._over[0] and self._drag is None
        at_cursor = self.keyboard and row.key == self._cursor
        held = row.key == self._drag
        state = (
            row,
            over,
            self._over[1] if over else None,
            row.key in self._selected,
            at_cursor,
            self._action_at if at_cursor else None,
            held,
            self.winfo_width(),
            self._limit() > 0,
            self._pressed_action,
        )
        if slot.state == state:
            slot.index = index
            return
        slot.index, slot.state = index, state
        slot.begin()
        self._draw(slot, row, over=over, at_cursor=at_cursor, held=held)
        slot.end()

    def _draw(self, slot: _Slot, row: Row, *, over: bool, at_cursor: bool, held: bool) -> None:
        px, high, right = theme.px, self._high, self._right()
        selected = row.key in self._selected
        ground = self.ground
        if over or selected or at_cursor or held:
            ground = theme.ELEVATED if over or selected or held else self.ground
            picture = plate(
                right,
                high,
                px(_RADIUS),
                ground,
                self.ground,
                outline=theme.FOCUS if at_cursor and self._action_at is None else "",
                line=px(2),
            )
            slot.put("back", "image", (0, 0), image=self.hold(f"back{slot.tag}", picture), anchor="nw")
        if selected:
            slot.put("mark", "rectangle", (px(2), px(16), px(5), high - px(16)), fill=theme.TEXT, width=0)
        x = px(_PAD)
        if row.initial or row.picture is not None or row.playing:
            self._draw_picture(slot, row, x, ground)
            x += px(PICTURE + 12)
        else:
            x += px(4)
        end, sub_end = self._draw_right(slot, row, right - px(_PAD), ground, tools=over or at_cursor)
        room, sub_room = max(end - x, px(16)), max(sub_end - x, px(16))
        title_font, sub_font = theme.canvas_font(theme.BODY), theme.canvas_font(theme.SECONDARY)
        colour = theme.PRIMARY if row.playing else theme.TEXT_SECONDARY if row.dimmed else theme.TEXT
        two = bool(row.subtitle or (row.colour_dot and row.progress is None))
        title_y = px(19) if two else high // 2
        title_x = x
        if row.colour_dot and not row.subtitle:
            title_y = high // 2
            title_x = self._draw_dot(slot, x, title_y, row.colour_dot, ground)
        slot.put(
            "title",
            "text",
            (title_x, title_y + (high - px(56)) // 2 if two and row.subtitle else title_y),
            text=theme.ellipsis(row.title, title_font, room - (title_x - x)),
            font=title_font,
            fill=colour,
            anchor="w",
        )
        if row.subtitle:
            y = px(38) + (high - px(56)) // 2
            sub_x = self._draw_dot(slot, x, y, row.colour_dot, ground) if row.colour_dot else x
            slot.put(
                "subtitle",
                "text",
                (sub_x, y),
                text=theme.ellipsis(row.subtitle, sub_font, sub_room - (sub_x - x)),
                font=sub_font,
                fill=theme.DISABLED if row.dimmed else theme.TEXT_SECONDARY,
                anchor="w",
            )
        if row.progress is not None:
            y, thick = high - px(5), max(px(2), 1)
            done = x + (right - px(_PAD) - x) * min(max(row.progress, 0.0), 1.0)
            slot.put("track", "rectangle", (x, y, right - px(_PAD), y + thick), fill=theme.REST, width=0)
            slot.put("done", "rectangle", (x, y, done, y + thick), fill=theme.TEXT, width=0)

    def _draw_picture(self, slot: _Slot, row: Row, x: int, ground: str) -> None:
        size, y = theme.px(PICTURE), (self._high - theme.px(PICTURE)) // 2
        middle = (x + size / 2, y + size / 2)
        tile = theme.BACKGROUND if ground == theme.ELEVATED else theme.ELEVATED
        if row.picture is None or row.playing:
            image = plate(size, size, theme.px(4), tile, ground)
            slot.put("tile", "image", (x, y), image=self.hold(f"tile{slot.tag}", image), anchor="nw")
        if row.playing:
            for i, place in enumerate(self._bar_places(x, y, size)):
                slot.put(f"bar{i}", "rectangle", place, fill=theme.PRIMARY, width=0)
        elif row.picture is not None:
            slot.put("picture", "image", middle, image=row.picture, anchor="center")
        else:
            slot.put(
                "initial",
                "text",
                middle,
                text=row.initial[:1].upper(),
                font=theme.canvas_font(theme.BODY, True),
                fill=theme.DISABLED if row.dimmed else theme.TEXT_SECONDARY,
                anchor="center",
            )

    def _bar_places(self, x: int, y: int, size: int) -> list[tuple[float, ...]]:
        wide, gap, tallest = theme.px(3), theme.px(3), theme.px(16)
        left = x + (size - _BARS * wide - (_BARS - 1) * gap) // 2
        foot = y + (size + tallest) // 2
        now = time.monotonic()
        places: list[tuple[float, ...]] = []
        for i in range(_BARS):
            share = 0.62 + 0.38 * math.sin(now * (5.1 + 1.7 * i) + 2.1 * i)
            tall = max(round(tallest * share), theme.px(3))
            places.append((left + i * (wide + gap), foot - tall, left + i * (wide + gap) + wide, foot))
        return places

    def _draw_dot(self, slot: _Slot, x: int, y: int, colour: str, ground: str) -> int:
        size = theme.px(8)
        slot.put("dot", "image", (x, y), image=self.hold(f"dot{slot.tag}", dot(size, colour, ground)), anchor="w")
        return x + size + theme.px(6)

    def _draw_right(self, slot: _Slot, row: Row, right: int, ground: str, *, tools: bool) -> tuple[int, int]:
        """NumericLabel and chip, or in their place what can be done; gives where the words of each line must end."""
        px, middle = theme.px, self._high // 2
        font, small = theme.canvas_font(theme.SECONDARY), theme.canvas_font(theme.CAPTION)
        shown = tools or row.actions_shown
        left = right
        for i, (at, (name, sign, _)) in enumerate(zip(self._action_places(row), row.actions, strict=True)):
            if not shown:
                break
            lit = slot.index == self._over[0] and self._over[1] == i
            ringed = self.keyboard and row.key == self._cursor and self._action_at == i
            pressed = self._pressed_action == (row.key, name) and lit
            colour = _COLOURED.get(sign, theme.TEXT if lit or ringed else theme.TEXT_SECONDARY)
            raised = theme.RAISED if ground == theme.ELEVATED else theme.ELEVATED
            disc = (theme.GRID if pressed else raised) if lit else ground
            image = disc_icon(sign, px(_ACTION), colour, disc, ground, glyph=22 / 32, ring=ringed)
            slot.put(f"action{i}", "image", (at, middle), image=self.hold(f"action{i}{slot.tag}", image), anchor="w")
        if tools and row.draggable:
            image = icon("drag", px(_HANDLE), theme.TEXT_SECONDARY, ground)
            slot.put("handle", "image", (right, middle), image=self.hold(f"handle{slot.tag}", image), anchor="e")
        tool_room = (px(_ACTION) * len(row.actions) if row.actions else 0) + (px(_HANDLE) if row.draggable else 0)
        if row.actions_shown:
            left -= tool_room + px(4)
        hides = tools and tool_room > 0 and not row.actions_shown
        if row.right:
            if not hides:
                slot.put(
                    "right", "text", (left, middle), text=row.right, font=font, fill=theme.TEXT_SECONDARY, anchor="e"
                )
            left -= theme.measure(row.right, font) + px(12)
        sub_left = left
        if row.chip is not None:
            # Beside the title alone where there are two lines: the second one has most to say.
            y = px(19) + (self._high - px(56)) // 2 if row.subtitle else middle
            text, colour = row.chip
            wide, tall = theme.measure(text, small) + 2 * px(CHIP_PAD), px(CHIP_HEIGHT)
            if not hides:
                image = plate(wide, tall, tall / 2, fill_of(colour, ground), ground)
                slot.put("chip", "image", (left, y), image=self.hold(f"chip{slot.tag}", image), anchor="e")
                slot.put(
                    "chipwords",
                    "text",
                    (left - wide / 2, y),
                    text=text,
                    font=small,
                    fill=colour,
                    anchor="center",
                )
            left -= wide + px(12)
        limit = right - tool_room - px(4) if tools and tool_room else left
        return min(left, limit), min(sub_left, limit) if tools and tool_room else sub_left

    def _right(self) -> int:
        return self.winfo_width() - (theme.px(10) if self._limit() > 0 else 0)

    def _action_places(self, row: Row) -> list[int]:
        edge = self._right() - theme.px(_PAD) - (theme.px(_HANDLE) if row.draggable else 0)
        size = theme.px(_ACTION)
        return [edge - size * (len(row.actions) - i) for i in range(len(row.actions))]

    def _show_scroll(self, height: int) -> None:
        place = self._scroll_place(height)
        if place is None:
            self.itemconfigure(self._scroll, state="hidden")
            return
        top, length = place
        half = theme.px(_SCROLL) / 2
        x = self.winfo_width() - half
        self.coords(self._scroll, x, top + half, x, top + length - half)
        self.itemconfigure(self._scroll, state="normal", fill=theme.DISABLED if self._grip is not None else theme.REST)
        self.tag_raise(self._scroll)

    def _scroll_place(self, height: int) -> tuple[int, int] | None:
        limit = self._limit()
        if limit <= 0:
            return None
        length = max(height * height // (len(self._rows) * self._high), theme.px(32))
        return round((height - length) * self._top / limit), length

    def _show_empty(self) -> None:
        if self._rows:
            self.itemconfigure(self._empty_text, state="hidden")
            self.itemconfigure(self._empty_window, state="hidden")
            return
        width, height = self.winfo_width(), self.winfo_height()
        self.itemconfigure(self._empty_text, state="normal", width=max(width - 2 * theme.px(16), 1))
        button = self._empty_button
        room = (button.winfo_reqheight() + theme.px(16)) if button is not None else 0
        self.coords(self._empty_text, width / 2, (height - room) / 2)
        if button is not None:
            box = self.bbox(self._empty_text)
            self.coords(self._empty_window, width / 2, (box[3] if box else height / 2) + theme.px(16))
            self.itemconfigure(self._empty_window, state="normal")

    def _show_drop(self) -> None:
        if self._drag is None or self._drop_at is None:
            self.itemconfigure(self._line, state="hidden")
            self.itemconfigure(self._line_dot, state="hidden")
            return
        thick = max(theme.px(2), 1)
        y = min(max(self._drop_at * self._high - self._top, thick // 2), self.winfo_height() - thick)
        self.coords(self._line, theme.px(8), y - thick // 2, self._right(), y - thick // 2 + thick)
        self.coords(self._line_dot, theme.px(8), y)
        for item in (self._line, self._line_dot):
            self.itemconfigure(item, state="normal")
            self.tag_raise(item)

    def _animate(self) -> None:
        """Three bars move while the row that plays is in sight; nothing is timed otherwise."""
        moving = any(slot.index >= 0 and self._rows[slot.index].playing for slot in self._slots)
        if moving and self.winfo_viewable():
            if not self.waits("bars"):
                self.later("bars", _BAR_MS, self._step_bars)
        else:
            self.cancel("bars")

    def _step_bars(self) -> None:
        x, size = theme.px(_PAD), theme.px(PICTURE)
        y = (self._high - size) // 2
        for slot in self._slots:
            if slot.index >= 0 and self._rows[slot.index].playing:
                for i, place in enumerate(self._bar_places(x, y, size)):
                    slot.shift_to(f"bar{i}", place)
        self._animate()

    # Pointer

    def _bind_events(self) -> None:
        bind_wheel(self, lambda notches: self._scroll_to(self._top + notches * _NOTCH * self._high))
        for sequence, act in (
            ("<Configure>", lambda _event: self._show()),
            ("<Map>", lambda _event: self._animate()),
            ("<Unmap>", lambda _event: self.cancel("bars")),
            ("<Motion>", self._on_motion),
            ("<Leave>", self._on_leave),
            ("<ButtonPress-1>", self._on_press),
            ("<B1-Motion>", self._on_drag),
            ("<ButtonRelease-1>", self._on_release),
            ("<Double-Button-1>", self._on_double),
            ("<Key-Escape>", self._on_escape),
            ("<Key-Return>", self._on_return),
            ("<Key-KP_Enter>", self._on_return),
            ("<Key-space>", self._on_space),
            ("<Key-Delete>", self._on_delete_key),
            ("<Key-BackSpace>", self._on_delete_key),
        ):
            self.bind(sequence, act, add="+")
        for key, step in (("Up", -1), ("Down", 1)):
            self.bind(f"<Key-{key}>", lambda event, step=step: self._on_arrow(event, step))  # type: ignore[misc]
        for key, step in (("Left", -1), ("Right", 1)):
            self.bind(f"<Key-{key}>", lambda event, step=step: self._on_side(event, step))  # type: ignore[misc]
        for key, where in (
            ("Home", lambda _at, _page: 0),
            ("End", lambda _at, _page: len(self._rows) - 1),
            ("Prior", lambda at, page: at - page),
            ("Next", lambda at, page: at + page),
        ):
            self.bind(f"<Key-{key}>", lambda event, where=where: self._on_jump(event, where))  # type: ignore[misc]
        for key in ("a", "A"):
            self.bind(f"<Control-Key-{key}>", self._on_select_all)
            if self.tk.call("tk", "windowingsystem") == "aqua":
                self.bind(f"<Command-Key-{key}>", self._on_select_all)

    def _at(self, x: int, y: int) -> tuple[int, int | None]:
        """Row and action at a place; -1: no row."""
        index = (y + self._top) // self._high if 0 <= y < self.winfo_height() else -1
        if not 0 <= index < len(self._rows) or not 0 <= x < self._right():
            return -1, None
        row, size = self._rows[index], theme.px(_ACTION)
        off = abs((y + self._top) % self._high - self._high // 2)
        for i, left in enumerate(self._action_places(row)):
            if left <= x < left + size and off <= size // 2:
                return index, i
        return index, None

    def _on_motion(self, event: tk.Event[Any]) -> None:
        self._hover(event.x, event.y)

    def _hover(self, x: int, y: int) -> None:
        over = self._at(x, y)
        if over != self._over:
            self._over = over
            self._show()
        self._hint(over, x)

    def _hint(self, over: tuple[int, int | None], x: int) -> None:
        text = ""
        if over[0] >= 0 and self._drag is None:
            row = self._rows[over[0]]
            text = row.actions[over[1]][2] if over[1] is not None else self._explain(row)
        key = f"{over}{text}" if text else ""
        if key != self._hinted:
            self._hinted = key
            if text:
                tooltip.schedule(self, text)
            else:
                tooltip.hide(self)

    def _explain(self, row: Row) -> str:
        """Its own tooltip, and in full what had to be cut."""
        slot = next((slot for slot in self._slots if slot.index >= 0 and self._rows[slot.index] is row), None)
        full = []
        for name, text in (("title", row.title), ("subtitle", row.subtitle)):
            if text and slot is not None and slot.text(name) != text:
                full.append(text)
        return "\n".join([*full, row.tooltip] if row.tooltip else full)

    def _unhint(self) -> None:
        self._hinted = ""
        tooltip.hide(self)

    def _on_leave(self, _event: tk.Event[Any]) -> None:
        self._unhint()
        if self._over != (-1, None):
            self._over = (-1, None)
            self._show()

    def _on_press(self, event: tk.Event[Any]) -> None:
        self._unhint()
        self.focus_set()
        height = self.winfo_height()
        bar = self._scroll_place(height)
        if bar is not None and event.x >= self._right():
            self._grip = event.y - bar[0] if bar[0] <= event.y < bar[0] + bar[1] else bar[1] // 2
            self._on_drag(event)
            return
        index, action = self._at(event.x, event.y)
        self._press = self._pressed_action = self._clicked_alone = None
        if index < 0:
            if self._selected and not (shifted(event) or self._adds(event)):
                self._choose(set(), self._cursor)
            return
        row = self._rows[index]
        if action is not None:
            self._pressed_action = (row.key, row.actions[action][0])
            self._show()
            return
        self._press = (row.key, event.x, event.y)
        if not self._selects:
            return
        if shifted(event) and self._anchor in self._index:
            self._choose(self._between(self._anchor, row.key), row.key, keep_anchor=True)
        elif self._adds(event):
            self._choose(self._selected ^ {row.key}, row.key)
        elif row.key in self._selected and len(self._selected) > 1:
            self._clicked_alone = row.key  # decided on release: it may become a drag
        else:
            self._choose({row.key}, row.key)

    def _adds(self, event: tk.Event[Any]) -> bool:
        return commands(event) or bool(int(event.state) & CONTROL)

    def _between(self, a: str, b: str) -> set[str]:
        low, high = sorted((self._index[a], self._index[b]))
        return {row.key for row in self._rows[low : high + 1]}

    def _choose(self, keys: set[str], cursor: str | None, *, keep_anchor: bool = False) -> None:
        changed = keys != self._selected
        if cursor != self._cursor:
            self._action_at = None
        self._selected, self._cursor = keys, cursor
        if not keep_anchor:
            self._anchor = cursor
        self._show()
        if changed and self._on_select is not None:
            self._on_select(self.selection)

    def _on_drag(self, event: tk.Event[Any]) -> None:
        if self._grip is not None:
            height = self.winfo_height()
            bar = self._scroll_place(height)
            if bar is not None:
                self._scroll_to(self._limit() * (event.y - self._grip) / max(height - bar[1], 1))
                self._show_scroll(height)
            return
        if self._press is None:
            self._hover(event.x, event.y)
            return
        key, x, y = self._press
        if self._drag is None:
            row = self._rows[self._index[key]] if key in self._index else None
            far = max(abs(event.x - x), abs(event.y - y)) > theme.px(_DRAG_FROM)
            if row is None or not row.draggable or self._on_move is None or not far:
                return
            self._drag = key
            self._over = (-1, None)
            self.configure(cursor="fleur")
        self._drag_y = event.y
        self._aim()
        if not self.waits("edge"):
            self.later("edge", _EDGE_MS, self._scroll_at_edge)

    def _aim(self) -> None:
        at = round((self._drag_y + self._top) / self._high)
        self._drop_at = min(max(at, 0), len(self._rows))
        self._show()

    def _scroll_at_edge(self) -> None:
        if self._drag is None:
            return
        edge, height = self._high, self.winfo_height()
        over = min(self._drag_y - edge, 0) or max(self._drag_y - (height - edge), 0)
        if over:
            self._scroll_to(self._top + over / 3)
            self._aim()
        self.later("edge", _EDGE_MS, self._scroll_at_edge)

    def _end_drag(self) -> None:
        self._drag = self._drop_at = self._press = None
        self.cancel("edge")
        self.configure(cursor="")
        self._show()

    def _on_release(self, event: tk.Event[Any]) -> None:
        if self._grip is not None:
            self._grip = None
            self._show_scroll(self.winfo_height())
            return
        if self._drag is not None:
            key, at = self._drag, self._drop_at
            self._end_drag()
            self._hover(event.x, event.y)
            if at is not None and key in self._index:
                old = self._index[key]
                new = at - 1 if at > old else at
                if new != old and self._on_move is not None:
                    self._on_move(key, new)
            return
        self._press = None
        action, self._pressed_action = self._pressed_action, None
        if action is not None:
            self._show()
            index, at = self._at(event.x, event.y)
            if index >= 0 and at is not None and self._on_action is not None and inside(self, event):
                row = self._rows[index]
                if (row.key, row.actions[at][0]) == action:
                    self._on_action(*action)
        elif self._clicked_alone is not None:
            key, self._clicked_alone = self._clicked_alone, None
            if key in self._index:
                self._choose({key}, key)

    def _on_double(self, event: tk.Event[Any]) -> None:
        self._on_press(event)  # Tk tells a quick second press as this one alone
        index, action = self._at(event.x, event.y)
        modified = shifted(event) or self._adds(event)
        if index >= 0 and action is None and not modified and self._on_open is not None:
            self._on_open(self._rows[index].key)

    # Keyboard

    def _on_focus_in(self, event: object) -> None:
        if self._cursor is None and self._rows:
            at = next((i for i, row in enumerate(self._rows) if row.key in self._selected), self.top_row())
            self._cursor = self._anchor = self._rows[at].key
        super()._on_focus_in(event)

    def _cursor_at(self) -> int | None:
        return self._index.get(self._cursor) if self._cursor is not None else None

    def _on_escape(self, _event: tk.Event[Any]) -> str | None:
        if self._drag is not None:
            self._end_drag()
            return "break"
        return None

    def _on_arrow(self, event: tk.Event[Any], step: int) -> str | None:
        at = self._cursor_at()
        alt = int(event.state) & _ALT[str(self.tk.call("tk", "windowingsystem"))]
        if alt and not commands(event):
            if at is not None and self._rows[at].draggable and self._on_move is not None:
                if 0 <= at + step < len(self._rows):
                    self._on_move(self._rows[at].key, at + step)
                    self.see(self._rows[min(max(at + step, 0), len(self._rows) - 1)].key)
            return "break"
        if commands(event):
            return None
        return self._go(event, (at + step) if at is not None else self.top_row())

    def _on_jump(self, event: tk.Event[Any], where: Callable[[int, int], int]) -> str | None:
        if commands(event):
            return None
        page = max(self.winfo_height() // self._high - 1, 1)
        return self._go(event, where(self._cursor_at() or 0, page))

    def _go(self, event: tk.Event[Any], at: int) -> str:
        self.by_keyboard()
        if self._rows:
            key = self._rows[min(max(at, 0), len(self._rows) - 1)].key
            if shifted(event) and self._anchor in self._index and self._selects:
                self._choose(self._between(self._anchor, key), key, keep_anchor=True)
            else:
                self._choose({key} if self._selects else set(), key)
            self.see(key)
        return "break"

    def _on_side(self, event: tk.Event[Any], step: int) -> str | None:
        """Left and right walk through what can be done with the row."""
        at = self._cursor_at()
        if commands(event) or at is None or not self._rows[at].actions:
            return None
        self.by_keyboard()
        count = len(self._rows[at].actions)
        now = self._action_at
        if now is None:
            self._action_at = 0 if step > 0 else count - 1
        else:
            self._action_at = now + step if 0 <= now + step < count else None
        self._show()
        return "break"

    def _on_return(self, _event: tk.Event[Any]) -> str:
        at = self._cursor_at()
        if at is not None and not self._act(at) and self._on_open is not None:
            self._on_open(self._rows[at].key)
        return "break"

    def _on_space(self, _event: tk.Event[Any]) -> str | None:
        at = self._cursor_at()
        return "break" if at is not None and self._act(at) else None

    def _act(self, at: int) -> bool:
        row = self._rows[at]
        if self._action_at is None or self._action_at >= len(row.actions) or self._on_action is None:
            return False
        self._on_action(row.key, row.actions[self._action_at][0])
        return True

    def _on_delete_key(self, event: tk.Event[Any]) -> str | None:
        if commands(event) or self._on_delete is None:
            return None
        keys = self.selection or ((self._cursor,) if self._cursor in self._index else ())
        if keys:
            self._on_delete(tuple(key for key in keys if key is not None))
        return "break"

    def _on_select_all(self, _event: tk.Event[Any]) -> str:
        if self._selects and self._rows:
            self._choose(set(self._index), self._cursor or self._rows[0].key)
        return "break"


def _same(a: Row, b: Row) -> bool:
    return a is b or a == b
