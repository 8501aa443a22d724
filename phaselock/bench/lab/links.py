"""A model of network links: their parameters, named profiles, and when a packet arrives.

Pure: times are arguments. A packet from A to B leaves A no faster than A's rate. Then it waits for A's delay up and B's
delay down, each with jitter, and is lost with the loss of either. Datagrams are never reordered. TCP loses nothing: a
lost segment arrives a round trip later. Congestion control is not modelled.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping

from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen

DATAGRAM_OVERHEAD_BYTES = 42
"""Ethernet, IPv4 and UDP."""
SEGMENT_OVERHEAD_BYTES = 66
"""Ethernet, IPv4 and TCP with its time stamps."""
SEGMENT_BYTES = 1448
MAX_QUEUE_NS = 200_000_000
"""A datagram that would wait longer than this for the link is lost."""
CALM_SHARE = 1 / 20
"""A packet without contention gets this share of the jitter."""
RECOVERY_NS = 1_000_000
"""A lost segment arrives a round trip and this much later."""

MAX_US = 10_000_000.0
MAX_LOSS = 0.5
MIN_MBIT, MAX_MBIT = 0.01, 100_000.0


@frozen
class Link:
    """The link of one machine: one-way delays and mean exponential jitter in microseconds, loss from 0 to 0.5, rate in
    Mbit/s (0 = no limit). "Up" is what the machine sends.

    `busy` is the probability that a packet meets contention and gets the whole jitter; the others get CALM_SHARE of it.
    Raise PhaseLockError for values out of range.
    """

    up_us: float = 100
    up_jitter_us: float = 20
    up_loss: float = 0
    down_us: float = 100
    down_jitter_us: float = 20
    down_loss: float = 0
    mbit: float = 0
    busy: float = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            high = 1.0 if name == "busy" else MAX_LOSS if name.endswith("loss") else MAX_US
            if name == "mbit":
                if value != 0 and not _in_range(MIN_MBIT, value, MAX_MBIT):
                    raise PhaseLockError(
                        f"A link's mbit must be 0 (no limit) or from {MIN_MBIT:g} to {MAX_MBIT:.0f}, not {value!r}."
                    )
            elif not _in_range(0, value, high):
                raise PhaseLockError(f"A link's {name} must be from 0 to {high:.15g}, not {value!r}.")

    @property
    def round_trip_us(self) -> float:
        """This link's share of the mean round trip."""
        share = self.busy + (1 - self.busy) * CALM_SHARE
        return self.up_us + self.down_us + (self.up_jitter_us + self.down_jitter_us) * share


def _in_range(low: float, value: object, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


PROFILES: Mapping[str, Link] = {
    "wired": Link(),
    "wifi": Link(800, 4000, 0.005, 800, 6000, 0.005, mbit=60, busy=0.5),
    "wan": Link(15000, 3000, 0.003, 15000, 3000, 0.003, mbit=20, busy=0.5),
}


def link_from(text: str) -> Link:
    """Parse a link as a user writes it: a profile, fields, or a profile and the fields that differ ("wifi,mbit=20").
    Without a profile, the other fields are those of a wired link. Raise PhaseLockError for anything else."""
    first, *rest = (part.strip() for part in text.split(","))
    names = [field.name for field in dataclasses.fields(Link)]
    changes: dict[str, float] = {}
    if first not in PROFILES:
        first, rest = "wired", [first, *rest]
    for part in rest:
        name, equals, number = (word.strip() for word in part.partition("="))
        if not equals or name not in names:
            known = f"a profile ({', '.join(PROFILES)}) comes first, then field=number with {', '.join(names)}"
            raise PhaseLockError(f"{part!r} is not a part of a link: {known}.")
        if name in changes:
            raise PhaseLockError(f"{name} is given twice.")
        try:
            changes[name] = float(number)
        except ValueError:
            raise PhaseLockError(f"{number!r} is not a number for {name}.") from None
    return dataclasses.replace(PROFILES[first], **changes)


class Uplink:
    """The sending side of a link, shared by all that a machine sends: one packet after the other."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.free_at_ns = 0
        """Time at which the last queued packet has left."""

    def backlog_ns(self, now_ns: int) -> int:
        """How long a packet would wait for its turn; 0 without a limit."""
        return max(0, self.free_at_ns - now_ns)

    def leaves_at_ns(self, frame_bytes: int, now_ns: int) -> int:
        """Queue a frame and return the time at which it has left."""
        if not self.link.mbit:
            return now_ns
        self.free_at_ns = max(self.free_at_ns, now_ns) + round(frame_bytes * 8000 / self.link.mbit)
        return self.free_at_ns


class Path:
    """The path from one machine to another: when a packet arrives, and whether it does.

    `seed` seeds the random numbers of this path. Datagrams and segments have random numbers of their own, so that file
    transfers do not change the delays of pings.
    """

    def __init__(self, uplink: Uplink, receiver: Link, seed: str) -> None:
        self.uplink = uplink
        """The link of the sender."""
        sender = uplink.link
        self.loss = 1 - (1 - sender.up_loss) * (1 - receiver.down_loss)
        self._delay_us = sender.up_us + receiver.down_us
        self._jitters = (sender.up_jitter_us, sender.busy), (receiver.down_jitter_us, receiver.busy)
        self.round_trip_ns = round((sender.round_trip_us + receiver.round_trip_us) * 1000)
        """Mean round trip when nothing is queued."""
        self._datagrams = random.Random(f"{seed} datagrams")
        self._segments = random.Random(f"{seed} segments")
        self._last_ns = 0

    def datagram(self, size_bytes: int, now_ns: int) -> int | None:
        """Send a datagram now and return the time of its arrival; None if it is lost."""
        if self.uplink.backlog_ns(now_ns) > MAX_QUEUE_NS:
            return None
        leaves_ns = self.uplink.leaves_at_ns(size_bytes + DATAGRAM_OVERHEAD_BYTES, now_ns)
        if self._datagrams.random() < self.loss:
            return None
        return self._arrives_ns(leaves_ns, self._datagrams)

    def segment(self, size_bytes: int, now_ns: int) -> int:
        """Send a TCP segment now and return the time of its arrival. Each loss adds a round trip and RECOVERY_NS. The
        caller has to delay later segments of the same stream: nothing else waits for this one."""
        leaves_ns = self.uplink.leaves_at_ns(size_bytes + SEGMENT_OVERHEAD_BYTES, now_ns)
        arrives_ns = self._arrives_ns(leaves_ns, self._segments)
        while self.loss and self._segments.random() < self.loss:
            arrives_ns += self.round_trip_ns + RECOVERY_NS
        return arrives_ns

    def _arrives_ns(self, leaves_ns: int, source: random.Random) -> int:
        wait_us = self._delay_us
        for mean_us, busy in self._jitters:
            if mean_us:
                wait_us += source.expovariate(1 / mean_us) * (1 if source.random() < busy else CALM_SHARE)
        self._last_ns = max(self._last_ns, leaves_ns + round(wait_us * 1000))
        return self._last_ns
