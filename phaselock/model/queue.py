"""The queue: an immutable list of tracks with a revision. Each change returns a new queue."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.bounds import FileName, PersonName, Title, Within
from phaselock.model.types import Track

_BITS_64 = (1 << 64) - 1
MAX_ITEMS = 2000
"""Largest number of rows. A queue of this size with the longest names fits into one frame of a host (HOST_CAP)."""


class ItemStatus(enum.StrEnum):
    """The status of a track that users see."""

    TRANSFERRING = "transferring"
    READY = "ready"
    PLAYING = "playing"
    PLAYED = "played"


@frozen
class QueueItem:
    """One row of the queue, the same for all computers of the session."""

    id: UUID
    file_name: FileName
    duration_secs: Annotated[float, Within(0, 1e9)]
    added_by: PersonName
    status: ItemStatus
    title: Title = ""
    artist: Title = ""


@frozen
class QueueEntry:
    """A track, the name of the person who added it, and its status."""

    track: Track
    added_by: str
    status: ItemStatus = ItemStatus.TRANSFERRING
    asker: str = ""
    """The key of the person who asked for it (session/person_keys.py)."""
    number: int = 0
    """Its age: a song that was added later has a larger one."""
    removed: bool = False
    """Removed while it was playing: it is not shown, but keeps its place until it has ended."""

    def item(self) -> QueueItem:
        """The row for this entry."""
        t = self.track
        return QueueItem(t.file_id, t.file_name, t.duration_s, self.added_by, self.status, t.title, t.artist)


@frozen
class Queue:
    """Tracks in playing order. `revision` increases with each visible change.

    A row is an entry that is not removed. Methods that change the queue return a new one.
    """

    entries: tuple[QueueEntry, ...] = ()
    revision: int = 0
    _by_id: dict[UUID, QueueEntry] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)
    """The entries, once one was searched."""

    def __len__(self) -> int:
        return sum(not entry.removed for entry in self.entries)

    def items(self) -> tuple[QueueItem, ...]:
        """All rows."""
        return tuple(entry.item() for entry in self.entries if not entry.removed)

    def ids(self) -> list[UUID]:
        """The ids of all rows."""
        return [entry.track.file_id for entry in self.entries if not entry.removed]

    def known_ids(self) -> frozenset[UUID]:
        """The ids of all entries, also of removed ones."""
        return frozenset(entry.track.file_id for entry in self.entries)

    def append(self, track: Track, added_by: str, asker: str = "", number: int = 0) -> Queue:
        """Add a track at the end. ValueError if its `file_id` is in the queue, or if the queue is full."""
        if self.track(track.file_id) is not None:
            raise ValueError(f"{track.file_id} is in the queue already")
        if len(self) >= MAX_ITEMS:
            raise ValueError("the queue is full")
        return Queue((*self.entries, QueueEntry(track, added_by, asker=asker, number=number)), self.revision + 1)

    def remove(self, file_id: UUID, *, keep: bool) -> Queue:
        """Remove a row. `keep`: its entry stays between its neighbours, marked as removed, until `purge`."""
        entries = tuple(
            dataclasses.replace(entry, removed=True) if entry.track.file_id == file_id else entry
            for entry in self.entries
            if keep or entry.track.file_id != file_id
        )
        return Queue(entries, self.revision + 1)

    def purge(self, kept: frozenset[UUID | None]) -> Queue:
        """Drop the removed entries except those in `kept`. No row changes."""
        entries = tuple(entry for entry in self.entries if not entry.removed or entry.track.file_id in kept)
        return self if len(entries) == len(self.entries) else Queue(entries, self.revision)

    def move(self, file_id: UUID, to: int) -> Queue:
        """Move a row to place `to` among the rows (0 is the first; clamped to their number). Return this same queue if
        nothing changes. A removed entry stays behind the row that was before it."""
        ids = self.ids()
        to = max(0, min(to, len(ids) - 1))
        if file_id not in ids or ids.index(file_id) == to:
            return self
        moved = next(entry for entry in self.entries if entry.track.file_id == file_id)
        entries = [entry for entry in self.entries if entry is not moved]
        shown = [at for at, entry in enumerate(entries) if not entry.removed]
        entries.insert(shown[to] if to < len(shown) else len(entries), moved)
        return Queue(tuple(entries), self.revision + 1)

    def arrange(self, file_ids: tuple[UUID, ...]) -> Queue:
        """Sort the rows into this order; rows that it does not contain follow at the end. Return this same queue if
        nothing changes. A removed entry stays behind as many entries as before."""
        wanted = {file_id: place for place, file_id in enumerate(file_ids)}
        shown = [entry for entry in self.entries if not entry.removed]
        entries = sorted(shown, key=lambda entry: wanted.get(entry.track.file_id, len(wanted)))
        if entries == shown:
            return self
        for at, entry in enumerate(self.entries):
            if entry.removed:
                entries.insert(at, entry)
        return Queue(tuple(entries), self.revision + 1)

    def restore(self, entry: QueueEntry, place: int) -> Queue:
        """Put a removed row back at `place` among the rows, or at the end if there are fewer."""
        if any(one.track.file_id == entry.track.file_id for one in self.entries):  # kept, because it is still playing
            entries = tuple(
                dataclasses.replace(one, removed=False) if one.track.file_id == entry.track.file_id else one
                for one in self.entries
            )
            return Queue(entries, self.revision + 1)
        shown = [at for at, one in enumerate(self.entries) if not one.removed]
        at = shown[place] if place < len(shown) else len(self.entries)
        back = dataclasses.replace(entry, removed=False)
        return Queue((*self.entries[:at], back, *self.entries[at:]), self.revision + 1)

    def entry(self, file_id: UUID | None) -> QueueEntry | None:
        """The entry with this id, also a removed one; None if there is none."""
        if not self._by_id:
            self._by_id.update((entry.track.file_id, entry) for entry in self.entries)
        return self._by_id.get(file_id) if file_id is not None else None

    def track(self, file_id: UUID | None) -> Track | None:
        """The track with this id, also a removed one; None if there is none."""
        entry = self.entry(file_id)
        return entry.track if entry else None

    def rows_until(self, file_id: UUID | None) -> int:
        """Number of rows up to this entry, with it; 0 if it is not in the queue."""
        rows = 0
        for entry in self.entries:
            rows += not entry.removed
            if entry.track.file_id == file_id:
                return rows
        return 0

    def after(self, file_id: UUID | None) -> Track | None:
        """The track of the first row after this entry, or None."""
        found = False
        for entry in self.entries:
            if found and not entry.removed:
                return entry.track
            found = found or entry.track.file_id == file_id
        return None

    def before(self, file_id: UUID | None) -> Track | None:
        """The track of the last row before this entry, or None."""
        before = None
        for entry in self.entries:
            if entry.track.file_id == file_id:
                return before
            before = before if entry.removed else entry.track
        return None

    def with_statuses(self, statuses: dict[UUID, ItemStatus]) -> Queue:
        """Set these statuses. Return this same queue if nothing changes."""
        entries = tuple(
            dataclasses.replace(entry, status=status)
            if (status := statuses.get(entry.track.file_id, entry.status)) is not entry.status
            else entry
            for entry in self.entries
        )
        return self if entries == self.entries else Queue(entries, self.revision + 1)


def shuffled(file_ids: Sequence[UUID], seed: int) -> list[UUID]:
    """These ids in a random order, which depends on the seed and the ids only."""
    return sorted(file_ids, key=lambda file_id: _drawn(file_id, seed))


def random_place(file_id: UUID, seed: int, count: int) -> int:
    """A random place of `count` (0 is the first), which depends on the seed and the id only."""
    return _drawn(file_id, seed) % count


def _drawn(file_id: UUID, seed: int) -> int:
    """A random number of 64 bits: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators)."""
    mixed = (seed * 0x9E3779B97F4A7C15 ^ file_id.int ^ file_id.int >> 64) & _BITS_64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ mixed >> shift) * factor & _BITS_64
    return mixed ^ mixed >> 31


def moved_together(
    items: Sequence[QueueItem], chosen: frozenset[UUID], where: Literal["next", "top", "end"], now: UUID | None
) -> tuple[UUID, ...]:
    """The ids of `items`, with the chosen ones together and in their order: behind `now` ("next"), at the beginning or
    at the end. For "next" `now` stays where it is; if it is not in the queue: at the beginning."""
    moved = [item.id for item in items if item.id in chosen and not (where == "next" and item.id == now)]
    taken = frozenset(moved)
    rest = [item.id for item in items if item.id not in taken]
    at = {"next": rest.index(now) + 1 if now in rest else 0, "top": 0, "end": len(rest)}[where]
    return (*rest[:at], *moved, *rest[at:])
