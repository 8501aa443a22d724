"""Figures as words: in the README, in Markdown, on a terminal. What a run brings is a stranger's text until it is made
`plain` or `escaped`."""

from __future__ import annotations

import datetime
import math
import os
import pathlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from phaselock.bench.analysis import stats
from phaselock.bench.results import Case, Metric, Run, read_run
from phaselock.console.events import TableMade
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.model.notices import Code, Notice
from phaselock.session.events import Warned

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
MAX_TEXT = 200
NOTHING = "–"

TITLES: Mapping[str, tuple[str, str]] = {
    "engine": ("Audio callback", "How long the native engine takes to fill one buffer of sound."),
    "decode": ("Decoding", "How fast songs become samples, as multiples of the time they play."),
    "clock": ("Clock filters", "How far the estimate of the host's clock is from the truth."),
    "sync": ("Synchronisation", "How far apart any two loudspeakers are, when they start and as they play."),
    "transfer": ("Transfer", "How fast files reach the peers, against what the link can carry."),
    "resources": ("Resources", "Memory and processor, idle and playing."),
    "outputs": ("Outputs", "How far the predicted time of each output of this machine is from what its sink plays."),
    "measure": ("Two outputs", "How far apart two real outputs are."),
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sync": (
        "start_us",
        "playing_p50_us",
        "playing_p95_us",
        "playing_p99_us",
        "playing_max_us",
        "worst_minute_p95_us",
        "settling_s",
        "clicks",
        "dropouts",
    ),
    "clock": ("error_p50_us", "error_p95_us", "error_p99_us"),
    "transfer": ("of_limit_percent", "seconds"),
    "decode": ("realtime_factor", "seek_p95_ms"),
    "engine": ("p50_us", "p99_us", "worst_us", "of_period_percent"),
    "resources": ("rss_mb", "private_mb", "processor_percent"),
}
"""The main figures, if they were measured; of other benchmarks, the first."""
MAX_OTHER_COLUMNS = 6
MAX_ROWS = 6
"""A table that is longer is folded."""
ORDER = ("sync", "clock", "transfer", "decode", "engine", "resources")

UNITS = {"us": "µs", "us/min": "µs/min", "percent": "%", "mb": "MB", "x": "×"}

Column = tuple[str, str]
"""Name and unit of a figure."""


