"""Formats numbers and names for users."""

from __future__ import annotations

import math
from collections.abc import Callable

NNBSP = "\u202f"
"""Narrow no-break space, between a number and its unit."""
_SPANS = (
    (1_000_000, 10_000, 2, "ms"),
    (10_000_000, 100_000, 1, "ms"),
    (1_000_000_000, 1_000_000, 0, "ms"),
    (math.inf, 100_000_000, 1, "s"),
)
"""(upper limit in ns, rounding step in ns, digits after the decimal point, unit)"""


def time_text(seconds: float) -> str:
    """A position in a track: "2:34", "1:02:03". A negative or non-finite value becomes "0:00"."""
    whole = int(max(0.0, seconds)) if math.isfinite(seconds) else 0
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def span_text(seconds: float) -> str:
    """The duration of a list: "48 min", "2 h 5 min"; at least one minute."""
    minutes = max(1, round(seconds / 60))
    hours = f"{minutes // 60}{NNBSP}h" if minutes >= 60 else ""
    rest = f"{minutes % 60}{NNBSP}min" if minutes % 60 or not hours else ""
    return f"{hours} {rest}".strip()


def size_text(size: int) -> str:
    """A size in bytes: "512 B", "640 kB", "4.2 MB", "1.5 GB"."""
    if size < 1000:
        return f"{size}{NNBSP}B"
    if size < 999_500:
        return f"{size / 1e3:.0f}{NNBSP}kB"
    return f"{size / 1e6:.1f}{NNBSP}MB" if size < 999_950_000 else f"{size / 1e9:.1f}{NNBSP}GB"


def ms_text(ns: int) -> str:
    """A duration, rounded to about two significant digits: "0.02 ms", "3.2 ms", "45 ms", "1.5 s"."""
    return _span(ns, round)


def within_text(ns: int) -> str:
    """An upper limit, rounded up so that it stays true, and never zero: "0.02 ms"."""
    return _span(max(1, ns), math.ceil)


def latency_text(ns: int) -> str:
    """A latency in whole milliseconds, so that the number changes seldom: "<1 ms", "2 ms"."""
    return f"<1{NNBSP}ms" if ns < 1_000_000 else f"{round(ns / 1e6)}{NNBSP}ms"


def percent_text(part: float) -> str:
    """A fraction from 0 to 1 as "42 %"; "100 %" only for 1."""
    return f"{min(99, int(part * 100)) if part < 1 else 100}{NNBSP}%"


def initial(text: str) -> str:
    """The letter that a tile shows in place of a picture."""
    return next((c for c in text if c.isalnum()), text[:1]).upper()[:1]


def listed(names: list[str]) -> str:
    """ "Ana", "Ana and Ben", "Ana, Ben and Cleo"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _span(ns: int, to_whole: Callable[[float], int]) -> str:
    for below_ns, step_ns, digits, unit in _SPANS:
        steps = to_whole(abs(ns) / step_ns)
        if steps * step_ns < below_ns:
            unit_ns = step_ns * 10**digits
            return f"{'-' if ns < 0 and steps else ''}{steps * step_ns / unit_ns:.{digits}f}{NNBSP}{unit}"
    raise AssertionError("the last of them has no end")
