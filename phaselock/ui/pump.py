"""The clock of the window: up to 25 times a second it delivers events, the newest view and the session time."""

from __future__ import annotations

import dataclasses
import gc
import time
import tkinter
from typing import Protocol

from phaselock.ui.backend import BackendEvent, Program, SessionView
from phaselock.ui.viewmodel.sync import sounding

TICK_MS = 40
CALM_TICK_MS = 100
"""Between two ticks while nothing moves but the time of a song, and for ALERT_S after a key or a button was pressed."""
IDLE_TICK_MS = 400
"""The same otherwise: without a session, and while it is silent. Each tick wakes the processor five times."""
ALERT_S = 3.0
STATE_AGAIN_S = 1.0
"""A view that says nothing new is delivered again after this time."""
MAX_EVENTS_S = 0.004
"""Time limit for the events of one tick; the rest waits for the next tick."""


class Listener(Protocol):
    """What the pump calls: the window."""

    def on_event(self, event: BackendEvent) -> None: ...

    def on_state(self, state: SessionView | None) -> None: ...

    def tick(self, session_ns: int | None) -> None: ...

    def moves(self) -> bool:
        """Whether something on the screen moves with each tick."""


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
        self._state_again_s = 0.0
        self._alert_until_s = 0.0
        self._after: str | None = None
        self._command = ""
        """The Tcl command of the ticks. tkinter's `after` makes one for each call."""
        self._stopped = False

    def start(self) -> None:
        """Make the first tick now."""
        gc.disable()
        self._command = self._root.register(self._tick)
        for pressed in ("<KeyPress>", "<ButtonPress>"):
            self._root.bind_all(pressed, self._alert, add="+")
        self._tick()

    def stop(self) -> None:
        """Cancel the next tick."""
        self._stopped = True
        self._cancel()

    def _tick(self) -> None:
        self._after = None
        try:
            self._deliver()
            _collect()
        finally:
            if not self._stopped:
                self._tick_after(self._wait_ms())

    def _tick_after(self, wait_ms: int) -> None:
        self._after = str(self._root.tk.call("after", wait_ms, self._command))

    def _cancel(self) -> None:
        if self._after is not None:
            self._root.tk.call("after", "cancel", self._after)
            self._after = None

    def _alert(self, _event: object) -> None:
        """Show soon what follows from what the user has pressed. During a tick, which may wait for an answer of the
        user, there is no next one to bring forward."""
        now_s = time.perf_counter()
        if now_s >= self._alert_until_s and self._after is not None:
            self._cancel()
            self._tick_after(CALM_TICK_MS)
        self._alert_until_s = now_s + ALERT_S

    def _wait_ms(self) -> int:
        if self._state is not None and self._listener.moves():
            return TICK_MS
        sounds = self._state is not None and sounding(self._state.snapshot)
        return CALM_TICK_MS if sounds or time.perf_counter() < self._alert_until_s else IDLE_TICK_MS

    def _deliver(self) -> None:
        until_s = time.perf_counter() + MAX_EVENTS_S
        while time.perf_counter() < until_s and (event := self._program.events(1)):  # one: an exception loses only it
            self._listener.on_event(*event)
            if self._stopped:
                return
        state, before = self._program.state(), self._state
        if state is not before:
            self._state = state
            if not _says_the_same(state, before) or time.perf_counter() >= self._state_again_s:
                self._state_again_s = time.perf_counter() + STATE_AGAIN_S
                self._listener.on_state(state)
        if state is not None:
            self._listener.tick(self._program.session_ns())


def _says_the_same(state: SessionView | None, before: SessionView | None) -> bool:
    """The views differ in the clock at most, which `tick` takes from the newest one."""
    return state is not None and before is not None and dataclasses.replace(state, clock=before.clock) == before


def _collect() -> None:
    """Collect the generations that automatic collection would have collected."""
    for generation, (count, limit) in reversed([*enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True))]):
        if count > limit > 0:
            gc.collect(generation)
            return
