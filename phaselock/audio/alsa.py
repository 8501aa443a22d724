"""Calls to libasound that miniaudio does not make: suppress its messages, and find out what is behind a PCM."""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, byref, c_char_p, c_void_p
from typing import Any

from phaselock.audio.link import Link

_DISCONNECTED = 8
"""SND_PCM_STATE_DISCONNECTED."""
_SERVERS = ("pipewire", "pulse", "jack")
_MAX_SLAVES = 8
"""How many definitions `is_default_a_server` follows; a configuration may be circular."""


def quieten_alsa() -> None:
    """Stop libasound from writing to standard error that there is no card; the caller reports that itself.

    This library stays loaded, and miniaudio loads the same one.
    """
    library = _library()
    if library is not None:
        # A C function that accepts a string and has no effect. A Python function would take the GIL on the audio
        # thread.
        library.snd_lib_error_set_handler(ctypes.CDLL(None).strlen)


def link_behind(pcm: int) -> Link:
    """What is behind an open snd_pcm_t, given by its address. The PCM must not be running.

    The type of a PCM does not distinguish the plugin of a sound server from the plugin of a card. The name of the
    plugin in the dump does: "ALSA <-> PipeWire PCM I/O Plugin", "ALSA <-> PulseAudio PCM I/O Plugin", "BlueALSA".
    """
    library = _library()
    output, text = c_void_p(), c_char_p()
    if library is None or library.snd_output_buffer_open(byref(output)) < 0:
        return "wire"
    try:
        library.snd_pcm_dump(c_void_p(pcm), output)
        length = library.snd_output_buffer_string(output, byref(text))
        lines = (text.value or b"")[:length].decode("utf-8", "replace").lower().splitlines()
    finally:
        library.snd_output_close(output)
    if any("<->" in line and any(server in line for server in _SERVERS) for line in lines):
        return "server"
    return "bluetooth" if any("bluealsa" in line for line in lines) else "wire"


def is_plugged(pcm: int) -> bool:
    """False if the card of an open snd_pcm_t, given by its address, was unplugged."""
    library = _library()
    return library is None or int(library.snd_pcm_state(c_void_p(pcm))) != _DISCONNECTED


def is_default_a_server() -> bool:
    """True if ALSA's configuration sends its "default" to a sound server; False if not, or if it cannot be read."""
    library = _library()
    if library is None or library.snd_config_update() < 0:
        return False
    name = b"default"
    for _ in range(_MAX_SLAVES):
        top, found = c_void_p.in_dll(library, "snd_config"), c_void_p()
        if library.snd_config_search_definition(top, b"pcm", name, byref(found)) < 0:
            return False
        try:
            kind = _text(library, found, b"type")
            slave = _text(library, found, b"slave.pcm") or _text(library, found, b"slave.pcm.type")
        finally:
            library.snd_config_delete(found)
        if kind.decode("utf-8", "replace") in _SERVERS or slave.decode("utf-8", "replace") in _SERVERS:
            return True
        if not slave:
            return False
        name = slave
    return False


def _text(library: Any, config: c_void_p, key: bytes) -> bytes:
    entry, value = c_void_p(), c_char_p()
    if library.snd_config_search(config, key, byref(entry)) < 0:
        return b""
    return (value.value or b"") if library.snd_config_get_string(entry, byref(value)) >= 0 else b""


@functools.cache
def _library() -> Any:
    try:
        library: Any = ctypes.CDLL("libasound.so.2")
    except OSError:
        return None
    library.snd_output_buffer_string.argtypes = (c_void_p, POINTER(c_char_p))
    library.snd_output_buffer_string.restype = ctypes.c_size_t
    return library
