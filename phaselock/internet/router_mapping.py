"""The child process that opens ports at the router, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from phaselock.errors import PhaseLockError
from phaselock.internet.pcp import NONCE_BYTES
from phaselock.internet.state import Problem, RouterState, from_json
from phaselock.python_process import environment, python_command

_CODE = "from phaselock.internet.mapper_process import main; main()"

PAUSES_S = (1.0, 5.0, 25.0)
"""Before each new start of a process that ended by itself. After the last one it is not started again."""
STEADY_S = 600.0
"""After a process has run for this time, they begin with the first one."""

_log = logging.getLogger("phaselock.internet")


class RouterMapping:
    """Opens ports at the router, from `map` to `close`. For any thread."""

    def __init__(self, on_state: Callable[[RouterState], object]) -> None:
        """`on_state` is called on another thread with each change; the last call may come after `close`. While a
        process that ended by itself is not started again, the problem is FAILED. PhaseLockError or OSError if the
        process does not start at first."""
        self._on_state = on_state
        self._lock = threading.Lock()
        """Of the process and what it is told: the process may change on another thread."""
        self._said: dict[str, dict[str, Any]] = {}
        """The last line of each kind, for a process that is started again."""
        self._closing = threading.Event()
        self._process = self._start()
        self._say({"nonce": os.urandom(NONCE_BYTES).hex()})
        self._reader = threading.Thread(target=self._run, name="router mapping", daemon=True)
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
        with self._lock:
            self._closing.set()
            with contextlib.suppress(OSError):
                assert self._process.stdin
                self._process.stdin.close()

    def wait(self, timeout_s: float) -> None:
        """Until the process has ended after `close`, or this time is over."""
        self._reader.join(timeout_s)

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW
        return subprocess.Popen(
            python_command("-P", "-c", _CODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            creationflags=flags,
            start_new_session=True,  # Ctrl+C and a closed terminal end the host, and the end of its input this process
        )

    def _say(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._said |= dict.fromkeys(line, line)
            self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or is closed
            assert self._process.stdin
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()

    def _run(self) -> None:
        """The thread that reads, and starts the process again."""
        pauses = iter(PAUSES_S)
        while True:
            began_s = time.monotonic()
            self._read()
            status = self._process.wait()
            if self._closing.is_set():
                return
            _log.warning("the process that talks to the router has ended with %d", status)
            self._on_state(RouterState(problem=Problem.FAILED))
            if time.monotonic() - began_s >= STEADY_S:
                pauses = iter(PAUSES_S)
            if not self._restart(pauses):
                return

    def _restart(self, pauses: Iterator[float]) -> bool:
        """Start the process again after the next pause. False if it is closed or there are no more pauses."""
        for pause_s in pauses:
            self._closing.wait(pause_s)
            with self._lock:
                if self._closing.is_set():
                    return False
                try:
                    process = self._start()
                except (PhaseLockError, OSError) as error:
                    _log.warning("the process that talks to the router does not start again: %s", error)
                    continue
                with contextlib.suppress(OSError):
                    assert self._process.stdin
                    self._process.stdin.close()
                self._process = process
                for line in self._said.values():
                    self._write(line)
                return True
        return False

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
