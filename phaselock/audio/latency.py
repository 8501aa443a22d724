"""What the platform says of the way from a callback to the loudspeaker, asked beside the stream, never on its thread.

A figure of this module runs from the entry of a callback to the moment at which its first frame leaves the
loudspeaker: the platform's latency and, as miniaudio fills its fixed-size buffer one period ahead of the device, one
callback period.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

from phaselock.errors import AudioDeviceError


class LatencyProbe(Protocol):
    """The account that one platform gives of one open output. Used from one thread at a time."""

    @property
    def period_frames(self) -> int:
        """Frames of one callback."""

    def latency_ns(self) -> int | None:
        """The figure of this module; None while the platform gives none. May ask a server and wait a little."""

    def cycle_clock(self) -> tuple[int, int]:
        """Addresses of a function like jack_get_cycle_times and of a client for it; 0, 0 where there is none. Good
        until `close`."""

    def alive(self) -> bool:
        """False once the sound server is known to be gone. Never waits."""

    def close(self) -> None:
        """Let go of the platform."""


Asked = Callable[[], tuple[int, int]]
"""How many frames the callbacks have asked for since the stream began, and the local time at which the next is asked
for by the line of all callbacks: their least lateness."""


def open_probe(
    backend: str, client_name: str, rate_hz: int, period_frames: int, asked: Asked | None
) -> LatencyProbe:
    """The probe of an output just opened with callbacks of `period_frames` (0: the platform knows)."""
    if backend == "jack":
        return JackProbe()
    if backend == "pulseaudio" and asked is not None:
        return PulseProbe(client_name, rate_hz, period_frames, asked)
    return PeriodProbe(rate_hz, period_frames)


class PeriodProbe:
    """No account at all: the period that miniaudio works ahead, and nothing behind it. True of the null backend."""

    def __init__(self, rate_hz: int, period_frames: int) -> None:
        self.period_frames = period_frames
        self._rate_hz = rate_hz

    def latency_ns(self) -> int | None:
        return _ns(self.period_frames, self._rate_hz)

    def cycle_clock(self) -> tuple[int, int]:
        return 0, 0

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass


class JackProbe:
    """A second client that asks for the playback latency of the physical outputs, to which miniaudio connects ours."""

    def __init__(self) -> None:
        jack = _libjack()
        client = jack and jack.jack_client_open(b"phaselock-latency", _JACK_NO_START_SERVER, None)
        if jack is None or not client:
            raise AudioDeviceError("The JACK server does not answer.")
        self._jack = jack
        self._client = client
        self.period_frames = int(jack.jack_get_buffer_size(client))
        self._rate_hz = int(jack.jack_get_sample_rate(client))

    def latency_ns(self) -> int | None:
        names = self._jack.jack_get_ports(self._client, None, _JACK_AUDIO, _JACK_IS_PHYSICAL | _JACK_IS_INPUT)
        if not names:
            return None
        latency_frames = 0
        for name in itertools.takewhile(bool, names):
            reach = _JackRange()
            self._jack.jack_port_get_latency_range(
                self._jack.jack_port_by_name(self._client, name), _JACK_PLAYBACK_LATENCY, ctypes.byref(reach)
            )
            latency_frames = max(latency_frames, reach.max)
        self._jack.jack_free(names)
        return _ns(latency_frames + self.period_frames, self._rate_hz)

    def cycle_clock(self) -> tuple[int, int]:
        return ctypes.cast(self._jack.jack_get_cycle_times, ctypes.c_void_p).value or 0, int(self._client)

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self._jack.jack_client_close(self._client)


class PulseProbe:
    """A second connection that asks the server how long our stream's newest frames still wait and its sink takes.

    The server's answer falls by a millisecond each millisecond and jumps up whenever miniaudio writes. With the time
    since the newest callback added it only jumps up, at each write of that callback's own frames: the lowest sums of
    many were heard before the first such write, and what they say is the figure.

    PipeWire's PulseAudio tells a stream's latency to its owner only, and zero to others. There a twin of our stream
    plays silence into the same sink for a moment, now and then, and what it hears after each of its writes is the
    figure.
    """

    _ASK = 16
    _PAUSE_S = 0.003
    _KEPT = 10 * _ASK
    _BAND_NS = 1_000_000
    _SLOWEST_REPLY_NS = 1_500_000
    _TWIN_EVERY_NS = 30_000_000_000
    _TWIN_WRITES = 20
    _TWIN_LIMIT_S = 0.35

    def __init__(self, client_name: str, rate_hz: int, period_frames: int, asked: Asked) -> None:
        self.period_frames = period_frames
        self._rate_hz = rate_hz
        self._asked = asked
        self._period_ns = _ns(period_frames, rate_hz)
        self._name = client_name.encode()
        self._process = str(os.getpid()).encode()
        self._sums: collections.deque[int] = collections.deque(maxlen=self._KEPT)
        self._heard: int | None = None
        self._sink = _PULSE_NOWHERE
        self._twin: tuple[int, int] | None = None
        self._twin_ns: int | None = None
        self._on_input = _PulseOnInput(self._take_input)
        self._pulse = _libpulse()
        self._loop = self._pulse.pa_mainloop_new()
        self._context = self._pulse.pa_context_new(self._pulse.pa_mainloop_get_api(self._loop), b"phaselock-latency")
        self._pulse.pa_context_connect(self._context, None, _PULSE_NO_AUTOSPAWN, None)
        if not self._wait(lambda: self._state() >= _PULSE_READY) or not self.alive():
            self.close()
            raise AudioDeviceError("The PulseAudio server does not answer.")

    def latency_ns(self) -> int | None:
        if self._asked()[0] < self._rate_hz:
            # The first second tells nothing: buffers fill, and the line of the callbacks is being found. The server was
            # asked to hold one period.
            return self._period_ns
        new = []
        for _ in range(self._ASK):
            if (total_ns := self._ask()) is not None:
                new.append(total_ns)
            time.sleep(self._PAUSE_S)
        if not new and self._heard == 0:
            return self._latency_of_twin(time.monotonic_ns())
        if new and self._sums and abs(self._lowest(new) - self._lowest(self._sums)) > 2 * self._BAND_NS:
            self._sums.clear()
        self._sums.extend(new)
        return self._lowest(self._sums) if self._sums else None

    def cycle_clock(self) -> tuple[int, int]:
        return 0, 0

    def alive(self) -> bool:
        self._pulse.pa_mainloop_iterate(self._loop, 0, None)
        return self._state() == _PULSE_READY

    def close(self) -> None:
        self._pulse.pa_context_disconnect(self._context)
        self._pulse.pa_context_unref(self._context)
        self._pulse.pa_mainloop_free(self._loop)

    def _ask(self) -> int | None:
        """From the entry of the newest callback to the playing of the newest frame that the server has; None for a
        question at a bad moment."""
        frames, next_ns = self._asked()
        before_ns = time.monotonic_ns()
        self._heard = None
        self._settle(self._pulse.pa_context_get_sink_input_info_list(self._context, self._on_input, None))
        after_ns = time.monotonic_ns()
        if not self._heard or self._asked()[0] != frames or after_ns - before_ns > self._SLOWEST_REPLY_NS:
            return None
        return (before_ns + after_ns) // 2 - (next_ns - self._period_ns) + self._heard

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
        spec = _PulseSampleSpec(_PULSE_FLOAT32, self._rate_hz, 2)
        buffering = _PulseBuffering(3 * size, size, _PULSE_DEFAULT, _PULSE_DEFAULT, _PULSE_DEFAULT)
        stream = pulse.pa_stream_new(self._context, b"phaselock-latency", ctypes.byref(spec), None)
        if not stream:
            return []
        heard: list[int] = []
        latency_us, behind = ctypes.c_uint64(), ctypes.c_int()
        deadline = time.monotonic() + self._TWIN_LIMIT_S
        pulse.pa_stream_connect_playback(
            stream, str(self._sink).encode(), ctypes.byref(buffering), _PULSE_ADJUST_LATENCY, None, None
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
            self._wait(lambda: self._pulse.pa_operation_get_state(operation) != _PULSE_RUNNING)
            self._pulse.pa_operation_cancel(operation)
            self._pulse.pa_operation_unref(operation)

    def _lowest(self, sums: Collection[int]) -> int:
        ordered = sorted(sums)
        low = ordered[len(ordered) // 20]
        return int(statistics.median([total for total in ordered if abs(total - low) <= self._BAND_NS]))

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


_PULSE_NO_AUTOSPAWN = 1
_PULSE_READY = 4
_PULSE_RUNNING = 0
_PULSE_NOWHERE = _PULSE_DEFAULT = 0xFFFFFFFF
_PULSE_ADJUST_LATENCY = 0x2000
_PULSE_FLOAT32 = 5 if sys.byteorder == "little" else 6


class _PulseSampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _PulseBuffering(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class _PulseChannels(ctypes.Structure):
    _fields_ = (("channels", ctypes.c_uint8), ("values", ctypes.c_uint32 * 32))


class _PulseInput(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("owner_module", ctypes.c_uint32),
        ("client", ctypes.c_uint32),
        ("sink", ctypes.c_uint32),
        ("sample_spec", _PulseSampleSpec),
        ("channel_map", _PulseChannels),
        ("volume", _PulseChannels),
        ("buffer_usec", ctypes.c_uint64),
        ("sink_usec", ctypes.c_uint64),
        ("resample_method", ctypes.c_char_p),
        ("driver", ctypes.c_char_p),
        ("mute", ctypes.c_int),
        ("proplist", ctypes.c_void_p),
        ("corked", ctypes.c_int),
    )


_PulseOnInput = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.POINTER(_PulseInput), ctypes.c_int, ctypes.c_void_p
)


@functools.cache
def _libpulse() -> ctypes.CDLL:
    pulse = _load("libpulse.so", "libpulse.so.0")
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
        (pulse.pa_context_get_sink_input_info_list, pointer, (pointer, _PulseOnInput, pointer)),
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


_JACK_NO_START_SERVER = 1
_JACK_IS_INPUT, _JACK_IS_PHYSICAL = 1, 4
_JACK_PLAYBACK_LATENCY = 1
_JACK_AUDIO = b"32 bit float mono audio"


class _JackRange(ctypes.Structure):
    _fields_ = (("min", ctypes.c_uint32), ("max", ctypes.c_uint32))


def quieten_jack() -> None:
    """Keep libjack from writing to standard error that no server runs; the caller says so in its own words."""
    jack = _libjack()
    if sys.platform != "win32" and jack is not None and hasattr(jack, "jack_set_error_function"):
        # A C function that takes a text and does nothing with it: a Python one would take the lock on the audio thread.
        silence = ctypes.CDLL(None).strlen
        jack.jack_set_error_function(silence)
        jack.jack_set_info_function(silence)


@functools.cache
def _libjack() -> ctypes.CDLL | None:
    # The names that miniaudio tries, in its order, so that both speak to one library.
    jack = _load("libjack.dll", "libjack64.dll") if sys.platform == "win32" else _load("libjack.so", "libjack.so.0")
    if jack is not None:
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        jack.jack_client_open.restype = pointer
        jack.jack_client_open.argtypes = (text, ctypes.c_int, pointer)
        jack.jack_client_close.argtypes = (pointer,)
        for function in (jack.jack_get_buffer_size, jack.jack_get_sample_rate):
            function.restype = ctypes.c_uint32
            function.argtypes = (pointer,)
        jack.jack_get_ports.restype = ctypes.POINTER(text)
        jack.jack_get_ports.argtypes = (pointer, text, text, ctypes.c_ulong)
        jack.jack_port_by_name.restype = pointer
        jack.jack_port_by_name.argtypes = (pointer, text)
        jack.jack_port_get_latency_range.restype = None
        jack.jack_port_get_latency_range.argtypes = (pointer, ctypes.c_int, pointer)
        jack.jack_free.restype = None
        jack.jack_free.argtypes = (pointer,)
    return jack


def _load(*names: str) -> ctypes.CDLL | None:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _ns(frames: int, rate_hz: int) -> int:
    return frames * 1_000_000_000 // rate_hz
