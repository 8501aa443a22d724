"""The queue: an immutable, revisioned list of tracks with a cursor. Every change gives a new queue."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated
from uuid import UUID

from phaselock.model.bounds import FileName, PersonName, Within
from phaselock.model.types import Track

MAX_ITEMS = 500
"""So many items of the longest names still fit into one frame of the wire."""


class ItemStatus(enum.StrEnum):
    """What the people in the room see of a track."""

    TRANSFERRING = "transferring"
    READY = "ready"
    PLAYING = "playing"
    PLAYED = "played"


@dataclasses.dataclass(frozen=True, slots=True)
class QueueItem:
    """One row of the queue, as everybody in the session sees it."""

    id: UUID
    file_name: FileName
    duration_secs: Annotated[float, Within(0, 1e9)]
    added_by: PersonName
    status: ItemStatus


@dataclasses.dataclass(frozen=True, slots=True)
class QueueEntry:
    """A track, who added it, and how far it is."""

    track: Track
    added_by: str
    status: ItemStatus = ItemStatus.TRANSFERRING

    def item(self) -> QueueItem:
        """The row that everybody sees."""
        track = self.track
        return QueueItem(track.file_id, track.file_name, track.duration_s, self.added_by, self.status)


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """Tracks in playing order. `revision` grows with every change."""

    entries: tuple[QueueEntry, ...] = ()
    revision: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    def items(self) -> tuple[QueueItem, ...]:
        """The rows that everybody sees."""
        return tuple(entry.item() for entry in self.entries)

    def append(self, track: Track, added_by: str) -> Queue:
        """With one more track at the end. Its `file_id` must be new here, and there must be room."""
        if self.track(track.file_id) is not None:
            raise ValueError(f"{track.file_id} is in the queue already")
        if len(self.entries) >= MAX_ITEMS:
            raise ValueError("the queue is full")
        return Queue((*self.entries, QueueEntry(track, added_by)), self.revision + 1)

    def track(self, file_id: UUID | None) -> Track | None:
        """The track of that id, if it is here."""
        return next((entry.track for entry in self.entries if entry.track.file_id == file_id), None)

    def after(self, file_id: UUID) -> Track | None:
        """The track behind that one, if there is one."""
        ids = [entry.track.file_id for entry in self.entries]
        place = ids.index(file_id) + 1 if file_id in ids else len(ids)
        return self.entries[place].track if place < len(ids) else None

    def with_statuses(self, statuses: dict[UUID, ItemStatus]) -> Queue:
        """With these statuses; the same queue, same revision, when nothing differs."""
        entries = tuple(
            dataclasses.replace(entry, status=statuses.get(entry.track.file_id, entry.status)) for entry in self.entries
        )
        return self if entries == self.entries else Queue(entries, self.revision + 1)
