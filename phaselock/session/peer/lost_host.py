"""The host is lost, or another machine is the host: this peer plays on, looks for a host, and joins it or becomes it.

absence.py has the times of that, and succession.py the search.
"""

from __future__ import annotations

from phaselock.model.heritage import Cause, Membership
from phaselock.model.invitation import Invitation
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.session.claims import derived_token
from phaselock.session.effects import HOST_CONN, Close, FollowHost, Send
from phaselock.session.peer.departure import HOST_LOST, PeerDeparture
from phaselock.session.peer.heritage import bequest_of
from phaselock.session.peer.parts import PeerParts
from phaselock.session.peer.seat import Seat
from phaselock.session.peer.succession import GRACE_NS, Found
from phaselock.session.states import HOLD_NS, HOLD_OUTSIDE_NS, PeerSide


class LostHost:
    """`now_ns` is the peer's local time."""

    def __init__(self, parts: PeerParts, seat: Seat, departure: PeerDeparture) -> None:
        self._parts = parts
        self._seat = seat
        self._departure = departure

    def lose(self, *, is_moving: bool = False, now_ns: int) -> None:
        """Continue without the host. `is_moving`: another machine takes over."""
        end_ns, session_ns = self._parts.playback.end_ns(), self._parts.session_ns(now_ns)
        left_ns = end_ns - session_ns if end_ns is not None and session_ns is not None else 0
        self._seat.side = PeerSide.AWAY
        self._parts.playback.end_sweeps()
        self._parts.microphone.end(now_ns=now_ns)
        self._parts.clock_watch.stop()
        self._parts.files.lost_host()
        self._parts.pieces.lost_host()
        self._parts.requests.lost_host()
        self._parts.bequest.lost_host()
        self._parts.absence.begin(
            hold_ns=HOLD_OUTSIDE_NS if self._parts.outside.active else HOLD_NS,
            wanted_after_ns=self._parts.outside.wanted_after_ns,
            left_ns=left_ns,
            joined_at_ns=self._seat.joined_at_ns,
            is_moving=is_moving,
            now_ns=now_ns,
        )

    def rejoin_failed(self, *, now_ns: int) -> None:
        """The new connection to a lost host ended before the host accepted this peer again."""
        self._seat.side = PeerSide.AWAY
        self._parts.absence.attempt_failed(now_ns=now_ns)
        self._parts.succession.search(is_ended=False, now_ns=now_ns)

    def search(self, *, now_ns: int) -> None:
        """Look for another host, or become it."""
        if self._seat.side is not PeerSide.OVER and self._parts.succession.takes_over(
            hold_is_over=False, now_ns=now_ns
        ):
            self._departure.take_over(Cause.HOST_LOST, now_ns=now_ns)
        elif self._parts.absence.active:
            self._parts.succession.timer(self._seat.session_id, self._seat.peer_id, now_ns=now_ns)

    def hold_is_over(self, *, now_ns: int) -> None:
        """The host was not found in time: this part of the session goes on by itself, or ends."""
        if self._parts.succession.takes_over(hold_is_over=True, now_ns=now_ns):
            self._departure.take_over(Cause.HOST_LOST, now_ns=now_ns)
        elif not (self._parts.succession.awaits_another(now_ns=now_ns) and self._parts.absence.extend(GRACE_NS)):
            self._departure.end(HOST_LOST, now_ns=now_ns, failed=True)

    def return_by(self, invitation: Invitation, *, now_ns: int) -> None:
        """The user says with an invitation where the host is now."""
        if not (invitation.session and self._seat.session_id.startswith(invitation.session)):
            self._parts.outbox.error(Notice(Code.INVITATION_ELSEWHERE), self._parts.session_ns(now_ns))
        elif not self._parts.absence.active:
            self._parts.outbox.error(Notice(Code.INVITATION_HERE), self._parts.session_ns(now_ns))
        else:
            self._parts.outside.use_invitation(invitation.candidates)
            self._parts.absence.found(now_ns=now_ns)

    def follow(self, found: Found, cause: Cause, *, now_ns: int) -> None:
        """Join another host of this session, as the same member if that host can know it."""
        parts = self._parts
        bequest = bequest_of(parts.succession, parts.files, parts.playback, parts.queue.told.queue)
        if bequest is not None:
            parts.bequest.give(bequest)
        membership = self._turn_to(found, cause)
        self._parts.outbox.do(Close(HOST_CONN, "another host"))
        self._parts.outbox.do(FollowHost(found.host, self._seat.session_id, membership, cause, found.term, found.chain))
        self._parts.outside.follow()
        self.lose(is_moving=True, now_ns=now_ns)

    def is_heir(self, host_key: bytes) -> bool:
        """A machine with this key that answers a peer from elsewhere, which has lost its host, is the host."""
        is_lost = self._parts.outside.active and self._parts.absence.active
        return is_lost and self._parts.succession.heir(host_key) is not None

    def meet_heir(self, host_key: bytes) -> None:
        """The machine with this key, for which `is_heir` is true, has answered."""
        found, line = self._parts.succession.heir(host_key), self._parts.succession.line
        assert found is not None and line is not None
        is_back = found.term == line.term
        self._turn_to(found, None if is_back else self._seat.moved or Cause.HOST_LOST)

    def _turn_to(self, found: Found, cause: Cause | None) -> Membership:
        """That machine is the host from now on, for this reason; None: again. Return how this one proves there that it
        is a member."""
        membership = self._parts.succession.membership(self._seat.peer_id)
        self._seat.host_key, self._seat.announced_key, self._seat.moved = found.host.host_key, b"", cause
        self._seat.token = derived_token(membership, found.term, found.chain) or b""
        self._parts.succession.follows(found.host)
        return membership

    def moved_to(self, moved: m.HostMoved, *, now_ns: int) -> None:
        """The host tells that another machine is the host, maybe this one."""
        cause = self._parts.succession.moved(moved)
        if not self._parts.succession.is_me(moved.host):
            self.follow(Found(moved.host, moved.term, moved.chain), cause, now_ns=now_ns)
        elif self._parts.succession.me is not None and cause is Cause.HANDED_OVER:
            self._parts.outbox.do(Send(HOST_CONN, m.TookOver()))
            self._departure.take_over(cause, now_ns=now_ns)
