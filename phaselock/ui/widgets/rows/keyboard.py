"""The keyboard of a list: moving the cursor, selecting, and the actions of the cursor's row."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.ui.widgets.base import Drawing, alternates, commands, shifted
from phaselock.ui.widgets.rows.drag import RowDrag
from phaselock.ui.widgets.rows.row import Row
from phaselock.ui.widgets.rows.scroll import Viewport
from phaselock.ui.widgets.rows.selection import Selection


class RowKeyboard(Drawing):
    """The part of `RowList` that handles keys. `RowList` has the attributes, and documents the callbacks."""

    _rows: list[Row]
    _view: Viewport
    _selection: Selection
    _drag: RowDrag
    _selects: bool
    _on_open: Callable[[str], object] | None
    _on_action: Callable[[str, str], object] | None
    _on_move: Callable[[str, int], object] | None
    _on_delete: Callable[[tuple[str, ...]], object] | None

    @property
    def selection(self) -> tuple[str, ...]:
        """Keys of the selected rows, from top to bottom."""
        return self._selection.in_order()

    def see(self, key: str) -> None:
        """Scroll until this row is visible."""
        raise NotImplementedError

    def top_row(self) -> int:
        """Index of the first visible row."""
        return self._view.first()

    def user_scrolled(self) -> None:
        """The user has scrolled, with the wheel, the bar or the keyboard."""

    def _show(self) -> None:
        raise NotImplementedError

    def _choose(self, keys: set[str], cursor: str | None, *, keep_anchor: bool = False) -> None:
        raise NotImplementedError

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
            self.bind(f"<Key-{key}>", lambda event, step=step: self._on_arrow(event, step))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for key, step in (("Left", -1), ("Right", 1)):
            self.bind(f"<Key-{key}>", lambda event, step=step: self._on_side(event, step))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for key, where in (
            ("Home", lambda _at, _page: 0),
            ("End", lambda _at, _page: len(self._rows) - 1),
            ("Prior", lambda at, page: at - page),
            ("Next", lambda at, page: at + page),
        ):
            self.bind(f"<Key-{key}>", lambda event, where=where: self._on_jump(event, where))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for key in ("a", "A"):
            self.bind(f"<Control-Key-{key}>", self._on_select_all)
        self.bind("<<SelectAll>>", self._on_select_all)

    def _on_focus_in(self, event: object) -> None:
        if self._selection.cursor is None and self._rows:
            selected = self._selection.selected
            at = next((i for i, row in enumerate(self._rows) if row.key in selected), self.top_row())
            self._selection.choose(selected, self._rows[at].key)
        super()._on_focus_in(event)
        if self.keyboard and self._selection.cursor is not None:
            self.see(self._selection.cursor)  # the ring must not be out of view
            self.user_scrolled()

    def _on_escape(self, _event: tk.Event[Any]) -> str | None:
        if self._drag.key is not None:
            self._drag.end()
            return "break"
        return None

    def _on_arrow(self, event: tk.Event[Any], step: int) -> str | None:
        at = self._selection.cursor_index()
        if commands(event):
            return None
        if alternates(event):
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
            self.user_scrolled()
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
