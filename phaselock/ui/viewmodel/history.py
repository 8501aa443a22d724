"""The phase error of each machine over the last minutes, for the plot and for the CSV file that users save."""

from __future__ import annotations

import collections
import dataclasses
import io
import re

from phaselock.frozen import frozen
from phaselock.ui.backend import SessionView
from phaselock.ui.viewmodel.sync import machines

KEPT_S = 300.0
"""Age limit of the reports, in seconds."""
MIN_STEP_S = 0.45
"""Minimum time between two points of one machine, in seconds: about two points a second."""
UNCHANGED_S = 2.0
"""Minimum time between two points with equal values, in seconds."""
BREAK_S = 4.0
"""A line is interrupted where it has no point for this time, in seconds: the machine did not play."""
COLOURS = 6
"""Number of line colours."""

_FORMULA = re.compile(r"(?<![^\W_])(?=[-=+@\uff0b\uff0d\uff1d\uff20])")
"""The places where a spreadsheet may take the next character as the beginning of a formula. Spreadsheets differ in the
characters that end a cell, so every place counts that does not follow a letter or a digit."""


@frozen
class SeriesPoint:
    """One report. `t_s` is a time `now_s` of `History.take`. A positive error means early; an uncertainty of None is
    not known."""

    t_s: float
    error_us: float
    uncertainty_us: float | None


@frozen
class SeriesView:
    """One machine in the plot. The line is interrupted between two points that are more than BREAK_S apart."""

    key: int
    """0: this machine; else the peer's id."""
    name: str
    colour_index: int
    """0 to COLOURS - 1, in the order of joining."""
    points: tuple[SeriesPoint, ...]
    """Oldest first."""


Report = tuple[float, float | None, float | None, float | None]
"""Error and uncertainty in µs, drift and correction in ppm; None: not known."""


@dataclasses.dataclass(slots=True)
class _Line:
    name: str
    colour_index: int
    rows: collections.deque[tuple[SeriesPoint, Report]] = dataclasses.field(default_factory=collections.deque)


class History:
    """The reports of the last KEPT_S, of each machine that plays."""

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}
        self._state: SessionView | None = None

    def take(self, state: SessionView, now_s: float) -> None:
        """Record the newest state. May be called at any rate; `now_s` must not decrease."""
        present = _reports(state)
        for key in [key for key, line in self._lines.items() if key not in present and not line.rows]:
            del self._lines[key]
        for key, (name, report) in present.items():
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = _Line(name, self._free_colour())
            line.name = name
            if report is not None and _is_news(line, report, now_s):
                line.rows.append((SeriesPoint(now_s, *report[:2]), report))
        for line in self._lines.values():
            while line.rows and line.rows[0][0].t_s < now_s - KEPT_S:
                line.rows.popleft()

    def series(self, span_s: float, now_s: float) -> tuple[SeriesView, ...]:
        """The points of the last `span_s` of each machine that has any, in the order of the colours."""
        lines = sorted(self._lines.items(), key=lambda item: item[1].colour_index)
        views = (
            SeriesView(key, line.name, line.colour_index, tuple(p for p, _ in line.rows if p.t_s >= now_s - span_s))
            for key, line in lines
        )
        return tuple(view for view in views if view.points)

    def colour_of(self, key: int) -> int | None:
        """The colour of a machine's line; None: it has none."""
        line = self._lines.get(key)
        return line.colour_index if line is not None and line.rows else None

    def csv(self) -> str:
        """All reports as CSV text, oldest first. Times count from the first row."""
        import csv  # late: few users save the plot

        rows = sorted((point.t_s, key, report) for key, line in self._lines.items() for point, report in line.rows)
        text = io.StringIO(newline="")
        text.write("time_s,machine,phase_error_us,uncertainty_us,drift_ppm,correction_ppm\r\n")
        writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
        for t_s, key, report in rows:
            writer.writerow([round(t_s - rows[0][0], 3), _harmless(self._lines[key].name), *map(_rounded, report)])
        return text.getvalue()

    def clear(self) -> None:
        """Remove all reports, and free the colours."""
        self._lines.clear()

    def _free_colour(self) -> int:
        taken = {line.colour_index for line in self._lines.values()}
        return next((index for index in range(COLOURS) if index not in taken), len(self._lines) % COLOURS)


def _reports(state: SessionView) -> dict[int, tuple[str, Report | None]]:
    """Name and report of each machine in the session. The report is None if the machine does not play."""
    found: dict[int, tuple[str, Report | None]] = {}
    for machine in machines(state):
        report: Report | None = None
        if machine.state == "playing":
            drift_ppm, correction_ppm = machine.drift_ppm, machine.correction_ppm
            report = (machine.error_ns / 1e3, machine.uncertainty_ns / 1e3, drift_ppm, correction_ppm)
        elif machine.state == "clock" and machine.sounds:
            report = (machine.error_ns / 1e3, None, machine.drift_ppm, machine.correction_ppm)
        found[machine.key] = (machine.name, report)
    return found


def _is_news(line: _Line, report: Report, now_s: float) -> bool:
    if not line.rows:
        return True
    point, before = line.rows[-1]
    return now_s - point.t_s >= (UNCHANGED_S if report == before else MIN_STEP_S)


def _harmless(name: str) -> str:
    return _FORMULA.sub("'", name)


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 3)
