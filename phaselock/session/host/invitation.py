"""The host's invitation for friends elsewhere: its code, its outside port, and what it says.

| state     | code  | outside port | next states                                                          |
|-----------|-------|--------------|----------------------------------------------------------------------|
| CLOSED    | none  | closed       | OPENING (`Invite`); of the host before: OPENING, WITHDRAWN           |
| OPENING   | valid | open         | OPEN (`InvitationPlaces`), WITHDRAWN (`WithdrawInvitation`)          |
| OPEN      | valid | open         | WITHDRAWN                                                            |
| WITHDRAWN | void  | open         | CLOSED (no member has come in by it or is awaited), OPENING (`Invite`) |
"""

from __future__ import annotations

import dataclasses

from phaselock.language.message import N_, Message
from phaselock.model.address import address_group, is_loopback, is_public
from phaselock.model.heritage import HeirInvitation
from phaselock.model.invitation import SESSION_BYTES, Candidate, Invitation, InvitationState, invitation_line
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import InvitationView
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.effects import CloseOutside, OpenOutside, ReachedAt
from phaselock.session.host.door import Door
from phaselock.session.host.members import Members
from phaselock.session.invitation_sentences import WRONG_INVITATION, way_sentence
from phaselock.session.outbox import Outbox
from phaselock.session.states import HOLD_OUTSIDE_NS

MAX_INVITATION_GUESSES = 10_000
"""Of ten digits, one in a million such attacks finds the code. With the guesses of a room's code, one machine on the
internet would make an invitation void."""
WITHDRAWN = N_("This invitation was withdrawn. Ask the host for a new one.")


class OutsideDoor(Door):
    """The code of the invitation. Every connection through the outside port must know it."""

    wrong_code = WRONG_INVITATION
    max_guesses = MAX_INVITATION_GUESSES

    def begin(self, conn: int, ip: str, *, now_ns: int) -> str:
        return super().begin(conn, ip, now_ns=now_ns) if self.code else WITHDRAWN

    def is_open_for(self, conn: int) -> bool:
        return self.has_proved(conn)

    def _guesser(self, ip: str) -> str:
        """On the internet, one machine has all addresses of a /64."""
        return address_group(ip)


