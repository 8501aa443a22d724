"""How often the child process tells a change. A router, or another machine that answers in its place, may give another
answer without end, and each change is an event, a new line for friends, and a message to those who have come in."""

from __future__ import annotations

import collections

from phaselock.internet.state import RouterState

AT_ONCE = 8
"""Most changes that are told in EVERY_S."""
EVERY_S = 60.0


class Telling:
    """`now_s` is the time of one monotonic clock."""

    def __init__(self) -> None:
        self._told: RouterState | None = None
        self._at_s: collections.deque[float] = collections.deque(maxlen=AT_ONCE)
        """When the last ones were told."""

    def next_s(self, state: RouterState) -> float:
        """When `take` accepts this state."""
        if state == self._told:
            return float("inf")
        return self._at_s[0] + EVERY_S if len(self._at_s) == AT_ONCE else float("-inf")

    def take(self, state: RouterState, now_s: float) -> bool:
        """Whether this state is told now."""
        if now_s < self.next_s(state):
            return False
        self._told = state
        self._at_s.append(now_s)
        return True
