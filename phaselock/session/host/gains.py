"""The gains that make the songs of the queue equally loud (model/loudness.py), and what the peers know of them."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.loudness import Loudness, Song, gains_db
from phaselock.model.timeline import Timeline
from phaselock.protocol import messages as m
from phaselock.session.effects import Follow
from phaselock.session.host.members import Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.outbox import Outbox


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    album: str
    loudness: Loudness | None


class HostGains:
    """The gains of a host session. The session calls `settle` at the end of each of its calls, before a track is armed:
    so a gain is at a peer before the command that starts its track."""

    def __init__(self, members: Members, queue: HostQueue, outbox: Outbox, target_lufs: float | None) -> None:
        self._members = members
        self._queue = queue
        self._outbox = outbox
        self._target_lufs = target_lufs
        self._known: dict[UUID, _Known] = {}
        """Also of removed rows: they may be restored."""
        self._told: dict[UUID, float] = {}
        """The gains that the peers know. Every other gain is 0."""
        self._settled_revision: int | None = None
        """Revision of the queue to which the gains belong; None: something else has changed."""

    @property
    def target_lufs(self) -> float | None:
        """The loudness of all songs; None: each plays as it is."""
        return self._target_lufs

    @target_lufs.setter
    def target_lufs(self, target_lufs: float | None) -> None:
        self._target_lufs = target_lufs
        self._settled_revision = None

    def learn(self, file_id: UUID, album: str, loudness: Loudness | None) -> None:
        """The album and the loudness of a track, as its tags say or as it was measured."""
        self._known[file_id] = _Known(album, loudness)
        self._settled_revision = None

    def of(self, file_id: UUID) -> float:
        """The gain of a track in dB."""
        return self._told.get(file_id, 0.0)

    def follow(self, timeline: Timeline | None, then: Timeline | None) -> Follow:
        """The effect that plays these timelines at their gains."""
        return Follow(timeline, then, *(self.of(one.file_id) if one else 0.0 for one in (timeline, then)))

    def told(self) -> m.TrackGains | None:
        """What a new peer must know; None: nothing."""
        return _message(self._told)

    def settle(self) -> None:
        """Bring the gains up to date, and tell the peers those that have changed."""
        if self._settled_revision == self._queue.rows.revision:
            return
        self._settled_revision = self._queue.rows.revision
        tracks = [entry.track for entry in self._queue.rows.entries]
        nothing = _Known("", None)
        known = [self._known.get(track.file_id, nothing) for track in tracks]
        songs = [Song(one.album, track.duration_s, one.loudness) for track, one in zip(tracks, known, strict=True)]
        gains = dict(zip([track.file_id for track in tracks], gains_db(songs, self._target_lufs), strict=True))
        changed = {file_id: gain for file_id, gain in gains.items() if gain != self.of(file_id)}
        self._told = {file_id: gain for file_id, gain in self._told.items() if file_id in gains} | changed
        message = _message(changed)
        if message is not None:
            self._outbox.do(*self._members.broadcast(message))


def _message(gains: dict[UUID, float]) -> m.TrackGains | None:
    if not gains:
        return None
    return m.TrackGains(tuple(m.TrackGain(file_id, gain) for file_id, gain in gains.items()))
