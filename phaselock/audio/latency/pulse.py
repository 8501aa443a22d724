"""The latency that a PulseAudio server tells, PulseAudio's own or PipeWire's."""

from __future__ import annotations

import ctypes
import functools
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from phaselock.audio.latency.probe import Asked, LowestSums, PeriodProbe, load
from phaselock.errors import AudioDeviceError


class PulseProbe(PeriodProbe):
    """A second connection that asks the server how long our stream's newest frames still wait and its sink takes.

    PipeWire's PulseAudio tells a stream's latency to its owner only, and zero to others. There a twin of our stream
    plays silence into the same sink for a moment, now and then, and what it hears after each of its writes is the
    figure.
    """

    _TWIN_EVERY_NS = 30_000_000_000
    _TWIN_WRITES = 20
    _TWIN_LIMIT_S = 0.35

    def __init__(self, client_name: str, rate_hz: int, period_frames: int, asked: Asked) -> None:
        super().__init__(rate_hz, period_frames)
        self._rate_hz = rate_hz
        self._name = client_name.encode()
        self._process = str(os.getpid()).encode()
        self._sums = LowestSums(rate_hz, period_frames, asked, self._waits_ns)
        self._heard: int | None = None
        self._sink = _NOWHERE
        self._twin: tuple[int, int] | None = None
        self._twin_ns: int | None = None
        self._on_input = _OnInput(self._take_input)
        self._pulse = _libpulse()
        self._loop = self._pulse.pa_mainloop_new()
        self._context = self._pulse.pa_context_new(self._pulse.pa_mainloop_get_api(self._loop), b"phaselock-latency")
        self._pulse.pa_context_connect(self._context, None, _NO_AUTOSPAWN, None)
        if not self._wait(lambda: self._state() >= _READY) or not self.alive():
            self.close()
            raise AudioDeviceError("The PulseAudio server does not answer.")

    def latency_ns(self) -> int | None:
        latency_ns = self._sums.latency_ns()
        return self._latency_of_twin(time.monotonic_ns()) if latency_ns is None and self._heard == 0 else latency_ns

    def alive(self) -> bool:
        self._pulse.pa_mainloop_iterate(self._loop, 0, None)
        return self._state() == _READY

    def close(self) -> None:
        self._pulse.pa_context_disconnect(self._context)
        self._pulse.pa_context_unref(self._context)
        self._pulse.pa_mainloop_free(self._loop)

    def _waits_ns(self) -> int | None:
        self._heard = None
        self._settle(self._pulse.pa_context_get_sink_input_info_list(self._context, self._on_input, None))
        return self._heard or None

    def _latency_of_twin(self, now_ns: int) -> int | None:
        if self._twin is None or self._twin[0] != self._sink or now_ns - self._twin[1] > self._TWIN_EVERY_NS:
            self._twin = self._sink, now_ns
            heard = self._play_twin()
            if len(heard) >= 4:
                self._twin_ns = int(statistics.median(heard[len(heard) // 2 :]))
        return self._twin_ns

    def _play_twin(self) -> list[int]:
        """What a stream like ours hears after each write: the time until the last frame written is played."""
        pulse, size = self._pulse, self.period_frames * 8
        spec = _SampleSpec(_FLOAT32, self._rate_hz, 2)
        buffering = _Buffering(3 * size, size, _SERVER_S_CHOICE, _SERVER_S_CHOICE, _SERVER_S_CHOICE)
        stream = pulse.pa_stream_new(self._context, b"phaselock-latency", ctypes.byref(spec), None)
        if not stream:
            return []
        heard: list[int] = []
        latency_us, behind = ctypes.c_uint64(), ctypes.c_int()
        deadline = time.monotonic() + self._TWIN_LIMIT_S
        pulse.pa_stream_connect_playback(
            stream, str(self._sink).encode(), ctypes.byref(buffering), _ADJUST_LATENCY, None, None
        )
        while len(heard) < self._TWIN_WRITES and time.monotonic() < deadline:
            if not self._wait(lambda: 0 < pulse.pa_stream_writable_size(stream) <= 3 * size, 0.1):
                continue
            room = pulse.pa_stream_writable_size(stream)
            pulse.pa_stream_write(stream, bytes(room), room, None, 0, 0)
            written_ns = time.monotonic_ns()
            self._settle(pulse.pa_stream_update_timing_info(stream, None, None))
            if pulse.pa_stream_get_latency(stream, ctypes.byref(latency_us), ctypes.byref(behind)) == 0:
                heard.append(latency_us.value * 1000 + time.monotonic_ns() - written_ns)
        pulse.pa_stream_disconnect(stream)
        pulse.pa_stream_unref(stream)
        return heard

    def _settle(self, operation: int | None) -> None:
        if operation:
            self._wait(lambda: self._pulse.pa_operation_get_state(operation) != _RUNNING)
            self._pulse.pa_operation_cancel(operation)
            self._pulse.pa_operation_unref(operation)

    def _take_input(self, _context: object, info: Any, end: int, _data: object) -> None:
        if end or info.contents.corked or info.contents.name != self._name:
            return
        if self._pulse.pa_proplist_gets(info.contents.proplist, b"application.process.id") == self._process:
            self._heard = (info.contents.buffer_usec + info.contents.sink_usec) * 1000
            self._sink = info.contents.sink

    def _state(self) -> int:
        return int(self._pulse.pa_context_get_state(self._context))

    def _wait(self, done: Callable[[], bool], limit_s: float = 0.5) -> bool:
        deadline = time.monotonic() + limit_s
        while not done():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._pulse.pa_mainloop_prepare(self._loop, int(left_s * 1e6)) < 0:
                return False
            self._pulse.pa_mainloop_poll(self._loop)
            self._pulse.pa_mainloop_dispatch(self._loop)
        return True


_NO_AUTOSPAWN = 1
_READY = 4
_RUNNING = 0
_NOWHERE = _SERVER_S_CHOICE = 0xFFFFFFFF
_ADJUST_LATENCY = 0x2000
_FLOAT32 = 5 if sys.byteorder == "little" else 6


class _SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _Buffering(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class _Channels(ctypes.Structure):
    _fields_ = (("channels", ctypes.c_uint8), ("values", ctypes.c_uint32 * 32))


class _Input(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("owner_module", ctypes.c_uint32),
        ("client", ctypes.c_uint32),
        ("sink", ctypes.c_uint32),
        ("sample_spec", _SampleSpec),
        ("channel_map", _Channels),
        ("volume", _Channels),
        ("buffer_usec", ctypes.c_uint64),
        ("sink_usec", ctypes.c_uint64),
        ("resample_method", ctypes.c_char_p),
        ("driver", ctypes.c_char_p),
        ("mute", ctypes.c_int),
        ("proplist", ctypes.c_void_p),
        ("corked", ctypes.c_int),
    )


_OnInput = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.POINTER(_Input), ctypes.c_int, ctypes.c_void_p
)


@functools.cache
def _libpulse() -> ctypes.CDLL:
    pulse = load("libpulse.so", "libpulse.so.0")
    if pulse is None:
        raise AudioDeviceError("The PulseAudio library is missing.")
    pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: tuple[tuple[Any, Any, tuple[Any, ...]], ...] = (
        (pulse.pa_mainloop_new, pointer, ()),
        (pulse.pa_mainloop_get_api, pointer, (pointer,)),
        (pulse.pa_mainloop_iterate, integer, (pointer, integer, pointer)),
        (pulse.pa_mainloop_prepare, integer, (pointer, integer)),
        (pulse.pa_mainloop_poll, integer, (pointer,)),
        (pulse.pa_mainloop_dispatch, integer, (pointer,)),
        (pulse.pa_mainloop_free, None, (pointer,)),
        (pulse.pa_context_new, pointer, (pointer, text)),
        (pulse.pa_context_connect, integer, (pointer, text, integer, pointer)),
        (pulse.pa_context_get_state, integer, (pointer,)),
        (pulse.pa_context_get_sink_input_info_list, pointer, (pointer, _OnInput, pointer)),
        (pulse.pa_context_disconnect, None, (pointer,)),
        (pulse.pa_context_unref, None, (pointer,)),
        (pulse.pa_stream_new, pointer, (pointer, text, pointer, pointer)),
        (pulse.pa_stream_connect_playback, integer, (pointer, text, pointer, integer, pointer, pointer)),
        (pulse.pa_stream_writable_size, ctypes.c_size_t, (pointer,)),
        (pulse.pa_stream_write, integer, (pointer, text, ctypes.c_size_t, pointer, ctypes.c_int64, integer)),
        (pulse.pa_stream_update_timing_info, pointer, (pointer, pointer, pointer)),
        (pulse.pa_stream_get_latency, integer, (pointer, pointer, pointer)),
        (pulse.pa_stream_disconnect, integer, (pointer,)),
        (pulse.pa_stream_unref, None, (pointer,)),
        (pulse.pa_operation_get_state, integer, (pointer,)),
        (pulse.pa_operation_cancel, None, (pointer,)),
        (pulse.pa_operation_unref, None, (pointer,)),
        (pulse.pa_proplist_gets, text, (pointer, text)),
    )
    for function, result, arguments in signatures:
        function.restype, function.argtypes = result, arguments
    return pulse
