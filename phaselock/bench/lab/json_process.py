"""A process of the lab that reads lines, answers with JSON objects, one a line, and ends when its input ends."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import Any

from phaselock.python_process import environment, python_command

TIMEOUT_S = 5.0
"""Limit for the process to end."""


class JsonProcess:
    """The running process."""

    def __init__(self, module: str) -> None:
        """Start `python -m module`."""
        self._process = subprocess.Popen(
            python_command("-P", "-m", module),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Write a line. If the process has ended, `answer` shows it."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next object; empty if the process has ended or writes something else."""
        assert self._process.stdout
        try:
            value = json.loads(self._process.stdout.readline())
        except ValueError:
            value = None
        return value if isinstance(value, dict) else {}

    def end(self) -> dict[str, Any]:
        """End the process. Return its last object; empty if it has none or does not end within TIMEOUT_S."""
        last: dict[str, Any] = {}
        process = self._process
        assert process.stdin and process.stdout
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT_S)
                last = self.answer()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        return last
