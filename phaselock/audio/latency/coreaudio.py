"""The latency that macOS tells of an output. Untested: no machine with macOS was at hand."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from phaselock.audio.latency.probe import PeriodProbe, frames_ns, load

_SYSTEM = 1
_UTF8 = 0x08000100


class _Address(ctypes.Structure):
    _fields_ = (("selector", ctypes.c_uint32), ("scope", ctypes.c_uint32), ("element", ctypes.c_uint32))


class CoreAudioProbe(PeriodProbe):
    """Asks for what an output takes behind its buffer: device, safety offset, stream. The buffer comes to that."""

    def __init__(self, device_id: bytes | None, rate_hz: int, period_frames: int) -> None:
        super().__init__(rate_hz, period_frames)
        self._rate_hz = rate_hz
        self._uid = None if device_id is None else device_id.split(b"\0")[0]

    def latency_ns(self) -> int | None:
        device = _get(_SYSTEM, b"dOut", b"glob") if self._uid is None else _find(self._uid)
        if not device:
            return self.period_ns
        frames = sum(_get(device, what, b"outp") or 0 for what in (b"ltnc", b"saft", b"fsiz"))
        stream = _get(device, b"stm#", b"outp")
        frames += (stream and _get(stream, b"ltnc", b"glob")) or 0
        return frames_ns(frames, self._rate_hz) + self.period_ns


def _get(thing: int, selector: bytes, scope: bytes, qualifier: Any = None) -> int | None:
    """The (first) 32-bit value of a property; None where it is missing."""
    address = _Address(int.from_bytes(selector, "big"), int.from_bytes(scope, "big"), 0)
    values = (ctypes.c_uint32 * 64)()
    size = ctypes.c_uint32(ctypes.sizeof(values))
    failed = _core_audio().AudioObjectGetPropertyData(
        ctypes.c_uint32(thing),
        ctypes.byref(address),
        ctypes.c_uint32(0 if qualifier is None else ctypes.sizeof(qualifier)),
        None if qualifier is None else ctypes.byref(qualifier),
        ctypes.byref(size),
        values,
    )
    return None if failed or size.value < 4 else int(values[0])


def _find(uid: bytes) -> int | None:
    foundation = _core_foundation()
    text = ctypes.c_void_p(foundation.CFStringCreateWithCString(None, uid, ctypes.c_uint32(_UTF8)))
    try:
        return _get(_SYSTEM, b"uidd", b"glob", text)
    finally:
        if text:
            foundation.CFRelease(text)


@functools.cache
def _core_audio() -> Any:
    return load("/System/Library/Frameworks/CoreAudio.framework/CoreAudio")


@functools.cache
def _core_foundation() -> Any:
    foundation: Any = load("/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation")
    foundation.CFStringCreateWithCString.restype = ctypes.c_void_p
    foundation.CFRelease.restype = None
    return foundation
