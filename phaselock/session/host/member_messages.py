"""Which part of the session takes which message of a member."""

from __future__ import annotations

from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.session.effects import Close
from phaselock.session.host.departure import Departure
from phaselock.session.host.members import Member
from phaselock.session.host.parts import HostParts
from phaselock.session.host.seats import Seats

ONCE = m.OtherPart, m.SongsFound
"""A peer sends these once after it has joined. They are long: to decode one takes 10 ms."""


class MemberMessages:
    """`now_ns` is session time."""

    def __init__(self, parts: HostParts, seats: Seats, departure: Departure) -> None:
        self._parts = parts
        self._seats = seats
        self._departure = departure

    def take(self, member: Member, message: Message, *, now_ns: int) -> None:
        """A member has sent this message, which a member may send."""
        parts, kind = self._parts, type(message)
        if kind in member.said_once:
            self._seats.breach(member, f"{kind.__name__} came twice", now_ns=now_ns)
            return
        if kind in ONCE:
            member.said_once.add(kind)
        match message:
            case m.LeaveSession(peer_id=peer_id) if peer_id == member.peer_id:
                parts.outbox.do(Close(member.conn, "left"))
                self._seats.remove(member, Notice(Code.PEER_LEFT), now_ns=now_ns)
                parts.reign.left()
            case m.HeardReport():
                parts.hearing.heard_by(member, message, now_ns=now_ns)
            case m.MicrophoneAnswer():
                parts.hearing.answered(member, message, now_ns=now_ns)
            case m.PeerStatus():
                parts.report_watch.take(member, message, now_ns=now_ns)
            case m.FileReceived(file_id=file_id, hash_ok=hash_ok):
                if not parts.distribution.answered(member, file_id, hash_ok, now_ns=now_ns):
                    self._seats.breach(member, "FileReceived makes no sense", now_ns=now_ns)
            case m.FileUnplayable(file_id=file_id, reason=reason):
                parts.distribution.unplayable(member, file_id, reason, now_ns=now_ns)
            case m.SongVote(file_id=file_id, wanted=wanted):
                parts.party.vote(member.key, file_id, wanted, now_ns=now_ns)
            case m.SkipVote(file_id=file_id, wanted=wanted):
                parts.party.want_skip(member.key, file_id, wanted, now_ns=now_ns)
            case m.SongRequest():
                parts.party.people.heard(member.key, now_ns=now_ns)
                if not parts.requests.asked(member, message, now_ns=now_ns):
                    self._seats.breach(member, "it asked twice under one id", now_ns=now_ns)
            case m.SongRequestWithdrawn(request_id=request_id, reason=reason):
                parts.requests.withdrawn(member, request_id, reason, now_ns=now_ns)
            case m.ChatSay(text=text):
                parts.party.people.heard(member.key, now_ns=now_ns)
                parts.chat.member_says(member, text, now_ns=now_ns)
            case m.CallBackAt(port=port):
                member.call_back_port = port
            case m.PiecesAt():
                parts.sharing.willing(member, message)
            case m.PiecesEnded():
                parts.distribution.pieces_ended(member, message, now_ns=now_ns)
            case m.StandingBy():
                if not parts.reign.succession.stands_by(member, message):
                    self._seats.breach(member, "it was not asked to stand by", now_ns=now_ns)
            case m.TookOver():
                self._handed_over(member, now_ns)
            case m.OtherPart(claim=claim, proof=proof):
                parts.reign.reunion.other_part(member.peer_id, claim, proof)
            case m.SongBequest():
                parts.bequests.offered(member.conn, message)
            case m.SongsFound(file_ids=file_ids):
                parts.lost_files.found(member, file_ids, now_ns=now_ns)
            case m.Heartbeat():
                pass
            case _:
                self._seats.breach(member, f"{kind.__name__} makes no sense", now_ns=now_ns)

    def _handed_over(self, member: Member, now_ns: int) -> None:
        """A member was asked to take over, and is the host now."""
        found = self._parts.reign.succession.took_over(member)
        if found is None:
            self._seats.breach(member, "it was not asked to take over", now_ns=now_ns)
            return
        contact, stays = found
        self._departure.handed_over(contact, conn=member.conn, stays=stays, now_ns=now_ns)
