"""How fast a file may travel: as fast as the path allows without a queue forming in front of it.

Congestion control by delay, as LEDBAT (RFC 6817) does, but end to end above TCP: what is on its way and not yet
acknowledged stays within a window, and the window follows the delay of the acknowledgements. What differs:

- The law is that of FAST TCP (Wei, Jin, Low and Hegde, IEEE/ACM Transactions on Networking 14(6), 2006): the window
  moves to where the queue costs a fixed time, and the time of `SHARE_BYTES` at the flow's own rate. The second part
  makes flows that share a link equal, whoever came first, and lets no jitter throttle a flow to a crawl.
- The path is measured afresh in a pause, as in LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus): whoever begins while
  others fill the queue takes their queue for the path. All flows of a machine pause at the same instants of its clock,
  so that the queue does run empty.
"""

from __future__ import annotations

import collections
import enum

from phaselock.protocol.codec import ProtocolError

PROBE_BYTES = 2 * 1024
MIN_WINDOW_BYTES = 16 * 1024
"""1.3 ms of a link of 100 Mbit/s: five flows that cannot help it make 7 ms."""
MAX_WINDOW_BYTES = 4 << 20
MIN_PIECE_BYTES = 8 * 1024
MAX_PIECE_BYTES = 64 * 1024
TARGET_NS = 2_000_000
SHARE_BYTES = 16 * 1024
MAX_TARGET_NS = 25_000_000
FILTER = 4
"""The least delay of a round trip, and of so many at least, counts (RFC 6817's CURRENT_FILTER): radios and schedulers
only ever add."""
MINUTE_NS = 60_000_000_000
BASE_MINUTES = 4
PAUSE_EVERY_NS = 500_000_000
"""Or twice, four times ... as much: of any two flows, the one that pauses less often does so together with the
other."""
MAX_PAUSE_EVERY_NS = 16_000_000_000
PAUSE_NS = 20_000_000
PAUSE_PART = 16
"""Getting back to the old window takes no more than one part in so many of the time."""
SPARE_ACKNOWLEDGEMENTS = 8
"""Beyond one for each piece: whoever acknowledges byte by byte would keep the sender busy with that alone."""
NEVER_NS = 1 << 63


class _Phase(enum.Enum):
    PAUSE = enum.auto()
    """Nothing is sent until the queue is empty."""
    PROBE = enum.auto()
    """One small piece measures the path."""
    CLIMB = enum.auto()
    """The window doubles each round trip until it is what it was, or a queue shows."""
    CRUISE = enum.auto()
    """The window follows the delay."""


class Pace:
    """The window of one connection: what may be sent when. One thread's own; times are of one monotonic clock."""

    def __init__(self) -> None:
        self.window_bytes = PROBE_BYTES
        self._sent_bytes = self._received_bytes = 0
        self._spare = SPARE_ACKNOWLEDGEMENTS
        """Acknowledgements that may still come."""
        self._pieces = collections.deque[tuple[int, int]]()
        """(end in the stream, when it was sent) of what is on its way."""
        self._delays = collections.deque[tuple[int, int]]()
        """(when, delay) of the acknowledgements of the last round trip."""
        self._minima = collections.deque[tuple[int, int]](maxlen=BASE_MINUTES)
        """(minute, least delay in it)"""
        self._phase = _Phase.PROBE
        self._since_ns: int | None = None
        """When probing and climbing began, or should have."""
        self._pause_at_ns = self._pause_until_ns = NEVER_NS
        self._climb_to_bytes = MAX_WINDOW_BYTES

    @property
    def unacknowledged_bytes(self) -> int:
        """On their way."""
        return self._sent_bytes - self._received_bytes

    @property
    def wake_at_ns(self) -> int | None:
        """When `may_send` changes without an acknowledgement; None: never."""
        return self._pause_until_ns if self._phase is _Phase.PAUSE and not self.unacknowledged_bytes else None

    def may_send(self, now_ns: int) -> int:
        """How long the next piece should be, in bytes; 0: not now. A frame around it does not count."""
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
        """So much more is on its way."""
        if self._since_ns is None:
            self._since_ns = now_ns
        self._sent_bytes += size_bytes
        self._spare += 1
        self._pieces.append((self._sent_bytes, now_ns))

    def acknowledged(self, received_bytes: int, now_ns: int) -> None:
        """The receiver has so many bytes in all; ProtocolError for what cannot be."""
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
        while len(self._delays) > FILTER and self._delays[0][0] < now_ns - delay_ns:
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
            recent_ns = min(delay for _, delay in list(self._delays)[-FILTER:])
            full = len(self._delays) >= FILTER and (below_ns <= 0 or recent_ns > base_ns + MAX_TARGET_NS)
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
        if window_bytes > self.window_bytes:  # no credit for what was not used
            window_bytes = max(self.window_bytes, min(window_bytes, 2 * in_flight_bytes))
        self.window_bytes = min(max(window_bytes, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)

    def _cruise(self, now_ns: int) -> None:
        self._phase = _Phase.CRUISE
        every_ns, climb_ns = PAUSE_EVERY_NS, now_ns - (self._since_ns or now_ns)
        while every_ns < min(PAUSE_PART * climb_ns, MAX_PAUSE_EVERY_NS):
            every_ns *= 2
        self._pause_at_ns = (now_ns // every_ns + 1) * every_ns
