from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

SINK = "load-module module-null-sink norewinds=1 rate=44100 sink_properties=device.description=TestSink\n"


class PulseServer:
    """A PulseAudio of our own with one null sink, told to clients by PULSE_SERVER."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.socket = folder / "native"
        protocol = f"load-module module-native-protocol-unix socket={self.socket} auth-anonymous=1\n"
        (folder / "script").write_text(SINK + protocol)
        environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        command = ["pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "-n", "-F", str(folder / "script")]
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.skip("PulseAudio does not start here")
            time.sleep(0.01)

    def freeze(self) -> None:
        """From now on it answers nobody, and nobody is told."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def pulse(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    if shutil.which("pulseaudio") is None:
        pytest.skip("PulseAudio is not installed")
    server = PulseServer(tmp_path)
    monkeypatch.setenv("PULSE_SERVER", f"unix:{server.socket}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield server
    server.kill()


class JackServer:
    """A JACK of our own on its dummy driver: 48 kHz, periods of 256 frames, two of them in the card."""

    def __init__(self, name: str) -> None:
        command = ["jackd", "--no-realtime", "--name", name, "-d", "dummy", "-r", "48000", "-p", "256"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name := f"phaselock-test-{os.getpid()}")
    server = JackServer(name)
    yield server
    server.kill()
