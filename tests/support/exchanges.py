"""Simulated packet exchanges between a peer and its host: delay, jitter, loss and contention per leg, no reordering.

Time is simulated true time in float nanoseconds; clocks are functions of it. The schedule of trains is that of
ext/pl_udp.c.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator

Exchange = tuple[int, int, int, int]
"""(peer_send, host_recv, host_send, peer_recv), each on its own machine's clock, ns."""


@dataclasses.dataclass(frozen=True)
class Leg:
    """One direction of one machine's cable. The mean of the exponential jitter is the whole one with probability `busy`
    and a twentieth of it otherwise. `queue_ns` tells how long a packet waits behind others at a time."""

    delay_us: float
    jitter_us: float
    loss: float = 0.0
    busy: float = 1.0
    queue_ns: Callable[[float], float] | None = None

    def delay_ns(self, rng: random.Random, at_ns: float) -> float | None:
        """How long a packet takes that comes here then, or None when it is lost."""
        if rng.random() < self.loss:
            return None
        mean_us = self.jitter_us if rng.random() < self.busy else self.jitter_us / 20
        queued_ns = self.queue_ns(at_ns) if self.queue_ns else 0.0
        return queued_ns + (self.delay_us + (rng.expovariate(1 / mean_us) if mean_us else 0.0)) * 1e3


@dataclasses.dataclass(frozen=True)
class Link:
    """One machine's cable."""

    up: Leg
    down: Leg


WIRED = Link(Leg(100, 20), Leg(100, 20))
WIFI = Link(Leg(800, 4000, 0.005, 0.5), Leg(800, 6000, 0.005, 0.5))
WAN = Link(Leg(15000, 3000, 0.003, 0.5), Leg(15000, 3000, 0.003, 0.5))


class Path:
    """One direction between two machines; packets do not overtake each other."""

    def __init__(self, rng: random.Random, legs: tuple[Leg, ...]) -> None:
        self._rng = rng
        self._legs = legs
        self._last_due_ns = 0.0

    def arrival_ns(self, sent_ns: float) -> float | None:
        """When a packet sent then arrives; None when it is lost."""
        due_ns = sent_ns
        for leg in self._legs:
            delay_ns = leg.delay_ns(self._rng, due_ns)
            if delay_ns is None:
                return None
            due_ns += delay_ns
        self._last_due_ns = due_ns = max(due_ns, self._last_due_ns)
        return due_ns


class Trains:
    """The exchanges of one peer, train after train."""

    TRAIN_EVERY_NS = 200e6
    TRAIN_LASTS_NS = 160e6
    BURST_LASTS_NS = 1e9
    PACE_NS = 10e6

    def __init__(
        self,
        rng: random.Random,
        peer: Link,
        host: Link,
        peer_clock: Callable[[float], int],
        host_clock: Callable[[float], int],
    ) -> None:
        self._rng = rng
        self._forward = Path(rng, (peer.up, host.down))
        self._backward = Path(rng, (host.up, peer.down))
        self._peer_clock = peer_clock
        self._host_clock = host_clock
        self._first = True
        self._joined_ns: float | None = None

    def train(self, begin_ns: float) -> tuple[float, list[Exchange]]:
        """The train that begins then: when it is over, and its measurements in the order of their arrival."""
        if self._joined_ns is None:
            self._joined_ns = begin_ns
        counts = 64 if self._first else 32 if begin_ns - self._joined_ns < 30e9 else 8
        lasts_ns = self.BURST_LASTS_NS if self._first else self.TRAIN_LASTS_NS
        self._first = False
        came: list[tuple[float, Exchange]] = []
        sent_ns, over_ns = begin_ns, begin_ns
        for number in range(counts + 1):
            answer_ns = self._exchange(sent_ns, came if number else [])
            next_ns = sent_ns + self.PACE_NS if answer_ns is None else min(answer_ns, sent_ns + self.PACE_NS)
            over_ns = max(over_ns, next_ns, answer_ns or 0.0)
            if next_ns - begin_ns > lasts_ns:
                break
            sent_ns = next_ns
        came.sort()
        return over_ns, [exchange for _, exchange in came]

    def _exchange(self, sent_ns: float, came: list[tuple[float, Exchange]]) -> float | None:
        there_ns = self._forward.arrival_ns(sent_ns)
        if there_ns is None:
            return None
        answered_ns = there_ns + 20e3 + self._rng.expovariate(1 / 10e3)
        back_ns = self._backward.arrival_ns(answered_ns)
        if back_ns is None:
            return None
        exchange = (
            self._peer_clock(sent_ns),
            self._host_clock(there_ns),
            self._host_clock(answered_ns),
            self._peer_clock(back_ns),
        )
        came.append((back_ns, exchange))
        return back_ns

    def run(self, from_ns: float, until_ns: float) -> Iterator[tuple[float, list[Exchange]]]:
        """(end of train, measurements) for all trains that begin in the span."""
        at_ns = from_ns
        while at_ns < until_ns:
            over_ns, exchanges = self.train(at_ns)
            yield over_ns, exchanges
            at_ns = max(at_ns + self.TRAIN_EVERY_NS, over_ns)
