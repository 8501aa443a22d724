"""The host's record of each machine: its reports, its file transfers, and the lead time of commands to it.

A transfer has the states of `Delivery`:

| state    | meaning                                                | next states                                   |
|----------|--------------------------------------------------------|-----------------------------------------------|
| RUNNING  | the peer was told to fetch the file                    | RECEIVED; after a failure PAUSING or GIVEN_UP |
| PAUSING  | an attempt has failed; the next one follows            | RUNNING                                       |
| RECEIVED | the peer has the file with the right hash              |                                               |
| GIVEN_UP | all attempts have failed; `Retry` deletes the transfer |                                               |

A member has the states of `Attendance`:

| state               | meaning                                                  | next states                     |
|---------------------|----------------------------------------------------------|---------------------------------|
| WAITED_FOR          | playback waits until it has the file                     | CATCHING_UP (timeout), SKIPPED  |
| CATCHING_UP         | it does not have the current track, and playback goes on | WAITED_FOR, SKIPPED_CATCHING_UP |
| SKIPPED             | the host's user decided not to wait for it (`Without`)   | WAITED_FOR (`Retry`)            |
| SKIPPED_CATCHING_UP | it is skipped, and it also lacks the current track       | SKIPPED, CATCHING_UP (`Retry`)  |

A member that joins during playback is CATCHING_UP, and so is one whose transfer makes no progress. It has caught up
when it has the current track and the next one, or when the playback is IDLE (play_states.py). Playback waits for
WAITED_FOR members only, and for those that are far only while nothing plays, for a short time. Files are sent to all
members.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

from phaselock.model.distance import is_far
from phaselock.model.snapshot import FileState, FileView, PeerView, RequestView
from phaselock.model.timing import Timing
from phaselock.protocol import messages as m
from phaselock.session.effects import Broadcast, Effect, Send
from phaselock.session.host.budgets import MAX_MESSAGES, MESSAGE_EVERY_NS, QUIET_MESSAGES, Bucket, Budget
from phaselock.session.host.requesters import Answer
from phaselock.session.host.send_rate import SendRate
from phaselock.session.person_keys import peer_key
from phaselock.session.proof import Proof
from phaselock.session.states import MAX_LEAD_NS, needs_too_long, uncertainty_from_wire_ns

MARGIN_NS = 40_000_000
"""Part of every lead time: for opening, seeking and decoding the file."""
UNKNOWN_ALLOWANCE_NS = 500_000_000
"""Network allowance of a peer whose round trip is not known."""
MAX_LATENCY_NS = 2_000_000_000
"""Largest output latency that counts; only the host's own can be longer than MAX_LEAD_NS."""
SLOW_RTT_NS = 5_000_000
"""Recent worst round trip from which on a lost segment is reckoned with."""
FAR_WAIT_NS = 140_000_000
"""How much longer than without far machines a command of a user may take because of them. With an output of usual
latency it then takes a quarter of a second."""
HANDLING_NS = 60_000_000
"""Part of every allowance for the network: until both programs have handled the message."""
ABSENT_AFTER_NS = 5_000_000_000
"""A member without a report for this time is not waited for: a peer reports each second, and five times at first."""
SEAT_NS = 15_000_000_000
"""A member without a report for this time loses its place."""

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
UPLOAD_LIMIT_NS = 60_000_000_000
"""An upload of a peer without progress for this time is given up."""
STUCK_AFTER_NS = 15_000_000_000
"""Without progress for this time a member does not keep a track from starting."""
LATE_AFTER_NS = 120_000_000_000
"""A member whose transfer takes longer than this does not keep the track from starting."""


def network_allowance_ns(rtt_ns: int) -> int:
    """Time between sending a command and its target time for a peer with this recent worst round trip."""
    if rtt_ns < SLOW_RTT_NS:
        return rtt_ns + HANDLING_NS
    # Enough for one lost segment: TCP sends it again after the round trip and a timeout of at least 200 ms.
    return rtt_ns * 3 + 350_000_000


