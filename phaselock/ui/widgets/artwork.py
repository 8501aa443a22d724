"""The artwork of the current track."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.covers import Covers, Key
from phaselock.ui.widgets.icons import icon

_PAUSE_MS = 60
"""While the size of the window changes, a cover is decoded only after a pause of this length."""
_RETRY_MS = 2000
"""Time between two requests for a cover: the file may still be in transfer."""


class Artwork(Drawing):
    """A square with the whole cover, or a tile with a note symbol."""

    def __init__(self, master: Any, covers: Covers, size: int = 260) -> None:
        self._size = theme.px(size)
        super().__init__(master, self._size, self._size)
        self._covers = covers
        self._now: UUID | None = None
        self._shown: UUID | None = None
        """The track whose cover is on the screen."""
        self._tile = self.create_rectangle(0, 0, 0, 0, fill=theme.ELEVATED, width=0)
        self._note = self.create_image(0, 0, anchor="center")
        self._picture = self.create_image(0, 0, anchor="center", state="hidden")
        self.paint()

    def show(self, file_id: UUID | None) -> None:
        """Show the cover of this track; until it is read, or if there is none, the tile."""
        if file_id != self._now:
            self._now = file_id
            self.paint()

    def set_size(self, size: int) -> None:
        """Set the size, in pixels of the design."""
        if theme.px(size) != self._size:
            self._size = theme.px(size)
            self.configure(width=self._size, height=self._size)
            self.paint()

    def paint(self) -> None:
        size = self._size
        file_id, key = self._now, self._key()
        picture = self._covers.image(key) if key is not None else None
        self.cancel("read")
        if key is not None and not self._covers.is_known(key):
            self.later("read", _PAUSE_MS, self._request)
        if picture is not None:
            self._shown = file_id
            self.itemconfigure(self._picture, image=self.hold("picture", picture), state="normal")
        elif self._shown != file_id or key is None or self._covers.is_known(key):
            self._shown = None
            self.itemconfigure(self._picture, state="hidden", image="")
            self._images.pop("picture", None)
        self.coords(self._picture, size / 2, size / 2)
        for item in (self._tile, self._note):
            self.itemconfigure(item, state="hidden" if self._shown is not None else "normal")
        if self._shown is None:
            self.coords(self._tile, 0, 0, size, size)
            note = icon("music", size * 2 // 5, theme.REST, theme.ELEVATED)
            self.itemconfigure(self._note, image=self.hold("note", note))
            self.coords(self._note, size / 2, size / 2)

    def _key(self) -> Key | None:
        return (self._now, self._size, False) if self._now is not None else None

    def _request(self) -> None:
        key = self._key()
        if key is not None and not self._covers.is_known(key):
            self._covers.request([key])
            self.later("read", _RETRY_MS, self._request)
