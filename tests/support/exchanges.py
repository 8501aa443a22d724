"""Simulated packet exchanges between a peer and its host: delay, jitter, loss and contention per leg, no reordering.

Time is simulated true time in float nanoseconds; clocks are functions of it. The schedule of trains and the
profiles are those of the benchmarks.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator

from phaselock._native import PING_NS, TRAIN_INTERVAL_NS
from phaselock.bench.lab import exchanges, links
from phaselock.bench.lab.exchanges import train_shape
from phaselock.sync.trace import Exchange


@dataclasses.dataclass(frozen=True)
class Leg:
    """One direction of one machine's cable. The mean of the exponential jitter is the whole one with probability `busy`
    and CALM_SHARE of it otherwise. `queue_ns` tells how long a packet waits behind others at a time."""

    delay_us: float
    jitter_us: float
    loss: float = 0.0
    busy: float = 1.0
    queue_ns: Callable[[float], float] | None = None

    def delay_ns(self, rng: random.Random, at_ns: float) -> float | None:
        """How long a packet takes that comes here then, or None when it is lost."""
        if rng.random() < self.loss:
            return None
        mean_us = self.jitter_us * (1 if rng.random() < self.busy else links.CALM_SHARE)
        queued_ns = self.queue_ns(at_ns) if self.queue_ns else 0.0
        return queued_ns + (self.delay_us + (rng.expovariate(1 / mean_us) if mean_us else 0.0)) * 1e3


@dataclasses.dataclass(frozen=True)
class Link:
    """One machine's cable."""

    up: Leg
    down: Leg


def _profile(name: str) -> Link:
    profile = links.PROFILES[name]
    return Link(
        Leg(profile.up_us, profile.up_jitter_us, profile.up_loss, profile.busy),
        Leg(profile.down_us, profile.down_jitter_us, profile.down_loss, profile.busy),
    )


WIRED, WIFI, WAN = map(_profile, ("wired", "wifi", "wan"))


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

    TRAIN_EVERY_NS = TRAIN_INTERVAL_NS

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

    def train(self, begin_ns: float, pings: int | None = None) -> tuple[float, list[Exchange]]:
        """The train that begins then: when it is over, and its measurements in the order of their arrival. `pings`
        replaces the usual number of measurements, but not that of the first train."""
        if self._joined_ns is None:
            self._joined_ns = begin_ns
        counts, lasts_ns = train_shape(self._first, begin_ns - self._joined_ns)
        if pings is not None and not self._first:
            counts = pings
        self._first = False
        came: list[tuple[float, Exchange]] = []
        sent_ns, over_ns = begin_ns, begin_ns
        for number in range(counts + 1):
            answer_ns = self._exchange(sent_ns, came if number else [])
            next_ping_ns = sent_ns + PING_NS
            next_ns = next_ping_ns if answer_ns is None else min(answer_ns, next_ping_ns)
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
        answered_ns = there_ns + exchanges.MIN_RESPONSE_NS
        answered_ns += self._rng.expovariate(1 / exchanges.MEAN_RESPONSE_JITTER_NS)
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
            over_ns, measured = self.train(at_ns)
            yield over_ns, measured
            at_ns = max(at_ns + self.TRAIN_EVERY_NS, over_ns)