class Reports:
    """The reports of one machine about its clock and its output. They start at `since_ns`, in session time. `outside`:
    its connection came through the outside port. `elsewhere`: and from another house. Such a machine is far, also if
    it reports no delay, because the room waits longer for a near one."""

    def __init__(self, since_ns: int, *, outside: bool = False, elsewhere: bool = False) -> None:
        self.since_ns = since_ns
        self._outside = outside
        self._elsewhere = elsewhere
        self.latest: m.PeerStatus | None = None
        self.lead_ns = UNKNOWN_ALLOWANCE_NS
        """Time between sending a command and its target time that this peer needs, at most MAX_LEAD_NS. 0: it needs
        more than that anyway."""
        self.heard_at_ns = since_ns
        """Time of the latest report, or of the start."""
        self.proof = Proof()
        self.far = elsewhere
        """The machine is in no room with the host."""
        self._fine_since_ns: int | None = None
        self._silent_since_ns: int | None = None
        """Since when all reports say that the machine does not hear the host's clock."""

    def take(self, status: m.PeerStatus, *, now_ns: int) -> None:
        """Store a new report."""
        self.latest, self.heard_at_ns = status, now_ns
        self.lead_ns = self._needed_lead_ns()
        if status.least_rtt_ns and not self._elsewhere:
            self.far = is_far(status.least_rtt_ns, outside=self._outside, was_far=self.far)
        self.proof.take(status.device_name, status.correction_ns)
        if not status.clock_stale:
            self._silent_since_ns = None
        elif self._silent_since_ns is None:
            self._silent_since_ns = now_ns
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
    def too_slow(self) -> bool:
        """Output latency and round trip together exceed MAX_LEAD_NS."""
        return self.latest is not None and needs_too_long(
            self.latest.output_latency_ns, self.latest.rtt_ns if self.clock_good else 0
        )

    @property
    def shortest_lead_ns(self) -> int:
        """As `lead_ns`, without time for the way back and for a lost segment."""
        one_way_ns = self.latest.rtt_ns // 2 if self.latest else 0
        return min(self.lead_ns, self.latency_ns + one_way_ns + HANDLING_NS)

    @property
    def least_lead_ns(self) -> int:
        """As `shortest_lead_ns`, with the least round trip of the last minute; 0: unknown."""
        if self.latest is None:
            return 0
        return self.latency_ns + self.latest.least_rtt_ns // 2 + HANDLING_NS

    @property
    def slowness_ns(self) -> int:
        """Output latency plus round trip. Commands are sent to the machine with the largest value first."""
        return self.latency_ns + (self.latest.rtt_ns if self.latest else 0)

    @property
    def in_the_room(self) -> bool:
        """It has an output, which a microphone in the host's room may hear."""
        return self.latest is not None and self.latest.device_name is not None and not self.far

    @property
    def clock_good(self) -> bool:
        """The machine's clock is usable and not stale."""
        return self.latest is not None and self.latest.clock_usable and not self.latest.clock_stale

    def _needed_lead_ns(self) -> int:
        if self.too_slow:
            return 0
        rtt_known = self.clock_good and self.latest is not None
        allowance_ns = network_allowance_ns(self.latest.rtt_ns) if rtt_known and self.latest else UNKNOWN_ALLOWANCE_NS
        return min(self.latency_ns + allowance_ns, MAX_LEAD_NS)

    def clock_silent_ns(self, *, now_ns: int) -> int | None:
        """For which time the machine has not heard the host's clock; None if it hears it."""
        return None if self._silent_since_ns is None else now_ns - self._silent_since_ns

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


class Delivery(enum.Enum):
    """State of a transfer; the table is above."""

    RUNNING = "running"
    PAUSING = "pausing"
    RECEIVED = "received"
    GIVEN_UP = "given_up"


NEXT_DELIVERY: Mapping[Delivery, frozenset[Delivery]] = {
    Delivery.RUNNING: frozenset({Delivery.RECEIVED, Delivery.PAUSING, Delivery.GIVEN_UP}),
    Delivery.PAUSING: frozenset({Delivery.RUNNING}),
    Delivery.RECEIVED: frozenset(),
    Delivery.GIVEN_UP: frozenset(),
}
"""The allowed transitions."""


class Attendance(enum.Enum):
    """Whether playback waits for a member; the table is above."""

    WAITED_FOR = "waited_for"
    CATCHING_UP = "catching_up"
    SKIPPED = "skipped"
    SKIPPED_CATCHING_UP = "skipped_catching_up"


NEXT_ATTENDANCE: Mapping[Attendance, frozenset[Attendance]] = {
    Attendance.WAITED_FOR: frozenset({Attendance.CATCHING_UP, Attendance.SKIPPED}),
    Attendance.CATCHING_UP: frozenset({Attendance.WAITED_FOR, Attendance.SKIPPED_CATCHING_UP}),
    Attendance.SKIPPED: frozenset({Attendance.WAITED_FOR}),
    Attendance.SKIPPED_CATCHING_UP: frozenset({Attendance.SKIPPED, Attendance.CATCHING_UP}),
}
"""The allowed transitions."""


