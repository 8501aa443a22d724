from __future__ import annotations

import contextlib
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from _miniaudio import lib

from phaselock import _native
from phaselock.audio import device as device_module
from phaselock.audio.device import USER_DATA_OFFSET, Device, ListedOutput, list_outputs
from phaselock.audio.link import LINK_TIMINGS
from phaselock.errors import AudioDeviceError
from tests.device.conftest import JackServer, alsa_default
from tests.support.sound_servers import PulseServer, until

pytestmark = pytest.mark.device
needs_windows = pytest.mark.skipif(sys.platform != "win32", reason="the backend is Windows'")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the backend is Linux's")

MINIAUDIO = "miniaudio"
"""A backend of the tests: miniaudio's output without a card. It takes the way of the backends with one."""
both_nulls = pytest.mark.parametrize("backend", ["null", MINIAUDIO])


@pytest.fixture(autouse=True)
def miniaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "BACKENDS", (*device_module.BACKENDS, MINIAUDIO))
    monkeypatch.setitem(device_module._MA_BACKENDS, MINIAUDIO, lib.ma_backend_null)


class Rig:
    """An engine and its device."""

    def __init__(self, backend: str, name: str | None = None) -> None:
        _native.Engine.set_user_offset(USER_DATA_OFFSET)
        self.engine = _native.Engine(_native.ClockMap(identity=True))
        self.device = Device(
            self.engine,
            "phaselock-test",
            backend,
            name,
        )

    def run(self) -> device_module.DeviceInfo:
        self.info = self.device.open()
        self.start()
        return self.info

    def start(self) -> None:
        self.engine.stream(self.info.rate_hz, self.device.account())
        self.device.start()

    def rest(self) -> None:
        """Rest a moment, and check that there are no callbacks meanwhile."""
        self.device.rest()
        frames = self.frames()
        assert self.device.is_running(), "no callbacks are no loss now"
        time.sleep(0.05)
        assert self.frames() == frames

    def frames(self) -> int:
        return self.engine.status().device_frames


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(backend: str, name: str | None = None) -> Rig:
        made.append(Rig(backend, name))
        return made[-1]

    yield make
    for each in made:
        each.device.close()


def test_null_calls_the_engine_back(rig: Callable[..., Rig]) -> None:
    one = rig("null")
    info = one.run()
    assert (info.backend, info.channels) == ("null", 2)
    until(lambda: one.frames() > 960)
    assert one.frames() % 960 == 0
    assert one.device.is_running()
    assert one.device.account() is None
    assert (one.device.timing(), one.device.unreported_ns()) == ("exact", 0)
    assert one.device.output_latency_ns() == _native.NULL_LATENCY_NS


def test_without_an_account_the_latency_is_what_miniaudio_holds(rig: Callable[..., Rig]) -> None:
    one = rig(MINIAUDIO)
    info = one.run()
    assert (info.backend, info.channels) == (MINIAUDIO, 2)
    until(lambda: one.frames() > 960)
    assert one.device.is_running()
    assert one.device.account() is None
    assert (one.device.timing(), one.device.unreported_ns()) == ("unknown", None)
    assert one.device.output_latency_ns() == 4 * 20_000_000


@both_nulls
def test_the_audio_thread_has_the_reported_priority(rig: Callable[..., Rig], backend: str) -> None:
    one = rig(backend)
    assert one.device.priority() is None
    one.run()
    until(lambda: one.device.priority() is not None)
    thread = one.engine.thread()
    assert thread not in (0, threading.get_native_id())
    found = one.device.priority()
    assert found is not None and found.level == _native.thread_priority(thread) != "unknown"


@both_nulls
def test_a_closed_device_is_still(rig: Callable[..., Rig], backend: str) -> None:
    one = rig(backend)
    one.run()
    until(lambda: one.frames() > 0)
    one.device.close()
    assert not one.device.is_running()
    assert one.device.output_latency_ns() is None
    frames = one.frames()
    one.device.close()
    time.sleep(0.05)
    assert one.frames() == frames


@both_nulls
def test_a_device_that_was_never_opened(backend: str) -> None:
    one = Rig(backend)
    assert not one.device.is_running()
    one.device.close()


@both_nulls
def test_two_at_once(rig: Callable[..., Rig], backend: str) -> None:
    one, other = rig(backend), rig(backend)
    one.run(), other.run()
    until(lambda: min(one.frames(), other.frames()) > 2000)
    one.device.close()
    frames = other.frames()
    until(lambda: other.frames() > frames + 2000)


def test_an_unknown_backend() -> None:
    with pytest.raises(AudioDeviceError, match=r"^Unknown audio backend: oss$"):
        Rig("oss")


