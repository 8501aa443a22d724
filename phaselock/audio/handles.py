"""Where miniaudio keeps the platform's handle of an open device.

The package's cffi library hides those fields. They lie a fixed number of bytes behind a field that it shows, on every
64-bit platform. Of another version of miniaudio nothing is assumed: then the platform's account of the stream is not
asked.
"""

from __future__ import annotations

from typing import Any

from _miniaudio import ffi, lib

_LAYOUTS = {
    # version: bytes from ma_device.masterVolumeFactor to the platform's part of ma_device, and the place of
    # noFixedSizedCallback in ma_device_config
    "0.11.25": (3020, 27),
}

_FIELDS = {
    # the handle's number in the platform's part, all of pointers
    "alsa": 0,
    "pulseaudio": 2,
    "pulseaudio capture": 3,
    "jack": 0,
    "wasapi": 0,
    "coreaudio": 1,  # the numbers of both devices lie before it
}


def known() -> bool:
    """Whether the layout of this miniaudio is known."""
    return _layout() is not None


def handle(device: Any, backend: str) -> int | None:
    """The handle of an open `ma_device *` that plays (or records): the address of a snd_pcm_t, pa_stream,
    jack_client_t, IAudioClient or AudioUnit. None where it cannot be known."""
    layout = _layout()
    if layout is None or backend not in _FIELDS:
        return None
    place = ffi.cast("char *", device) + ffi.offsetof("ma_device", "masterVolumeFactor") + layout[0]
    return int(ffi.cast("uintptr_t *", place)[_FIELDS[backend]]) or None


def let_callbacks_vary(config: Any) -> bool:
    """Have the data callback called with as many frames as the platform asks for. Otherwise miniaudio fills a buffer of
    one period ahead of it. False where that cannot be asked for."""
    layout = _layout()
    if layout is not None:
        ffi.cast("unsigned char *", config)[layout[1]] = 1
    return layout is not None


def _layout() -> tuple[int, int] | None:
    if ffi.sizeof("void *") != 8:
        return None
    return _LAYOUTS.get(ffi.string(lib.ma_version_string()).decode())
