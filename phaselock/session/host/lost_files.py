"""The songs of the queue whose files a new host does not have: it gets them from peers, as songs that they ask for.

Each member sends one file at a time, in the order of the queue.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from uuid import UUID

from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import Send
from phaselock.session.host.members import UPLOAD_LIMIT_NS, Member, Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requests import MAX_TRIES, Request
from phaselock.session.outbox import Outbox

SLOWEST_BYTES_PER_S = 20_000
"""A member that sends a song at a smaller mean rate is given up: others may have it."""


@dataclasses.dataclass(slots=True)
class _Lost:
    """One such song."""

    track: Track
    having: list[int] = dataclasses.field(default_factory=list)
    """Connections of members that have it."""
    sender: int | None = None
    """Connection of the one that sends it now."""
    tries: int = 0
    """Its attempts so far."""
    give_up_at_ns: int = 0
    """When another member is asked."""
    late_at_ns: int = 0
    """When another member is asked in any case."""


class LostFiles:
    """`now_ns` is session time."""

    def __init__(self, members: Members, queue: HostQueue, outbox: Outbox) -> None:
        self._members = members
        self._queue = queue
        self._outbox = outbox
        self._lost: dict[UUID, _Lost] = {}

    def inherit(self, tracks: Iterable[Track]) -> None:
        """These songs are in the queue, but not on this machine."""
        self._lost = {track.file_id: _Lost(track) for track in tracks}
        self._members.lost_files = self._lost.keys()

    def track(self, file_id: UUID) -> Track | None:
        """The song, if its file is lost; otherwise None."""
        lost = self._lost.get(file_id)
        return lost.track if lost is not None else None

    def joined(self, member: Member) -> None:
        """A member may have some of them."""
        if self._lost:
            self._outbox.do(Send(member.conn, m.SongsSought(tuple(self._lost))))

    def found(self, member: Member, file_ids: Iterable[UUID], *, now_ns: int) -> None:
        """A member has these."""
        for file_id in file_ids:
            lost = self._lost.get(file_id)
            if lost is not None and member.conn not in lost.having:
                lost.having.append(member.conn)
        self._go_on(now_ns)

    def begin_upload_attempt(self, member: Member | None, file_id: UUID, sha256: bytes) -> Request | None:
        """The song that this member may send now, if its file has this hash; otherwise None. Each call counts as one
        attempt."""
        lost = self._lost.get(file_id)
        if lost is None or member is None or lost.sender != member.conn or lost.tries >= MAX_TRIES:
            return None
        if sha256 != lost.track.sha256:
            return None
        lost.tries += 1
        t = lost.track
        return Request(file_id, 0, member, t.file_name, t.size, t.title, t.artist, t.duration_s)

    def progressed(self, file_id: UUID, *, now_ns: int) -> None:
        """Bytes of it have arrived."""
        if (lost := self._lost.get(file_id)) is not None:
            lost.give_up_at_ns = min(now_ns + UPLOAD_LIMIT_NS, lost.late_at_ns)

    def arrived(self, file_id: UUID, track: Track, *, now_ns: int) -> bool:
        """The file of this song has arrived. False if it is another one."""
        lost = self._lost.get(file_id)
        if lost is None or (track.sha256, track.size) != (lost.track.sha256, lost.track.size):
            return False
        del self._lost[file_id]
        self._queue.mark_stale()
        self._members.request_offers()
        self._go_on(now_ns)
        return True

    def failed(self, file_id: UUID, *, now_ns: int) -> None:
        """The member that sends it cannot: another one may."""
        lost = self._lost.get(file_id)
        if lost is not None and lost.sender is not None:
            lost.having.remove(lost.sender)
            lost.sender = None
            self._go_on(now_ns)

    def timer(self, *, now_ns: int) -> None:
        """Ask other members where nothing arrives, and forget songs that have left the queue."""
        for file_id, lost in list(self._lost.items()):
            if self._queue.rows.entry(file_id) is None:
                del self._lost[file_id]
            elif lost.sender is not None and now_ns >= lost.give_up_at_ns:
                self.failed(file_id, now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` must be called."""
        return (lost.give_up_at_ns for lost in self._lost.values() if lost.sender is not None)

    def left(self, member: Member, *, now_ns: int) -> None:
        """A member has left, or is lost."""
        for lost in self._lost.values():
            if member.conn in lost.having:
                lost.having.remove(member.conn)
            if lost.sender == member.conn:
                lost.sender = None
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        """Ask each member that sends nothing for the first song that it has."""
        busy = {lost.sender for lost in self._lost.values()}
        for file_id, lost in self._lost.items():
            idle = next((conn for conn in lost.having if conn not in busy), None)
            if lost.sender is None and idle is not None:
                busy.add(idle)
                lost.sender, lost.tries, lost.give_up_at_ns = idle, 0, now_ns + UPLOAD_LIMIT_NS
                lost.late_at_ns = lost.give_up_at_ns + lost.track.size * 1_000_000_000 // SLOWEST_BYTES_PER_S
                self._outbox.do(Send(idle, m.SongRequestAccepted(file_id)))