@both_nulls
def test_an_unknown_name(rig: Callable[..., Rig], backend: str) -> None:
    with pytest.raises(AudioDeviceError, match=r"^No audio output is named Nonesuch\.$"):
        rig(backend, "Nonesuch").device.open()


def test_a_device_without_callbacks_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Rig(MINIAUDIO)
    asked = [30_000]
    one.device.open()
    one.device.start()
    monkeypatch.setattr(one.device, "_engine", SimpleNamespace(status=lambda: SimpleNamespace(device_frames=asked[0])))
    try:
        for _ in range(20):
            asked[0] += 1
            time.sleep(0.03)
            assert one.device.is_running()
        until(lambda: not one.device.is_running(), 5)
    finally:
        one.device.close()


def test_a_pause_of_our_own_is_not_the_device_s(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Rig(MINIAUDIO)
    now_ns = 10**18
    monkeypatch.setattr(device_module.time, "monotonic_ns", lambda: now_ns)
    assert one.device._calls_back(30_000, now_ns)
    assert one.device._calls_back(30_000, now_ns + 60 * 10**9)


def test_a_call_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch, rig: Callable[..., Rig]) -> None:
    one = rig(MINIAUDIO)
    one.run()
    stuck = []

    def hang() -> None:
        stuck.append(1)
        until(lambda: not stuck)

    monkeypatch.setattr(device_module, "_TIMEOUT_CLOSE_S", 0.1)
    monkeypatch.setattr(one.device, "_close", hang)
    kept = len(device_module._abandoned)
    one.device.close()
    assert len(device_module._abandoned) == kept + 1
    assert not one.device.is_running()
    stuck.clear()


def test_another_default_output_ends_a_stream_that_the_system_does_not_move(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "_PINNED", (MINIAUDIO,))
    monkeypatch.setattr(device_module, "_CHECK_DEFAULT_EVERY_NS", 0)
    one, named = rig(MINIAUDIO), rig(MINIAUDIO, "NULL Playback Device")
    one.run(), named.run()
    until(lambda: min(one.frames(), named.frames()) > 0)
    assert one.device.is_running() and named.device.is_running()
    monkeypatch.setattr(device_module, "_id", lambda _info: b"another")
    assert not one.device.is_running()
    assert named.device.is_running()


def test_a_device_that_rests_makes_no_callbacks(rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "_TIMEOUT_CALLBACK_NS", 0)
    one = rig(MINIAUDIO)
    one.run()
    until(lambda: one.frames() > 0)
    one.rest()
    monkeypatch.setattr(one.device, "_handle", 1)
    monkeypatch.setattr(device_module.alsa, "is_plugged", lambda handle: handle != 1)
    assert not one.device.is_running(), "the card was unplugged"
    monkeypatch.setattr(one.device, "_handle", None)
    one.start()
    until(lambda: one.frames() > 20_000)


@pytest.mark.parametrize(("timing", "rests"), [("exact", True), ("told", False), ("unknown", False)])
def test_only_what_is_exact_at_once_rests(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, timing: str, rests: bool
) -> None:
    one = rig(MINIAUDIO)
    assert not one.device.can_rest()
    one.device.open()
    monkeypatch.setattr(one.device, "timing", lambda: timing)
    assert not one.device.can_rest(), "a server wakes its streams seldom"
    monkeypatch.setattr(device_module, "_RESTING", (MINIAUDIO,))
    assert one.device.can_rest() == rests


@needs_windows
def test_wasapi_reports_when_a_frame_leaves(rig: Callable[..., Rig]) -> None:
    one = rig("wasapi")
    if not opens(one):
        pytest.skip("this machine has no output")
    until(lambda: one.frames() > 100_000)
    assert one.device.timing() == "told"
    assert one.device.output_latency_ns() == 0
    # Three periods of 20 ms are requested; a later frame cannot be one of this stream.
    assert 0 < one.engine.status().lead_ns < 500_000_000
    assert one.engine.status().dac_uncertainty_ns < 1_000_000
    assert one.device.is_running()


