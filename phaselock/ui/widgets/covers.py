"""The covers of tracks as images of Tk. The program decodes them; here the newest are kept, up to a limit of memory."""

from __future__ import annotations

import collections
import tkinter as tk
from collections.abc import Callable, Iterable
from typing import TypeAlias
from uuid import UUID

from phaselock.ui import theme
from phaselock.ui.backend import ArtworkRead

MAX_BYTES = 16 << 20
"""Limit of the images together, in Tk's memory: one of the largest, or 2,500 of the lists at scale 1."""
_BYTES_PER_PIXEL = 4
_ENTRY_BYTES = 200
"""Of an entry without an image."""

Key: TypeAlias = tuple[UUID, int, bool]
"""Track, size in pixels, and whether the cover is cropped to a square."""


class Covers:
    """`read` is `Program.read_artwork`."""

    def __init__(self, read: Callable[[UUID, int, bool], object]) -> None:
        self._read = read
        self._images: collections.OrderedDict[Key, tk.PhotoImage | None] = collections.OrderedDict()
        self._bytes = 0

    def image(self, key: Key) -> tk.PhotoImage | None:
        """The cover; None: it has not been read, or the track has none."""
        if key in self._images:
            self._images.move_to_end(key)
        return self._images.get(key)

    def is_known(self, key: Key) -> bool:
        """Whether this cover has been read; a track may have none."""
        return key in self._images

    def request(self, keys: Iterable[Key]) -> None:
        """Read the covers that are not known. Those of files that are not here yet must be requested again."""
        for key in keys:
            if key not in self._images:
                self._read(*key)

    def take(self, event: ArtworkRead) -> None:
        """Keep a cover that was read."""
        key = event.file_id, event.size, event.crop
        image = tk.PhotoImage(master=theme.root(), data=event.ppm, format="ppm") if event.ppm is not None else None
        self._drop(key)
        self._images[key] = image
        self._bytes += _bytes_of(image)
        while self._bytes > MAX_BYTES and len(self._images) > 1:
            self._drop(next(iter(self._images)))

    def clear(self) -> None:
        """Forget all covers."""
        self._images.clear()
        self._bytes = 0

    def _drop(self, key: Key) -> None:
        if key in self._images:
            self._bytes -= _bytes_of(self._images.pop(key))


def _bytes_of(image: tk.PhotoImage | None) -> int:
    return _ENTRY_BYTES + (image.width() * image.height() * _BYTES_PER_PIXEL if image is not None else 0)
