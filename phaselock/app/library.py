"""The host's music folder: its songs can be searched, and are read by another process (app/library_scan.py) at the
beginning and then again and again, so that changes are noticed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
import pathlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from phaselock.app.json_process import JsonProcess
from phaselock.errors import InternalError, PhaseLockError, bug_net, message_of
from phaselock.model.names import sentence
from phaselock.session.events import Event, LibraryChanged, LibraryState

if TYPE_CHECKING:
    from phaselock.storage.library import Library, LibrarySong

RESCAN_EVERY_S = 60.0
"""Time between two scans. One of 10,000 songs without a change takes about 0.2 s of a processor."""
RESCAN_SHARE = 20
"""A scan that takes long, over a slow network, is repeated after this multiple of its time."""
MAX_CRASHES = 20
"""A scan that crashed is repeated at once, without the file that made it crash, at most this many times in a row."""
TOLD_EVERY_PERCENT = 10
SCAN_CODE = "from phaselock.app.library_scan import main; main()"
"""What the process does that reads the folder."""

_log = logging.getLogger("phaselock.app.library")


class MusicFolder:
    """The folder that the host's user has chosen, or none. Create it on the event loop that uses it.

    `indexes` is the folder for the indexes; `tell` gets LibraryChanged on the loop.
    """

    def __init__(
        self, indexes: pathlib.Path, tell: Callable[[Event], None], session_ns: Callable[[], int | None]
    ) -> None:
        self._indexes = indexes
        self._tell = tell
        self._session_ns = session_ns
        self._loop = asyncio.get_running_loop()
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "library")
        self._watcher: _Watcher | None = None
        self._library: Library | None = None
        self._status = LibraryChanged(None, "", LibraryState.OFF, 0)

    @property
    def library(self) -> Library | None:
        """Reads the index; None: no folder is chosen."""
        return self._library

    @property
    def status(self) -> LibraryChanged:
        """As it was told last."""
        return self._status

    def use(self, folder: pathlib.Path | None) -> None:
        """Search in this folder from now on; None: in none. The folder is read in the background."""
        from phaselock.storage.library import Library, index_path  # late: SQLite takes a megabyte

        self._stop()
        if folder is None:
            self._note(LibraryChanged(None, "", LibraryState.OFF, 0))
            return
        folder = folder.expanduser().absolute()
        index = index_path(folder, self._indexes)
        self._library = Library(folder, index)
        self._watcher = _Watcher(self._library, index, self._noted_by)
        self._watcher.start()

    async def search(self, text: str, limit: int = 50) -> list[LibrarySong]:
        """See Library.search; none without a folder."""
        if (library := self._library) is None:
            return []
        return await self._loop.run_in_executor(self._pool, library.search, text, limit)

    async def song(self, song_id: int) -> LibrarySong | None:
        """See Library.song; None without a folder."""
        if (library := self._library) is None:
            return None
        return await self._loop.run_in_executor(self._pool, library.song, song_id)

    def path_of(self, song_id: int) -> pathlib.Path | None:
        """The file of the song with this id; None if there is none. For worker threads."""
        song = library.song(song_id) if (library := self._library) is not None else None
        return song.path if song is not None else None

    def close(self) -> None:
        """End the search and a scan that runs."""
        self._stop()
        self._pool.shutdown(cancel_futures=True)

    def _stop(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        self._watcher = self._library = None

    def _noted_by(self, watcher: _Watcher, status: LibraryChanged) -> None:
        """On the watcher's thread."""

        def note() -> None:
            if watcher is self._watcher:
                self._note(status)

        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(note)

    def _note(self, status: LibraryChanged) -> None:
        if status != self._status:
            self._status = status
            self._tell(dataclasses.replace(status, session_ns=self._session_ns()))


class _Watcher(threading.Thread):
    """Scans a folder until it is stopped. `note` gets each change, on this thread."""

    def __init__(self, library: Library, index: pathlib.Path, note: Callable[[_Watcher, LibraryChanged], None]) -> None:
        super().__init__(name="music folder", daemon=True)
        self._library, self._index = library, index
        self._note = note
        self._folder = str(library.folder)
        self._shown_folder = sentence(self._folder)
        self._over = threading.Event()
        self._process: JsonProcess | None = None
        self._left_out = 0
        self._told_percent = 0

    def stop(self) -> None:
        """Stop soon. For any thread."""
        self._over.set()
        if (process := self._process) is not None:
            process.kill()

    def run(self) -> None:
        from phaselock.storage.library import remove_old_indexes

        with contextlib.suppress(InternalError), bug_net("reading the music folder"):
            remove_old_indexes(self._index.parent, self._index)
            self._say(LibraryState.READING, done_percent=0)
            crashes = 0
            while not self._over.is_set():
                began_s = time.monotonic()
                crashes = 0 if self._scan() else crashes + 1
                pause_s = max(RESCAN_EVERY_S, RESCAN_SHARE * (time.monotonic() - began_s))
                self._over.wait(0 if 0 < crashes < MAX_CRASHES else pause_s)

    def _scan(self) -> bool:
        """Bring the index up to date. False if the process crashed."""
        try:
            self._process = process = JsonProcess(SCAN_CODE, self._folder, str(self._index))
        except (OSError, PhaseLockError) as error:
            self._say(LibraryState.FAILED, reason=message_of(error))
            return True
        if self._over.is_set():  # `stop` may not have seen it
            process.kill()
        result: dict[str, object] = {}
        self._told_percent = 0
        silent = threading.Event()

        def away() -> None:  # the system may not even end a process that waits for a network drive
            silent.set()
            self._say(LibraryState.AWAY)

        for result in process.lines(away):
            self._progressed(result)
        self._process = None
        if self._over.is_set() or silent.is_set():
            return True
        match result:
            case {"songs": int(songs), "left_out": int(left_out)}:
                self._left_out = left_out
                self._say(LibraryState.READY, songs)
            case {"away": str(reason)}:
                self._say(LibraryState.AWAY, reason=reason or None)
            case {"failed": str(reason)}:
                _log.warning("%s cannot be indexed: %s", self._folder, reason)
                self._say(LibraryState.FAILED, reason=reason)
            case _:
                _log.warning("reading %s was cut off: exit status %s", self._folder, process.exit_status)
                return False
        return True

    def _progressed(self, line: dict[str, object]) -> None:
        match line:
            case {"done": int(done), "of": int(of)} if of > 0:
                percent = 100 * done // of
                if percent >= self._told_percent + TOLD_EVERY_PERCENT:
                    self._told_percent = percent
                    self._say(LibraryState.READING, done_percent=percent)

    def _say(
        self, state: LibraryState, songs: int | None = None, done_percent: int | None = None, reason: str | None = None
    ) -> None:
        count = self._library.count() if songs is None else songs
        status = LibraryChanged(None, self._shown_folder, state, count, self._left_out, done_percent, reason)
        self._note(self, status)
