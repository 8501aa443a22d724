"""A simulated link that flows under congestion control share, and a call beside them.

Pure: the link is first-in-first-out, and loses nothing; what a router with a short queue would lose is known from the
waits. Times are virtual.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from collections.abc import Sequence

from phaselock.network.congestion import CongestionWindow

MS = 1_000_000
S = 1000 * MS
_CALL, CALL_BYTES, CALL_EVERY_NS = -1, 1250, 10 * MS
"""The number of the call among the flows, and its packets: 1 Mbit/s."""


@dataclasses.dataclass
class Outcome:
    """What happened on the link."""

    use: float
    """The part of the rate that the flows used, of what the call left."""
    waits: list[tuple[int, int]]
    """(time, duration) of the wait of each piece in the queue, in ns."""
    shares: list[float]
    """The part of the rate that each flow got; 1.0 is an equal part."""
    call_waits: list[tuple[int, int]]
    """The same as `waits` for the packets of the call."""

    def wait_ms(self, part: float, since_ns: int = 0) -> float:
        """The quantile of the waits in ms: `part` of the pieces did not wait longer."""
        return _quantile_ms(self.waits, part, since_ns)

    def call_wait_ms(self, part: float, since_ns: int = 0) -> float:
        """The same for the packets of the call."""
        return _quantile_ms(self.call_waits, part, since_ns)


def _quantile_ms(waits: list[tuple[int, int]], part: float, since_ns: int) -> float:
    found = sorted(wait_ns for at_ns, wait_ns in waits if at_ns >= since_ns)
    return found[int(part * (len(found) - 1))] / MS


def bottleneck(
    mbit: int,
    rtt_ms: float,
    starts_s: Sequence[float],
    *,
    until_s: float,
    jitter_ms: float = 0,
    in_order: bool = True,
    windows: Sequence[CongestionWindow] | None = None,
    call_s: float | None = None,
    seed: int = 1,
) -> Outcome:
    """Simulate flows through one first-in-first-out link of this rate. `rtt_ms` is the round trip without any queue.
    Behind the link a uniform jitter of up to `jitter_ms` is added; with `in_order` a packet does not overtake earlier
    ones. From `call_s` on, a constant stream of 1 Mbit/s goes through the same link."""
    rng = random.Random(seed)
    flows = list(windows or [CongestionWindow() for _ in starts_s])
    sent, arrived, last_ns = [0] * len(flows), [0] * len(flows), [0] * len(flows)
    order = itertools.count()
    events = [(round(start_s * S), next(order), flow, 0) for flow, start_s in enumerate(starts_s)]
    heapq.heapify(events)
    free_ns, waits, call_waits = 0, [], []
    if call_s is not None:
        times_ns = range(round(call_s * S), round(until_s * S), CALL_EVERY_NS)
        events += [(at_ns, next(order), _CALL, 0) for at_ns in times_ns]
        heapq.heapify(events)
    while events and events[0][0] <= until_s * S:
        now_ns, _, flow, acked = heapq.heappop(events)
        if flow == _CALL:
            call_waits.append((now_ns, max(0, free_ns - now_ns)))
            free_ns = max(free_ns, now_ns) + CALL_BYTES * 8000 // mbit
            continue
        if acked > arrived[flow]:
            arrived[flow] = acked
            flows[flow].acknowledged(acked, now_ns)
        while size := flows[flow].may_send(now_ns):
            flows[flow].sent(size, now_ns)
            sent[flow] += size
            waits.append((now_ns, max(0, free_ns - now_ns)))
            free_ns = max(free_ns, now_ns) + size * 8000 // mbit
            at_ns = free_ns + round((rtt_ms + rng.random() * jitter_ms) * MS)
            last_ns[flow] = at_ns = max(at_ns, last_ns[flow] if in_order else 0)
            heapq.heappush(events, (at_ns, next(order), flow, sent[flow]))
        if wake_at_ns := flows[flow].wake_at_ns:
            assert wake_at_ns > now_ns, "the flow would wake for ever"
            heapq.heappush(events, (wake_at_ns, next(order), flow, 0))
    total = sum(arrived)
    return Outcome(
        total * 8000 / (mbit - (call_s is not None)) / (until_s - min(starts_s)) / S,
        waits,
        [len(flows) * one / total for one in arrived],
        call_waits,
    )