@needs_linux
def test_no_server_at_all(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/native")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "phaselock-test-nonexistent")
    monkeypatch.setattr(device_module, "_real_backends", lambda: ("pulseaudio", "jack"))
    with pytest.raises(AudioDeviceError, match=r"^No audio output detected\.$"):
        rig("auto").device.open()
    with pytest.raises(AudioDeviceError, match=r"^The audio backend is not available \(pulseaudio: not running\)\.$"):
        rig("pulseaudio").device.open()
    assert list_outputs() == []
    assert capfd.readouterr() == ("", "")


@needs_linux
def test_pulse_reports_when_a_frame_leaves(pulse: PulseServer, rig: Callable[..., Rig]) -> None:
    one = rig("pulseaudio")
    info = one.run()
    assert (info.name, info.rate_hz) == ("TestSink", 44100)
    until(lambda: one.frames() > info.rate_hz)
    assert one.device.timing() == "exact"
    assert one.device.output_latency_ns() == 0
    # A frame leaves when the 80 ms that are buffered before it have left; a null sink adds no delay.
    assert 0 < one.engine.status().lead_ns < 200_000_000
    assert one.device.is_running()


@needs_linux
def test_auto_finds_pulse_by_name(pulse: PulseServer, rig: Callable[..., Rig]) -> None:
    assert ListedOutput("pulseaudio", "TestSink", True, "exact", "wire") in list_outputs()
    assert rig("auto", "TestSink").run().backend == "pulseaudio"


@needs_linux
def test_a_bluetooth_sink_keeps_a_part_of_its_delay(pulse: PulseServer, rig: Callable[..., Rig]) -> None:
    properties = "'device.description=Headset device.bus=bluetooth'"
    pulse.ask("pactl", "load-module", "module-null-sink", "sink_name=headset", f"sink_properties={properties}")
    assert ("Headset", "told", "bluetooth") in [(one.name, one.timing, one.link) for one in list_outputs()]
    pulse.ask("pactl", "set-default-sink", "null")
    one = rig("pulseaudio")
    info = one.run()
    assert info.name == "TestSink"
    until(lambda: one.frames() > info.rate_hz)
    assert (one.device.timing(), one.device.unreported_ns()) == ("exact", 0)
    assert one.device.plays_on() == "TestSink"
    pulse.move("headset")
    until(lambda: one.device.timing() == "told")
    assert one.device.plays_on() == "Headset"
    assert one.device.unreported_ns() == LINK_TIMINGS["bluetooth"][1]


@needs_linux
def test_pulse_behind_alsa_does_not_tell_its_delay(
    pulse: PulseServer, rig: Callable[..., Rig], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", alsa_default(tmp_path, "pulse"))
    monkeypatch.setattr(device_module, "_real_backends", lambda: ("alsa",))
    assert [(one.timing, one.link) for one in list_outputs()] == [("unknown", "server")]
    one = rig("alsa")
    one.run()
    assert (one.device.timing(), one.device.unreported_ns()) == ("unknown", None)
    until(lambda: one.frames() > 20_000)
    one.rest()
    assert device_module.alsa.is_plugged(one.device._handle or 0)
    one.start()
    until(lambda: one.frames() > 20_000)
    assert one.engine.status().lead_ns > 0


@pytest.mark.slow
@needs_linux
def test_the_death_of_pulse_is_noticed(pulse: PulseServer, rig: Callable[..., Rig]) -> None:
    one = rig("pulseaudio")
    one.run()
    until(lambda: one.frames() > 30_000)
    assert one.device.is_running()
    pulse.kill()
    until(lambda: not one.device.is_running())
    one.device.close()
    with pytest.raises(AudioDeviceError):
        rig("pulseaudio").device.open()


@pytest.mark.slow
@needs_linux
def test_a_frozen_pulse_does_not_block_the_caller(
    pulse: PulseServer, rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = rig("pulseaudio")
    one.run()
    until(lambda: one.frames() > 30_000)
    monkeypatch.setattr(device_module, "_TIMEOUT_CALL_S", 0.3)
    monkeypatch.setattr(device_module, "_TIMEOUT_CLOSE_S", 0.3)
    pulse.freeze()
    until(lambda: not one.device.is_running())
    one.device.close()
    with pytest.raises(AudioDeviceError, match=r"^The sound system does not answer\.$"):
        rig("pulseaudio").device.open()


def opens(one: Rig) -> bool:
    with contextlib.suppress(AudioDeviceError):
        one.run()
        return True
    return False


@needs_linux
def test_jack_sets_and_reports_its_latency(jack: JackServer, rig: Callable[..., Rig]) -> None:
    one = rig("jack")
    until(lambda: opens(one))
    until(lambda: one.frames() > 20_000)
    assert one.frames() % 256 == 0
    assert one.device.timing() == "exact"
    assert one.device.output_latency_ns() == 2 * 256 * 10**9 // 48000  # the dummy card's two periods


@needs_linux
def test_the_death_of_jack_is_noticed(jack: JackServer, rig: Callable[..., Rig]) -> None:
    one = rig("jack")
    until(lambda: opens(one))
    until(lambda: one.frames() > 0)
    assert one.device.is_running()
    jack.kill()
    until(lambda: not one.device.is_running())
    one.device.close()
