"""Moving a row with the pointer: the line where it would go, and scrolling while the pointer is near an edge."""

from __future__ import annotations

from collections.abc import Callable

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.raster import dot
from phaselock.ui.widgets.rows.scroll import Viewport

_MIN_DISTANCE = 5
"""A press that moves less is a click; in pixels of the design."""
_SCROLL_INTERVAL_MS = 30


class RowDrag:
    """From the press on a row to its release. `scroll` takes a new `view.top`; `changed`: draw everything again."""

    def __init__(
        self, canvas: Drawing, view: Viewport, scroll: Callable[[float], None], changed: Callable[[], None]
    ) -> None:
        self._canvas = canvas
        self._view = view
        self._scroll = scroll
        self._changed = changed
        self._pressed: tuple[str, int, int] | None = None
        self._y = 0
        self.key: str | None = None
        """The row that is dragged; None: no row."""
        self.target: int | None = None
        """The row goes in front of the row with this index."""
        self.line = canvas.create_rectangle(0, 0, 0, 0, fill=theme.FOCUS, width=0, state="hidden")
        image = canvas.hold("drop", dot(theme.px(8), theme.FOCUS, None))
        self._line_dot = canvas.create_image(0, 0, image=image, state="hidden")

    def press(self, key: str, x: int, y: int) -> None:
        """The button was pressed on this row: a drag may follow."""
        self._pressed = key, x, y

    def release(self) -> None:
        """The button was released without a drag, or pressed elsewhere."""
        self._pressed = None

    @property
    def pressed(self) -> str | None:
        """The row on which the button is held."""
        return self._pressed[0] if self._pressed is not None else None

    def is_far(self, x: int, y: int) -> bool:
        """Whether this place is far enough from the press to begin a drag."""
        if self._pressed is None:
            return False
        return max(abs(x - self._pressed[1]), abs(y - self._pressed[2])) > theme.px(_MIN_DISTANCE)

    def move(self, y: int) -> None:
        """The pointer is at `y`; the first call begins the drag of the pressed row."""
        if self.key is None:
            self.key = self.pressed
            self._canvas.configure(cursor="fleur")
        self._y = y
        self._aim()
        if not self._canvas.waits("edge"):
            self._canvas.later("edge", _SCROLL_INTERVAL_MS, self._scroll_at_edge)

    def end(self) -> None:
        """Drop the row, or give up."""
        self.key = self.target = self._pressed = None
        self._canvas.cancel("edge")
        self._canvas.configure(cursor="")
        self._changed()

    def show(self) -> None:
        """Draw the line where the row would go."""
        if self.key is None or self.target is None:
            self._canvas.itemconfigure(self.line, state="hidden")
            self._canvas.itemconfigure(self._line_dot, state="hidden")
            return
        thick = max(theme.px(2), 1)
        y = min(max(self.target * self._view.row_height - self._view.top, thick // 2), self._view.height - thick)
        self._canvas.coords(self.line, theme.px(8), y - thick // 2, self._view.right, y - thick // 2 + thick)
        self._canvas.coords(self._line_dot, theme.px(8), y)
        for item in (self.line, self._line_dot):
            self._canvas.itemconfigure(item, state="normal")
            self._canvas.tag_raise(item)

    def _aim(self) -> None:
        at = round((self._y + self._view.top) / self._view.row_height)
        self.target = min(max(at, 0), self._view.count)
        self._changed()

    def _scroll_at_edge(self) -> None:
        if self.key is None:
            return
        edge, height = self._view.row_height, self._view.height
        over = min(self._y - edge, 0) or max(self._y - (height - edge), 0)
        if over:
            self._scroll(self._view.top + over / 3)
            self._aim()
        self._canvas.later("edge", _SCROLL_INTERVAL_MS, self._scroll_at_edge)
