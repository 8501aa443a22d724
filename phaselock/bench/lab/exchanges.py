"""The exchanges between a peer that joins and its host, simulated: the pinger's schedule (ext/pl_udp.c) over the law of
links.py, in virtual time.

True time is that of the host's clock, in ns.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import random

from phaselock.bench.lab.links import Link, Path, Uplink
from phaselock.sync.trace import Exchange

PACKET_BYTES = 37
TRAIN_EVERY_NS, TRAIN_LASTS_NS, BURST_LASTS_NS = 200_000_000, 160_000_000, 1_000_000_000
PACE_NS, YOUNG_FOR_NS, MS = 10_000_000, 30_000_000_000, 1_000_000
BURST_COUNTS, YOUNG_COUNTS, TRAIN_COUNTS = 64, 32, 8
ANSWER_NS, ANSWER_JITTER_NS = 20_000, 10_000
"""What a host takes to answer, and what a peer takes to wake: at least, and the mean of what comes on top."""


@dataclasses.dataclass(frozen=True, slots=True)
class Crystal:
    """A clock that is `ahead_ns` ahead at time 0, runs fast, and wanders as the room gets warmer and colder."""

    ahead_ns: int
    drift_ppm: float
    wander_ppm: float = 0.0
    wander_every_s: float = 600.0
    phase: float = 0.0

    def local_ns(self, true_ns: int) -> int:
        """What it shows at a true time."""
        turn = 2 * math.pi / (self.wander_every_s * 1e9)
        wandered_ns = self.wander_ppm * 1e-6 / turn * (math.sin(self.phase + turn * true_ns) - math.sin(self.phase))
        return self.ahead_ns + true_ns + round(self.drift_ppm * 1e-6 * true_ns + wandered_ns)


def some_crystal(chance: random.Random) -> Crystal:
    """As in laptops: up to 50 ppm off, and some hundredths of a ppm warmer or colder from minute to minute."""
    phase = chance.uniform(0, 2 * math.pi)
    return Crystal(chance.randrange(10**12, 10**14), chance.uniform(-50, 50), 0.05, phase=phase)


def simulate(link: Link, crystal: Crystal, seconds: float, seed: str) -> list[Exchange]:
    """What a peer that joins at time 0 measures, in the order of arrival; it and the host both have such a link."""
    return _Pinger(link, crystal, seed).run(round(seconds * 1e9))


class _Pinger:
    def __init__(self, link: Link, crystal: Crystal, seed: str) -> None:
        self._crystal = crystal
        self._there = Path(Uplink(link), link, f"{seed} there")
        self._back = Path(Uplink(link), link, f"{seed} back")
        self._chance = random.Random(f"{seed} machines")
        self._coming = collections.deque[tuple[int, Exchange | None]]()
        """When the answers on their way arrive, one behind the other; None: its ping only woke the path."""
        self._measured: list[Exchange] = []

    def run(self, end_ns: int) -> list[Exchange]:
        next_ns, first = 0, True
        while next_ns < end_ns:
            if first:
                now_ns, came = self._train(next_ns, BURST_COUNTS, BURST_LASTS_NS)
            else:
                counts = YOUNG_COUNTS if next_ns < YOUNG_FOR_NS else TRAIN_COUNTS
                now_ns, came = self._train(next_ns, counts, TRAIN_LASTS_NS)
            first = first and not came
            next_ns += TRAIN_EVERY_NS
            if next_ns < now_ns:
                next_ns = now_ns + TRAIN_EVERY_NS - (now_ns - next_ns) % TRAIN_EVERY_NS
        return self._measured

    def _train(self, begin_ns: int, counts: int, lasts_ns: int) -> tuple[int, int]:
        """When it is over, and how many measurements came meanwhile."""
        self._ping(begin_ns, counted=False)
        now_ns = last_ns = begin_ns
        sent = came = 0
        while True:
            sending = sent < counts and now_ns - begin_ns < lasts_ns
            if not sending and (came >= sent or now_ns - last_ns > TRAIN_EVERY_NS - TRAIN_LASTS_NS):
                return now_ns, came
            wait_ns = last_ns + (PACE_NS if sending else TRAIN_EVERY_NS - TRAIN_LASTS_NS) - now_ns
            until_ns = now_ns + max(0, -(-wait_ns // MS)) * MS  # poll() counts milliseconds, and rounds up
            if self._coming and self._coming[0][0] <= until_ns:
                until_ns = max(now_ns, self._coming[0][0])
            now_ns = until_ns + self._busy_ns()
            answered = False
            while self._coming and self._coming[0][0] <= now_ns:
                exchange = self._coming.popleft()[1]
                answered = True
                if exchange:
                    self._measured.append(exchange)
                    came += 1
            if sent < counts and now_ns - begin_ns < lasts_ns and (answered or now_ns - last_ns >= PACE_NS):
                self._ping(now_ns, counted=True)
                sent += 1
                last_ns = now_ns

    def _ping(self, now_ns: int, *, counted: bool) -> None:
        there_ns = self._there.datagram(PACKET_BYTES, now_ns)
        if there_ns is None:
            return
        answered_ns = there_ns + self._busy_ns()
        back_ns = self._back.datagram(PACKET_BYTES, answered_ns)
        if back_ns is None:
            return
        local_ns = self._crystal.local_ns
        exchange = (local_ns(now_ns), there_ns, answered_ns, local_ns(back_ns)) if counted else None
        self._coming.append((back_ns, exchange))

    def _busy_ns(self) -> int:
        return ANSWER_NS + round(self._chance.expovariate(1 / ANSWER_JITTER_NS))
