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
- The target grows with the spread of the delays in a round trip: a queue delays all pieces alike, jitter does not.
- Each flow pauses regularly and then measures the delay of the path again, as in LEDBAT++
  (draft-irtf-iccrg-ledbat-plus-plus). Without this, a flow that starts while others fill the queue measures their queue
  as part of the path. All flows of a machine pause at the same times of its clock, so the queue really becomes empty.
"""

from __future__ import annotations

import collections
import enum
import math

from phaselock.protocol.codec import ProtocolError

MIN_PIECE_BYTES = 1120
"""One packet (SEGMENT_BYTES in reach.py) with the headers of the frame and of TLS."""
PIECE_NS = 6_000_000
"""A piece takes at most this time at the flow's own rate, from MIN_PIECE_BYTES to LONG_PIECE_BYTES."""
LONG_PIECE_BYTES = 8 * 1024
MAX_PIECE_BYTES = 64 * 1024
"""Longest piece, in large windows: a window has at least 32 pieces longer than LONG_PIECE_BYTES."""
PROBE_BYTES = MIN_PIECE_BYTES
"""Window after a pause: one small piece, which measures the delay of the empty path."""
MIN_WINDOW_BYTES = 2 * MIN_PIECE_BYTES
"""3.5 ms at 5 Mbit/s. Five flows at this minimum add at most 18 ms of queue."""
MIN_FAST_WINDOW_BYTES = 16 * 1024
"""On fast links, where jitter is more likely than a queue: 1.3 ms at 100 Mbit/s."""
MAX_BLIND_BYTES = 8 * 1024
"""At the start a window doubles in a round trip up to this size, and on slow links then grows by half."""
MAX_WINDOW_BYTES = 4 << 20
SLOW_BYTES_PER_S = 7_500_000
"""60 Mbit/s: a link below is slow."""
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
MAX_SPREAD_NS = 4_000_000
"""The third part, the spread, is at most this on slow links. On fast ones, a quarter of the spread counts."""
MAX_TARGET_NS = 25_000_000
MIN_DELAYS = 4
"""The delay used is the minimum of the last round trip, and of at least this many acknowledgements (CURRENT_FILTER of
RFC 6817). Radios and schedulers only add delay, so the minimum is closest to the queue."""
MINUTE_NS = 60_000_000_000
BASE_MINUTES = 4
"""The delay of the empty path is the minimum over this time (BASE_HISTORY of RFC 6817)."""
PAUSE_EVERY_NS = 500_000_000
"""Shortest time between two pauses. Longer ones are this times a power of two, so that all pauses of the flow that
pauses less often coincide with pauses of the other one."""
MAX_PAUSE_EVERY_NS = 16_000_000_000
PAUSE_NS = 20_000_000
MAX_CLIMB_PARTS = 32
"""Pauses are so far apart that emptying the path and filling it again takes at most 1/32 of the time."""
MAX_SPARE_ACKNOWLEDGEMENTS = 8
"""Acknowledgements allowed beyond one for each piece. A receiver that acknowledges byte by byte would overload the
sender."""
NEVER_NS = 1 << 63


