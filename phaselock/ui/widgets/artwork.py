"""Artwork of tracks. The files are untrusted: the size of a picture is checked before it is decoded."""

from __future__ import annotations

import io
import math
import struct
import tkinter as tk
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.icons import icon

MAX_PIXELS = 16_000_000
"""Size limit of a picture that Pillow decodes."""
MAX_PIXELS_TK = 4_000_000
"""Size limit of a picture that Tk decodes: it keeps four bytes a pixel, and scales by whole numbers only."""
_PNG = b"\x89PNG\r\n\x1a\n"
_FINEST_ZOOM = 3


def photo(data: bytes, size: int) -> tk.PhotoImage | None:
    """Decode a picture and scale its longer side to at most `size` pixels; None: it cannot be shown."""
    try:
        return _by_pillow(data, size)
    except ImportError:
        return _by_tk(data, size)


def _by_pillow(data: bytes, size: int) -> tk.PhotoImage | None:
    from PIL import Image  # type: ignore[import-not-found,unused-ignore]

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            if not 0 < picture.width * picture.height <= MAX_PIXELS:
                return None
            picture.draft("RGB", (size, size))
            small = picture.convert("RGB")
            small.thumbnail((size, size))
            if max(small.size) < size:
                factor = size / max(small.size)
                small = small.resize((max(round(small.width * factor), 1), max(round(small.height * factor), 1)))
        body = b"P6 %d %d 255\n" % small.size + small.tobytes()
        return tk.PhotoImage(master=theme.root(), data=body, format="ppm")
    except Exception:  # untrusted data: decoders raise many types
        return None


def _by_tk(data: bytes, size: int) -> tk.PhotoImage | None:
    if len(data) < 24 or not data.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", data[16:24])
    if not 0 < width * height <= MAX_PIXELS_TK:
        return None
    try:
        whole = tk.PhotoImage(master=theme.root(), data=data, format="png")
        longest = max(width, height)
        fits = [(zoom, math.ceil(zoom * longest / size)) for zoom in range(1, _FINEST_ZOOM + 1)]
        if longest < size:
            fits = [(size // longest, 1)]
        zoom, cut = max(fits, key=lambda pair: pair[0] / pair[1])
        if zoom > 1 and width * height * zoom * zoom <= MAX_PIXELS_TK:
            whole = whole.zoom(zoom)
        elif zoom > 1:
            cut = math.ceil(longest / size)
        return whole.subsample(cut) if cut > 1 else whole
    except tk.TclError:
        return None


class Artwork(Drawing):
    """A square with the artwork, or a tile with a note symbol and the initial of the title."""

    def __init__(self, master: Any, size: int = 260) -> None:
        self._size = theme.px(size)
        super().__init__(master, self._size, self._size)
        self._now: tuple[bytes | None, str] | None = None
        self._tile = self.create_rectangle(0, 0, 0, 0, fill=theme.ELEVATED, width=0)
        self._note = self.create_image(0, 0, anchor="center")
        self._initial = self.create_text(0, 0, fill=theme.TEXT_SECONDARY, anchor="center")
        self._picture = self.create_image(0, 0, anchor="center", state="hidden")
        self.show(None, "")

    def show(self, data: bytes | None, initial: str) -> None:
        """Show this JPEG or PNG file; None, or one that cannot be decoded: show the tile."""
        if self._now != (data, initial):
            self._now = (data, initial)
            self.paint()

    def set_size(self, size: int) -> None:
        """Set the size, in pixels of the design."""
        if theme.px(size) != self._size:
            self._size = theme.px(size)
            self.configure(width=self._size, height=self._size)
            self.paint()

    def paint(self) -> None:
        size = self._size
        data, initial = self._now or (None, "")
        picture = photo(data, size) if data else None
        if picture is not None:
            self.itemconfigure(self._picture, image=self.hold("picture", picture), state="normal")
            self.coords(self._picture, size / 2, size / 2)
        else:
            self._images.pop("picture", None)
            self.itemconfigure(self._picture, state="hidden", image="")
        self.coords(self._tile, 0, 0, size, size)
        note = icon("music", size * 2 // 5, theme.REST, theme.ELEVATED)
        self.itemconfigure(self._note, image=self.hold("note", note))
        self.coords(self._note, size / 2, size * (0.44 if initial else 0.5))
        family, _, weight = theme.canvas_font(theme.SECTION, True)
        self.itemconfigure(self._initial, text=initial[:2].upper(), font=(family, -max(size // 10, 8), weight))
        self.coords(self._initial, size / 2, size * 0.78)
