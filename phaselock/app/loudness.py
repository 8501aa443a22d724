"""Finds out how loud the songs of a host's queue are, and where their sound begins and ends: from their tags and from
what was measured in an earlier session, then by measuring them in the background.

The session decides what follows from it (session/host/gains.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import UUID

from phaselock.app.analyser import Analyser
from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.model.loudness import Tagged
from phaselock.model.transitions import PLAIN
from phaselock.network.host import HostRunner
from phaselock.session.events import Event, LoudnessSet, QueueChanged, TransitionsSet
from phaselock.storage.measurements import KeptMeasurements
from phaselock.storage.tags import read_tags

_log = logging.getLogger("phaselock.app.loudness")


class LoudnessWatch:
    """Create it on the event loop of the runner. It measures the current track first, then those behind it, as long as
    they play equally loud, with a crossfade or without the silence at their ends."""

    def __init__(self, runner: HostRunner, analyser: Analyser, kept: KeptMeasurements) -> None:
        self._runner = runner
        self._analyser = analyser
        self._kept = kept
        self._looked_up: set[UUID] = set()
        """The tracks whose tags were read."""
        self._measured: set[UUID] = set()
        """Also those that cannot be read."""
        self._changed = asyncio.Event()
        self._changed.set()
        self._worker = asyncio.create_task(self._work())

    def tell(self, event: Event) -> None:
        """The session has reported this event."""
        if isinstance(event, QueueChanged | LoudnessSet | TransitionsSet):
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
        """Look one track up, or else measure one. False if there is nothing to do."""
        coming = self._coming()
        unknown = next((file_id for file_id in coming if file_id not in self._looked_up), None)
        if unknown is not None:
            await self._look_up(unknown)
            return True
        unmeasured = next((file_id for file_id in coming if file_id not in self._measured), None)
        if unmeasured is not None:
            await self._measure(unmeasured)
        return unmeasured is not None

    def _coming(self) -> list[UUID]:
        """The tracks that must be known, in the order in which they play."""
        snapshot = self._runner.snapshot()
        if snapshot.loudness_lufs is None and snapshot.transitions == PLAIN:
            return []
        ids = [item.id for item in snapshot.queue]
        now = snapshot.now.id if snapshot.now is not None else snapshot.upcoming
        at = ids.index(now) if now in ids else 0
        return ids[at:] + ids[:at]

    async def _look_up(self, file_id: UUID) -> None:
        self._looked_up.add(file_id)
        path, track = self._runner.path(file_id), self._runner.track(file_id)
        if path is None or track is None:
            return
        tags = await asyncio.to_thread(read_tags, path)
        self._runner.learn_tags(file_id, Tagged(tags.album, tags.place, tags.loudness, tags.album_loudness))
        measurement = await asyncio.to_thread(self._kept.find, track.sha256, track.frames)
        if measurement is not None:
            self._measured.add(file_id)
            self._runner.learn_measurement(file_id, measurement)

    async def _measure(self, file_id: UUID) -> None:
        self._measured.add(file_id)
        path, track = self._runner.path(file_id), self._runner.track(file_id)
        if path is None or track is None:
            return
        try:
            found = await self._analyser.analysis(path)
        except PhaseLockError as error:
            _log.info("the loudness of %s is not known: %s", path.name, error)
            return
        if found is not None:
            await asyncio.to_thread(self._kept.keep, track.sha256, found.measurement)
            self._runner.learn_measurement(file_id, found.measurement)
