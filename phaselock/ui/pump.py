"""The clock of the window: about 30 times a second it delivers events, the newest view and the session time."""

from __future__ import annotations

import gc
import time
import tkinter
from typing import Protocol

from phaselock.ui.backend import BackendEvent, Program, SessionView

TICK_MS = 33
IDLE_TICK_MS = 200
"""Between two ticks while no session is open: nothing moves."""
MAX_EVENTS_S = 0.004
"""Time limit for the events of one tick; the rest waits for the next tick."""


class Listener(Protocol):
    """What the pump calls: the window."""

    def on_event(self, event: BackendEvent) -> None: ...

    def on_state(self, state: SessionView | None) -> None: ...

    def tick(self, session_ns: int | None) -> None: ...


class Pump:
    """Calls the listener on the GUI thread until `stop`. A tick that fails still schedules the next one.

    From `start` on only the pump collects garbage. If another thread collected a Tk image, it would wait for the GUI
    thread to delete it: a deadlock if the GUI thread waits for that thread to end.
    """

    def __init__(self, root: tkinter.Misc, program: Program, listener: Listener) -> None:
        self._root = root
        self._program = program
        self._listener = listener
        self._state: SessionView | None = None
        self._after: str | None = None
        self._stopped = False

    def start(self) -> None:
        """Make the first tick now."""
        gc.disable()
        self._tick()

    def stop(self) -> None:
        """Cancel the next tick."""
        self._stopped = True
        if self._after is not None:
            self._root.after_cancel(self._after)
            self._after = None

    def _tick(self) -> None:
        try:
            self._deliver()
            _collect()
        finally:
            if not self._stopped:
                busy = self._state is not None
                self._after = self._root.after(TICK_MS if busy else IDLE_TICK_MS, self._tick)

    def _deliver(self) -> None:
        until_s = time.perf_counter() + MAX_EVENTS_S
        while time.perf_counter() < until_s and (event := self._program.events(1)):  # one: an exception loses only it
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
    """Collect the generations that automatic collection would have collected."""
    for generation, (count, limit) in reversed([*enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True))]):
        if count > limit > 0:
            gc.collect(generation)
            return
