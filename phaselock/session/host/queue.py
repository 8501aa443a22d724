"""The host's queue: its rows, their order and statuses, and the updates that the peers receive.

transport.py decides which of its tracks plays.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Sequence
from uuid import UUID

from phaselock.model.names import file_label, title
from phaselock.model.notices import Code, Notice
from phaselock.model.queue import MAX_ITEMS, ItemStatus, Queue, QueueEntry, QueueItem, random_place, shuffled
from phaselock.model.queue_change import difference
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.host.members import Members
from phaselock.session.outbox import Outbox
from phaselock.session.person_keys import HOST_KEY
from phaselock.session.playback import Playback

NO_SUCH_TRACK = Notice(Code.NO_SUCH_TRACK)
MAX_UNDONE = 50
"""Largest number of removed rows that can be restored; the oldest are forgotten."""
SHORT_QUEUE = 100
"""Number of rows up to which every change of the queue is sent at once."""
FEW_FILES = 1000
"""Number of files of all members up to which all statuses are always up to date."""
REFRESH_GAP_NS = 10_000
"""Each file above FEW_FILES adds this time to the smallest interval between two updates of all statuses, about 20 times
as long as it takes to look at the file."""
QUEUE_GAP_NS = 500_000
"""Each row above SHORT_QUEUE adds this time to the smallest interval between two updates of the queue."""


class HostQueue:
    """The queue of a host session. The session calls `settle` at the end of each of its calls.

    Commands that cannot be done are reported by an `error` event. `now_ns` is session time.
    """

    def __init__(self, members: Members, playback: Playback, outbox: Outbox) -> None:
        self.rows = Queue()
        self.played: set[UUID] = set()
        """The tracks that have ended, or that another one has replaced."""
        self._members = members
        self._playback = playback
        self._outbox = outbox
        self.seen: set[UUID] = set()
        """All tracks that were in the queue so far."""
        self.changes = 0
        """The number of changes of the rows and their order so far."""
        self._last_number = 0
        self._stale = False
        """All statuses may be out of date."""
        self._stale_rows: set[UUID] = set()
        self._refresh_at_ns = 0
        self.told: tuple[tuple[QueueItem, ...], int] = (), 0
        """The rows and their revision, as all members know them."""
        self._send_at_ns = 0
        self._removed: collections.deque[tuple[QueueEntry, int]] = collections.deque(maxlen=MAX_UNDONE)
        """Removed entries and their places among the rows, the newest last."""
        self._seed: int | None = None
        """The seed of the random order; None: the queue is not shuffled."""
        self._in_order: list[UUID] = []
        """The order in which the tracks are when the queue is not shuffled; valid while it is."""

    def inherit(
        self, entries: tuple[QueueEntry, ...], played: set[UUID], gone: Collection[UUID], last_number: int
    ) -> None:
        """The rows as they were at the host before this one, and the tracks that were in the queue before."""
        self.rows, self.played, self._last_number = Queue(entries, 1), played, last_number
        self.seen |= {entry.track.file_id for entry in entries} | set(gone)
        self._stale = True

    def has_room(self) -> bool:
        """One more track fits into the queue."""
        return len(self.rows) < MAX_ITEMS

    def waiting(self, asker: str | None = None) -> list[QueueEntry]:
        """The rows that have not begun to play: of all people, or of the one with this key."""
        return [
            entry
            for entry in self.rows.entries
            if (asker is None or entry.asker == asker) and not entry.removed and self._waits(entry.track.file_id)
        ]

    def is_waiting(self, file_id: UUID) -> bool:
        """This row is in the queue and has not begun to play."""
        if not self._waits(file_id):
            return False
        entry = self.rows.entry(file_id)
        return entry is not None and not entry.removed

    def add(self, track: Track, added_by: str, asker: str = HOST_KEY, *, now_ns: int) -> None:
        """Append a track that this person wants, if its file is not too large and the queue is not full. `asker`: the
        key of the person."""
        track = dataclasses.replace(
            track, file_name=file_label(track.file_name), title=title(track.title), artist=title(track.artist)
        )
        if not 0 < track.size <= m.MAX_FILE_BYTES:
            self._outbox.error(Notice(Code.FILE_TOO_LARGE, file_name=track.file_name), now_ns)
        elif not self.has_room():
            self._outbox.error(Notice(Code.QUEUE_FULL, number=MAX_ITEMS), now_ns)
        else:
            self._last_number += 1
            self.seen.add(track.file_id)
            self._change(self.rows.append(track, added_by, asker, self._last_number))
            self.mark_stale(track.file_id)
            if self._seed is not None:
                self._shuffle_in(track.file_id, self._seed)

    def has(self, timeline: Timeline | None) -> bool:
        """There is an entry for the track of this timeline."""
        return timeline is not None and self.rows.entry(timeline.file_id) is not None

    @property
    def last_number(self) -> int:
        """The age of the newest row."""
        return self._last_number

    def rows_until_now(self) -> int:
        """The number of rows up to the current track, with it."""
        current = self._playback.current
        return self.rows.rows_until(current.file_id if current is not None else None)

    def move(self, file_id: UUID, to: int, *, now_ns: int) -> None:
        """Move a track to place `to` among the rows (0 is the first)."""
        if file_id not in self.rows.ids():
            self._outbox.error(NO_SUCH_TRACK, now_ns)
        else:
            self._change(self.rows.move(file_id, to))

    def remove(self, file_id: UUID, *, keep: bool) -> None:
        """Remove a row. `keep`: its entry stays until its track has ended."""
        entry = self.rows.entry(file_id)
        assert entry is not None
        self._removed.append((entry, self.rows.ids().index(file_id)))
        self.played.discard(file_id)
        self._change(self.rows.remove(file_id, keep=keep))

    def restore(self, file_id: UUID, *, now_ns: int) -> None:
        """Put a removed track back at its place."""
        found = next((one for one in self._removed if one[0].track.file_id == file_id), None)
        if found is None or file_id in self.rows.ids():
            self._outbox.error(NO_SUCH_TRACK, now_ns)
        elif not self.has_room():
            self._outbox.error(Notice(Code.QUEUE_FULL, number=MAX_ITEMS), now_ns)
        else:
            self._removed.remove(found)
            self._change(self.rows.restore(*found))
            self.mark_stale(file_id)

    def arrange(self, file_ids: tuple[UUID, ...]) -> None:
        """Sort the queue into this order. Tracks that it does not contain follow at the end."""
        self._change(self.rows.arrange(file_ids))

    @property
    def is_shuffled(self) -> bool:
        """The tracks after the current one are in a random order."""
        return self._seed is not None

    def shuffle(self, seed: int | None) -> None:
        """Sort the tracks after the current one (all, if there is none) into a random order; None: into the order in
        which they were before."""
        ids, played = self.rows.ids(), self.rows_until_now()
        coming = ids[played:]
        if seed is not None:
            self._in_order = self._in_order if self.is_shuffled else ids
            coming = shuffled(coming, seed)
        elif self.is_shuffled:
            place = {file_id: place for place, file_id in enumerate(self._in_order)}
            coming.sort(key=lambda file_id: place.get(file_id, len(place)))
        self._seed = seed
        self._change(self.rows.arrange((*ids[:played], *coming)))

    def end_shuffle(self) -> None:
        """The rows stay where they are; new ones follow at the end."""
        self._seed = None

    def known(self, file_id: UUID) -> Track:
        """A track of the queue or of a timeline. AssertionError if there is none: every timeline has an entry."""
        track = self.rows.track(file_id)
        assert track is not None, "every timeline has an entry in the queue"
        return track

    def mark_stale(self, file_id: UUID | None = None) -> None:
        """Update the status of this row at the end of this call, because it is new or one of its transfers has changed;
        or of all rows, because a member or what plays has changed."""
        if file_id is None:
            self._stale = True
        else:
            self._stale_rows.add(file_id)

    def settle(self, *, now_ns: int) -> None:
        """Update the statuses, and send the queue if it has changed."""
        self.rows = self.rows.purge(self._playback.file_ids())
        if self._stale and now_ns >= self._refresh_at_ns:
            self._stale = False
            self._stale_rows.clear()
            files = len(self.rows.entries) * len(self._members)
            self._refresh_at_ns = now_ns + max(0, files - FEW_FILES) * REFRESH_GAP_NS
            self._refresh(self.rows.entries, now_ns)
        elif self._stale_rows:
            found = map(self.rows.entry, self._stale_rows)
            self._stale_rows = set()
            self._refresh([entry for entry in found if entry is not None], now_ns)
        if self.rows.revision != self.told[1] and now_ns >= self._send_at_ns:
            self._send(now_ns)

    def due_ns(self) -> int | None:
        """Time at which `settle` may update the statuses, or send the changed queue; None: it need not. See
        REFRESH_GAP_NS and QUEUE_GAP_NS."""
        due_ns = [self._refresh_at_ns] if self._stale else []
        due_ns += [self._send_at_ns] if self.rows.revision != self.told[1] else []
        return min(due_ns, default=None)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _waits(self, file_id: UUID) -> bool:
        current = self._playback.current
        return file_id not in self.played and (current is None or file_id != current.file_id)

    def _change(self, rows: Queue) -> None:
        self.changes += rows is not self.rows
        self.rows = rows
        self._members.request_offers()

    def _shuffle_in(self, file_id: UUID, seed: int) -> None:
        """Give a new track a place of its own behind the next one, which may be armed already."""
        self._in_order = [*self._in_order, file_id]
        first = self.rows_until_now() + 1
        coming = len(self.rows) - first
        if coming > 0:
            self._change(self.rows.move(file_id, first + random_place(file_id, seed, coming)))

    def _refresh(self, entries: Sequence[QueueEntry], now_ns: int) -> None:
        timeline = self._playback.current
        missing = self._members.missing([entry.track.file_id for entry in entries])
        statuses: dict[UUID, ItemStatus] = {}
        for entry in entries:
            file_id = entry.track.file_id
            if timeline is not None and timeline.file_id == file_id:
                statuses[file_id] = ItemStatus.PLAYING
            elif file_id in self.played:
                statuses[file_id] = ItemStatus.PLAYED
            else:
                statuses[file_id] = ItemStatus.TRANSFERRING if file_id in missing else ItemStatus.READY
            has_arrived = entry.status is ItemStatus.TRANSFERRING and statuses[file_id] is not ItemStatus.TRANSFERRING
            if has_arrived and self._members.can_play(file_id):
                self._outbox.note(e.FileReady(now_ns, file_id, entry.track.file_name))
        self.rows = self.rows.with_statuses(statuses)

    def _send(self, now_ns: int) -> None:
        (before, base), items, revision = self.told, self.rows.items(), self.rows.revision
        self.told = items, revision
        self._send_at_ns = now_ns + max(0, len(items) - SHORT_QUEUE) * QUEUE_GAP_NS
        if self._members:
            change = difference(before, items)
            most_stay = 2 * len(change.rows) < len(items)
            message = m.QueueChange(base, revision, change) if most_stay else m.QueueUpdate(items, revision)
            self._outbox.do(*self._members.broadcast(message))
        self._outbox.note_queue(items, revision, now_ns)
