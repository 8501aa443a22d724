"""The child process that opens ports at the router, as its parent sees it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from phaselock.errors import PhaseLockError
from phaselock.internet.line_process import LineProcess
from phaselock.internet.pcp import NONCE_BYTES
from phaselock.internet.state import Problem, RouterState, from_json

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
        self._pauses = iter(PAUSES_S)
        self._began_s = 0.0
        self._process = self._start()
        self._say({"nonce": os.urandom(NONCE_BYTES).hex()})

    def map(
        self,
        *,
        tcp: tuple[int, int] | None = None,
        udp: tuple[int, int] | None = None,
        instead: tuple[int, int] | None = None,
    ) -> None:
        """Open these ports, and close all others: each as our port and the wanted public port. `instead`: the public
        ports, TCP and UDP, that are wanted if another computer has one of these. None: any."""
        ports = {name: pair for name, pair in (("tcp", tcp), ("udp", udp)) if pair is not None}
        others = dict(zip(("tcp", "udp"), instead or (), strict=False))
        more = {"instead": {name: (ports[name][0], others[name]) for name in ports}} if others else {}
        self._say({"map": {**ports, **more}})

    def seen(self, address: str) -> None:
        """A friend has reached this computer at this IPv4 address: another NAT may be outside of the router."""
        self._say({"seen": address})

    def close(self) -> None:
        """Let the process remove the ports and end by itself. Returns at once."""
        self._closing.set()
        with self._lock:
            self._process.close()

    def wait(self, timeout_s: float) -> None:
        """Until the process has ended after `close`, or this time is over."""
        self._process.wait(timeout_s)

    def _start(self) -> LineProcess:
        self._began_s = time.monotonic()
        return LineProcess(_CODE, "router mapping", self._take, self._ended)

    def _say(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._said |= dict.fromkeys(line, line)
            self._process.say(line)

    def _take(self, line: dict[str, Any]) -> None:
        try:
            state = from_json(line["state"])
        except (ValueError, KeyError, TypeError):
            _log.warning("the process that talks to the router says %r", line)
        else:
            _log.info("the router: %s", state)
            self._on_state(state)

    def _ended(self) -> None:
        """Start the process again after a pause, on the thread of the one that has ended."""
        if self._closing.is_set():
            return
        _log.warning("the process that talks to the router has ended by itself")
        self._on_state(RouterState(problem=Problem.FAILED))
        if time.monotonic() - self._began_s >= STEADY_S:
            self._pauses = iter(PAUSES_S)
        for pause_s in self._pauses:
            self._closing.wait(pause_s)
            with self._lock:
                if self._closing.is_set():
                    return
                try:
                    process = self._start()
                except (PhaseLockError, OSError) as error:
                    _log.warning("the process that talks to the router does not start again: %s", error)
                    continue
                self._process.close()
                self._process = process
                for line in self._said.values():
                    process.say(line)
            return
