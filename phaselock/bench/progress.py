"""The progress of benchmarks: a bar on a terminal, a line for each step elsewhere, events for programs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from phaselock.bench.report.text import clock
from phaselock.console.events import BenchProgressed
from phaselock.console.output import Terminal

REDRAW_EVERY_S = 0.1
EVENT_EVERY_S = 1.0
MIN_ELAPSED_S, MIN_DONE_SHARE = 3.0, 0.03
"""The time left is estimated once both are reached."""
BAR_CELLS = 24


class Progress:
    """The progress of `benchmarks`, which run one after the other. `now` returns seconds."""

    def __init__(
        self, terminal: Terminal, benchmarks: Sequence[str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = terminal
        self._benchmarks = tuple(benchmarks)
        self._now = now
        self._name = ""
        self._doing = ""
        self._began_s = 0.0
        self._redraw_s = self._event_s = -math.inf
        """Earliest time of the next drawing, and of the next event."""

    def begin(self, name: str) -> None:
        """The benchmark of this name starts."""
        self._name, self._doing, self._began_s = name, "", self._now()
        self._redraw_s = self._event_s = -math.inf
        self.show(0.0, "begins")

    def show(self, done: float, doing: str) -> None:
        """Show the share that is done, from 0 to 1, and the current step. Cheap enough for every step."""
        now_s = self._now()
        done = min(max(done, 0.0), 1.0) if math.isfinite(done) else 0.0
        elapsed_s = now_s - self._began_s
        is_known = done >= MIN_DONE_SHARE and elapsed_s >= MIN_ELAPSED_S
        left_s = elapsed_s * (1 - done) / done if is_known else None
        if now_s >= self._event_s:
            self._event_s = now_s + EVENT_EVERY_S
            times_s = round(elapsed_s, 1), None if left_s is None else round(left_s, 1)
            progress = BenchProgressed(None, self._name, round(done, 4), doing, *times_s)
            self._terminal.event(progress, to_people=False)
        if not self._terminal.in_place:
            if doing != self._doing:
                self._terminal.say(f"{self._name}: {doing}")
        elif now_s >= self._redraw_s:
            self._redraw_s = now_s + REDRAW_EVERY_S
            self._terminal.show(self._line(done, elapsed_s, left_s) + "\n" + doing)
        self._doing = doing

    def end(self) -> None:
        """Remove the bar."""
        self._terminal.clear_progress()

    def _line(self, done: float, elapsed_s: float, left_s: float | None) -> str:
        filled = round(done * BAR_CELLS)
        bar = "█" * filled + "░" * (BAR_CELLS - filled)
        name = self._name
        if len(self._benchmarks) > 1:
            name += f" ({self._benchmarks.index(name) + 1} of {len(self._benchmarks)})"
        left = "" if left_s is None else f", about {clock(left_s)} left"
        return f"{name}  {bar} {done:4.0%}  {clock(elapsed_s)}{left}"
