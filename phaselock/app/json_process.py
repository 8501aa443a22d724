"""Another Python process of low priority that works on files which may be hostile. It writes lines of JSON."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from phaselock.python_process import environment, python_command

SILENCE_S = 60.0
"""A process that says nothing for this long is ended."""


class JsonProcess:
    """A process that runs this Python code with these arguments. PhaseLockError or OSError if it does not start."""

    def __init__(self, code: str, *arguments: str) -> None:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        self._process = subprocess.Popen(
            python_command("-P", "-c", code, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            creationflags=flags,
        )

    def kill(self) -> None:
        """End it. Any thread may call this."""
        self._process.kill()

    def lines(self, on_silence: Callable[[], object] = lambda: None) -> Iterator[dict[str, Any]]:
        """What it writes, until it ends; an empty one for a line that is none of ours. `on_silence` is called on
        another thread before the process is ended because it says nothing."""
        with self._process as process:
            assert process.stdout
            watch = self._watch(on_silence)
            try:
                for line in process.stdout:
                    watch.cancel()
                    watch = self._watch(on_silence)
                    yield _parsed(line)
            finally:
                watch.cancel()

    @property
    def exit_status(self) -> int | None:
        """After the end; None before."""
        return self._process.returncode

    def _watch(self, on_silence: Callable[[], object]) -> threading.Timer:
        """Ends the process after SILENCE_S, unless it is cancelled."""

        def end() -> None:
            on_silence()
            self.kill()

        timer = threading.Timer(SILENCE_S, end)
        timer.daemon = True
        timer.start()
        return timer


def _parsed(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        if isinstance(result := json.loads(line), dict):
            return result
    return {}
