"""A window that hosts a session and plays a song on the null output, with nobody at the mouse.

`python -m phaselock.bench.lab.window_player SONG` writes "playing" once the song plays, and runs until
it is terminated. It makes the same calls as the window's own buttons.
"""

from __future__ import annotations

import sys

from phaselock.app.window import WindowProgram
from phaselock.session.commands import Play
from phaselock.ui.window import Window

_LOOK_MS = 200


def main(song: str) -> None:
    """Show the window until it is closed."""
    desktop = WindowProgram("null")
    desktop.bind = "127.0.0.1"
    window = Window(desktop)

    def add() -> None:
        if desktop.state() is None:
            window.after(_LOOK_MS, add)
            return
        desktop.add([song])
        play()

    def play() -> None:
        state = desktop.state()
        if state is None or not state.snapshot.queue:
            window.after(_LOOK_MS, play)
            return
        desktop.command(Play())
        listen()

    def listen() -> None:
        state = desktop.state()
        if state is None or state.own is None or not state.own.playing:
            window.after(_LOOK_MS, listen)
            return
        print("playing", flush=True)

    desktop.host("bench", "window", 0, 0)
    add()
    window.run()


if __name__ == "__main__":
    main(sys.argv[1])
