"""The heartbeat of the window: about 30 times a second it takes what the program has left, within a time budget."""

from __future__ import annotations

import gc
import time
import tkinter
from typing import Protocol

from phaselock.ui.backend import BackendEvent, Program, SessionView

EVERY_MS = 33
IDLE_MS = 200
"""Without a session there is nothing to move."""
BUDGET_S = 0.004


class Listener(Protocol):
    """The window."""

    def on_event(self, event: BackendEvent) -> None: ...

    def on_state(self, state: SessionView | None) -> None: ...

    def tick(self, session_ns: int | None) -> None: ...


class Pump:
    """Calls the listener on the GUI thread until `stop`; every tick puts the next one in place, whatever happens.

    From `start` on garbage is collected here alone. An image that another thread came upon would have it wait for this
    one, and both for ever when this one waits for the other to end.
    """

    def __init__(self, root: tkinter.Misc, program: Program, listener: Listener) -> None:
        self._root = root
        self._program = program
        self._listener = listener
        self._state: SessionView | None = None
        self._after: str | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin."""
        gc.disable()
        self._tick()

    def stop(self) -> None:
        """No tick any more."""
        self._stopped = True
        if self._after is not None:
            self._root.after_cancel(self._after)
            self._after = None

    def _tick(self) -> None:
        try:
            self._take()
            _collect()
        finally:
            if not self._stopped:
                busy = self._state is not None
                self._after = self._root.after(EVERY_MS if busy else IDLE_MS, self._tick)

    def _take(self) -> None:
        until_s = time.perf_counter() + BUDGET_S
        while time.perf_counter() < until_s and (event := self._program.events(1)):  # one: a failure loses no other
            self._listener.on_event(*event)
            if self._stopped:
                return
        state = self._program.state()
        if state is not self._state:
            self._state = state
            self._listener.on_state(state)
        if state is not None:
            self._listener.tick(self._program.session_ns())


def _collect() -> None:
    """What the collector would do by itself by now."""
    for generation, (count, limit) in reversed([*enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True))]):
        if count > limit > 0:
            gc.collect(generation)
            return
