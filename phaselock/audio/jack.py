"""Calls to libjack that miniaudio does not make: suppress its messages, and read the latency of our ports."""

from __future__ import annotations

import ctypes
import functools
import sys

_JACK_IS_PHYSICAL, _JACK_IS_INPUT = 4, 1
_JACK_PLAYBACK_LATENCY = 1


class _Range(ctypes.Structure):
    _fields_ = (("min", ctypes.c_uint32), ("max", ctypes.c_uint32))


def quieten_jack() -> None:
    """Stop libjack from writing to standard error that no server runs; the caller reports that itself."""
    jack = _libjack()
    if sys.platform != "win32" and jack is not None and hasattr(jack, "jack_set_error_function"):
        # A C function that accepts a string and has no effect. A Python function would take the GIL on the audio
        # thread.
        silence = ctypes.CDLL(None).strlen
        jack.jack_set_error_function(silence)
        jack.jack_set_info_function(silence)


def is_pipewire() -> bool:
    """True if libjack is the one of PipeWire, which connects to PipeWire's server."""
    jack = _libjack()
    if jack is None or not hasattr(jack, "jack_get_version_string"):
        return False
    jack.jack_get_version_string.restype = ctypes.c_char_p
    return b"PipeWire" in (jack.jack_get_version_string() or b"")


def playback_latency_ns(client: int) -> int | None:
    """Time from the start of a cycle until its first frame leaves the loudspeaker, as reported by the ports that the
    client (a jack_client_t, by address) plays to. None if there are none. Do not call this on the audio thread."""
    jack = _libjack()
    if jack is None:
        return None
    # miniaudio connects its ports to the physical inputs. In JACK the playback latency of an input is the delay after
    # it.
    names = jack.jack_get_ports(client, None, b"32 bit float mono audio", _JACK_IS_PHYSICAL | _JACK_IS_INPUT)
    if not names:
        return None
    latency_frames, index = 0, 0
    while names[index]:
        reach = _Range()
        port = jack.jack_port_by_name(client, names[index])
        jack.jack_port_get_latency_range(port, _JACK_PLAYBACK_LATENCY, ctypes.byref(reach))
        latency_frames, index = max(latency_frames, reach.max), index + 1
    jack.jack_free(names)
    return latency_frames * 1_000_000_000 // int(jack.jack_get_sample_rate(client))


@functools.cache
def _libjack() -> ctypes.CDLL | None:
    # The names that miniaudio tries, in the same order, so that both use the same library.
    names = ("libjack.dll", "libjack64.dll") if sys.platform == "win32" else ("libjack.so", "libjack.so.0")
    jack = None
    for name in names:
        try:
            jack = ctypes.CDLL(name)
            break
        except OSError:
            continue
    if jack is not None:
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        jack.jack_get_sample_rate.restype = ctypes.c_uint32
        jack.jack_get_sample_rate.argtypes = (pointer,)
        jack.jack_get_ports.restype = ctypes.POINTER(text)
        jack.jack_get_ports.argtypes = (pointer, text, text, ctypes.c_ulong)
        jack.jack_port_by_name.restype = pointer
        jack.jack_port_by_name.argtypes = (pointer, text)
        jack.jack_port_get_latency_range.restype = None
        jack.jack_port_get_latency_range.argtypes = (pointer, ctypes.c_int, pointer)
        jack.jack_free.restype = None
        jack.jack_free.argtypes = (pointer,)
    return jack
