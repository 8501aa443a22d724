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
"""Analyses that are kept: the window draws the tracks around the current one. One of an hour has 5 MB."""


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
        for old in [one for one, future in self._known.items() if future.done()][:-_KEPT]:
            del self._known[old]
        return await asyncio.shield(found)

    def close(self) -> None:
        """Stop soon; an analysis that runs ends with None."""
        self._over.set()
        self._pool.shutdown()

    def _analyse(self, path: pathlib.Path) -> Analysis | None:
        if self._over.is_set():
            return None
        with bug_net("the analysis of a track", PhaseLockError):
            return analyse(path, self._inspect(path), cancelled=self._over.is_set)
