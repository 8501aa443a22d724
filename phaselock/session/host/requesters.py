"""The people of a session who ask for songs: peers and guests. `IncomingRequests` treats them alike."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from phaselock.model.snapshot import RequestView
from phaselock.protocol import messages as m
from phaselock.session.effects import Effect

HOST_KEY = "host"
"""The key of the host's own user."""
FALLBACK_KEY = "fallback"
"""The key of the songs that play when no one asks."""

GUEST_PREFIX = "guest:"
"""Begins the key of a guest."""

Answer: TypeAlias = m.SongRequestAccepted | m.SongRequestRejected | m.SongRequestConverting | m.SongRequestAdded
"""What the host tells a person about a request."""


class Requester(Protocol):
    """A person who asks for songs."""

    @property
    def key(self) -> str:
        """Names the person for the whole session. A peer that returns has the same one."""

    @property
    def name(self) -> str: ...

    @property
    def guest_id(self) -> bytes:
        """Empty: a peer."""

    @property
    def patience_ns(self) -> int:
        """An upload without progress for this time is given up."""

    def answer(self, answer: Answer) -> Effect | None:
        """The effect that tells the person the host's answer; None: nothing needs to be told."""

    def finished(self, request: RequestView, *, now_ns: int) -> None:
        """A request of this person is over."""


def peer_key(peer_id: int) -> str:
    """The key of a peer."""
    return f"peer:{peer_id}"


def guest_key(guest_id: bytes, address: str) -> str:
    """The key of a guest: that of all guests at its address. Those on the host's machine (empty) have one each."""
    return GUEST_PREFIX + (address or guest_id.hex())
