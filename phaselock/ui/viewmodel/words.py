"""Formats numbers and names for users, in the language of the process."""

from __future__ import annotations

import math
from collections.abc import Callable

from phaselock.language.catalogue import current
from phaselock.language.message import Figure
from phaselock.model.notices import Code, Notice
from phaselock.session.sentences import notice_text

MINUS = "\u2212"
NNBSP = "\u202f"
"""Narrow no-break space, between a number and its unit."""
_SPANS = (
    (1_000_000, 10_000, 2, "ms"),
    (10_000_000, 100_000, 1, "ms"),
    (1_000_000_000, 1_000_000, 0, "ms"),
    (math.inf, 100_000_000, 1, "s"),
)
"""(upper limit in ns, rounding step in ns, digits after the decimal point, unit)"""


def code_text(code: Code) -> str:
    """The sentence of a notice without values."""
    return notice_text(Notice(code), current())


def number_text(value: float, form: str) -> str:
    """A number in a form of `format` (".1f", "+.0f", "g"), with the decimal sign of the language and a true minus. Zero
    has no sign."""
    figure = Figure(value, form).translated(current())
    return figure.replace("-", MINUS) if any(digit in figure for digit in "123456789") else figure.lstrip("+-")


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
        return f"{number_text(size / 1e3, '.0f')}{NNBSP}kB"
    value, unit = (size / 1e6, "MB") if size < 999_950_000 else (size / 1e9, "GB")
    return f"{number_text(value, '.1f')}{NNBSP}{unit}"


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


def ppm_text(value: float) -> str:
    """A difference of rates, with its sign: "+3.1 ppm"."""
    return f"{number_text(value, '+.1f')}{NNBSP}ppm"


def initial(text: str) -> str:
    """The letter that a tile shows in place of a picture."""
    return next((c for c in text if c.isalnum()), text[:1]).upper()[:1]


def _span(ns: int, to_whole: Callable[[float], int]) -> str:
    for below_ns, step_ns, digits, unit in _SPANS:
        steps = to_whole(abs(ns) / step_ns)
        if steps * step_ns < below_ns:
            unit_ns = step_ns * 10**digits
            figure = number_text(steps * step_ns / unit_ns, f".{digits}f")
            return f"{MINUS if ns < 0 and steps else ''}{figure}{NNBSP}{unit}"
    raise AssertionError("the last of them has no end")
