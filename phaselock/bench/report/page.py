"""Reports of a run: a self-contained HTML page, the same in Markdown, and a summary for a terminal.

A run may come from another user's file. All its text is cut to a length, escaped, and drawn as text.
"""

from __future__ import annotations

import html
import io
import json
import pathlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Sheet
from matplotlib.ticker import FuncFormatter, LogLocator

from phaselock.bench.analysis import stats
from phaselock.bench.report.table import TITLES, by_benchmark, cell, columns, heading, markdown, metric_of, title
from phaselock.bench.report.text import MAX_CHARACTERS, command, date, duration, escaped, label, number, plain, unit
from phaselock.bench.results import Case, Metric, Plot, Run, Series
from phaselock.errors import PhaseLockError

TERMINAL_COLUMNS = 100
MAX_POINTS = 16_000
"""Points in all plots: keeps the page below a megabyte."""
MIN_POINTS, MAX_POINTS_OF_SERIES = 40, 1200
MAX_BARS = 60
MAX_PARAMETER_CHARACTERS = 20_000
TEXT_PX = 11
WIDTH_PX = 560
"""Width of a plot beside another one; the page scales it a little."""
HEIGHT_PX = 240


def write(run: Run, folder: pathlib.Path) -> None:
    """Write report.html and report.md into the folder. Raise PhaseLockError if that is not possible."""
    try:
        (folder / "report.html").write_text(_page(run), "utf-8")
        (folder / "report.md").write_text(_markdown(run), "utf-8")
    except OSError as error:
        raise PhaseLockError(f"{folder} cannot be written to: {error.strerror}.") from None


def summary(run: Run) -> list[str]:
    """A table for each benchmark, with the medians and ranges of the repeats, at most TERMINAL_COLUMNS wide."""
    lines: list[str] = []
    for name, cases in by_benchmark(run.cases).items():
        lines += ["", title(name)]
        first = ["", *(plain(case.name, 48) for case in cases)]
        width = max(map(len, first))
        rest = [
            [plain(heading(column), 40), *(cell(metric_of(case, column)) for case in cases)]
            for column in columns(name, cases)
        ]
        while rest:
            used, block = 2 + width, [[one.ljust(width) for one in first]]
            while rest and (len(block) == 1 or used + 2 + max(map(len, rest[0])) <= TERMINAL_COLUMNS):
                column = rest.pop(0)
                wide = max(map(len, column))
                used += 2 + wide
                block.append([one.rjust(wide) for one in column])
            lines += [("  " + "  ".join(row)).rstrip() for row in zip(*block, strict=True)]
    return lines[1:]


# -- the content of both reports ---------------------------------------------------------------------------------------

METRIC_COLUMNS = ("Metric", "Median", "Range", "The median lies within", "Repeats", "Better is")


def _metric_row(metric: Metric) -> tuple[str, ...]:
    found = stats.summary(metric.values)
    of = f" {unit(metric.unit)}" if metric.unit else ""
    sure = (
        f"{_from_to(*found.interval)} ({found.confidence:.0%} sure)" if found.confidence else "unknown from one repeat"
    )
    repeats = f"{found.n}, {found.missing} failed" if found.missing else str(found.n)
    middle = number(found.median) + of if found.n else "not measured"
    return (
        label(metric.name, metric.unit),
        middle,
        _from_to(found.low, found.high) if found.n else "",
        sure if found.n else "",
        repeats,
        metric.better,
    )


