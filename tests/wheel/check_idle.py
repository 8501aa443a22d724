"""What was installed from a wheel, waiting for work: the window opens and closes, and little memory is needed."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys
import time

import pytest

BOUND_KB = 50_000
"""Of resident memory, the private part with it, of a window without a track."""
SESSION_BOUND_KB = 64_000
"""The same once a session was open: TLS takes 6,000, most of which are pages of libcrypto that programs share, and the
chat, the rules and the guests of a party 2,000."""
STATES_KB = {
    "home": BOUND_KB,
    "browsing": SESSION_BOUND_KB,
    "hosting": SESSION_BOUND_KB,
    "home after three jams": SESSION_BOUND_KB,
}
"""The bound in each of the states of bench/lab/window_states.py."""
SETTLING_S = 4.0
"""From the moment in which a window has reached its state until it is measured."""

# The window as it is, on no sound card, but that it looks at itself once it has stood for two seconds, and closes.
WINDOW = """
from phaselock.app.window import WindowProgram
from phaselock.ui.screens.home import HomeScreen
from phaselock.ui.window import Window

def look():
    button = window.screen.create
    assert isinstance(window.screen, HomeScreen) and button.winfo_viewable() and button.winfo_width() > 50
    print(open("/proc/self/smaps_rollup").read() if sys.platform == "linux" else "drawn")
    window.close()

import sys
window = Window(WindowProgram("null"))
window.report_callback_exception = lambda kind, value, trace: (window.destroy(), sys.exit(repr(value)))
window.after(2000, look)
window.run()
"""


def resident_kb(rollup: str) -> int:
    (kb,) = (int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:"))
    return kb


def environment(home: pathlib.Path) -> dict[str, str]:
    return {**os.environ, "PHASELOCK_HOME": str(home), "HOME": str(home)}


@pytest.mark.skipif(importlib.util.find_spec("_tkinter") is None, reason="this Python has no tkinter")
@pytest.mark.skipif(sys.platform == "linux" and "DISPLAY" not in os.environ, reason="there is no display")
def test_the_window_opens_is_drawn_and_closes(tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", WINDOW],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    if sys.platform == "linux":
        assert resident_kb(done.stdout) <= BOUND_KB


@pytest.mark.skipif(importlib.util.find_spec("_tkinter") is None, reason="this Python has no tkinter")
@pytest.mark.skipif(sys.platform != "linux" or "DISPLAY" not in os.environ, reason="memory is read from /proc")
def test_a_window_in_each_of_its_states_needs_little_memory(tmp_path: pathlib.Path) -> None:
    tune = pathlib.Path(importlib.util.find_spec("phaselock.data").submodule_search_locations[0]) / "tune.mp3"
    found_kb = {}
    for state in STATES_KB:
        (tmp_path / state).mkdir()
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "phaselock.bench.lab.window_states", state, tune],
            cwd=tmp_path,
            env=environment(tmp_path / state),
            stdout=subprocess.PIPE,
            text=True,
        ) as window:
            assert window.stdout and window.stdout.readline() == "ready\n", state
            time.sleep(SETTLING_S)
            found_kb[state] = resident_kb(pathlib.Path(f"/proc/{window.pid}/smaps_rollup").read_text("ascii"))
            window.terminate()
            assert window.wait(60) == 0
    print(f"window: {' / '.join(f'{kb / 1000:.1f}' for kb in found_kb.values())} MB ({', '.join(found_kb)})")
    assert all(found_kb[state] <= bound_kb for state, bound_kb in STATES_KB.items()), found_kb


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_host_that_waits_needs_little_memory(tmp_path: pathlib.Path) -> None:
    local = ["--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--json"]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "phaselock", "host", *local],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as host:
        assert host.stdin and host.stdout
        # Its output may open before it listens.
        assert any('"session"' in line for line in host.stdout)
        rollup = pathlib.Path(f"/proc/{host.pid}/smaps_rollup").read_text("ascii")
        host.communicate("quit\n", timeout=60)
    print(f"host: {resident_kb(rollup) / 1000:.1f} MB")
    assert host.returncode == 0
    assert resident_kb(rollup) <= BOUND_KB
