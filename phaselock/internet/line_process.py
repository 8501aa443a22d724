"""A child process with which this one exchanges lines of JSON. It ends by itself when its standard input ends."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from phaselock.python_process import environment, python_command

_log = logging.getLogger("phaselock.internet")


class LineProcess:
    """A process that runs this Python code. For any thread."""

    def __init__(
        self, code: str, thread_name: str, on_line: Callable[[dict[str, Any]], None], on_end: Callable[[], None]
    ) -> None:
        """Both functions are called on a thread of this name, also after `close`; `on_end` last, and also if the
        process ends by itself. PhaseLockError or OSError if it does not start."""
        self._on_line = on_line
        self._on_end = on_end
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
            start_new_session=True,  # Ctrl+C and a closed terminal end the session, and the end of its input this one
        )
        self._reader = threading.Thread(target=self._read, name=thread_name, daemon=True)
        self._reader.start()

    def say(self, line: dict[str, Any]) -> None:
        """Give it a line, which is small. No effect if it has ended, or is closed."""
        assert self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End its standard input. Returns at once."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def wait(self, timeout_s: float) -> None:
        """Until it has ended, or this time is over."""
        self._reader.join(timeout_s)

    def end(self, timeout_s: float) -> None:
        """Close it, and kill it if it takes longer than this. Blocks until it has ended."""
        self.close()
        self.wait(timeout_s)
        self._process.kill()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for text in lines:
                try:
                    line = json.loads(text)
                except ValueError:
                    line = None
                if isinstance(line, dict):
                    self._on_line(line)
                else:
                    _log.warning("%s: not one of our lines: %r", threading.current_thread().name, text[:200])
        status = self._process.wait()
        _log.debug("%s: the process has ended with %d", threading.current_thread().name, status)
        self._on_end()
