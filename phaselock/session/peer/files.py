"""The peer's record of the session's files: offered, being fetched, on this machine.

| state      | meaning                                                  | next states                             |
|------------|----------------------------------------------------------|-----------------------------------------|
| MISSING    | not on this machine: never fetched, failed or unplayable | FETCHING (offered)                      |
| FETCHING   | being fetched; the host expects an answer                | RECEIVED, MISSING (failed, host lost)   |
| RECEIVED   | on this machine                                          | EVICTED, MISSING (unplayable)           |
| EVICTED    | received, then deleted from the cache                    | REFETCHING (needed), FETCHING (offered) |
| REFETCHING | being fetched again; the host expects no answer          | RECEIVED, EVICTED (failed, host lost),  |
|            |                                                          | FETCHING (offered), MISSING             |

A file in any state is forgotten if it is neither in the queue nor in a timeline.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from phaselock.language.message import N_
from phaselock.model.names import file_label, sentence, title
from phaselock.model.notices import Code, Notice
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, CancelFetch, Fetch, Keep, Send, Upload
from phaselock.session.outbox import Outbox
from phaselock.session.peer.pieces import PeerPieces

NOT_IN_PIECES = N_("The host does not send its pieces.")
MAX_KEPT_BYTES = 4 << 30
"""Most bytes of songs that a host's queue keeps in the cache of this machine. A host may announce any number."""
MAX_TRIES = 3
"""Attempts to send one file to a host that lacks it."""
ALWAYS_KEPT = 2
"""Number of tracks, first in the order of need, that are kept in any case: the current one and the next one."""


class LocalState(enum.Enum):
    """State of a file at this peer; the table is above."""

    MISSING = "missing"
    FETCHING = "fetching"
    RECEIVED = "received"
    EVICTED = "evicted"
    REFETCHING = "refetching"


NEXT_STATES: Mapping[LocalState, frozenset[LocalState]] = {
    LocalState.MISSING: frozenset({LocalState.FETCHING}),
    LocalState.FETCHING: frozenset({LocalState.RECEIVED, LocalState.MISSING}),
    LocalState.RECEIVED: frozenset({LocalState.EVICTED, LocalState.MISSING}),
    LocalState.EVICTED: frozenset({LocalState.REFETCHING, LocalState.FETCHING}),
    LocalState.REFETCHING: frozenset(
        {LocalState.RECEIVED, LocalState.EVICTED, LocalState.FETCHING, LocalState.MISSING}
    ),
}
"""The allowed transitions."""


@dataclasses.dataclass(slots=True)
class LocalFile:
    """A file that the host has offered."""

    track: Track
    state: LocalState = LocalState.MISSING
    is_new: bool = True
    """Offered since the last queue update: its row may not have arrived yet."""

    def become(self, state: LocalState) -> None:
        """Change the state. AssertionError if NEXT_STATES does not allow it."""
        assert state in NEXT_STATES[self.state], f"{self.state} to {state}"
        self.state = state

    @property
    def on_its_way(self) -> bool:
        """A fetch is running."""
        return self.state in (LocalState.FETCHING, LocalState.REFETCHING)


