"""Recording from a real sound server."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Iterator

import numpy as np
import pytest

from phaselock.audio import microphone
from phaselock.bench.lab import capture
from phaselock.errors import AudioDeviceError
from tests.support.sound_servers import PulseServer

pytestmark = [
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
