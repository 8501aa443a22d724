"""A fake RealtimeKit on the bus of DBUS_SYSTEM_BUS_ADDRESS, or a fake portal on that of DBUS_SESSION_BUS_ADDRESS.

usage: python realtimekit.py system|portal grant|refuse|silent HIGHEST_LEVEL LIMIT_US

Prints "ready", then each request as a JSON list. It does what RealtimeKit does: SCHED_RR where this process may.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from ctypes import byref, c_char_p, c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p

from phaselock.audio import realtimekit

METHOD_CALL = 1


class Iterator(ctypes.Structure):
    _fields_ = (("fields", c_void_p * 16),)


dbus = ctypes.CDLL("libdbus-1.so.3")
for name in ("bus_get_private", "connection_pop_message", "message_new_method_return", "message_new_error"):
    getattr(dbus, f"dbus_{name}").restype = c_void_p
dbus.dbus_message_get_member.restype = c_char_p
KINDS = {"s": c_char_p, "t": c_uint64, "u": c_uint32, "i": c_int32, "x": c_int64}


def arguments(message: c_void_p) -> list[bytes | int]:
    place, found = Iterator(), []
    dbus.dbus_message_iter_init(message, byref(place))
    while kind := dbus.dbus_message_iter_get_arg_type(byref(place)):
        value = KINDS[chr(kind)]()
        dbus.dbus_message_iter_get_basic(byref(place), byref(value))
        found.append(value.value)
        dbus.dbus_message_iter_next(byref(place))
    return found


def reply_with(message: c_void_p, kind: str, value: int) -> c_void_p:
    reply = c_void_p(dbus.dbus_message_new_method_return(message))
    outside, inside = Iterator(), Iterator()
    dbus.dbus_message_iter_init_append(reply, byref(outside))
    dbus.dbus_message_iter_open_container(byref(outside), ord("v"), kind.encode(), byref(inside))
    dbus.dbus_message_iter_append_basic(byref(inside), ord(kind), byref(KINDS[kind](value)))
    dbus.dbus_message_iter_close_container(byref(outside), byref(inside))
    return reply


def answer(message: c_void_p, mode: str, highest: int, limit_us: int) -> c_void_p:
    asked = arguments(message)
    if dbus.dbus_message_get_member(message) == b"Get":
        properties = {b"RTTimeUSecMax": ("x", limit_us), b"MaxRealtimePriority": ("i", highest)}
        return reply_with(message, *properties[asked[1]])
    print(json.dumps(asked), flush=True)
    if mode == "refuse":
        return c_void_p(dbus.dbus_message_new_error(message, b"org.freedesktop.DBus.Error.AccessDenied", b"No."))
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(asked[1], os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(asked[2]))
    return c_void_p(dbus.dbus_message_new_method_return(message))


def main(where: str, mode: str, highest: str, limit_us: str) -> None:
    service = {"system": realtimekit.SYSTEM, "portal": realtimekit.PORTAL}[where]
    connection = c_void_p(dbus.dbus_bus_get_private(service.bus, None))
    assert dbus.dbus_bus_request_name(connection, service.name, 0, None) == 1
    print("ready", flush=True)
    while dbus.dbus_connection_read_write(connection, c_int(-1)):
        while message := dbus.dbus_connection_pop_message(connection):
            message = c_void_p(message)
            if dbus.dbus_message_get_type(message) == METHOD_CALL and mode != "silent":
                reply = answer(message, mode, int(highest), int(limit_us))
                dbus.dbus_connection_send(connection, reply, None)


main(*sys.argv[1:])
