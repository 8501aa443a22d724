"""The host's record of each machine: its reports, its file transfers, and the lead time of commands to it."""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Iterator
from uuid import UUID

from phaselock.model.snapshot import FileState, FileView, PeerView
from phaselock.model.timing import Timing
from phaselock.protocol.messages import PeerStatus
from phaselock.session.states import uncertainty_from_wire_ns

MARGIN_NS = 40_000_000
"""Part of every lead time: for opening, seeking and decoding the file."""
UNKNOWN_ALLOWANCE_NS = 500_000_000
"""Network allowance of a peer whose round trip is not known."""
MAX_LATENCY_NS = 2_000_000_000
"""Largest output latency that counts in a lead time, so that a wrong report cannot delay all machines."""
MAX_ALLOWANCE_NS = 1_500_000_000
"""Largest network allowance of a peer, for the same reason."""

FINE_NS = 50_000
"""Largest clock uncertainty and output deviation of a machine that settles early."""
FINE_FOR_NS = 1_000_000_000
"""A machine settles early when it has been within FINE_NS for this time."""
FAIR_NS = 1_000_000
"""Largest clock uncertainty and output deviation of a settled machine."""
FAIR_AFTER_NS = 4_000_000_000
"""Time after the start of the reports from which FAIR_NS is enough."""
OVERDUE_AFTER_NS = 15_000_000_000
"""Time after the start of the reports from which autoplay does not wait for the machine to settle."""

MOVE_BYTES = 64 * 1024
"""Smallest change of a transfer that counts as progress: one chunk (CHUNK_BYTES)."""

MAX_MESSAGES = 2000
"""Largest number of messages that a peer may send at once: about one answer for each file of a full queue."""
MESSAGE_EVERY_NS = 20_000_000
"""Smallest mean interval between two messages of a peer. Both limits form a leaky bucket, see `Member.hear`."""


def network_allowance_ns(rtt_ns: int) -> int:
    """Time between sending a command and its target time for a peer with this recent worst round trip."""
    if rtt_ns < 5_000_000:
        return rtt_ns + 60_000_000
    # Enough for one lost segment: TCP sends it again after the round trip and a timeout of at least 200 ms.
    return min(rtt_ns * 3 + 350_000_000, MAX_ALLOWANCE_NS)


class Reports:
    """The reports of one machine about its clock and its output. They start at `since_ns`, in session time."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.latest: PeerStatus | None = None
        self._fine_since_ns: int | None = None

    def take(self, status: PeerStatus, *, now_ns: int) -> None:
        """Store a new report."""
        self.latest = status
        fine = status.clock_usable and status.device_name is not None
        if not fine or max(status.offset_uncertainty_ns, status.dac_deviation_ns) > FINE_NS:
            self._fine_since_ns = None
        elif self._fine_since_ns is None:
            self._fine_since_ns = now_ns

    @property
    def latency_ns(self) -> int:
        """Output latency, limited to MAX_LATENCY_NS; 0 before the first report."""
        return min(self.latest.output_latency_ns, MAX_LATENCY_NS) if self.latest else 0

    @property
    def allowance_ns(self) -> int:
        """Network allowance; see `network_allowance_ns`."""
        return network_allowance_ns(self.latest.rtt_ns) if self.clock_good and self.latest else UNKNOWN_ALLOWANCE_NS

    @property
    def slowness_ns(self) -> int:
        """Output latency plus round trip. Commands are sent to the machine with the largest value first."""
        return self.latency_ns + (self.latest.rtt_ns if self.latest else 0)

    @property
    def clock_good(self) -> bool:
        """The machine's clock is usable and not stale."""
        return self.latest is not None and self.latest.clock_usable and not self.latest.clock_stale

    def settled(self, *, now_ns: int) -> bool:
        """Clock and output are within FINE_NS for FINE_FOR_NS, or within FAIR_NS after FAIR_AFTER_NS."""
        if self.latest is None or not self.latest.clock_usable:
            return False
        if self._fine_since_ns is not None and now_ns - self._fine_since_ns >= FINE_FOR_NS:
            return True
        dac_deviation_ns = self.latest.dac_deviation_ns if self.latest.device_name is not None else 0
        fair = max(self.latest.offset_uncertainty_ns, dac_deviation_ns) <= FAIR_NS
        return fair and now_ns - self.since_ns >= FAIR_AFTER_NS

    def overdue(self, *, now_ns: int) -> bool:
        """OVERDUE_AFTER_NS has passed: do not wait longer for this machine to settle."""
        return now_ns - self.since_ns >= OVERDUE_AFTER_NS


