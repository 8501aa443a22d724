"""How much of the delay on a path is jitter: what a flow may wait beyond an empty path although there is no queue.

A shared radio delays each packet by another time. In a window of many bytes the fastest piece, too, is late:
the pieces arrive in order, and so each one waits for the slowest before it. By its delay alone, a full window on such
a path looks like a queue. Two measurements tell them apart:

- Probes are pieces that are under way alone, so that they wait in no queue of their own flow. Jitter delays each probe
  by another time; a queue of other flows delays all probes of one time alike.
- A flow that may wait longer has a larger window. If more bytes arrive in the same time, it waited for the radio; if
  not, in a queue. So the flow tries a longer and a shorter wait in turns, from pause to pause. It keeps the longer one
  if that pays.
"""

from __future__ import annotations

MAX_JITTER_NS = 20_000_000
NOISE_NS = 300_000
"""Less does not count: probes of flows that pause together wait for each other, and the machines are late."""
PROBES = 32
"""The jitter is a mean over about this number of probes."""
FIRST_PARTS, MIN_PARTS, MAX_PARTS = 5.0, 4.0, 8.0
"""A flow may wait for this many times the jitter. In the order of arrival, the mean of exponential delays is late by
the logarithm of the number of packets in the air."""
TRIAL = 1.2
"""It tries this times the wait, and the wait divided by it."""
GAIN = 1.12
"""A longer wait pays if this times the bytes arrive."""
TRIAL_NS = 2_000_000_000
"""All flows of a machine try the longer wait at the same times: none finds that it pays to take the air of another."""
LONGER, SHORTER = 1.4, 0.87
"""What the wait is multiplied by if it pays, and if not."""


class Jitter:
    """The jitter of one path. Every `now_ns` is a time of the same monotonic clock."""

    def __init__(self) -> None:
        self.jitter_ns = 0
        """By how much a probe is later in the mean than the fastest one."""
        self._known_probes = 0
        self._probes = list[int]()
        """The delays of the probes since `jitter_ns` was determined."""
        self._parts, self._trial = FIRST_PARTS, 1.0
        self._begin = 0, 0
        """(time, bytes received) at the begin of the trial that runs."""
        self._short_rate = 0.0
        """Bytes per ns in the trial of the shorter wait; 0 before it."""

    @property
    def wait_ns(self) -> int:
        """How long a piece may wait for the radio, in the mean."""
        return round(max(self.jitter_ns - NOISE_NS, 0) * self._parts * self._trial)

    def probed(self, delay_ns: int) -> None:
        """A probe took this time."""
        self._probes.append(delay_ns)

    def end_probes(self, *, doubt: bool) -> None:
        """Learn from the probes of one time. One of them says nothing, and is kept for the next time. `doubt`: what was
        learned before may be the queue of other flows, which was growing then."""
        count = len(self._probes)
        if count < 2:
            return
        # The fastest of a few is later than the fastest of many.
        spread_ns = (sum(self._probes) - count * min(self._probes)) // (count - 1)
        spread_ns = min(spread_ns, MAX_JITTER_NS)
        if doubt:
            spread_ns = self.jitter_ns = min(spread_ns, self.jitter_ns)
        self._known_probes = min(self._known_probes + count, PROBES)
        self.jitter_ns += (spread_ns - self.jitter_ns) * count // self._known_probes
        self._probes.clear()

    def paused(self, received_bytes: int, now_ns: int) -> None:
        """A regular pause begins: end a trial and begin the next one, if it is time."""
        if now_ns // TRIAL_NS == self._begin[0] // TRIAL_NS:
            return
        begin_ns, begin_bytes = self._begin
        rate = (received_bytes - begin_bytes) / (now_ns - begin_ns)
        if self._trial > 1 and self._short_rate:
            self._parts *= LONGER if rate > GAIN * self._short_rate else SHORTER
            self._parts = min(max(self._parts, MIN_PARTS), MAX_PARTS)
        self._short_rate = rate if self._trial < 1 else 0.0
        self._trial = TRIAL if now_ns // TRIAL_NS % 2 else 1 / TRIAL
        self._begin = now_ns, received_bytes
