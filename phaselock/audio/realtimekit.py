"""RealtimeKit: a D-Bus service that gives real-time scheduling to threads of programs without that permission.

Requests go over the system bus; inside a Flatpak they go through the portal on the session bus, which forwards them.
libdbus is loaded when it is needed. PipeWire and PulseAudio depend on it, so it is installed where they are.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any

from phaselock.errors import PhaseLockError
from phaselock.language.message import Message

TIMEOUT_ANSWER_MS = 3000
MIN_LIMIT_US = 20_000
"""Smallest limit on continuous computing that we accept. An audio callback takes some milliseconds, and the kernel ends
a process that exceeds its limit."""
_FLATPAK = "/.flatpak-info"


class Refused(PhaseLockError):
    """There is no real-time scheduling. The text is the reason."""


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """A D-Bus service. `bus` is 0 for the session bus, 1 for the system bus (DBusBusType)."""

    title: str
    bus: int
    name: bytes
    path: bytes
    interface: bytes


SYSTEM = Service(
    "RealtimeKit", 1, b"org.freedesktop.RealtimeKit1", b"/org/freedesktop/RealtimeKit1", b"org.freedesktop.RealtimeKit1"
)
PORTAL = Service(
    Message("The portal of Flatpak"),
    0,
    b"org.freedesktop.portal.Desktop",
    b"/org/freedesktop/portal/desktop",
    b"org.freedesktop.portal.Realtime",
)


def make_real_time(thread: int, level: int, service: Service | None = None) -> None:
    """Give this thread of this process real-time scheduling at `level`, or at the highest level that RealtimeKit
    permits. Refused if that is impossible.

    Afterwards the kernel ends the process if one of its real-time threads computes for longer than RealtimeKit's limit
    (200 ms) without waiting. This takes some milliseconds; if the service does not answer, up to TIMEOUT_ANSWER_MS for
    each of three calls.
    """
    connection = _Connection(service or (PORTAL if os.path.exists(_FLATPAK) else SYSTEM))
    try:
        limit_us = connection.number(b"RTTimeUSecMax")
        if limit_us < MIN_LIMIT_US:
            raise Refused(
                "{service} allows {limit_us} us of computing, which is too little.",
                service=connection.title,
                limit_us=limit_us,
            )
        _limit_computing(limit_us)
        highest = connection.number(b"MaxRealtimePriority")
        connection.make_thread_real_time(os.getpid(), thread, max(1, min(level, highest)))
    finally:
        connection.close()


def _limit_computing(limit_us: int) -> None:
    """Limit how long a real-time thread of this process may compute without waiting. RealtimeKit requires this."""
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
        if hard == resource.RLIM_INFINITY or hard > limit_us:
            resource.setrlimit(resource.RLIMIT_RTTIME, (limit_us, limit_us))


class _Error(ctypes.Structure):  # DBusError
    _fields_ = (("name", c_char_p), ("message", c_char_p), ("flags", c_uint32), ("padding", c_void_p))


class _Iterator(ctypes.Structure):  # DBusMessageIter; the real one is smaller
    _fields_ = (("fields", c_void_p * 16),)


_STRING, _UINT32, _UINT64, _INT32, _INT64, _VARIANT = b"sutixv"
_NUMBERS: dict[int, Any] = {_UINT32: c_uint32, _UINT64: c_uint64, _INT32: c_int32, _INT64: c_int64}


@functools.cache
def _library() -> Any:
    try:
        library: Any = ctypes.CDLL("libdbus-1.so.3")
    except OSError:
        raise Refused("RealtimeKit cannot be asked, for libdbus-1 is missing.") from None
    for name, result, *arguments in (
        ("bus_get_private", c_void_p, c_int, POINTER(_Error)),
        ("connection_set_exit_on_disconnect", None, c_void_p, c_uint32),
        ("connection_send_with_reply_and_block", c_void_p, c_void_p, c_void_p, c_int, POINTER(_Error)),
        ("connection_close", None, c_void_p),
        ("connection_unref", None, c_void_p),
        ("message_new_method_call", c_void_p, c_char_p, c_char_p, c_char_p, c_char_p),
        ("message_iter_init_append", None, c_void_p, POINTER(_Iterator)),
        ("message_iter_append_basic", c_uint32, POINTER(_Iterator), c_int, c_void_p),
        ("message_iter_init", c_uint32, c_void_p, POINTER(_Iterator)),
        ("message_iter_get_arg_type", c_int, POINTER(_Iterator)),
        ("message_iter_recurse", None, POINTER(_Iterator), POINTER(_Iterator)),
        ("message_iter_get_basic", None, POINTER(_Iterator), c_void_p),
        ("message_unref", None, c_void_p),
        ("error_init", None, POINTER(_Error)),
        ("error_free", None, POINTER(_Error)),
    ):
        function = getattr(library, f"dbus_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class _Connection:
    """A private connection to the bus of the service. Its constructor and its methods raise Refused."""

    def __init__(self, service: Service) -> None:
        self.title = service.title
        self._service = service
        self._library = _library()
        error = self._new_error()
        self._connection = self._library.dbus_bus_get_private(service.bus, byref(error))
        if not self._connection:
            self._library.dbus_error_free(byref(error))
            raise Refused("{service} cannot be asked, for there is no message bus.", service=service.title)
        self._library.dbus_connection_set_exit_on_disconnect(self._connection, 0)

    def number(self, name: bytes) -> int:
        """An integer property of the service."""
        reply = self._call(
            b"org.freedesktop.DBus.Properties", b"Get", (_STRING, self._service.interface), (_STRING, name)
        )
        try:
            outside, inside = _Iterator(), _Iterator()
            if self._library.dbus_message_iter_init(reply, byref(outside)):
                if self._library.dbus_message_iter_get_arg_type(byref(outside)) == _VARIANT:
                    self._library.dbus_message_iter_recurse(byref(outside), byref(inside))
                    if kind := _NUMBERS.get(self._library.dbus_message_iter_get_arg_type(byref(inside))):
                        value = kind()
                        self._library.dbus_message_iter_get_basic(byref(inside), byref(value))
                        return int(value.value)
        finally:
            self._library.dbus_message_unref(reply)
        raise Refused("{service} gives an answer that makes no sense.", service=self._service.title)

    def make_thread_real_time(self, process: int, thread: int, level: int) -> None:
        """Schedule the thread with SCHED_RR at this level."""
        arguments = (_UINT64, process), (_UINT64, thread), (_UINT32, level)
        reply = self._call(self._service.interface, b"MakeThreadRealtimeWithPID", *arguments)
        self._library.dbus_message_unref(reply)

    def close(self) -> None:
        """End the connection."""
        self._library.dbus_connection_close(self._connection)
        self._library.dbus_connection_unref(self._connection)

    def _call(self, interface: bytes, method: bytes, *arguments: tuple[int, int | bytes]) -> Any:
        """The reply to a method call; the caller has to unref it."""
        service = self._service
        message = self._library.dbus_message_new_method_call(service.name, service.path, interface, method)
        if not message:
            raise MemoryError
        error = self._new_error()
        try:
            place = _Iterator()
            self._library.dbus_message_iter_init_append(message, byref(place))
            for kind, value in arguments:
                holder = c_char_p(value) if isinstance(value, bytes) else _NUMBERS[kind](value)
                if not self._library.dbus_message_iter_append_basic(byref(place), kind, byref(holder)):
                    raise MemoryError
            reply = self._library.dbus_connection_send_with_reply_and_block(
                self._connection, message, TIMEOUT_ANSWER_MS, byref(error)
            )
            if not reply:
                raise _refused(service.title, (error.name or b"").decode("ascii", "replace"))
            return reply
        finally:
            self._library.dbus_error_free(byref(error))
            self._library.dbus_message_unref(message)

    def _new_error(self) -> _Error:
        error = _Error()
        self._library.dbus_error_init(byref(error))
        return error


def _refused(title: str, error: str) -> Refused:
    """The error for a D-Bus error name."""
    kind = error.rpartition(".")[2]
    if kind in ("ServiceUnknown", "NameHasNoOwner", "UnknownInterface", "UnknownMethod", "UnknownObject"):
        return Refused("{service} is not installed.", service=title)
    if kind in ("NoReply", "Timeout", "TimedOut", "Disconnected"):
        return Refused("{service} does not answer.", service=title)
    return Refused("{service} refuses it ({error}).", service=title, error=kind)