class _Phase(enum.Enum):
    PAUSE = enum.auto()
    """Send nothing until the queue is empty."""
    PROBE = enum.auto()
    """One small piece measures the delay of the empty path."""
    CLIMB = enum.auto()
    """The window doubles each round trip, or on slow links grows by half, until the delay shows a queue. At the
    start, and when the queue stays empty although the window has grown by a quarter."""
    RESUME = enum.auto()
    """After a pause: the window grows to its old size at the flow's old rate, so that no queue builds up. The first
    piece measures the delay of the empty path."""
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
        self._minima = collections.deque[tuple[int, int]](maxlen=BASE_MINUTES)
        """(minute, minimum delay in it)"""
        self._phase = _Phase.PROBE
        self._since_ns: int | None = None
        """When the first piece was sent, or the last pause should have ended."""
        self._pause_at_ns = self._pause_until_ns = NEVER_NS
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
            self._old_delay_ns = self._delays[-1][1] or 1
            self._since_ns = self._pause_until_ns = self._pause_at_ns + PAUSE_NS
        if self._phase is _Phase.PAUSE:
            if now_ns < self._pause_until_ns or self.unacknowledged_bytes:
                return 0
            self._phase, self._resumed_at_ns = _Phase.RESUME, now_ns
            self._delays.clear()
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
        if self._since_ns is None:
            self._since_ns = now_ns
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
        if self._delays and self._phase in (_Phase.CLIMB, _Phase.CRUISE):
            self._adjust(acked_bytes, in_flight_bytes, now_ns)

    def _learn(self, delay_ns: int, now_ns: int) -> None:
        self._delays.append((now_ns, delay_ns))
        while len(self._delays) > MIN_DELAYS and self._delays[0][0] < now_ns - delay_ns:
            self._delays.popleft()
        minute = now_ns // MINUTE_NS
        if not self._minima or self._minima[-1][0] != minute:
            self._minima.append((minute, delay_ns))
        else:
            self._minima[-1] = minute, min(self._minima[-1][1], delay_ns)
        if self._phase is _Phase.PROBE:
            self._phase, self.window_bytes = _Phase.CLIMB, MIN_WINDOW_BYTES
            self._delays.clear()

    def _piece_bytes(self) -> int:
        if self._phase is _Phase.RESUME:
            window_bytes, delay_ns = self._old_bytes, self._old_delay_ns
        elif self._delays:
            window_bytes, delay_ns = self.window_bytes, self._delays[-1][1]
        else:
            window_bytes, delay_ns = self.window_bytes, 0
        at_rate = window_bytes * PIECE_NS // delay_ns if delay_ns else 0
        packets = min(at_rate, LONG_PIECE_BYTES, window_bytes // 2) // MIN_PIECE_BYTES
        short = max(packets, 1) * MIN_PIECE_BYTES
        return min(max(window_bytes // 32, short), MAX_PIECE_BYTES)

    @property
    def _is_slow(self) -> bool:
        """The link is slow, or nothing is known of it."""
        rates = sorted(self._pair_rates)
        return not rates or rates[len(rates) // 2] * 1e9 < SLOW_BYTES_PER_S

    def _adjust(self, acked_bytes: int, in_flight_bytes: int, now_ns: int) -> None:
        slow = self._is_slow
        base_ns = min(least for _, least in self._minima)
        delay_ns = max(min(delay for _, delay in self._delays), 1)
        target_ns = self._target_ns(delay_ns, slow)
        if self._phase is _Phase.CLIMB:
            window_bytes = self._climb(acked_bytes, delay_ns, base_ns, target_ns, now_ns, slow)
        else:
            target_ns += self._spread_ns(delay_ns, slow)
            below_ns = base_ns + min(target_ns, MAX_TARGET_NS) - delay_ns
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

    def _spread_ns(self, delay_ns: int, slow: bool) -> int:
        """What jitter adds to the target."""
        spread_ns = sum(delay for _, delay in self._delays) // len(self._delays) - delay_ns
        return min(spread_ns, MAX_SPREAD_NS) if slow else spread_ns // 4

    def _climb(self, acked_bytes: int, delay_ns: int, base_ns: int, target_ns: int, now_ns: int, slow: bool) -> int:
        """The larger window, or a smaller one if the delay shows a queue."""
        carefully = slow and self.window_bytes > MAX_BLIND_BYTES
        window_bytes = self.window_bytes + (acked_bytes // 2 if carefully else acked_bytes)
        recent_ns = min(delay for _, delay in list(self._delays)[-MIN_DELAYS:])
        most_ns = base_ns + min(target_ns + (self._spread_ns(delay_ns, slow) if slow else 0), MAX_TARGET_NS)
        burst_ns = base_ns + (4 * target_ns if slow else MAX_TARGET_NS)
        queue = len(self._delays) >= MIN_DELAYS and (delay_ns > most_ns or recent_ns > burst_ns)
        if queue:
            # The bytes that were under way when a piece left made its delay: fewer bytes make less.
            wanted_bytes = self._flight_bytes * most_ns // recent_ns
            window_bytes = min(window_bytes, max(wanted_bytes, window_bytes // 2))
        if queue or window_bytes >= MAX_WINDOW_BYTES:
            self._cruise(now_ns)
        return window_bytes

    def _cruise(self, now_ns: int) -> None:
        self._phase = _Phase.CRUISE
        every_ns, climb_ns = PAUSE_EVERY_NS, now_ns - (self._since_ns or now_ns)
        while every_ns < min(MAX_CLIMB_PARTS * climb_ns, MAX_PAUSE_EVERY_NS):
            every_ns *= 2
        self._pause_at_ns = (now_ns // every_ns + 1) * every_ns
