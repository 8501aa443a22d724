"""The widget: takes rows and input, calls back what the user has done."""

from __future__ import annotations

import functools
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets import tooltip
from phaselock.ui.widgets.base import CONTROL, bind_wheel, commands, inside, shifted
from phaselock.ui.widgets.menu import Items, bind_menu, popup
from phaselock.ui.widgets.rows.drag import RowDrag
from phaselock.ui.widgets.rows.draw import RowPainter
from phaselock.ui.widgets.rows.empty import EmptyNotice
from phaselock.ui.widgets.rows.keyboard import RowKeyboard
from phaselock.ui.widgets.rows.row import Row, RowState
from phaselock.ui.widgets.rows.scroll import ScrollBar, Viewport
from phaselock.ui.widgets.rows.selection import Selection

_NOTCH_ROWS = 1.5
_NOWHERE: tuple[int, int | None] = (-1, None)


class RowList(RowKeyboard):
    """A list of rows. `on_open(key)`, `on_action(key, name)`, `on_move(key, its new index)`, `on_select(keys)`,
    `on_delete(keys)`; `empty`: the text of the list without rows, and the text and command of a button below it.
    `menu(keys)`: the items of the menu of these rows; else it has the actions of a row and "Copy the name".
    `picture_of(key)`: the picture of a row, asked for when the row is drawn."""

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
        menu: Callable[[tuple[str, ...]], Items] | None = None,
        picture_of: Callable[[str], tk.PhotoImage | None] = lambda _key: None,
    ) -> None:
        super().__init__(master, theme.px(240), theme.px(row_height * 3), focus=True)
        self._on_open, self._on_action, self._on_move = on_open, on_action, on_move
        self._on_select, self._on_delete = on_select, on_delete
        self._menu, self._picture_of = menu or self._usual_menu, picture_of
        self._selects = bool(on_select or on_open or on_delete or on_move)
        self._rows: list[Row] = []
        self._over = _NOWHERE
        """Row and action under the pointer."""
        self._pressed_action: tuple[str, str] | None = None
        """Key of the row and name of the action on which the button is held."""
        self._pressed_selected: str | None = None
        """One of several selected rows on which the button is held: it is selected alone at the release, or dragged."""
        self._pressed_button: str | None = None
        """A row that is a button, on which the button of the mouse is held."""
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
        bind_menu(self, self._on_menu_click, self._on_menu_key)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(self._rows)

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
        digits = max((len(row.number) for row in self._rows), default=0)
        self._painter.number_width = theme.measure("0" * digits, theme.canvas_font(theme.CAPTION))
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

    def set_empty_button(self, text: str | None, command: Callable[[], object] | None) -> None:
        """Set the button below that text; None: there is none."""
        self._empty.set_button(text, command)
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

    def see_at_top(self, key: str, rows_before: int) -> None:
        """Scroll until `rows_before` rows are visible above this row, or all rows before it."""
        index = self._selection.index(key)
        if index is not None:
            self.update_idletasks()  # the first rows of a new list come before its size
            self._scroll_to((index - rows_before) * self._view.row_height)

    def cover_foot(self, pixels: int) -> None:
        """Something covers these pixels at the lower end. If the last row or the one with the keyboard is visible, it
        stays so."""
        if pixels == self._view.foot:
            return
        at_end = self._view.top >= self._view.limit > 0
        cursor = self._selection.cursor_index() if self.keyboard else None
        self._view.foot = pixels
        if at_end:
            self._view.top = self._view.limit
        elif cursor is not None and cursor in self._view.visible():
            self._view.top = self._view.clamped(self._view.top_to_see(cursor))
        self._show()

    @property
    def pointed(self) -> bool:
        """Whether the pointer is over a row."""
        return self._over != _NOWHERE

    def on_visible(self, keys: tuple[str, ...]) -> None:
        """These rows are visible, in part or whole."""

    def lower_y(self, key: str) -> int:
        """The lower end of this row; the lower end of the list if the row does not exist or is not visible."""
        index = self._selection.index(key)
        height = self._view.height
        return height if index is None else min(height, (index + 1) * self._view.row_height - self._view.top)

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
        self.on_visible(tuple(self._rows[index].key for index in self._view.visible()))
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
            picture=self._picture_of(key),
        )

    def _choose(self, keys: set[str], cursor: str | None, *, keep_anchor: bool = False) -> None:
        changed = self._selection.choose(keys, cursor, keep_anchor=keep_anchor)
        self._show()
        if changed and self._on_select is not None:
            self._on_select(self.selection)

    # -- pointer -----------------------------------------------------------------------------------------------------

    def _bind_pointer(self) -> None:
        bind_wheel(self, self._on_wheel)
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

    def _on_wheel(self, notches: float) -> None:
        self._scroll_to(self._view.top + notches * _NOTCH_ROWS * self._view.row_height)
        self.user_scrolled()

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
        self._pressed_action = self._pressed_selected = self._pressed_button = None
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
        if row.button:
            self._pressed_button = row.key
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
            self.user_scrolled()
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
        elif self._pressed_button is not None:
            key, self._pressed_button = self._pressed_button, None
            index, _ = self._at(event.x, event.y)
            if index >= 0 and self._rows[index].key == key and self._on_open is not None:
                self._on_open(key)
        elif self._pressed_selected is not None:
            key, self._pressed_selected = self._pressed_selected, None
            if self._selection.index(key) is not None:
                self._choose({key}, key)

    def _on_double(self, event: tk.Event[Any]) -> None:
        self._on_press(event)  # Tk reports a quick second press as this event only
        index, action = self._at(event.x, event.y)
        if index < 0 or action is not None or self._rows[index].button or shifted(event) or _adds(event):
            return
        if self._on_open is not None:
            self._on_open(self._rows[index].key)

    # -- menu --------------------------------------------------------------------------------------------------------

    def _on_menu_click(self, event: tk.Event[Any]) -> None:
        self._unhint()
        self.focus_set()
        index = self._view.index_at(event.x, event.y)
        if index >= 0:
            self._open_menu(self._rows[index].key, event.x, event.y)

    def _on_menu_key(self) -> None:
        at = self._selection.cursor_index()
        if at is not None:
            self.see(self._rows[at].key)
            self._open_menu(self._rows[at].key, theme.px(60), (at + 1) * self._view.row_height - self._view.top)

    def _open_menu(self, key: str, x: int, y: int) -> None:
        """Open the menu of this row, or of all selected ones if it is one of them."""
        if self._selects and key not in self._selection.selected:
            self._choose({key}, key)
        popup(self, self._menu(self.selection if self._selects else (key,)), x, y)

    def _usual_menu(self, keys: tuple[str, ...]) -> Items:
        row = next(row for row in self._rows if row.key == keys[0])
        act, items = self._on_action, []
        if act is not None:
            items = [(text, functools.partial(act, row.key, name)) for name, _, text in row.actions]
        return [*items, *([None] if items else []), (tr("Copy the name"), lambda: self.copy(row.title))]

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        self.clipboard_clear()
        self.clipboard_append(text)


def _adds(event: tk.Event[Any]) -> bool:
    """Control or Command is held: a click adds to the selection, or takes out of it."""
    return commands(event) or bool(int(event.state) & CONTROL)


def _same(a: Row, b: Row) -> bool:
    return a is b or a == b
