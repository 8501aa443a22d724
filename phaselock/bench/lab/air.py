"""Songs, and the clock beside them, on a path that both share, in virtual time: how much of the path the songs use, and
how wrong the clock is meanwhile.

Pure. The host sends, a peer measures the host's clock with the schedule of ext/pl_udp.h. True time is the host's. A
path is one of links.py, or `Radio`: a Wi-Fi channel that others use, too.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from phaselock import _native
from phaselock.bench.lab.exchanges import (
    MEAN_RESPONSE_JITTER_NS,
    MIN_RESPONSE_NS,
    PACKET_BYTES,
    random_crystal,
    train_shape,
)
from phaselock.bench.lab.links import (
    DATAGRAM_OVERHEAD_BYTES,
    SEGMENT_BYTES,
    SEGMENT_OVERHEAD_BYTES,
    Link,
    Path,
    Uplink,
)
from phaselock.frozen import frozen
from phaselock.network.congestion import CongestionWindow

MS_NS, S_NS = 1_000_000, 1_000_000_000
DOWN, UP = 0, 1
"""From the host to the peer, and back."""
FRAME_BYTES, ACKNOWLEDGEMENT_BYTES = 70, 40
"""What framing and encryption add to a piece; an encrypted acknowledgement."""
ERROR_EVERY_NS = S_NS // 4


class Loop:
    """Calls functions at points in virtual time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, due_ns: int, call: Callable[[], None]) -> None:
        """Call `call` at `due_ns`, or now if that has passed."""
        heapq.heappush(self._due, (max(due_ns, self.now_ns), next(self._order), call))

    def run(self, until_ns: int) -> None:
        """Make all calls up to this time."""
        while self._due and self._due[0][0] <= until_ns:
            self.now_ns, _, call = heapq.heappop(self._due)
            call()
        self.now_ns = until_ns


