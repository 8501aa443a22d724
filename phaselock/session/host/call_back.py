"""Tells friends elsewhere where the host is when that changes, and where the next one would be.

A member that came in by the outside port is told the places on its connection. A lost one may wait at an old address of
the host: the host connects to it, if it has told a port, and tells it there.

A machine of the line that becomes the host asks the router for the public ports that this host has, or else for its own
ones (`own_outside_port`). So its places are known before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from phaselock.model.address import DEFAULT_OUTSIDE_PORT, is_public, own_outside_port, parse_ip
from phaselock.model.invitation import Candidate
from phaselock.protocol import messages as m
from phaselock.session.effects import CallBack, Send
from phaselock.session.host.admission import Admission
from phaselock.session.host.members import Member, Members
from phaselock.session.outbox import Outbox


class CallBacks:
    """What members from elsewhere are told of the host's places."""

    def __init__(self, members: Members, admission: Admission, outbox: Outbox, clock_port: int) -> None:
        """`clock_port`: UDP, of this machine."""
        self._members = members
        self._admission = admission
        self._outbox = outbox
        self._clock_port = clock_port
        self._candidates: Sequence[Candidate] = ()
        self._heirs: Sequence[m.StandingBy] = ()
        self._told: m.HostPlaces | None = None
        """None: the host has no places that members elsewhere can use."""

    def settle(self, candidates: Sequence[Candidate], heirs: Sequence[m.StandingBy]) -> None:
        """The host can be reached at these places from now on, and these machines are its line. Call it at the end of
        each call of the session."""
        if candidates == self._candidates and heirs == self._heirs:
            return
        self._candidates, self._heirs = candidates, heirs
        before, self._told = self._told, _host_places(candidates, heirs, self._clock_port)
        if self._told == before:
            return
        for member in self._members:
            if member.outside:
                self.tell(member)
        if self._told is None or before is None or self._told.places != before.places:
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


def _host_places(
    candidates: Sequence[Candidate], heirs: Sequence[m.StandingBy], clock_port: int
) -> m.HostPlaces | None:
    """The UDP ports are told, too: the next host may have another one behind the same public port."""
    found = [one for one in candidates if _is_address(one.host)]
    places = tuple(m.HostPlace(one.host, one.port, one.clock_port or clock_port) for one in found)
    if not places:
        return None
    told = m.HostPlaces(places[: m.MAX_HOST_PLACES])
    return dataclasses.replace(told, heirs=tuple(_heir_places(candidates, heirs))[: m.MAX_HOST_PLACES])


def _heir_places(candidates: Sequence[Candidate], heirs: Sequence[m.StandingBy]) -> Iterator[m.HostPlace]:
    """Where these machines, which are behind the same router, would have the outside port."""
    public = dict.fromkeys(one.host for one in candidates if is_public(one.host) and ":" not in one.host)
    for heir in heirs:
        port = own_outside_port(heir.host_key)
        yield from (m.HostPlace(address, port, port) for address in public)
        for address in heir.addresses:
            if ":" in address and is_public(address) and _is_address(address):
                yield m.HostPlace(address, DEFAULT_OUTSIDE_PORT)


def _is_address(host: str) -> bool:
    try:
        return not parse_ip(host).is_loopback and "%" not in host
    except ValueError:
        return False
