"""What the host keeps of each machine: its reports, how far its files are, and how much time a command to it needs."""

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
"""Room in every lead for opening, seeking and decoding the file."""
UNKNOWN_ALLOWANCE_NS = 500_000_000
"""For a peer that has not told a round trip yet."""
MAX_LATENCY_NS = 2_000_000_000
MAX_ALLOWANCE_NS = 1_500_000_000
"""No peer can make the others wait for longer, whatever it reports."""

FINE_NS = 50_000
FINE_FOR_NS = 1_000_000_000
FAIR_NS = 1_000_000
FAIR_AFTER_NS = 4_000_000_000
OVERDUE_AFTER_NS = 15_000_000_000

MOVE_BYTES = 64 * 1024

MAX_MESSAGES = 2000
MESSAGE_EVERY_NS = 20_000_000
"""What a peer may say at once (a status, and an answer for every file of a full queue) and in the long run."""


def network_allowance_ns(rtt_ns: int) -> int:
    """How long before its target a command must leave for a peer with this recent worst round trip."""
    if rtt_ns < 5_000_000:
        return rtt_ns + 60_000_000
    # Room for one lost segment: TCP sends it again after the round trip and a timeout of at least 200 ms.
    return min(rtt_ns * 3 + 350_000_000, MAX_ALLOWANCE_NS)


class Reports:
    """How well one machine keeps time, by its own account, since `since_ns`."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.latest: PeerStatus | None = None
        self._fine_since_ns: int | None = None

    def take(self, status: PeerStatus, *, now_ns: int) -> None:
        """A new report."""
        self.latest = status
        fine = status.clock_usable and status.device_name is not None
        if not fine or max(status.offset_uncertainty_ns, status.dac_deviation_ns) > FINE_NS:
            self._fine_since_ns = None
        elif self._fine_since_ns is None:
            self._fine_since_ns = now_ns

    @property
    def latency_ns(self) -> int:
        """From callback to loudspeaker."""
        return min(self.latest.output_latency_ns, MAX_LATENCY_NS) if self.latest else 0

    @property
    def allowance_ns(self) -> int:
        """What the network to this machine takes at worst."""
        return network_allowance_ns(self.latest.rtt_ns) if self.clock_good and self.latest else UNKNOWN_ALLOWANCE_NS

    @property
    def slowness_ns(self) -> int:
        """The greater, the earlier it must be told."""
        return self.latency_ns + (self.latest.rtt_ns if self.latest else 0)

    @property
    def clock_good(self) -> bool:
        """It knows the session's time, and freshly."""
        return self.latest is not None and self.latest.clock_usable and not self.latest.clock_stale

    def settled(self, *, now_ns: int) -> bool:
        """Its clock and its loudspeaker's are as good as they get, or good and given a chance to get better."""
        if self.latest is None or not self.latest.clock_usable:
            return False
        if self._fine_since_ns is not None and now_ns - self._fine_since_ns >= FINE_FOR_NS:
            return True
        dac_deviation_ns = self.latest.dac_deviation_ns if self.latest.device_name is not None else 0
        fair = max(self.latest.offset_uncertainty_ns, dac_deviation_ns) <= FAIR_NS
        return fair and now_ns - self.since_ns >= FAIR_AFTER_NS

    def overdue(self, *, now_ns: int) -> bool:
        """It has had time enough to settle."""
        return now_ns - self.since_ns >= OVERDUE_AFTER_NS


