"""Compare two runs: what got better or worse, and how sure that is.

Repeats measure the spread within one run. They do not capture differences between runs, such as the time of day or
other load. Therefore a difference of two percent is never reported, and a different computer gives a warning. Some of
hundreds of metrics are far apart by chance: "worse" takes the number of comparisons into account.
"""

from __future__ import annotations

import collections
import math
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

from phaselock.bench.analysis import stats
from phaselock.bench.report.table import title
from phaselock.bench.report.text import date, label, number, plain, unit
from phaselock.bench.results import Better, Case, Metric, Run, read_run
from phaselock.console.events import FigureCompared, RunsCompared
from phaselock.console.output import Terminal
from phaselock.model.notices import Code, Notice
from phaselock.session.events import Warned

Verdict = Literal[
    "worse",
    "likely worse",
    "better",
    "likely better",
    "changed",
    "likely changed",
    "no clear difference",
    "not measured",
    "only in A",
    "only in B",
]
MACHINE_FIELDS = ("processor", "cores", "architecture", "system", "release", "python")


def run(before_path: pathlib.Path, after_path: pathlib.Path, terminal: Terminal) -> int:
    """Compare every metric that both runs have. Return 1 if one got worse beyond chance, otherwise 0. Raise
    PhaseLockError if a file is not a run."""
    before, after = read_run(before_path), read_run(after_path)
    for name, one in (("A", before), ("B", after)):
        version, commit = (plain(one.machine.get(key) or "unknown") for key in ("phaselock", "commit"))
        terminal.say(f"{name}: PhaseLock {version}, commit {commit}, {date(one)}")
    for message in warnings_of(before, after):
        terminal.event(Warned(None, Notice(Code.BENCHMARK, message)))
    found = [
        (case, name, old, new, stats.compare(old.values if old else (), new.values if new else ()))
        for case, name, old, new in matched(before, after)
    ]
    directed = [result for _, _, _, new, result in found if new and new.better and result.testable]
    sure_p = stats.significance_limit([1.0 if result.negligible else result.p for result in directed])
    counts: collections.Counter[Verdict] = collections.Counter()
    heading = ""
    for case, name, old, new, result in found:
        verdict = judged(old, new, result, sure_p)
        counts[verdict] += 1
        if heading != (heading := f"{title(case.benchmark)}: {plain(case.name)}"):
            terminal.say(f"\n{heading}")
        terminal.say(_line(name, (new or old), verdict, result))
        fields = _fields(case, name, (new or old), verdict, result)
        terminal.event(FigureCompared(None, fields), to_people=False)
    by_chance = sum(map(likely_by_chance, (result for *_, result in found)))
    terminal.say("\n" + "\n".join(_conclusion(counts, by_chance, directed)))
    worse = bool(counts["worse"])
    terminal.event(
        RunsCompared(None, {str(name): count for name, count in counts.items()}, len(directed), by_chance, worse),
        to_people=False,
    )
    return 1 if worse else 0


def matched(before: Run, after: Run) -> Iterator[tuple[Case, str, Metric | None, Metric | None]]:
    """Every metric of either run, as (case, name, metric before, metric after); those of `after` first."""
    old, new = _metrics(before), _metrics(after)
    for key in dict.fromkeys([*new, *old]):
        case = (new.get(key) or old[key])[0]
        yield case, key[2], old[key][1] if key in old else None, new[key][1] if key in new else None


def _metrics(run: Run) -> dict[tuple[str, str, str], tuple[Case, Metric]]:
    return {(case.benchmark, case.name, metric.name): (case, metric) for case in run.cases for metric in case.figures}


def warnings_of(before: Run, after: Run) -> Iterator[str]:
    """Differences between the two runs that make a comparison doubtful."""
    for name, one in (("A", before), ("B", after)):
        if not one.complete:
            yield f"{name} is not complete."
    if machine := _unlike(before.machine, after.machine, MACHINE_FIELDS):
        yield f"The machines differ, which has more effect than any change: {machine}."
    packages = before.machine.get("packages"), after.machine.get("packages")
    if isinstance(packages[0], dict) and isinstance(packages[1], dict):
        if versions := _unlike(packages[0], packages[1], sorted({*packages[0], *packages[1]})):
            yield f"Packages differ: {versions}."
    cases = {(case.benchmark, case.name): case for case in before.cases}
    for case in after.cases:
        other = cases.get((case.benchmark, case.name))
        names = {*case.parameters, *other.parameters} if other else ()
        if other and (what := _unlike(other.parameters, case.parameters, sorted(names))):
            yield f"{title(case.benchmark)}, {plain(case.name)}: the parameters differ: {what}."


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any], keys: Iterable[str]) -> str:
    def difference(key: str) -> str:
        return f"{plain(key, 40)} ({plain(one.get(key), 60)}, then {plain(other.get(key), 60)})"

    return ", ".join(difference(key) for key in keys if one.get(key) != other.get(key))


