"""The comparison of two runs: verdicts and warnings, and no verdict surer than its repeats permit."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import random
import re
from typing import Any

import pytest

from phaselock import cli
from phaselock.bench.analysis import stats
from phaselock.bench.results import Better, Case, Metric, Run, new_run, write_run

LOW, SAME, HIGH = (10.0, 11.0, 12.0), (10.5, 11.5, 11.7), (20.0, 21.0, 22.0)
SIX_LOW, SIX_HIGH = tuple(map(float, range(10, 16))), tuple(map(float, range(20, 26)))


def a_run(*figures: Metric, name: str = "wired", **parameters: Any) -> Run:
    run = new_run(("bench", "sync"))
    run.cases.append(Case("sync", name, parameters, figures))
    run.complete = True
    return run


def a_figure(values: tuple[float, ...], better: Better = "less", name: str = "start_us") -> Metric:
    return Metric(name, "us", values, better)


class Compared:
    """The output of `phaselock bench compare` for programs and for people."""

    def __init__(self, folder: pathlib.Path, capsys: pytest.CaptureFixture[str], before: Run, after: Run) -> None:
        paths = [str(folder / "a.json"), str(folder / "b.json")]
        for run, path in zip((before, after), paths, strict=True):
            write_run(run, pathlib.Path(path))
        self.status = cli.main(["bench", "compare", "--json", *paths])
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        self.compared = [event for event in events if event["event"] == "compared"]
        self.end = events[-1]
        self.warnings = [event["message"] for event in events if event["event"] == "warning"]
        self.verdicts = {(event["case"], event["figure"]): event["verdict"] for event in self.compared}
        assert cli.main(["bench", "compare", *paths]) == self.status
        self.text = capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "better", "verdict", "status"),
    [
        (LOW, HIGH, "less", "likely worse", 0),
        (HIGH, LOW, "less", "likely better", 0),
        (LOW, HIGH, "more", "likely better", 0),
        (HIGH, LOW, "more", "likely worse", 0),
        (LOW, HIGH, "", "likely changed", 0),
        (LOW, SAME, "less", "no clear difference", 0),
        (LOW[:2], HIGH[:2], "less", "no clear difference", 0),  # two of each are too few at any distance
        (LOW[:1], HIGH[:1], "less", "no clear difference", 0),
        (SIX_LOW, SIX_HIGH, "less", "worse", 1),
        (SIX_HIGH, SIX_LOW, "less", "better", 0),
        (SIX_LOW, SIX_LOW, "less", "no clear difference", 0),
        ((1000.0, 1000.1, 1000.2), (1001.0, 1001.1, 1001.2), "less", "no clear difference", 0),  # sure, but negligible
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "less", "no clear difference", 0),
        ((0.0, 0.0, 0.0), (3.0, 2.0, 5.0), "less", "likely worse", 0),
        ((math.nan, math.nan, math.nan), HIGH, "less", "not measured", 0),
        ((*LOW, math.nan), HIGH, "less", "likely worse", 0),
        ((), (), "less", "not measured", 0),
    ],
)
def test_verdicts(
    before: tuple[float, ...],
    after: tuple[float, ...],
    better: Better,
    verdict: str,
    status: int,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = Compared(tmp_path, capsys, a_run(a_figure(before, better)), a_run(a_figure(after, better)))
    assert found.verdicts == {("wired", "start_us"): verdict}
    assert found.status == status
    assert re.search(rf"  start +{verdict}\b", found.text) and found.warnings == []


def test_metrics_of_one_run_only_are_reported(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = a_run(a_figure(LOW), a_figure(LOW, name="clicks")), a_run(a_figure(LOW))
    after.cases.append(dataclasses.replace(after.cases[0], name="wan"))
    found = Compared(tmp_path, capsys, before, after)
    assert found.verdicts == {
        ("wired", "start_us"): "no clear difference",
        ("wired", "clicks"): "only in A",
        ("wan", "start_us"): "only in B",
    }
    assert found.status == 0


def test_a_comparison_is_reported_in_full(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Compared(tmp_path, capsys, a_run(a_figure(LOW)), a_run(a_figure(HIGH)))
    (event,) = found.compared
    assert (event["before"], event["after"], event["before_n"], event["after_n"]) == (11.0, 21.0, 3, 3)
    assert event["ratio"] == pytest.approx(21 / 11) and event["p"] == event["smallest_p"] == pytest.approx(0.1)
    assert event["ratio_low"] == pytest.approx(20 / 12) and event["ratio_high"] == pytest.approx(2.2)
    assert "11 ->        21 µs" in found.text and "×1.91 (1.67 to 2.20)" in found.text
    assert "1 likely worse." in found.text and "by chance alone, about 1 of this number of figures" in found.text
    assert "nothing can be called worse" in found.text and "--seeds 1,2,3,4,5,6)" in found.text


def test_too_few_repeats_are_reported(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Compared(tmp_path, capsys, a_run(a_figure(LOW[:2])), a_run(a_figure(HIGH[:2])))
    assert "with fewer than three of each not even likely worse or better" in found.text


def noisy(seed: int, *, figures: int, repeats: int, slower: int = 0, by: float = 1.0) -> Run:
    """A run with noise of 15 percent. The first `slower` metrics are larger by the factor `by`."""
    chance = random.Random(seed)
    factors = [by if k < slower else 1.0 for k in range(figures)]
    return a_run(
        *(
            a_figure(tuple(factor * chance.gauss(100, 15) for _ in range(repeats)), name=f"f{k}_us")
            for k, factor in enumerate(factors)
        )
    )


@pytest.mark.parametrize("repeats", [3, 6])
def test_the_same_program_is_seldom_called_worse(
    repeats: int, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every comparison of 120 metrics some differ by chance, about as many as it predicts."""
    monkeypatch.setattr(stats, "RESAMPLES", 10)  # this test does not use intervals
    worse, likely, expected = 0, 0, 0.0
    for seed in range(12):
        runs = [noisy(2 * seed + k, figures=120, repeats=repeats) for k in (0, 1)]
        found = Compared(tmp_path, capsys, *runs)
        worse += found.status
        likely += sum("likely" in verdict for verdict in found.verdicts.values())
        expected += found.end["likely_by_chance"]
    assert worse <= (0 if repeats == 3 else 1)
    assert 0.5 * expected < likely < 1.3 * expected


