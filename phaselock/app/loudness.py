"""Finds out how loud the songs of a host's queue are: first from their tags, then by measuring them in the background.

The session decides about the gains (session/host/gains.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import UUID

from phaselock.app.analyser import Analyser
from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.network.host import HostRunner
from phaselock.session.events import Event, LoudnessSet, QueueChanged
from phaselock.storage.tags import read_tags

_log = logging.getLogger("phaselock.app.loudness")


class LoudnessWatch:
    """Create it on the event loop of the runner. It measures the current track first, then those behind it, as long as
    they play equally loud."""

    def __init__(self, runner: HostRunner, analyser: Analyser) -> None:
        self._runner = runner
        self._analyser = analyser
        self._tagged: set[UUID] = set()
        """The tracks whose tags were read."""
        self._measured: set[UUID] = set()
        """Also those that cannot be read."""
        self._changed = asyncio.Event()
        self._changed.set()
        self._worker = asyncio.create_task(self._work())

    def tell(self, event: Event) -> None:
        """The session has reported this event."""
        if isinstance(event, QueueChanged | LoudnessSet):
            self._changed.set()

    def close(self) -> None:
        """Stop: the session learns no more."""
        self._worker.cancel()

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            with contextlib.suppress(InternalError), bug_net("measuring the loudness"):
                while await self._step():
                    pass

    async def _step(self) -> bool:
        """Read the tags of one track, or else measure one. False if there is nothing to do."""
        coming = self._coming()
        unread = next((file_id for file_id in coming if file_id not in self._tagged), None)
        if unread is not None:
            await self._read_tags(unread)
            return True
        unmeasured = next((file_id for file_id in coming if file_id not in self._measured), None)
        if unmeasured is not None:
            await self._measure(unmeasured)
        return unmeasured is not None

    def _coming(self) -> list[UUID]:
        """The tracks whose loudness matters, in the order in which they play."""
        snapshot = self._runner.snapshot()
        if snapshot.loudness_lufs is None:
            return []
        ids = [item.id for item in snapshot.queue]
        now = snapshot.now.id if snapshot.now is not None else snapshot.upcoming
        at = ids.index(now) if now in ids else 0
        return ids[at:] + ids[:at]

    async def _read_tags(self, file_id: UUID) -> None:
        self._tagged.add(file_id)
        if (path := self._runner.path(file_id)) is not None:
            tags = await asyncio.to_thread(read_tags, path)
            self._runner.learn_tags(file_id, tags.album, tags.loudness)

    async def _measure(self, file_id: UUID) -> None:
        self._measured.add(file_id)
        if (path := self._runner.path(file_id)) is None:
            return
        try:
            found = await self._analyser.analysis(path)
        except PhaseLockError as error:
            _log.info("the loudness of %s is not known: %s", path.name, error)
            return
        if found is not None:
            self._runner.learn_measurement(file_id, found.measurement)
