"""Runs several real phaselock processes on this machine: sends them commands, and receives their events."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from phaselock.errors import PhaseLockError
from phaselock.language.message import Message
from phaselock.python_process import environment, python_command

TIMEOUT_S = 60.0
"""How long `wait_for` waits for an event, in seconds."""
GOODBYE_S = 10.0
"""How long the processes have to end by themselves, in seconds, in total."""


@dataclasses.dataclass(slots=True)
class Program:
    """One running phaselock process. `sync` is its newest `sync` event, empty before the first one. With `may_end`, its
    end is no error."""

    name: str
    process: subprocess.Popen[str]
    listener: threading.Thread | None = None
    sync: dict[str, Any] = dataclasses.field(default_factory=dict)
    may_end: bool = False

    def say(self, line: str) -> None:
        """Send a line to its standard input. No error if the process has ended."""
        assert self.process.stdin
        with contextlib.suppress(OSError):  # the process has ended: `hear` reports it
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()


def surroundings(folder: str) -> dict[str, Any]:
    """Arguments of subprocess.Popen that start the same phaselock, with its own settings and cache in `folder`.

    It speaks English, because its texts may become part of an error in JSON.
    """
    return {"env": {**environment(), "PHASELOCK_HOME": folder, "PHASELOCK_LANG": "en"}}


Heard = tuple[Program, dict[str, Any] | None]
"""A program and its event; None after its output has ended."""


class ProcessGroup:
    """The running programs, and a queue of their events. For one thread."""

    def __init__(self, folder: str) -> None:
        self.programs: list[Program] = []
        self._folder = folder
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def start(self, name: str, *arguments: str) -> Program:
        """Start phaselock with these arguments; `name` is its display name in the session."""
        with open(f"{self._folder}/{name}.err", "wb") as errors:
            process = subprocess.Popen(
                python_command("-P", "-m", "phaselock", *arguments, "--as", name, "--json", "--no-desktop"),
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
        """The next event of any program; None if there is none until the time `until` (of time.monotonic, in seconds).
        PhaseLockError if a program has ended that must not."""
        try:
            program, event = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            while event is None and program.may_end:
                program, event = self._heard.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return None
        if event is None:
            with open(f"{self._folder}/{program.name}.err", encoding="utf-8", errors="replace") as errors:
                last_words = errors.read().strip().rpartition("\n")[2]
            ended = Message("{name} ended too soon.", name=program.name)
            raise PhaseLockError(Message.joined(" ", filter(None, (ended, last_words))))
        if event["event"] == "sync":
            program.sync = event
        return program, event

    def wait_for(
        self,
        program: Program,
        name: str,
        waits: Callable[[int], object] = lambda _seconds: None,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """Wait for the first event of this name from this program. Other events are dropped. `waits` is called each
        second with the seconds that have passed. PhaseLockError after `timeout_s`, or if a program has ended."""
        began_s = time.monotonic()
        for seconds in range(round(timeout_s)):
            while heard := self.hear(began_s + seconds + 1):
                if heard[0] is program and heard[1]["event"] == name:
                    return heard[1]
            waits(seconds + 1)
        raise PhaseLockError("{name} did not get as far as '{event}' in time.", name=program.name, event=name)

    def forget(self, program: Program) -> None:
        """Wait until a program with `may_end` has ended; kill it after GOODBYE_S. Events of it may follow."""
        _wait(program, time.monotonic() + GOODBYE_S)
        if program.listener:
            program.listener.join()
        _close_pipes(program)
        self.programs.remove(program)

    def wait_until_ended(self) -> None:
        """Wait until all programs have ended. Those still running after GOODBYE_S are killed."""
        until = time.monotonic() + GOODBYE_S
        for program in self.programs:
            _wait(program, until)

    def _listen(self, program: Program) -> None:
        assert program.process.stdout
        try:
            for line in program.process.stdout:
                if event := _event(line):
                    self._heard.put((program, event))
        finally:
            self._heard.put((program, None))


def _wait(program: Program, until: float) -> None:
    try:
        program.process.wait(max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        program.process.kill()
        program.process.wait()


def _close_pipes(program: Program) -> None:
    with contextlib.suppress(OSError), program.process:
        pass


def _event(line: str) -> dict[str, Any] | None:
    """The event in a line of output; None for other output, which libraries print."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


@contextlib.contextmanager
def open_process_group(folder: str) -> Iterator[ProcessGroup]:
    """A group whose processes have all ended after the block. `folder` holds their files."""
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
            _close_pipes(program)
