"""The benchmark of the music folder."""

from __future__ import annotations

import argparse
import math

from phaselock.bench.benchmarks import library
from phaselock.bench.results import Case


class Cases:
    """A Bench that keeps the cases."""

    def __init__(self) -> None:
        self.found: list[Case] = []

    def add(self, case: Case) -> None:
        self.found.append(case)

    def progress(self, done: float, doing: str) -> None:
        pass


def test_a_folder_is_read_and_searched() -> None:
    bench = Cases()
    library.run(argparse.Namespace(library_songs=100, seeds=(1,)), bench)
    (case,) = bench.found
    figures = {one.name: one.values[0] for one in case.figures}
    assert case.name == "100 songs" and all(value > 0 for name, value in figures.items() if not math.isnan(value))