def test_one_worse_metric_is_found_among_others(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = noisy(1, figures=30, repeats=6)
    found = Compared(tmp_path, capsys, before, noisy(2, figures=30, repeats=6, slower=1, by=2))
    assert found.status == 1 and [name for (_, name), verdict in found.verdicts.items() if verdict == "worse"] == [
        "f0_us"
    ]
    assert Compared(tmp_path, capsys, before, noisy(2, figures=30, repeats=6, slower=1, by=0.5)).status == 0


def test_the_number_of_repeats_needed_is_reported(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    for repeats, status in ((6, 0), (7, 1)):
        low, high = tuple(map(float, range(10, 10 + repeats))), tuple(map(float, range(20, 20 + repeats)))
        others = [a_figure(low, name=f"f{k}_us") for k in range(119)]
        found = Compared(tmp_path, capsys, a_run(a_figure(low), *others), a_run(a_figure(high), *others))
        assert found.status == status
        assert ("take 7 repeats of each (--seeds 1,2,3,4,5,6,7)" in found.text) == (status == 0)


def test_constant_metrics_do_not_count_as_comparisons(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clicks = [a_figure((0.0,) * 6, name=f"clicks{k}") for k in range(100)]
    found = Compared(tmp_path, capsys, a_run(a_figure(SIX_LOW), *clicks), a_run(a_figure(SIX_HIGH), *clicks))
    assert found.status == 1


def test_two_empty_runs(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Compared(tmp_path, capsys, new_run(()), new_run(()))
    assert found.status == 0 and "Neither run measured anything." in found.text


def test_other_differences_give_warnings(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = a_run(a_figure(LOW), seconds=40, seeds=[1]), a_run(a_figure(LOW), seconds=20, seeds=[1])
    before.machine = {**before.machine, "cores": 2, "packages": {"numpy": "1", "scipy": "1"}}
    after.machine = {**after.machine, "cores": 8, "packages": {"numpy": "2", "scipy": "1"}}
    after.complete = False
    assert Compared(tmp_path, capsys, before, after).warnings == [
        "B is not complete.",
        "The machines differ, which has more effect than any change: cores (2, then 8).",
        "Packages differ: numpy (1, then 2).",
        "Synchronisation, wired: the parameters differ: seconds (40, then 20).",
    ]


def test_the_versions_are_printed(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = a_run(), a_run()
    before.machine = {"phaselock": "0.1.0", "commit": "abc"}
    after.machine = {"phaselock": "0.2.0", "commit": None}
    text = Compared(tmp_path, capsys, before, after).text
    assert "A: PhaseLock 0.1.0, commit abc" in text and "B: PhaseLock 0.2.0, commit unknown" in text


def test_text_of_a_run_reaches_the_terminal_without_control_characters(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J\x07\u202e" + "long" * 1000
    before = a_run(Metric(evil, evil, LOW), name=evil, **{evil: 1})
    after = a_run(Metric(evil, evil, HIGH), name=evil, **{evil: evil})
    before.cases[0] = dataclasses.replace(before.cases[0], benchmark=evil)
    after.cases[0] = dataclasses.replace(after.cases[0], benchmark=evil)
    after.machine = {"processor": evil, "packages": {evil: evil}}
    text = Compared(tmp_path, capsys, before, after).text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert max(map(len, text.splitlines())) < 1000


def test_another_file_is_refused(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(a_run(), tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}", "utf-8")
    assert cli.main(["bench", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 1
    assert capsys.readouterr().err.endswith("b.json is not a result of phaselock bench: it is another kind of file.\n")
