"""A simulated monotonic clock: a function of true time. Both are in integer nanoseconds."""

from __future__ import annotations

_WHOLE = 10**9


class VirtualClock:
    """Has its own rate, can step ahead and stand still, and never runs back. Changes are made in the order of time."""

    def __init__(self, local_ns: int, ppm: float = 0.0) -> None:
        """`local_ns` at true time 0, gaining `ppm` microseconds each second."""
        self._parts = [(0, local_ns, round(ppm * 1e3))]
        """(true time, local time then, gain in parts of 1e9 from then on)"""

    def local(self, true_ns: float) -> int:
        """Local time at a true time."""
        at_ns = round(true_ns)
        for begin_ns, local_ns, gain in reversed(self._parts):
            if begin_ns <= at_ns or begin_ns == 0:
                return local_ns + (at_ns - begin_ns) * (_WHOLE + gain) // _WHOLE
        raise AssertionError("a clock begins at true time 0")

    def true(self, local_ns: int) -> int:
        """The first true time at which the local time is `local_ns` or more."""
        for number, (begin_ns, shown_ns, gain) in enumerate(self._parts, 1):
            if local_ns <= shown_ns:
                return begin_ns
            if gain > -_WHOLE:
                at_ns = begin_ns - (shown_ns - local_ns) * _WHOLE // (_WHOLE + gain)
                if number == len(self._parts) or at_ns < self._parts[number][0]:
                    return at_ns
        raise AssertionError("the clock stands still for ever")

    def step(self, true_ns: int, by_ns: int) -> None:
        """Step ahead at that true time."""
        assert by_ns >= 0, "a monotonic clock never runs back"
        self._parts.append((true_ns, self.local(true_ns) + by_ns, self._parts[-1][2]))

    def stand_still(self, true_ns: int, for_ns: int) -> None:
        """Stand still for a while, as in a suspended machine."""
        shown_ns, gain = self.local(true_ns), self._parts[-1][2]
        self._parts += [(true_ns, shown_ns, -_WHOLE), (true_ns + for_ns, shown_ns, gain)]

    def run_at(self, true_ns: int, ppm: float) -> None:
        """Gain `ppm` microseconds each second from that true time on, as a clock that NTP slews."""
        self._parts.append((true_ns, self.local(true_ns), round(ppm * 1e3)))
