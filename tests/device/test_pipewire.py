from __future__ import annotations

import pathlib
import shutil
import sys

import pytest

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device, ListedOutput, list_outputs
from phaselock.audio.link import LINK_TIMINGS
from phaselock.errors import AudioDeviceError
from tests.device.conftest import alsa_default
from tests.support.sound_servers import PipeWireServer, until

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(sys.platform != "linux", reason="PipeWire is Linux's"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("pipewire", "wireplumber", "dbus-daemon"))), reason="PipeWire is not installed"
    ),
]


@pytest.fixture
def engine() -> _native.Engine:
    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    return _native.Engine(_native.ClockMap(identity=True))


def test_a_stream_plays_and_reports_when_its_frames_leave(server: PipeWireServer, engine: _native.Engine) -> None:
    device = Device(engine, "phaselock-test", "auto")
    try:
        info = device.open()
        assert (info.name, info.backend, info.rate_hz, info.channels) == ("Test sink", "pipewire", 48000, 2)
        engine.stream(info.rate_hz, device.account())
        device.start()
        until(lambda: engine.status().device_frames > info.rate_hz)
        assert device.is_running()
        assert device.timing() == "exact"
        assert device.output_latency_ns() == 0
        found = device.priority()
        assert found is not None and found.level == _native.thread_priority(engine.thread()) != "unknown"
        assert abs(engine.status().lead_ns) < 50_000_000  # a null sink plays its data at once
        server.kill()
        until(lambda: not device.is_running())
    finally:
        assert device.close()


def test_outputs_are_listed_and_found_by_name(server: PipeWireServer, engine: _native.Engine) -> None:
    found = list_outputs()
    assert ListedOutput("pipewire", "Test sink", True, "exact", "wire") in found
    assert ListedOutput("pipewire", "Television", False, "told", "hdmi") in found
    device = Device(engine, "phaselock-test", "pipewire", "Test sink")
    try:
        assert device.open().name == "Test sink"
        assert (device.timing(), device.unreported_ns()) == ("exact", 0)
    finally:
        assert device.close()
    device = Device(engine, "phaselock-test", "pipewire", "Television")
    try:
        assert device.open().name == "Television"
        assert (device.timing(), device.unreported_ns()) == ("told", LINK_TIMINGS["hdmi"][1])
    finally:
        assert device.close()
    refused(engine, "Nonesuch", r"^No audio output is named Nonesuch\.$")


def test_a_stream_that_is_moved_knows_where_it_plays(server: PipeWireServer, engine: _native.Engine) -> None:
    device = Device(engine, "phaselock-test", "pipewire")
    try:
        engine.stream(device.open().rate_hz, device.account())
        device.start()
        until(lambda: engine.status().device_frames > 0)
        assert (device.plays_on(), device.timing()) == ("Test sink", "exact")
        server.make_default("alsa_output.test.hdmi-stereo")
        until(lambda: device.plays_on() == "Television")
        assert device.timing() == "told"
        server.move("phaselock-test", "testsink")
        until(lambda: device.plays_on() == "Test sink")
        assert device.is_running()
    finally:
        assert device.close()


@pytest.mark.skipif(shutil.which("pipewire-pulse") is None, reason="pipewire-pulse is not installed")
def test_pipewire_by_the_protocol_of_pulseaudio_does_not_tell_its_delay(
    server: PipeWireServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, engine: _native.Engine
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/pulse/native")
    server.run(["pipewire-pulse"], (tmp_path / "pulse" / "native").exists)
    until(lambda: ListedOutput("pulseaudio", "Test sink", True, "unknown", "server") in list_outputs())
    device = Device(engine, "phaselock-test", "pulseaudio")
    try:
        device.open()
        assert (device.timing(), device.unreported_ns()) == ("unknown", None)
    finally:
        assert device.close()


def test_pipewire_behind_alsa_does_not_tell_its_delay(
    server: PipeWireServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, engine: _native.Engine
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", alsa_default(tmp_path, "pipewire"))
    device = Device(engine, "phaselock-test", "alsa")
    try:
        device.open()
        assert (device.timing(), device.unreported_ns()) == ("unknown", None)
    finally:
        assert device.close()


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