@dataclasses.dataclass(slots=True)
class Transfer:
    """The transfer of one file to one peer."""

    size: int
    """In bytes."""
    tries: int = 1
    """Number of the current attempt, from 1."""
    done: bool | None = None
    """True: the peer has the file. False: it was given up. None: neither yet."""
    retry_at_ns: int | None = None
    """Start of the next attempt; None if no pause between two attempts is running."""
    told_tenths: int = 0
    """Tenths of the file in the last progress event. Each further tenth is reported."""
    done_bytes: int = 0
    moved_at_ns: int = 0
    """Time of the last progress of at least MOVE_BYTES."""
    moved_bytes: int = 0
    """`done_bytes` at that time."""
    unplayable: bool = False

    def moved(self, done_bytes: int, now_ns: int) -> None:
        """Set the sent bytes. Less than MOVE_BYTES does not count as progress."""
        self.done_bytes = done_bytes
        if abs(done_bytes - self.moved_bytes) >= MOVE_BYTES:
            self.moved_bytes, self.moved_at_ns = done_bytes, now_ns

    @property
    def running(self) -> bool:
        """An attempt is running."""
        return self.done is None and self.retry_at_ns is None


@dataclasses.dataclass(slots=True)
class Member:
    """A peer of the session."""

    conn: int
    peer_id: int
    name: str
    token: bytes = dataclasses.field(repr=False)
    heard_at_ns: int
    reports: Reports
    transfers: dict[UUID, Transfer] = dataclasses.field(default_factory=dict)
    """The transfers of all files that were offered to it."""
    skipped: bool = False
    """The host's user decided (`Without`) not to wait for it, until `Retry` or until it joins again. Its files are
    still sent."""
    catching_up: bool = False
    """It joined during playback, or its transfer made no progress, and it does not have the current track yet.
    Playback does not wait for it."""
    offers_complete: bool = False
    """All files that it should receive now have been offered. Reset when the queue or its free space changes."""
    told_device: tuple[str | None, Timing | None] | None = None
    """Name and timing of its output in the last event; None: no event yet."""
    next_offer_at_ns: int = 0
    """Earliest time at which a change of the reported free space leads to new offers."""
    held_until_ns: int = 0
    """After a timeout: the time until which its place is reserved."""
    clock_trouble: bool = False
    """The user was warned that its clock does not converge."""
    _silent_until_ns: int = 0
    """Leaky bucket: the time at which the messages received so far would be allowed at one per MESSAGE_EVERY_NS."""

    def hear(self, now_ns: int) -> bool:
        """Count one message and restart the timeout. False if the peer exceeds the rate limit."""
        self.heard_at_ns = now_ns
        self._silent_until_ns = max(self._silent_until_ns, now_ns) + MESSAGE_EVERY_NS
        return self._silent_until_ns - now_ns <= MAX_MESSAGES * MESSAGE_EVERY_NS

    def has(self, file_id: UUID) -> bool:
        """It has received the file with the right hash."""
        transfer = self.transfers.get(file_id)
        return transfer is not None and transfer.done is True

    def is_receiving(self, file_id: UUID) -> bool:
        """The file was offered, and is neither received nor given up."""
        transfer = self.transfers.get(file_id)
        return transfer is not None and transfer.done is None

    def lacks(self, file_id: UUID) -> bool:
        """It does not have the file but can still receive it: the transfer was not given up."""
        transfer = self.transfers.get(file_id)
        return transfer is None or transfer.done is None

    @property
    def waited_for(self) -> bool:
        """Playing waits until it has the file."""
        return not self.skipped and not self.catching_up

    def view(self, queued: list[UUID]) -> PeerView:
        """The member as users see it, for a queue of these tracks."""
        status = self.reports.latest
        have = frozenset(file_id for file_id in queued if self.has(file_id))
        return PeerView(
            peer_id=self.peer_id,
            name=self.name,
            ready=len(have) == len(queued),
            have=have,
            files=tuple(self._files(queued)),
            files_total=len(queued),
            waited_for=self.waited_for,
            reported=status is not None,
            clock_usable=status.clock_usable if status else False,
            clock_stale=status.clock_stale if status else False,
            rtt_ns=status.rtt_ns if status else 0,
            phase_error_ns=status.phase_error_ns if status else 0,
            offset_uncertainty_ns=uncertainty_from_wire_ns(status.offset_uncertainty_ns) if status else None,
            dac_uncertainty_ns=uncertainty_from_wire_ns(status.dac_uncertainty_ns) if status else None,
            timing=status.timing if status else "unknown",
            drift_ppb=status.drift_ppb if status else 0,
            output_latency_ns=status.output_latency_ns if status else 0,
            device_name=status.device_name if status else None,
            underruns=status.underruns if status else 0,
        )

    def _files(self, queued: list[UUID]) -> Iterator[FileView]:
        for file_id in queued:
            transfer = self.transfers.get(file_id)
            if transfer is not None and (transfer.unplayable or not transfer.done):
                state = FileState.SENDING if transfer.done is None else FileState.FAILED
                state = FileState.UNPLAYABLE if transfer.unplayable else state
                yield FileView(file_id, state, transfer.done_bytes, transfer.size)


