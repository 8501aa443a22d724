"""What a running benchmark reports to."""

from __future__ import annotations

from typing import Protocol

from phaselock.bench.results import Case


class Bench(Protocol):
    """Given to every benchmark's `run(options, bench)`; KeyboardInterrupt may come at any moment and must pass through,
    leaving no process or thread behind. What was added until then is kept."""

    def add(self, case: Case) -> None:
        """A case is measured; one of the same benchmark and name takes the place of its forerunner, so that a benchmark
        can add after every repeat."""

    def progress(self, done: float, doing: str) -> None:
        """How much of this benchmark is done, 0 to 1, and what is being done now, in a few words. Cheap."""