class PeerFiles:
    """The files that the host has offered.

    Methods with the argument `connected`: True if the host can receive an answer. If False, no answer is sent, because
    the host offers all files again after a reconnect.
    """

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None], pieces: PeerPieces) -> None:
        self._outbox = outbox
        self._pieces = pieces
        self._session_ns = session_ns
        """Returns the session time at a local time; None while the clock is not usable."""
        self._files: dict[UUID, LocalFile] = {}
        self._offered_back: dict[UUID, int] = {}
        """Songs whose files the host was offered, and how often they were sent."""
        self._access: tuple[int, bytes] | None = None
        """Peer number and token for fetches; None without a connection to the host."""
        self._room_bytes = MAX_KEPT_BYTES
        """How many bytes of tracks this machine can store."""
        self._held: dict[bytes, int] = {}
        """Hashes and sizes of the songs of `hold`."""
        self._kept: frozenset[bytes] = frozenset()
        """Hashes in the last `Keep`."""
        self._queue: tuple[QueueItem, ...] = ()
        self._sounding: frozenset[UUID] = frozenset()
        """The tracks of all timelines at the last `settle`."""
        self._stale = False
        """The files or the queue have changed since the last `settle`."""

    def room(self, room_bytes: int) -> None:
        """This machine can store `room_bytes` of tracks."""
        if room_bytes != self._room_bytes:
            self._room_bytes, self._stale = room_bytes, True

    def hold(self, tracks: Iterable[Track]) -> None:
        """This machine brings these songs to another host: their files must stay."""
        held = {track.sha256: track.size for track in tracks}
        if held != self._held:
            self._held, self._stale = held, True

    def keep(self, track: Track) -> None:
        """This machine was the host, and has this file."""
        self._files[track.file_id] = LocalFile(track, LocalState.RECEIVED)

    def tracks(self) -> Mapping[UUID, Track]:
        """All offered tracks."""
        return {file_id: file.track for file_id, file in self._files.items()}

    def sought(self, file_ids: Iterable[UUID]) -> None:
        """The host has no files of these songs: offer it those that are here."""
        if found := tuple(file_id for file_id in file_ids if self.has(file_id)):
            self._offered_back |= dict.fromkeys(found, 0)
            self._outbox.do(Send(HOST_CONN, m.SongsFound(found)))

    def send_back(self, file_id: UUID, access: tuple[int, bytes]) -> None:
        """Send a song to the host, which lacks its file, if the host was offered it; at most MAX_TRIES times.
        `access`: number and token of this peer."""
        tries, song = self._offered_back.get(file_id, MAX_TRIES), self.track(file_id)
        if tries < MAX_TRIES and self.has(file_id) and song is not None:
            self._offered_back[file_id] = tries + 1
            self._outbox.do(Upload(file_id, song.sha256, song.size, *access))

    def is_offered_back(self, file_id: UUID) -> bool:
        """The host was offered this file."""
        return file_id in self._offered_back

    def track(self, file_id: UUID | None) -> Track | None:
        """The offered track, or None."""
        file = self._files.get(file_id) if file_id is not None else None
        return file.track if file else None

    def has(self, file_id: UUID) -> bool:
        """The file is on this machine and can be played."""
        file = self._files.get(file_id)
        return file is not None and file.state is LocalState.RECEIVED

    def offered(self, start: m.FileTransferStart, peer_id: int, token: bytes, *, now_ns: int) -> bool:
        """The host offers a file. False if the offer contradicts an earlier one, or if there are too many files."""
        names = file_label(start.file_name), title(start.title), title(start.artist)
        track = Track(start.file_id, names[0], start.size, start.sha256, start.rate_hz, start.frames, *names[1:])
        file = self._files.setdefault(track.file_id, LocalFile(track))
        if file.track != track or len(self._files) > 2 * MAX_ITEMS:
            return False
        self._access = peer_id, token
        file.is_new = self._stale = True
        match file.state:
            case LocalState.RECEIVED:
                self._outbox.do(Send(HOST_CONN, m.FileReceived(track.file_id, hash_ok=True)))
            case LocalState.REFETCHING:
                file.become(LocalState.FETCHING)
            case LocalState.MISSING | LocalState.EVICTED:
                file.become(LocalState.FETCHING)
                self._outbox.do(Fetch(track, peer_id, token, start.root or b""))
                if start.root is not None:
                    self._pieces.begin(track)
                self._outbox.note_transfer(e.TransferState.STARTED, track, self._session_ns(now_ns))
            case LocalState.FETCHING:
                pass
        return True

    def gone(self, file_id: UUID, *, is_open: bool) -> None:
        """A file was deleted. Ignored for a file that is playing, if it is open: it plays to its end."""
        if self.has(file_id) and not (is_open and file_id in self._sounding):
            self._files[file_id].become(LocalState.EVICTED)
            self._stale = True

    def ready(self, file_id: UUID, *, connected: bool, now_ns: int) -> Track | None:
        """A fetched file is complete and has the right hash. Return its track; None if it is no longer needed."""
        file = self._files.get(file_id)
        if file is None or not file.on_its_way:
            return None
        if connected and file.state is LocalState.FETCHING:
            self._outbox.do(Send(HOST_CONN, m.FileReceived(file_id, hash_ok=True)))
        file.become(LocalState.RECEIVED)
        self._pieces.over(file_id)
        self._outbox.note(e.FileReady(self._session_ns(now_ns), file_id, file.track.file_name))
        return file.track

    def failed(self, file_id: UUID, reason: str, *, connected: bool, now_ns: int) -> None:
        """One attempt to fetch a file failed."""
        file = self._files.get(file_id)
        if file is None or not file.on_its_way:
            return
        if connected and file.state is LocalState.FETCHING:
            self._outbox.do(Send(HOST_CONN, m.FileReceived(file_id, hash_ok=False)))
        self._give_up(file)
        session_ns = self._session_ns(now_ns)
        self._outbox.note_transfer(e.TransferState.FAILED, file.track, session_ns, reason=sentence(reason))

    def unplayable(self, file_id: UUID, reason: str, *, connected: bool, now_ns: int) -> None:
        """This machine cannot decode a file. Call it after the fetch, instead of `ready`, or later."""
        file = self._files.get(file_id)
        if file is None or not (file.on_its_way or file.state is LocalState.RECEIVED):
            return
        if connected:
            self._outbox.do(Send(HOST_CONN, m.FileUnplayable(file_id, sentence(reason))))
            if file.state is LocalState.FETCHING:  # behind the other one: the host does not call the file ready
                self._outbox.do(Send(HOST_CONN, m.FileReceived(file_id, hash_ok=True)))
        file.become(LocalState.MISSING)
        self._pieces.over(file_id)
        notice = Notice(Code.UNPLAYABLE_HERE, sentence(reason), file_id, file.track.file_name)
        self._outbox.error(notice, self._session_ns(now_ns))

    def piece_ended(
        self, file_id: UUID, piece: int, source: int, result: m.PieceResult, *, connected: bool, now_ns: int
    ) -> None:
        """A task of `FetchPieces` has ended."""
        if self._pieces.ended(file_id, piece, source, result, now_ns=now_ns):
            self._outbox.do(CancelFetch(file_id))
            self.failed(file_id, NOT_IN_PIECES, connected=connected, now_ns=now_ns)

    def lost_host(self) -> None:
        """The host is lost: cancel all fetches. The host will offer the files again after a reconnect."""
        for file_id, file in self._files.items():
            if file.on_its_way:
                self._outbox.do(CancelFetch(file_id))
                self._give_up(file)
        self._access = None
        self._offered_back.clear()

    def take_queue(self, queue: tuple[QueueItem, ...]) -> None:
        """The host has sent its queue."""
        self._queue = queue
        for file in self._files.values():
            file.is_new = False
        self._stale = True

    def settle(self, sounding: frozenset[UUID]) -> None:
        """Bring files and cache up to date at the end of a call; `sounding` are the tracks of all timelines.

        Forget files that are neither in the queue nor in `sounding`, request `Keep` for the needed ones, and fetch
        kept ones that the cache has deleted.
        """
        if not self._stale and self._sounding == sounding:
            return
        self._sounding, self._stale = sounding, False
        new = {file_id for file_id, file in self._files.items() if file.is_new}
        for file_id in self._files.keys() - {item.id for item in self._queue} - sounding - new:
            if self._files.pop(file_id).on_its_way:
                self._outbox.do(CancelFetch(file_id))
                self._pieces.over(file_id)
        needed_ids = sounding | new | {item.id for item in self._queue if item.status is not ItemStatus.PLAYED}
        needed = [file for file_id, file in self._files.items() if file_id in needed_ids]
        kept = self._within_bound(needed) | self._held.keys()
        if kept != self._kept:
            self._kept = kept
            self._outbox.do(Keep(kept))
        for file in needed:
            if file.track.sha256 in kept and file.state is LocalState.EVICTED and self._access is not None:
                file.become(LocalState.REFETCHING)
                self._outbox.do(Fetch(file.track, *self._access))

    def _within_bound(self, needed: list[LocalFile]) -> frozenset[bytes]:
        """The hashes of the first files, in the order in which they are needed, that the bound allows."""
        places = {item.id: place for place, item in enumerate(self._queue)}
        now = max((places[file_id] for file_id in self._sounding if file_id in places), default=0)

        def need(file: LocalFile) -> tuple[bool, int]:
            file_id = file.track.file_id
            # A file without a row was just offered; its row comes behind the others.
            place = places.get(file_id, len(places))
            return file_id not in self._sounding, (place - now) % (len(places) + 1)

        left_bytes = min(MAX_KEPT_BYTES, self._room_bytes) - sum(self._held.values())
        kept: set[bytes] = set()
        for file in sorted(needed, key=need):
            if file.track.sha256 not in kept and file.track.sha256 not in self._held:
                left_bytes -= file.track.size
                if left_bytes < 0 and len(kept) >= max(ALWAYS_KEPT, len(self._sounding)):
                    break
                kept.add(file.track.sha256)
        return frozenset(kept)

    def _give_up(self, file: LocalFile) -> None:
        """The fetch of this file has failed or was cancelled."""
        self._pieces.over(file.track.file_id)
        file.become(LocalState.EVICTED if file.state is LocalState.REFETCHING else LocalState.MISSING)
