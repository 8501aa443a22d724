"""A window that hosts a session and plays a song on the null output without a user.

`python -m phaselock.bench.lab.window_player SONG` writes "playing" once the song plays, and runs until it is
terminated. It makes the same calls as the window's own buttons.
"""

from __future__ import annotations

import sys

from phaselock.app.window import WindowProgram
from phaselock.session.commands import Play
from phaselock.ui.window import Window

_POLL_MS = 200


def main(song: str) -> None:
    """Show the window until it is closed."""
    program = WindowProgram("null")
    program.bind = "127.0.0.1"
    window = Window(program)

    def add() -> None:
        if program.state() is None:
            window.after(_POLL_MS, add)
            return
        program.add([song])
        play()

    def play() -> None:
        state = program.state()
        if state is None or not state.snapshot.queue:
            window.after(_POLL_MS, play)
            return
        program.command(Play())
        wait_until_playing()

    def wait_until_playing() -> None:
        state = program.state()
        if state is None or state.own is None or not state.own.playing:
            window.after(_POLL_MS, wait_until_playing)
            return
        print("playing", flush=True)

    program.host("bench", "window", 0, 0)
    add()
    window.run()


if __name__ == "__main__":
    main(sys.argv[1])
