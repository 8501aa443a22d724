"""Congestion control of a file transfer: use the whole rate of the path, but build no queue in front of it.

It is based on delay, like LEDBAT (RFC 6817), but works end to end above TCP: the bytes that are sent and not yet
acknowledged stay within a window, and the window follows the delay of the acknowledgements. Differences from LEDBAT:

- The control law is that of FAST TCP (Wei, Jin, Low and Hegde, IEEE/ACM Transactions on Networking 14(6), 2006). The
  target for the queueing delay is a fixed time plus the time that `SHARE_BYTES` take at the flow's own rate. The second
  part gives flows that share a link equal rates, in any order of their starts. It also keeps jitter from stopping a
  flow.
- Each flow pauses regularly and then measures the delay of the path again, as in LEDBAT++
  (draft-irtf-iccrg-ledbat-plus-plus). Without this, a flow that starts while others fill the queue measures their queue
  as part of the path. All flows of a machine pause at the same times of its clock, so the queue really becomes empty.
"""

from __future__ import annotations

import collections
import enum

from phaselock.protocol.codec import ProtocolError

PROBE_BYTES = 2 * 1024
"""Window after a pause: one small piece, which measures the delay of the empty path."""
MIN_WINDOW_BYTES = 16 * 1024
"""1.3 ms at 100 Mbit/s. Five flows at this minimum add at most 7 ms of queue."""
MAX_WINDOW_BYTES = 4 << 20
MIN_PIECE_BYTES = 8 * 1024
MAX_PIECE_BYTES = 64 * 1024
TARGET_NS = 2_000_000
"""Fixed part of the target for the queueing delay."""
SHARE_BYTES = 16 * 1024
"""The other part of the target: the time of these bytes at the flow's own rate."""
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
MAX_CLIMB_PARTS = 16
"""Pauses are so far apart that climbing back to the old window takes at most 1/16 of the time."""
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
    """The window doubles each round trip until it has its old size or the delay shows a queue."""
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
        self._pieces = collections.deque[tuple[int, int]]()
        """(end in the stream in bytes, time of sending) of the pieces that are not acknowledged."""
        self._delays = collections.deque[tuple[int, int]]()
        """(time, delay) of the acknowledgements of the last round trip."""
        self._minima = collections.deque[tuple[int, int]](maxlen=BASE_MINUTES)
        """(minute, minimum delay in it)"""
        self._phase = _Phase.PROBE
        self._since_ns: int | None = None
        """When the last probe and climb began, or should have begun."""
        self._pause_at_ns = self._pause_until_ns = NEVER_NS
        self._climb_to_bytes = MAX_WINDOW_BYTES

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes that are sent and not acknowledged."""
        return self._sent_bytes - self._received_bytes

    @property
    def wake_at_ns(self) -> int | None:
        """The time at which `may_send` changes without an acknowledgement; None if there is none."""
        return self._pause_until_ns if self._phase is _Phase.PAUSE and not self.unacknowledged_bytes else None

    def may_send(self, now_ns: int) -> int:
        """Size of the next piece in bytes; 0 if nothing may be sent now. The header of a frame is not counted."""
        if self._phase is _Phase.CRUISE and now_ns >= self._pause_at_ns:
            self._phase, self._climb_to_bytes = _Phase.PAUSE, self.window_bytes
            self._pause_until_ns = self._pause_at_ns + PAUSE_NS
            self._since_ns = max(self._pause_until_ns, now_ns)
        if self._phase is _Phase.PAUSE:
            if now_ns < self._pause_until_ns or self.unacknowledged_bytes:
                return 0
            self._phase, self.window_bytes = _Phase.PROBE, PROBE_BYTES
            self._delays.clear()
        piece = min(max(self.window_bytes // 32, MIN_PIECE_BYTES), MAX_PIECE_BYTES, self.window_bytes)
        room = min(self.window_bytes - self.unacknowledged_bytes, piece)
        return piece if not self.unacknowledged_bytes else room if room >= piece // 2 else 0

    def sent(self, size_bytes: int, now_ns: int) -> None:
        """Call this when a piece of `size_bytes`, frame header included, is about to be written."""
        if self._since_ns is None:
            self._since_ns = now_ns
        self._sent_bytes += size_bytes
        self._spare += 1
        self._pieces.append((self._sent_bytes, now_ns))

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
            _, sent_at_ns = self._pieces.popleft()
        if sent_at_ns is not None:
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

    def _adjust(self, acked_bytes: int, in_flight_bytes: int, now_ns: int) -> None:
        base_ns = min(least for _, least in self._minima)
        delay_ns = max(min(delay for _, delay in self._delays), 1)
        target_ns = min(TARGET_NS + SHARE_BYTES * delay_ns // self.window_bytes, MAX_TARGET_NS)
        below_ns = base_ns + target_ns - delay_ns
        if self._phase is _Phase.CLIMB:
            window_bytes = self.window_bytes + acked_bytes
            recent_ns = min(delay for _, delay in list(self._delays)[-MIN_DELAYS:])
            full = len(self._delays) >= MIN_DELAYS and (below_ns <= 0 or recent_ns > base_ns + MAX_TARGET_NS)
            if full or window_bytes >= self._climb_to_bytes:
                window_bytes = min(window_bytes, self._climb_to_bytes)
                if below_ns <= 0:
                    window_bytes = max(window_bytes * (delay_ns + below_ns) // delay_ns, window_bytes // 2)
                self._cruise(now_ns)
        else:
            part_ns = max(-delay_ns, min(delay_ns, below_ns))
            if 2 * below_ns > target_ns:
                part_ns = max(part_ns, delay_ns // 4)
            window_bytes = self.window_bytes + acked_bytes * part_ns // (2 * delay_ns)
        if window_bytes > self.window_bytes:  # a window that was not used up does not grow
            window_bytes = max(self.window_bytes, min(window_bytes, 2 * in_flight_bytes))
        self.window_bytes = min(max(window_bytes, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)

    def _cruise(self, now_ns: int) -> None:
        self._phase = _Phase.CRUISE
        every_ns, climb_ns = PAUSE_EVERY_NS, now_ns - (self._since_ns or now_ns)
        while every_ns < min(MAX_CLIMB_PARTS * climb_ns, MAX_PAUSE_EVERY_NS):
            every_ns *= 2
        self._pause_at_ns = (now_ns // every_ns + 1) * every_ns
