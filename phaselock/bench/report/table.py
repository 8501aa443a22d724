"""Tables of metrics in Markdown, and the tables of the README between its two marks."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from phaselock.bench.analysis import stats
from phaselock.bench.report.text import command, date, duration, escaped, label, number, plain, unit
from phaselock.bench.results import Case, Metric, Run, read_run
from phaselock.console.events import TableMade
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.model.notices import Code, Notice
from phaselock.session.events import Warned
from phaselock.storage.files import rename

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"

TITLES: Mapping[str, tuple[str, str]] = {
    "engine": ("Audio callback", "How long the native engine takes to fill one buffer of sound."),
    "decode": (
        "Decoding",
        "How fast songs become samples, as multiples of the time they play, and how much memory that takes.",
    ),
    "library": ("Music folder", "How fast a music folder is read and searched, and how much memory that takes."),
    "clock": ("Clock filters", "How far the estimate of the host's clock is from the truth."),
    "sync": ("Synchronisation", "How far apart any two loudspeakers are, when they start and as they play."),
    "transfer": ("Transfer", "How fast files reach the peers, against what the link can carry."),
    "call": (
        "A call beside songs",
        "How long the packets of a call wait on a home's uplink while songs go to friends elsewhere.",
    ),
    "air": ("Air", "What songs use of a path that carries the clock, too, and how wrong the clock is beside them."),
    "resources": ("Resources", "Memory and processor, idle and playing."),
    "abuse": ("Abuse", "What the members of a session notice while it is attacked."),
    "guests": ("Guests", "What the members of a session notice of a crowd at the page for phones."),
    "soak": ("Soak", "Whether the programs of a long party stay as they were."),
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
    "call": ("wait_p50_ms", "wait_p95_ms", "start_worst_ms", "lost_percent", "of_limit_percent", "least_share"),
    "air": ("of_limit_percent", "song_rate", "error_p50_us", "quiet_p50_us", "error_p95_us", "quiet_p95_us"),
    "decode": ("realtime_factor", "memory_mb", "seek_p50_ms", "seek_p95_ms", "seek_worst_ms", "inexact_seeks"),
    "library": ("read_s", "rescan_s", "search_p50_ms", "search_p95_ms", "search_worst_ms", "host_mb", "reader_mb"),
    "engine": ("p50_us", "p99_us", "worst_us", "of_period_percent"),
    "resources": ("rss_mb", "pss_mb", "private_mb", "processor_percent", "wakes_per_s"),
    "abuse": (
        "limits_missed",
        "command_before_ms",
        "command_during_ms",
        "command_after_ms",
        "phase_before_us",
        "phase_during_us",
        "phase_after_us",
        "newcomer_during_s",
        "host_peak_rise_mb",
        "host_rise_mb",
        "peer1_rise_mb",
        "victim_rise_mb",
    ),
    "guests": (
        "limits_missed",
        "command_before_ms",
        "command_during_ms",
        "command_after_ms",
        "phase_before_us",
        "phase_during_us",
        "phase_after_us",
        "newcomer_during_s",
        "page_added_mb",
        "host_peak_rise_mb",
        "host_rise_mb",
        "peer1_rise_mb",
    ),
    "soak": (
        "limits_missed",
        "songs",
        "joins",
        "crashes",
        "cuts",
        "host_memory_rise_mb",
        "peer1_memory_rise_mb",
        "peer2_memory_rise_mb",
        "phase_first_p95_us",
        "phase_last_p95_us",
    ),
}
"""The metrics in the tables, if they were measured. Other benchmarks show their first ones."""
MAX_OTHER_COLUMNS = 6
MAX_ROWS = 14
"""A longer table is folded."""
ORDER = ("sync", "clock", "transfer", "decode", "engine", "resources")

Column = tuple[str, str]
"""Name and unit of a metric."""


def run(result: pathlib.Path, readme: pathlib.Path | None, terminal: Terminal) -> int:
    """Write the tables of this result into the README, or to the terminal if there is none, and return 0. Raise
    PhaseLockError if the result or the README is of no use."""
    found = read_run(result)
    text = tables_of(found)
    if not found.complete:
        message = f"{result} is not complete, and neither are its tables."
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
        rename(unfinished, readme)
    except OSError as error:
        raise PhaseLockError(f"{readme} cannot be changed: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PhaseLockError(f"{readme} is not text in UTF-8.") from None
    terminal.event(TableMade(None, text), to_people=False)
    terminal.say(f"{readme} now has the figures of {result}.")
    return 0


def put_between(document: str, text: str) -> str | None:
    """The document with `text` between its marks; None unless each mark is there once, in this order."""
    before, begin, rest = document.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in old + after or END in before + after:
        return None
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def tables_of(run: Run) -> str:
    """The tables of a run in Markdown, and how it was measured."""
    parts = []
    groups = by_benchmark(run.cases)
    for name in sorted(groups, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        cases = groups[name]
        chosen = columns(name, cases)
        head = [title(name), *map(heading, chosen)]
        rows = [[case.name, *(cell(metric_of(case, column)) for column in chosen)] for case in cases]
        table = markdown(head, rows)
        parts.append(table if len(rows) <= MAX_ROWS else folded(title(name), table))
    parts.append(how(run) if parts else "Nothing was measured.")
    return "\n\n".join(parts)


def how(run: Run) -> str:
    """How and where a run was measured, in a few sentences of Markdown."""
    machine = run.machine
    commit = f", commit {plain(machine['commit'])}" if machine.get("commit") else ""
    cores = f" with {plain(machine['cores'])} cores" if machine.get("cores") else ""
    release = str(machine.get("release") or "").partition("-")[0]  # the rest names a build
    system = " ".join(plain(part) for part in (machine.get("system"), release) if part)
    typed = re.sub("[`<>]", "", command(run))  # a code span has no escapes
    version = escaped(f"PhaseLock {machine.get('phaselock')}{commit}")
    processor = plain(machine.get("processor") or "a processor without a name")
    where = f"{processor}{cores}, {system}, Python {plain(machine.get('python'))}"
    repeats = sorted({len(metric.values) for case in run.cases for metric in case.figures})
    times = str(repeats[0]) if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}" if repeats else "no"
    times += " repeat" if times == "1" else " repeats"
    listed = [case.parameters.get("seeds") for case in run.cases]
    seeds = {tuple(escaped(str(seed)) for seed in one) for one in listed if isinstance(one, list | tuple)}
    of_seeds = f" (seeds {', '.join(seeds.pop())})" if len(seeds) == 1 else ""
    incomplete = "" if run.complete else " **The run is not complete.**"
    return (
        f"Measured by `{typed}` ({version}) on {escaped(where)}; {escaped(date(run))}, in {duration(run.seconds)}. "
        f"Each figure is the median of {times}{of_seeds}, with their range in brackets.{incomplete}"
    )


# -- parts of tables ---------------------------------------------------------------------------------------------------


def by_benchmark(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases of each benchmark, in the order of the run."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.benchmark, []).append(case)
    return groups


def columns(benchmark: str, cases: Iterable[Case]) -> list[Column]:
    """The columns of the table of these cases."""
    there = list(dict.fromkeys((metric.name, metric.unit) for case in cases for metric in case.figures))
    wanted = COLUMNS.get(benchmark, ())
    return [one for want in wanted for one in there if one[0] == want] or there[:MAX_OTHER_COLUMNS]


def metric_of(case: Case, column: Column) -> Metric | None:
    """The case's metric for a column, if it has one."""
    return next((metric for metric in case.figures if (metric.name, metric.unit) == column), None)


def title(benchmark: str) -> str:
    """The title of a benchmark."""
    return TITLES[benchmark][0] if benchmark in TITLES else plain(benchmark)


def heading(column: Column) -> str:
    """The heading of a column."""
    name, of = column
    return f"{label(name, of)} ({unit(of)})" if of else label(name, of)


def cell(metric: Metric | None) -> str:
    """The median, with the range of the repeats in brackets."""
    if metric is None:
        return ""
    found = stats.summary(metric.values)
    low, middle, high = number(found.low), number(found.median), number(found.high)
    between = [] if low == high else [f"{low} to {high}" if found.low < 0 else f"{low}–{high}"]
    failed = [f"{found.missing} failed"] if found.n and found.missing else []
    return f"{middle} ({', '.join(between + failed)})" if between or failed else middle


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown. The first column contains names, the others numbers."""
    first, *others = ["| " + " | ".join(map(escaped, line)) + " |" for line in (head, *rows)]
    return "\n".join([first, "| --- |" + " ---: |" * (len(head) - 1), *others])


def folded(name: str, table: str) -> str:
    """A table that opens on a click, where HTML is supported."""
    return f"<details><summary>{escaped(name)}</summary>\n\n{table}\n\n</details>"
