"""A peer that has come in from elsewhere: it learns where the host is, and tells where it can be reached itself.

See network/call_back.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from phaselock.model.address import is_public, parse_ip
from phaselock.model.invitation import Candidate
from phaselock.protocol import messages as m
from phaselock.session.effects import HOST_CONN, AwaitCall, Send, UsePlaces
from phaselock.session.outbox import Outbox
from phaselock.session.peer.absence import WANTED_CALLED_NS, WANTED_NS


class PeerOutside:
    """`active`: this peer comes from elsewhere."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.active = False
        self._is_called = False
        """`AwaitCall` was requested."""
        self._port = 0
        """TCP, at which the host reaches this machine; 0: it does not."""
        self._places = UsePlaces(())
        """As the host has told them last."""

    @property
    def wanted_after_ns(self) -> int | None:
        """How long after a loss of the host the user is asked for a newer invitation; None: never."""
        if not self.active:
            return None
        return WANTED_CALLED_NS if self._port else WANTED_NS

    def joined(self, reached: str) -> None:
        """The host, which was reached at this address, has accepted this peer, the first time or again."""
        # Only a host on the internet moves away without a trace.
        if self.active and not self._is_called and is_public(reached):
            self._is_called = True
            self._outbox.do(AwaitCall())
        self._tell()

    def call_back_at(self, port: int, *, connected: bool) -> None:
        """The host reaches this machine at this port."""
        self._port = port
        if connected:
            self._tell()

    def use(self, places: m.HostPlaces) -> bool:
        """The host tells its places. False: none of them can be used."""
        found = _candidates(places.places)
        if found and self.active:
            self._places = UsePlaces(found, _candidates(places.heirs))
            self._outbox.do(self._places)
        return bool(found) and self.active

    def use_invitation(self, candidates: tuple[Candidate, ...]) -> None:
        """A newer invitation says where the host is."""
        self._places = dataclasses.replace(self._places, candidates=candidates)
        self._outbox.do(self._places)

    def follow(self) -> None:
        """Another machine is the host. It may be where the host was, or where one of its line would be."""
        if self.active:
            self._outbox.do(self._places)

    def _tell(self) -> None:
        if self.active and self._port:
            self._outbox.do(Send(HOST_CONN, m.CallBackAt(self._port)))


def _candidates(places: Sequence[m.HostPlace]) -> tuple[Candidate, ...]:
    return tuple(Candidate(one.address, one.port, one.clock_port) for one in places if _is_usable(one.address))


def _is_usable(address: str) -> bool:
    """A host names no address of this machine itself."""
    try:
        found = parse_ip(address)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_multicast)
