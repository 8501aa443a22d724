"""The widget: takes rows and input, calls back what the user has done."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets import tooltip
from phaselock.ui.widgets.base import CONTROL, Drawing, bind_wheel, commands, inside, shifted
from phaselock.ui.widgets.rows.drag import RowDrag
from phaselock.ui.widgets.rows.draw import EmptyNotice, Row, RowPainter, RowState
from phaselock.ui.widgets.rows.scroll import ScrollBar, Viewport
from phaselock.ui.widgets.rows.selection import Selection

_NOTCH_ROWS = 1.5
_ALT = {"x11": 0x8, "win32": 0x20000, "aqua": 0x10}
_NOWHERE: tuple[int, int | None] = (-1, None)


class RowList(Drawing):
    """A list of rows. `on_open(key)`, `on_action(key, name)`, `on_move(key, its new index)`, `on_select(keys)`,
    `on_delete(keys)`; `empty`: the text of the list without rows, and the text and command of a button below it."""

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
        self._on_open, self._on_action, self._on_move = on_open, on_action, on_move
        self._on_select, self._on_delete = on_select, on_delete
        self._selects = bool(on_select or on_open or on_delete or on_move)
        self._rows: list[Row] = []
        self._over = _NOWHERE
        """Row and action under the pointer."""
        self._pressed_action: tuple[str, str] | None = None
        """Key of the row and name of the action on which the button is held."""
        self._pressed_selected: str | None = None
        """One of several selected rows on which the button is held: it is selected alone at the release, or dragged."""
        self._hinted = ""
        self._view = Viewport(self, theme.px(row_height))
        self._selection = Selection()
        self._painter = self._make_painter(self._view)
        self._drag = RowDrag(self, self._view, self._scroll_to, self._show)
        self._bar = ScrollBar(self, self._view)
        self._empty_text = empty[0]
        self._empty = EmptyNotice(self, *empty)
        self._bind_pointer()
        self._bind_keys()

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(self._rows)

    @property
    def selection(self) -> tuple[str, ...]:
        """Keys of the selected rows, from top to bottom."""
        return self._selection.in_order()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows. The first visible row stays at its place, and the selection stays."""
        if len(rows) == len(self._rows) and all(map(_same, rows, self._rows)):
            return
        top_key, shift = None, 0
        if self._rows and self._view.top > 0:
            at = min(self._view.first(), len(self._rows) - 1)
            top_key, shift = self._rows[at].key, self._view.top - at * self._view.row_height
        self._rows = list(rows)
        self._view.count = len(self._rows)
        lost = self._selection.set_keys([row.key for row in self._rows])
        if self._drag.key is not None and self._selection.index(self._drag.key) is None:
            self._drag.end()
        top_index = self._selection.index(top_key)
        if top_index is not None:
            self._view.top = top_index * self._view.row_height + shift
        self._show()
        if lost and self._on_select is not None:
            self._on_select(self.selection)

    def set_empty(self, text: str) -> None:
        """Set the text of the list without rows."""
        if text != self._empty_text:
            self._empty_text = text
            self._empty.set_text(text)
            self._empty.show(not self._rows)

    def select(self, keys: Sequence[str]) -> None:
        """Select these rows; the last one gets the keyboard."""
        known = [key for key in keys if self._selection.index(key) is not None]
        self._choose(set(known), known[-1] if known else self._selection.cursor)

    def see(self, key: str) -> None:
        """Scroll until this row is visible."""
        index = self._selection.index(key)
        if index is not None:
            self._scroll_to(self._view.top_to_see(index))

    def top_row(self) -> int:
        """Index of the first visible row."""
        return self._view.first()

    def paint(self) -> None:
        self._show()

    def _make_painter(self, view: Viewport) -> RowPainter:
        return RowPainter(self, view)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _scroll_to(self, top: float) -> None:
        if self._view.clamped(top) != self._view.top:
            self._view.top = self._view.clamped(top)
            self._unhint()
            self._show()

    def _show(self) -> None:
        if self.winfo_width() <= 1:
            return
        self._view.top = self._view.clamped(self._view.top)
        self._painter.show(self._rows, self._state_of)
        self._bar.show()
        self._empty.show(not self._rows)
        self._drag.show()

    def _state_of(self, index: int) -> RowState:
        key = self._rows[index].key
        hovered = index == self._over[0] and self._drag.key is None
        focused = self.keyboard and key == self._selection.cursor
        pressed = self._pressed_action
        return RowState(
            hovered=hovered,
            hovered_action=self._over[1] if hovered else None,
            selected=key in self._selection.selected,
            focused=focused,
            focused_action=self._selection.action if focused else None,
            dragged=key == self._drag.key,
            pressed_action=pressed[1] if pressed is not None and pressed[0] == key else None,
            right=self._view.right,
        )

    def _choose(self, keys: set[str], cursor: str | None, *, keep_anchor: bool = False) -> None:
        changed = self._selection.choose(keys, cursor, keep_anchor=keep_anchor)
        self._show()
        if changed and self._on_select is not None:
            self._on_select(self.selection)

    # -- pointer -----------------------------------------------------------------------------------------------------

    def _bind_pointer(self) -> None:
        bind_wheel(
            self, lambda notches: self._scroll_to(self._view.top + notches * _NOTCH_ROWS * self._view.row_height)
        )
        for sequence, act in (
            ("<Configure>", lambda _event: self._show()),
            ("<Map>", lambda _event: self._painter.animate()),
            ("<Unmap>", lambda _event: self._painter.freeze()),
            ("<Motion>", lambda event: self._hover(event.x, event.y)),
            ("<Leave>", self._on_leave),
            ("<ButtonPress-1>", self._on_press),
            ("<B1-Motion>", self._on_drag),
            ("<ButtonRelease-1>", self._on_release),
            ("<Double-Button-1>", self._on_double),
        ):
            self.bind(sequence, act, add="+")

    def _at(self, x: int, y: int) -> tuple[int, int | None]:
        """Row and action at a place."""
        index = self._view.index_at(x, y)
        return _NOWHERE if index < 0 else (index, self._painter.action_at(index, x, y))

    def _hover(self, x: int, y: int) -> None:
        over = self._at(x, y)
        if over != self._over:
            self._over = over
            self._show()
        self._hint(over)

    def _hint(self, over: tuple[int, int | None]) -> None:
        """Show the tooltip of the action or row under the pointer; a row's begins with its shortened texts."""
        text = ""
        if over[0] >= 0 and self._drag.key is None:
            row = self._rows[over[0]]
            if over[1] is not None:
                text = row.actions[over[1]][2]
            else:
                text = "\n".join([*self._painter.shortened(row), *([row.tooltip] if row.tooltip else [])])
        key = f"{over}{text}" if text else ""
        if key != self._hinted:
            self._hinted = key
            if text:
                tooltip.schedule(self, text)
            else:
                tooltip.hide(self)

    def _unhint(self) -> None:
        self._hinted = ""
        tooltip.hide(self)

    def _on_leave(self, _event: tk.Event[Any]) -> None:
        self._unhint()
        if self._over != _NOWHERE:
            self._over = _NOWHERE
            self._show()

    def _on_press(self, event: tk.Event[Any]) -> None:
        self._unhint()
        self.focus_set()
        if self._bar.press(event.x, event.y):
            self._on_drag(event)
            return
        index, action = self._at(event.x, event.y)
        self._pressed_action = self._pressed_selected = None
        self._drag.release()
        if index < 0:
            if self._selection.selected and not (shifted(event) or _adds(event)):
                self._choose(set(), self._selection.cursor)
            return
        row = self._rows[index]
        if action is not None:
            self._pressed_action = (row.key, row.actions[action][0])
            self._show()
            return
        self._drag.press(row.key, event.x, event.y)
        if self._selects:
            self._select_by_press(event, row.key)

    def _select_by_press(self, event: tk.Event[Any], key: str) -> None:
        selected = self._selection.selected
        up_to = self._selection.up_to(key) if shifted(event) else None
        if up_to is not None:
            self._choose(up_to, key, keep_anchor=True)
        elif _adds(event):
            self._choose(selected ^ {key}, key)
        elif key in selected and len(selected) > 1:
            self._pressed_selected = key
        else:
            self._choose({key}, key)

    def _on_drag(self, event: tk.Event[Any]) -> None:
        if self._bar.held:
            self._scroll_to(self._bar.top_at(event.y))
            self._bar.show()
        elif self._drag.pressed is None:
            self._hover(event.x, event.y)
        elif self._drag.key is not None:
            self._drag.move(event.y)
        else:
            index = self._selection.index(self._drag.pressed)
            draggable = index is not None and self._rows[index].draggable and self._on_move is not None
            if draggable and self._drag.is_far(event.x, event.y):
                self._over = _NOWHERE
                self._drag.move(event.y)

    def _on_release(self, event: tk.Event[Any]) -> None:
        if self._bar.held:
            self._bar.release()
        elif self._drag.key is not None:
            self._drop(event)
        else:
            self._drag.release()
            self._click(event)

    def _drop(self, event: tk.Event[Any]) -> None:
        key, target = self._drag.key, self._drag.target
        self._drag.end()
        self._hover(event.x, event.y)
        old = self._selection.index(key)
        if key is not None and old is not None and target is not None:
            new = target - 1 if target > old else target
            if new != old and self._on_move is not None:
                self._on_move(key, new)

    def _click(self, event: tk.Event[Any]) -> None:
        """The button was released where it was pressed, or elsewhere, without a drag."""
        action, self._pressed_action = self._pressed_action, None
        if action is not None:
            self._show()
            index, at = self._at(event.x, event.y)
            if index >= 0 and at is not None and self._on_action is not None and inside(self, event):
                row = self._rows[index]
                if (row.key, row.actions[at][0]) == action:
                    self._on_action(*action)
        elif self._pressed_selected is not None:
            key, self._pressed_selected = self._pressed_selected, None
            if self._selection.index(key) is not None:
                self._choose({key}, key)

    def _on_double(self, event: tk.Event[Any]) -> None:
        self._on_press(event)  # Tk reports a quick second press as this event only
        index, action = self._at(event.x, event.y)
        modified = shifted(event) or _adds(event)
        if index >= 0 and action is None and not modified and self._on_open is not None:
            self._on_open(self._rows[index].key)

    # -- keyboard ----------------------------------------------------------------------------------------------------

    def _bind_keys(self) -> None:
        for sequence, act in (
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

    def _on_focus_in(self, event: object) -> None:
        if self._selection.cursor is None and self._rows:
            selected = self._selection.selected
            at = next((i for i, row in enumerate(self._rows) if row.key in selected), self.top_row())
            self._selection.choose(selected, self._rows[at].key)
        super()._on_focus_in(event)

    def _on_escape(self, _event: tk.Event[Any]) -> str | None:
        if self._drag.key is not None:
            self._drag.end()
            return "break"
        return None

    def _on_arrow(self, event: tk.Event[Any], step: int) -> str | None:
        at = self._selection.cursor_index()
        alt = int(event.state) & _ALT[str(self.tk.call("tk", "windowingsystem"))]
        if commands(event):
            return None
        if alt:
            self._move_by_key(at, step)
            return "break"
        return self._go(event, (at + step) if at is not None else self.top_row())

    def _move_by_key(self, at: int | None, step: int) -> None:
        if at is not None and self._rows[at].draggable and self._on_move is not None:
            if 0 <= at + step < len(self._rows):
                self._on_move(self._rows[at].key, at + step)
                self.see(self._rows[min(max(at + step, 0), len(self._rows) - 1)].key)

    def _on_jump(self, event: tk.Event[Any], where: Callable[[int, int], int]) -> str | None:
        if commands(event):
            return None
        page = max(self._view.height // self._view.row_height - 1, 1)
        return self._go(event, where(self._selection.cursor_index() or 0, page))

    def _go(self, event: tk.Event[Any], at: int) -> str:
        self.by_keyboard()
        if self._rows:
            key = self._rows[min(max(at, 0), len(self._rows) - 1)].key
            up_to = self._selection.up_to(key) if shifted(event) and self._selects else None
            if up_to is not None:
                self._choose(up_to, key, keep_anchor=True)
            else:
                self._choose({key} if self._selects else set(), key)
            self.see(key)
        return "break"

    def _on_side(self, event: tk.Event[Any], step: int) -> str | None:
        """Left and right walk through the actions of the cursor's row."""
        at = self._selection.cursor_index()
        if commands(event) or at is None or not self._rows[at].actions:
            return None
        self.by_keyboard()
        count, now = len(self._rows[at].actions), self._selection.action
        if now is None:
            self._selection.action = 0 if step > 0 else count - 1
        else:
            self._selection.action = now + step if 0 <= now + step < count else None
        self._show()
        return "break"

    def _on_return(self, _event: tk.Event[Any]) -> str:
        at = self._selection.cursor_index()
        if at is not None and not self._act(at) and self._on_open is not None:
            self._on_open(self._rows[at].key)
        return "break"

    def _on_space(self, _event: tk.Event[Any]) -> str | None:
        at = self._selection.cursor_index()
        return "break" if at is not None and self._act(at) else None

    def _act(self, at: int) -> bool:
        """Execute the action that has the keyboard; False: there is none."""
        row, action = self._rows[at], self._selection.action
        if action is None or action >= len(row.actions) or self._on_action is None:
            return False
        self._on_action(row.key, row.actions[action][0])
        return True

    def _on_delete_key(self, event: tk.Event[Any]) -> str | None:
        if commands(event) or self._on_delete is None:
            return None
        at = self._selection.cursor_index()
        keys = self.selection or ((self._rows[at].key,) if at is not None else ())
        if keys:
            self._on_delete(keys)
        return "break"

    def _on_select_all(self, _event: tk.Event[Any]) -> str:
        if self._selects and self._rows:
            self._choose({row.key for row in self._rows}, self._selection.cursor or self._rows[0].key)
        return "break"


def _adds(event: tk.Event[Any]) -> bool:
    """Control or Command is held: a click adds to the selection, or takes out of it."""
    return commands(event) or bool(int(event.state) & CONTROL)


def _same(a: Row, b: Row) -> bool:
    return a is b or a == b
