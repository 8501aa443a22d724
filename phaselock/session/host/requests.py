"""The wishes of the peers for songs, as the host keeps them: asked, decided, uploaded, added."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from uuid import UUID

from phaselock.model.names import file_label, sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import RequestState, RequestView
from phaselock.protocol import messages as m
from phaselock.session.effects import Send
from phaselock.session.host.members import Member, Members
from phaselock.session.outbox import Outbox

REMEMBERED = 100
MAX_OPEN = 5
"""So many requests of one peer may wait for a decision or for their upload."""
MAX_TRIES = 6
"""Connections for one song; an honest peer makes three after each return from an absence."""
UPLOAD_LIMIT_NS = 60_000_000_000
"""An accepted song of which nothing comes for so long is given up."""

TOO_MANY = f"You have {MAX_OPEN} open requests already. Please wait until the host has answered."
OVER = Notice(Code.REQUEST_OVER)
NO_UPLOAD = "The song was not sent."


@dataclasses.dataclass(slots=True)
class Request:
    """One wish that is not over."""

    request_id: UUID
    number: int
    member: Member
    file_name: str
    size: int
    state: RequestState = RequestState.OPEN
    done_bytes: int = 0
    tries: int = 0
    told_tenths: int = 0
    give_up_at_ns: int | None = None

    def view(self, reason: str = "") -> RequestView:
        """What people see of it."""
        return RequestView(
            self.request_id,
            self.number,
            self.member.name,
            self.file_name,
            self.size,
            self.state,
            self.done_bytes,
            reason,
        )


class IncomingRequests:
    """The open requests, by the numbers that people call them by."""

    def __init__(self, members: Members, outbox: Outbox, room: Callable[[], bool]) -> None:
        self._members = members
        self._outbox = outbox
        self._room = room
        """Whether the queue takes one more track."""
        self._requests: dict[UUID, Request] = {}
        self._added: dict[UUID, None] = {}
        """The newest that were added: whoever did not hear of it, and asks again, is told once more."""
        self._last_number = 0

    def views(self) -> tuple[RequestView, ...]:
        """All that are not over, oldest first."""
        return tuple(request.view() for request in self._requests.values())

    # -- from the peers ----------------------------------------------------------------------------------------------

    def asked(self, member: Member, message: m.SongRequest, *, now_ns: int) -> bool:
        """A peer asks; False when the id is taken, which no honest peer does."""
        if message.request_id in self._requests:
            return False
        if message.request_id in self._added:
            self._outbox.do(Send(member.conn, m.SongRequestAdded(message.request_id)))
            return True
        if len(self._of(member)) >= MAX_OPEN:
            self._outbox.do(Send(member.conn, m.SongRequestRejected(message.request_id, TOO_MANY)))
            return True
        self._last_number += 1
        name = file_label(message.file_name)
        request = Request(message.request_id, self._last_number, member, name, message.file_size)
        self._requests[request.request_id] = request
        self._note(request, now_ns)
        return True

    def withdrawn(self, member: Member, request_id: UUID, reason: str, *, now_ns: int) -> None:
        """The peer wants it no more, or cannot send it. One that is over already is none of ours."""
        request = self._requests.get(request_id)
        if request is not None and request.member is member:
            self._over(request, RequestState.FAILED, sentence(reason) or "It was withdrawn.", now_ns)

    def left(self, member: Member, *, now_ns: int) -> None:
        """The peer is gone, and its wishes with it."""
        for request in self._of(member):
            self._over(request, RequestState.FAILED, f"{member.name} has left.", now_ns)

    # -- from the people ---------------------------------------------------------------------------------------------

    def accept(self, request_id: UUID, *, now_ns: int) -> None:
        """Have the song uploaded."""
        request = self._open(request_id, now_ns)
        if request is not None and not self._room():
            self._outbox.error(Notice(Code.QUEUE_FULL), now_ns)
        elif request is not None:
            request.state = RequestState.ACCEPTED
            request.give_up_at_ns = now_ns + UPLOAD_LIMIT_NS
            self._outbox.do(Send(request.member.conn, m.SongRequestAccepted(request_id)))
            self._note(request, now_ns)

    def reject(self, request_id: UUID, *, now_ns: int) -> None:
        """Decline, also what is on its way already."""
        request = self._requests.get(request_id)
        if request is None:
            self._outbox.error(OVER, now_ns)
        else:
            self._outbox.do(Send(request.member.conn, m.SongRequestRejected(request_id)))
            self._over(request, RequestState.REJECTED, "", now_ns)

    # -- the upload --------------------------------------------------------------------------------------------------

    def awaited(self, peer_id: int, token: bytes, request_id: UUID) -> Request | None:
        """The accepted request that a bulk connection with these credentials may bring."""
        member, request = self._members.holder(peer_id, token), self._requests.get(request_id)
        if request is None or request.member is not member or request.state is not RequestState.ACCEPTED:
            return None
        request.tries += 1
        return request if request.tries <= MAX_TRIES else None

    def wanted(self, request_id: UUID) -> bool:
        """It is accepted and not here yet."""
        request = self._requests.get(request_id)
        return request is not None and request.state is RequestState.ACCEPTED

    def progressed(self, request_id: UUID, done_bytes: int, *, now_ns: int) -> None:
        """So many bytes of the song are here."""
        request = self._requests.get(request_id)
        if request is not None and request.state is RequestState.ACCEPTED:
            request.done_bytes = done_bytes
            request.give_up_at_ns = now_ns + UPLOAD_LIMIT_NS
            tenths = done_bytes * 10 // request.size
            if tenths > request.told_tenths:
                request.told_tenths = tenths
                self._note(request, now_ns)

    def arrived(self, request_id: UUID, *, now_ns: int) -> str | None:
        """The song is here, whole and playable: whom to add it for; None if that is over."""
        request = self._requests.get(request_id)
        if request is None or request.state is not RequestState.ACCEPTED:
            return None
        if not self._room():
            self.refuse(request_id, "The queue is full.", now_ns=now_ns)
            return None
        request.done_bytes = request.size
        self._added[request_id] = None
        for old in list(self._added)[:-REMEMBERED]:
            del self._added[old]
        self._outbox.do(Send(request.member.conn, m.SongRequestAdded(request_id)))
        self._over(request, RequestState.ADDED, "", now_ns)
        return request.member.name

    def refuse(self, request_id: UUID, reason: str, *, now_ns: int) -> None:
        """What was uploaded cannot be used."""
        request = self._requests.get(request_id)
        if request is not None:
            reason = sentence(reason)
            self._outbox.do(Send(request.member.conn, m.SongRequestRejected(request_id, reason)))
            self._over(request, RequestState.FAILED, reason, now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """Give up what does not come."""
        for request in list(self._requests.values()):
            if request.give_up_at_ns is not None and now_ns >= request.give_up_at_ns:
                self.refuse(request.request_id, NO_UPLOAD, now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` has something to do."""
        for request in self._requests.values():
            if request.give_up_at_ns is not None:
                yield request.give_up_at_ns

    # -- inside ------------------------------------------------------------------------------------------------------

    def _of(self, member: Member) -> list[Request]:
        return [request for request in self._requests.values() if request.member is member]

    def _open(self, request_id: UUID, now_ns: int) -> Request | None:
        request = self._requests.get(request_id)
        if request is None or request.state is not RequestState.OPEN:
            self._outbox.error(OVER, now_ns)
            return None
        return request

    def _over(self, request: Request, state: RequestState, reason: str, now_ns: int) -> None:
        del self._requests[request.request_id]
        request.state = state
        self._note(request, now_ns, reason)

    def _note(self, request: Request, now_ns: int, reason: str = "") -> None:
        self._outbox.note_request(request.view(reason), now_ns)
