"""How fast files reach a peer, as the host has measured it."""

from __future__ import annotations

MEASURE_NS = 1_000_000_000
"""Length of a measurement."""
MARGIN = 4
"""A transfer may become this many times as fast as was measured: others end, and a call beside it does."""


class SendRate:
    """The latest measurement. `now_ns` is session time."""

    def __init__(self) -> None:
        self._bytes_per_s: float | None = None
        self._since_ns: int | None = None
        """Begin of the measurement that runs: the first progress after an offer. Before, it is not known when the peer
        began to fetch."""
        self._bytes = 0
        self._moved_at_ns = 0

    def restart(self) -> None:
        """A file is offered: what passes before its first progress does not count."""
        self._since_ns = None

    def moved(self, count: int, *, now_ns: int) -> None:
        """Files made a progress of `count` bytes."""
        self._moved_at_ns = now_ns
        if self._since_ns is None:
            self._since_ns, self._bytes = now_ns, 0
            return
        self._bytes += count
        if now_ns - self._since_ns >= MEASURE_NS:
            self._bytes_per_s = self._bytes / (now_ns - self._since_ns) * 1e9
            self._since_ns, self._bytes = now_ns, 0

    def is_too_slow(self, count: int, since_ns: int, until_ns: int) -> bool:
        """Obviously `count` bytes, from the last progress or from `since_ns` on, do not pass until `until_ns`. False if
        nothing was measured."""
        if self._bytes_per_s is None:
            return False
        left_s = (until_ns - max(since_ns, self._moved_at_ns)) / 1e9
        return count > MARGIN * self._bytes_per_s * left_s