class Members:
    """All machines of the session: the members by connection number, and the host."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.own: Reports | None = None
        """The reports of the host's own output; None before the first one."""

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self.members.values()))

    def __len__(self) -> int:
        return len(self.members)

    def request_offers(self) -> None:
        """Check all members for new offers, because the order of need has changed."""
        for peer in self:
            peer.offers_complete = False

    def lead_ns(self) -> int:
        """Smallest time between now and a target time that all machines can meet."""
        own = self.own.latency_ns if self.own else 0
        return max([own, *(peer.reports.latency_ns + peer.reports.allowance_ns for peer in self)]) + MARGIN_NS

    def slowest_first(self) -> list[Member]:
        """The members in the order in which commands are sent: largest `slowness_ns` first."""
        return sorted(self, key=lambda peer: peer.reports.slowness_ns, reverse=True)

    def is_missing(self, file_id: UUID) -> bool:
        """At least one member that playback waits for can still receive this file. Transfers given up do not count."""
        return any(peer.waited_for and peer.lacks(file_id) for peer in self)

    def without(self, file_id: UUID) -> list[str]:
        """The names of the members that playback waits for and that do not have this file, given up or not."""
        return [peer.name for peer in self if peer.waited_for and not peer.has(file_id)]

    def holder(self, peer_id: int, token: bytes) -> Member | None:
        """The member with these credentials, or None."""
        return next((p for p in self if p.peer_id == peer_id and hmac.compare_digest(p.token, token)), None)

    def numbered(self, peer_id: int) -> Member | None:
        """The member with this number, or None."""
        return next((peer for peer in self if peer.peer_id == peer_id), None)

    def ready_to_begin(self, file_id: UUID, wait_peers: int, *, now_ns: int) -> bool:
        """The host, and at least `wait_peers` peers that have the file, are settled or overdue."""
        having = [peer.reports for peer in self if peer.has(file_id)]
        good = [reports for reports in having if reports.settled(now_ns=now_ns) or reports.overdue(now_ns=now_ns)]
        own = self.own is not None and (self.own.settled(now_ns=now_ns) or self.own.overdue(now_ns=now_ns))
        return own and len(good) >= wait_peers
