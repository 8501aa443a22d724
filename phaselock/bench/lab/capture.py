"""Listening to a sound input.

miniaudio hands what it hears to a callback in Python. It holds the interpreter's lock for a moment each time, which may
make it late; an input then waits a little, and nothing is lost: unlike an output it has no deadline to miss.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _miniaudio import ffi, lib
from numpy.typing import NDArray

from phaselock.audio import handles
from phaselock.errors import AudioDeviceError

_TIMEOUT_S = 5.0
"""An input that hands nothing over for so long is lost."""


@dataclasses.dataclass(frozen=True, slots=True)
class Captured:
    """What was heard: (frames, channels) between -1 and 1."""

    rate_hz: int
    frames: NDArray[np.float32]


def check(channels: int, input_name: str | None = None) -> None:
    """AudioDeviceError unless `listen` could open this input now."""
    with _context() as context:
        lib.ma_device_uninit(_open(context, input_name, channels))


def listen(
    seconds: float,
    channels: int,
    input_name: str | None = None,
    heard: Callable[[float], None] = lambda _: None,
    stamp: Callable[[Any, int], None] = lambda _device, _frames: None,
) -> Captured:
    """Listen to the input of that name, or the default one, for so long; `heard` is told how many seconds there are, a
    few times a second. `stamp` is called on the input's thread, with the ma_device, after each block, and with how many
    frames there are. AudioDeviceError when there is no such input, or it is lost."""
    with _context() as context:
        device = _open(context, input_name, channels)
        rate_hz = int(device.sampleRate)
        taken = _taken[_address(device)] = _Taken(4 * channels, stamp)
        try:
            result = lib.ma_device_start(device)
            if result != lib.MA_SUCCESS:
                raise AudioDeviceError(f"The sound input cannot be started (error {result}).")
            _wait(taken, seconds, rate_hz, heard)
        finally:
            lib.ma_device_uninit(device)
            del _taken[_address(device)]
    frames = np.frombuffer(b"".join(taken.blocks), np.float32).reshape(-1, channels)
    return Captured(rate_hz, frames[: round(seconds * rate_hz)])


@dataclasses.dataclass(slots=True)
class _Taken:
    """What the callback took from a device. Only the callback writes, in this order."""

    frame_bytes: int
    stamp: Callable[[Any, int], None]
    blocks: list[bytes] = dataclasses.field(default_factory=list)
    frames: int = 0


_taken: dict[int, _Taken] = {}
"""By the address of the device."""


@ffi.def_extern(name="_internal_data_callback")  # type: ignore[untyped-decorator]
def _take(device: Any, _output: Any, heard: Any, frames: int) -> None:
    taken = _taken.get(_address(device))
    if taken is not None and heard != ffi.NULL:
        taken.blocks.append(bytes(ffi.buffer(heard, frames * taken.frame_bytes)))
        taken.frames += frames
        taken.stamp(device, taken.frames)


def _wait(taken: _Taken, seconds: float, rate_hz: int, heard: Callable[[float], None]) -> None:
    seen, last_s = 0, time.monotonic()
    while seen < seconds * rate_hz:
        time.sleep(0.1)
        if taken.frames > seen:
            seen, last_s = taken.frames, time.monotonic()
        elif time.monotonic() > last_s + _TIMEOUT_S:
            raise AudioDeviceError("The sound input hands over nothing.")
        heard(min(seconds, seen / rate_hz))


def _address(device: Any) -> int:
    return int(ffi.cast("uintptr_t", device))


@contextlib.contextmanager
def _context() -> Iterator[Any]:
    if sys.platform == "win32":
        backends = [lib.ma_backend_wasapi]
    elif sys.platform == "darwin":
        backends = [lib.ma_backend_coreaudio]
    else:
        # Without a card libasound complains on standard error.
        cards = any(pathlib.Path("/dev/snd").glob("pcm*c"))
        backends = [lib.ma_backend_pulseaudio, *([lib.ma_backend_alsa] if cards else [])]
    name = ffi.new("char[]", b"phaselock bench")
    config = ffi.new("ma_context_config *", lib.ma_context_config_init())
    config.pulse.pApplicationName = name
    config.pulse.tryAutoSpawn = False
    context = ffi.new("ma_context *")
    if lib.ma_context_init(ffi.new("ma_backend[]", backends), len(backends), config, context) != lib.MA_SUCCESS:
        raise AudioDeviceError("No sound system is running here that could be listened to.")
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
        there = ", ".join(repr(_name(info)) for info in found)
        raise AudioDeviceError(f"No sound input is named {input_name!r}. There are: {there}.")
    config = ffi.new("ma_device_config *", lib.ma_device_config_init(lib.ma_device_type_capture))
    config.capture.format = lib.ma_format_f32
    config.capture.channels = channels
    config.capture.pDeviceID = ffi.addressof(chosen[0], "id")
    handles.let_callbacks_vary(config)
    config.dataCallback = lib._internal_data_callback
    device = ffi.new("ma_device *")
    result = lib.ma_device_init(context, config, device)
    if result != lib.MA_SUCCESS:
        raise AudioDeviceError(f"The sound input {_name(chosen[0])!r} cannot be opened (error {result}).")
    return device


def _inputs(context: Any) -> list[Any]:
    infos = ffi.new("ma_device_info **")
    count = ffi.new("ma_uint32 *")
    if lib.ma_context_get_devices(context, ffi.NULL, ffi.NULL, infos, count) != lib.MA_SUCCESS:
        return []
    return sorted((infos[0][k] for k in range(count[0])), key=lambda info: not info.isDefault)


def _name(info: Any) -> str:
    return bytes(ffi.string(info.name)).decode("utf-8", "replace")
