"""Values as text for people: numbers, units, times and names, for a page, a README and a terminal.

The fields of a run may come from another user's file. Their text is safe once it has passed `plain` or `escaped`.
"""

from __future__ import annotations

import datetime
import math
import os
import re
import shlex
from collections.abc import Mapping

from phaselock.bench.results import Run

MAX_CHARACTERS = 200
NOT_MEASURED = "–"
UNITS: Mapping[str, str] = {"us": "µs", "us/min": "µs/min", "percent": "%", "mb": "MB", "x": "×"}
"""How a unit is printed, if not as it is."""


def plain(value: object, max_characters: int = MAX_CHARACTERS) -> str:
    """One line of printable characters, without control characters, escape sequences and surrogates."""
    text = "".join(one if one.isprintable() else " " for one in str(value)[: max_characters + 1])
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def escaped(text: str) -> str:
    """Text without a meaning in Markdown, or in HTML within it."""
    return re.sub(r"([\\`*_\[\]<>|~$&])", r"\\\1", plain(text))


def number(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    if not math.isfinite(value):
        return NOT_MEASURED
    size = abs(value)
    if value == round(value) and size < 1e15 or 1000 <= size < 1e15:
        return f"{value:,.0f}" if size >= 10_000 else f"{value:.0f}"
    if size < 0.001 or size >= 1e15:
        return f"{value:.2g}"
    return f"{value:.{2 - math.floor(math.log10(size))}f}"


def label(metric: str, unit_name: str) -> str:
    """The name of a metric in words, without its unit."""
    suffix = "_percent" if unit_name == "%" else f"_{unit_name.lower().replace('/', '_per_')}"
    return plain(metric.removesuffix(suffix).replace("_", " "))


def unit(name: str) -> str:
    """A unit as it is printed."""
    return UNITS.get(name.lower(), plain(name))


def clock(seconds: float) -> str:
    """A time as on a clock: 2:34, 1:02:34."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """A duration in words."""
    if not 0 <= seconds < 1e9:
        return "an unknown time"
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def date(run: Run) -> str:
    """The day on which a run began, in words; the field as it is if it is not a date."""
    try:
        began = datetime.datetime.fromisoformat(run.began)
    except ValueError:
        return plain(run.began)
    return f"{began.day} {began:%B %Y}"


def command(run: Run) -> str:
    """The command of a run, without the folder of its result and without paths, which are private."""
    words, printed = list(run.command), ["phaselock"]
    while words:
        word = words.pop(0)
        if word == "--out" and words:
            words.pop(0)
        elif not word.startswith("--out="):
            printed.append(os.path.basename(word) if os.path.isabs(word) else word)
    return plain(shlex.join(printed))
