"""Record what a PipeWire sink plays, from its monitor, with the time at which each block leaves the sink.

There are two streams: one records the monitor, the other one plays to the sink. The sink takes a block in the cycle in
which it was written, and plays it after the delay that the playing stream reports. If the sink drives the graph, its
monitor gets the block of the cycle before, and PipeWire does not report that. Therefore the playing stream writes one
mark, and the time until the mark is in the recording is measured.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Mapping
from ctypes import CFUNCTYPE, POINTER, byref, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from typing import Any

from phaselock.audio.pipewire import PipeWire, Sink, stream_events, stream_formats
from phaselock.errors import AudioDeviceError

_INPUT, _OUTPUT = 0, 1
_FLAGS = 1 << 0 | 1 << 2 | 1 << 4  # autoconnect, map buffers, process on the audio thread
_ANY = 0xFFFFFFFF
_HOOK_BYTES = 48
_FRAME_BYTES = 8
_CYCLE_FRAMES = 1024
_MARK = 0.02
"""Sample value of the mark; full scale is 1."""
_MARK_AFTER_BLOCKS = 20


class _Time(ctypes.Structure):  # pw_time
    _fields_ = (
        ("now_ns", c_int64),
        ("rate_num", c_uint32),
        ("rate_denom", c_uint32),
        ("ticks", c_uint64),
        ("delay", c_int64),
        ("rest", c_uint64 * 3),
    )


class _Chunk(ctypes.Structure):  # spa_chunk
    _fields_ = (("offset", c_uint32), ("size", c_uint32), ("stride", c_int), ("flags", c_int))


class _Data(ctypes.Structure):  # spa_data
    _fields_ = (
        ("type", c_uint32),
        ("flags", c_uint32),
        ("fd", c_int64),
        ("map_offset", c_uint32),
        ("max_size", c_uint32),
        ("data", c_void_p),
        ("chunk", POINTER(_Chunk)),
    )


class _Buffer(ctypes.Structure):  # spa_buffer
    _fields_ = (("metas", c_uint32), ("datas", c_uint32), ("meta", c_void_p), ("data", POINTER(_Data)))


class _StreamBuffer(ctypes.Structure):  # pw_buffer
    _fields_ = (("buffer", POINTER(_Buffer)), ("user_data", c_void_p), ("size", c_uint64), ("requested", c_uint64))


_Process = CFUNCTYPE(None, c_void_p)


class PipeWireRecorder(PipeWire):
    """A connection that records one sink.

    `take` is called on PipeWire's audio thread with each block (interleaved float32 stereo at `rate_hz`) and the local
    time in ns at which its first frame leaves the sink. The constructor raises AudioDeviceError.
    """

    def __init__(self, client_name: str, sink: Sink, take: Callable[[bytes, int], None]) -> None:
        super().__init__(client_name)
        self._take = take
        self._recorder = 0
        self._blocks = 0
        self._mark_ns: int | None = None
        self._age_ns: int | None = None
        self._library.pw_stream_dequeue_buffer.restype = POINTER(_StreamBuffer)
        wanted = {
            "media.type": "Audio",
            "target.object": sink.name,
            "node.dont-reconnect": "true",
            "node.latency": f"{_CYCLE_FRAMES}/{self.rate_hz()}",
        }
        playing = {"media.category": "Playback", "node.name": f"{client_name}-mark"}
        recording = {"media.category": "Capture", "node.name": f"{client_name}-monitor", "stream.capture.sink": "true"}
        try:
            with self._locked():
                self._stream = self._run(wanted | playing, _OUTPUT, self._play)
                self._recorder = self._run(wanted | recording, _INPUT, self._record)
        except AudioDeviceError:
            self.close()
            raise

    def close(self) -> None:
        if self._recorder:
            with self._locked():
                self._library.pw_stream_destroy(c_void_p(self._recorder))
            self._recorder = 0
        super().close()

    def _run(self, wanted: Mapping[str, str], direction: int, process: Callable[[object], None]) -> int:
        properties = c_void_p(self._library.pw_properties_new_string(json.dumps(wanted).encode()))
        stream = self._library.pw_stream_new(c_void_p(self._core), wanted["node.name"].encode(), properties) or 0
        callback, hook = _Process(process), ctypes.create_string_buffer(_HOOK_BYTES)
        events = stream_events(ctypes.cast(callback, c_void_p).value)
        self._keep += [callback, hook, events]
        self._library.pw_stream_add_listener(c_void_p(stream), hook, byref(events), None)
        formats = stream_formats(self.rate_hz())
        flags = c_uint32(_FLAGS)
        result = self._library.pw_stream_connect(
            c_void_p(stream), direction, c_uint32(_ANY), flags, formats, c_uint32(1)
        )
        if result < 0:
            raise AudioDeviceError("The sink cannot be recorded (pipewire: error {number}).", number=-result)
        return int(stream)

    # ---- on the audio thread ----

    def _play(self, _data: object) -> None:
        """Write silence, and one mark when the recording runs."""
        buffer = self._dequeue(self._stream)
        if buffer is None:
            return
        data = buffer.buffer.contents.data[0]
        frames = min(buffer.requested or data.max_size, data.max_size // _FRAME_BYTES)
        ctypes.memset(data.data, 0, frames * _FRAME_BYTES)
        if self._mark_ns is None and self._blocks > _MARK_AFTER_BLOCKS:
            ctypes.cast(data.data, POINTER(ctypes.c_float))[0] = _MARK
            self._mark_ns = self._time(self._stream).now_ns
        chunk = data.chunk.contents
        chunk.offset, chunk.stride, chunk.size = 0, _FRAME_BYTES, frames * _FRAME_BYTES
        self._library.pw_stream_queue_buffer(c_void_p(self._stream), byref(buffer))

    def _record(self, _data: object) -> None:
        cycle, behind = self._time(self._recorder), self._time(self._stream)
        buffer = self._dequeue(self._recorder)
        if buffer is None:
            return
        data = buffer.buffer.contents.data[0]
        chunk = data.chunk.contents
        block = ctypes.string_at(data.data + chunk.offset, chunk.size) if data.data and chunk.size else b""
        self._library.pw_stream_queue_buffer(c_void_p(self._recorder), byref(buffer))
        self._blocks += 1
        if self._age_ns is None and self._mark_ns is not None and max(memoryview(block).cast("f"), default=0) > 0:
            self._age_ns = cycle.now_ns - self._mark_ns
        if block and self._age_ns is not None and behind.rate_denom:
            delay_ns = behind.delay * 1_000_000_000 * behind.rate_num // behind.rate_denom
            self._take(block, cycle.now_ns - self._age_ns + delay_ns)

    def _time(self, stream: int) -> _Time:
        time = _Time()
        self._library.pw_stream_get_time_n(c_void_p(stream), byref(time), c_size_t(sizeof(time)))
        return time

    def _dequeue(self, stream: int) -> Any:
        buffer = self._library.pw_stream_dequeue_buffer(c_void_p(stream))
        return buffer.contents if buffer else None
