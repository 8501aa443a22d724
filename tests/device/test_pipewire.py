from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device, list_outputs
from phaselock.errors import AudioDeviceError

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(sys.platform != "linux", reason="PipeWire is Linux's"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("pipewire", "wireplumber", "dbus-daemon"))), reason="PipeWire is not installed"
    ),
]

SINK = """
context.properties = { support.dbus = false log.level = 0 }
context.objects = [
    { factory = spa-node-factory args = {
        factory.name = support.node.driver node.name = Dummy-Driver node.group = pipewire.dummy priority.driver = 20000
    } }
    { factory = adapter args = {
        factory.name = support.null-audio-sink node.name = testsink node.description = "Test sink"
        media.class = Audio/Sink audio.position = "FL,FR" object.linger = true
    } }
]
"""


class PipeWireServer:
    """A PipeWire of our own with one null sink, and the session manager that links streams to it."""

    def __init__(self, folder: pathlib.Path) -> None:
        (folder / "pipewire" / "pipewire.conf.d").mkdir(parents=True)
        (folder / "pipewire" / "pipewire.conf.d" / "test.conf").write_text(SINK)
        names = "HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "PIPEWIRE_RUNTIME_DIR"
        environment = os.environ | dict.fromkeys(names, str(folder))
        bus = environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={folder}/bus"
        self._processes = []
        for command, socket in (
            (["dbus-daemon", "--session", "--nofork", f"--address={bus}"], "bus"),
            (["pipewire"], "pipewire-0"),
            (["wireplumber"], "pipewire-0"),
        ):
            self._processes.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            until((folder / socket).exists)

    def kill(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


def until(true: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireServer]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PIPEWIRE_RUNTIME_DIR", str(tmp_path))
    one = PipeWireServer(tmp_path)
    yield one
    one.kill()


@pytest.fixture
def engine() -> _native.Engine:
    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    return _native.Engine(_native.ClockLine(identity=True))


def test_a_stream_plays_and_tells_when_its_frames_leave(server: PipeWireServer, engine: _native.Engine) -> None:
    device = Device(engine, "phaselock-test", "auto")
    try:
        info = device.open()
        assert (info.name, info.backend, info.rate_hz, info.channels) == ("Test sink", "pipewire", 48000, 2)
        engine.stream(info.rate_hz, device.account())
        device.start()
        until(lambda: engine.status().device_frames > 2 * info.rate_hz)
        assert device.is_running()
        assert device.timing() == "exact"
        assert device.output_latency_ns() == 0
        found = device.priority()
        assert found is not None and found.level == _native.thread_priority(engine.thread()) != "unknown"
        assert abs(engine.status().lead_ns) < 50_000_000  # a null sink plays what it takes, at once
        server.kill()
        until(lambda: not device.is_running())
    finally:
        assert device.close()


def test_outputs_are_listed_and_found_by_name(server: PipeWireServer, engine: _native.Engine) -> None:
    assert ("pipewire", "Test sink", True) in list_outputs()
    device = Device(engine, "phaselock-test", "pipewire", "Test sink")
    try:
        assert device.open().name == "Test sink"
    finally:
        assert device.close()
    refused(engine, "Nonesuch", r"^No audio output is named Nonesuch\.$")


def test_no_daemon(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, engine: _native.Engine) -> None:
    monkeypatch.setenv("PIPEWIRE_RUNTIME_DIR", str(tmp_path))
    refused(engine, None, r"^The audio backend is not available \(pipewire: not running\)\.$")


def refused(engine: _native.Engine, name: str | None, message: str) -> None:
    device = Device(engine, "phaselock-test", "pipewire", name)
    try:
        with pytest.raises(AudioDeviceError, match=message):
            device.open()
    finally:
        device.close()
