"""Decides which peer fetches which piece of which file from which source.

The host gives each of its pieces away once, each peer gets other ones first, and the peers pass them on: rarest first.
A port of a switch is then busy in both directions at the host and at every peer, and the last peer is complete soon
after the host has sent the file once (Mundinger, Weber and Weiss, "Optimal scheduling of peer-to-peer file
dissemination", Journal of Scheduling 11, 2008). relays.py decides which peers pass pieces on, and which others may ask
them.

A task is one piece that a peer fetches from one source: the host or another peer. Each peer has few of them at a time.
So few connections share a port, and their queue stays short.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.pieces import piece_bytes, piece_count

HOST = 0
"""The host as a source; members have numbers from 1 on."""
MAX_TASKS = 8
"""Tasks of one peer: enough for the time until the next plan, at 100 Mbit/s."""
MAX_SERVED = 8
"""Tasks at one member."""
MAX_SERVED_BY_HOST = 10
"""Tasks at the host."""
MAX_AT_ONE_RELAY = 3
"""Tasks of one peer at one member: the next ones are asked for before the first one is complete."""
MAX_AT_HOST = 4
"""Tasks of one peer at the host."""
MAX_LINKS = 8
"""Number of members that one member asks: each has a connection and a thread on both sides."""
LINK_WORTH = 2
"""A member that is asked already is asked rather than one that has this many tasks less."""
STRIDE = 0.6180339887
"""Part of a file between the first pieces of one peer and of the next one: the golden section spreads any number of
them evenly."""
OVERDUE_TIMES = 8
"""A source is overdue after this many times the usual wait for a piece."""
MIN_OVERDUE_NS = 500_000_000
"""Shortest time after which a source is overdue."""
MAX_OVERDUE_NS = 8_000_000_000
"""The longest one."""
STUCK_NS = 15_000_000_000
"""A member that asks only members, and gets nothing from them for this time, asks others."""
USUAL_WEIGHT = 16
"""The usual wait is the mean over about this many pieces."""


@frozen
class Sources:
    """The members that one member may ask."""

    relays: tuple[int, ...]
    """Those to ask rather come first."""
    spare_host: bool = False
    """The way from the host is the bottleneck: what one of the relays has, or gets, is not asked of the host."""


@frozen
class Task:
    """A member fetches a piece from a source."""

    peer_id: int
    file_id: UUID
    piece: int
    source: int


@dataclasses.dataclass(slots=True)
class _Fetcher:
    """A member that fetches one file."""

    first: int
    """The piece that it gets first, if all are equally rare."""
    tasks: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """Source and time of the assignment, by piece."""
    moved_at_ns: int = 0
    """When its last piece arrived."""


class _File:
    """One file that is fetched in pieces. Sets of pieces are bits of an int."""

    def __init__(self, size: int) -> None:
        self.count, self.piece_bytes = piece_count(size), piece_bytes(size)
        self.all = (1 << self.count) - 1
        self.have: dict[int, int] = {}
        """The pieces that each member can pass on."""
        self.coming: dict[int, int] = {}
        """The pieces for which each member has a task."""
        self.fetchers: dict[int, _Fetcher] = {}
        self.copies = [0] * self.count
        """How many members have each piece or get it."""
        self.usual_ns = 0.0
        """How long a member waits for the next piece of one source; 0: not known."""

    def missing(self, peer_id: int) -> int:
        """The pieces that the member does not have, and has no task for."""
        return self.all & ~self.have.get(peer_id, 0) & ~self.coming.get(peer_id, 0)

    def rarest(self, pieces: int, first: int) -> int:
        """The rarest of these pieces, counted from the piece `first` on if several are."""
        return min(_bits(pieces), key=lambda piece: (self.copies[piece], (piece - first) % self.count))

    def change(self, peer_id: int, have: int, coming: int) -> None:
        """The member has these pieces now, and gets those."""
        before = self.have.get(peer_id, 0) | self.coming.get(peer_id, 0)
        for piece in _bits(before ^ (have | coming)):
            self.copies[piece] += -1 if before >> piece & 1 else 1
        self.have[peer_id], self.coming[peer_id] = have, coming


class Swarm:
    """The tasks of all members. Times are session time in nanoseconds."""

    def __init__(self) -> None:
        self._files: dict[UUID, _File] = {}
        self._served = Counter[int]()
        """Number of tasks at each source."""
        self._links: dict[int, set[int]] = {}
        """The members that each member asks."""
        self._arrived_at_ns: dict[tuple[int, int], int] = {}
        """When the last piece of a source arrived, by member and source."""
        self._begun = 0
        """Number of fetches that have begun: each peer gets another piece first."""

    @property
    def active(self) -> bool:
        """Some member fetches something."""
        return any(file.fetchers for file in self._files.values())

    @property
    def fetching(self) -> frozenset[int]:
        """The members that fetch something."""
        return frozenset(peer_id for file in self._files.values() for peer_id in file.fetchers)

    def is_fetching(self, peer_id: int, file_id: UUID) -> bool:
        """The member fetches this file."""
        return file_id in self._files and peer_id in self._files[file_id].fetchers

    def begin(self, peer_id: int, file_id: UUID, size: int, *, now_ns: int) -> None:
        """A member begins to fetch a file. It has no piece of it that is known."""
        file = self._files.setdefault(file_id, _File(size))
        self.end(peer_id, file_id)
        first = int(self._begun * STRIDE % 1 * file.count)
        self._begun += 1
        file.fetchers[peer_id] = _Fetcher(first, moved_at_ns=now_ns)
        file.change(peer_id, 0, 0)

    def has_all(self, peer_id: int, file_id: UUID, size: int) -> None:
        """A member has the whole file, and can pass it on."""
        file = self._files.setdefault(file_id, _File(size))
        self.end(peer_id, file_id)
        file.change(peer_id, file.all, 0)

    def end(self, peer_id: int, file_id: UUID) -> None:
        """A member does not fetch this file any more, and has nothing of it."""
        file = self._files.get(file_id)
        if file is not None:
            if (fetcher := file.fetchers.pop(peer_id, None)) is not None:
                for source, _ in fetcher.tasks.values():
                    self._served[source] -= 1
            file.change(peer_id, 0, 0)
            del file.have[peer_id], file.coming[peer_id]

    def forget(self, file_id: UUID) -> None:
        """The file is not in the queue any more."""
        for peer_id in list(self._files[file_id].have):
            self.end(peer_id, file_id)
        del self._files[file_id]

    @property
    def file_ids(self) -> tuple[UUID, ...]:
        """The files of which some member has, or had, a piece."""
        return tuple(self._files)

    def left(self, peer_id: int) -> None:
        """A member is gone, and with it all that it has. Its tasks and those at it are over."""
        self._links.pop(peer_id, None)
        for links in self._links.values():
            links.discard(peer_id)
        self._arrived_at_ns = {pair: at_ns for pair, at_ns in self._arrived_at_ns.items() if peer_id not in pair}
        for file_id, file in self._files.items():
            self.end(peer_id, file_id)
            for other, fetcher in file.fetchers.items():
                for piece in [piece for piece, (source, _) in fetcher.tasks.items() if source == peer_id]:
                    self._drop(file, other, piece)

    def is_task(self, task: Task) -> bool:
        """The member has this task."""
        fetcher = self._fetcher(task)
        return fetcher is not None and fetcher.tasks.get(task.piece, (None, 0))[0] == task.source

    def done(self, task: Task, *, now_ns: int) -> None:
        """A piece has arrived at a member that fetches the file, and is right. The task may be over already."""
        file = self._files[task.file_id]
        fetcher = file.fetchers[task.peer_id]
        if not 0 <= task.piece < file.count:
            return
        if task.piece in fetcher.tasks:
            if self.is_task(task):
                waited_ns = now_ns - self._waits_since_ns(task.peer_id, *fetcher.tasks[task.piece])
                file.usual_ns += (waited_ns - file.usual_ns) / (USUAL_WEIGHT if file.usual_ns else 1)
                self._arrived_at_ns[task.peer_id, task.source] = now_ns
            self._drop(file, task.peer_id, task.piece)
        fetcher.moved_at_ns = now_ns
        file.change(task.peer_id, file.have[task.peer_id] | 1 << task.piece, file.coming[task.peer_id])

    def failed(self, task: Task) -> None:
        """The piece of a task did not arrive, or was wrong. The next plan gives it to another source."""
        if self.is_task(task):
            self._unlink(task)
            self._drop(self._files[task.file_id], task.peer_id, task.piece)

    def done_bytes(self, peer_id: int, file_id: UUID, size: int) -> int:
        """How much of a file of `size` bytes a member has."""
        file = self._files[file_id]
        return min(file.have[peer_id].bit_count() * file.piece_bytes, size)

    def overdue(self, *, now_ns: int) -> list[Task]:
        """The tasks at members that send nothing for too long while the same member gets pieces from others, or that
        are all that it has. They are over now. A member that gets nothing from the host either is itself the reason."""
        late = []
        for file_id, file in self._files.items():
            limit_ns = min(max(int(OVERDUE_TIMES * file.usual_ns), MIN_OVERDUE_NS), MAX_OVERDUE_NS)
            for peer_id, fetcher in file.fetchers.items():
                tasks = list(fetcher.tasks.items())
                asks_host = any(source == HOST for _, (source, _) in tasks)
                for piece, (source, asked_at_ns) in tasks:
                    since_ns = self._waits_since_ns(peer_id, source, asked_at_ns)
                    moves, waits_ns = fetcher.moved_at_ns > since_ns, now_ns - since_ns
                    is_late = waits_ns > limit_ns if moves else waits_ns > STUCK_NS and not asks_host
                    if source != HOST and is_late:
                        late.append(Task(peer_id, file_id, piece, source))
                        self.failed(late[-1])
        return late

    def plan(self, sources: Mapping[int, Sources], order: Sequence[UUID], *, now_ns: int) -> list[Task]:
        """The next tasks. `sources`: of each member that fetches something. `order`: the files, those needed first
        first."""
        tasks = []
        counts = Counter(
            peer_id for file in self._files.values() for peer_id, one in file.fetchers.items() for _ in one.tasks
        )
        files = [(file_id, self._files[file_id]) for file_id in order if file_id in self._files]
        waiting = {peer_id for _, file in files for peer_id in file.fetchers if peer_id in sources}
        while waiting:
            for peer_id in sorted(waiting, key=lambda one: (counts[one], one)):
                task = None
                if counts[peer_id] < MAX_TASKS:
                    chosen = (self._next(peer_id, file_id, file, sources[peer_id]) for file_id, file in files)
                    task = next((one for one in chosen if one is not None), None)
                if task is None:
                    waiting.discard(peer_id)
                    continue
                file = self._files[task.file_id]
                file.fetchers[peer_id].tasks[task.piece] = task.source, now_ns
                if task.source != HOST:
                    self._links.setdefault(peer_id, set()).add(task.source)
                file.change(peer_id, file.have[peer_id], file.coming[peer_id] | 1 << task.piece)
                self._served[task.source] += 1
                counts[peer_id] += 1
                tasks.append(task)
        return tasks

    def _next(self, peer_id: int, file_id: UUID, file: _File, sources: Sources) -> Task | None:
        fetcher = file.fetchers.get(peer_id)
        missing = file.missing(peer_id) if fetcher is not None else 0
        if fetcher is None or not missing:
            return None
        asked = Counter(source for source, _ in fetcher.tasks.values())
        links = self._links.get(peer_id, ())
        may_link = sources.spare_host or len(links) < MAX_LINKS
        covered = union = 0
        free: list[tuple[int, int]] = []
        for relay in sources.relays:
            have = file.have.get(relay, 0)
            covered |= have | file.coming.get(relay, 0)
            is_free = self._served[relay] < MAX_SERVED and asked[relay] < MAX_AT_ONE_RELAY
            if have & missing and is_free and (may_link or relay in links):
                free.append((relay, have & missing))
                union |= have & missing
        host_is_free = self._served[HOST] < MAX_SERVED_BY_HOST and asked[HOST] < MAX_AT_HOST
        if host_is_free and (new := missing & ~covered):
            return Task(peer_id, file_id, file.rarest(new, fetcher.first), HOST)
        if free:
            piece = file.rarest(union, fetcher.first)
            having = [relay for relay, pieces in free if pieces >> piece & 1]
            source = min(having, key=lambda relay: self._served[relay] - LINK_WORTH * (relay in links))
            return Task(peer_id, file_id, piece, source)
        if host_is_free and not (sources.spare_host and covered):
            return Task(peer_id, file_id, file.rarest(missing, fetcher.first), HOST)
        return None

    def _fetcher(self, task: Task) -> _Fetcher | None:
        file = self._files.get(task.file_id)
        return file.fetchers.get(task.peer_id) if file is not None else None

    def _waits_since_ns(self, peer_id: int, source: int, asked_at_ns: int) -> int:
        """Since when a member waits for the next piece of a source: it sends those that were asked for before first."""
        return max(asked_at_ns, self._arrived_at_ns.get((peer_id, source), asked_at_ns))

    def _unlink(self, task: Task) -> None:
        self._links.get(task.peer_id, set()).discard(task.source)

    def _drop(self, file: _File, peer_id: int, piece: int) -> None:
        """The task is over, without a piece."""
        source, _ = file.fetchers[peer_id].tasks.pop(piece)
        self._served[source] -= 1
        file.change(peer_id, file.have[peer_id], file.coming[peer_id] & ~(1 << piece))


def _bits(pieces: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while pieces:
        low = pieces & -pieces
        yield low.bit_length() - 1
        pieces ^= low
