"""Listening to a real sound server."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import pytest

from phaselock.bench import capture
from phaselock.errors import AudioDeviceError
from tests.device.conftest import PulseServer

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(sys.platform != "linux", reason="the backends are Linux's"),
]


def test_an_input_is_heard(pulse: PulseServer) -> None:
    assert capture.input_names() == ["Monitor of TestSink"]
    told: list[float] = []
    heard = capture.listen(0.3, 2, "Monitor of TestSink", told.append)
    assert heard.rate_hz == 44100
    assert heard.frames.shape == (13230, 2)
    assert not heard.frames.any()
    assert told[-1] == 0.3


def test_the_default_input_needs_no_name(pulse: PulseServer) -> None:
    heard = capture.listen(0.1, 1)
    assert heard.frames.shape == (4410, 1)
    assert heard.frames.dtype == np.float32


def test_a_missing_input_is_told_with_those_that_exist(pulse: PulseServer) -> None:
    with pytest.raises(AudioDeviceError, match=r"^No sound input is named 'Mic'\. There are: 'Monitor of TestSink'\.$"):
        capture.listen(0.1, 1, "Mic")


@pytest.mark.skipif(any(pathlib.Path("/dev/snd").glob("pcm*c")), reason="there is a card without a server")
def test_without_a_sound_server_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/native")
    with pytest.raises(AudioDeviceError, match=r"^No sound system is running here that could be listened to\.$"):
        capture.listen(0.1, 1)
