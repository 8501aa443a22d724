"""The file of a run: it is read as it was written, and other files are refused."""

from __future__ import annotations

import errno
import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest

from phaselock.bench.results import Case, Metric, Plot, Series, new_run, read_run, write_run
from phaselock.errors import PhaseLockError, system_text

MISSING = system_text(FileNotFoundError(errno.ENOENT, "", None, 2))


def a_case() -> Case:
    return Case(
        "sync",
        "wired",
        {"peers": 2, "seeds": [1, 2]},
        (Metric("start_us", "us", (12.5, math.nan)),),
        (
            Plot("Distance", "seconds", "us", (Series("seed 1", (0.0, 1.0), (3.0, math.inf)),), "points"),
            Plot("Done", "", "s", (Series("seed 1", ("Ada", "Bob"), (1.0, 2.0)),), "bars", True),
        ),
        {"1": {"windows": np.array([[1.0, math.nan]])}},
        ("A note.",),
    )


def written(tmp_path: pathlib.Path) -> pathlib.Path:
    run = new_run(("bench", "sync"))
    run.cases.append(a_case())
    run.seconds = 3.5
    write_run(run, tmp_path / "run.json")
    return tmp_path / "run.json"


def test_a_run_survives_writing_and_reading(tmp_path: pathlib.Path) -> None:
    run = read_run(written(tmp_path))
    (case,) = run.cases
    assert (run.command, run.seconds, run.complete, run.problems) == (("bench", "sync"), 3.5, False, [])
    expected = a_case()
    for field in ("benchmark", "name", "parameters", "notes"):
        assert getattr(case, field) == getattr(expected, field)
    assert case.figures[0].values[0] == 12.5 and math.isnan(case.figures[0].values[1])
    assert math.isnan(case.plots[0].series[0].y[1])
    assert case.plots[1] == expected.plots[1]
    assert case.samples == {"1": {"windows": [[1.0, None]]}}


def test_names_of_the_computer_and_its_user_are_not_written(tmp_path: pathlib.Path) -> None:
    import getpass
    import platform

    text = written(tmp_path).read_text("utf-8")
    assert f'"{platform.node()}"' not in text and f'"{getpass.getuser()}"' not in text


def test_paths_are_not_written(tmp_path: pathlib.Path) -> None:
    words = ("bench", "clock", "--trace", str(tmp_path / "a.jsonl"), f"--out={tmp_path}", "--link", "wifi,mbit=2", "x")
    assert new_run(words).command == (*words[:3], "a.jsonl", f"--out={tmp_path.name}", *words[5:])


def damaged(**changes: Any) -> str:
    """A run with one case that differs from a valid one by `changes`."""
    figure = {"name": "a", "unit": "s", "values": [1], "better": "less"} | changes.pop("figure", {})
    plot = {"title": "", "x_label": "", "y_label": "", "series": [], "kind": "line", "log_y": False}
    plot |= changes.pop("plot", {})
    case = {"benchmark": "sync", "name": "wired", "parameters": {}, "samples": {}, "notes": []}
    case |= {"figures": [figure], "plots": [plot]} | changes.pop("case", {})
    run = {"format": "phaselock-bench", "format_version": 1, "command": [], "began": "", "machine": {}}
    return json.dumps(run | {"cases": [case], "problems": [], "seconds": 1, "complete": True} | changes)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_the_run_that_is_damaged_below_is_valid(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.json").write_text(damaged(), "utf-8")
    assert len(read_run(tmp_path / "run.json").cases) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        damaged()[:-40],
        "[]",
        "null",
        '{"format": "something"}',
        "\x00\x01",
        "[" * 100_000,
        '{"a":' * 100_000,
        damaged(format_version=2),
        damaged(cases=3),
        damaged(cases=[3]),
        damaged(cases=None),
        damaged(machine=[1]),
        damaged(machine={"processor": deep(500)}),
        damaged(command=7),
        damaged(seconds="soon"),
        damaged(seconds=10**400),
        damaged(case={"parameters": [1]}),
        damaged(case={"parameters": deep(100)}),
        damaged(case={"samples": 3}),
        damaged(case={"notes": 3}),
        damaged(figure={"values": ["much"]}),
        damaged(figure={"values": 3}),
        damaged(figure={"values": [[1]]}),
        damaged(figure={"values": [10**400]}),
        damaged(figure={"better": "worse"}),
        damaged(figure={"better": []}),
        damaged(plot={"kind": "pie"}),
        damaged(plot={"series": [{"label": "a", "x": ["a"], "y": [1]}]}),
        damaged(plot={"series": [{"label": "a", "x": [1]}]}),
    ],
)
def test_damaged_files_are_refused(text: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(text, "utf-8")
    with pytest.raises(PhaseLockError, match=r"is not a result of phaselock bench: .+\.$"):
        read_run(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(PhaseLockError, match="it is too large"):
        read_run(path)

    def full(*_: object) -> str:
        raise MemoryError

    path.write_text(damaged(), "utf-8")
    monkeypatch.setattr(json, "loads", full)
    with pytest.raises(PhaseLockError, match="does not fit in memory"):
        read_run(path)


def test_binary_files_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(PhaseLockError, match="is not a result"):
        read_run(tmp_path / "run.json")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(PhaseLockError, match=f"cannot be read: {MISSING}"):
        read_run(tmp_path / "run.json")
    with pytest.raises(PhaseLockError, match="it is not a file"):
        read_run(tmp_path)


def test_null_and_nan_are_read_as_not_finite(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(
        damaged(figure={"values": [None, math.nan, -math.inf, 1]}), "utf-8"
    )  # Python writes NaN, JSON has null
    values = read_run(path).cases[0].figures[0].values
    assert [math.isfinite(value) for value in values] == [False, False, False, True]


def test_an_unwritable_path_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(PhaseLockError, match=rf"run\.json cannot be written: {MISSING}"):
        write_run(new_run(()), tmp_path / "gone" / "run.json")


def test_an_interrupted_write_leaves_the_previous_file(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path)
    run = new_run(())
    run.cases.append(Case("sync", "wired", {}, (), samples={"a": object()}))
    with pytest.raises(AttributeError):
        write_run(run, path)
    assert len(read_run(path).cases) == 1
