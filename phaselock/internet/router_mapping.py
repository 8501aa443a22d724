"""The child process that opens ports at the router, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from phaselock.internet.state import Problem, RouterState, from_json
from phaselock.python_process import environment, python_command

_CODE = "from phaselock.internet.mapper_process import main; main()"

_log = logging.getLogger("phaselock.internet")


class RouterMapping:
    """Opens ports at the router, from `map` to `close`. For any thread."""

    def __init__(self, on_state: Callable[[RouterState], object]) -> None:
        """`on_state` is called on another thread with each change; the last call may come after `close`.
        PhaseLockError or OSError if the process does not start."""
        self._on_state = on_state
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW
        self._process = subprocess.Popen(
            python_command("-P", "-c", _CODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            creationflags=flags,
            start_new_session=True,  # Ctrl+C and a closed terminal end the host, and the end of its input this process
        )
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="router mapping", daemon=True)
        self._reader.start()

    def map(self, *, tcp: tuple[int, int] | None = None, udp: tuple[int, int] | None = None) -> None:
        """Open these ports, and close all others: each as our port and the wanted public port."""
        ports = {name: pair for name, pair in (("tcp", tcp), ("udp", udp)) if pair is not None}
        self._say({"map": ports})

    def seen(self, address: str) -> None:
        """A friend has reached this computer at this IPv4 address: another NAT may be outside of the router."""
        self._say({"seen": address})

    def close(self) -> None:
        """Let the process remove the ports and end by itself. Returns at once."""
        self._closed = True
        with contextlib.suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()

    def wait(self, timeout_s: float) -> None:
        """Until the process has ended after `close`, or this time is over."""
        self._reader.join(timeout_s)

    def _say(self, line: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or is closed
            assert self._process.stdin
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        with self._process.stdout as lines:  # type: ignore[union-attr]  # it is a pipe
            for line in lines:
                try:
                    state = from_json(json.loads(line)["state"])
                except (ValueError, KeyError, TypeError):
                    _log.warning("the process that talks to the router says %r", line[:200])
                else:
                    _log.info("the router: %s", state)
                    self._on_state(state)
        status = self._process.wait()
        if not self._closed:
            _log.warning("the process that talks to the router has ended with %d", status)
            self._on_state(RouterState(problem=Problem.FAILED))
