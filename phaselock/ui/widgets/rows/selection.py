"""The selection of a list of rows, by their keys. A model without a widget."""

from __future__ import annotations

from collections.abc import Sequence


class Selection:
    """Selected rows; the cursor: the row that has the keyboard; the anchor: where a selection with Shift begins."""

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._index: dict[str, int] = {}
        self.selected: set[str] = set()
        self.cursor: str | None = None
        self.action: int | None = None
        """Which action of the cursor's row has the keyboard; None: the row itself."""
        self._anchor: str | None = None

    def set_keys(self, keys: Sequence[str]) -> bool:
        """There are other rows now. Whether a selected row is gone."""
        cursor_at = self.cursor_index()
        self._keys = tuple(keys)
        self._index = {key: i for i, key in enumerate(self._keys)}
        kept = self.selected & self._index.keys()
        lost = kept != self.selected
        self.selected = kept
        if self.cursor not in self._index:
            self.action = None
            # The cursor stays at its place in the list.
            self.cursor = self._keys[min(cursor_at, len(keys) - 1)] if cursor_at is not None and self._keys else None
        if self._anchor not in self._index:
            self._anchor = self.cursor
        return lost

    def index(self, key: str | None) -> int | None:
        """Index of a row; None: there is no such row."""
        return self._index.get(key) if key is not None else None

    def cursor_index(self) -> int | None:
        """Index of the cursor's row."""
        return self.index(self.cursor)

    def in_order(self) -> tuple[str, ...]:
        """The selected keys, from top to bottom."""
        return tuple(key for key in self._keys if key in self.selected)

    def choose(self, keys: set[str], cursor: str | None, *, keep_anchor: bool = False) -> bool:
        """Select these rows only. Whether the selection has changed."""
        changed = keys != self.selected
        if cursor != self.cursor:
            self.action = None
        self.selected, self.cursor = keys, cursor
        if not keep_anchor:
            self._anchor = cursor
        return changed

    def up_to(self, key: str) -> set[str] | None:
        """All rows from the anchor to `key`; None: there is no anchor."""
        if self._anchor not in self._index:
            return None
        low, high = sorted((self._index[self._anchor], self._index[key]))
        return set(self._keys[low : high + 1])