class Medium(Protocol):
    """Carries packets DOWN and UP; `arrived` is called at the arrival of the last byte."""

    def datagram(self, way: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        """Send a packet of the clock, which may be lost."""

    def stream(self, way: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        """Send bytes of a TCP connection, behind all earlier ones."""


class Cable:
    """Two machines, each with the same link of links.py."""

    def __init__(self, loop: Loop, link: Link, seed: str) -> None:
        self._loop = loop
        self._paths = [Path(Uplink(link), link, f"{seed} {way}") for way in (DOWN, UP)]
        self._arrives_ns = [0, 0]

    def datagram(self, way: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        at_ns = self._paths[way].datagram(size_bytes, self._loop.now_ns)
        if at_ns is not None:
            self._loop.at(at_ns, arrived)

    def stream(self, way: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        for begin in range(0, size_bytes, SEGMENT_BYTES):
            at_ns = self._paths[way].segment(min(SEGMENT_BYTES, size_bytes - begin), self._loop.now_ns)
            self._arrives_ns[way] = max(self._arrives_ns[way], at_ns)
        self._loop.at(self._arrives_ns[way], arrived)


@frozen
class Channel:
    """A Wi-Fi channel. `others` is the probability that another station wins the channel before each try."""

    others: float
    priority: bool = True
    """Packets of the clock go first, as their DSCP asks for; False as with an access point that ignores it."""
    mbit: tuple[float, float] = (90, 180)
    """The rate changes between these, every CHANGE_S in the mean."""


CHANGE_S = 0.4
OTHERS_MS = (0.5, 3.5)
"""How long another station sends."""
BACKOFF_MS = (0.05, 0.2)
PREAMBLE_MS = 0.15
"""With the acknowledgement of the radio."""
MAX_TURN_MS, MAX_FRAMES = 3.0, 32
"""The longest aggregate."""
RETRY = 0.1
"""The part of the aggregates that is sent once more."""
WIRE_NS = 300_000
"""From the access point to the host."""


class Radio:
    """The channel of one access point. Each turn carries what waits for one direction, up to a longest aggregate: so a
    window of many bytes is not late because of its own queue only, and a small one wastes turns.

    The random numbers depend on the time at which the idle channel got a packet. So pings between songs take as long as
    without songs: the errors of the clock with and without them differ by the songs alone."""

    def __init__(self, loop: Loop, channel: Channel, seed: str) -> None:
        self._loop, self._channel, self._seed = loop, channel, seed
        self._random = random.Random()
        self._rates = random.Random(f"{seed} rates")
        self._mbit = channel.mbit[0]
        self._queues: dict[tuple[int, int], list[tuple[int, Callable[[], None] | None]]] = {
            (rank, way): [] for rank in (0, 1) for way in (DOWN, UP)
        }
        """(bytes, call at arrival) of the packets of each rank, 0 first, and way."""
        self._is_idle = True
        self._change_rate()

    def datagram(self, way: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        self._put(0 if self._channel.priority else 1, way, size_bytes + DATAGRAM_OVERHEAD_BYTES, arrived)

    def stream(self, way: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        for begin in range(0, size_bytes, SEGMENT_BYTES):
            left_bytes = size_bytes - begin
            size = min(SEGMENT_BYTES, left_bytes) + SEGMENT_OVERHEAD_BYTES
            self._put(1, way, size, arrived if left_bytes <= SEGMENT_BYTES else None)

    def _change_rate(self) -> None:
        self._mbit = self._rates.uniform(*self._channel.mbit)
        self._loop.at(self._loop.now_ns + round(self._rates.expovariate(1 / CHANGE_S) * S_NS), self._change_rate)

    def _put(self, rank: int, way: int, size_bytes: int, arrived: Callable[[], None] | None) -> None:
        self._queues[rank, way].append((size_bytes, arrived))
        if self._is_idle:
            self._is_idle = False
            self._random.seed(f"{self._seed} radio {self._loop.now_ns}")
            self._loop.at(self._loop.now_ns + self._access_ns(), self._turn)

    def _access_ns(self) -> int:
        wait_ms = self._random.uniform(*BACKOFF_MS)
        while self._random.random() < self._channel.others:
            wait_ms += self._random.uniform(*OTHERS_MS) + self._random.uniform(*BACKOFF_MS)
        return round(wait_ms * MS_NS)

    def _turn(self) -> None:
        waiting = [key for key, queue in self._queues.items() if queue]
        if not waiting:
            self._is_idle = True
            return
        queue = self._queues[self._random.choice([key for key in waiting if key[0] == waiting[0][0]])]
        count, air_ms = 0, 0.0
        while count < min(len(queue), MAX_FRAMES) and air_ms < MAX_TURN_MS:
            air_ms += queue[count][0] * 8e-3 / self._mbit
            count += 1
        over_ns = self._loop.now_ns + round((PREAMBLE_MS + air_ms) * MS_NS)
        if self._random.random() >= RETRY:
            for _, arrived in queue[:count]:
                if arrived:
                    self._loop.at(over_ns + WIRE_NS, arrived)
            del queue[:count]
        self._loop.at(over_ns + self._access_ns(), self._turn)


class Clock:
    """A peer that joins at time 0 and measures the host's clock."""

    def __init__(self, loop: Loop, medium: Medium, seed: str) -> None:
        self._loop, self._medium, self._seed = loop, medium, seed
        self._random = random.Random()
        """For the train that runs; see Radio."""
        self._crystal = random_crystal(random.Random(f"{seed} crystal"))
        self._filter = _native.ClockFilter("envelope")
        self._maps = list[tuple[int, _native.ClockMapValue]]()
        self._begin_ns = self._last_ns = 0
        self._pings = self._lasts_ns = self._sent = self._answers = 0
        self._train = 0
        loop.at(0, self._begin)

    def errors_us(self, since_ns: int, until_ns: int) -> npt.NDArray[np.float64]:
        """By how much the clock was wrong, in every ERROR_EVERY_NS, absolute, in us."""
        known = [at_ns for at_ns, _ in self._maps]
        found = []
        for at_ns in range(since_ns, until_ns, ERROR_EVERY_NS):
            value = self._maps[np.searchsorted(known, at_ns, "right") - 1][1]
            local_ns = self._crystal.local_ns(at_ns)
            offset_ns = value.offset_ns + value.drift * (local_ns - value.local_ns)
            found.append(abs(offset_ns - (at_ns - local_ns)) / 1000)
        return np.array(found)

    def _begin(self) -> None:
        self._train += 1
        self._begin_ns = self._loop.now_ns
        self._random.seed(f"{self._seed} machines {self._begin_ns}")
        self._pings, self._lasts_ns = train_shape(not self._maps, self._begin_ns)
        self._sent = self._answers = 0
        self._ping(counted=False)

    def _ping(self, *, counted: bool) -> None:
        train, sent_ns = self._train, self._loop.now_ns
        self._last_ns = sent_ns
        self._sent += counted

        def at_host() -> None:
            received_ns = self._loop.now_ns
            answered_ns = received_ns + self._response_ns()
            self._loop.at(answered_ns, lambda: self._medium.datagram(DOWN, PACKET_BYTES, lambda: back(answered_ns)))

            def back(answered_ns: int) -> None:
                if counted:
                    local_ns = self._crystal.local_ns
                    self._filter.add(local_ns(sent_ns), received_ns, answered_ns, local_ns(self._loop.now_ns))
                if train == self._train:
                    self._answers += counted
                    self._loop.at(self._loop.now_ns + self._response_ns(), lambda: self._next(train))

        self._medium.datagram(UP, PACKET_BYTES, at_host)
        self._loop.at(sent_ns + _native.PING_NS, lambda: self._next(train, unless_since_ns=sent_ns))

    def _next(self, train: int, unless_since_ns: int | None = None) -> None:
        """Send the next ping, or end the train; not if another ping was sent after `unless_since_ns`."""
        if train != self._train or unless_since_ns not in (None, self._last_ns):
            return
        now_ns, last_answer_ns = self._loop.now_ns, _native.TRAIN_INTERVAL_NS - _native.TRAIN_NS
        if self._sent < self._pings and now_ns - self._begin_ns < self._lasts_ns:
            self._ping(counted=True)
        elif self._answers >= self._sent or now_ns - self._last_ns >= last_answer_ns:
            self._end()
        else:
            self._loop.at(self._last_ns + last_answer_ns, lambda: self._next(train))

    def _end(self) -> None:
        self._train += 1
        now_ns, interval_ns = self._loop.now_ns, _native.TRAIN_INTERVAL_NS
        value = self._filter.map(self._crystal.local_ns(now_ns))
        if value:
            self._maps.append((now_ns, value))
        next_ns = self._begin_ns + interval_ns
        if next_ns < now_ns:
            next_ns = now_ns + interval_ns - (now_ns - next_ns) % interval_ns
        self._loop.at(next_ns, self._begin)

    def _response_ns(self) -> int:
        return MIN_RESPONSE_NS + round(self._random.expovariate(1 / MEAN_RESPONSE_JITTER_NS))


class Window(Protocol):
    """What decides when how many bytes are sent; see CongestionWindow."""

    @property
    def wake_at_ns(self) -> int | None: ...

    def may_send(self, now_ns: int) -> int: ...

    def sent(self, size_bytes: int, now_ns: int) -> None: ...

    def acknowledged(self, received_bytes: int, now_ns: int) -> None: ...


class FixedWindow:
    """Keeps this number of bytes under way, as TCP does that nothing but the receiver limits."""

    wake_at_ns = None

    def __init__(self, window_bytes: int, piece_bytes: int = 8192) -> None:
        self._window_bytes, self._piece_bytes = window_bytes, piece_bytes
        self._sent_bytes = self._received_bytes = 0

    def may_send(self, now_ns: int) -> int:
        return self._piece_bytes if self._sent_bytes - self._received_bytes < self._window_bytes else 0

    def sent(self, size_bytes: int, now_ns: int) -> None:
        self._sent_bytes += size_bytes

    def acknowledged(self, received_bytes: int, now_ns: int) -> None:
        self._received_bytes = received_bytes


class Transfer:
    """A song of `size_bytes` that the host sends from `begin_ns` on."""

    def __init__(
        self, loop: Loop, medium: Medium, begin_ns: int, size_bytes: int, window: Window | None = None
    ) -> None:
        self._loop, self._medium = loop, medium
        self._window = window or CongestionWindow()
        self._begin_ns, self._size_bytes = begin_ns, size_bytes
        self._sent_bytes = self._wake_at_ns = 0
        self.received_bytes, self.done_ns = 0, 0
        loop.at(begin_ns, self._fill)

    @property
    def mbit(self) -> float:
        """The rate of the whole transfer, with framing, until it was done or until now."""
        return self.received_bytes * 8000 / max((self.done_ns or self._loop.now_ns) - self._begin_ns, 1)

    def _fill(self) -> None:
        now_ns = self._loop.now_ns
        while self._sent_bytes < self._size_bytes and (size := self._window.may_send(now_ns)):
            size += FRAME_BYTES
            self._window.sent(size, now_ns)
            self._sent_bytes += size
            self._medium.stream(DOWN, size, self._arrival(self._sent_bytes))
        wake_at_ns = self._window.wake_at_ns
        if wake_at_ns is not None and wake_at_ns != self._wake_at_ns:
            self._wake_at_ns = wake_at_ns
            self._loop.at(wake_at_ns, self._fill)

    def _arrival(self, total_bytes: int) -> Callable[[], None]:
        def acknowledged() -> None:
            self.received_bytes = total_bytes
            if total_bytes >= self._size_bytes:
                self.done_ns = self._loop.now_ns
            self._window.acknowledged(total_bytes, self._loop.now_ns)
            self._fill()

        return lambda: self._medium.stream(UP, ACKNOWLEDGEMENT_BYTES, acknowledged)


def medium_of(loop: Loop, path: Link | Channel, seed: str) -> Medium:
    """The path in this loop, with random numbers of this seed."""
    return Cable(loop, path, seed) if isinstance(path, Link) else Radio(loop, path, seed)


def carried_mbit(path: Link | Channel, seed: str, seconds: float, window_bytes: int = 1_000_000) -> float:
    """What the path carries of a flow that never lets it run empty."""
    loop = Loop()
    flow = Transfer(loop, medium_of(loop, path, seed), 0, 1 << 40, FixedWindow(window_bytes))
    loop.run(round(seconds * S_NS))
    return flow.mbit


def sent_mbit(path: Link | Channel, seed: str, seconds: float) -> float:
    """What the congestion control makes of it, from the begin of a transfer on."""
    loop = Loop()
    flow = Transfer(loop, medium_of(loop, path, seed), 0, 1 << 40)
    loop.run(round(seconds * S_NS))
    return flow.mbit
