"""A hosting window that the system ends: a real process says goodbye and saves what it has."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from phaselock.console.interrupts import interrupts
from phaselock.storage.paths import log_path, settings_path
from tests.support.programs import Program
from tests.support.window_driver import Remote

pytestmark = [pytest.mark.gui, pytest.mark.slow]
pytest.importorskip("tkinter", reason="Python was built without tkinter")


@pytest.fixture
def own_display(display: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An X server for one window, which the test may end."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("no Xvfb")
    read, write = os.pipe()
    with subprocess.Popen(
        [server, "-displayfd", str(write), "-nolisten", "tcp"], pass_fds=[write], stderr=subprocess.DEVNULL
    ) as process:
        os.close(write)
        with os.fdopen(read) as told:
            monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to another process")
@pytest.mark.parametrize(
    "how",
    ["SIGTERM", *(pytest.param(how, marks=pytest.mark.slow) for how in ("SIGINT", "SIGHUP", "log_out", "display"))],
)
def test_a_hosting_window_that_is_ended_says_goodbye(
    own_display: subprocess.Popen[bytes], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "SIGHUP" and signal.SIGHUP not in interrupts():
        pytest.skip("nohup started the tests")
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    monkeypatch.setenv("PHASELOCK_LOG", "DEBUG")
    window = Remote(tmp_path)
    peer: Program | None = None
    try:
        window.do("host", "Friday", "Hana", 0, 0)
        window.wait_for("screen", "HostScreen")
        options = ("--backend", "null", "--as", "Ana", "--never-host")
        peer = Program("join", window.do("address"), *options, home=tmp_path / "ana")
        peer.wait_for("joined")
        if how == "log_out":
            window.do(how)
        elif how == "display":
            own_display.terminate()
        else:
            window.process.send_signal(getattr(signal, how))
        assert peer.wait_for("session_end")["reason"] == "Session ended."
        status, left, errors = window.end()
        assert (status, left, errors) == ((1, "", "") if how == "display" else (0, "[]", ""))
        assert peer.end() == (0, "")
    finally:
        window.kill()
        if peer is not None:
            peer.close()
    lines = log_path().read_text("utf-8").splitlines()
    (created,) = [line for line in lines if "session 'Friday' of 'Hana' is open at 127.0.0.1" in line]
    assert " INFO " in created and ", TCP port " in created and ", UDP port " in created
    assert any(" DEBUG phaselock.session" in line and "connection 1 from 127.0.0.1" in line for line in lines)
    assert any(" DEBUG phaselock.clock" in line and "pings answered=" in line for line in lines)
    assert any(line.endswith("over: Session ended.") for line in lines[-4:])
    if how != "display":  # then the X server cannot tell the place of the window
        assert "x" in json.loads(settings_path().read_text("utf-8"))["ui"]["geometry"]