class HostInvitation:
    """`now_ns` is session time."""

    def __init__(self, members: Members, outbox: Outbox, session_id: bytes, clock_port: int) -> None:
        self.door = OutsideDoor("", outbox, guessed=Code.INVITATION_GUESSED, void=Code.INVITATION_VOID)
        self._members = members
        self._outbox = outbox
        self._session_id = session_id
        self._clock_port = clock_port
        self._state = InvitationState.CLOSED
        self._places = c.InvitationPlaces(())
        self._awaited_until_ns = 0
        """A lost member that came in by the outside port may return until then."""
        self._reached = ""
        """The public address at which a friend has reached this machine last; empty: none has."""

    def command(self, command: c.Invite | c.WithdrawInvitation | c.InvitationPlaces, *, now_ns: int) -> None:
        """Execute a command of the host's user, or take what the program tells."""
        match command:
            case c.Invite(code=code):
                self._invite(code, now_ns)
            case c.WithdrawInvitation():
                if self._is_valid:
                    self._withdraw(now_ns)
                else:
                    self._outbox.error(Notice(Code.NO_INVITATION), now_ns)
            case c.InvitationPlaces():
                self._take_places(command, now_ns)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The places of the outside port; none while it is closed."""
        return self._places.candidates

    def heritage(self) -> HeirInvitation | None:
        """What the next host goes on with; None: there is no invitation."""
        if self._state is InvitationState.CLOSED:
            return None
        told = HeirInvitation(self.door.code, self.door.guesses)
        public = next((one for one in self.candidates if is_public(one.host) and ":" not in one.host), None)
        if public is None:
            return told
        return dataclasses.replace(told, port=public.port, clock_port=public.clock_port or self._clock_port)

    def inherit(self, heritage: HeirInvitation, *, awaited: bool, now_ns: int) -> None:
        """Go on with the invitation of the host before this one. `awaited`: a member that came in by it may return."""
        self.door.inherit(heritage.code, heritage.guesses)
        if awaited:
            self.lost(now_ns=now_ns)
        if heritage.code or awaited:
            self._outbox.do(OpenOutside())
            self._change(InvitationState.OPENING if heritage.code else InvitationState.WITHDRAWN, now_ns)

    def reached(self, address: str, *, now_ns: int) -> None:
        """A friend has come in, and says that it has reached this machine at this address."""
        if is_public(address) and ":" not in address:
            self._outbox.do(ReachedAt(address))
            is_news, self._reached = not self._is_reachable, address
            if is_news and self._is_valid:
                self._tell(now_ns)

    def removed(self, *, now_ns: int) -> None:
        """The user has removed a member that came in by the outside port. It has the line, and can take another name
        and another address."""
        if self._is_valid:
            self._withdraw(now_ns)

    def is_elsewhere(self, ip: str) -> bool:
        """Whether a machine at this address, which has come to the outside port, is in another house. It comes from the
        internet, and not from an address of this house, or by the bridge, whose end is on this computer."""
        here = {address_group(one.host) for one in self.candidates if is_public(one.host)}
        return is_loopback(ip) or (is_public(ip) and address_group(ip) not in here)

    def lost(self, *, now_ns: int) -> None:
        """A member that came in by the outside port is lost, and may return."""
        self._awaited_until_ns = now_ns + HOLD_OUTSIDE_NS

    def settle(self, *, now_ns: int) -> None:
        """Close the outside port if it is no longer needed."""
        if self._state is InvitationState.WITHDRAWN and not self._is_used and now_ns >= self._awaited_until_ns:
            self._places, self._reached = c.InvitationPlaces(()), ""
            self._outbox.do(CloseOutside())
            self._change(InvitationState.CLOSED, now_ns)

    def deadlines_ns(self) -> list[int]:
        """When `settle` may have to close the outside port."""
        return [self._awaited_until_ns] if self._state is InvitationState.WITHDRAWN and not self._is_used else []

    def view(self) -> InvitationView | None:
        """For display; None while there is no invitation."""
        if self._state is InvitationState.CLOSED:
            return None
        places = self._places
        return InvitationView(self._state, self._line(), self._is_reachable, places.nat, self._sentence())

    @property
    def _is_valid(self) -> bool:
        return self._state in (InvitationState.OPENING, InvitationState.OPEN)

    @property
    def _is_reachable(self) -> bool:
        return self._places.reachable or bool(self._reached)

    @property
    def _is_used(self) -> bool:
        return any(member.outside for member in self._members)

    def _invite(self, code: str, now_ns: int) -> None:
        if self._is_valid:
            self._tell(now_ns)
            return
        self.door.change(code)
        if self._state is InvitationState.CLOSED:
            self._outbox.do(OpenOutside())
        known = bool(self._places.candidates)
        self._change(InvitationState.OPEN if known else InvitationState.OPENING, now_ns)

    def _withdraw(self, now_ns: int) -> None:
        self.door.change("")
        self._change(InvitationState.WITHDRAWN, now_ns)

    def _take_places(self, places: c.InvitationPlaces, now_ns: int) -> None:
        if self._state is InvitationState.CLOSED or places == self._places:
            return
        if places.candidates != self._places.candidates:
            self._reached = ""
        self._places = places
        if self._state is InvitationState.OPENING and places.candidates:
            self._state = InvitationState.OPEN
        if self._is_valid:
            self._tell(now_ns)

    def _change(self, state: InvitationState, now_ns: int) -> None:
        self._state = state
        self._tell(now_ns)

    def _tell(self, now_ns: int) -> None:
        about = self._is_reachable, self._places.nat, self._sentence()
        self._outbox.note(e.InvitationChanged(now_ns, self._state, self._line(), *about))

    def _line(self) -> str:
        if self._state is not InvitationState.OPEN:
            return ""
        about = PROTOCOL_VERSION, self._session_id[:SESSION_BYTES], self._places.node
        return invitation_line(Invitation(self._places.candidates, self.door.code, *about))

    def _sentence(self) -> Message:
        return way_sentence(self._state, self._places, self._clock_port, self._reached)
