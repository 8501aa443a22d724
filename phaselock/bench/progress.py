"""How far the benchmarks are: a bar where somebody watches, a line now and then elsewhere, events for programs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from phaselock.console.events import BenchProgressed
from phaselock.console.output import Screen

REDRAW_S = 0.1
EVENT_S = 1.0
TELLING_S = 3.0
"""So long, and so much, must have passed before the time left is estimated."""
TELLING_SHARE = 0.03
BAR_CELLS = 24


class ProgressScreen(Screen, Protocol):
    """What this needs of a Terminal."""

    @property
    def in_place(self) -> bool: ...

    def clear_progress(self) -> None: ...


class Progress:
    """The progress of `benchmarks`, which run one after the other. `now` tells seconds."""

    def __init__(
        self, screen: ProgressScreen, benchmarks: Sequence[str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._screen = screen
        self._benchmarks = tuple(benchmarks)
        self._now = now
        self._name = ""
        self._doing = ""
        self._began_s = 0.0
        self._redraw_s = self._event_s = -math.inf
        """When it may be drawn, and told to programs, again."""

    def begin(self, name: str) -> None:
        """The benchmark of this name begins."""
        self._name, self._doing, self._began_s = name, "", self._now()
        self._redraw_s = self._event_s = -math.inf
        self.show(0.0, "begins")

    def show(self, done: float, doing: str) -> None:
        """So much of it is done, 0 to 1, and this is being done. Cheap enough for every step."""
        now_s = self._now()
        done = min(max(done, 0.0), 1.0) if math.isfinite(done) else 0.0
        elapsed_s = now_s - self._began_s
        telling = done >= TELLING_SHARE and elapsed_s >= TELLING_S
        left_s = elapsed_s * (1 - done) / done if telling else None
        if now_s >= self._event_s:
            self._event_s = now_s + EVENT_S
            times_s = round(elapsed_s, 1), None if left_s is None else round(left_s, 1)
            progress = BenchProgressed(None, self._name, round(done, 4), doing, *times_s)
            self._screen.event(progress, to_people=False)
        if not self._screen.in_place:
            if doing != self._doing:
                self._screen.say(f"{self._name}: {doing}")
        elif now_s >= self._redraw_s:
            self._redraw_s = now_s + REDRAW_S
            self._screen.show(self._line(done, elapsed_s, left_s) + "\n" + doing)
        self._doing = doing

    def end(self) -> None:
        """All is done, or given up: the bar goes."""
        self._screen.clear_progress()

    def _line(self, done: float, elapsed_s: float, left_s: float | None) -> str:
        filled = round(done * BAR_CELLS)
        bar = "█" * filled + "░" * (BAR_CELLS - filled)
        name = self._name
        if len(self._benchmarks) > 1:
            name += f" ({self._benchmarks.index(name) + 1} of {len(self._benchmarks)})"
        left = "" if left_s is None else f", about {_duration(left_s)} left"
        return f"{name}  {bar} {done:4.0%}  {_duration(elapsed_s)}{left}"


def _duration(seconds: float) -> str:
    """Seconds as people read them: 2:34, 1:02:34."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
