"""The requests for songs, below the queue: the list of the queue gets shorter, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import tr, tr_plural
from phaselock.ui import theme
from phaselock.ui.screens.home import label
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.rows import Row, RowList

ROW_HEIGHT = 56


class Requests:
    """A heading and a row for each request; hidden while there are none."""

    def __init__(self, master: Any, above: Any, on_action: Callable[[str, str], object] | None = None) -> None:
        self._above = above
        self._box = frame(master)
        heading = Line(self._box, theme.BODY, bold=True)
        heading.set(tr("Song requests"))
        heading.grid(row=0, column=0, sticky="ew")
        self._more = label(self._box, "", theme.CAPTION, theme.TEXT_SECONDARY)
        self._more.grid(row=0, column=1)
        self._box.grid_columnconfigure(0, weight=1)
        self.list = RowList(self._box, on_action=on_action)
        self.list.grid(row=1, column=0, columnspan=2, sticky="ew", pady=(px(4), 0))

    def show(self, rows: Sequence[Row], more: int = 0) -> None:
        """Show these rows, and that there are `more`. The newest is on top, so that it moves no other."""
        text = tr_plural("+{number} more", "+{number} more", more).format(number=more) if more else ""
        self._more.configure(text=text)
        self.list.set_rows(list(rows))
        if rows:
            self.list.configure(height=px(ROW_HEIGHT * len(rows)), width=1)
            self._box.pack(fill="x", pady=(px(12), 0), side="bottom", after=self._above)
        else:
            self._box.pack_forget()
