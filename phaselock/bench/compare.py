"""Two runs side by side: what got better or worse, and how sure that is.

Repeats within a run share the hour and the state of their machine: they tell chance from change, not a busy evening
from a quiet one. So a difference of two percent is no news, however sure, and another machine is warned of.
"""

from __future__ import annotations

import collections
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from phaselock.bench import stats
from phaselock.bench.results import Better, Case, Figure, Run, read_run
from phaselock.bench.table import date, label, number, plain, title, unit
from phaselock.terminal import Terminal

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
SAME_MACHINE = ("processor", "cores", "architecture", "system", "release", "python")


def run(before_path: pathlib.Path, after_path: pathlib.Path, terminal: Terminal) -> int:
    """Compare every figure that both have; 1 if one got worse or likely did, else 0."""
    before, after = read_run(before_path), read_run(after_path)
    for name, one in (("A", before), ("B", after)):
        version, commit = (plain(one.machine.get(key) or "unknown") for key in ("phaselock", "commit"))
        terminal.say(f"{name}: PhaseLock {version}, commit {commit}, {date(one)}")
    for message in warnings_of(before, after):
        terminal.event("warning", None, {"message": message})
    counts: collections.Counter[Verdict] = collections.Counter()
    tested, heading = 0, ""
    for case, name, old, new in matched(before, after):
        result = stats.compare(old.values if old else (), new.values if new else ())
        verdict = judged(old, new, result)
        counts[verdict] += 1
        tested += result.smallest_p <= stats.LIKELY
        if heading != (heading := f"{title(case.benchmark)}: {plain(case.name)}"):
            terminal.say(f"\n{heading}")
        terminal.say(_line(name, (new or old), verdict, result))
        terminal.event("compared", None, _fields(case, name, (new or old), verdict, result), to_people=False)
    terminal.say("\n" + "\n".join(_conclusion(counts, tested)))
    worse = counts["worse"] + counts["likely worse"]
    fields = {"counts": dict(counts), "tested": tested, "worse": bool(worse)}
    terminal.event("comparison", None, fields, to_people=False)
    return 1 if worse else 0


def matched(before: Run, after: Run) -> Iterator[tuple[Case, str, Figure | None, Figure | None]]:
    """Every figure of either run, by benchmark, case and name, with what the two have of it; those of `after` first."""
    old, new = _figures(before), _figures(after)
    for key in dict.fromkeys([*new, *old]):
        case = (new.get(key) or old[key])[0]
        yield case, key[2], old[key][1] if key in old else None, new[key][1] if key in new else None


def _figures(run: Run) -> dict[tuple[str, str, str], tuple[Case, Figure]]:
    return {(case.benchmark, case.name, figure.name): (case, figure) for case in run.cases for figure in case.figures}


def warnings_of(before: Run, after: Run) -> Iterator[str]:
    """What else differs between the two runs than what was to be compared."""
    for name, one in (("A", before), ("B", after)):
        if not one.complete:
            yield f"{name} did not come to its end."
    if machine := _unlike(before.machine, after.machine, SAME_MACHINE):
        yield f"The machines differ, which says more than any figure: {machine}."
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
    def told(key: str) -> str:
        return f"{plain(key, 40)} ({plain(one.get(key), 60)}, then {plain(other.get(key), 60)})"

    return ", ".join(told(key) for key in keys if one.get(key) != other.get(key))


def judged(old: Figure | None, new: Figure | None, result: stats.Comparison) -> Verdict:
    """What may be said: surely where chance does as much in less than one case of twenty; likely where the values are
    too few for that, but none lies within the range of the others."""
    if old is None or new is None:
        return "only in B" if old is None else "only in A"
    if not result.before.n or not result.after.n:
        return "not measured"
    if result.negligible:
        return "no clear difference"
    if result.smallest_p < stats.SIGNIFICANT:
        likely, apart = "", result.p < stats.SIGNIFICANT
    else:
        likely, apart = "likely ", result.apart and result.smallest_p <= stats.LIKELY
    if not apart:
        return "no clear difference"
    direction = _direction(new.better, result.after.median > result.before.median)
    verdict: Verdict = f"{likely}{direction}"  # type: ignore[assignment]
    return verdict


def _direction(better: Better, grew: bool) -> str:
    if not better:
        return "changed"
    return "better" if grew == (better == "more") else "worse"


def _line(name: str, figure: Figure | None, verdict: Verdict, result: stats.Comparison) -> str:
    of = figure.unit if figure else ""
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
    case: Case, name: str, figure: Figure | None, verdict: Verdict, result: stats.Comparison
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
        "unit": figure.unit if figure else "",
        "verdict": verdict,
        "before_n": result.before.n,
        "after_n": result.after.n,
        **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
    }


def _conclusion(counts: collections.Counter[Verdict], tested: int) -> Iterator[str]:
    order: tuple[Verdict, ...] = Verdict.__args__  # type: ignore[attr-defined]
    yield (
        ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]) + "."
        if counts
        else ("Neither run measured anything.")
    )
    if counts and not tested:
        yield "With so few repeats no difference can be told from chance: three of each are the least (--seeds 1,2,3)."
    elif any("likely" in verdict for verdict in counts):
        yield (
            "Likely: no repeat of one run lies within the range of the other. Chance alone does that to one figure in "
            f"ten, so to {math.ceil(tested / 10)} or so of these {tested}. Six repeats of each would tell more."
        )
