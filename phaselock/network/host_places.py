"""Where the host may be, as a peer knows it, and the connections to it there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from phaselock.errors import PhaseLockError
from phaselock.model.heritage import HostContact
from phaselock.model.invitation import Candidate
from phaselock.network.reach import CannotConnect, Place, connect_any

RECONNECT_S = 2.0
"""Time limit of a connection to a lost host, in seconds: a network that works again answers at once."""


class Bridge(Protocol):
    """Leads to the host where none of its places can be reached."""

    place: Place | None
    """On this machine; None: not known yet."""
    clock_port: int
    """UDP, there."""

    async def reach(self) -> Place:
        """Its place, as soon as it leads to the host. PhaseLockError if it does not."""


class HostPlaces:
    """For the network thread."""

    def __init__(
        self,
        find: Callable[[str, str], Awaitable[Sequence[Place]]] | None,
        clock_ports: Mapping[Place, int],
        bridge: Bridge | None,
    ) -> None:
        """As those of `PeerRunner`."""
        self._find = find
        self._clock_ports = clock_ports
        self._bridge = bridge
        self.address: Place = ("", 0)
        """Where the host is, by the last connection that was opened."""
        self.places: Sequence[Place] = ()
        """All places at which the host may be."""
        self.told: tuple[Candidate, ...] = ()
        """Where the host is now, as it has told last."""
        self._heirs: tuple[Candidate, ...] = ()
        """Where another machine may be the host when it is lost."""
        self._told_clock_ports: Mapping[Place, int] = {}
        """The UDP ports there; 0: the one that the host tells after joining."""
        self._false_places: set[Place] = set()
        """Where a machine with another key has answered since the last connection to the host."""

    def follow(self, host: HostContact) -> None:
        """Another machine is the host. It may have taken the bridge over."""
        self.places = [(address, host.control_port) for address in host.addresses]
        self.address = self.places[0]
        self.told, self._heirs, self._told_clock_ports, self._clock_ports = (), (), {}, {}
        self._false_places.clear()

    def use(self, candidates: tuple[Candidate, ...], heirs: tuple[Candidate, ...] = ()) -> None:
        """The host is there now, as it has told, or as an invitation says. `heirs`: see UsePlaces."""
        self.told, self._heirs = candidates, heirs
        self._told_clock_ports = {one.place: one.clock_port for one in (*heirs, *candidates)}

    def found(self, place: Place) -> None:
        """The host has answered at this place."""
        self.address = place
        self._false_places.clear()

    def not_at(self, place: Place) -> None:
        """A machine with another key has answered at this place."""
        self._false_places.add(place)

    def clock_port(self, told_after_joining: int) -> int:
        """The UDP port of the host's clock, at its address."""
        if self._bridge and self.address == self._bridge.place:
            return self._bridge.clock_port
        told = self._told_clock_ports.get(self.address)
        return (self._clock_ports.get(self.address) if told is None else told) or told_after_joining

    def may_be_elsewhere(self, place: Place) -> bool:
        """The host may be at another place, or behind the bridge."""
        is_over_bridge = self._bridge is not None and self._bridge.place != place
        return is_over_bridge or bool(self._other_places(place))

    async def connect_again(
        self, session_id: bytes, host_key: bytes, refused: Callable[[], None] = lambda: None
    ) -> socket.socket:
        """Connect to the host where it was, or else where it is now: it may have changed its network or its address.
        Call `refused` if no program listens where it was. PhaseLockError if it is found nowhere: CannotConnect, unless
        the bridge was tried last."""
        bridged = self._bridge and self.address == self._bridge.place
        if bridged:
            with contextlib.suppress(PhaseLockError, TimeoutError):
                async with asyncio.timeout(RECONNECT_S):
                    return await self._over_bridge()
        told = [one.place for one in (*self.told, *self._heirs)]
        all_places = dict.fromkeys([self.address, *told, *self.places])
        known = [one for one in all_places if one not in self._false_places and not (bridged and one == self.address)]
        problem: PhaseLockError = CannotConnect(self.address, ConnectionError())
        if known:
            try:
                return await connect_any(known, RECONNECT_S)
            except CannotConnect as error:
                problem = error
                if error.refused:
                    refused()
        now = session_id.hex(), host_key.hex()
        if self._find and (places := await self._find(*now)):
            self.places = places
            return await connect_any(places, RECONNECT_S)
        self._false_places.clear()  # the host may be back there the next time
        if self._bridge:
            return await self._over_bridge()
        raise problem

    async def connect_elsewhere(self, place: Place) -> socket.socket:
        """Another machine has answered at this place: it may have an address that the host has in its own house.
        Connect to another place, or else by the bridge. PhaseLockError if that is impossible."""
        places = self._other_places(place)
        self._false_places.add(place)
        problem: PhaseLockError = CannotConnect(self.places[0], ConnectionError())
        if places:
            try:
                return await connect_any(places)
            except CannotConnect as error:
                problem = error
        if self._bridge and self._bridge.place not in self._false_places:
            return await self._over_bridge()
        raise problem

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _over_bridge(self) -> socket.socket:
        """Connect by the bridge. PhaseLockError if it does not lead to the host."""
        assert self._bridge
        place = await self._bridge.reach()
        try:
            return await connect_any([place], RECONNECT_S)
        except CannotConnect as error:
            raise PhaseLockError(error.message) from None  # the bridge may have ended, but not the host

    def _other_places(self, place: Place) -> list[Place]:
        """Where the host may be if it is not at this place."""
        return [one for one in self.places if one != place and one not in self._false_places]