@dataclasses.dataclass(slots=True)
class Transfer:
    """The transfer of one file to one peer."""

    size: int
    """In bytes."""
    state: Delivery = Delivery.RUNNING
    offered_at_ns: int = 0
    """When the peer was told to fetch it first."""
    tries: int = 1
    """Number of the current attempt, from 1."""
    retry_at_ns: int = 0
    """PAUSING: start of the next attempt."""
    reported_tenths: int = 0
    """Tenths of the file in the last progress event. Each further tenth is reported."""
    done_bytes: int = 0
    moved_at_ns: int = 0
    """Time of the last progress of at least MOVE_BYTES."""
    moved_bytes: int = 0
    """`done_bytes` at that time."""
    unplayable: bool = False
    """The peer has reported that it cannot decode the file."""

    def received(self) -> None:
        """The peer has the file with the right hash."""
        self._become(Delivery.RECEIVED)
        self.done_bytes = self.size

    def pause(self, retry_at_ns: int) -> None:
        """The attempt has failed; the next one starts at `retry_at_ns`."""
        self._become(Delivery.PAUSING)
        self.retry_at_ns, self.reported_tenths, self.done_bytes = retry_at_ns, 0, 0

    def give_up(self) -> None:
        """The last attempt has failed."""
        self._become(Delivery.GIVEN_UP)
        self.done_bytes = 0

    def try_again(self) -> None:
        """The next attempt starts."""
        self._become(Delivery.RUNNING)
        self.tries += 1

    def _become(self, state: Delivery) -> None:
        assert state in NEXT_DELIVERY[self.state], f"{self.state} to {state}"
        self.state = state

    def moved(self, done_bytes: int, now_ns: int) -> bool:
        """Set the sent bytes. False: less than MOVE_BYTES does not count as progress."""
        self.done_bytes = done_bytes
        if abs(done_bytes - self.moved_bytes) < MOVE_BYTES:
            return False
        self.moved_bytes, self.moved_at_ns = done_bytes, now_ns
        return True

    @property
    def is_open(self) -> bool:
        """The peer does not have the file yet, and can still receive it."""
        return self.state in (Delivery.RUNNING, Delivery.PAUSING)


