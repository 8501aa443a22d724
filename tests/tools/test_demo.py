"""The figures and sentences of the demo. tests/test_end_to_end.py runs it."""

from __future__ import annotations

import importlib.resources
import math
import pathlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.console.columns import width
from phaselock.language.message import ENGLISH
from phaselock.storage.tags import read_tags
from phaselock.tools import demo


def sync(phase_error_us: float, offset_uncertainty_us: float | None = 1.0, **more: object) -> dict[str, Any]:
    figures = {
        "phase_error_us": phase_error_us,
        "offset_uncertainty_us": offset_uncertainty_us,
        "dac_uncertainty_us": 2.0,
    }
    return {"playing": True, "drift_ppm": 0.0, "correction_ppm": 0.0} | figures | more


@pytest.mark.parametrize(
    ("syncs", "distances_us"),
    [
        ([sync(10.0), sync(-5.0)], [21.0, 21.0]),
        ([sync(0.0), sync(0.0)], [6.0, 6.0]),
        ([sync(20.0), sync(0.0), sync(1.0)], [26.0, 26.0, 25.0]),
        ([sync(0.0), sync(0.0, None)], [math.inf] * 2),
        ([sync(0.0), sync(0.0, playing=False)], [math.inf] * 2),
        ([sync(0.0), {}], [math.inf] * 2),
    ],
)
def test_the_demo_counts_what_it_does_not_know(syncs: list[dict[str, Any]], distances_us: list[float]) -> None:
    assert demo._distances_us(syncs) == distances_us


def test_the_first_seconds_are_not_judged() -> None:
    measured = demo.Measured([math.inf] * 2)
    assert measured.worst_us == math.inf
    for distance_us, judged in ((900.0, False), (50.0, True), (60.0, True), (20.0, True)):
        measured.take([distance_us, distance_us - 1], judged=judged)
    assert (measured.now_us, measured.most_us, measured.worst_us) == ([20.0, 19.0], [60.0, 59.0], 60.0)


@pytest.mark.parametrize("columns", [0, 40, 80, 200])
def test_the_verdict_is_the_largest_figure_of_the_table(columns: int) -> None:
    screen: Any = SimpleNamespace(words=ENGLISH, columns=columns)
    skewed = sync(0.0, drift_ppm=200.0)
    programs: Any = [SimpleNamespace(name=name, sync=skewed) for name in ("host", "peer1", "peer2")]
    measured = demo.Measured([10.0, 20.0, math.inf], [31.0, 59.0, 58.0])
    lines = demo._table(programs, measured, screen)
    assert [line.split()[:5] for line in lines[1:3]] == [
        ["host", "0.01", "ms", "0.04", "ms"],
        ["peer1", "0.02", "ms", "0.06", "ms"],
    ]
    assert lines[3].split()[:5] == ["peer2", "-", "0.06", "ms", *([] if columns == 40 else ["17.3"])]
    assert demo._verdict(measured.worst_us) == "In phase: within 0.06 ms (2 cm of air)."
    assert all(width(line) <= (columns or 200) for line in [*lines, demo._bar(3.0, 20, screen)])


def test_a_machine_out_of_phase_is_said() -> None:
    assert demo._verdict(3200.0) == "NOT in phase: 3.20 ms apart (110 cm of air)."
    assert demo._verdict(math.inf) == "Nobody played for long enough to tell."


@pytest.mark.skipif(sys.platform == "win32", reason="a program of Windows is no empty file")
def test_the_next_command_is_the_one_that_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "phaselock"
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert demo._own_command() == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert demo._own_command() == "phaselock"
    monkeypatch.setattr(sys, "argv", ["/somewhere/phaselock/__main__.py", "demo"])
    assert demo._own_command().endswith(" -m phaselock")


def test_the_title_is_that_of_the_tune() -> None:
    with importlib.resources.as_file(importlib.resources.files("phaselock.data") / "tune.mp3") as tune:
        assert read_tags(tune).title == demo.TUNE_TITLE
