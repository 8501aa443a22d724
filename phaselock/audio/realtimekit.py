"""RealtimeKit: a D-Bus service that gives real-time scheduling to threads of programs without that permission.

Requests go over the system bus; inside a Flatpak they go through the portal on the session bus, which forwards them.
"""

from __future__ import annotations

import os
import sys

from phaselock.desktop.bus import Bus, BusError, Name
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.language.message import Message

TIMEOUT_ANSWER_S = 3.0
MIN_LIMIT_US = 20_000
"""Smallest limit on continuous computing that we accept. An audio callback takes some milliseconds, and the kernel ends
a process that exceeds its limit."""
_FLATPAK = "/.flatpak-info"


class Refused(PhaseLockError):
    """There is no real-time scheduling. The text is the reason."""


@frozen
class Service:
    """A D-Bus service."""

    title: str
    bus: Name
    name: str
    path: str
    interface: str


SYSTEM = Service(
    "RealtimeKit",
    "system",
    "org.freedesktop.RealtimeKit1",
    "/org/freedesktop/RealtimeKit1",
    "org.freedesktop.RealtimeKit1",
)
PORTAL = Service(
    Message("The portal of Flatpak"),
    "session",
    "org.freedesktop.portal.Desktop",
    "/org/freedesktop/portal/desktop",
    "org.freedesktop.portal.Realtime",
)


def make_real_time(thread: int, level: int, service: Service | None = None) -> None:
    """Give this thread of this process real-time scheduling at `level`, or at the highest level that RealtimeKit
    permits. Refused if that is impossible.

    Afterwards the kernel ends the process if one of its real-time threads computes for longer than RealtimeKit's limit
    (200 ms) without waiting. This takes some milliseconds; if the service does not answer, up to TIMEOUT_ANSWER_S for
    each of three calls.
    """
    connection = _Connection(service or (PORTAL if os.path.exists(_FLATPAK) else SYSTEM))
    try:
        limit_us = connection.number("RTTimeUSecMax")
        if limit_us < MIN_LIMIT_US:
            raise Refused(
                "{service} allows {limit_us} us of computing, which is too little.",
                service=connection.title,
                limit_us=limit_us,
            )
        _limit_computing(limit_us)
        highest = connection.number("MaxRealtimePriority")
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


class _Connection:
    """A connection to the bus of the service. Its constructor and its methods raise Refused."""

    def __init__(self, service: Service) -> None:
        self.title = service.title
        self._service = service
        try:
            self._bus = Bus(service.bus)
        except BusError:
            raise Refused("{service} cannot be asked, for there is no message bus.", service=service.title) from None

    def number(self, name: str) -> int:
        """An integer property of the service."""
        match self._call("org.freedesktop.DBus.Properties", "Get", "ss", (self._service.interface, name)):
            case ((str(), int(value)),):
                return value
        raise Refused("{service} gives an answer that makes no sense.", service=self._service.title)

    def make_thread_real_time(self, process: int, thread: int, level: int) -> None:
        """Schedule the thread with SCHED_RR at this level."""
        self._call(self._service.interface, "MakeThreadRealtimeWithPID", "ttu", (process, thread, level))

    def close(self) -> None:
        """End the connection."""
        self._bus.close()

    def _call(self, interface: str, method: str, signature: str, arguments: tuple[int | str, ...]) -> object:
        """The results of a method call."""
        service = self._service
        try:
            return self._bus.call(
                service.name, service.path, interface, method, signature, arguments, timeout_s=TIMEOUT_ANSWER_S
            ).body
        except BusError as error:
            raise _refused(service.title, error.error) from None


def _refused(title: str, error: str) -> Refused:
    """The error for a D-Bus error name."""
    kind = error.rpartition(".")[2]
    if kind in ("ServiceUnknown", "NameHasNoOwner", "UnknownInterface", "UnknownMethod", "UnknownObject"):
        return Refused("{service} is not installed.", service=title)
    if kind in ("NoReply", "Timeout", "TimedOut", "Disconnected"):
        return Refused("{service} does not answer.", service=title)
    return Refused("{service} refuses it ({error}).", service=title, error=kind)
