"""Analyses the tracks of a session in the background, each once: for the window's waveforms and for the loudness."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import pathlib
import threading
from collections.abc import Callable

from phaselock.audio.formats.base import Music
from phaselock.audio.waveform import Analysis, analyse
from phaselock.errors import PhaseLockError, bug_net

_KEPT = 8
"""Most analyses that are kept: the window draws the tracks around the current one."""
_KEPT_BYTES = 8 << 20
"""Most bytes of them, or one analysis. One of an hour has 2 MB."""


class Analyser:
    """Decodes whole tracks on one thread, "look", one after the other. For one event loop. `inspect`: an Inspector."""

    def __init__(self, inspect: Callable[[pathlib.Path], Music]) -> None:
        self._inspect = inspect
        self._known: collections.OrderedDict[pathlib.Path, asyncio.Future[Analysis | None]] = collections.OrderedDict()
        self._over = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "look")

    async def analysis(self, path: pathlib.Path) -> Analysis | None:
        """The analysis of this file; None after `close`. PhaseLockError if it cannot be read."""
        if self._over.is_set():
            return None
        found = self._known.get(path)
        if found is None or found.done() and (found.cancelled() or found.exception() is not None):
            found = asyncio.get_running_loop().run_in_executor(self._pool, self._analyse, path)
            self._known[path] = found
        self._known.move_to_end(path)
        try:
            return await asyncio.shield(found)
        finally:
            self._forget_old()

    def close(self) -> None:
        """Stop soon; an analysis that runs ends with None."""
        self._over.set()
        self._pool.shutdown()

    def _forget_old(self) -> None:
        """Forget what was not asked for recently, beyond the limits."""
        count, size = 0, 0
        for path, future in reversed(list(self._known.items())):
            if future.done():
                count += 1
                if not future.cancelled() and future.exception() is None and (analysis := future.result()) is not None:
                    size += len(analysis.bands)
                if count > _KEPT or (size > _KEPT_BYTES and count > 1):
                    del self._known[path]

    def _analyse(self, path: pathlib.Path) -> Analysis | None:
        if self._over.is_set():
            return None
        with bug_net("the analysis of a track", PhaseLockError):
            return analyse(path, self._inspect(path), cancelled=self._over.is_set)
