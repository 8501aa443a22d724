"""The latency that a JACK server tells."""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys

from phaselock.audio.latency.probe import frames_ns, load
from phaselock.errors import AudioDeviceError


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
        return frames_ns(latency_frames + self.period_frames, self._rate_hz)

    def cycle_clock(self) -> tuple[int, int]:
        return ctypes.cast(self._jack.jack_get_cycle_times, ctypes.c_void_p).value or 0, int(self._client)

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
    jack = load("libjack.dll", "libjack64.dll") if sys.platform == "win32" else load("libjack.so", "libjack.so.0")
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
