"""How child processes are started, and how their output is read."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from phaselock.errors import PhaseLockError
from phaselock.python_process import environment, python_command
from phaselock.tools import demo, doctor
from phaselock.tools.processes import ProcessGroup, Program


class Process:
    """A process that prints these lines; then reading its output fails (`breaks`) or reaches the end."""

    def __init__(self, *given: str, breaks: bool = False) -> None:
        self.stdout = self._lines(given, breaks)

    def _lines(self, given: tuple[str, ...], breaks: bool) -> Iterator[str]:
        yield from given
        if breaks:
            raise OSError("broken")


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> ProcessGroup:
    (tmp_path / "Ann.err").write_text("")
    return ProcessGroup(str(tmp_path))


def test_non_json_output_lines_are_ignored(stage: ProcessGroup) -> None:
    noise = ("ALSA lib pcm.c: oh\n", "\n", "[]\n", "{}\n", "[" * 100_000)
    stage._listen(Program("Ann", Process(*noise, '{"event": "playing"}\n')))  # type: ignore[arg-type]
    event = stage.hear(time.monotonic())
    assert event and event[1] == {"event": "playing"}
    with pytest.raises(PhaseLockError, match="Ann ended too soon"):
        stage.hear(time.monotonic())


def test_an_output_that_breaks_has_ended(stage: ProcessGroup) -> None:
    with pytest.raises(OSError, match="broken"):
        stage._listen(Program("Ann", Process(breaks=True)))  # type: ignore[arg-type]
    with pytest.raises(PhaseLockError, match="Ann ended too soon"):
        stage.hear(time.monotonic())


def test_a_program_that_may_end_is_no_error(stage: ProcessGroup) -> None:
    stage._listen(Program("Ben", Process('{"event": "joined"}\n'), may_end=True))  # type: ignore[arg-type]
    stage._listen(Program("Ann", Process('{"event": "playing"}\n')))  # type: ignore[arg-type]
    heard = [stage.hear(time.monotonic()) for _ in range(2)]
    assert [one and one[1]["event"] for one in heard] == ["joined", "playing"]
    with pytest.raises(PhaseLockError, match="Ann ended too soon"):
        stage.hear(time.monotonic())


@pytest.mark.parametrize(
    "python",
    [
        "/usr/bin/python3",
        "/opt/pypy/bin/pypy3",
        r"C:\Python 3.13\python.exe",
        r"D:\PhaseLock\pythonw.exe",
        "PYTHON3.EXE",
    ],
)
def test_python_can_be_started(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", python)
    assert python_command("-m", "phaselock") == [python, "-m", "phaselock"]


@pytest.mark.parametrize(
    "program", ["/Applications/PhaseLock.app/Contents/MacOS/PhaseLock", r"C:\PhaseLock\PhaseLock.exe", "", None]
)
def test_a_bundle_is_not_started_in_place_of_python(
    program: str | None, stage: ProcessGroup, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def popen(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setattr(subprocess, "Popen", popen)
    for start in (
        lambda: stage.start("Ann", "host"),
        lambda: demo._has_output(str(tmp_path)),
        doctor.try_window,
    ):
        with pytest.raises(PhaseLockError, match="cannot start another Python"):
            start()


def test_a_child_writes_utf_8() -> None:
    code = "import sys; sys.stdout.write('M\u00fcsik'); sys.stderr.write('\u2744')"
    done = subprocess.run([sys.executable, "-c", code], env={**environment(), "LC_ALL": "C"}, capture_output=True)
    assert (done.stdout.decode(), done.stderr.decode()) == ("M\u00fcsik", "\u2744")
    assert environment()["PYTHONIOENCODING"] == "utf-8"
