"""The fallback: songs of a folder or playlist that play when nothing else waits in the queue."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import pathlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from uuid import UUID

from phaselock.app.importer import Imported
from phaselock.errors import PhaseLockError, bug_net
from phaselock.language.catalogue import tr
from phaselock.model.heritage import Heritage
from phaselock.model.names import person_name
from phaselock.model.notices import Code, Notice
from phaselock.model.types import Track
from phaselock.network.host import HostRunner
from phaselock.network.runner import log_failure
from phaselock.session.commands import UseFallback
from phaselock.session.events import Answered, Event, Failed
from phaselock.session.person_keys import FALLBACK_KEY
from phaselock.storage.collect import collect

_log = logging.getLogger("phaselock.app.fallback")


class Fallback:
    """Adds one song when the session wants one, in the order of the files; after the last one follows the first.

    For the network thread. `describe` is `import_file`; it is called in a worker thread. `tell` gets the events,
    and `keep` what to use in the next session: an absolute path, or an empty text.
    """

    def __init__(
        self,
        runner: HostRunner,
        describe: Callable[[pathlib.Path, str | None, Callable[[float], bool]], Imported],
        tell: Callable[[Event], None],
        keep: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._describe = describe
        self._tell = tell
        self._keep = keep
        self.source = ""
        """The file, folder or playlist whose songs play; empty: none."""
        self._files: tuple[tuple[pathlib.Path, str | None], ...] = ()
        """The names of those that are in the cache, which has other names for them."""
        self._is_inherited = False
        """The user of this machine has not chosen them."""
        self._next = 0
        self._choices = 0
        """Number of calls of `use` and `end`: a folder that was read too late is not used."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "fallback")
        runner.want_fallback = self._want

    def use(self, paths: Sequence[str]) -> None:
        """Play the songs of these files, folders and playlists when nothing else waits. An event tells how many there
        are."""
        self._choices += 1
        self._spawn(self._use(paths, self._choices))

    def end(self) -> None:
        """Play nothing when nothing waits."""
        self._choices += 1
        self.source, self._files = "", ()
        if not self._is_inherited:
            self._keep("")
        self._runner.command(UseFallback(False))
        self._tell(Answered(self._runner.session_ns(), Notice(Code.FALLBACK_OFF)))

    def go_on(self, heritage: Heritage, files: Mapping[UUID, tuple[Track, pathlib.Path]]) -> None:
        """Play the songs of the fallback of the host before this one, as far as they were in its queue and their files
        are on this machine."""
        ids = [one.file_id for one in heritage.songs if one.asker == FALLBACK_KEY]
        found = [files[file_id] for file_id in ids if file_id in files]
        if heritage.settings.fallback and found:
            self.source = tr("Music of {name}").format(name=person_name(heritage.settings.host_name))
            self._is_inherited = True
            self._files = tuple({track.sha256: (path, track.file_name) for track, path in found}.values())
            self._runner.command(UseFallback(True))

    def close(self) -> None:
        """Stop: no more songs are added."""
        self._runner.want_fallback = None
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(cancel_futures=True)

    async def _use(self, paths: Sequence[str], choice: int) -> None:
        found = await asyncio.get_running_loop().run_in_executor(self._pool, collect, paths)
        if choice != self._choices:
            return
        if not found.files:
            self._fail(found.left_out[0].notice if found.left_out else Notice(Code.FALLBACK_UNPLAYABLE))
            return
        self._files, self._next = tuple((path, None) for path in found.files), 0
        self.source, self._is_inherited = paths[0], False
        self._keep(os.path.abspath(paths[0]) if len(paths) == 1 else "")
        notice = Notice(Code.FALLBACK_SET, number=len(found.files))
        self._tell(Answered(self._runner.session_ns(), notice))
        self._runner.command(UseFallback(True))

    def _want(self) -> None:
        self._spawn(self._add_next())

    async def _add_next(self) -> None:
        loop, files = asyncio.get_running_loop(), self._files
        for _ in files:
            (path, name), self._next = files[self._next % len(files)], self._next + 1
            try:
                with bug_net(f"the fallback {path}", PhaseLockError):
                    one = await loop.run_in_executor(self._pool, self._describe, path, name, lambda share: True)
            except PhaseLockError as error:
                _log.info("the fallback leaves out %s: %s", path, error)
            else:
                if self._files is files:
                    self._runner.add(one.track, one.path, path, fallback=True)
                return
        if files and self._files is files:
            self.source, self._files = "", ()
            self._runner.command(UseFallback(False))
            self._fail(Notice(Code.FALLBACK_UNPLAYABLE))

    def _fail(self, notice: Notice) -> None:
        self._tell(Failed(self._runner.session_ns(), notice))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