@dataclasses.dataclass(slots=True)
class Member:
    """A peer of the session."""

    conn: int
    peer_id: int
    name: str
    token: bytes = dataclasses.field(repr=False)
    heard_at_ns: int
    reports: Reports
    ip: str
    budget: Budget
    """Of the group of its address; other members may have the same one."""
    attendance: Attendance = Attendance.WAITED_FOR
    asked_name: str = ""
    """The name that it asked for; `name` may have a number in addition."""
    outside: bool = False
    """Its connection came through the outside port."""
    call_back_port: int = 0
    """TCP, at its address: where it can be told the host's places when it is lost. 0: nowhere."""
    send_rate: SendRate = dataclasses.field(default_factory=SendRate)
    transfers: dict[UUID, Transfer] = dataclasses.field(default_factory=dict)
    """The transfers of all files that were offered to it."""
    pausing: set[UUID] = dataclasses.field(default_factory=set)
    """The files whose next attempt was put off; some may have been removed since."""
    offers_complete: bool = False
    """All files that it should receive now have been offered. Reset when the queue or its free space changes."""
    reported_device: tuple[str | None, Timing | None] | None = None
    """Name and timing of its output in the last event; None: no event yet."""
    next_offer_at_ns: int = 0
    """Earliest time at which a change of the reported free space leads to new offers."""
    held_until_ns: int = 0
    """After a timeout: the time until which its place is reserved."""
    clock_trouble: bool = False
    """The user was warned that its clock does not converge."""
    slow_trouble: bool = False
    """The user was warned that it needs too long."""
    absent: bool = False
    """Nothing was reported for ABSENT_AFTER_NS."""
    left_out: int = 0
    """Number of events about it that its budget did not allow since the last sentence about them."""
    owes_since_ns: int | None = None
    """Since when another member of the group, which has left, had received no file. This one has no more time."""
    said_once: set[type] = dataclasses.field(default_factory=set)
    """The kinds of messages that it may send once and has sent."""
    _moved_at_ns: int = 0
    """Time of the last progress of a transfer."""
    _messages: Bucket = dataclasses.field(default_factory=lambda: Bucket(MAX_MESSAGES, MESSAGE_EVERY_NS))

    def hear(self, now_ns: int) -> bool:
        """Count one message and restart the timeout. False if the peer exceeds its rate limit, or is not quiet while
        the group of its address exceeds the one of the group."""
        self.heard_at_ns = now_ns
        if not self._messages.take(now_ns):
            return False
        return self.budget.messages.take(now_ns) or self._messages.units(now_ns) <= QUIET_MESSAGES

    def may_report(self, now_ns: int) -> bool:
        """Whether the user is told of one more thing that went wrong at this member. False: count it as left out."""
        if self.budget.reports.take(now_ns):
            return True
        self.left_out += 1
        return False

    # -- the person who asks for songs ---------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        return peer_key(self.peer_id)

    @property
    def guest_id(self) -> bytes:
        return b""

    @property
    def patience_ns(self) -> int:
        return UPLOAD_LIMIT_NS

    def answer(self, answer: Answer) -> Effect:
        return Send(self.conn, answer)

    def finished(self, request: RequestView, *, now_ns: int) -> None:
        """The peer keeps its finished requests itself."""

    # -- attendance --------------------------------------------------------------------------------------------------

    @property
    def waited_for(self) -> bool:
        """Playing waits until it has the file."""
        return self.attendance is Attendance.WAITED_FOR and not self.absent

    @property
    def far(self) -> bool:
        """It is in no room with the host."""
        return self.reports.far

    @property
    def catching_up(self) -> bool:
        """It does not have the current track yet, and playback goes on."""
        return self.attendance in (Attendance.CATCHING_UP, Attendance.SKIPPED_CATCHING_UP)

    @property
    def skipped(self) -> bool:
        """The host's user decided not to wait for it, until `Retry` or until it joins again."""
        return self.attendance in (Attendance.SKIPPED, Attendance.SKIPPED_CATCHING_UP)

    def leave_behind(self) -> None:
        """Playback goes on although this member, which it waited for, does not have the track."""
        assert self.waited_for, "playback does not wait for it"
        self.become(Attendance.CATCHING_UP)

    def caught_up(self) -> None:
        """It has the current track and the next one, or nothing plays."""
        self.become(Attendance.SKIPPED if self.skipped else Attendance.WAITED_FOR)

    def skip(self) -> None:
        """The user decides not to wait for it."""
        if not self.skipped:
            self.become(Attendance.SKIPPED_CATCHING_UP if self.catching_up else Attendance.SKIPPED)

    def include(self) -> None:
        """The user decides to wait for it again."""
        if self.skipped:
            self.become(Attendance.CATCHING_UP if self.catching_up else Attendance.WAITED_FOR)

    def become(self, attendance: Attendance) -> None:
        """Change the state. AssertionError if NEXT_ATTENDANCE does not allow it."""
        assert attendance in NEXT_ATTENDANCE[self.attendance], f"{self.attendance} to {attendance}"
        self.attendance = attendance

    # -- files -------------------------------------------------------------------------------------------------------

    def has(self, file_id: UUID) -> bool:
        """It has received the file with the right hash."""
        transfer = self.transfers.get(file_id)
        return transfer is not None and transfer.state is Delivery.RECEIVED

    def is_receiving(self, file_id: UUID) -> bool:
        """The file was offered, and is neither received nor given up."""
        transfer = self.transfers.get(file_id)
        return transfer is not None and transfer.is_open

    def lacks(self, file_id: UUID) -> bool:
        """It does not have the file but can still receive it: the transfer was not given up."""
        transfer = self.transfers.get(file_id)
        return transfer is None or transfer.is_open

    def progressed(self, now_ns: int) -> None:
        """A transfer has made progress."""
        self._moved_at_ns = now_ns

    def received(self, now_ns: int) -> None:
        """It has received a file with the right hash."""
        self._moved_at_ns, self.owes_since_ns = now_ns, None

    def owes(self) -> int | None:
        """Since when it has received no file that was offered to it; None if it has received all of them."""
        begun_ns = [one.offered_at_ns for one in self.transfers.values() if one.state is not Delivery.RECEIVED]
        return min([*begun_ns, *([] if self.owes_since_ns is None else [self.owes_since_ns])], default=None)

    def stuck(self, file_id: UUID, now_ns: int) -> bool:
        """It lacks the file, and receives nothing for STUCK_AFTER_NS, or the transfer takes longer than LATE_AFTER_NS.
        A track then starts without it."""
        if self.has(file_id):
            return False
        transfer = self.transfers.get(file_id)
        if transfer is not None:
            begun_ns = transfer.offered_at_ns
        else:  # it has others to fetch before, or has no space
            begun_ns = max([self.reports.since_ns, *(one.offered_at_ns for one in self.transfers.values())])
        if self.owes_since_ns is not None:
            begun_ns = min(begun_ns, self.owes_since_ns)
        late = transfer is not None and now_ns - begun_ns >= LATE_AFTER_NS
        return late or now_ns - max(begun_ns, self._moved_at_ns) >= STUCK_AFTER_NS

    def view(self, queued: list[UUID], now_ns: int) -> PeerView:
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
            stuck=frozenset(file_id for file_id in queued if file_id not in have and self.stuck(file_id, now_ns)),
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
            volume_percent=status.volume_percent if status else None,
            muted=status.muted if status else False,
            role=status.role if status else None,
            confirmed=self.reports.proof.confirmation,
            microphone=status.microphone if status else False,
            far=self.far,
            away_ns=status.least_rtt_ns // 2 if status else 0,
        )

    def _files(self, queued: list[UUID]) -> Iterator[FileView]:
        for file_id in queued:
            transfer = self.transfers.get(file_id)
            if transfer is None or (transfer.state is Delivery.RECEIVED and not transfer.unplayable):
                continue
            state = FileState.SENDING if transfer.is_open else FileState.FAILED
            state = FileState.UNPLAYABLE if transfer.unplayable else state
            yield FileView(file_id, state, transfer.done_bytes, transfer.size)


