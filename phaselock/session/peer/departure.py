"""The session of this peer ends, or this machine becomes the host."""

from __future__ import annotations

from phaselock.model.heritage import Cause
from phaselock.model.notices import Code, Notice
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Close, Effect, Ended, StopClock, TakeOver
from phaselock.session.peer.heritage import heritage_of
from phaselock.session.peer.parts import PeerParts
from phaselock.session.peer.seat import Seat
from phaselock.session.states import PeerSide

HOST_LOST = Notice(Code.HOST_LOST)


class PeerDeparture:
    """`now_ns` is the peer's local time."""

    def __init__(self, parts: PeerParts, seat: Seat) -> None:
        self._parts = parts
        self._seat = seat
        self._last: list[Effect] = []

    def end(self, reason: Notice, *, now_ns: int, failed: bool) -> None:
        """The session is over for this machine, for this reason."""
        if self._seat.token:
            self._parts.outbox.do(StopClock())
            self._parts.outbox.note(e.SessionEnded(self._parts.session_ns(now_ns), reason, failed))
        self._seat.side = PeerSide.OVER
        self._parts.absence.end()
        self._parts.playback.end()
        self._last = [Ended(reason, failed)]

    def take_over(self, cause: Cause, *, now_ns: int) -> None:
        """This machine is the host from now on."""
        heritage = heritage_of(
            self._parts.succession,
            self._parts.files,
            self._parts.playback,
            self._parts.gains,
            self._parts.queue.told.queue,
            self._parts.bequest.songs,
            self._parts.chat.lines,
            session_id=self._seat.session_id,
            peer_id=self._seat.peer_id,
            name=self._seat.display_name,
            lost=cause is Cause.HOST_LOST,
            now_ns=now_ns,
        )
        self._parts.outbox.do(Close(HOST_CONN, "this machine is the host"))
        about = self._parts.session_ns(now_ns), self._seat.display_name
        self._parts.outbox.note(e.HostChanged(*about, you=True, cause=cause))
        self._seat.side = PeerSide.OVER
        self._parts.absence.end()
        self._last = [TakeOver(heritage, cause, self._parts.requests.unanswered())]

    def take(self) -> list[Effect]:
        """The last effect, once."""
        last, self._last = self._last, []
        return last
