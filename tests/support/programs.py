"""Real phaselock processes, controlled by commands as a user gives them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
TUNE = ROOT / "phaselock" / "data" / "tune.mp3"
TIMEOUT_S = 60.0

Event = dict[str, Any]


class Program:
    """One phaselock process, its events and its standard input. `prefix` is a command that runs it, `python` another
    Python, `home` its PHASELOCK_HOME."""

    def __init__(
        self,
        *arguments: str,
        prefix: Sequence[str] = (),
        python: Sequence[str] = (sys.executable, "-X", "utf8"),
        home: pathlib.Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [*prefix, *python, "-m", "phaselock", *arguments, "--json"],
            cwd=ROOT,
            env={**os.environ, **({"PHASELOCK_HOME": os.fspath(home)} if home else {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.told: list[Event] = []
        self._tells = threading.Condition()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._listen_for_errors)]
        for thread in self._threads:
            thread.start()

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, name: str, fits: Callable[[Event], bool] = lambda event: True) -> Event:
        """The next event of that name that fits, after the event that the last call returned."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            try:
                event = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                event = None
            if event is None:
                pytest.fail(f"no {name!r}; told were {self.told[-8:]}; {''.join(self._errors)}")
            if event["event"] == name and fits(event):
                return event

    def wait_until(self, name: str, fits: Callable[[Event], bool]) -> Event:
        """The newest event of that name, as soon as it fits. Other events before and after it do not matter."""
        found: Event | None = None

        def has_come() -> bool:
            nonlocal found
            found = next((event for event in reversed(self.told) if event["event"] == name), None)
            return found is not None and fits(found)

        with self._tells:
            if not self._tells.wait_for(has_come, TIMEOUT_S):
                pytest.fail(f"the newest {name!r} is {found}; {''.join(self._errors)}")
        assert found
        return found

    def end(self) -> tuple[int, str]:
        """Wait for the end; (exit status, standard error)."""
        status = self.process.wait(TIMEOUT_S)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        return status, "".join(self._errors).strip()

    def close(self) -> None:
        self.process.kill()
        status, errors = self.end()
        told = [event for event in self.told if event["event"] not in ("sync", "peer_sync")]
        print(f"{self.process.args}: status {status}, told at last {told[-12:]}")  # pytest shows it if the test fails
        assert "Traceback" not in errors
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            with contextlib.suppress(OSError):
                stream.close()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            event = json.loads(line)
            with self._tells:
                self.told.append(event)
                self._tells.notify_all()
            self._events.put(event)
        self._events.put(None)

    def _listen_for_errors(self) -> None:
        assert self.process.stderr
        self._errors.extend(self.process.stderr)


def playing(event: Event) -> bool:
    """Whether a `sync` event says that sound is played."""
    return bool(event["playing"])


def in_time(event: Event) -> bool:
    """Whether a `sync` event says that the session clock is known to a millisecond."""
    return event["offset_uncertainty_us"] is not None and event["offset_uncertainty_us"] < 1000.0


def in_phase(event: Event) -> bool:
    """Whether a `sync` event says that sound is played within a millisecond of the others."""
    return playing(event) and in_time(event) and abs(event["phase_error_us"]) < 1000.0
