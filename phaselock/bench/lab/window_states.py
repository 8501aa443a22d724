"""A window that goes to one of its states without a user, on the null output.

`python -m phaselock.bench.lab.window_states STATE SONG` writes "ready" in that state, and runs until it is terminated.
It makes the same calls as the window's own buttons. The song must play for some seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from phaselock.app.window import WindowProgram
from phaselock.session.commands import Play
from phaselock.ui.screens.home import HomeScreen
from phaselock.ui.window import Window

STATES = ("home", "browsing", "hosting", "playing", "home after three jams")
JAMS = 3
_POLL_MS = 50
_JAM_MS = 1000
"""How long each of the jams plays that are over in the last state."""


def main(state: str, song: str) -> None:
    """Go to one of STATES, and show the window until it is closed."""
    program = WindowProgram("null")
    program.bind = "127.0.0.1"
    window = Window(program)
    steps = _steps(window, program, state, song)

    def go_on() -> None:
        wait_ms = next(steps, None)
        if wait_ms is None:
            print("ready", flush=True)
        else:
            window.after(wait_ms, go_on)

    go_on()
    window.run()


def _steps(window: Window, program: WindowProgram, state: str, song: str) -> Iterator[int]:
    """The way to the state; each value is a time to wait, in ms."""
    match state:
        case "home":
            window.update()
        case "browsing":
            window.go_browse()
        case "hosting":
            yield from _host(program)
        case "playing":
            yield from _host(program)
            yield from _play(program, song)
        case "home after three jams":
            for _ in range(JAMS):
                yield from _host(program)
                yield from _play(program, song)
                yield _JAM_MS
                program.leave()
                while not isinstance(window.screen, HomeScreen):
                    yield _POLL_MS
        case _:
            raise ValueError(f"there is no state {state!r}")


def _host(program: WindowProgram) -> Iterator[int]:
    program.host("bench", "window", 0, 0)
    while program.state() is None:
        yield _POLL_MS


def _play(program: WindowProgram, song: str) -> Iterator[int]:
    program.add([song])
    while (state := program.state()) is None or not state.snapshot.queue:
        yield _POLL_MS
    program.command(Play())
    while (state := program.state()) is None or state.own is None or not state.own.playing:
        yield _POLL_MS


if __name__ == "__main__":
    main(*sys.argv[1:])
