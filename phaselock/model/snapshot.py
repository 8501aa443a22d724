"""What the screens and `peers`, `queue` and `status` show: one consistent look at a session."""

from __future__ import annotations

import dataclasses

from phaselock.model.queue import QueueItem
from phaselock.model.timeline import Timeline


@dataclasses.dataclass(frozen=True, slots=True)
class PeerView:
    """A peer as the host knows it from the peer's own reports (zeros before the first one)."""

    peer_id: int
    name: str
    ready: bool
    """It has every file of the queue."""
    reported: bool
    """At least one report has come; the figures below mean something."""
    clock_usable: bool
    clock_stale: bool
    rtt_ns: int
    phase_error_ns: int
    offset_uncertainty_ns: int
    dac_uncertainty_ns: int
    drift_ppb: int
    output_latency_ns: int
    device_name: str | None
    underruns: int


@dataclasses.dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The session as this machine knows it. A peer sees only names of the others (`peers` is empty there)."""

    session_name: str
    host_name: str
    display_name: str
    """This machine's own."""
    queue: tuple[QueueItem, ...]
    timeline: Timeline | None
    """The line of the track that is playing, about to start, or paused (then it has a stop)."""
    then: Timeline | None
    """The armed line of the next track."""
    peers: tuple[PeerView, ...] = ()
