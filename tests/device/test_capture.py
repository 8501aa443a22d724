"""Recording from a real sound server."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from phaselock.audio import microphone
from phaselock.audio.listening import is_silent
from phaselock.bench.lab import capture
from phaselock.errors import AudioDeviceError
from phaselock.model.microphone import MicrophoneFault
from tests.support.sound_servers import PipeWireServer, PulseServer, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.device,
    pytest.mark.skipif(sys.platform != "linux", reason="the backends are Linux's"),
]


RATE_HZ = 44100
TONES_HZ = (1000, 1500)


@pytest.fixture
def tones(pulse: PulseServer, tmp_path: pathlib.Path) -> Iterator[None]:
    """The sink plays a different tone on each channel."""
    if shutil.which("paplay") is None:
        pytest.skip("paplay is not installed")
    turns = 2 * np.pi * np.arange(60 * RATE_HZ)[:, None] * np.array(TONES_HZ) / RATE_HZ
    with wave.open(str(tmp_path / "tones.wav"), "wb") as file:
        file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((np.sin(turns) * 2**14).astype("<i2").tobytes())
    player = subprocess.Popen(["paplay", str(tmp_path / "tones.wav")])
    yield
    player.kill()
    player.wait()


def test_an_input_is_recorded(tones: None) -> None:
    microphone.check(2, "Monitor of TestSink")
    until = time.monotonic() + 30
    while not capture.record(0.1, 2, "Monitor of TestSink").frames.any():
        assert time.monotonic() < until
    told: list[float] = []
    heard = capture.record(0.3, 2, "Monitor of TestSink", told.append)
    assert heard.rate_hz == RATE_HZ
    assert heard.frames.shape == (13230, 2)
    assert told[-1] == 0.3
    loudest = np.abs(np.fft.rfft(heard.frames, axis=0)).argmax(axis=0)
    assert (loudest * RATE_HZ / len(heard.frames)).tolist() == pytest.approx(TONES_HZ)
    assert np.abs(heard.frames).max() == pytest.approx(0.5, abs=0.01)


def test_the_default_input_needs_no_name(pulse: PulseServer) -> None:
    heard = capture.record(0.1, 1)
    assert heard.frames.shape == (4410, 1)
    assert heard.frames.dtype == np.float32


def test_a_missing_input_is_reported_with_the_existing_ones(pulse: PulseServer) -> None:
    with pytest.raises(AudioDeviceError, match=r'^No sound input is named "Mic"\. There are: "Monitor of TestSink"\.$'):
        capture.record(0.1, 1, "Mic")


@pytest.mark.skipif(any(pathlib.Path("/dev/snd").glob("pcm*c")), reason="there is a card without a server")
def test_without_a_sound_server_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/native")
    with pytest.raises(AudioDeviceError, match=r"^No sound system is running here that could be recorded\.$"):
        capture.record(0.1, 1)


@pytest.fixture
def is_lost_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """For recordings that are lost in the test: it cannot be judged too early."""
    monkeypatch.setattr(microphone, "_TIMEOUT_S", 0.3)


def fault_of_a_recording(input_name: str | None, then: Callable[[], object] = lambda: None) -> MicrophoneFault:
    """Why a long recording ends early. `then` happens as soon as it has delivered a block."""
    delivered = threading.Event()

    def disturb() -> None:
        if delivered.wait(20):
            then()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        with pytest.raises(microphone.MicrophoneError) as caught:
            microphone.record(60, 1, input_name, on_block=lambda *_: delivered.set())
    finally:
        delivered.set()
        thread.join()
    return caught.value.fault


@pytest.fixture
def usb(pulse: PulseServer) -> str:
    """The module of a source called USB, which is not the default one."""
    return pulse.ask("pactl", "load-module", "module-null-source", "description=USB").strip()


@pytest.mark.usefixtures("is_lost_soon")
def test_a_microphone_that_is_unplugged_is_lost(pulse: PulseServer, usb: str) -> None:
    assert "USB" in microphone.list_inputs()
    assert fault_of_a_recording("USB", lambda: pulse.ask("pactl", "unload-module", usb)) is MicrophoneFault.LOST
    assert fault_of_a_recording("USB") is MicrophoneFault.NOT_THERE


@pytest.mark.usefixtures("is_lost_soon")
def test_a_server_that_ends_loses_the_microphone(pulse: PulseServer) -> None:
    assert fault_of_a_recording(None, pulse.kill) is MicrophoneFault.LOST
    if not any(pathlib.Path("/dev/snd").glob("pcm*c")):
        assert fault_of_a_recording(None) is MicrophoneFault.NO_SYSTEM


@pytest.mark.usefixtures("is_lost_soon")
def test_a_server_that_hangs_loses_the_microphone(pulse: PulseServer, monkeypatch: pytest.MonkeyPatch) -> None:

    def freeze() -> None:
        monkeypatch.setattr(microphone, "_TIMEOUT_CALL_S", 0.2)
        pulse.freeze()

    try:
        assert fault_of_a_recording(None, freeze) is MicrophoneFault.LOST
        with pytest.raises(AudioDeviceError, match=r"^The sound system does not answer\.$"):
            microphone.record(1, 1)
    finally:
        pulse.thaw()
    for thread in threading.enumerate():
        if thread.name == "audio device":
            thread.join(30)  # miniaudio may wait without end if the server ends in the middle of a call
    assert pulse.ask("pactl", "list", "short", "source-outputs") == "", "the microphone stays open"


def test_a_monitor_is_no_microphone(pulse: PulseServer) -> None:
    assert microphone.list_inputs() == []
    with pytest.raises(microphone.MicrophoneError) as caught:
        microphone.record(1, 1, monitors=False)
    assert caught.value.fault is MicrophoneFault.NONE
    pulse.ask("pactl", "load-module", "module-null-source", "description=USB")
    pulse.ask("pactl", "set-default-source", pulse.ask("pactl", "get-default-sink").strip() + ".monitor")
    assert microphone.list_inputs() == ["USB"]
    assert microphone.record(0.1, 1, monitors=False).rate_hz == 44100
    assert microphone.record(0.1, 1, "Monitor of TestSink", monitors=False).rate_hz == 44100


def test_a_muted_microphone_delivers_silence(pulse: PulseServer, usb: str) -> None:
    pulse.ask("pactl", "set-source-mute", "source.null", "1")
    assert is_silent(microphone.record(0.3, 1, "USB").frames)


@pytest.fixture
def pipewire(server: PipeWireServer, monkeypatch: pytest.MonkeyPatch) -> PipeWireServer:
    for name, value in server.speak_pulseaudio().items():
        monkeypatch.setenv(name, value)
    return server


def test_a_source_of_pipewire_is_recorded(pipewire: PipeWireServer, tmp_path: pathlib.Path) -> None:
    turns = 2 * np.pi * np.arange(60 * 48000)[:, None] * np.array(TONES_HZ) / 48000
    with wave.open(str(tmp_path / "tones.wav"), "wb") as file:
        file.setparams((2, 2, 48000, 0, "NONE", ""))
        file.writeframes((np.sin(turns) * 2**14).astype("<i2").tobytes())
    player = subprocess.Popen(["paplay", str(tmp_path / "tones.wav")], env=pipewire.environment)
    try:
        until(lambda: bool(capture.record(0.1, 2, "Monitor of Test sink").frames.any()))
        heard = capture.record(0.3, 2, "Monitor of Test sink")
    finally:
        player.kill()
        player.wait()
    loudest = np.abs(np.fft.rfft(heard.frames, axis=0)).argmax(axis=0)
    assert (loudest * heard.rate_hz / len(heard.frames)).tolist() == pytest.approx(TONES_HZ, abs=4)


@pytest.mark.usefixtures("is_lost_soon")
def test_a_source_of_pipewire_that_is_unplugged_is_lost(pipewire: PipeWireServer) -> None:
    module = pipewire.ask(
        "pactl",
        "load-module",
        "module-null-sink",
        "media.class=Audio/Source/Virtual",
        "sink_name=usb",
        "sink_properties=node.description=USB",
    ).strip()
    until(lambda: "USB" in microphone.list_inputs())
    assert fault_of_a_recording("USB", lambda: pipewire.ask("pactl", "unload-module", module)) is MicrophoneFault.LOST


@pytest.mark.skipif(any(pathlib.Path("/dev/snd").glob("pcm*c")), reason="there is a card without a server")
def test_pipewire_alone_cannot_be_recorded(server: PipeWireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{server.folder}/pulse/native")
    assert fault_of_a_recording(None) is MicrophoneFault.NO_SYSTEM
