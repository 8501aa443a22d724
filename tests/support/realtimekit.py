"""A fake RealtimeKit on the bus of DBUS_SYSTEM_BUS_ADDRESS, or a fake portal on that of DBUS_SESSION_BUS_ADDRESS.

usage: python realtimekit.py system|portal grant|refuse|silent HIGHEST_LEVEL LIMIT_US

Prints "ready", then each request as a JSON list. It does what RealtimeKit does: SCHED_RR where this process may.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from phaselock.audio import realtimekit
from phaselock.desktop.bus import Bus
from tests.support.message_bus import Answer, ServiceError, serve


def main(where: str, mode: str, highest: str, limit_us: str) -> None:
    service = {"system": realtimekit.SYSTEM, "portal": realtimekit.PORTAL}[where]
    properties = {"RTTimeUSecMax": ("x", int(limit_us)), "MaxRealtimePriority": ("i", int(highest))}

    def answer(method: str, asked: tuple[Any, ...]) -> Answer | None:
        if mode == "silent":
            return None
        if method == "Get":
            return "v", (properties[asked[1]],)
        print(json.dumps(asked), flush=True)
        if mode == "refuse":
            raise ServiceError("org.freedesktop.DBus.Error.AccessDenied")
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(asked[1], os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(asked[2]))
        return "", ()

    serve(Bus(service.bus), service.name, answer, lambda: print("ready", flush=True))


main(*sys.argv[1:])
