"""The latency that Windows tells of an output. Untested: no machine with Windows was at hand."""

from __future__ import annotations

import ctypes
import sys
import uuid
from typing import Any

from phaselock.audio.latency.probe import PeriodProbe

_ENUMERATOR = uuid.UUID("bcde0395-e52f-467c-8e3d-c4579291692e")
_IENUMERATOR = uuid.UUID("a95664d2-9614-4f35-a746-de8db63617e6")
_ICLIENT = uuid.UUID("1cb9ad4c-dbfa-4c32-b178-c2f568a703b2")
_IN_PROCESS = 23
_MULTITHREADED = 0
_RENDER, _CONSOLE, _SHARED = 0, 0, 0
_RELEASE, _GET_DEFAULT, _GET_DEVICE, _ACTIVATE = 2, 4, 5, 3
_INITIALIZE, _GET_STREAM_LATENCY, _GET_MIX_FORMAT = 3, 5, 8
_BUFFERED_PERIODS = 3
"""What miniaudio keeps in the system's buffer."""


class WasapiProbe(PeriodProbe):
    """Asks a client of its own, beside miniaudio's, for the latency of the shared stream behind its buffer."""

    def __init__(self, device_id: bytes | None, rate_hz: int, period_frames: int) -> None:
        super().__init__(rate_hz, period_frames)
        self._device_id = None if device_id is None else device_id.decode("utf-16-le", "replace").split("\0")[0]
        self._behind_ns: int | None = None

    def latency_ns(self) -> int | None:
        if self._behind_ns is None:
            try:
                self._behind_ns = _stream_latency_ns(self._device_id)
            except OSError:
                self._behind_ns = 0
        return self._behind_ns + (_BUFFERED_PERIODS + 1) * self.period_ns


if sys.platform == "win32":

    def _stream_latency_ns(device_id: str | None) -> int:
        """Raises OSError for every refusal of the system."""
        ole = ctypes.oledll.ole32
        ctypes.windll.ole32.CoInitializeEx(None, _MULTITHREADED)
        things: list[Any] = []
        mix_format = ctypes.c_void_p()

        def made() -> Any:
            things.append(ctypes.c_void_p())
            return ctypes.byref(things[-1])

        try:
            ole.CoCreateInstance(_ENUMERATOR.bytes_le, None, _IN_PROCESS, _IENUMERATOR.bytes_le, made())
            if device_id is None:
                _call(things[0], _GET_DEFAULT, ctypes.c_int(_RENDER), ctypes.c_int(_CONSOLE), made())
            else:
                _call(things[0], _GET_DEVICE, ctypes.c_wchar_p(device_id), made())
            _call(things[1], _ACTIVATE, _ICLIENT.bytes_le, ctypes.c_uint32(_IN_PROCESS), None, made())
            _call(things[2], _GET_MIX_FORMAT, ctypes.byref(mix_format))
            nothing = ctypes.c_int64(0)
            _call(things[2], _INITIALIZE, ctypes.c_int(_SHARED), ctypes.c_uint32(0), nothing, nothing, mix_format, None)
            latency = ctypes.c_int64()
            _call(things[2], _GET_STREAM_LATENCY, ctypes.byref(latency))
            return latency.value * 100
        finally:
            ctypes.windll.ole32.CoTaskMemFree(mix_format)
            for thing in reversed(things):
                if thing:
                    _call(thing, _RELEASE, result=ctypes.c_uint32)

    def _call(thing: Any, method: int, *arguments: Any, result: Any = ctypes.HRESULT) -> None:
        values = (ctypes.c_int, ctypes.c_uint32, ctypes.c_int64, ctypes.c_wchar_p)
        kinds = [type(argument) if isinstance(argument, values) else ctypes.c_void_p for argument in arguments]
        table = ctypes.cast(thing, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
        ctypes.WINFUNCTYPE(result, ctypes.c_void_p, *kinds)(table[method])(thing, *arguments)

else:

    def _stream_latency_ns(device_id: str | None) -> int:
        raise OSError("not Windows")
