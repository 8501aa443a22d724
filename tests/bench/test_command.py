"""The files and the output of `phaselock bench WHAT`, for every kind of end."""

from __future__ import annotations

import argparse
import errno
import json
import pathlib
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from phaselock import cli
from phaselock.bench import options as bench_options
from phaselock.bench.interface import Bench
from phaselock.bench.results import Case, Metric, read_run
from phaselock.errors import PhaseLockError

Run = Callable[[argparse.Namespace, Bench], None]


def a_case(benchmark: str, name: str, *values: float) -> Case:
    return Case(benchmark, name, {}, (Metric("start_us", "us", values),))


def measures(benchmark: str, error: BaseException | None = None) -> Run:
    """A benchmark that adds a case, adds it again with a second repeat, adds another one, and then raises `error`."""

    def run(options: argparse.Namespace, bench: Bench) -> None:
        bench.progress(0.0, "warming up")
        bench.add(a_case(benchmark, "wired", 1.0))
        bench.add(a_case(benchmark, "wired", 1.0, 2.0))
        bench.progress(0.5, "playing")
        bench.add(a_case(benchmark, "wifi", 5.0))
        if error:
            raise error

    return run


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the benchmarks of these names by functions; `all` then runs only these."""

    def put(**runs: Run) -> None:
        for name, run in runs.items():
            module: Any = types.ModuleType(f"phaselock.bench.benchmarks.{name}")
            module.run = run
            monkeypatch.setitem(sys.modules, f"phaselock.bench.benchmarks.{name}", module)
        monkeypatch.setattr(bench_options, "BENCHMARKS", tuple(runs))

    return put


def bench(*words: str) -> int:
    return cli.main(["bench", *words])


def test_a_whole_run(fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake(engine=measures("engine"))
    assert bench("engine", "--out", str(tmp_path / "new" / "folder")) == 0
    run = read_run(tmp_path / "new" / "folder" / "run.json")
    assert run.complete and run.problems == []
    assert [(case.name, case.figures[0].values) for case in run.cases] == [("wired", (1.0, 2.0)), ("wifi", (5.0,))]
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {"run.json", "report.html", "report.md"}
    out = capsys.readouterr().out
    assert "engine: playing" in out and "1.50 (1–2)" in out and "Warning" not in out
    assert out.endswith(f"Written: {tmp_path / 'new' / 'folder' / 'report.html'}\n")


def test_json_output_reports_the_result(
    fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(engine=measures("engine"))
    assert bench("engine", "--json", "--out", str(tmp_path)) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "progress" and events[0]["benchmark"] == "engine"
    assert (events[-1]["event"], events[-1]["complete"], events[-1]["problems"]) == ("bench", True, [])
    wired = {"name": "start_us", "unit": "us", "values": [1.0, 2.0], "better": "less"}
    assert events[-1]["figures"][0] == {"benchmark": "engine", "case": "wired", **wired}


def test_a_run_without_a_result_leaves_no_files(
    fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(options: argparse.Namespace, bench: Bench) -> None:
        raise PhaseLockError("This is no recording.")

    fake(engine=run)
    assert bench("engine", "--out", str(tmp_path / "new")) == 1
    assert "This is no recording." in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_an_interrupted_run_keeps_its_results(
    fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(engine=measures("engine", KeyboardInterrupt()), sync=measures("sync"))
    assert bench("all", "--out", str(tmp_path)) == 1
    run = read_run(tmp_path / "run.json")
    assert not run.complete and len(run.problems) == 1
    assert [(case.benchmark, case.name) for case in run.cases] == [("engine", "wired"), ("engine", "wifi")]
    assert "This run is not complete" in (tmp_path / "report.html").read_text("utf-8")
    assert "is not complete" in (tmp_path / "report.md").read_text("utf-8")
    assert "Warning: Interrupted" in capsys.readouterr().out


def test_a_failing_benchmark_does_not_end_the_others(fake: Callable[..., None], tmp_path: pathlib.Path) -> None:
    fake(engine=measures("engine", PhaseLockError("No sound.")), sync=measures("sync"))
    assert bench("all", "--out", str(tmp_path)) == 1
    run = read_run(tmp_path / "run.json")
    assert not run.complete and run.problems == ["engine: No sound."]
    assert [case.benchmark for case in run.cases] == ["engine", "engine", "sync", "sync"]
    assert "engine: No sound." in (tmp_path / "report.html").read_text("utf-8")


def test_a_single_failing_benchmark_leaves_a_report(
    fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(engine=measures("engine", PhaseLockError("No sound.")))
    assert bench("engine", "--out", str(tmp_path)) == 1
    assert read_run(tmp_path / "run.json").problems == ["No sound."]
    assert len(read_run(tmp_path / "run.json").cases) == 2
    assert "Warning: No sound." in capsys.readouterr().out


def test_each_case_is_written_as_soon_as_it_is_measured(fake: Callable[..., None], tmp_path: pathlib.Path) -> None:
    seen: list[int] = []

    def run(options: argparse.Namespace, bench: Bench) -> None:
        for k in range(3):
            bench.add(a_case("engine", f"case {k}", 1.0))
            seen.append(len(read_run(tmp_path / "run.json").cases))
        raise RuntimeError("a mistake of ours")

    fake(engine=run)
    with pytest.raises(RuntimeError):
        bench("engine", "--quiet", "--out", str(tmp_path))
    assert seen == [1, 2, 3]
    assert not read_run(tmp_path / "run.json").complete
    assert "case 2" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The system refused: No space left on device."),
        (OSError("odd"), "The system refused: odd."),
        (MemoryError(), "There is not enough memory."),
    ],
)
def test_a_system_error_does_not_end_the_others(
    error: Exception, told: str, fake: Callable[..., None], tmp_path: pathlib.Path
) -> None:
    fake(engine=measures("engine", error), sync=measures("sync"))
    assert bench("all", "--quiet", "--out", str(tmp_path)) == 1
    assert read_run(tmp_path / "run.json").problems == [f"engine: {told}"]
    assert len(read_run(tmp_path / "run.json").cases) == 4


@pytest.mark.parametrize("lost", ["write_run", "page.write"])
def test_a_file_that_cannot_be_written_does_not_stop_the_others(
    lost: str,
    fake: Callable[..., None],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(run: object, path: pathlib.Path) -> None:
        raise PhaseLockError(f"{path.name} cannot be written: No space left on device.")

    def run(options: argparse.Namespace, bench: Bench) -> None:
        bench.add(a_case("engine", "wired", 1.0))
        monkeypatch.setattr(f"phaselock.bench.command.{lost}", full)

    fake(engine=run)
    assert bench("engine", "--out", str(tmp_path)) == 1
    out = capsys.readouterr().out
    assert "cannot be written: No space left on device." in out and "Not everything could be written" in out
    assert (tmp_path / ("report.html" if lost == "write_run" else "run.json")).exists()


def test_a_terminated_run_keeps_its_results(fake: Callable[..., None], tmp_path: pathlib.Path) -> None:
    def run(options: argparse.Namespace, bench: Bench) -> None:
        bench.add(a_case("engine", "wired", 1.0))
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    def of_somebody(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, of_somebody)
    try:
        fake(engine=run)
        assert bench("engine", "--quiet", "--out", str(tmp_path)) == 1
        assert signal.getsignal(signal.SIGTERM) is of_somebody
    finally:
        signal.signal(signal.SIGTERM, before)
    found = read_run(tmp_path / "run.json")
    assert len(found.cases) == 1 and found.problems == ["Interrupted: some results are missing."]
    assert "Interrupted" in (tmp_path / "report.html").read_text("utf-8")


def test_a_result_is_not_overwritten(
    fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(engine=measures("engine"))
    (tmp_path / "run.json").write_text("precious", "utf-8")
    assert bench("engine", "--out", str(tmp_path)) == 1
    assert "There is a result in" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert (tmp_path / "run.json").read_text("utf-8") == "precious"


def test_an_unusable_folder_is_an_error_before_the_measurement(
    fake: Callable[..., None], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(engine=measures("engine", AssertionError("it was measured")))
    (tmp_path / "file").touch()
    assert bench("engine", "--out", str(tmp_path / "file")) == 1
    assert "cannot be written to" in capsys.readouterr().err


def test_the_default_folder_is_new(
    fake: Callable[..., None], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(engine=measures("engine"))
    monkeypatch.chdir(tmp_path)
    assert bench("engine", "--quiet") == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("phaselock-bench-engine-") and (folder / "report.html").exists()


@pytest.mark.parametrize("words", [("engine",), ("compare", "a", "b"), ("table", "a")])
def test_missing_packages_are_named(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "lameenc", None)
    assert bench(*words) == 1
    install = f"Install: {sys.executable} -m pip install scipy lameenc\n"
    assert capsys.readouterr().err == f"phaselock bench needs scipy, lameenc, which playing does not need. {install}"
