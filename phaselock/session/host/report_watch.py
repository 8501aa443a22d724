"""Takes the reports of the peers, and tells the host's user about their outputs and clocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from phaselock.model.names import sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.timing import DeviceState
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.host.members import ABSENT_AFTER_NS, SEAT_NS, Member, Members
from phaselock.session.outbox import Outbox
from phaselock.session.states import CLOCK_SILENT_NS

OPENING_NS = 3_000_000_000
"""For this time after joining, a missing output is not reported: the peer is still opening it."""
OFFER_AGAIN_NS = 1_000_000_000
"""Smallest interval between two rounds of offers to a peer that are caused by changes of its free space."""
CLOCK_TROUBLE_NS = 10_000_000_000
"""A clock that is not good for this time after joining causes a warning."""


class ReportWatch:
    """Takes the reports of all members of a session. `now_ns` is session time."""

    def __init__(self, members: Members, outbox: Outbox, clock_port: int, mark_stale: Callable[[], None]) -> None:
        """`mark_stale()`: a member is waited for, or is not any more. A new member is waited for when it joins, but
        this is called at its first report: members that join in a loop and report nothing do not change the queue.
        """
        self._mark_stale = mark_stale
        self._members = members
        self._outbox = outbox
        self._clock_port = clock_port

    def take(self, member: Member, status: m.PeerStatus, *, now_ns: int) -> None:
        """A member has sent this report."""
        name = status.device_name and sentence(status.device_name)
        before = member.reports.latest
        if (before is None or before.room_bytes != status.room_bytes) and now_ns >= member.next_offer_at_ns:
            member.next_offer_at_ns = now_ns + OFFER_AGAIN_NS
            member.offers_complete = False
        if before is None:
            self._mark_stale()
        member.reports.take(dataclasses.replace(status, device_name=name), now_ns=now_ns)
        self.check(member, now_ns=now_ns)
        if name is None and now_ns - member.reports.since_ns < OPENING_NS:
            return  # the peer is still opening it
        timing = None if name is None else status.timing
        if member.reported_device != (name, timing) and member.budget.reports.take(now_ns):
            member.reported_device = (name, timing)
            state: DeviceState = "none" if name is None else "open"
            self._outbox.note(e.DeviceChanged(now_ns, state, name, "", timing, member.name))

    def check(self, member: Member, *, now_ns: int) -> None:
        """Find out whether a member still reports, needs too long, or has trouble with the clock."""
        was_absent, member.absent = member.absent, now_ns >= member.reports.heard_at_ns + ABSENT_AFTER_NS
        if was_absent != member.absent:
            self._mark_stale()
        self._check_lead(member, now_ns)
        self._check_clock(member, now_ns)

    def tell_left_out(self, member: Member, *, leaves: bool = False, now_ns: int) -> None:
        """Tell how many events about this member were left out, as soon as fewer of them come, or if it `leaves`."""
        if member.left_out and (leaves or member.budget.reports.units(now_ns) <= member.budget.reports.size // 2):
            self._outbox.warn(Notice(Code.EVENTS_LEFT_OUT, peer=member.name, number=member.left_out), now_ns)
            member.left_out = 0

    def deadlines_ns(self, members: Members) -> Iterator[int]:
        """The times at which `check` must be called, and at which a member loses its place."""
        for member in members:
            yield member.reports.heard_at_ns + (SEAT_NS if member.absent else ABSENT_AFTER_NS)

    def _check_lead(self, member: Member, now_ns: int) -> None:
        """Warn the user once if a member needs too long for commands."""
        latest = member.reports.latest
        if latest is None or not self._members.begins_late(member):
            member.slow_trouble = False
        elif not member.slow_trouble and member.budget.reports.take(now_ns):
            member.slow_trouble = True
            needs_ms = (latest.output_latency_ns + latest.rtt_ns) // 1_000_000
            self._outbox.warn(Notice(Code.PEER_TOO_SLOW, peer=member.name, number=needs_ms), now_ns)

    def _check_clock(self, member: Member, now_ns: int) -> None:
        """Warn the user once if a member does not hear the host's clock, or if its clock does not converge or is lost
        again."""
        if member.reports.clock_good:
            member.clock_trouble = False
        elif member.clock_trouble:
            return
        elif (silent_ns := member.reports.clock_silent_ns(now_ns=now_ns)) is not None:
            if silent_ns >= CLOCK_SILENT_NS and member.budget.reports.take(now_ns):
                member.clock_trouble = True
                silent = Notice(Code.CLOCK_SILENT_AT_PEER, peer=member.name, number=self._clock_port)
                self._outbox.warn(silent, now_ns)
        elif now_ns - member.reports.since_ns >= CLOCK_TROUBLE_NS and member.budget.reports.take(now_ns):
            member.clock_trouble = True
            self._outbox.warn(Notice(Code.CLOCK_NOT_CONVERGING, peer=member.name), now_ns)
