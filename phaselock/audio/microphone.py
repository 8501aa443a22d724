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
from phaselock.audio.worker import Worker
from phaselock.errors import AudioDeviceError
from phaselock.frozen import frozen
from phaselock.model.microphone import MicrophoneFault

_POLL_S = 0.1
_TIMEOUT_CALL_S = 8.0
"""A sound system that takes longer to open or to close an input hangs."""
_TIMEOUT_BEGIN_S = 5.0
"""How long an input may take to deliver its first block: a Bluetooth headset changes its profile."""
_TIMEOUT_S = 2.0
"""An input that has delivered, and delivers nothing for this long, is lost."""


class MicrophoneError(AudioDeviceError):
    """A sound input cannot be used; `fault` says why."""

    fault = MicrophoneFault.FAILED

    def because(self, fault: MicrophoneFault) -> MicrophoneError:
        """This error, with this fault."""
        self.fault = fault
        return self


@frozen
class Recording:
    """What an input has delivered: `frames` is interleaved float32, full scale 1."""

    rate_hz: int
    frames: bytes
    begin_local_ns: int
    """Local time of the first frame, by the arrival of the first block: late by the delay of the input."""


def check(channels: int, input_name: str | None = None) -> None:
    """Raise MicrophoneError if `record` cannot open this input now."""
    with _opened(channels, input_name, lambda _device, _frames: None, monitors=True):
        pass


def list_inputs() -> list[str]:
    """The names of the sound inputs of this machine that are no monitors of outputs, the default one first.
    MicrophoneError if no sound system runs."""

    def listed() -> list[str]:
        context = _new_context()
        try:
            return list(dict.fromkeys(map(_name, _inputs(context, monitors=False))))
        finally:
            lib.ma_context_uninit(context)

    worker = Worker()
    try:
        return worker.call(listed, _TIMEOUT_CALL_S)
    except TimeoutError:
        raise _no_answer() from None
    finally:
        worker.end()


def record(
    seconds: float,
    channels: int,
    input_name: str | None = None,
    on_progress: Callable[[float], None] = lambda _seconds: None,
    on_block: Callable[[Any, int], None] = lambda _device, _frames: None,
    stop: threading.Event | None = None,
    *,
    monitors: bool = True,
) -> Recording:
    """Record the input of this name, or the default one, until `stop` is set if it is given. Without `monitors` the
    default one is no monitor of an output, which hears no room.

    `on_progress` is called a few times a second with the seconds recorded. `on_block` is called on the input's thread
    after each block, with the ma_device and the number of frames recorded. Raise MicrophoneError if the input does not
    exist, cannot be opened, stops delivering, or if the sound system hangs.
    """
    with _opened(channels, input_name, on_block, monitors=monitors) as (device, recorder):
        _wait(device, recorder, seconds, on_progress, stop or threading.Event())
    frames = b"".join(recorder.blocks)[: round(seconds * recorder.rate_hz) * recorder.frame_bytes]
    return Recording(recorder.rate_hz, frames, recorder.begin_local_ns)


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
_abandoned: list[object] = []
"""Memory that a sound system which never answered may still use. It is never freed."""


@ffi.def_extern(name="_internal_data_callback")  # type: ignore[untyped-decorator]  # cffi has no types
def _on_data(device: Any, _output: Any, block: Any, frames: int) -> None:
    recorder = _recorders.get(_address(device))
    if recorder is not None and block != ffi.NULL:
        if not recorder.blocks:
            recorder.begin_local_ns = _native.now_ns() - round(frames / recorder.rate_hz * 1e9)
        recorder.blocks.append(bytes(ffi.buffer(block, frames * recorder.frame_bytes)))
        recorder.frames += frames
        recorder.on_block(device, recorder.frames)


def _wait(
    device: Any, recorder: _Recorder, seconds: float, on_progress: Callable[[float], None], stop: threading.Event
) -> None:
    frames, last_s = 0, time.monotonic()
    while frames < seconds * recorder.rate_hz and not stop.wait(_POLL_S):
        runs = lib.ma_device_is_started(device)  # before the frames: the last block may come before the end
        if recorder.frames > frames:
            frames, last_s = recorder.frames, time.monotonic()
        elif not runs:
            raise MicrophoneError("The sound input was lost.").because(MicrophoneFault.LOST)
        elif time.monotonic() > last_s + (_TIMEOUT_S if frames else _TIMEOUT_BEGIN_S):
            raise MicrophoneError("The sound input delivers no sound.").because(MicrophoneFault.LOST)
        on_progress(min(seconds, frames / recorder.rate_hz))


def _address(device: Any) -> int:
    return int(ffi.cast("uintptr_t", device))


