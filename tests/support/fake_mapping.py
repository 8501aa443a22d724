"""Stands for the mapping at a router (phaselock/internet/router_mapping.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phaselock.internet.state import RouterState


class FakeMapping:
    """Tells these states as soon as it is opened, and others by `tell`."""

    def __init__(self, *states: RouterState) -> None:
        self._states = states
        self.tell: Callable[[RouterState], object] = lambda state: None
        self.mapped: list[dict[str, Any]] = []
        self.closed = 0
        """How often."""

    def open(self, tell: Callable[[RouterState], object]) -> FakeMapping:
        self.tell = tell
        for state in self._states:
            tell(state)
        return self

    def map(self, **ports: Any) -> None:
        self.mapped.append(ports)

    def seen(self, address: str) -> None: ...

    def close(self) -> None:
        self.closed += 1

    def wait(self, timeout_s: float) -> None: ...
