"""The README's tables of figures, and values as text."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from phaselock import cli
from phaselock.bench.analysis.delay import Loudspeaker
from phaselock.bench.benchmarks import (
    abuse,
    air,
    call,
    clock,
    decode,
    engine,
    guests,
    library,
    resources,
    soak,
    sync,
    transfer,
)
from phaselock.bench.lab.bottleneck import bottleneck
from phaselock.bench.lab.process_sample import ProcessSample
from phaselock.bench.report import table, text
from phaselock.bench.results import Case, Metric, Run, new_run, write_run
from tests.support.noise import Noise, played

MARKED = f"# Title\n\n{table.BEGIN}\nold\n{table.END}\n\nThe rest.\n"


def a_run() -> Run:
    run = new_run(("bench", "all", "--seeds", "1,2,3", "--out", "/home/ada/x"))
    run.began, run.seconds, run.complete = "2026-11-24T15:00:00+00:00", 871.0, True
    run.machine = {
        "phaselock": "0.1.0",
        "commit": "abc123",
        "processor": "Some Processor",
        "cores": 2,
        "system": "Linux",
        "release": "6.1",
        "python": "3.11.7",
    }
    seeds = {"seeds": [1, 2, 3]}
    run.cases.append(Case("new", "a case", seeds, tuple(Metric(f"f{k}_ms", "ms", (1.0, 2.0, 3.0)) for k in range(9))))
    run.cases.append(
        Case(
            "sync",
            "wired",
            seeds,
            (
                Metric("clicks", "", (0.0, 0.0, 0.0)),
                Metric("unsure_windows", "", (1.0, 1.0, 1.0)),
                Metric("start_us", "us", (9.876, 12.0, 14.0)),
                Metric("settling_s", "s", (1.0, math.nan, 2.0)),
            ),
        )
    )
    run.cases.append(Case("sync", "wifi | x", seeds, (Metric("start_us", "us", (20.0, 21.0, 22.0)),)))
    return run


def test_a_long_table_is_folded() -> None:
    run = a_run()
    run.cases = [dataclasses.replace(run.cases[0], name=f"case {number}") for number in range(table.MAX_ROWS + 1)]
    assert table.tables_of(run).startswith("<details><summary>new</summary>\n\n| new |")


def test_each_benchmark_has_a_table() -> None:
    sync, new, how = table.tables_of(a_run()).split("\n\n")
    assert sync.splitlines() == [
        "| Synchronisation | start (µs) | settling (s) | clicks |",
        "| --- | ---: | ---: | ---: |",
        "| wired | 12 (9.88–14) | 1.50 (1–2, 1 failed) | 0 |",
        "| wifi \\| x | 21 (20–22) |  |  |",
    ]
    assert new.splitlines()[0].count("|") == 2 + table.MAX_OTHER_COLUMNS
    assert how == (
        "Measured by `phaselock bench all --seeds 1,2,3` (PhaseLock 0.1.0, commit abc123) on Some Processor with 2 "
        "cores, Linux 6.1, Python 3.11.7; 24 November 2026, in 15 minutes. Each figure is the median of 3 repeats "
        "(seeds 1, 2, 3), with their range in brackets."
    )


def a_sync_case() -> Case:
    sound = Loudspeaker([played(Noise(seconds=61.0, seed=1))])
    quiet = dict.fromkeys(("p50", "p90", "p99", "max"), 1.0)
    found = sync.metrics_of(sync.SessionRecording([sound, sound], [], quiet, 1.0, {}), pauses=0)
    options = argparse.Namespace(play_s=10, filter="envelope", crossfade=0.0)
    return sync._case("wired", "mp3", sync.machines_of("wired", 1), options, [(1, *found)])


def a_clock_case() -> Case:
    at_s = np.arange(1.0, 11.0)
    return clock._case("wired", {}, [[clock.FilterErrors(at_s, at_s, at_s)]], (), "")


def a_resources_case() -> Case:
    return resources.case("idle", {}, [[ProcessSample(at_s, at_s, 1, 1, 1, 1, 1) for at_s in (0.0, 1.0)]])


def an_abuse_case() -> Case:
    sample = ProcessSample(1.0, 1.0, 1, 1, 1, 1, 1)
    part = abuse.Part(0, 1, samples={name: [sample] for name in ("host", "peer1", "victim")})
    found = abuse.metrics_of([part] * 3, [[1.0]] * 3, {"seconds": 1.0})
    return abuse.case("host", {}, [(found, {"parts": dict.fromkeys(abuse.PARTS, dataclasses.asdict(part))})])


def a_guests_case() -> Case:
    sample = ProcessSample(1.0, 1.0, 1, 1, 1, 1, 1)
    part = abuse.Part(0, 1, samples={name: [sample] for name in ("host", "peer1")})
    found = {**abuse.metrics_of([part] * 3, [[1.0]] * 3, {"seconds": 1.0}), "page_added_mb": 1.0}
    return guests.case("crowd", {}, [(found, {"parts": dict.fromkeys(abuse.PARTS, dataclasses.asdict(part))})])


def a_soak_case() -> Case:
    sample = ProcessSample(1.0, 1.0, 1, 1, 1, 1, 1)
    rest = soak.Rest(1.0, dict.fromkeys(("host", "peer1", "peer2"), sample), [1.0], [1.0])
    return soak.case({}, soak.Soaked([rest]))


CASES: Mapping[str, Callable[[], Case]] = {
    "sync": a_sync_case,
    "clock": a_clock_case,
    "transfer": lambda: transfer._case(argparse.Namespace(mbit=1, seeds=(1,)), 1, 1, 1.0, [(1.0, {"peer1": 1.0})]),
    "call": lambda: call.case(5, 1, (1,), [bottleneck(5, 40, [1], until_s=6, call_s=0)]),
    "air": lambda: air.case("calm Wi-Fi", (1,), [air.AirResult(1.0, 1.0, 1.0, np.ones(4), np.ones(4))]),
    "decode": lambda: decode.case(
        decode.KINDS[0], pathlib.Path(__file__), 1.0, [decode.DecodeResult(1.0, 1.0, 1.0, 1.0, None, (1.0, 2.0), 0)]
    ),
    "library": lambda: library.case(1, [library.LibraryResult(1.0, 1.0, 1.0, library.SearchResult((1.0,), None))]),
    "engine": lambda: engine.case(engine.LOADS[0], 64, [np.array([1, 2, 3])]),
    "resources": a_resources_case,
    "abuse": an_abuse_case,
    "guests": a_guests_case,
    "soak": a_soak_case,
}


@pytest.mark.parametrize("benchmark", table.COLUMNS)
def test_the_columns_are_measured(benchmark: str) -> None:
    case = CASES[benchmark]()
    assert case.benchmark == benchmark
    assert set(table.COLUMNS[benchmark]) <= {figure.name for figure in case.figures}


def test_an_incomplete_run_is_marked() -> None:
    run = a_run()
    run.complete = False
    assert table.tables_of(run).endswith("**The run is not complete.**")
    assert table.tables_of(new_run(())) == "Nothing was measured."


def test_the_readme_changes_between_its_marks_only(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, readme = tmp_path / "run.json", tmp_path / "README.md"
    write_run(a_run(), result)
    readme.write_text(MARKED, "utf-8")
    for _ in range(2):  # the second time nothing is added
        assert cli.main(["bench", "table", str(result), "--readme", str(readme)]) == 0
        expected = f"# Title\n\n{table.BEGIN}\n{table.tables_of(a_run())}\n{table.END}\n\nThe rest.\n"
        assert readme.read_text("utf-8") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "run.json"]
    assert "README.md now has the figures of" in capsys.readouterr().out


@pytest.mark.parametrize(
    "document",
    [
        "",
        "no marks",
        table.BEGIN,
        table.END,
        f"{table.END} {table.BEGIN}",
        f"{table.BEGIN} {table.BEGIN} {table.END}",
        f"{table.BEGIN} {table.END} {table.END}",
        f"{table.END} {table.BEGIN} {table.END}",
    ],
)
def test_a_readme_without_marks_is_not_changed(
    document: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, readme = tmp_path / "run.json", tmp_path / "README.md"
    write_run(a_run(), result)
    readme.write_text(document, "utf-8")
    assert cli.main(["bench", "table", str(result), "--readme", str(readme)]) == 1
    assert "README.md has no place for the figures" in capsys.readouterr().err
    assert readme.read_text("utf-8") == document


def test_an_unreadable_readme_is_an_error(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, readme = tmp_path / "run.json", tmp_path / "README.md"
    write_run(a_run(), result)
    assert cli.main(["bench", "table", str(result), "--readme", str(readme)]) == 1
    assert "README.md cannot be changed: No such file" in capsys.readouterr().err
    readme.write_bytes(b"\xff")
    assert cli.main(["bench", "table", str(result), "--readme", str(readme)]) == 1
    assert "README.md is not text" in capsys.readouterr().err


def test_without_a_readme_the_table_is_printed(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(a_run(), tmp_path / "run.json")
    assert cli.main(["bench", "table", str(tmp_path / "run.json")]) == 0
    assert capsys.readouterr().out == table.tables_of(a_run()) + "\n"
    assert cli.main(["bench", "table", "--json", str(tmp_path / "run.json")]) == 0
    assert json.loads(capsys.readouterr().out)["markdown"] == table.tables_of(a_run())


def test_text_of_a_run_cannot_close_the_marks() -> None:
    run = a_run()
    for case in run.cases:
        case.parameters["seeds"][:] = [table.END]  # type: ignore[index]
    run.cases.append(Case(f"evil\n{table.END}", f"{table.END}\n# Mine", {}, (Metric(table.END, table.END, (1.0,)),)))
    run.command, run.began = (table.END, "`x`"), table.END
    run.machine = dict.fromkeys(run.machine, f"{table.END}\n<script>")
    document = table.put_between(MARKED, table.tables_of(run))
    assert document and table.put_between(document, "new") == MARKED.replace("old", "new")
    assert "\n# Mine" not in document


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (3.0, "3"),
        (-2.0, "-2"),
        (0.123456, "0.123"),
        (1.5, "1.50"),
        (12.345, "12.3"),
        (999.4, "999"),
        (1234.5, "1234"),
        (12345.6, "12,346"),
        (0.0000123, "1.2e-05"),
        (1e300, "1e+300"),
        (math.nan, "–"),
        (-math.inf, "–"),
    ],
)
def test_numbers(value: float, expected: str) -> None:
    assert text.number(value) == expected


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (("start_us", "us"), "start (µs)"),
        (("of_limit_percent", "%"), "of limit (%)"),
        (("mbit_s", "Mbit/s"), "mbit s (Mbit/s)"),
        (("rss_mb", "MB"), "rss (MB)"),
        (("drift_us_per_min", "us/min"), "drift (µs/min)"),
        (("clicks", ""), "clicks"),
    ],
)
def test_headings(column: tuple[str, str], text: str) -> None:
    assert table.heading(column) == text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 seconds"), (90, "90 seconds"), (871, "15 minutes"), (7300, "2 h 2 min"), (math.nan, "an unknown time")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert text.duration(seconds) == expected
