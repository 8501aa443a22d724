"""Who is a member: machines join, leave, are removed, or are lost.

admission.py decides who may join. A member that breaks the protocol or is silent for too long is removed with a reason.
The other members are not affected.
"""

from __future__ import annotations

from collections.abc import Iterator

from phaselock.language.message import N_
from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.proof import JOIN
from phaselock.session import events as e
from phaselock.session.effects import AllowClock, Close, ForbidClock, Send
from phaselock.session.host.admission import Admitted, Refused
from phaselock.session.host.entrance import Newcomer
from phaselock.session.host.members import SEAT_NS, Attendance, Member, Reports
from phaselock.session.host.parts import HostParts
from phaselock.session.states import DEAD_NS, HEARTBEAT_NS, HOLD_NS

BROKE_PROTOCOL = N_("The host has closed the connection, because this machine broke the protocol.")
NOTHING_REPORTED = N_("The host has closed the connection, because this machine told nothing about its output.")


class Seats:
    """`now_ns` is session time."""

    def __init__(self, parts: HostParts) -> None:
        self._parts = parts
        self._heartbeat_at_ns: int | None = None
        """None: there are no members."""

    def greeting(self) -> m.SessionInfo:
        """What the host tells a machine that it can see."""
        # With a code the number is announced, and the names are not. Many names are longer than GREETING_CAP.
        hidden = self._parts.door.code or len(self._parts.members) > DEFAULT_PEERS
        names = tuple("?" if hidden else member.name for member in self._parts.members)
        return self._parts.about.greeting(names)

    def join(self, conn: int, found: Newcomer, request: m.JoinRequest, *, now_ns: int) -> None:
        """A machine that has proved what it must asks for a place."""
        before = self._parts.admission.member(request.peer_id, request.proof, JOIN)
        if before is not None:
            self._parts.outbox.do(Close(before.conn, "it came back on another connection"))
            self.lose(before, Notice(Code.PEER_RECONNECTED), now_ns=now_ns)
        match self._parts.admission.decide(request, found.ip, now_ns=now_ns):
            case Admitted() as admitted:
                self._accept(conn, found, admitted, request.reached, now_ns)
            case Refused(reason, kind) if reason:
                self._parts.entrance.reject(conn, reason, kind)
            case _:
                self._parts.outbox.do(Close(conn, "it joins too often"))

    def lose(self, member: Member, reason: Notice, *, now_ns: int) -> None:
        """Remove a member that may reconnect."""
        self._parts.admission.lost(member)
        self._parts.reign.lost(member, now_ns=now_ns)
        if member.outside:
            self._parts.invitation.lost(now_ns=now_ns)
            self._parts.call_backs.call(member)
        self.remove(member, reason, now_ns=now_ns)

    def remove(self, member: Member, reason: Notice, *, now_ns: int) -> None:
        """A member is none any more. Its connection is closed, or ends by itself."""
        del self._parts.members.members[member.conn]
        self._parts.sharing.left(member)
        member.budget.left(member.owes(), now_ns=now_ns)
        self._parts.report_watch.tell_left_out(member, leaves=True, now_ns=now_ns)
        self._parts.requests.left(member, now_ns=now_ns)
        self._parts.lost_files.left(member, now_ns=now_ns)
        self._parts.queue.mark_stale()
        self._parts.outbox.do(ForbidClock(member.peer_id))
        self._parts.outbox.note(e.PeerLeft(now_ns, member.peer_id, member.name, reason))

    def breach(self, member: Member, reason: str, *, now_ns: int) -> None:
        """Remove a member that has broken the protocol."""
        self.dismiss(member, BROKE_PROTOCOL, Notice(Code.PEER_BROKE_PROTOCOL, reason), now_ns=now_ns)

    def dismiss(self, member: Member, farewell: str, reason: Notice, *, now_ns: int) -> None:
        """Remove a member, and tell it why."""
        self._parts.outbox.do(
            Send(member.conn, m.SessionEnd(farewell)), Close(member.conn, reason.detail or reason.code)
        )
        self.remove(member, reason, now_ns=now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """Remove the members that are silent for too long, and tell the others that the host is there."""
        for member in self._parts.members:
            if now_ns >= member.heard_at_ns + DEAD_NS:
                self._parts.outbox.do(Close(member.conn, "silent for too long"))
                member.held_until_ns = now_ns + HOLD_NS
                self.lose(member, Notice(Code.PEER_SILENT), now_ns=now_ns)
            elif now_ns >= member.reports.heard_at_ns + SEAT_NS:
                self.dismiss(member, NOTHING_REPORTED, Notice(Code.PEER_REPORTS_NOTHING), now_ns=now_ns)
            else:
                self._parts.report_watch.check(member, now_ns=now_ns)
                self._parts.report_watch.tell_left_out(member, now_ns=now_ns)
        if self._heartbeat_at_ns is not None and now_ns >= self._heartbeat_at_ns:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS if len(self._parts.members) else None
            self._parts.outbox.do(*(Send(member.conn, m.Heartbeat()) for member in self._parts.members))

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` must be called."""
        if self._heartbeat_at_ns is not None:
            yield self._heartbeat_at_ns
        yield from self._parts.report_watch.deadlines_ns(self._parts.members)
        for member in self._parts.members:
            yield member.heard_at_ns + DEAD_NS

    # -- inside ------------------------------------------------------------------------------------------------------

    def _accept(self, conn: int, found: Newcomer, admitted: Admitted, reached: str, now_ns: int) -> None:
        peer_id, token, name, budget = admitted.peer_id, admitted.token, admitted.name, admitted.budget
        attendance = Attendance.CATCHING_UP if self._parts.transport.busy else Attendance.WAITED_FOR
        elsewhere = found.outside and self._parts.invitation.is_elsewhere(found.ip)
        reports = Reports(now_ns, outside=found.outside, elsewhere=elsewhere)
        member = Member(
            conn,
            peer_id,
            name,
            token,
            now_ns,
            reports,
            found.ip,
            budget,
            attendance,
            admitted.asked_name,
            found.outside,
        )
        member.owes_since_ns = budget.owes_since_ns(now_ns)
        self._parts.members.members[conn] = member
        if self._heartbeat_at_ns is None:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS
        if member.outside:
            self._parts.outbox.do(Send(conn, self.greeting()))
        clock_key = self._parts.token_factory()
        accepted = m.JoinAccepted(
            peer_id, self._parts.transport.state(), token, self._parts.about.clock_port, name, clock_key
        )
        self._parts.outbox.do(AllowClock(peer_id, conn, clock_key), Send(conn, accepted))
        if (gains := self._parts.gains.told()) is not None:
            self._parts.outbox.do(Send(conn, gains))
        if (history := self._parts.chat.history()) is not None:
            self._parts.outbox.do(Send(conn, history))
        if member.outside:
            self._parts.call_backs.tell(member)
            self._parts.invitation.reached(reached, now_ns=now_ns)
        self._parts.party.joined(member)
        self._parts.lost_files.joined(member)
        self._parts.reign.joined(member)
        self._parts.outbox.note(e.PeerJoined(now_ns, peer_id, name, again=admitted.again))
