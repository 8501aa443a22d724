"""A child process with which the network thread exchanges lines of JSON. It ends when its standard input ends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from phaselock.python_process import environment, python_command

END_S = 3.0
"""How long the process may take to end by itself, in seconds."""


class LineProcess:
    """A process that runs this Python code. For the network thread."""

    def __init__(self, code: str, on_line: Callable[[dict[str, Any]], None], on_end: Callable[[], None]) -> None:
        """PhaseLockError or OSError if it does not start. Both functions are called on the running loop; `on_end` also
        if the process ends by itself, but neither is called after `close`."""
        self._loop = asyncio.get_running_loop()
        self._on_line = on_line
        self._on_end = on_end
        self._closed = False
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW
        self._process = subprocess.Popen(
            python_command("-P", "-c", code),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            creationflags=flags,
            start_new_session=True,  # Ctrl+C ends the session, which then ends this process
        )
        self._reader = threading.Thread(target=self._read, name="lines of a child", daemon=True)
        self._reader.start()

    def say(self, line: dict[str, Any]) -> None:
        """Give it a line, which is small. No effect if it has ended."""
        assert self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()

    async def close(self) -> None:
        """End its standard input, and wait until it has ended."""
        self._closed = True
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for text in lines:
                with contextlib.suppress(ValueError):
                    if isinstance(line := json.loads(text), dict):
                        self._call(functools.partial(self._on_line, line))
        self._call(self._on_end)

    def _call(self, what: Callable[[], None]) -> None:
        def call() -> None:
            if not self._closed:
                what()

        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(call)
