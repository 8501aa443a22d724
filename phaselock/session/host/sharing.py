"""Leads the fetches of files in pieces: tells each member its next tasks, and takes what has become of them.

swarm.py decides which piece a member fetches from which source, and relays.py decides which sources it may ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import HashPieces, Send
from phaselock.session.host.members import Member, Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.relays import Relays
from phaselock.session.host.swarm import HOST, Sources, Swarm, Task
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox

MIN_SHARED_BYTES = 2 << 20
"""Smaller files go from the host to each peer at once."""
PLAN_NS = 10_000_000
"""Shortest time between two plans."""
PLAN_MEMBER_NS = 500_000
"""The same for each member of a large session, in which a plan takes longer."""
LOOK_NS = 250_000_000
"""Longest time between two plans: only a plan finds overdue tasks. The sources of the members are computed again after
this time, because they change with the reports of the members."""


class Sharing:
    """The fetches in pieces of all members. The session calls `settle` at the end of each of its calls."""

    def __init__(
        self, members: Members, queue: HostQueue, transport: TransportControl, relays: Relays, outbox: Outbox
    ) -> None:
        self._members = members
        self._queue = queue
        self._transport = transport
        self._relays = relays
        self._outbox = outbox
        self._swarm = Swarm()
        self._roots: dict[UUID, bytes | None] = {}
        """The root of each file; None: it is being made; empty: there is none."""
        self._told: set[tuple[int, UUID, int]] = set()
        """Member, file and source: the member knows where the source is."""
        self._sources: dict[int, Sources] = {}
        """The relays of each member that fetches something, as they were at this time."""
        self._sources_at_ns: int | None = None
        """None: they have changed since."""
        self._planned_at_ns = 0
        self._stale = False
        """Something has changed since the last plan."""

    def root(self, member: Member, track: Track, *, now_ns: int) -> bytes | None:
        """The root with which this track is offered to this member. Empty: it fetches the whole file from the host.
        None: not known yet, `hashed` will follow."""
        if track.size < MIN_SHARED_BYTES or not self._relays.sources(member, now_ns=now_ns).relays:
            return b""
        if track.file_id not in self._roots:
            self._roots[track.file_id] = None
            self._outbox.do(HashPieces(track))
        return self._roots[track.file_id]

    def hashed(self, file_id: UUID, root: bytes) -> None:
        """The root of a file; empty: the file cannot be read."""
        if file_id in self._roots:
            self._roots[file_id] = root
            self._members.request_offers()

    def begin(self, member: Member, track: Track, *, now_ns: int) -> None:
        """The member is offered this track with its root."""
        self._swarm.begin(member.peer_id, track.file_id, track.size, now_ns=now_ns)
        self._sources_at_ns = None
        self._forget(lambda told: told[:2] == (member.peer_id, track.file_id))
        self._stale = True

    def answered(self, member: Member, track: Track, hash_ok: bool) -> None:
        """An attempt of the member to fetch this track has ended: it has the whole file now, or nothing of it."""
        if hash_ok and track.size >= MIN_SHARED_BYTES:
            self._swarm.has_all(member.peer_id, track.file_id, track.size)
        else:
            self._swarm.end(member.peer_id, track.file_id)
        self._stale = True

    def willing(self, member: Member, told: m.PiecesAt) -> None:
        """The member passes pieces on."""
        self._relays.take(member, told)
        self._sources_at_ns = None
        self._forget(lambda told: told[2] == member.peer_id)

    def left(self, member: Member) -> None:
        """The member has left."""
        self._swarm.left(member.peer_id)
        self._relays.left(member.peer_id)
        self._sources_at_ns = None
        self._forget(lambda told: member.peer_id in (told[0], told[2]))
        self._stale = True

    def ended(self, member: Member, message: m.PiecesEnded, *, now_ns: int) -> int | None:
        """Tasks of a member have ended. Return how many bytes of the file it has; None: it does not fetch it in
        pieces."""
        track = self._queue.rows.track(message.file_id)
        if track is None or not self._swarm.is_fetching(member.peer_id, message.file_id):
            return None
        self._stale = True
        for end in message.ended:
            task = Task(member.peer_id, message.file_id, end.piece, end.source)
            is_known = self._swarm.is_task(task)
            if end.result == "right":
                self._swarm.done(task, now_ns=now_ns)
                self._relays.delivered(member, end.source)
            elif is_known:
                self._swarm.failed(task)
                if end.source != HOST and end.result == "wrong":
                    self._relays.wrong(member, end.source, now_ns=now_ns)
                    self._sources_at_ns = None
                elif end.source != HOST:
                    self._lost(member, end.source, now_ns)
        return self._swarm.done_bytes(member.peer_id, message.file_id, track.size)

    def settle(self, *, now_ns: int) -> None:
        """Make the next plan, if it is time for it."""
        due_ns = self._due_ns()
        if due_ns is not None and now_ns >= due_ns:
            self._planned_at_ns, self._stale = now_ns, False
            self._plan(now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """The time at which the session must be called."""
        if (due_ns := self._due_ns()) is not None:
            yield due_ns

    def _due_ns(self) -> int | None:
        if not self._swarm.active:
            return None
        return self._planned_at_ns + (max(PLAN_NS, PLAN_MEMBER_NS * len(self._members)) if self._stale else LOOK_NS)

    def _plan(self, now_ns: int) -> None:
        members = {member.peer_id: member for member in self._members}
        gone = {file_id for file_id in self._swarm.file_ids if self._queue.rows.track(file_id) is None}
        for file_id in gone:
            self._swarm.forget(file_id)
            self._roots.pop(file_id, None)
        self._forget(lambda told: told[1] in gone)
        for task in self._swarm.overdue(now_ns=now_ns):
            self._lost(members[task.peer_id], task.source, now_ns)
        if self._sources_at_ns is None or now_ns - self._sources_at_ns >= LOOK_NS:
            self._sources_at_ns = now_ns
            fetching = self._swarm.fetching
            self._sources = {peer_id: self._relays.sources(members[peer_id], now_ns=now_ns) for peer_id in fetching}
        order = [track.file_id for track in self._transport.in_order_of_need()]
        tasks: dict[tuple[int, UUID], list[m.PieceTask]] = {}
        for task in self._swarm.plan(self._sources, order, now_ns=now_ns):
            tasks.setdefault((task.peer_id, task.file_id), []).append(m.PieceTask(task.piece, task.source))
        for (peer_id, file_id), found in tasks.items():
            member = members[peer_id]
            for source in {task.source for task in found} - {HOST}:
                if (peer_id, file_id, source) not in self._told:
                    self._told.add((peer_id, file_id, source))
                    self._outbox.do(Send(member.conn, self._relays.describe(source, member, file_id)))
            self._outbox.do(Send(member.conn, m.PieceTasks(file_id, tuple(found))))

    def _lost(self, member: Member, source: int, now_ns: int) -> None:
        self._relays.lost(member, source, now_ns=now_ns)
        self._sources_at_ns = None

    def _forget(self, is_old: Callable[[tuple[int, UUID, int]], bool]) -> None:
        self._told = {told for told in self._told if not is_old(told)}
