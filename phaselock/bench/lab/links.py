"""What a network does to packets: the fields of a link, named profiles, and the law that says when a packet arrives.

Pure: times come in as arguments. A packet from A to B leaves A no faster than A's rate, then waits A's delay up and B's
delay down, each with a jitter, and is lost with the loss of either. What one machine sends to another by UDP is never
reordered. TCP never loses: a lost segment arrives a round trip later. Congestion control is not imitated.
"""

from __future__ import annotations

import dataclasses
import random

from phaselock.errors import PhaseLockError

DATAGRAM_OVERHEAD_BYTES = 42
"""Ethernet, IPv4 and UDP."""
SEGMENT_OVERHEAD_BYTES = 66
"""Ethernet, IPv4 and TCP with its time stamps."""
SEGMENT_BYTES = 1448
QUEUE_NS = 200_000_000
"""A datagram that would wait longer for its turn on the link is lost."""
CALM_PART = 1 / 20
"""A packet that meets no contention gets this part of the jitter."""
RECOVERY_NS = 1_000_000
"""A lost segment is missed, and sent again, a round trip and so much later."""

MAX_US = 10_000_000.0
MAX_LOSS = 0.5
MIN_MBIT, MAX_MBIT = 0.01, 100_000.0


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """One machine's cable: one-way delays and mean exponential jitter in microseconds, loss from 0 to 0.5, rate in
    Mbit/s (0 = no limit). Up is what the machine sends.

    `busy` is the probability that a packet meets contention and gets the whole jitter; the others get a twentieth.
    PhaseLockError for what no link can be.
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
            most = 1.0 if name == "busy" else MAX_LOSS if name.endswith("loss") else MAX_US
            if name == "mbit":
                if value != 0 and not _between(MIN_MBIT, value, MAX_MBIT):
                    raise PhaseLockError(
                        f"A link's mbit must be 0 (no limit) or from {MIN_MBIT:g} to {MAX_MBIT:.0f}, not {value!r}."
                    )
            elif not _between(0, value, most):
                raise PhaseLockError(f"A link's {name} must be from 0 to {most:.15g}, not {value!r}.")

    @property
    def tcp_bytes_s(self) -> float:
        """The most that TCP can send over this link, headers not counted; infinite without a limit."""
        share = SEGMENT_BYTES / (SEGMENT_BYTES + SEGMENT_OVERHEAD_BYTES)
        return self.mbit * 1e6 / 8 * share if self.mbit else float("inf")

    @property
    def round_trip_us(self) -> float:
        """This link's part of the mean round trip."""
        part = self.busy + (1 - self.busy) * CALM_PART
        return self.up_us + self.down_us + (self.up_jitter_us + self.down_jitter_us) * part


def _between(least: float, value: object, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


PROFILES: dict[str, Link] = {
    "wired": Link(),
    "wifi": Link(800, 4000, 0.005, 800, 6000, 0.005, mbit=60, busy=0.5),
    "wan": Link(15000, 3000, 0.003, 15000, 3000, 0.003, mbit=20, busy=0.5),
}


def link_from(text: str) -> Link:
    """A link as a user writes it: a profile, fields, or a profile and what differs ("wifi,mbit=20"). What is not said
    is that of a wired link. PhaseLockError says what is wrong."""
    first, *rest = (part.strip() for part in text.split(","))
    names = [field.name for field in dataclasses.fields(Link)]
    changes: dict[str, float] = {}
    if first not in PROFILES:
        first, rest = "wired", [first, *rest]
    for part in rest:
        name, equals, number = (word.strip() for word in part.partition("="))
        if not equals or name not in names:
            known = f"a profile ({', '.join(PROFILES)}) comes first, then field=number with {', '.join(names)}"
            raise PhaseLockError(f"{part!r} says nothing about a link: {known}.")
        if name in changes:
            raise PhaseLockError(f"{name} is given twice.")
        try:
            changes[name] = float(number)
        except ValueError:
            raise PhaseLockError(f"{number!r} is no number for {name}.") from None
    return dataclasses.replace(PROFILES[first], **changes)


class Uplink:
    """The sending side of a machine's link, shared by all that it sends: one packet after the other."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.free_at_ns = 0
        """When the last packet will have left."""

    def backlog_ns(self, now_ns: int) -> int:
        """How long a packet would wait for its turn; 0 where there is no limit."""
        return max(0, self.free_at_ns - now_ns)

    def leaves_at_ns(self, frame_bytes: int, now_ns: int) -> int:
        """When a frame handed over now has left; it takes its place in the queue."""
        if not self.link.mbit:
            return now_ns
        self.free_at_ns = max(self.free_at_ns, now_ns) + round(frame_bytes * 8000 / self.link.mbit)
        return self.free_at_ns


class Path:
    """From one machine to another: when, and whether, what is sent arrives. `seed` makes the chance of this path;
    datagrams and segments draw from streams of their own, so that how a file was cut moves no ping."""

    def __init__(self, uplink: Uplink, receiver: Link, seed: str) -> None:
        self.uplink = uplink
        """Where it begins."""
        sender = uplink.link
        self.loss = 1 - (1 - sender.up_loss) * (1 - receiver.down_loss)
        self._delay_us = sender.up_us + receiver.down_us
        self._jitters = (sender.up_jitter_us, sender.busy), (receiver.down_jitter_us, receiver.busy)
        self.round_trip_ns = round((sender.round_trip_us + receiver.round_trip_us) * 1000)
        """There and back, on average, when nothing is queued."""
        self._datagrams = random.Random(f"{seed} datagrams")
        self._segments = random.Random(f"{seed} segments")
        self._last_ns = 0

    def datagram(self, size_bytes: int, now_ns: int) -> int | None:
        """When a datagram with so much in it, sent now, arrives; None: it is lost."""
        if self.uplink.backlog_ns(now_ns) > QUEUE_NS:
            return None
        leaves_ns = self.uplink.leaves_at_ns(size_bytes + DATAGRAM_OVERHEAD_BYTES, now_ns)
        if self._datagrams.random() < self.loss:
            return None
        return self._arrives_ns(leaves_ns, self._datagrams)

    def segment(self, size_bytes: int, now_ns: int) -> int:
        """When a piece of a TCP stream, sent now, arrives: a lost one a round trip later, and again. What comes behind
        it in its own stream must wait for it; nothing else does."""
        leaves_ns = self.uplink.leaves_at_ns(size_bytes + SEGMENT_OVERHEAD_BYTES, now_ns)
        arrives_ns = self._arrives_ns(leaves_ns, self._segments)
        while self.loss and self._segments.random() < self.loss:
            arrives_ns += self.round_trip_ns + RECOVERY_NS
        return arrives_ns

    def _arrives_ns(self, leaves_ns: int, chance: random.Random) -> int:
        wait_us = self._delay_us
        for mean_us, busy in self._jitters:
            if mean_us:
                wait_us += chance.expovariate(1 / mean_us) * (1 if chance.random() < busy else CALM_PART)
        self._last_ns = max(self._last_ns, leaves_ns + round(wait_us * 1000))
        return self._last_ns
