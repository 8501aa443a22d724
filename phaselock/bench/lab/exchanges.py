"""Simulated clock exchanges of a peer that joins: the schedule of ext/pl_udp.h over the links of links.py, in virtual
time.

True time is that of the host's clock, in ns.
"""

from __future__ import annotations

import collections
import math
import random

from phaselock._native import (
    BURST_NS,
    BURST_PINGS,
    CALM_PING_NS,
    MIN_CALM_PINGS,
    PING_NS,
    TRAIN_INTERVAL_NS,
    TRAIN_NS,
    TRAIN_PINGS,
    YOUNG_NS,
    YOUNG_PINGS,
)
from phaselock.bench.lab.links import Link, Path, Uplink
from phaselock.frozen import frozen
from phaselock.sync.trace import Exchange

PACKET_BYTES = 37

MS_NS = 1_000_000
MIN_RESPONSE_NS = 20_000
"""Shortest time in which the host answers, and in which the peer wakes."""
MEAN_RESPONSE_JITTER_NS = 10_000
"""Mean of the exponential time on top."""


def train_shape(is_first: bool, age_ns: float) -> tuple[int, int]:
    """(number of measurements, longest duration in ns) of a train that begins `age_ns` after joining."""
    if is_first:
        return BURST_PINGS, BURST_NS
    return (YOUNG_PINGS if age_ns < YOUNG_NS else TRAIN_PINGS), TRAIN_NS


def calm_pings(uncertainty_ns: float) -> int:
    """Number of measurements of a train while nothing plays."""
    return min(YOUNG_PINGS, max(MIN_CALM_PINGS, math.ceil(uncertainty_ns / CALM_PING_NS)))


@frozen
class Crystal:
    """A clock that is `ahead_ns` ahead at time 0 and runs `drift_ppm` fast. Its rate varies by up to `wander_ppm` as a
    sine of the period `wander_every_s`, as with the temperature of a room."""

    ahead_ns: int
    drift_ppm: float
    wander_ppm: float = 0.0
    wander_every_s: float = 600.0
    phase: float = 0.0

    def local_ns(self, true_ns: int) -> int:
        """The time that it shows at a true time."""
        turn = 2 * math.pi / (self.wander_every_s * 1e9)
        wandered_ns = self.wander_ppm * 1e-6 / turn * (math.sin(self.phase + turn * true_ns) - math.sin(self.phase))
        return self.ahead_ns + true_ns + round(self.drift_ppm * 1e-6 * true_ns + wandered_ns)


def random_crystal(source: random.Random) -> Crystal:
    """A crystal as in laptops: up to 50 ppm off, with some hundredths of a ppm of wander."""
    phase = source.uniform(0, 2 * math.pi)
    return Crystal(source.randrange(10**12, 10**14), source.uniform(-50, 50), 0.05, phase=phase)


def simulate(link: Link, crystal: Crystal, seconds: float, seed: str) -> list[Exchange]:
    """The exchanges of a peer that joins at time 0, in the order of arrival. The peer and the host have the same kind
    of link; `crystal` is the peer's clock."""
    return _SimulatedPinger(link, crystal, seed).run(round(seconds * 1e9))


class _SimulatedPinger:
    def __init__(self, link: Link, crystal: Crystal, seed: str) -> None:
        self._crystal = crystal
        self._there = Path(Uplink(link), link, f"{seed} there")
        self._back = Path(Uplink(link), link, f"{seed} back")
        self._random = random.Random(f"{seed} machines")
        self._coming = collections.deque[tuple[int, Exchange | None]]()
        """Answers on their way, in order: (arrival, exchange). None: the ping only woke the path."""
        self._measured: list[Exchange] = []

    def run(self, end_ns: int) -> list[Exchange]:
        next_ns, is_first = 0, True
        while next_ns < end_ns:
            now_ns, answers = self._train(next_ns, *train_shape(is_first, next_ns))
            is_first = is_first and not answers
            next_ns += TRAIN_INTERVAL_NS
            if next_ns < now_ns:
                next_ns = now_ns + TRAIN_INTERVAL_NS - (now_ns - next_ns) % TRAIN_INTERVAL_NS
        return self._measured

    def _train(self, begin_ns: int, pings: int, lasts_ns: int) -> tuple[int, int]:
        """Send one train. Return (time at which it is over, measurements that arrived during it)."""
        self._ping(begin_ns, counted=False)
        now_ns = last_ns = begin_ns
        sent = arrived = 0
        while True:
            is_sending = sent < pings and now_ns - begin_ns < lasts_ns
            if not is_sending and (arrived >= sent or now_ns - last_ns > TRAIN_INTERVAL_NS - TRAIN_NS):
                return now_ns, arrived
            timeout_ns = last_ns + (PING_NS if is_sending else TRAIN_INTERVAL_NS - TRAIN_NS) - now_ns
            now_ns = self._poll(now_ns, timeout_ns)
            answers, measurements = self._receive(now_ns)
            arrived += measurements
            if sent < pings and now_ns - begin_ns < lasts_ns and (answers or now_ns - last_ns >= PING_NS):
                self._ping(now_ns, counted=True)
                sent += 1
                last_ns = now_ns

    def _poll(self, now_ns: int, timeout_ns: int) -> int:
        """Wait for an answer, at most for a time, and return when the thread is awake."""
        until_ns = now_ns + max(0, -(-timeout_ns // MS_NS)) * MS_NS  # poll() pings milliseconds, and rounds up
        if self._coming and self._coming[0][0] <= until_ns:
            until_ns = max(now_ns, self._coming[0][0])
        return until_ns + self._response_ns()

    def _receive(self, now_ns: int) -> tuple[int, int]:
        """Take all answers that have arrived. Return (answers, measurements among them)."""
        answers = measurements = 0
        while self._coming and self._coming[0][0] <= now_ns:
            exchange = self._coming.popleft()[1]
            answers += 1
            if exchange:
                self._measured.append(exchange)
                measurements += 1
        return answers, measurements

    def _ping(self, now_ns: int, *, counted: bool) -> None:
        there_ns = self._there.datagram(PACKET_BYTES, now_ns)
        if there_ns is None:
            return
        answered_ns = there_ns + self._response_ns()
        back_ns = self._back.datagram(PACKET_BYTES, answered_ns)
        if back_ns is None:
            return
        local_ns = self._crystal.local_ns
        exchange = (local_ns(now_ns), there_ns, answered_ns, local_ns(back_ns)) if counted else None
        self._coming.append((back_ns, exchange))

    def _response_ns(self) -> int:
        return MIN_RESPONSE_NS + round(self._random.expovariate(1 / MEAN_RESPONSE_JITTER_NS))