def judged(old: Metric | None, new: Metric | None, result: stats.Comparison, sure_p: float) -> Verdict:
    """The verdict on one metric. It is sure up to the p-value `sure_p`, which takes the number of metrics into account.
    It is likely below SIGNIFICANT_P, or, with too few values for that, if the two ranges do not overlap."""
    if old is None or new is None:
        return "only in B" if old is None else "only in A"
    if not result.before.n or not result.after.n:
        return "not measured"
    if result.negligible:
        return "no clear difference"
    few = result.smallest_p >= stats.SIGNIFICANT_P
    if not (result.apart and result.smallest_p <= stats.LIKELY_P if few else result.p < stats.SIGNIFICANT_P):
        return "no clear difference"
    return _changed(new.better, result.after.median > result.before.median, sure=result.p <= sure_p)


def likely_by_chance(result: stats.Comparison) -> float:
    """Probability with which `judged` calls this metric different by chance alone."""
    if not result.testable or result.smallest_p > stats.LIKELY_P:
        return 0.0
    return max(result.smallest_p, stats.SIGNIFICANT_P)


def _changed(better: Better, grew: bool, *, sure: bool) -> Verdict:
    if not better:
        return "changed" if sure else "likely changed"
    if grew == (better == "more"):
        return "better" if sure else "likely better"
    return "worse" if sure else "likely worse"


def _line(name: str, metric: Metric | None, verdict: Verdict, result: stats.Comparison) -> str:
    of = metric.unit if metric else ""
    parts = [f"  {label(name, of)[:24]:24}  {verdict:19}"]
    if result.before.n or result.after.n:
        was, now = number(result.before.median), number(result.after.median)
        parts.append(f"{was:>9} -> {now:>9} {unit(of)[:8]:8}")
    if math.isfinite(result.ratio):
        parts.append(f"×{number(result.ratio)}")
        if math.isfinite(result.interval[0]):
            parts.append(f"({number(result.interval[0])} to {number(result.interval[1])})")
    return " ".join(parts).rstrip()


def _fields(
    case: Case, name: str, metric: Metric | None, verdict: Verdict, result: stats.Comparison
) -> dict[str, object]:
    numbers = {
        "before": result.before.median,
        "after": result.after.median,
        "ratio": result.ratio,
        "ratio_low": result.interval[0],
        "ratio_high": result.interval[1],
        "p": result.p,
        "smallest_p": result.smallest_p,
    }
    return {
        "benchmark": case.benchmark,
        "case": case.name,
        "figure": name,
        "unit": metric.unit if metric else "",
        "verdict": verdict,
        "before_n": result.before.n,
        "after_n": result.after.n,
        **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
    }


def _conclusion(
    counts: collections.Counter[Verdict], by_chance: float, directed: Collection[stats.Comparison]
) -> Iterator[str]:
    order: tuple[Verdict, ...] = get_args(Verdict)
    yield (
        ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]) + "."
        if counts
        else ("Neither run measured anything.")
    )
    if counts and counts.keys() <= {"only in A", "only in B"}:
        yield "Nothing can be compared: the two runs have no metric in common."
    if any("likely" in verdict for verdict in counts):
        yield (
            f"Likely: by chance alone, about {math.ceil(by_chance)} of this number of figures are called likely; half "
            "of those are worse, half better. The exit status does not count them."
        )
    if not directed:
        return
    smallest_p = min(result.smallest_p for result in directed)
    if smallest_p >= stats.SIGNIFICANT_P:
        yield (
            "With this number of repeats nothing can be called worse or better, and with fewer than three of each not "
            "even likely worse or better."
        )
    if smallest_p >= stats.SIGNIFICANT_P or smallest_p > stats.FALSE_DISCOVERY_RATE / len(directed):
        repeats = max(stats.repeats_for(len(directed)), stats.MIN_FOR_BOOTSTRAP)
        seeds = ",".join(map(str, range(1, repeats + 1)))
        yield f"For one figure of {len(directed)} to be called worse, take {repeats} repeats of each (--seeds {seeds})."
