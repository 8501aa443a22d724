"""This machine ceases to be the host: its user ends the session, or another machine is the host."""

from __future__ import annotations

from phaselock.language.message import N_
from phaselock.model.heritage import Cause, Claim, HostContact
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.claims import extended
from phaselock.session.effects import Close, Ended, FollowHost, ForbidClock, Send
from phaselock.session.host.own_output import OwnOutput
from phaselock.session.host.parts import HostParts


class Departure:
    """`now_ns` is session time."""

    def __init__(self, parts: HostParts, output: OwnOutput) -> None:
        self._parts = parts
        self._output = output
        self.is_over = False
        """This machine is not the host any more."""
        self._last: FollowHost | Ended | None = None

    def quit(self, *, now_ns: int) -> None:
        """The host's user ends the session."""
        for member in self._parts.members:
            self._parts.outbox.do(Send(member.conn, m.SessionEnd()), Close(member.conn, "session ended"))
            self._parts.outbox.do(ForbidClock(member.peer_id))
        self._parts.entrance.end(N_("Session ended."))
        self._parts.members.members.clear()
        self._parts.transport.playback.stop(None)
        self._last = Ended(Notice(Code.SESSION_ENDED), failed=False)
        self._parts.outbox.note(e.SessionEnded(now_ns, self._last.reason))
        self.is_over = True

    def handed_over(self, contact: HostContact, *, conn: int, stays: bool, now_ns: int) -> None:
        """The member on this connection was asked to take over, and is the host now. `stays`: this machine becomes a
        member."""
        claim = self._parts.reign.claim()
        chain = extended(claim.chain, contact.host_key)
        self._last = self._gone_to(contact, claim.term + 1, chain, Cause.HANDED_OVER, but=conn)
        if not stays:
            self._last = Ended(Notice(Code.HANDED_OVER, peer=contact.name), failed=False)
            self._parts.outbox.note(e.SessionEnded(now_ns, self._last.reason))

    def yield_to(self, contact: HostContact, claim: Claim) -> None:
        """There is another host of this session, whose claim is better."""
        self._last = self._gone_to(contact, claim.term, claim.chain, Cause.REUNION)

    def take(self) -> FollowHost | Ended | None:
        """The last effect, once."""
        last, self._last = self._last, None
        return last

    def _gone_to(
        self, host: HostContact, term: int, chain: tuple[bytes, ...], cause: Cause, but: int = 0
    ) -> FollowHost:
        """Another machine is the host from now on: tell the members, but not the one on this connection. Return what
        this machine brings along."""
        follow = self._parts.reign.farewell(host, term, chain, cause)
        self._output.keep()
        for member in self._parts.members:
            if member.conn != but:
                self._parts.outbox.do(Send(member.conn, m.HostMoved(host, term, chain)))
            self._parts.outbox.do(Close(member.conn, "another machine is the host"), ForbidClock(member.peer_id))
        self._parts.entrance.end("")
        self._parts.members.members.clear()
        self.is_over = True
        return follow
