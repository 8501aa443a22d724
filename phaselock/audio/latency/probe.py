"""What all probes share: their contract, the one that knows nothing, and the sums of which the lowest count."""

from __future__ import annotations

import collections
import ctypes
import statistics
import time
from collections.abc import Callable, Collection
from typing import Protocol

from phaselock._native import now_ns


class LatencyProbe(Protocol):
    """The account that one platform gives of one open output. Used from one thread at a time."""

    @property
    def period_frames(self) -> int:
        """Frames of one callback."""

    def latency_ns(self) -> int | None:
        """From the entry of a callback to the moment at which its first frame leaves the loudspeaker; None while the
        platform tells nothing. May ask a server and wait a little."""

    def cycle_clock(self) -> tuple[int, int]:
        """Addresses of a function like jack_get_cycle_times and of a client for it; 0, 0 where there is none. Good
        until `close`."""

    def alive(self) -> bool:
        """False once the sound server is known to be gone. Never waits."""

    def close(self) -> None:
        """Let go of the platform."""


Asked = Callable[[], tuple[int, int]]
"""How many frames the callbacks have asked for since the stream began, and the local time at which the next is asked
for by the line of all callbacks: their least lateness."""


class PeriodProbe:
    """No account at all: the period that miniaudio works ahead, and nothing behind it. True of the null backend."""

    def __init__(self, rate_hz: int, period_frames: int) -> None:
        self.period_frames = period_frames
        self.period_ns = frames_ns(period_frames, rate_hz)

    def latency_ns(self) -> int | None:
        return self.period_ns

    def cycle_clock(self) -> tuple[int, int]:
        return 0, 0

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass


class LowestSums:
    """The latency of a stream whose platform tells how long the newest frame it has will wait, whenever it is asked.

    That answer falls by a millisecond each millisecond and jumps up whenever miniaudio writes. With the time since the
    newest callback added it only jumps up, at each write of that callback's own frames: the lowest sums of many were
    heard before the first such write, and what they say is the latency.
    """

    _ASK = 16
    _PAUSE_S = 0.003
    _KEPT = 10 * _ASK
    _BAND_NS = 1_000_000
    _SLOWEST_ANSWER_NS = 1_500_000

    def __init__(self, rate_hz: int, period_frames: int, asked: Asked, waits_ns: Callable[[], int | None]) -> None:
        self._rate_hz = rate_hz
        self._period_ns = frames_ns(period_frames, rate_hz)
        self._asked = asked
        self._waits_ns = waits_ns
        self._sums: collections.deque[int] = collections.deque(maxlen=self._KEPT)

    def latency_ns(self) -> int | None:
        """The figure, after asking some more; None when nothing was ever answered. Takes about 50 ms."""
        if self._asked()[0] < self._rate_hz:
            # The first second tells nothing: buffers fill, and the line of the callbacks is being found.
            return self._period_ns
        new = []
        for _ in range(self._ASK):
            if (total_ns := self._ask()) is not None:
                new.append(total_ns)
            time.sleep(self._PAUSE_S)
        if new and self._sums and abs(self._lowest(new) - self._lowest(self._sums)) > 2 * self._BAND_NS:
            self._sums.clear()
        self._sums.extend(new)
        return self._lowest(self._sums) if self._sums else None

    def _ask(self) -> int | None:
        """From the entry of the newest callback to the playing of the newest frame that the platform has; None when it
        was asked at a bad moment."""
        frames, next_ns = self._asked()
        before_ns = now_ns()
        waits_ns = self._waits_ns()
        after_ns = now_ns()
        if waits_ns is None or self._asked()[0] != frames or after_ns - before_ns > self._SLOWEST_ANSWER_NS:
            return None
        return (before_ns + after_ns) // 2 - (next_ns - self._period_ns) + waits_ns

    def _lowest(self, sums: Collection[int]) -> int:
        ordered = sorted(sums)
        low = ordered[len(ordered) // 20]
        return int(statistics.median([total for total in ordered if abs(total - low) <= self._BAND_NS]))


def frames_ns(frames: int, rate_hz: float) -> int:
    """How long so many frames take."""
    return int(frames * 1_000_000_000 / rate_hz)


def load(*names: str) -> ctypes.CDLL | None:
    """The first library of these that the system has."""
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
