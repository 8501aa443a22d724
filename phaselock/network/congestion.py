"""Congestion control of a file transfer: use the whole rate of the path, but build no queue in front of it.

It is based on delay, like LEDBAT (RFC 6817), but works end to end above TCP: the bytes that are sent and not yet
acknowledged stay within a window, and the window follows the delay of the acknowledgements. Differences from LEDBAT:

- The control law is that of FAST TCP (Wei, Jin, Low and Hegde, IEEE/ACM Transactions on Networking 14(6), 2006). The
  target for the queueing delay is a fixed time plus the time that `SHARE_BYTES` take at the flow's own rate. The second
  part gives flows that share a link equal rates, in any order of their starts. It also keeps jitter from stopping a
  flow.
- A link below `SLOW_BYTES_PER_S` is usually that of a home to the internet, and people have calls over it. The packets
  of a call wait behind a piece and behind the queue. So pieces are short there, and the target grows only with the cube
  root of the time that `SHARE_BYTES` take. At the start the window soon grows by half only. The rate of the link is
  known from pairs of pieces that left together: jitter lengthens the time between their acknowledgements as often as it
  shortens it.
- The target grows with jitter: by the wait that jitter.py allows, on slow links by the spread of the delays in a round
  trip. So the delay that counts is the mean of a round trip, not the minimum: where pieces arrive in order, the jitter
  of others makes the fastest piece of a full window late, too.
- Each flow pauses regularly and then measures the delay of the path and its jitter again, as in LEDBAT++
  (draft-irtf-iccrg-ledbat-plus-plus). Without this, a flow that starts while others fill the queue measures their queue
  as part of the path. All flows of a machine pause at the same times of its clock, so the queue really becomes empty.
"""

from __future__ import annotations

import collections
import enum
import math

from phaselock.network.jitter import Jitter
from phaselock.protocol.codec import ProtocolError

MIN_PIECE_BYTES = 1120
"""One packet (SEGMENT_BYTES in reach.py) with the headers of the frame and of TLS."""
PIECE_NS = 6_000_000
"""A piece takes at most this time at the flow's own rate, from MIN_PIECE_BYTES to LONG_PIECE_BYTES."""
LONG_PIECE_BYTES = 8 * 1024
MAX_PIECE_BYTES = 64 * 1024
"""Longest piece, in large windows: a window has at least 32 pieces longer than LONG_PIECE_BYTES."""
PROBE_BYTES = MIN_PIECE_BYTES
"""Size of a probe: one small piece, which measures the delay of the empty path."""
MIN_WINDOW_BYTES = 2 * MIN_PIECE_BYTES
"""3.5 ms at 5 Mbit/s. Five flows at this minimum add at most 18 ms of queue."""
MIN_FAST_WINDOW_BYTES = 16 * 1024
"""On fast links, where jitter is more likely than a queue: 1.3 ms at 100 Mbit/s."""
MAX_BLIND_BYTES = 8 * 1024
"""At the start a window doubles in a round trip up to this size, and on slow links then grows by half."""
MAX_WINDOW_BYTES = 4 << 20
SLOW_BYTES_PER_S = 7_500_000
"""60 Mbit/s: a link below is slow."""
RADIO_JITTER_NS, RADIO_JITTER_PARTS = 2_000_000, 3
"""Jitter of this time and of a third of the delay of the empty path is that of a radio in this home. It lengthens the
time between the acknowledgements of most pairs, so there the rate of the fastest pair counts."""
PAIR_NS = 500_000
"""Two pieces left together if it was within this time."""
PAIRS = 15
"""The rate of the link is the median of this number of pairs."""
MIN_GAP_NS = 1000
"""Shortest time between two acknowledgements that counts."""
TARGET_NS = 2_000_000
"""Fixed part of the target for the queueing delay."""
SLOW_TARGET_NS = 1_000_000
"""The same on slow links."""
SHARE_BYTES = 16 * 1024
"""The second part of the target: the time of these bytes at the flow's own rate."""
SHARE_NS = 1_300_000
"""Their time at 100 Mbit/s. On slow links, a longer time counts as this one times the cube root of their ratio: 4 ms at
4 Mbit/s, and still more at lower rates."""
MAX_TARGET_NS = 25_000_000
MAX_SPREAD_NS = 4_000_000
"""The third part is for jitter. On slow links it is twice the spread of the delays of a round trip, or the spread and
this time."""
FIRST_PROBES, FIRST_PROBE_NS = 8, 100_000_000
"""A flow begins with this number of probes, or as many as this time allows."""
NEXT_PROBES, NEXT_PROBE_NS = 4, 30_000_000
"""The same after a pause, mostly. Meanwhile the path is quiet, for the clock, too."""
MIN_DELAYS = 4
"""The delay used is the mean of the last round trip, and of at least this many acknowledgements."""
MINUTE_NS = 60_000_000_000
BASE_MINUTES = 4
"""The delay of the empty path is the minimum over this time (BASE_HISTORY of RFC 6817)."""
PAUSE_EVERY_NS = 500_000_000
"""Shortest time between two pauses. Longer ones are this times a power of two, so that all pauses of the flow that
pauses less often coincide with pauses of the other one."""
MAX_PAUSE_EVERY_NS = 16_000_000_000
MIN_PAUSE_NS, MAX_PAUSE_NS = 4_000_000, 20_000_000
"""A pause lasts two round trips, within these bounds, and until all is acknowledged."""
MAX_CLIMB_PARTS = 32
"""Pauses are so far apart that filling the path again takes at most 1/32 of the time."""
MIN_JITTER_NS, JITTER_PAUSE_EVERY_NS = 1_000_000, 2_000_000_000
"""With at least this jitter the pauses are at most this far apart: the clock needs them, and `jitter.TRIAL_NS` is as
long."""
MAX_SPARE_ACKNOWLEDGEMENTS = 8
"""Acknowledgements allowed beyond one for each piece. A receiver that acknowledges byte by byte would overload the
sender."""
NEVER_NS = 1 << 63


