"""`phaselock demo`: the real programs, a host and some peers, on the loopback, and how well they keep time."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import json
import math
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from phaselock.errors import PhaseLockError

TUNE_S = 25
PATIENCE_S = 60.0
GOODBYE_S = 10.0
SETTLING_S = 3.0
PROMISE_US = 1000.0


class Screen(Protocol):
    """Where the table goes."""

    def event(self, name: str, session_ns: int | None, fields: Mapping[str, object]) -> None: ...

    def say(self, text: str) -> None: ...

    def show(self, text: str) -> None: ...


@dataclasses.dataclass(slots=True)
class Program:
    """One running phaselock and the newest it said of its time."""

    name: str
    process: subprocess.Popen[str]
    listener: threading.Thread | None = None
    sync: dict[str, Any] = dataclasses.field(default_factory=dict)


def _phaselock(folder: str) -> dict[str, Any]:
    """How to start this very phaselock, whatever directory we are in: a checkout there is not what runs, and what its
    users have set is none of its business."""
    house = str(pathlib.Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [house, os.environ.get("PYTHONPATH")]))
    return {"env": {**os.environ, "PYTHONPATH": path, "PHASELOCK_HOME": folder}}


Heard = tuple[Program, dict[str, Any] | None]
"""What a program said; None when its output ended."""


def run(peers: int, seconds: int, skew_ppm: float, screen: Screen) -> int:
    """Play for so long; 0 if the promise was kept, else 1."""
    tune = importlib.resources.files("phaselock.data") / "tune.mp3"
    with contextlib.ExitStack() as stack:
        tune_path = str(stack.enter_context(importlib.resources.as_file(tune)))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="phaselock-demo-"))
        stage = stack.enter_context(_stage(folder))
        output = "auto" if _has_output(folder) else "null"
        screen.say(
            f"A host and {_counted(peers, 'peer')} on this machine, "
            + ("the host on the default output." if output == "auto" else "all silent: there is no sound output here.")
        )
        tunes = [tune_path] * (math.ceil(seconds / TUNE_S) + 1)
        local = ["--session", "demo", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"]
        host = stage.start("host", "host", *tunes, *local, "--wait-peers", str(peers), "--play", "--backend", output)
        port = stage.wait_for(host, "session")["port"]
        for number in range(1, peers + 1):
            name = f"peer{number}"
            skew = str(skew_ppm if number % 2 else -skew_ppm)
            cache = f"{folder}/{name}"
            stage.start(
                name, "join", f"127.0.0.1:{port}", "--backend", "null", "--cache", cache, f"--clock-skew-ppm={skew}"
            )
        stage.wait_for(host, "playing")
        worst_us = _watch(stage, seconds, screen)
        assert host.process.stdin
        host.process.stdin.write("quit\n")
        host.process.stdin.flush()
        screen.say(_table(stage.programs))
    good = worst_us < PROMISE_US
    message = "Nobody played for long enough to tell."
    if worst_us < math.inf:
        verdict = "in phase" if good else "NOT in phase"
        message = f"The machines were {verdict}: at most {worst_us:.0f} us apart, uncertainty included."
    screen.event(
        "verdict", None, {"good": good, "worst_us": worst_us if worst_us < math.inf else None, "message": message}
    )
    return 0 if good else 1


class Stage:
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
                **_phaselock(f"{self._folder}/{name}"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
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
        until = time.monotonic() + PATIENCE_S
        while heard := self.hear(until):
            if heard[0] is program and heard[1]["event"] == name:
                return heard[1]
        raise PhaseLockError(f"{program.name} did not get as far as {name!r} in time.")

    def _listen(self, program: Program) -> None:
        assert program.process.stdout
        for line in program.process.stdout:
            self._heard.put((program, json.loads(line)))
        self._heard.put((program, None))


@contextlib.contextmanager
def _stage(folder: str) -> Iterator[Stage]:
    """A stage that leaves no process behind."""
    stage = Stage(folder)
    try:
        yield stage
    except BaseException:
        for program in stage.programs:
            program.process.terminate()
        raise
    finally:
        until = time.monotonic() + GOODBYE_S
        for program in stage.programs:
            try:
                program.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.process.kill()
            if program.listener:
                program.listener.join()
            with contextlib.suppress(OSError), program.process:  # closes the pipes
                pass


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _has_output(folder: str) -> bool:
    """Whether this machine can be heard at all."""
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "phaselock", "devices", "--json"],
        **_phaselock(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return '"event": "output"' in listed.stdout


def _watch(stage: Stage, seconds: int, screen: Screen) -> float:
    """Show the table for so long; how far apart two machines were at most, settled, in microseconds."""
    began = time.monotonic()
    worst_us = -math.inf
    while heard := stage.hear(began + seconds):
        program, event = heard
        if event["event"] == "error":
            raise PhaseLockError(f"{program.name}: {event['message']}")
        if event["event"] != "sync":
            continue
        screen.event("sync", event.get("session_ns"), {**event, "machine": program.name})
        screen.show(_table(stage.programs))
        if time.monotonic() > began + min(SETTLING_S, seconds / 2):
            worst_us = max(worst_us, _apart_us([program.sync for program in stage.programs]))
    return worst_us if worst_us >= 0 else math.inf


def _apart_us(syncs: list[dict[str, Any]]) -> float:
    """How far apart two of these machines can be at most, by their own account."""
    low, high = math.inf, -math.inf
    for sync in syncs:
        if not sync.get("playing") or sync["offset_uncertainty_us"] is None or sync["dac_uncertainty_us"] is None:
            return math.inf
        unsure_us = sync["offset_uncertainty_us"] + sync["dac_uncertainty_us"]
        low = min(low, sync["phase_error_us"] - unsure_us)
        high = max(high, sync["phase_error_us"] + unsure_us)
    return high - low


def _table(programs: list[Program]) -> str:
    lines = [f"{'':8}{'phase error':>14}{'clock within':>15}{'drift':>14}{'correction':>14}"]
    for program in programs:
        sync = program.sync
        cells = [
            (sync.get("phase_error_us") if sync.get("playing") else None, "us", 14, "+.1f"),
            (sync.get("offset_uncertainty_us"), "us", 15, ".1f"),
            (sync.get("drift_ppm"), "ppm", 14, "+.2f"),
            (sync.get("correction_ppm"), "ppm", 14, "+.2f"),
        ]
        shown = (f"{'-' if value is None else f'{value:{form}} {unit}':>{width}}" for value, unit, width, form in cells)
        lines.append(f"{program.name:8}{''.join(shown)}")
    return "\n".join(lines)
