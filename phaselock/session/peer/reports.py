"""The reports of a peer to its host, about its clock and its output: their values, and when they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from phaselock.model.names import sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.role import Role
from phaselock.model.types import AudioStatus, ClockStatus
from phaselock.protocol import messages as m
from phaselock.session.effects import HOST_CONN, Send
from phaselock.session.outbox import Outbox
from phaselock.session.proof import Proof
from phaselock.session.states import UNKNOWN_UNCERTAINTY_NS, needs_too_long, wire_uncertainty_ns

DEVICE_CHARS = 60
"""Longest name of an output in a PeerStatus; longer names are cut."""
STATUS_NS = 1_000_000_000
"""Interval between two PeerStatus messages."""
EARLY_STATUS_NS = 200_000_000
"""The same during EARLY_NS."""
SLACK_NS = 150_000_000
"""The next call of `take` is waited for this long before an older state is sent: the runner makes one each second."""
EARLY_NS = 5_000_000_000
"""For this time after joining, PeerStatus is sent more often: the host may wait for a settled clock."""
LATENCY_STEP_NS = 1_000_000
"""Smallest change of the output latency that causes a PeerStatus at once."""
UNKNOWN_ROOM_BYTES = 1 << 30
"""Free space in a PeerStatus before the first call of `PeerSession.room`."""


class StatusReports:
    """The PeerStatus messages of a peer. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None]) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        """Returns the session time at a local time; None while the clock is not usable."""
        self._is_user_warned = False
        """That this machine needs too long for commands."""
        self.room_bytes = UNKNOWN_ROOM_BYTES
        self.volume_percent = 100
        self.muted = False
        self.role: Role = "stereo"
        self.proof = Proof()
        self.microphone = False
        """The host may listen by this machine's microphone."""
        self._status: m.PeerStatus | None = None
        """The newest one; None before the first call of `take`."""
        self._sent: m.PeerStatus | None = None
        """The last one that the host received; None after joining."""
        self._joined_at_ns = 0
        self._due_at_ns = 0
        self._is_fresh = False
        """`take` was called after the last `settle`."""

    def joined(self, *, now_ns: int) -> None:
        """The host has accepted this peer: the next report is due at once."""
        self._sent = None
        self.proof.end()
        self._joined_at_ns = self._due_at_ns = now_ns

    def take(self, status: AudioStatus, clock: ClockStatus) -> None:
        """The newest state of the output and of the session clock."""
        self.proof.take(status.device_name, status.correction_ns)
        self._is_fresh = True
        self._status = _peer_status(
            status,
            clock,
            room_bytes=self.room_bytes,
            volume_percent=self.volume_percent,
            muted=self.muted,
            role=self.role,
            microphone=self.microphone,
        )

    def change_volume(self, volume_percent: int | None, muted: bool | None) -> None:
        """The host sets the volume, 0 to 100, or mutes the output; None: unchanged."""
        self.volume_percent = self.volume_percent if volume_percent is None else volume_percent
        self.muted = self.muted if muted is None else muted

    def settle(self, *, now_ns: int) -> bool:
        """Send a report if it is due, or if the host must know a change at once. The peer must be connected. True: the
        report is also its sign of life."""
        status, sent = self._status, self._sent
        if status is None:
            return False
        moved = (
            sent is None
            or _at_once(sent) != _at_once(status)
            or abs(sent.output_latency_ns - status.output_latency_ns) > LATENCY_STEP_NS
        )
        wait_ns = 0 if self._is_fresh else SLACK_NS
        self._is_fresh = False
        is_due = moved or now_ns >= self._due_at_ns + wait_ns
        if is_due:
            early = now_ns - self._joined_at_ns < EARLY_NS
            self._due_at_ns = now_ns + (EARLY_STATUS_NS if early else STATUS_NS)
            self._sent = status
            self._outbox.do(Send(HOST_CONN, status))
            self._warn_if_slow(status, now_ns)
        return is_due

    def _warn_if_slow(self, status: m.PeerStatus, now_ns: int) -> None:
        """Warn the user once if the host does not wait for what this machine needs."""
        slow = needs_too_long(status.output_latency_ns, status.rtt_ns if status.clock_usable else 0)
        if slow and not self._is_user_warned:
            needs_ms = (status.output_latency_ns + status.rtt_ns) // 1_000_000
            self._outbox.warn(Notice(Code.TOO_SLOW, number=needs_ms), self._session_ns(now_ns))
        self._is_user_warned = slow

    def deadlines_ns(self) -> Iterator[int]:
        """The local time at which `settle` must be called, if there is a report to send."""
        if self._status is not None:
            yield self._due_at_ns + SLACK_NS


def _peer_status(
    status: AudioStatus,
    clock: ClockStatus,
    *,
    room_bytes: int,
    volume_percent: int,
    muted: bool,
    role: Role,
    microphone: bool,
) -> m.PeerStatus:
    """The message for the host, with all numbers inside their bounds. `room_bytes`: see `PeerSession.room`."""
    uncertainty_ns = status.dac_uncertainty_ns
    return m.PeerStatus(
        phase_error_ns=_within(-UNKNOWN_UNCERTAINTY_NS, status.phase_error_ns, UNKNOWN_UNCERTAINTY_NS),
        offset_uncertainty_ns=wire_uncertainty_ns(clock.uncertainty_ns),
        dac_deviation_ns=wire_uncertainty_ns(status.dac_deviation_ns),
        dac_uncertainty_ns=None if uncertainty_ns is None else wire_uncertainty_ns(uncertainty_ns),
        timing=status.timing,
        drift_ppb=_within(-(10**9), round((clock.drift_ppm or 0.0) * 1000), 10**9),
        rtt_ns=_within(0, clock.rtt_ns or 0, m.MAX_DURATION_NS),
        least_rtt_ns=_within(0, clock.least_rtt_ns or 0, m.MAX_DURATION_NS),
        output_latency_ns=_within(0, status.output_latency_ns, m.MAX_DURATION_NS),
        device_name=None if status.device_name is None else sentence(status.device_name)[:DEVICE_CHARS],
        underruns=status.underruns,
        clock_usable=clock.usable,
        clock_stale=clock.stale,
        room_bytes=room_bytes,
        volume_percent=volume_percent,
        muted=muted,
        role=role,
        trim_db=status.trim_db,
        correction_ns=_within(-UNKNOWN_UNCERTAINTY_NS, status.correction_ns, UNKNOWN_UNCERTAINTY_NS),
        microphone=microphone,
    )


def _at_once(status: m.PeerStatus) -> tuple[object, ...]:
    """The values whose change is sent to the host at once."""
    volume = status.volume_percent, status.muted, status.role, status.trim_db
    return status.device_name, status.timing, status.correction_ns, status.microphone, *volume


def _within(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
