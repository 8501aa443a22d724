"""What the screens and `peers`, `queue`, `requests` and `status` show: one consistent look at a session."""

from __future__ import annotations

import dataclasses
import enum
from uuid import UUID

from phaselock.model.queue import QueueItem
from phaselock.model.timeline import Timeline
from phaselock.model.timing import Timing

GREEN_NS = 10_000_000
YELLOW_NS = 100_000_000


class LatencyClass(enum.StrEnum):
    """How far away a peer is: below 10 ms, up to 100 ms, more (or its clock does not converge)."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class FileState(enum.StrEnum):
    """What one file does at one peer, if it is neither simply there nor simply not."""

    SENDING = "sending"
    FAILED = "failed"
    """Given up after three tries, until somebody asks for more."""
    UNPLAYABLE = "unplayable"
    """It is there, and cannot be decoded there."""


@dataclasses.dataclass(frozen=True, slots=True)
class FileView:
    """One such track of the queue at one peer."""

    file_id: UUID
    state: FileState
    done_bytes: int
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class PeerView:
    """A peer as the host knows it from the peer's own reports (zeros before the first one)."""

    peer_id: int
    name: str
    ready: bool
    """It has every file of the queue."""
    have: frozenset[UUID]
    """The tracks that are there."""
    files: tuple[FileView, ...]
    files_total: int
    """So many tracks are in the queue."""
    waited_for: bool
    """Playing waits until it has the file."""
    reported: bool
    """At least one report has come; the figures below mean something."""
    clock_usable: bool
    clock_stale: bool
    rtt_ns: int
    phase_error_ns: int
    offset_uncertainty_ns: int | None
    """None while its clock is not known."""
    dac_uncertainty_ns: int | None
    timing: Timing
    drift_ppb: int
    output_latency_ns: int
    device_name: str | None
    underruns: int

    @property
    def latency_ns(self) -> int:
        """One way, as half of the round trip."""
        return self.rtt_ns // 2

    @property
    def latency_class(self) -> LatencyClass:
        """The colour of its dot."""
        if not self.clock_usable or self.latency_ns > YELLOW_NS:
            return LatencyClass.RED
        return LatencyClass.YELLOW if self.latency_ns >= GREEN_NS else LatencyClass.GREEN


class RequestState(enum.StrEnum):
    """How far the wish of a peer for a song is."""

    OPEN = "open"
    """Nobody at the host has decided."""
    ACCEPTED = "accepted"
    """It is on its way to the host."""
    ADDED = "added"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class RequestView:
    """A wish for a song. `number` is what people call it by."""

    request_id: UUID
    number: int
    peer_name: str
    file_name: str
    size: int
    state: RequestState
    done_bytes: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The session as this machine knows it. A peer sees only names of the others (`peers` is empty there)."""

    session_name: str
    host_name: str
    display_name: str
    """This machine's own."""
    queue: tuple[QueueItem, ...]
    now: QueueItem | None
    """The track of `timeline`; it may have been taken out of the queue while it plays."""
    timeline: Timeline | None
    """The line of the track that is playing, about to start, or paused (then it has a stop)."""
    then: Timeline | None
    """The armed line of the next track."""
    waiting_for: QueueItem | None = None
    """Host: what starts by itself as soon as everybody has it."""
    upcoming: UUID | None = None
    """Host: what `Play` without a track would start if nothing were playing."""
    peers: tuple[PeerView, ...] = ()
    requests: tuple[RequestView, ...] = ()
    """Host: those of all peers that are not over; peer: its own, of which the newest may be over."""
    repeat: bool = False
    """Host: the first track follows the last one."""
    connected: bool = True
    """Peer: the host is heard; False while it plays on by itself."""
