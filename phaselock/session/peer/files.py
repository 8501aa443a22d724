"""The peer's record of the session's files: offered, being fetched, on this machine."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from phaselock.model.names import file_label, sentence, title
from phaselock.model.notices import Code, Notice
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, CancelFetch, Fetch, Keep, Send
from phaselock.session.outbox import Outbox


class PeerFiles:
    """The files that the host has offered.

    `connected`: the host can receive an answer. Otherwise no answer is sent: the host offers all files again after a
    reconnect.
    """

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None]) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        """Returns the session time at a local time; None while the clock is not usable."""
        self._tracks: dict[UUID, Track] = {}
        self._fetching: set[UUID] = set()
        self._have: set[UUID] = set()
        self._gone: set[UUID] = set()
        """Received, then deleted from the cache. The peer fetches them again when it needs them, without a message."""
        self._access: tuple[int, bytes] | None = None
        """Peer number and token for fetches; None without a connection to the host."""
        self._kept: frozenset[bytes] = frozenset()
        """Hashes in the last `Keep`."""
        self._new: set[UUID] = set()
        """Offered since the last queue update: their rows may not have arrived yet."""
        self._queue: tuple[QueueItem, ...] = ()
        self._lines: frozenset[UUID] = frozenset()
        self._stale = False
        """The files or the queue have changed since the last `settle`."""

    def track(self, file_id: UUID | None) -> Track | None:
        """The offered track, or None."""
        return self._tracks.get(file_id) if file_id is not None else None

    def has(self, file_id: UUID) -> bool:
        """The file is on this machine and can be played."""
        return file_id in self._have

    def offered(self, start: m.FileTransferStart, peer_id: int, token: bytes, *, now_ns: int) -> bool:
        """The host offers a file. False if the offer contradicts an earlier one, or if there are too many files."""
        names = file_label(start.file_name), title(start.title), title(start.artist)
        track = Track(start.file_id, names[0], start.file_size, start.sha256, start.rate_hz, start.frames, *names[1:])
        if self._tracks.setdefault(track.file_id, track) != track or len(self._tracks) > 2 * MAX_ITEMS:
            return False
        self._access = peer_id, token
        self._gone.discard(track.file_id)
        self._new.add(track.file_id)
        self._stale = True
        if track.file_id in self._have:
            self._outbox.do(Send(HOST_CONN, m.FileReceived(track.file_id, hash_ok=True)))
        elif track.file_id not in self._fetching:
            self._fetching.add(track.file_id)
            self._outbox.do(Fetch(track, peer_id, token))
            self._outbox.note_transfer(e.TransferState.STARTED, track, self._session_ns(now_ns))
        return True

    def gone(self, file_id: UUID) -> None:
        """The cache has deleted a file. Ignored for a file that is playing: it stays open and plays to its end."""
        if file_id in self._have - self._lines:
            self._have.discard(file_id)
            self._gone.add(file_id)
            self._stale = True

    def ready(self, file_id: UUID, *, connected: bool, now_ns: int) -> Track | None:
        """A fetched file is complete and has the right hash. Return its track; None if it is no longer needed."""
        if file_id not in self._fetching:
            return None
        self._fetching.discard(file_id)
        self._have.add(file_id)
        track = self._tracks[file_id]
        if connected and file_id not in self._gone:
            self._outbox.do(Send(HOST_CONN, m.FileReceived(file_id, hash_ok=True)))
        self._gone.discard(file_id)
        session_ns = self._session_ns(now_ns)
        self._outbox.note(e.FileReady(session_ns, file_id, track.file_name))
        return track

    def failed(self, file_id: UUID, reason: str, *, connected: bool, now_ns: int) -> None:
        """One attempt to fetch a file failed."""
        if file_id in self._fetching:
            self._fetching.discard(file_id)
            if connected and file_id not in self._gone:
                self._outbox.do(Send(HOST_CONN, m.FileReceived(file_id, hash_ok=False)))
            track = self._tracks[file_id]
            self._outbox.note_transfer(e.TransferState.FAILED, track, self._session_ns(now_ns), reason=sentence(reason))

    def unplayable(self, file_id: UUID, reason: str, *, connected: bool, now_ns: int) -> None:
        """This machine cannot decode a file. Call it after the fetch, instead of `ready`, or later."""
        if file_id not in self._fetching | self._have:
            return
        if connected:
            if file_id in self._fetching - self._gone:
                self._outbox.do(Send(HOST_CONN, m.FileReceived(file_id, hash_ok=True)))
            self._outbox.do(Send(HOST_CONN, m.FileUnplayable(file_id, sentence(reason))))
        self._fetching.discard(file_id)
        self._have.discard(file_id)
        self._gone.discard(file_id)
        notice = Notice(Code.UNPLAYABLE_HERE, sentence(reason), file_id, self._tracks[file_id].file_name)
        self._outbox.error(notice, self._session_ns(now_ns))

    def lost_host(self) -> None:
        """The host is lost: cancel all fetches. The host will offer the files again after a reconnect."""
        for file_id in self._fetching:
            self._outbox.do(CancelFetch(file_id))
        self._fetching.clear()
        self._access = None

    def take_queue(self, queue: tuple[QueueItem, ...]) -> None:
        """The host has sent its queue."""
        self._queue = queue
        self._new.clear()
        self._stale = True

    def settle(self, lines: frozenset[UUID]) -> None:
        """Bring files and cache up to date at the end of a call; `lines` are the tracks of all timelines.

        Forget files that are neither in the queue nor in `lines`, request `Keep` for the needed ones, and fetch needed
        ones that the cache has deleted.
        """
        if not self._stale and self._lines == lines:
            return
        self._lines, self._stale = lines, False
        for file_id in self._tracks.keys() - {item.id for item in self._queue} - lines - self._new:
            del self._tracks[file_id]
            self._have.discard(file_id)
            self._gone.discard(file_id)
            if file_id in self._fetching:
                self._fetching.discard(file_id)
                self._outbox.do(CancelFetch(file_id))
        needed = lines | self._new | {item.id for item in self._queue if item.status is not ItemStatus.PLAYED}
        kept = frozenset(track.sha256 for file_id, track in self._tracks.items() if file_id in needed)
        if kept != self._kept:
            self._kept = kept
            self._outbox.do(Keep(kept))
        for track in [self._tracks[file_id] for file_id in (self._gone & needed) - self._fetching]:
            if self._access is not None:
                self._fetching.add(track.file_id)
                self._outbox.do(Fetch(track, *self._access))