class _Phase(enum.Enum):
    PAUSE = enum.auto()
    """Send nothing until the queue is empty."""
    PROBE = enum.auto()
    """Small pieces, one after the other, measure the delay of the empty path, and its jitter."""
    CLIMB = enum.auto()
    """The window doubles each round trip, or on slow links grows by half, until the delay shows a queue. At the
    start, and when the queue stays empty although the window has grown by a quarter."""
    RESUME = enum.auto()
    """The window grows to its size before the pause at the flow's old rate, so that no queue builds up."""
    CRUISE = enum.auto()
    """The window follows the delay."""


class CongestionWindow:
    """Decides when how many bytes may be sent on one connection.

    Used by one thread. Every `now_ns` is a time of the same monotonic clock.
    """

    def __init__(self) -> None:
        self.window_bytes = PROBE_BYTES
        self._sent_bytes = self._received_bytes = 0
        self._spare = MAX_SPARE_ACKNOWLEDGEMENTS
        """Number of acknowledgements that are still allowed."""
        self._pieces = collections.deque[tuple[int, int, int]]()
        """(end in the stream in bytes, time of sending, bytes that were under way then) of the pieces that are not
        acknowledged."""
        self._sent_at_ns = self._acknowledged_at_ns = self._flight_bytes = 0
        """Of the last piece that was acknowledged; the last one: the bytes that were under way when it left."""
        self._pair_rates = collections.deque[float](maxlen=PAIRS)
        """Bytes per ns of the last pairs."""
        self._delays = collections.deque[tuple[int, int]]()
        """(time, delay) of the acknowledgements of the last round trip."""
        self._delays_sum_ns = 0
        self._jitter = Jitter()
        self._probes_left = self._probe_until_ns = 0
        """How many probes there are still, and until when."""
        self._minima = collections.deque[tuple[int, int]](maxlen=BASE_MINUTES)
        """(minute, minimum delay in it)"""
        self._phase = _Phase.PROBE
        self._since_ns = 0
        """When the window began to grow."""
        self._pause_at_ns = self._pause_until_ns = NEVER_NS
        self._pauses = 0
        self._old_bytes, self._old_delay_ns = MAX_WINDOW_BYTES, 1
        """Window and delay before the pause."""
        self._resumed_at_ns = 0
        self._empty_since_bytes = 0
        """The window when the queue was last found to be empty again; 0 while it is not."""

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes that are sent and not acknowledged."""
        return self._sent_bytes - self._received_bytes

    @property
    def wake_at_ns(self) -> int | None:
        """The time at which `may_send` changes without an acknowledgement; None if there is none."""
        if self._phase is _Phase.PAUSE and not self.unacknowledged_bytes:
            return self._pause_until_ns
        if self._phase is _Phase.RESUME and self.window_bytes < self._old_bytes:
            # The window that leaves room for half a piece, which is no longer than the window.
            least_bytes = self.unacknowledged_bytes + min(self.unacknowledged_bytes, self._piece_bytes() // 2) + 1
            least_bytes = min(least_bytes, self._old_bytes)
            return self._resumed_at_ns + least_bytes * self._old_delay_ns // self._old_bytes + 1
        return None

    def may_send(self, now_ns: int) -> int:
        """Size of the next piece in bytes; 0 if nothing may be sent now. The header of a frame is not counted."""
        if self._phase is _Phase.CRUISE and now_ns >= self._pause_at_ns:
            self._phase, self._old_bytes = _Phase.PAUSE, self.window_bytes
            self._pauses += 1
            self._jitter.paused(self._received_bytes, self._pause_at_ns)
            self._old_delay_ns = max(self._mean_delay_ns, 1)
            pause_ns = min(max(2 * self._old_delay_ns, MIN_PAUSE_NS), MAX_PAUSE_NS)
            self._pause_until_ns = self._pause_at_ns + pause_ns
        if self._phase is _Phase.PAUSE:
            if now_ns < self._pause_until_ns or self.unacknowledged_bytes:
                return 0
            self._forget_delays()
            self._phase, self.window_bytes = _Phase.PROBE, PROBE_BYTES
            self._begin_probes(now_ns)
        if self._phase is _Phase.RESUME:
            passed_ns = now_ns - self._resumed_at_ns
            window_bytes = self._old_bytes * passed_ns // self._old_delay_ns
            late_bytes = window_bytes - self.unacknowledged_bytes - 2 * self._piece_bytes()
            if late_bytes > 0 and self._is_slow:  # this machine was busy: do not make up for it in one burst
                self._resumed_at_ns += late_bytes * self._old_delay_ns // self._old_bytes
                window_bytes -= late_bytes
            self.window_bytes = min(max(window_bytes, PROBE_BYTES), self._old_bytes)
            if window_bytes >= self._old_bytes and self._delays:
                self._cruise(now_ns)
        piece = min(self._piece_bytes(), self.window_bytes)
        room = min(self.window_bytes - self.unacknowledged_bytes, piece)
        return piece if not self.unacknowledged_bytes else room if room >= piece // 2 else 0

    def sent(self, size_bytes: int, now_ns: int) -> None:
        """Call this when a piece of `size_bytes`, frame header included, is about to be written."""
        if not self._sent_bytes:
            self._begin_probes(now_ns)
        self._sent_bytes += size_bytes
        self._spare += 1
        self._pieces.append((self._sent_bytes, now_ns, self.unacknowledged_bytes))

    def acknowledged(self, received_bytes: int, now_ns: int) -> None:
        """The receiver has `received_bytes` in total. ProtocolError if that is impossible."""
        if not self._received_bytes < received_bytes <= self._sent_bytes:
            raise ProtocolError(
                f"{received_bytes} bytes acknowledged after {self._received_bytes} of {self._sent_bytes} sent"
            )
        if not self._spare:
            raise ProtocolError("more acknowledgements than pieces")
        self._spare -= 1
        in_flight_bytes, acked_bytes = self.unacknowledged_bytes, received_bytes - self._received_bytes
        self._received_bytes = received_bytes
        sent_at_ns = None
        while self._pieces and self._pieces[0][0] <= received_bytes:
            _, sent_at_ns, self._flight_bytes = self._pieces.popleft()
        if sent_at_ns is not None:
            if sent_at_ns - self._sent_at_ns <= PAIR_NS:
                self._pair_rates.append(acked_bytes / max(now_ns - self._acknowledged_at_ns, MIN_GAP_NS))
            self._sent_at_ns, self._acknowledged_at_ns = sent_at_ns, now_ns
            self._learn(now_ns - sent_at_ns, now_ns)
            if self._phase is _Phase.PROBE:
                self._probed(now_ns - sent_at_ns, now_ns)
        if self._delays and self._phase in (_Phase.CLIMB, _Phase.CRUISE):
            self._adjust(acked_bytes, in_flight_bytes, now_ns)

    def _learn(self, delay_ns: int, now_ns: int) -> None:
        self._delays.append((now_ns, delay_ns))
        self._delays_sum_ns += delay_ns
        while len(self._delays) > MIN_DELAYS and self._delays[0][0] < now_ns - delay_ns:
            self._delays_sum_ns -= self._delays.popleft()[1]
        minute = now_ns // MINUTE_NS
        if not self._minima or self._minima[-1][0] != minute:
            self._minima.append((minute, delay_ns))
        else:
            self._minima[-1] = minute, min(self._minima[-1][1], delay_ns)

    def _begin_probes(self, now_ns: int) -> None:
        # What the first probes said of jitter is in doubt at the first pause: see Jitter.end_probes.
        if not self._pauses or (self._pauses == 1 and self._jitter.jitter_ns >= RADIO_JITTER_NS):
            self._probes_left, self._probe_until_ns = FIRST_PROBES, now_ns + FIRST_PROBE_NS
        else:
            self._probes_left, self._probe_until_ns = NEXT_PROBES, now_ns + NEXT_PROBE_NS

    def _probed(self, delay_ns: int, now_ns: int) -> None:
        """A probe was acknowledged."""
        self._jitter.probed(delay_ns)
        self._probes_left -= 1
        if self._probes_left > 0 and now_ns < self._probe_until_ns:
            return
        self._jitter.end_probes(doubt=self._pauses == 1)
        self._forget_delays()
        self._since_ns = now_ns
        if self._pauses:
            self._phase, self._resumed_at_ns = _Phase.RESUME, now_ns
        else:
            self._phase, self.window_bytes = _Phase.CLIMB, MIN_WINDOW_BYTES

    def _forget_delays(self) -> None:
        self._delays.clear()
        self._delays_sum_ns = 0

    @property
    def _mean_delay_ns(self) -> int:
        """The mean delay of the last round trip; 0 before its first acknowledgement."""
        return self._delays_sum_ns // len(self._delays) if self._delays else 0

    def _piece_bytes(self) -> int:
        if self._phase is _Phase.RESUME:
            window_bytes, delay_ns = self._old_bytes, self._old_delay_ns
        else:
            window_bytes, delay_ns = self.window_bytes, self._mean_delay_ns
        at_rate = window_bytes * PIECE_NS // delay_ns if delay_ns else 0
        packets = min(at_rate, LONG_PIECE_BYTES, window_bytes // 2) // MIN_PIECE_BYTES
        short = max(packets, 1) * MIN_PIECE_BYTES
        return min(max(window_bytes // 32, short), MAX_PIECE_BYTES)

    @property
    def _is_slow(self) -> bool:
        """The link is slow, or nothing is known of it."""
        if not self._pair_rates:
            return True
        radio = self._jitter.jitter_ns >= max(RADIO_JITTER_NS, self._base_ns // RADIO_JITTER_PARTS)
        rates = sorted(self._pair_rates)
        return (rates[-1] if radio else rates[len(rates) // 2]) * 1e9 < SLOW_BYTES_PER_S

    @property
    def _base_ns(self) -> int:
        """The delay of the empty path."""
        return min((least for _, least in self._minima), default=NEVER_NS)

    def _adjust(self, acked_bytes: int, in_flight_bytes: int, now_ns: int) -> None:
        slow = self._is_slow
        base_ns = self._base_ns
        delay_ns = max(self._mean_delay_ns, 1)
        target_ns = min(self._target_ns(delay_ns, slow), MAX_TARGET_NS) + self._wait_ns(slow)
        if self._phase is _Phase.CLIMB:
            window_bytes = self._climb(acked_bytes, delay_ns, base_ns, target_ns, now_ns, slow)
        else:
            below_ns = base_ns + target_ns - delay_ns
            part_ns = max(-delay_ns, min(delay_ns, below_ns))
            if 2 * below_ns <= target_ns:
                self._empty_since_bytes = 0
            else:
                part_ns = max(part_ns, delay_ns // (8 if slow else 4))
                self._empty_since_bytes = self._empty_since_bytes or self.window_bytes
                if 4 * self.window_bytes > 5 * self._empty_since_bytes:
                    self._phase, self._since_ns, self._empty_since_bytes = _Phase.CLIMB, now_ns, 0
            window_bytes = self.window_bytes + acked_bytes * part_ns // (2 * delay_ns)
        if window_bytes > self.window_bytes:  # a window that was not used up does not grow
            window_bytes = max(self.window_bytes, min(window_bytes, 2 * in_flight_bytes))
        least_bytes = MIN_WINDOW_BYTES if slow else MIN_FAST_WINDOW_BYTES
        self.window_bytes = min(max(window_bytes, least_bytes), MAX_WINDOW_BYTES)

    def _target_ns(self, delay_ns: int, slow: bool) -> int:
        """The target for the queueing delay, without jitter."""
        share_ns = SHARE_BYTES * delay_ns // self.window_bytes
        if not slow:
            return TARGET_NS + share_ns
        if share_ns > SHARE_NS:
            share_ns = round(SHARE_NS * math.pow(share_ns / SHARE_NS, 1 / 3))
        return SLOW_TARGET_NS + share_ns

    def _wait_ns(self, slow: bool) -> int:
        """What jitter adds to the target."""
        if not slow:
            return self._jitter.wait_ns
        spread_ns = self._mean_delay_ns - min(delay for _, delay in self._delays)
        return spread_ns + min(spread_ns, MAX_SPREAD_NS)

    def _climb(self, acked_bytes: int, delay_ns: int, base_ns: int, target_ns: int, now_ns: int, slow: bool) -> int:
        """The larger window, or a smaller one if the delay shows a queue."""
        carefully = slow and self.window_bytes > MAX_BLIND_BYTES
        window_bytes = self.window_bytes + (acked_bytes // 2 if carefully else acked_bytes)
        recent_ns = max(min(delay for _, delay in list(self._delays)[-MIN_DELAYS:]), 1)
        most_ns = base_ns + target_ns
        burst_ns = base_ns + (4 * target_ns if slow else max(target_ns, MAX_TARGET_NS))
        queue = len(self._delays) >= MIN_DELAYS and (delay_ns > most_ns or recent_ns > burst_ns)
        if queue:
            # The bytes that were under way when a piece left made its delay: fewer bytes make less.
            wanted_bytes = self._flight_bytes * most_ns // max(recent_ns, delay_ns)
            window_bytes = min(window_bytes, max(wanted_bytes, window_bytes // 2))
        if queue or window_bytes >= MAX_WINDOW_BYTES:
            self._cruise(now_ns)
        return window_bytes

    def _cruise(self, now_ns: int) -> None:
        self._phase = _Phase.CRUISE
        every_ns, climb_ns = PAUSE_EVERY_NS, now_ns - self._since_ns
        most_ns = MAX_PAUSE_EVERY_NS if self._jitter.jitter_ns < MIN_JITTER_NS else JITTER_PAUSE_EVERY_NS
        while self._pauses and every_ns < min(MAX_CLIMB_PARTS * climb_ns, most_ns):
            every_ns *= 2
        self._pause_at_ns = (now_ns // every_ns + 1) * every_ns