@dataclasses.dataclass(slots=True)
class Transfer:
    """One file on its way to one peer."""

    size: int
    tries: int = 1
    done: bool | None = None
    """None while it is under way, False when it was given up."""
    retry_at_ns: int | None = None
    told_tenths: int = 0
    """Progress is told to people every ten per cent."""
    done_bytes: int = 0
    moved_at_ns: int = 0
    """When a good part of it had come through last."""
    moved_bytes: int = 0
    unplayable: bool = False

    def moved(self, done_bytes: int, now_ns: int) -> None:
        """So much is on its way; a trickle does not count."""
        self.done_bytes = done_bytes
        if abs(done_bytes - self.moved_bytes) >= MOVE_BYTES:
            self.moved_bytes, self.moved_at_ns = done_bytes, now_ns

    @property
    def running(self) -> bool:
        """A try is going on."""
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
    """Of every file that it was offered."""
    skipped: bool = False
    """Somebody at the host has decided to go on without it."""
    catching_up: bool = False
    """It came in the middle of something and has not got the track of the moment yet: nobody waits for it."""
    offers_complete: bool = False
    """It was offered all that it shall have for now."""
    told_device: tuple[str | None, Timing | None] | None = None
    """Name and timing of its output as people were told; None: nothing yet."""
    next_offer_at_ns: int = 0
    """Before that another room changes nothing."""
    held_until_ns: int = 0
    """Of one that is lost: so long its place is kept."""
    clock_trouble: bool = False
    """People were told that its clock does not converge."""
    _silent_until_ns: int = 0
    """When it would have said all that it has said, had it kept to the long run."""

    def hear(self, now_ns: int) -> bool:
        """It says something; False when nobody has that much to say."""
        self.heard_at_ns = now_ns
        self._silent_until_ns = max(self._silent_until_ns, now_ns) + MESSAGE_EVERY_NS
        return self._silent_until_ns - now_ns <= MAX_MESSAGES * MESSAGE_EVERY_NS

    def has(self, file_id: UUID) -> bool:
        """The file is there, whole and right."""
        transfer = self.transfers.get(file_id)
        return transfer is not None and transfer.done is True

    def is_receiving(self, file_id: UUID) -> bool:
        """The file was offered, and is neither there nor given up."""
        transfer = self.transfers.get(file_id)
        return transfer is not None and transfer.done is None

    def lacks(self, file_id: UUID) -> bool:
        """It may still get the file: it was not given up."""
        transfer = self.transfers.get(file_id)
        return transfer is None or transfer.done is None

    @property
    def waited_for(self) -> bool:
        """Playing waits until it has the file."""
        return not self.skipped and not self.catching_up

    def view(self, queued: list[UUID]) -> PeerView:
        """What people see of it, with a queue of these."""
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
    """All machines of the session: the members by their connections, and the host's own."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.own: Reports | None = None
        """The host's reports; None before the first."""

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self.members.values()))

    def __len__(self) -> int:
        return len(self.members)

    def request_offers(self) -> None:
        """The order of need has changed: there may be something to offer."""
        for peer in self:
            peer.offers_complete = False

    def lead_ns(self) -> int:
        """How far ahead something must be announced so that every machine can be in time for it."""
        own = self.own.latency_ns if self.own else 0
        return max([own, *(peer.reports.latency_ns + peer.reports.allowance_ns for peer in self)]) + MARGIN_NS

    def slowest_first(self) -> list[Member]:
        """Whom to tell first."""
        return sorted(self, key=lambda peer: peer.reports.slowness_ns, reverse=True)

    def is_missing(self, file_id: UUID) -> bool:
        """Somebody who is waited for may still get this file; who was given up does not count."""
        return any(peer.waited_for and peer.lacks(file_id) for peer in self)

    def without(self, file_id: UUID) -> list[str]:
        """The names of those who are waited for and have not got this file, given up or not."""
        return [peer.name for peer in self if peer.waited_for and not peer.has(file_id)]

    def holder(self, peer_id: int, token: bytes) -> Member | None:
        """The member with these credentials."""
        return next((p for p in self if p.peer_id == peer_id and hmac.compare_digest(p.token, token)), None)

    def numbered(self, peer_id: int) -> Member | None:
        """The member of that id."""
        return next((peer for peer in self if peer.peer_id == peer_id), None)

    def ready_to_begin(self, file_id: UUID, wait_peers: int, *, now_ns: int) -> bool:
        """So many peers have the file and keep time, and so does the host."""
        having = [peer.reports for peer in self if peer.has(file_id)]
        good = [reports for reports in having if reports.settled(now_ns=now_ns) or reports.overdue(now_ns=now_ns)]
        own = self.own is not None and (self.own.settled(now_ns=now_ns) or self.own.overdue(now_ns=now_ns))
        return own and len(good) >= wait_peers
