"""The pictures of songs, decoded once each by another process."""

from __future__ import annotations

import asyncio
import collections
import pathlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

MAX_KEPT = 24
"""Pictures that are kept: with 240 by 240 pixels about 100 kB each."""


class Pictures:
    """For the network thread. Pictures are read one after the other."""

    def __init__(
        self,
        read: Callable[[pathlib.Path], Awaitable[bytes | None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`read`: the picture of a music file as PNG."""
        self._read = read
        self._spawn = spawn
        self._kept: collections.OrderedDict[UUID, bytes | None] = collections.OrderedDict()
        """By song, the one that was asked for last behind the others. None: it has no picture."""
        self._reading = asyncio.Lock()
        self._wanted: set[UUID] = set()

    def has(self, file_id: UUID, path: pathlib.Path | None) -> bool:
        """Whether the song is known to have a picture. If that is not known yet, it will be soon."""
        if file_id in self._kept:
            return self._kept[file_id] is not None
        if path is not None and file_id not in self._wanted:
            self._wanted.add(file_id)
            self._spawn(self._learn(file_id, path))
        return False

    async def read(self, file_id: UUID, path: pathlib.Path) -> bytes | None:
        """The picture of a song as PNG; None if it has none."""
        async with self._reading:
            if file_id not in self._kept:
                self._kept[file_id] = await self._read(path)
                while len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(file_id)
            return self._kept[file_id]

    async def _learn(self, file_id: UUID, path: pathlib.Path) -> None:
        try:
            await self.read(file_id, path)
        finally:
            self._wanted.discard(file_id)