def _from_to(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _about(run: Run) -> Iterator[tuple[str, str]]:
    machine = run.machine

    def joined(*keys: str) -> str:
        return " ".join(plain(machine[key]) for key in keys if machine.get(key))

    commit = f", commit {joined('commit')}" if machine.get("commit") else ""
    packages = machine.get("packages")
    yield "Measured", f"{date(run)}, in {duration(run.seconds)} (began {plain(run.began)})"
    yield "Command", command(run)
    yield "PhaseLock", joined("phaselock") + commit
    yield "Processor", joined("processor") + (f", {joined('cores')} cores" if machine.get("cores") else "")
    yield "System", joined("system", "release", "architecture")
    yield "Python", joined("python")
    if isinstance(packages, dict):
        yield "Packages", plain(", ".join(f"{name} {version}" for name, version in packages.items() if version))


def _parameters(case: Case) -> list[tuple[str, str]]:
    """The parameters that fit in a few words: (name, value)."""
    found = []
    for name, value in case.parameters.items():
        if isinstance(value, list | tuple) and not any(isinstance(one, dict | list | tuple) for one in value):
            value = ", ".join(map(str, value[:50]))
        if not isinstance(value, dict | list | tuple):
            if value is None or isinstance(value, bool):
                value = {None: "none", True: "yes", False: "no"}[value]
            elif isinstance(value, float):
                value = f"{value:.6g}"
            found.append((plain(name.replace("_", " ")), plain(value)))
    return found


def _long_parameters(case: Case) -> dict[str, Any]:
    return {
        name: value
        for name, value in case.parameters.items()
        if isinstance(value, dict)
        or (isinstance(value, list | tuple) and any(isinstance(one, dict | list | tuple) for one in value))
    }


# -- Markdown ----------------------------------------------------------------------------------------------------------


def _markdown(run: Run) -> str:
    parts = ["# PhaseLock bench"]
    if not run.complete:
        parts.append("**This run is not complete: some results are missing.**")
    parts += [f"- {escaped(problem)}" for problem in run.problems]
    parts.append("\n".join(f"- {name}: {escaped(value)}" for name, value in _about(run)))
    for name, cases in by_benchmark(run.cases).items():
        parts.append(f"## {escaped(title(name))}")
        if name in TITLES:
            parts.append(TITLES[name][1])
        if len(cases) > 1:
            chosen = columns(name, cases)
            rows = [[case.name, *(cell(metric_of(case, column)) for column in chosen)] for case in cases]
            parts.append(markdown(["", *map(heading, chosen)], rows))
        for case in cases:
            parts.append(f"### {escaped(case.name)}")
            parts += ["; ".join(f"{escaped(key)}: {escaped(value)}" for key, value in _parameters(case))]
            parts += [escaped(plain(note, 1000)) for note in case.notes]
            parts.append(markdown(METRIC_COLUMNS, map(_metric_row, case.figures)))
    return "\n\n".join(part for part in parts if part) + "\n"


# -- HTML --------------------------------------------------------------------------------------------------------------


def _page(run: Run) -> str:
    groups = by_benchmark(run.cases)
    series = sum(len(plot.series) for case in run.cases for plot in case.plots)
    points = min(max(MAX_POINTS // max(series, 1), MIN_POINTS), MAX_POINTS_OF_SERIES)
    parts = [_HEAD, _navigation(groups), "<main><header>", _MARK, "<div><h1>PhaseLock bench</h1>"]
    what = ", ".join(title(name) for name in groups) or "Nothing was measured"
    parts += [f"<p class=quiet>{_text(what)}</p></div></header>"]
    if not run.complete or run.problems:
        head = "Something failed." if run.complete else "This run is not complete: some results are missing."
        problems = "".join(f"<li>{_text(problem, 1000)}</li>" for problem in run.problems)
        parts.append(f'<section class="panel problem" role=alert><strong>{head}</strong><ul>{problems}</ul></section>')
    about = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in _about(run))
    parts.append(f"<section class=panel><dl class=about>{about}</dl></section>")
    for index, (name, cases) in enumerate(groups.items()):
        parts.append(f"<section id=b{index}><h2>{_text(title(name))}</h2>")
        if name in TITLES:
            parts.append(f"<p class=quiet>{TITLES[name][1]}</p>")
        if len(cases) > 1:
            parts.append(_overview(name, cases, index))
        parts += [_case(case, f"b{index}c{k}", points) for k, case in enumerate(cases)]
        parts.append("</section>")
    parts.append(_FOOT)
    return "\n".join(parts)


def _navigation(groups: dict[str, list[Case]]) -> str:
    items = []
    for index, (name, cases) in enumerate(groups.items()):
        below = "".join(f"<li><a href=#b{index}c{k}>{_text(case.name)}</a></li>" for k, case in enumerate(cases))
        items.append(f"<li><a href=#b{index}>{_text(title(name))}</a><ul>{below}</ul></li>")
    return f"<nav aria-label=Benchmarks><ul>{''.join(items)}</ul></nav>"


def _overview(benchmark: str, cases: Sequence[Case], index: int) -> str:
    chosen = columns(benchmark, cases)
    rows = [[case.name, *(cell(metric_of(case, column)) for column in chosen)] for case in cases]
    links = [f"b{index}c{k}" for k in range(len(cases))]
    return f"<div class=panel>{_table(['Case', *map(heading, chosen)], rows, links)}</div>"


def _case(case: Case, anchor: str, points: int) -> str:
    chips = "".join(f"<li>{_text(name)} <b>{_text(value)}</b></li>" for name, value in _parameters(case))
    notes = "".join(f"<p class=quiet>{_text(note, 1000)}</p>" for note in case.notes)
    width_px = WIDTH_PX if len(case.plots) > 1 else 2 * WIDTH_PX
    plots = "".join(_plot(plot, points, width_px) for plot in case.plots)
    more = ""
    if long := _long_parameters(case):
        shown = json.dumps(long, indent=1, ensure_ascii=False, default=str)[:MAX_PARAMETER_CHARACTERS]
        lines = "\n".join(_text(line, 1000) for line in shown.splitlines())
        more = f"<details><summary>All parameters</summary><pre>{lines}</pre></details>"
    return (
        f"<article class=panel id={anchor}><h3>{_text(case.name)}</h3><ul class=chips>{chips}</ul>{notes}"
        f"{_table(METRIC_COLUMNS, map(_metric_row, case.figures))}"
        f"{f'<div class=plots>{plots}</div>' if plots else ''}{more}</article>"
    )


def _table(head: Sequence[str], rows: Any, links: Sequence[str] = ()) -> str:
    heads = "".join(f"<th scope=col>{_text(one)}</th>" for one in head)
    lines = []
    for k, (name, *cells) in enumerate(rows):
        first = f"<a href=#{links[k]}>{_text(name)}</a>" if links else _text(name)
        lines.append(f"<tr><th scope=row>{first}</th>{''.join(f'<td>{_text(one)}</td>' for one in cells)}</tr>")
    return f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def _text(text: str, max_characters: int = MAX_CHARACTERS) -> str:
    return html.escape(plain(text, max_characters))


# -- plots -------------------------------------------------------------------------------------------------------------

COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00")
"""The colours of the window's machines; colour-blind people can tell them apart."""
TEXT_COLOUR, GRID_COLOUR, AXIS_COLOUR = "#b3b3b3", "#2a2a2a", "#4d4d4d"
_VARIABLES = {
    TEXT_COLOUR: "--secondary",
    GRID_COLOUR: "--grid",
    AXIS_COLOUR: "--rest",
    **{colour: f"--m{k}" for k, colour in enumerate(COLOURS)},
}
_STYLE: Any = {
    "text.parse_math": False,  # a name may contain a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "phaselock",  # the same run gives the same page
    "font.family": "DejaVu Sans",  # comes with matplotlib, and is wider than the font of the page
    "font.size": TEXT_PX,
    "text.color": TEXT_COLOUR,
    "axes.labelcolor": TEXT_COLOUR,
    "axes.edgecolor": AXIS_COLOUR,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID_COLOUR,
    "xtick.color": AXIS_COLOUR,
    "ytick.color": AXIS_COLOUR,
    "xtick.labelcolor": TEXT_COLOUR,
    "ytick.labelcolor": TEXT_COLOUR,
    "lines.linewidth": 1.4,
    "path.simplify": False,  # it would drop points, which are drawn as lines of length zero
}


def _plot(plot: Plot, points: int, width_px: int) -> str:
    known = [one for one in plot.series if _measured(one)]
    keys = [
        f'<li><i style="background:var(--m{k % len(COLOURS)})"></i>{_text(one.label, 60)}</li>'
        for k, one in enumerate(known)
    ]
    legend = f"<ul class=legend>{''.join(keys)}</ul>" if len(known) > 1 else ""
    drawn = _drawn(plot, known, points, width_px) if known else "<p class=quiet>Nothing was measured.</p>"
    return f"<figure><figcaption>{_text(plot.title)}</figcaption>{legend}{drawn}</figure>"


def _drawn(plot: Plot, known: Sequence[Series], points: int, width_px: int) -> str:
    """The plot as SVG. It uses the colour variables of the page, which prints on white."""
    # matplotlib warns of characters that its fonts do not have. The browser draws them with a font of its own.
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sheet = Sheet(figsize=(width_px / 72, HEIGHT_PX / 72), dpi=72, layout="constrained")
        axes = sheet.subplots()
        log = plot.log_y and any(y > 0 for one in known for _, y in _measured(one))
        names = list(dict.fromkeys(str(name) for one in known for name, _ in _measured(one)))
        if plot.kind == "bars":
            height_px = _draw_bars(axes, names[:MAX_BARS], known)
            sheet.set_size_inches(width_px / 72, height_px / 72)
            _label_axes(plot, axes.xaxis, axes.yaxis)
        else:
            _draw_lines(axes, plot, known, points, log=log)
            _label_axes(plot, axes.yaxis, axes.xaxis)
            axes.xaxis.set_major_formatter(FuncFormatter(_tick))
        if log:
            _use_log_scale(axes, is_horizontal=plot.kind == "bars")
        page = io.StringIO()
        sheet.savefig(page, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None})
    return _embedded(page.getvalue())


def _label_axes(plot: Plot, value_axis: Any, other_axis: Any) -> None:
    other_axis.grid(False)
    other_axis.set_label_text(plain(plot.x_label, 80))
    value_axis.set_label_text(plain(plot.y_label, 80))
    value_axis.set_major_formatter(FuncFormatter(_tick))


def _use_log_scale(axes: Any, *, is_horizontal: bool) -> None:
    (axes.set_xscale if is_horizontal else axes.set_yscale)("log")
    low, high = axes.get_xlim() if is_horizontal else axes.get_ylim()
    axis = axes.xaxis if is_horizontal else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,)))
    axis.set_minor_locator(LogLocator(subs=()))
    axis.set_major_formatter(FuncFormatter(_tick))


