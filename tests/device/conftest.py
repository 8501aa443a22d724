from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.sound_servers import PipeWireServer, PulseServer

PIPEWIRE_SINKS = (
    'node.name = testsink node.description = "Test sink" priority.driver = 2000 priority.session = 2000',
    "node.name = alsa_output.test.hdmi-stereo node.description = Television priority.driver = 9 priority.session = 9",
)


@pytest.fixture
def pulse(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    if shutil.which("pulseaudio") is None:
        pytest.skip("PulseAudio is not installed")
    server = PulseServer(tmp_path, ["norewinds=1 rate=44100 sink_properties=device.description=TestSink"])
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    yield server
    server.kill()


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireServer]:
    one = PipeWireServer(tmp_path, PIPEWIRE_SINKS)
    for name, value in one.variables.items():
        monkeypatch.setenv(name, value)
    yield one
    one.kill()


def alsa_default(folder: pathlib.Path, server: str) -> str:
    """Path of an ALSA configuration whose "default" is the plugin of a sound server."""
    plugins = list(pathlib.Path("/usr/lib").glob(f"*/alsa-lib/libasound_module_pcm_{server}.so"))
    if not plugins:
        pytest.skip(f"the plugin of {server} for ALSA is not installed")
    (folder / "asound.conf").write_text(
        f'pcm_type.{server} {{ lib "{plugins[0]}" }}\n'
        f'pcm.!default {{ type plug slave.pcm {{ type {server} }} hint {{ show on description "Default" }} }}\n'
    )
    return str(folder / "asound.conf")


class JackServer:
    """A private JACK server with the dummy driver: 48 kHz, two periods of 256 frames."""

    def __init__(self, name: str) -> None:
        self._command = ["jackd", "--no-realtime", "--name", name, "-d", "dummy", "-r", "48000", "-p", "256"]
        self._killed = False
        if not self._start():
            pytest.skip("JACK does not start here")

    def _start(self) -> bool:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                return False
            time.sleep(0.05)
        return True

    @staticmethod
    def _answers() -> bool:
        return subprocess.run(["jack_lsp"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        self._killed = True

    def end(self) -> None:
        """End it normally: JACK has a table of eight servers, and a killed server stays in it."""
        if self._killed and not self._start():
            return
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    if shutil.which("jackd") is None or shutil.which("jack_lsp") is None:
        pytest.skip("jackd and jack_lsp are not installed")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name := f"phaselock-test-{os.getpid()}")
    server = JackServer(name)
    yield server
    server.end()
