"""The child process that opens ports at the router, as its parent sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from phaselock.internet.line_process import LineProcess
from phaselock.internet.state import Problem, RouterState, from_json

_CODE = "from phaselock.internet.mapper_process import main; main()"

_log = logging.getLogger("phaselock.internet")


class RouterMapping:
    """Opens ports at the router, from `map` to `close`. For any thread."""

    def __init__(self, on_state: Callable[[RouterState], object]) -> None:
        """`on_state` is called on another thread with each change; the last call may come after `close`.
        PhaseLockError or OSError if the process does not start."""
        self._on_state = on_state
        self._closed = False
        self._process = LineProcess(_CODE, "router mapping", self._take, self._ended)

    def map(self, *, tcp: tuple[int, int] | None = None, udp: tuple[int, int] | None = None) -> None:
        """Open these ports, and close all others: each as our port and the wanted public port."""
        ports = {name: pair for name, pair in (("tcp", tcp), ("udp", udp)) if pair is not None}
        self._process.say({"map": ports})

    def seen(self, address: str) -> None:
        """A friend has reached this computer at this IPv4 address: another NAT may be outside of the router."""
        self._process.say({"seen": address})

    def close(self) -> None:
        """Let the process remove the ports and end by itself. Returns at once."""
        self._closed = True
        self._process.close()

    def wait(self, timeout_s: float) -> None:
        """Until the process has ended after `close`, or this time is over."""
        self._process.wait(timeout_s)

    def _take(self, line: dict[str, Any]) -> None:
        try:
            state = from_json(line["state"])
        except (ValueError, KeyError, TypeError):
            _log.warning("the process that talks to the router says %r", line)
        else:
            _log.info("the router: %s", state)
            self._on_state(state)

    def _ended(self) -> None:
        if not self._closed:
            _log.warning("the process that talks to the router has ended by itself")
            self._on_state(RouterState(problem=Problem.FAILED))
