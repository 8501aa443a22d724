"""The place of the platform's handle in an open miniaudio device.

The package's cffi library does not declare these fields. On every 64-bit platform they follow a declared field at a
fixed distance. For other versions of miniaudio the distance is unknown: then the platform's account of the stream is
not used.
"""

from __future__ import annotations

from typing import Any

from _miniaudio import ffi, lib

_LAYOUTS = {
    # version: bytes from ma_device.masterVolumeFactor to the platform's part of ma_device, and the offset in bytes of
    # noFixedSizedCallback in ma_device_config
    "0.11.25": (3020, 27),
}

_FIELDS = {
    # index of the handle in the platform's part, which is an array of pointers
    "alsa": 0,
    "pulseaudio": 2,
    "pulseaudio capture": 3,
    "jack": 0,
    "wasapi": 0,
    "coreaudio": 1,  # after the ids of both devices
}


def known() -> bool:
    """True if the layout of this version of miniaudio is known."""
    return _layout() is not None


def handle(device: Any, backend: str) -> int | None:
    """The handle of an open `ma_device *` that plays (or records): the address of a snd_pcm_t, pa_stream,
    jack_client_t, IAudioClient or AudioUnit. None if the layout is unknown."""
    layout = _layout()
    if layout is None or backend not in _FIELDS:
        return None
    place = ffi.cast("char *", device) + ffi.offsetof("ma_device", "masterVolumeFactor") + layout[0]
    return int(ffi.cast("uintptr_t *", place)[_FIELDS[backend]]) or None


def let_callbacks_vary(config: Any) -> bool:
    """Let the platform decide how many frames each data callback gets; else miniaudio buffers one more period. Return
    False if the layout is unknown."""
    layout = _layout()
    if layout is not None:
        ffi.cast("unsigned char *", config)[layout[1]] = 1
    return layout is not None


def _layout() -> tuple[int, int] | None:
    if ffi.sizeof("void *") != 8:
        return None
    return _LAYOUTS.get(ffi.string(lib.ma_version_string()).decode())
