"""Several real phaselock programs on this machine: started, heard and told what to do as a user would."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from phaselock.errors import PhaseLockError

TIMEOUT_S = 60.0
GOODBYE_S = 10.0


@dataclasses.dataclass(slots=True)
class Program:
    """One running phaselock and the newest it said of its time."""

    name: str
    process: subprocess.Popen[str]
    listener: threading.Thread | None = None
    sync: dict[str, Any] = dataclasses.field(default_factory=dict)

    def say(self, line: str) -> None:
        """Type a command into it."""
        assert self.process.stdin
        with contextlib.suppress(OSError):  # it is gone: `hear` tells
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()


def environment() -> dict[str, str]:
    """In which this very phaselock runs, whatever directory we are in: a checkout there is not what runs."""
    house = str(pathlib.Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [house, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def surroundings(folder: str) -> dict[str, Any]:
    """How to start this very phaselock; what its users have set is none of its business."""
    return {"env": {**environment(), "PHASELOCK_HOME": folder}}


Heard = tuple[Program, dict[str, Any] | None]
"""What a program said; None when its output ended."""


class ProcessGroup:
    """The running programs and all that they say."""

    def __init__(self, folder: str) -> None:
        self.programs: list[Program] = []
        self._folder = folder
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def start(self, name: str, *arguments: str) -> Program:
        """Start a phaselock that goes by this name."""
        with open(f"{self._folder}/{name}.err", "wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "phaselock", *arguments, "--as", name, "--json"],
                **surroundings(f"{self._folder}/{name}"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        program = Program(name, process)
        program.listener = threading.Thread(target=self._listen, args=(program,), daemon=True)
        program.listener.start()
        self.programs.append(program)
        return program

    def hear(self, until: float) -> tuple[Program, dict[str, Any]] | None:
        """The next event of any program before that time (of time.monotonic); an error if a program ends or fails."""
        try:
            program, event = self._heard.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return None
        if event is None:
            with open(f"{self._folder}/{program.name}.err", encoding="utf-8", errors="replace") as errors:
                last_words = errors.read().strip().rpartition("\n")[2]
            raise PhaseLockError(f"{program.name} ended too soon. {last_words}".strip())
        if event["event"] == "sync":
            program.sync = event
        return program, event

    def wait_for(self, program: Program, name: str) -> dict[str, Any]:
        """The first such event of this program."""
        until = time.monotonic() + TIMEOUT_S
        while heard := self.hear(until):
            if heard[0] is program and heard[1]["event"] == name:
                return heard[1]
        raise PhaseLockError(f"{program.name} did not get as far as {name!r} in time.")

    def wait_until_ended(self) -> None:
        """Give all of them a moment to end by themselves; who does not is ended."""
        until = time.monotonic() + GOODBYE_S
        for program in self.programs:
            try:
                program.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()

    def _listen(self, program: Program) -> None:
        assert program.process.stdout
        try:
            for line in program.process.stdout:
                if event := _event(line):
                    self._heard.put((program, event))
        finally:
            self._heard.put((program, None))


def _event(line: str) -> dict[str, Any] | None:
    """Of what a program prints; None for what a library beneath it prints."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


@contextlib.contextmanager
def open_process_group(folder: str) -> Iterator[ProcessGroup]:
    """A stage that leaves no process behind."""
    stage = ProcessGroup(folder)
    try:
        yield stage
    except BaseException:
        for program in stage.programs:
            program.process.terminate()
        raise
    finally:
        stage.wait_until_ended()
        for program in stage.programs:
            if program.listener:
                program.listener.join()
            with contextlib.suppress(OSError), program.process:  # closes the pipes
                pass
