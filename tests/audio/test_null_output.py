"""The output without a loudspeaker, with its real thread."""

from __future__ import annotations

import array
import time

import pytest

from phaselock import _native
from phaselock.audio.device import Device
from phaselock.errors import AudioDeviceError

TIMEOUT_S = 60.0


def wait_for(engine: _native.Engine, frames: int, *, audible: bool) -> _native.EngineStatus:
    """The status after this number of frames."""
    until_s = time.monotonic() + TIMEOUT_S
    while (status := engine.status()).device_frames < frames or status.audible != audible:
        assert time.monotonic() < until_s
        time.sleep(0.005)
    return status


def test_music_starts_in_phase_while_the_card_sleeps() -> None:
    engine = _native.Engine(_native.ClockMap(identity=True))
    device = Device(engine, "test", "null")
    rate_hz = device.open().rate_hz
    engine.stream(rate_hz)
    engine.set_output_latency(device.output_latency_ns() or 0)
    device.start()
    try:
        frames = wait_for(engine, rate_hz // 4, audible=False).device_frames
        deck = engine.free_deck()
        engine.write(deck, engine.reset_deck(deck, 0), array.array("f", [0.5] * 2 * rate_hz))
        start_ns = _native.now_ns() + 30_000_000
        assert engine.arm(deck, rate_hz, 0, start_ns)
        status = wait_for(engine, frames, audible=True)
        want_frame = engine.deck(deck).want_frame
        later = engine.status()  # the card may have gone on since the first status
        assert device.is_running() and device.timing() == "exact"
        assert (status.underruns, status.jumps, status.slips) == (0, 0, 0)
        assert abs(status.phase_error_ns) < 1000 and status.dac_uncertainty_ns < 1000
        least, most = ((at.dac_ns - start_ns) * rate_hz / 1e9 for at in (status, later))
        assert least - 2 * 960 < want_frame < most + 2 * 960
    finally:
        assert device.close()
    assert not device.is_running()


def test_there_is_no_other_null_output() -> None:
    device = Device(_native.Engine(_native.ClockMap()), "test", "null", "loudspeaker")
    with pytest.raises(AudioDeviceError, match="No audio output is named loudspeaker"):
        device.open()
    assert device.close()
