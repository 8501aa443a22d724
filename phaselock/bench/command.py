"""One command of `phaselock bench` that measures: its benchmarks one after the other, and what is written of them."""

from __future__ import annotations

import argparse
import datetime
import importlib
import pathlib
import sys
import time

from phaselock.bench import report
from phaselock.bench.progress import Progress
from phaselock.bench.results import Case, Run, new_run, write_run
from phaselock.errors import PhaseLockError
from phaselock.terminal import Terminal


class Recorder:
    """A Bench: keeps every case in the run, and writes the run after each, so that nothing found is ever lost."""

    def __init__(self, run: Run, path: pathlib.Path, progress: Progress) -> None:
        self._run = run
        self._path = path
        self._progress = progress

    def add(self, case: Case) -> None:
        """See Bench.add."""
        cases = self._run.cases
        named = [k for k, one in enumerate(cases) if (one.benchmark, one.name) == (case.benchmark, case.name)]
        if named:
            cases[named[0]] = case
        else:
            cases.append(case)
        write_run(self._run, self._path)

    def progress(self, done: float, doing: str) -> None:
        """See Bench.progress."""
        self._progress.show(done, doing)


def measure(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run the benchmarks of `options.benchmarks`; 0 if all of them came to their end. An interrupted run is written as
    well as a whole one."""
    folder = _folder(options)
    options.out = folder  # for benchmarks that keep more than their figures
    run = new_run(tuple(sys.argv[1:]))
    progress = Progress(terminal, options.benchmarks)
    recorder = Recorder(run, folder / "run.json", progress)
    began = time.monotonic()
    try:
        for name in options.benchmarks:
            progress.begin(name)
            try:
                importlib.import_module(f"phaselock.bench.{name}").run(options, recorder)
            except PhaseLockError as error:
                if len(options.benchmarks) == 1:
                    raise
                run.problems.append(f"{name}: {error}")
        run.complete = not run.problems
    except KeyboardInterrupt:
        run.problems.append("Interrupted: what follows is not all.")
    except PhaseLockError as error:
        run.problems.append(str(error))
    progress.end()
    run.seconds = time.monotonic() - began
    write_run(run, folder / "run.json")
    report.write(run, folder)
    for line in report.summary(run):
        terminal.say(line)
    for note in (note for case in run.cases if case.benchmark == "measure" for note in case.notes):
        terminal.say(note)
    for problem in run.problems:
        terminal.event("warning", None, {"message": problem})
    fields = {"complete": run.complete, "folder": str(folder), "cases": len(run.cases)}
    terminal.event("bench", None, {**fields, "message": f"Written: {folder / 'report.html'}"})
    return 0 if run.complete else 1


def _folder(options: argparse.Namespace) -> pathlib.Path:
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    name = options.benchmarks[0] if len(options.benchmarks) == 1 else "all"
    folder: pathlib.Path = options.out or pathlib.Path(f"phaselock-bench-{name}-{stamp}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "run.json").exists():
            raise PhaseLockError(f"There is a result in {folder} already. Choose another folder with --out.")
        (folder / "run.json.part").touch()
    except OSError as error:
        raise PhaseLockError(f"{folder} cannot be written to: {error.strerror}.") from None
    return folder