def _draw_lines(axes: Any, plot: Plot, known: Sequence[Series], points: int, *, log: bool) -> None:
    """Draw each series as a line or as points."""
    for k, one in enumerate(known):
        x, y = _thinned(one, points, positive_only=log)
        dots: dict[str, Any] = {}
        if plot.kind == "points":  # lines of length zero with round ends: a fifth of the size of markers
            gaps = np.full(len(x), np.nan)
            x, y = np.column_stack([x, x, gaps]).ravel(), np.column_stack([y, y, gaps]).ravel()
            dots = {"linewidth": 3.2, "solid_capstyle": "round"}
        axes.plot(x, y, color=COLOURS[k % len(COLOURS)], linestyle="-" if k < len(COLOURS) else "--", **dots)
    axes.margins(x=0.02)
    low, high = axes.get_ylim()
    if not log and low < high / 2 and all(y >= 0 for one in known for _, y in _measured(one)):
        axes.set_ylim(bottom=0, top=high)


def _embedded(svg: str) -> str:
    """The SVG element for a page: without metadata, sizes and fonts, and with the page's colour variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|defs)>\s*<(rdf|style).*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*\n\s*", " ", re.sub(r' id="(?!m|p)\w+"', "", svg))
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"|font: [^;"]*;? ?', "", svg)
    return re.sub("(?<=: )(" + "|".join(_VARIABLES) + ')(?=[;"])', lambda found: f"var({_VARIABLES[found[0]]})", svg)


def _measured(series: Series) -> list[tuple[Any, float]]:
    """The points of a series that were measured. The x of a bar is a name."""
    pairs: Iterable[tuple[Any, float]] = zip(series.x, series.y, strict=False)
    return [(x, y) for x, y in pairs if stats.finite([y]) and (isinstance(x, str) or stats.finite([x]))]


def _draw_bars(axes: Any, names: Sequence[str], known: Sequence[Series]) -> float:
    """Draw a group of bars for each name, one for each series that has a value. Return the height that they need in
    pixels."""
    values = [{str(name): value for name, value in _measured(one)} for one in known]
    ticks, top = [], 0.0
    for name in names:
        there = [k for k, of in enumerate(values) if name in of]
        for row, k in enumerate(there):
            drawn = axes.barh(top + row, values[k][name], height=0.84, color=COLOURS[k % len(COLOURS)])
            axes.bar_label(drawn, labels=[number(values[k][name])], padding=4, fontsize=TEXT_PX - 1)
        ticks.append(top + (len(there) - 1) / 2)
        top += len(there) + 0.8
    axes.set_yticks(ticks, [plain(name, 40) for name in names])
    axes.set_ylim(top - 0.8, -0.8)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    return 56 + 18 * top


def _thinned(series: Series, points: int, *, positive_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """The measured points, (points,) each, thinned to about `points`: each section keeps its smallest and largest
    value."""
    x, y = np.array(_measured(series), float).reshape(-1, 2).T
    if positive_only:
        x, y = x[y > 0], y[y > 0]
    if len(x) <= points:
        return x, y
    keep: list[int] = []
    edges = np.linspace(0, len(x), points // 2 + 1).astype(int)
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        keep += sorted({begin + int(y[begin:end].argmin()), begin + int(y[begin:end].argmax())})
    return x[keep], y[keep]


def _tick(value: float, _: int | None = None) -> str:
    return f"{value:,.10g}"


# -- style -------------------------------------------------------------------------------------------------------------

_HEAD = """<!DOCTYPE html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="default-src 'none'; style-src 'unsafe-inline'">
<meta name=viewport content="width=device-width, initial-scale=1">
<title>PhaseLock bench</title>
<style>
:root {
  --background: #121212; --surface: #181818; --elevated: #282828; --primary: #1DB954; --text: #FFFFFF;
  --secondary: #B3B3B3; --error: #E22134; --grid: #2A2A2A; --rest: #4D4D4D;
  --m0: #56B4E9; --m1: #E69F00; --m2: #009E73; --m3: #CC79A7; --m4: #F0E442; --m5: #D55E00;
  color-scheme: dark;
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--background); color: var(--text); line-height: 1.5;
  font: 15px/1.5 "Segoe UI", "SF Pro Text", Inter, "Noto Sans", "DejaVu Sans", sans-serif;
  display: grid; grid-template-columns: 240px minmax(0, 1100px); gap: 24px; padding: 24px; justify-content: center;
}
nav { position: sticky; top: 24px; align-self: start; max-height: calc(100vh - 48px); overflow: auto; font-size: 13px; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav ul ul { margin: 4px 0 16px; padding-left: 12px; border-left: 2px solid var(--elevated); }
nav li { padding: 2px 0; }
nav > ul > li > a { color: var(--text); font-weight: 600; }
a { color: var(--secondary); text-decoration: none; overflow-wrap: anywhere; }
a:hover, a:focus-visible { color: var(--text); text-decoration: underline; }
tbody a { color: var(--text); }
header { display: flex; align-items: center; gap: 16px; margin-bottom: 24px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; }
h2 { font-size: 20px; margin: 40px 0 0; scroll-margin: 24px; }
h3 { font-size: 15px; margin: 0 0 8px; overflow-wrap: anywhere; }
article { scroll-margin: 12px; }
p { margin: 4px 0 12px; }
header p { margin: 0; }
.quiet { color: var(--secondary); font-size: 13px; }
.panel { background: var(--surface); border-radius: 12px; padding: 16px; margin: 12px 0; }
.problem { border: 1px solid var(--error); }
.problem ul { margin: 4px 0 0; padding-left: 20px; overflow-wrap: anywhere; }
.about { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 24px; margin: 0; font-size: 13px; }
dt { color: var(--secondary); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 0 6px 24px; text-align: right; white-space: nowrap; font-weight: 400; }
th:first-child { padding-left: 0; text-align: left; white-space: normal; min-width: 120px; }
thead th { color: var(--secondary); font-size: 12px; vertical-align: bottom; white-space: normal; }
tbody tr { border-top: 1px solid var(--grid); }
.chips, .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 12px; padding: 0; }
.chips li {
  background: var(--elevated); color: var(--secondary); border-radius: 11px; padding: 2px 10px; font-size: 11px;
  overflow-wrap: anywhere;
}
.chips b { color: var(--text); font-weight: 400; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 24px; }
.plots { margin-top: 20px; }
figure { margin: 0; min-width: 0; overflow-x: auto; }
figcaption { font-size: 13px; font-weight: 600; margin-bottom: 6px; overflow-wrap: anywhere; }
.legend { gap: 4px 14px; font-size: 11px; color: var(--secondary); margin-bottom: 6px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 6px; }
svg { display: block; max-width: 100%; }
figure svg { width: 100%; min-width: 440px; height: auto; stroke-linejoin: round; }
svg text { font-family: inherit; font-size: 11px; }
details { margin-top: 12px; color: var(--secondary); font-size: 13px; }
summary { cursor: pointer; }
pre { font-size: 11px; overflow-x: auto; max-height: 400px; }
@media (max-width: 900px) {
  body { display: block; padding: 16px; }
  nav { position: static; max-height: none; margin-bottom: 24px; }
  nav ul ul { display: none; }
}
@media print {
  :root {
    --background: #FFFFFF; --surface: #FFFFFF; --elevated: #EEEEEE; --primary: #169C46; --text: #000000;
    --secondary: #444444; --error: #B00020; --grid: #DDDDDD; --rest: #888888;
    --m0: #0072B2; --m1: #B87400; --m2: #007A58; --m3: #A5508A; --m4: #8A7D00; --m5: #B34700;
    color-scheme: light;
  }
  @page { margin: 15mm; }
  body { display: block; padding: 0; font-size: 10pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav, details { display: none; }
  .panel { padding: 0; }
  .problem { padding: 8px; }
  figure, tr, thead, .problem { break-inside: avoid; }
  figure svg { min-width: 0; }
  h2, h3, .chips, section p, article p, thead { break-after: avoid; }
  .wide { overflow: visible; }
  th, td { padding-left: 10px; font-size: 8pt; }
  .plots { grid-template-columns: repeat(auto-fit, minmax(40%, 1fr)); gap: 12px; }
}
</style>
</head>
<body>
"""
_MARK = (
    '<svg width=56 height=56 viewBox="0 0 56 56" fill=none stroke-width=4 stroke-linecap=round aria-hidden=true>'
    '<path stroke="var(--primary)" d="M6 24q5.5-18 11 0t11 0t11 0t11 0"/>'
    '<path stroke="var(--text)" d="M6 36q5.5-18 11 0t11 0t11 0t11 0"/></svg>'
)
_FOOT = "</main></body></html>\n"