def run(result: pathlib.Path, readme: pathlib.Path | None, terminal: Terminal) -> int:
    """Write the table of this result, into the README if there is one to write it to; 0."""
    found = read_run(result)
    text = figures_of(found)
    if not found.complete:
        message = f"{result} is not complete, and neither is its table."
        terminal.event(Warned(None, Notice(Code.BENCHMARK, message)))
    if readme is None:
        terminal.event(TableMade(None, text), to_people=False)
        terminal.say(text)
        return 0
    try:
        before = readme.read_text("utf-8")
        after = put_between(before, text)
        if after is None:
            raise PhaseLockError(f"{readme} has no place for the figures: one line {BEGIN}, and below it one {END}.")
        unfinished = readme.with_name(readme.name + ".part")
        unfinished.write_text(after, "utf-8")
        unfinished.replace(readme)
    except OSError as error:
        raise PhaseLockError(f"{readme} cannot be changed: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PhaseLockError(f"{readme} is not text in UTF-8.") from None
    terminal.event(TableMade(None, text), to_people=False)
    terminal.say(f"The figures in {readme} are those of {result}.")
    return 0


def put_between(document: str, text: str) -> str | None:
    """The document with `text` between its marks; None if they are not there, once each and in this order."""
    before, begin, rest = document.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in old + after or END in before + after:
        return None
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def figures_of(run: Run) -> str:
    """The README's tables, in Markdown, and how they were measured."""
    parts = []
    groups = by_benchmark(run.cases)
    for name in sorted(groups, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        cases = groups[name]
        chosen = columns(name, cases)
        head = [title(name), *map(heading, chosen)]
        rows = [[case.name, *(cell(figure_of(case, column)) for column in chosen)] for case in cases]
        table = markdown(head, rows)
        parts.append(table if len(rows) <= MAX_ROWS else folded(title(name), table))
    parts.append(how(run) if parts else "Nothing was measured.")
    return "\n\n".join(parts)


def how(run: Run) -> str:
    """How and where all this was measured, in a few sentences, in Markdown."""
    machine = run.machine
    commit = f", commit {plain(machine['commit'])}" if machine.get("commit") else ""
    cores = f" with {plain(machine['cores'])} cores" if machine.get("cores") else ""
    release = str(machine.get("release") or "").partition("-")[0]  # what follows names a build
    system = " ".join(plain(part) for part in (machine.get("system"), release) if part)
    typed = re.sub("[`<>]", "", command(run))  # nothing can be escaped within a code span
    version = escaped(f"PhaseLock {machine.get('phaselock')}{commit}")
    processor = plain(machine.get("processor") or "a processor without a name")
    where = f"{processor}{cores}, {system}, Python {plain(machine.get('python'))}"
    repeats = sorted({len(figure.values) for case in run.cases for figure in case.figures})
    times = str(repeats[0]) if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}" if repeats else "no"
    times += " repeat" if times == "1" else " repeats"
    told = [case.parameters.get("seeds") for case in run.cases]
    seeds = {tuple(escaped(str(seed)) for seed in one) for one in told if isinstance(one, list | tuple)}
    of_seeds = f" (seeds {', '.join(seeds.pop())})" if len(seeds) == 1 else ""
    incomplete = "" if run.complete else " **The run did not come to its end.**"
    return (
        f"Measured by `{typed}` ({version}) on {escaped(where)}; {escaped(date(run))}, in {duration(run.seconds)}. "
        f"Each figure is the median of {times}{of_seeds}, with their range in brackets.{incomplete}"
    )


# -- parts of tables ---------------------------------------------------------------------------------------------------


def by_benchmark(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases of each benchmark, in the order in which they were measured."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.benchmark, []).append(case)
    return groups


def columns(benchmark: str, cases: Iterable[Case]) -> list[Column]:
    """The main figures of these cases."""
    there = list(dict.fromkeys((figure.name, figure.unit) for case in cases for figure in case.figures))
    wanted = COLUMNS.get(benchmark, ())
    return [one for want in wanted for one in there if one[0] == want] or there[:MAX_OTHER_COLUMNS]


def figure_of(case: Case, column: Column) -> Metric | None:
    """The case's figure for that column, if it has one."""
    return next((figure for figure in case.figures if (figure.name, figure.unit) == column), None)


def title(benchmark: str) -> str:
    """What to call a benchmark."""
    return TITLES[benchmark][0] if benchmark in TITLES else plain(benchmark)


def label(name: str, of: str) -> str:
    """What to call a figure whose unit is `of`: in words, without the unit at its end."""
    name = name.removesuffix("_percent" if of == "%" else f"_{of.lower().replace('/', '_per_')}")
    return plain(name.replace("_", " "))


def unit(of: str) -> str:
    """A unit as it is printed."""
    return UNITS.get(of.lower(), plain(of))


def heading(column: Column) -> str:
    """Name and unit at the head of a column."""
    name, of = column
    return f"{label(name, of)} ({unit(of)})" if of else label(name, of)


def cell(figure: Metric | None) -> str:
    """The median, and the range if there is one."""
    if figure is None:
        return ""
    found = stats.summary(figure.values)
    low, middle, high = number(found.low), number(found.median), number(found.high)
    between = [] if low == high else [f"{low} to {high}" if found.low < 0 else f"{low}–{high}"]
    failed = [f"{found.missing} failed"] if found.n and found.missing else []
    return f"{middle} ({', '.join(between + failed)})" if between or failed else middle


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    if not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if value == round(value) and size < 1e15 or 1000 <= size < 1e15:
        return f"{value:,.0f}" if size >= 10_000 else f"{value:.0f}"
    if size < 0.001 or size >= 1e15:
        return f"{value:.2g}"
    return f"{value:.{2 - math.floor(math.log10(size))}f}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is of names, the others are of numbers."""
    first, *others = ["| " + " | ".join(map(escaped, line)) + " |" for line in (head, *rows)]
    return "\n".join([first, "| --- |" + " ---: |" * (len(head) - 1), *others])


def folded(name: str, table: str) -> str:
    """A table that opens on a click, where HTML is understood."""
    return f"<details><summary>{escaped(name)}</summary>\n\n{table}\n\n</details>"


def escaped(text: str) -> str:
    """Text that Markdown takes for nothing else, nor HTML within it."""
    return re.sub(r"([\\`*_\[\]<>|~$&])", r"\\\1", plain(text))


def plain(of: object, longest: int = MAX_TEXT) -> str:
    """One line of what can be printed: no control, no escape sequence, no half of a character."""
    text = "".join(one if one.isprintable() else " " for one in str(of)[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def command(run: Run) -> str:
    """What was typed, but for where the result went: that is nobody else's business."""
    words, told = list(run.command), ["phaselock"]
    while words:
        word = words.pop(0)
        if word == "--out" and words:
            words.pop(0)
        elif not word.startswith("--out="):
            told.append(os.path.basename(word) if os.path.isabs(word) else word)
    return plain(shlex.join(told))


def date(run: Run) -> str:
    """The day on which it began, in words; as it stands in the file if it is none."""
    try:
        began = datetime.datetime.fromisoformat(run.began)
    except ValueError:
        return plain(run.began)
    return f"{began.day} {began:%B %Y}"


def duration(seconds: float) -> str:
    """How long something took, in words."""
    if not 0 <= seconds < 1e9:
        return "an unknown time"
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
