"""Tells friends elsewhere where the host is when that changes.

A member that came in by the outside port is told the places on its connection. A lost one may wait at an old address of
the host: the host connects to it, if it has told a port, and tells it there.
"""

from __future__ import annotations

from collections.abc import Sequence

from phaselock.model.address import is_public, parse_ip
from phaselock.model.invitation import Candidate
from phaselock.protocol import messages as m
from phaselock.session.effects import CallBack, Send
from phaselock.session.host.admission import Admission
from phaselock.session.host.members import Member, Members
from phaselock.session.outbox import Outbox


class CallBacks:
    """What members from elsewhere are told of the host's places."""

    def __init__(self, members: Members, admission: Admission, outbox: Outbox) -> None:
        self._members = members
        self._admission = admission
        self._outbox = outbox
        self._told: m.HostPlaces | None = None
        """None: the host has no places that members elsewhere can use."""

    def change(self, candidates: Sequence[Candidate]) -> None:
        """The host can be reached at these places from now on."""
        places = _host_places(candidates)
        if places == self._told:
            return
        self._told = places
        for member in self._members:
            if member.outside:
                self.tell(member)
        for member in self._admission.departed:
            self.call(member)

    def tell(self, member: Member) -> None:
        """A member from elsewhere has joined, or the places have changed."""
        if self._told is not None:
            self._outbox.do(Send(member.conn, self._told))

    def call(self, member: Member) -> None:
        """A member is lost: tell it the places, if it waits for that. It chooses the port: another machine of this
        house, and this computer (which is the end of a bridge), get no connection."""
        if self._told is not None and member.outside and member.call_back_port and is_public(member.ip):
            self._outbox.do(CallBack(member.peer_id, member.ip, member.call_back_port, self._told))


def _host_places(candidates: Sequence[Candidate]) -> m.HostPlaces | None:
    found = [one for one in candidates if _is_address(one.host)]
    places = tuple(m.HostPlace(one.host, one.port, one.clock_port) for one in found[: m.MAX_HOST_PLACES])
    return m.HostPlaces(places) if places else None


def _is_address(host: str) -> bool:
    try:
        return not parse_ip(host).is_loopback and "%" not in host
    except ValueError:
        return False
