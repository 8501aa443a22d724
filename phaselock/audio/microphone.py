"""Record a sound input: a microphone, or the monitor of an output.

miniaudio hands each block to a callback in Python, which may wait for the interpreter's lock. That loses nothing: an
input buffers its blocks, and unlike an output it has no deadline to miss.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from _miniaudio import ffi, lib

from phaselock import _native
from phaselock.audio import handles
from phaselock.errors import AudioDeviceError

_POLL_S = 0.1
_TIMEOUT_S = 5.0
"""An input that delivers nothing for this long is lost."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """What an input has delivered: `frames` is interleaved float32, full scale 1."""

    rate_hz: int
    frames: bytes
    begin_local_ns: int
    """Local time of the first frame, by the arrival of the first block: late by the delay of the input."""


def check(channels: int, input_name: str | None = None) -> None:
    """Raise AudioDeviceError if `record` cannot open this input now."""
    with _context() as context:
        lib.ma_device_uninit(_open(context, input_name, channels))


def record(
    seconds: float,
    channels: int,
    input_name: str | None = None,
    on_progress: Callable[[float], None] = lambda _seconds: None,
    on_block: Callable[[Any, int], None] = lambda _device, _frames: None,
    stop: threading.Event | None = None,
) -> Recording:
    """Record the input of this name, or the default one, until `stop` is set if it is given.

    `on_progress` is called a few times a second with the seconds recorded. `on_block` is called on the input's thread
    after each block, with the ma_device and the number of frames recorded. Raise AudioDeviceError if the input does not
    exist, cannot be opened, or stops delivering.
    """
    with _context() as context:
        device = _open(context, input_name, channels)
        rate_hz = int(device.sampleRate)
        recorder = _recorders[_address(device)] = _Recorder(rate_hz, 4 * channels, on_block)
        try:
            result = lib.ma_device_start(device)
            if result != lib.MA_SUCCESS:
                raise AudioDeviceError("The sound input cannot be started (error {number}).", number=result)
            _wait(recorder, seconds, on_progress, stop or threading.Event())
        finally:
            lib.ma_device_uninit(device)
            del _recorders[_address(device)]
    frames = b"".join(recorder.blocks)[: round(seconds * rate_hz) * 4 * channels]
    return Recording(rate_hz, frames, recorder.begin_local_ns)


@dataclasses.dataclass(slots=True)
class _Recorder:
    """What the callback received from one device. Only the callback writes, in the order of the fields."""

    rate_hz: int
    frame_bytes: int
    on_block: Callable[[Any, int], None]
    begin_local_ns: int = 0
    blocks: list[bytes] = dataclasses.field(default_factory=list)
    frames: int = 0


_recorders: dict[int, _Recorder] = {}
"""By the address of the ma_device."""


@ffi.def_extern(name="_internal_data_callback")  # type: ignore[untyped-decorator]
def _on_data(device: Any, _output: Any, block: Any, frames: int) -> None:
    recorder = _recorders.get(_address(device))
    if recorder is not None and block != ffi.NULL:
        if not recorder.blocks:
            recorder.begin_local_ns = _native.now_ns() - round(frames / recorder.rate_hz * 1e9)
        recorder.blocks.append(bytes(ffi.buffer(block, frames * recorder.frame_bytes)))
        recorder.frames += frames
        recorder.on_block(device, recorder.frames)


def _wait(recorder: _Recorder, seconds: float, on_progress: Callable[[float], None], stop: threading.Event) -> None:
    frames, last_s = 0, time.monotonic()
    while frames < seconds * recorder.rate_hz and not stop.wait(_POLL_S):
        if recorder.frames > frames:
            frames, last_s = recorder.frames, time.monotonic()
        elif time.monotonic() > last_s + _TIMEOUT_S:
            raise AudioDeviceError("The sound input delivers no sound.")
        on_progress(min(seconds, frames / recorder.rate_hz))


def _address(device: Any) -> int:
    return int(ffi.cast("uintptr_t", device))


@contextlib.contextmanager
def _context() -> Iterator[Any]:
    if sys.platform == "win32":
        backends = [lib.ma_backend_wasapi]
    elif sys.platform == "darwin":
        backends = [lib.ma_backend_coreaudio]
    else:
        # Without a card, libasound writes errors to standard error.
        cards = any(pathlib.Path("/dev/snd").glob("pcm*c"))
        backends = [lib.ma_backend_pulseaudio, *([lib.ma_backend_alsa] if cards else [])]
    name = ffi.new("char[]", b"phaselock")
    config = ffi.new("ma_context_config *", lib.ma_context_config_init())
    config.pulse.pApplicationName = name
    config.pulse.tryAutoSpawn = False
    context = ffi.new("ma_context *")
    if lib.ma_context_init(ffi.new("ma_backend[]", backends), len(backends), config, context) != lib.MA_SUCCESS:
        raise AudioDeviceError("No sound system is running here that could be recorded.")
    try:
        yield context
    finally:
        lib.ma_context_uninit(context)


def _open(context: Any, input_name: str | None, channels: int) -> Any:
    found = _inputs(context)
    if not found:
        raise AudioDeviceError("No sound input detected.")
    chosen = [info for info in found if input_name in (None, _name(info))]
    if not chosen:
        there = ", ".join(f'"{_name(info)}"' for info in found)
        raise AudioDeviceError('No sound input is named "{name}". There are: {names}.', name=input_name, names=there)
    config = ffi.new("ma_device_config *", lib.ma_device_config_init(lib.ma_device_type_capture))
    config.capture.format = lib.ma_format_f32
    config.capture.channels = channels
    config.capture.pDeviceID = ffi.addressof(chosen[0], "id")
    handles.let_callbacks_vary(config)
    config.dataCallback = lib._internal_data_callback
    device = ffi.new("ma_device *")
    result = lib.ma_device_init(context, config, device)
    if result != lib.MA_SUCCESS:
        raise AudioDeviceError(
            "The sound input {name} cannot be opened (error {number}).", name=_name(chosen[0]), number=result
        )
    return device


def _inputs(context: Any) -> list[Any]:
    infos = ffi.new("ma_device_info **")
    count = ffi.new("ma_uint32 *")
    if lib.ma_context_get_devices(context, ffi.NULL, ffi.NULL, infos, count) != lib.MA_SUCCESS:
        return []
    return sorted((infos[0][k] for k in range(count[0])), key=lambda info: not info.isDefault)


def _name(info: Any) -> str:
    return bytes(ffi.string(info.name)).decode("utf-8", "replace")
