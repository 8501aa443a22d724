"""The line of input on a pseudo-terminal, with a real host."""

from __future__ import annotations

import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import struct
import termios

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
TIMEOUT_S = 60.0


class Typist:
    """A host on a pseudo-terminal of 80 columns: what it wrote so far, and keys for it."""

    def __init__(self, home: pathlib.Path, **environment: str) -> None:
        self.terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [sys.executable, "-m", "phaselock", "host", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"]
        self.process = subprocess.Popen(
            [*command, "--backend", "null", "--unlisted", "--as", "Host"],
            cwd=ROOT,
            env={**os.environ, "PHASELOCK_HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8", **environment},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.written = ""

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def wait_for(self, pattern: str) -> str:
        """Wait until the pattern was written after what the last call found."""
        until = time.monotonic() + TIMEOUT_S
        while not (found := re.search(pattern, self.written)):
            assert time.monotonic() < until, f"no {pattern!r} in {self.written!r}"
            if select.select([self.terminal], [], [], 1.0)[0]:
                self.written += os.read(self.terminal, 65536).decode(errors="replace")
        self.written = self.written[found.end() :]
        return found[0]

    def end(self) -> int:
        while True:  # the program waits for a terminal that is not read
            try:
                if select.select([self.terminal], [], [], 0.1)[0] and not os.read(self.terminal, 65536):
                    break
            except OSError:
                break
        return self.process.wait(TIMEOUT_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def typist(tmp_path: pathlib.Path) -> Iterator[Typist]:
    typist = Typist(tmp_path)
    yield typist
    typist.close()


def test_typing_survives_the_status_line(typist: Typist, tmp_path: pathlib.Path) -> None:
    typist.wait_for("is open")
    typist.wait_for("Type play to begin, or help for all commands.")
    typist.wait_for("stopped  0 peers")
    typist.type("volu")
    typist.wait_for("volu")
    typist.type("\t5")
    typist.wait_for("me 5")
    typist.type("0\r")
    typist.wait_for("> volume 50")
    typist.wait_for(r"Volume 50 %\.")
    typist.type("\x1b[A\r")  # the arrow key up
    typist.wait_for(r"Volume 50 %\.")
    typist.wait_for("0 peers")  # the line of input is drawn again: before that, the terminal takes Ctrl-D
    typist.type("\x04")
    typist.wait_for("To end the jam for everybody, type quit.")
    typist.type("half\x03")
    typist.type("plya\rexit\r")
    typist.wait_for("Did you mean play")
    typist.wait_for("Session ended")
    assert typist.end() == 0
    kept = tmp_path / "data" / "typed_lines"
    assert kept.read_text().splitlines() == ["volume 50", "plya", "exit"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_an_interrupt_says_goodbye_and_restores_the_terminal(typist: Typist) -> None:
    before = termios.tcgetattr(typist.terminal)[3]
    typist.wait_for("stopped  0 peers")
    assert termios.tcgetattr(typist.terminal)[3] != before
    typist.type("\x03")
    typist.wait_for("Session ended")
    assert termios.tcgetattr(typist.terminal)[3] == before or typist.end() == 0
    assert typist.end() == 0


def test_a_dumb_terminal_reads_line_by_line(tmp_path: pathlib.Path) -> None:
    typist = Typist(tmp_path, TERM="dumb")
    typist.wait_for("is open")
    typist.type("volume 40\n")
    typist.wait_for(r"Volume 40 %\.")
    assert "\x1b" not in typist.written
    typist.process.send_signal(signal.SIGTERM)
    assert typist.end() == 0
    typist.close()


def test_a_terminal_that_goes_away_is_no_bug(tmp_path: pathlib.Path) -> None:
    typist = Typist(tmp_path)
    try:
        typist.wait_for("stopped  0 peers")
        os.close(typist.terminal)
        typist.terminal = os.open(os.devnull, os.O_RDONLY)
        typist.process.send_signal(signal.SIGTERM)
        typist.process.wait(TIMEOUT_S)
        (log,) = tmp_path.rglob("phaselock.log")
        assert "phaselock.bugs" not in log.read_text("utf-8")
    finally:
        typist.close()
