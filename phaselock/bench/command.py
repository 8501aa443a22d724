"""A command of `phaselock bench` that measures: it runs its benchmarks one after the other and writes the result."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import importlib
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator

from phaselock.bench.progress import Progress
from phaselock.bench.report import page
from phaselock.bench.results import Case, Run, finite, new_run, write_run
from phaselock.console.events import BenchEnded
from phaselock.console.interrupts import handling
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.model.notices import Code, Notice
from phaselock.session.events import Warned


class Recorder:
    """A Bench that keeps all cases in the run, and writes the run after each, so that no result is lost."""

    def __init__(self, run: Run, path: pathlib.Path, progress: Progress) -> None:
        self._run = run
        self._path = path
        self._progress = progress

    def add(self, case: Case) -> None:
        """See Bench.add."""
        cases = self._run.cases
        same = [k for k, one in enumerate(cases) if (one.benchmark, one.name) == (case.benchmark, case.name)]
        if same:
            cases[same[0]] = case
        else:
            cases.append(case)
        write_run(self._run, self._path)

    def progress(self, done: float, doing: str) -> None:
        """See Bench.progress."""
        self._progress.show(done, doing)


def measure(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run the benchmarks of `options.benchmarks`. Return 0 if all finished, otherwise 1.

    The cases found are written in any event, also after a signal that asks the program to end. Raise PhaseLockError if
    there is none.
    """
    folder = _folder(options)
    options.out = folder  # for benchmarks that keep recordings
    run = new_run(tuple(sys.argv[1:]))
    with handling(signal.default_int_handler):
        try:
            _measure(options, Progress(terminal, options.benchmarks), run, folder)
        finally:
            if run.cases:
                _conclude(run, folder, terminal)
            else:
                _remove_empty(folder)
    if not run.cases:
        raise PhaseLockError(" ".join(run.problems) or "Nothing was measured.")
    return 0 if run.complete else 1


def _measure(options: argparse.Namespace, progress: Progress, run: Run, folder: pathlib.Path) -> None:
    recorder = Recorder(run, folder / "run.json", progress)
    began_s = time.monotonic()
    try:
        for name in options.benchmarks:
            progress.begin(name)
            prefix = f"{name}: " if len(options.benchmarks) > 1 else ""
            with _errors_as_problems(run, prefix):
                importlib.import_module(f"phaselock.bench.benchmarks.{name}").run(options, recorder)
        run.complete = not run.problems
    except KeyboardInterrupt:
        run.problems.append("Interrupted: some results are missing.")
    finally:
        progress.end()
        run.seconds = time.monotonic() - began_s


def _conclude(run: Run, folder: pathlib.Path, terminal: Terminal) -> None:
    """Write the result and the reports, and print a summary. A file that cannot be written becomes a problem of the
    run."""
    writers: tuple[Callable[[], None], ...] = (
        lambda: write_run(run, folder / "run.json"),
        lambda: page.write(run, folder),
    )
    before = len(run.problems)
    for write in writers:
        with _errors_as_problems(run):
            write()
    written = len(run.problems) == before
    run.complete = run.complete and written
    for line in page.summary(run):
        terminal.say(line)
    noted = [case for case in run.cases if case.benchmark in ("abuse", "guests", "measure", "outputs", "soak")]
    for note in dict.fromkeys(note for case in noted for note in case.notes):
        terminal.say(note)
    for problem in run.problems:
        terminal.event(Warned(None, Notice(Code.BENCHMARK, problem)))
    figures = [
        {"benchmark": case.benchmark, "case": case.name, **dataclasses.asdict(metric)}
        for case in run.cases
        for metric in case.figures
    ]
    message = f"Written: {folder / 'report.html'}" if written else f"Not everything could be written to {folder}."
    terminal.event(
        BenchEnded(None, run.complete, str(folder), tuple(finite(figures)), tuple(run.problems), message),
        to_people=False,
    )
    terminal.say(message)


def _remove_empty(folder: pathlib.Path) -> None:
    """Remove the folder if it is empty, so that it does not block the next attempt."""
    with contextlib.suppress(OSError):
        (folder / "run.json.part").unlink(missing_ok=True)
        folder.rmdir()  # fails if it is not empty


@contextlib.contextmanager
def _errors_as_problems(run: Run, prefix: str = "") -> Iterator[None]:
    """Turn errors of this computer or of the user into problems of the run, which continues."""
    try:
        yield
    except PhaseLockError as error:
        run.problems.append(f"{prefix}{error}")
    except OSError as error:
        run.problems.append(f"{prefix}The system refused: {error.strerror or error}.")
    except MemoryError:
        run.problems.append(f"{prefix}There is not enough memory.")


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
