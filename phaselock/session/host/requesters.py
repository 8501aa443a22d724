"""The people of a session who ask for songs: peers and guests. `IncomingRequests` treats them alike."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from phaselock.model.snapshot import RequestView
from phaselock.protocol import messages as m
from phaselock.session.effects import Effect

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
