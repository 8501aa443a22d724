"""The interface between a benchmark and the command that runs it."""

from __future__ import annotations

from typing import Protocol

from phaselock.bench.results import Case


class Bench(Protocol):
    """The argument of every benchmark's `run(options, bench)`.

    KeyboardInterrupt may be raised at any moment. A benchmark must let it pass and leave no process or thread behind.
    All cases added before are kept.
    """

    def add(self, case: Case) -> None:
        """Add a case. It replaces a case of the same benchmark and name, so that a benchmark can add after every
        repeat."""

    def progress(self, done: float, doing: str) -> None:
        """Report the share of this benchmark that is done, from 0 to 1, and the current step in a few words. Cheap."""
