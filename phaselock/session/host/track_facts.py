"""What a host knows of the sound of its tracks: what their tags say, and what was measured."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.loudness import Loudness, Tagged
from phaselock.model.measurement import Measurement


@frozen
class TrackFacts:
    """Of one track."""

    tagged: Tagged = Tagged()
    measurement: Measurement | None = None
    """None: not measured yet, or it cannot be."""

    @property
    def measured(self) -> Loudness | None:
        """How loud it was measured."""
        return self.measurement.loudness if self.measurement is not None else None


_NOTHING = TrackFacts()


class HostTrackFacts:
    """Of all tracks, also of removed rows: they may be restored."""

    def __init__(self) -> None:
        self._facts: dict[UUID, TrackFacts] = {}
        self.revision = 0
        """Changes when something becomes known."""

    def of(self, file_id: UUID) -> TrackFacts:
        """Of this track."""
        return self._facts.get(file_id, _NOTHING)

    def inherit(self, file_id: UUID, facts: TrackFacts) -> None:
        """What the host before this one knows of a track."""
        self._learn(file_id, facts)

    def learn_tags(self, file_id: UUID, tagged: Tagged) -> None:
        """The tags of a track were read."""
        self._learn(file_id, dataclasses.replace(self.of(file_id), tagged=tagged))

    def learn_measurement(self, file_id: UUID, measurement: Measurement) -> None:
        """A track was measured."""
        self._learn(file_id, dataclasses.replace(self.of(file_id), measurement=measurement))

    def sound_frames(self, file_id: UUID) -> tuple[int, int] | None:
        """Where the sound of a track begins, and where it ends (the frame behind it), in frames of the track; None
        until it is measured."""
        found = self.of(file_id).measurement
        return (found.sound_begin_frame, found.sound_end_frame) if found is not None else None

    def _learn(self, file_id: UUID, facts: TrackFacts) -> None:
        if facts != self.of(file_id):
            self._facts[file_id] = facts
            self.revision += 1
