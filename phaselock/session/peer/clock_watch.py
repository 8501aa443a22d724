"""Tells the user that the host's clock is not heard while the connection is open: UDP is blocked, but TCP is not."""

from __future__ import annotations

from collections.abc import Callable

from phaselock.model.notices import Code, Notice
from phaselock.model.types import ClockStatus
from phaselock.session.outbox import Outbox
from phaselock.session.states import CLOCK_SILENT_NS, HEARTBEAT_NS


class ClockWatch:
    """Watches one measurement of the host's clock. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None]) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        """Returns the session time at a local time; None while the clock is not usable."""
        self._port: int | None = None
        """The UDP port of the host's clock; None while it is not measured."""
        self._silent_since_ns: int | None = None
        """None: the clock is heard."""
        self._is_user_warned = False

    def start(self, port: int, *, now_ns: int) -> None:
        """The host's clock is measured from now on."""
        self._port, self._silent_since_ns, self._is_user_warned = port, now_ns, False

    def stop(self) -> None:
        """The host's clock is not measured, or the host is lost."""
        self._port = None

    def restart(self, *, now_ns: int) -> None:
        """This computer was suspended: it could not hear the clock."""
        if self._silent_since_ns is not None:
            self._silent_since_ns = now_ns

    def take(self, status: ClockStatus, *, host_heard_at_ns: int, now_ns: int) -> None:
        """The state of the measurement. If the host is not heard by TCP either, it is lost, and no port is blocked."""
        if not status.stale:
            self._silent_since_ns, self._is_user_warned = None, False
        elif self._silent_since_ns is None:
            self._silent_since_ns = now_ns
        elif (
            now_ns - self._silent_since_ns >= CLOCK_SILENT_NS
            and host_heard_at_ns - self._silent_since_ns >= CLOCK_SILENT_NS - HEARTBEAT_NS
        ):
            self._warn(Code.CLOCK_SILENT, "", now_ns)

    def failed(self, reason: str, *, now_ns: int) -> None:
        """The system does not let this machine send to the host's clock."""
        self._warn(Code.CLOCK_UNREACHABLE, reason, now_ns)

    def _warn(self, code: Code, detail: str, now_ns: int) -> None:
        if self._port is not None and not self._is_user_warned:
            self._is_user_warned = True
            self._outbox.warn(Notice(code, detail, number=self._port), self._session_ns(now_ns))
