"""Transfers in pieces on a switch: every machine has a port of the same rate in each direction.

Connections that share a port get max-min fair rates (Bertsekas and Gallager, "Data Networks", section 6.5.2).
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from uuid import UUID

from phaselock.model.pieces import piece_count, piece_span
from phaselock.session.host.swarm import HOST, Sources, Swarm, Task

FILE_ID = UUID(int=1)
PORT_BYTES_PER_S = 11_800_000
"""100 Mbit/s, without the headers of Ethernet, IP, TCP and TLS."""
MESSAGE_S = 0.0005
"""From one program to another one."""
CONNECT_S = 0.005
"""Until the first byte on a new connection."""
REPORT_S = 0.01
"""A peer collects its reports for this time."""
PLAN_S = 0.01
"""The shortest time between two plans of the host."""


@dataclasses.dataclass(slots=True, eq=False)
class _Flow:
    """A connection over which one peer fetches pieces from one source."""

    source: int
    peer: int
    queue: deque[int] = dataclasses.field(default_factory=deque)
    left_bytes: float = 0.0
    since_s: float = 0.0
    rate: float = 0.0
    version: int = 0
    open_at_s: float = 0.0


class SwarmSimulation:
    """`peers` machines fetch one file of `size` bytes. `slow`: the rates of ports in bytes a second, by number.
    `liars`: what they pass on is wrong. `dies`: when a peer is gone, by number. `rate`: that of the other ports."""

    def __init__(
        self,
        peers: int,
        size: int,
        *,
        slow: dict[int, float] | None = None,
        liars: frozenset[int] = frozenset(),
        dies: dict[int, float] | None = None,
        silent: bool = False,
        sources: Callable[[int], Sources] | None = None,
        rate: float = PORT_BYTES_PER_S,
    ) -> None:
        self.size, self.count = size, piece_count(size)
        self.peers = set(range(1, peers + 1))
        self.slow, self.liars, self.silent = slow or {}, liars, silent
        self.rate = rate
        self.mortal = frozenset(dies or {})
        self.dead: set[int] = set()
        self.swarm = Swarm()
        self.have: dict[int, set[int]] = {peer: set() for peer in self.peers}
        self.done_at_s: dict[int, float] = {}
        self.sent_bytes = dict.fromkeys([HOST, *self.peers], 0.0)
        self.left_out: set[int] = set()
        self.avoided: set[int] = set()
        self.tasks = self.reports = self.plans = 0
        self.links: dict[int, set[int]] = {peer: set() for peer in self.peers}
        self._sources = sources or self._everybody
        self._now_s = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._flows: dict[tuple[int, int], _Flow] = {}
        self._moving: list[_Flow] = []
        self._share_due = False
        self._ended: dict[int, list[tuple[int, int, bool]]] = {}
        self._planned_at_s = -1.0
        self._plan_due = False
        for peer in sorted(self.peers):
            self.swarm.begin(peer, FILE_ID, size, now_ns=0)
        for peer, at_s in (dies or {}).items():
            self._at(at_s, lambda peer=peer: self._die(peer))

    def run(self, until_s: float = 300.0) -> float:
        """Return when the last peer has everything, in seconds. Those that die or are slow do not count."""
        self._want_plan()
        counted = self.peers - self.slow.keys() - self.mortal
        while self._events and self._now_s < until_s and counted - self.done_at_s.keys():
            self._now_s, _, act = heapq.heappop(self._events)
            act()
        return max(self.done_at_s.get(peer, until_s) for peer in counted)

    # -- the host ------------------------------------------------------------------------------------------------------

    def _everybody(self, peer: int) -> Sources:
        relays = sorted(self.peers - {peer} - self.left_out, key=lambda one: (one in self.avoided, one))
        return Sources(tuple(relays))

    def _want_plan(self) -> None:
        if not self._plan_due:
            self._plan_due = True
            self._at(max(self._now_s, self._planned_at_s + PLAN_S), self._plan)

    def _plan(self) -> None:
        self._plan_due, self._planned_at_s = False, self._now_s
        self.plans += 1
        now_ns = round(self._now_s * 1e9)
        self.avoided |= {task.source for task in self.swarm.overdue(now_ns=now_ns)}
        sources = {peer: self._sources(peer) for peer in self.peers - self.dead}
        for task in self.swarm.plan(sources, [FILE_ID], now_ns=now_ns):
            self.tasks += 1
            self._at(self._now_s + MESSAGE_S, lambda task=task: self._begin(task))
        self._at(self._now_s + 0.25, self._want_plan)

    def _take(self, peer: int, ended: list[tuple[int, int, bool]]) -> None:
        self.reports += 1
        for piece, source, right in ended:
            task = Task(peer, FILE_ID, piece, source)
            if not self.swarm.is_fetching(peer, FILE_ID):
                return
            if right:
                self.swarm.done(task, now_ns=round(self._now_s * 1e9))
            else:
                self.swarm.failed(task)
                self.left_out.add(source)
        if len(self.have[peer]) == self.count:
            self.swarm.has_all(peer, FILE_ID, self.size)
        self._want_plan()

    # -- the peers -----------------------------------------------------------------------------------------------------

    def _begin(self, task: Task) -> None:
        if task.peer_id in self.dead:
            return
        key = task.source, task.peer_id
        for (source, peer), other in list(self._flows.items()):
            if peer == task.peer_id and source != task.source and task.piece in other.queue:
                self._shut(other)
        if key not in self._flows:
            self._flows[key] = _Flow(*key, open_at_s=self._now_s + CONNECT_S)
            self.links[task.peer_id].add(task.source)
        flow = self._flows[key]
        flow.queue.append(task.piece)
        if len(flow.queue) == 1:
            self._at(max(self._now_s + MESSAGE_S, flow.open_at_s), lambda: self._start(flow))

    def _start(self, flow: _Flow) -> None:
        if flow.queue and self._flows.get((flow.source, flow.peer)) is flow:
            if flow.source in self.dead:
                if not self.silent:
                    self._lose(flow)
                return
            flow.left_bytes, flow.since_s = piece_span(self.size, flow.queue[0])[1], self._now_s
            self._moving.append(flow)
            self._share()

    def _share(self) -> None:
        """Give all flows that move their max-min fair rates, at the end of this instant."""
        if not self._share_due:
            self._share_due = True
            self._at(self._now_s, self._share_now)

    def _share_now(self) -> None:
        self._share_due = False
        rates = self._fair_rates()
        for flow in self._moving:
            if abs(rates[id(flow)] - flow.rate) > 1e-6 * flow.rate:
                self._advance(flow)
                flow.rate, flow.version = rates[id(flow)], flow.version + 1
                end_s = self._now_s + max(flow.left_bytes, 0) / flow.rate
                self._at(end_s, lambda flow=flow, version=flow.version: self._arrived(flow, version))

    def _fair_rates(self) -> dict[int, float]:
        """Progressive filling: the port with the least room for each of its flows decides for them."""
        users: dict[tuple[bool, int], list[_Flow]] = {}
        for flow in self._moving:
            users.setdefault((True, flow.source), []).append(flow)
            users.setdefault((False, flow.peer), []).append(flow)
        room = {port: self.slow.get(port[1], self.rate) for port in users}
        count = {port: len(flows) for port, flows in users.items()}
        rates: dict[int, float] = {}
        while count:
            tight = min(count, key=lambda port: room[port] / count[port])
            rate = room[tight] / count[tight]
            for flow in users[tight]:
                if id(flow) not in rates:
                    rates[id(flow)] = rate
                    for port in ((True, flow.source), (False, flow.peer)):
                        if port in count:
                            room[port] -= rate
                            count[port] -= 1
                            if not count[port] and port != tight:
                                del count[port]
            count.pop(tight, None)
        return rates

    def _advance(self, flow: _Flow) -> None:
        moved = flow.rate * (self._now_s - flow.since_s)
        flow.left_bytes, flow.since_s = flow.left_bytes - moved, self._now_s
        self.sent_bytes[flow.source] += moved

    def _stop(self, flow: _Flow) -> None:
        """Nothing moves on this connection now."""
        if flow in self._moving:
            self._advance(flow)
            self._moving.remove(flow)
            flow.rate, flow.version = 0.0, flow.version + 1
            self._share()

    def _shut(self, flow: _Flow) -> None:
        self._stop(flow)
        del self._flows[flow.source, flow.peer]

    def _arrived(self, flow: _Flow, version: int) -> None:
        if version != flow.version or flow.peer in self.dead:
            return
        self._stop(flow)
        piece, right = flow.queue.popleft(), flow.source not in self.liars
        if right:
            self.have[flow.peer].add(piece)
            if len(self.have[flow.peer]) == self.count:
                self.done_at_s.setdefault(flow.peer, self._now_s)
        self._report(flow.peer, piece, flow.source, right)
        self._start(flow)

    def _lose(self, flow: _Flow) -> None:
        for piece in flow.queue:
            self._report(flow.peer, piece, flow.source, False)
        self._shut(flow)

    def _report(self, peer: int, piece: int, source: int, right: bool) -> None:
        if peer not in self._ended:
            self._ended[peer] = []
            self._at(self._now_s + REPORT_S, lambda: self._send_report(peer))
        self._ended[peer].append((piece, source, right))

    def _send_report(self, peer: int) -> None:
        ended = self._ended.pop(peer)
        self._at(self._now_s + MESSAGE_S, lambda: self._take(peer, ended))

    def _die(self, peer: int) -> None:
        """The peer is gone. If `silent`, no machine is told: its bytes just end."""
        self.dead.add(peer)
        for flow in [one for one in self._flows.values() if peer in (one.source, one.peer)]:
            if flow.source == peer and not self.silent:
                self._lose(flow)
            else:
                self._stop(flow)
        if not self.silent:
            self.swarm.left(peer)
            self._want_plan()
        else:
            self._at(self._now_s + 5.0, lambda: (self.swarm.left(peer), self._want_plan())[0])

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._numbers), act))
