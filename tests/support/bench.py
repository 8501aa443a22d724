"""The recorder of a benchmark, for tests."""

from __future__ import annotations

from phaselock.bench.results import Case


class Collector:
    """Keeps the last case of each name, and holds benchmarks to what Bench.progress demands."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.done: list[float] = []

    def add(self, case: Case) -> None:
        self.cases[case.name] = case

    def progress(self, done: float, doing: str) -> None:
        assert 0 <= done <= 1 and doing
        self.done.append(done)
