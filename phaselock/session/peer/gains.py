"""The gains at which a peer plays its tracks, as the host has told them (session/host/gains.py)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from phaselock.model.queue import MAX_ITEMS
from phaselock.model.timeline import Timeline
from phaselock.protocol import messages as m
from phaselock.session.effects import Follow


class PeerGains:
    """Gains of tracks that are in the queue or in a timeline, or that the next queue may hold."""

    def __init__(self) -> None:
        self._gains: dict[UUID, float] = {}
        self._new: set[UUID] = set()
        """Told since the last queue: their rows may not have arrived yet."""

    def take(self, message: m.TrackGains) -> bool:
        """The host has told gains. False if there are too many."""
        told = {one.file_id: one.gain_db for one in message.gains}
        self._gains |= told
        self._new |= told.keys()
        return len(self._gains) <= 4 * MAX_ITEMS

    def all(self) -> tuple[tuple[UUID, float], ...]:
        """All gains that are known."""
        return tuple(self._gains.items())

    def keep(self, gains: Iterable[tuple[UUID, float]]) -> None:
        """This machine was the host, and plays at these gains."""
        self._gains = dict(gains)
        self._new = set(self._gains)

    def take_queue(self, needed: Iterable[UUID]) -> None:
        """The host has sent its queue. `needed` are its tracks, and those of all timelines: forget all others."""
        kept = self._new.union(needed)
        self._gains = {file_id: gain for file_id, gain in self._gains.items() if file_id in kept}
        self._new.clear()

    def follow(self, timeline: Timeline | None, then: Timeline | None) -> Follow:
        """The effect that plays these timelines at their gains. Sweeps have none."""
        return Follow(timeline, then, *(self._gains.get(one.file_id, 0.0) if one else 0.0 for one in (timeline, then)))
