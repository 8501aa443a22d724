"""What the platform says of the way from a callback to the loudspeaker, asked beside the stream, never on its thread.

A figure of this module runs from the entry of a callback to the moment at which its first frame leaves the
loudspeaker: the platform's latency and, as miniaudio fills its fixed-size buffer one period ahead of the device, one
callback period.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
from typing import Protocol

from phaselock.errors import AudioDeviceError


class LatencyProbe(Protocol):
    """The account that one platform gives of one open output. Used from one thread at a time."""

    @property
    def period_frames(self) -> int:
        """Frames of one callback."""

    def latency_ns(self) -> int | None:
        """The figure of this module; None while the platform gives none. May ask a server and wait a little."""

    def alive(self) -> bool:
        """False once the sound server is known to be gone. Never waits."""

    def close(self) -> None:
        """Let go of the platform."""


def open_probe(backend: str, client_name: str, rate_hz: int, period_frames: int) -> LatencyProbe:
    """The probe of an output just opened with callbacks of `period_frames` (0: the platform knows)."""
    if backend == "jack":
        return JackProbe()
    return PeriodProbe(rate_hz, period_frames)


class PeriodProbe:
    """No account at all: the period that miniaudio works ahead, and nothing behind it. True of the null backend."""

    def __init__(self, rate_hz: int, period_frames: int) -> None:
        self.period_frames = period_frames
        self._rate_hz = rate_hz

    def latency_ns(self) -> int | None:
        return _ns(self.period_frames, self._rate_hz)

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

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self._jack.jack_client_close(self._client)


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
