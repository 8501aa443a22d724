"""The gains that make the songs of the queue equally loud (model/loudness.py), and what the peers know of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from phaselock.model.loudness import Song, gains_db
from phaselock.model.queue import QueueEntry
from phaselock.model.snapshot import LoudnessView
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import Follow
from phaselock.session.host.members import Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.track_facts import HostTrackFacts
from phaselock.session.outbox import Outbox


class HostGains:
    """The gains of a host session. The session calls `settle` at the end of each of its calls, before a track is armed:
    so a gain is at a peer before the command that starts its track."""

    def __init__(
        self, members: Members, queue: HostQueue, facts: HostTrackFacts, outbox: Outbox, target_lufs: float | None
    ) -> None:
        self._members = members
        self._queue = queue
        self._facts = facts
        self._outbox = outbox
        self.target_lufs = target_lufs
        """The loudness of all songs; None: each plays as it is."""
        self._told: dict[UUID, float] = {}
        """The gains that the peers know. Every other gain is 0."""
        self._settled: tuple[Sequence[QueueEntry], int, float | None] = (), 0, None
        """What the gains follow from: the rows, the revision of the facts, and the target."""

    def of(self, file_id: UUID) -> float:
        """The gain of a track in dB."""
        return self._told.get(file_id, 0.0)

    def inherit(self, gains: Iterable[tuple[UUID, float]]) -> None:
        """What the peers know from the host before this one."""
        self._told = dict(gains)

    def view(self, track: Track) -> LoudnessView:
        """How loud a track is, and its gain."""
        facts = self._facts.of(track.file_id)
        measurement = facts.measurement
        loudness = Song(facts.tagged, track.duration_s, facts.measured).loudness
        return LoudnessView(
            measurement is not None,
            _rounded(loudness.integrated_lufs if loudness is not None else None),
            _rounded(measurement.loudness.true_peak_db if measurement is not None else None),
            _rounded(measurement.range_lu if measurement is not None else None),
            self.of(track.file_id),
        )

    def follow(self, timeline: Timeline | None, then: Timeline | None) -> Follow:
        """The effect that plays these timelines at their gains."""
        return Follow(timeline, then, *(self.of(one.file_id) if one else 0.0 for one in (timeline, then)))

    def told(self) -> m.TrackGains | None:
        """What a new peer must know; None: nothing."""
        return _message(self._told)

    def settle(self) -> None:
        """Bring the gains up to date, and tell the peers those that have changed."""
        entries, revision, target_lufs = self._queue.rows.entries, self._facts.revision, self.target_lufs
        # The identity of the rows, not their revision: it stays when a row that was removed has been played.
        if self._settled[0] is entries and self._settled[1:] == (revision, target_lufs):
            return
        self._settled = entries, revision, target_lufs
        tracks = [entry.track for entry in entries]
        facts = [self._facts.of(track.file_id) for track in tracks]
        songs = [Song(one.tagged, track.duration_s, one.measured) for track, one in zip(tracks, facts, strict=True)]
        gains = dict(zip([track.file_id for track in tracks], gains_db(songs, target_lufs), strict=True))
        changed = {file_id: gain for file_id, gain in gains.items() if gain != self.of(file_id)}
        self._told = {file_id: gain for file_id, gain in self._told.items() if file_id in gains} | changed
        message = _message(changed)
        if message is not None:
            self._outbox.do(*self._members.broadcast(message))


def _rounded(level: float | None) -> float | None:
    return None if level is None else round(level, 2)


def _message(gains: dict[UUID, float]) -> m.TrackGains | None:
    if not gains:
        return None
    return m.TrackGains(tuple(m.TrackGain(file_id, gain) for file_id, gain in gains.items()))