class Members:
    """All machines of the session: the members by connection number, and the host."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.own: Reports | None = None
        """The reports of the host's own output; None before the first one."""
        self.lost_files: Collection[UUID] = ()
        """Songs of the queue whose files the host does not have."""

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
        return max([own, *(peer.reports.lead_ns for peer in self if not peer.absent)]) + MARGIN_NS

    def prompt_lead_ns(self) -> int:
        """As `lead_ns` for the commands of a user, whose room waits at most FAR_WAIT_NS longer because of far members.
        If that is not enough for one, it follows the command late and in phase."""
        near_ns = self._near_lead_ns()
        far_ns = max((peer.reports.shortest_lead_ns for peer in self if peer.far and not peer.absent), default=0)
        return max(near_ns, min(far_ns, near_ns + FAR_WAIT_NS)) + MARGIN_NS

    def begins_late(self, peer: Member) -> bool:
        """No command of a user waits long enough for this member, also if no packet is late or lost."""
        if peer.reports.too_slow:
            return True
        return peer.far and peer.reports.least_lead_ns > self._near_lead_ns() + FAR_WAIT_NS

    def _near_lead_ns(self) -> int:
        own = self.own.latency_ns if self.own else 0
        return max([own, *(peer.reports.lead_ns for peer in self if not (peer.absent or peer.far))])

    def broadcast(self, message: m.Message) -> list[Effect]:
        """The effect that sends a message to all members, first to the one with the largest `slowness_ns`. Empty if
        there are no members."""
        members = sorted(self, key=lambda peer: peer.reports.slowness_ns, reverse=True)
        return [Broadcast(tuple(member.conn for member in members), message)] if members else []

    def is_missing(self, file_id: UUID, *, near: bool = False) -> bool:
        """At least one member that playback waits for can still receive this file. Transfers given up do not count.
        `near`: far members do not count. The host counts, too."""
        return file_id in self.lost_files or any(
            peer.waited_for and peer.lacks(file_id) and not (near and peer.far) for peer in self
        )

    def missing(self, file_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these files that `is_missing` holds for."""
        missing = {file_id for file_id in file_ids if file_id in self.lost_files}
        rest = [file_id for file_id in file_ids if file_id not in missing]
        for peer in self:
            if peer.waited_for:
                missing.update(file_id for file_id in rest if peer.lacks(file_id))
                rest = [file_id for file_id in rest if file_id not in missing] if missing else rest
        return missing

    def can_play(self, file_id: UUID) -> bool:
        """No member that playback waits for has reported that it cannot decode this file."""
        transfers = [peer.transfers.get(file_id) for peer in self if peer.waited_for]
        return not any(transfer is not None and transfer.unplayable for transfer in transfers)

    def without(self, file_id: UUID) -> list[Member]:
        """The members that playback waits for and that do not have this file, given up or not."""
        return [peer for peer in self if peer.waited_for and not peer.has(file_id)]

    def numbered(self, peer_id: int) -> Member | None:
        """The member with this number, or None."""
        return next((peer for peer in self if peer.peer_id == peer_id), None)

    def ready_to_begin(self, file_id: UUID, wait_peers: int, *, now_ns: int) -> bool:
        """The host, and at least `wait_peers` peers that have the file, are settled or overdue."""
        having = [peer.reports for peer in self if peer.has(file_id)]
        good = [reports for reports in having if reports.settled(now_ns=now_ns) or reports.overdue(now_ns=now_ns)]
        own = self.own is not None and (self.own.settled(now_ns=now_ns) or self.own.overdue(now_ns=now_ns))
        return own and len(good) >= wait_peers
