"""Calls to libpulse that miniaudio does not make: which server runs, and which sinks it has.

`ask_server` opens a connection for one query, on the calling thread. The structures are those of libpulse, declared as
far as this module reads them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import time
from collections.abc import Iterator
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_long, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any

from phaselock.audio.link import Link, link_of
from phaselock.errors import AudioDeviceError
from phaselock.frozen import frozen

_TIMEOUT_ANSWER_S = 2.0
_NO_AUTOSPAWN = 1
_READY, _FAILED = 4, 5
_INVALID_INDEX = 0xFFFFFFFF
_KEYS = ("device.bus", "device.api", "device.profile.name", "device.string")


@frozen
class PulseSink:
    """An output of the server."""

    index: int
    name: str
    description: str
    monitor: str
    """The name of the source that records this sink."""
    link: Link


@frozen
class PulseServer:
    """The name of the server and its sinks, the default one first."""

    name: str
    sinks: tuple[PulseSink, ...]

    @property
    def is_pipewire(self) -> bool:
        """True for PipeWire, which also implements PulseAudio's protocol. The delay that it reports there varies by
        milliseconds."""
        return "PipeWire" in self.name


class _SampleSpec(ctypes.Structure):  # pa_sample_spec
    _fields_ = (("format", c_int), ("rate", c_uint32), ("channels", c_uint8))


class _ChannelMap(ctypes.Structure):  # pa_channel_map
    _fields_ = (("channels", c_uint8), ("map", c_int * 32))


class _Volume(ctypes.Structure):  # pa_cvolume
    _fields_ = (("channels", c_uint8), ("values", c_uint32 * 32))


class _Port(ctypes.Structure):  # pa_sink_port_info
    _fields_ = (("name", c_char_p),)


class _SinkInfo(ctypes.Structure):  # pa_sink_info
    _fields_ = (
        ("name", c_char_p),
        ("index", c_uint32),
        ("description", c_char_p),
        ("sample_spec", _SampleSpec),
        ("channel_map", _ChannelMap),
        ("owner_module", c_uint32),
        ("volume", _Volume),
        ("mute", c_int),
        ("monitor_source", c_uint32),
        ("monitor_source_name", c_char_p),
        ("latency", c_uint64),
        ("driver", c_char_p),
        ("flags", c_int),
        ("proplist", c_void_p),
        ("configured_latency", c_uint64),
        ("base_volume", c_uint32),
        ("state", c_int),
        ("n_volume_steps", c_uint32),
        ("card", c_uint32),
        ("n_ports", c_uint32),
        ("ports", c_void_p),
        ("active_port", POINTER(_Port)),
    )


class _ServerInfo(ctypes.Structure):  # pa_server_info
    _fields_ = (
        ("user_name", c_char_p),
        ("host_name", c_char_p),
        ("server_version", c_char_p),
        ("server_name", c_char_p),
        ("sample_spec", _SampleSpec),
        ("default_sink_name", c_char_p),
    )


class _TimingInfo(ctypes.Structure):  # pa_timing_info
    _fields_ = (
        ("seconds", c_long),
        ("microseconds", c_long),
        ("synchronized_clocks", c_int),
        ("sink_us", c_uint64),
        ("source_us", c_uint64),
        ("transport_us", c_uint64),
        ("playing", c_int),
        ("write_index_corrupt", c_int),
        ("write_index", c_int64),
    )


_OnServer = CFUNCTYPE(None, c_void_p, POINTER(_ServerInfo), c_void_p)
_OnSink = CFUNCTYPE(None, c_void_p, POINTER(_SinkInfo), c_int, c_void_p)


@functools.cache
def _library() -> Any:
    """libpulse; AudioDeviceError if it is not installed."""
    try:
        library: Any = ctypes.CDLL("libpulse.so.0")
    except OSError:
        raise AudioDeviceError(
            "The audio backend is not available ({backend}: its library is missing).", backend="pulseaudio"
        ) from None
    for name in ("mainloop_new", "mainloop_get_api", "context_new", "context_get_server_info"):
        getattr(library, f"pa_{name}").restype = c_void_p
    library.pa_stream_update_timing_info.restype = library.pa_stream_get_sample_spec.restype = c_void_p
    library.pa_frame_size.restype = ctypes.c_size_t
    library.pa_stream_get_timing_info.restype = POINTER(_TimingInfo)
    library.pa_context_get_sink_info_list.restype = c_void_p
    library.pa_proplist_gets.restype = c_char_p
    library.pa_stream_get_device_index.restype = c_uint32
    return library


def sink_index(stream: int) -> int | None:
    """Index of the sink that a pa_stream (by address) is connected to; None if it has none now. Fast, for any
    thread."""
    index = int(_library().pa_stream_get_device_index(c_void_p(stream)))
    return None if index == _INVALID_INDEX else index


def recorded(stream: int) -> tuple[float, int] | None:
    """For a pa_stream that records a monitor: (frame number in the recording, wall-clock time in ns at which this frame
    leaves the sink), from the newest timing report of the server. None before the first report. Also requests the next
    report. Call this on the thread that owns the stream.

    The monitor takes a frame from the sink before the sink plays it: the frame leaves when the sink's buffer, less the
    part that the monitor still holds, has been played.
    """
    library = _library()
    info = library.pa_stream_get_timing_info(c_void_p(stream))
    operation = library.pa_stream_update_timing_info(c_void_p(stream), None, None)
    if operation:
        library.pa_operation_unref(c_void_p(operation))
    if not info or info.contents.write_index_corrupt:
        return None
    timing = info.contents
    at_us = timing.seconds * 1_000_000 + timing.microseconds
    frame_bytes = library.pa_frame_size(c_void_p(library.pa_stream_get_sample_spec(c_void_p(stream))))
    return timing.write_index / frame_bytes, (at_us + timing.sink_us - timing.source_us) * 1000


def ask_server(client_name: str) -> PulseServer:
    """Query the server. AudioDeviceError if none runs or it does not answer."""
    library = _library()
    found: list[PulseSink] = []
    server = ["", ""]
    missing = {"server", "sinks"}

    def on_server(_context: object, info: Any, _data: object) -> None:
        if info:
            server[:] = _text(info.contents.server_name), _text(info.contents.default_sink_name)
        missing.discard("server")

    def on_sink(_context: object, info: Any, end: int, _data: object) -> None:
        if end or not info:
            missing.discard("sinks")
        else:
            found.append(_sink(library, info.contents))

    callbacks = _OnServer(on_server), _OnSink(on_sink)
    with _connected(library, client_name) as (loop, context):
        operations = (
            library.pa_context_get_server_info(context, callbacks[0], None),
            library.pa_context_get_sink_info_list(context, callbacks[1], None),
        )
        _turn(library, loop, context, lambda: not missing)
        for operation in operations:
            library.pa_operation_unref(c_void_p(operation))
    return PulseServer(server[0], tuple(sorted(found, key=lambda sink: sink.name != server[1])))


@contextlib.contextmanager
def _connected(library: Any, client_name: str) -> Iterator[tuple[Any, Any]]:
    loop = c_void_p(library.pa_mainloop_new())
    context = c_void_p(library.pa_context_new(c_void_p(library.pa_mainloop_get_api(loop)), client_name.encode()))
    try:
        if library.pa_context_connect(context, None, _NO_AUTOSPAWN, None) < 0:
            raise _not_running()
        _turn(library, loop, context, lambda: library.pa_context_get_state(context) == _READY)
        yield loop, context
    finally:
        library.pa_context_disconnect(context)
        library.pa_context_unref(context)
        library.pa_mainloop_free(loop)


def _turn(library: Any, loop: Any, context: Any, done: Any) -> None:
    """Run the main loop until `done` returns True."""
    until_s = time.monotonic() + _TIMEOUT_ANSWER_S
    while not done():
        if library.pa_context_get_state(context) >= _FAILED:
            raise _not_running()
        if time.monotonic() > until_s:
            raise AudioDeviceError("The sound system does not answer.")
        if library.pa_mainloop_prepare(loop, 100_000) >= 0 and library.pa_mainloop_poll(loop) >= 0:
            library.pa_mainloop_dispatch(loop)


def _not_running() -> AudioDeviceError:
    return AudioDeviceError("The audio backend is not available ({backend}: not running).", backend="pulseaudio")


def _sink(library: Any, info: Any) -> PulseSink:
    of = {key: _text(library.pa_proplist_gets(c_void_p(info.proplist), key.encode())) for key in _KEYS}
    of["node.name"] = _text(info.name)
    of["active.port"] = _text(info.active_port.contents.name) if info.active_port else ""
    monitor = _text(info.monitor_source_name)
    return PulseSink(info.index, _text(info.name), _text(info.description), monitor, link_of(of))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