@contextlib.contextmanager
def _opened(
    channels: int, input_name: str | None, on_block: Callable[[Any, int], None], *, monitors: bool
) -> Iterator[tuple[Any, _Recorder]]:
    """An input that delivers to a recorder. A sound system that hangs is left behind; if it answers after all, what it
    has opened is closed."""
    worker = Worker()
    held: list[Any] = []
    """The context and the device, as far as they exist."""

    def open_() -> _Recorder:
        held.append(context := _new_context())
        held.append(device := _open(context, input_name, channels, monitors=monitors))
        recorder = _Recorder(int(device.sampleRate), 4 * channels, on_block)
        _recorders[_address(device)] = recorder
        result = lib.ma_device_start(device)
        if result != lib.MA_SUCCESS:
            raise MicrophoneError("The sound input cannot be started (error {number}).", number=result).because(
                _fault(result)
            )
        return recorder

    def close() -> None:
        for device in held[1:]:
            lib.ma_device_stop(device)  # else PulseAudio's thread would wait for an event that never comes
            lib.ma_device_uninit(device)
            _recorders.pop(_address(device), None)
        for context in held[:1]:
            lib.ma_context_uninit(context)

    def close_within(limit_s: float) -> None:
        try:
            worker.call(close, limit_s)
        except TimeoutError:
            _abandoned.append(held)
        worker.end()

    try:
        recorder = worker.call(open_, _TIMEOUT_CALL_S)
    except TimeoutError:
        close_within(0)
        raise _no_answer() from None
    except AudioDeviceError:
        close_within(_TIMEOUT_CALL_S)
        raise
    try:
        yield held[1], recorder
    finally:
        close_within(_TIMEOUT_CALL_S)


def _no_answer() -> MicrophoneError:
    return MicrophoneError("The sound system does not answer.")


def _new_context() -> Any:
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
        raise MicrophoneError("No sound system is running here that could be recorded.").because(
            MicrophoneFault.NO_SYSTEM
        )
    return context


def _open(context: Any, input_name: str | None, channels: int, *, monitors: bool) -> Any:
    found = _inputs(context, monitors=monitors or input_name is not None)
    if not found:
        raise MicrophoneError("No sound input detected.").because(MicrophoneFault.NONE)
    chosen = [info for info in found if input_name in (None, _name(info))]
    if not chosen:
        there = ", ".join(f'"{_name(info)}"' for info in found)
        raise MicrophoneError(
            'No sound input is named "{name}". There are: {names}.',
            name=input_name,
            names=there,
        ).because(MicrophoneFault.NOT_THERE)
    config = ffi.new("ma_device_config *", lib.ma_device_config_init(lib.ma_device_type_capture))
    config.capture.format = lib.ma_format_f32
    config.capture.channels = channels
    config.capture.pDeviceID = ffi.addressof(chosen[0], "id")
    handles.let_callbacks_vary(config)
    config.dataCallback = lib._internal_data_callback
    device = ffi.new("ma_device *")
    result = lib.ma_device_init(context, config, device)
    if result != lib.MA_SUCCESS:
        raise MicrophoneError(
            "The sound input {name} cannot be opened (error {number}).",
            name=_name(chosen[0]),
            number=result,
        ).because(_fault(result))
    return device


def _fault(result: int) -> MicrophoneFault:
    """What a failed call of miniaudio means."""
    if result == lib.MA_ACCESS_DENIED:
        denied = {"win32": MicrophoneFault.DENIED_BY_WINDOWS, "darwin": MicrophoneFault.DENIED_BY_MACOS}
        return denied.get(sys.platform, MicrophoneFault.DENIED)
    return MicrophoneFault.NONE if result == lib.MA_NO_DEVICE else MicrophoneFault.FAILED


def _inputs(context: Any, *, monitors: bool) -> list[Any]:
    infos = ffi.new("ma_device_info **")
    count = ffi.new("ma_uint32 *")
    if lib.ma_context_get_devices(context, ffi.NULL, ffi.NULL, infos, count) != lib.MA_SUCCESS:
        return []
    found = [infos[0][k] for k in range(count[0])]
    return sorted((info for info in found if monitors or not _is_monitor(info)), key=lambda info: not info.isDefault)


def _is_monitor(info: Any) -> bool:
    """Whether it is the sound of an output. PulseAudio and PipeWire list these with the inputs."""
    return bytes(ffi.buffer(ffi.addressof(info, "id"))).partition(b"\0")[0].endswith(b".monitor")


def _name(info: Any) -> str:
    return bytes(ffi.string(info.name)).decode("utf-8", "replace")
