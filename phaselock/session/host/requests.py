"""The host's record of the song requests of peers and guests: received, decided, uploaded, added."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from uuid import UUID

from phaselock.language.message import N_, Message
from phaselock.model.names import file_label, person_name, sentence, title
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import RequestState, RequestView
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import FetchFromLibrary
from phaselock.session.host.caps import Caps
from phaselock.session.host.members import Member
from phaselock.session.host.requesters import Answer, Requester
from phaselock.session.outbox import Outbox

REMEMBERED = 100
"""Number of added requests whose ids are kept, and of rejected ones."""
MAX_OPEN = 5
"""Largest number of requests of one person that wait for a decision or for their upload."""
MAX_TRIES = 6
"""Largest number of upload connections for one song. A correct peer makes three, and three more after a reconnect."""
CONVERSION_LIMIT_NS = 60_000_000_000
"""A conversion without progress for this time is given up."""
MAX_ALL = 300
"""Largest number of unfinished requests of all people."""
CONVERSION_EVERY_NS = 1_000_000_000
"""Smallest time between two reports of a conversion."""

NOTE_EVERY_NS = 1_000_000_000
"""Smallest interval between two events about what one person has asked for or withdrawn. The next ones wait."""
UNSEEN_EVERY_NS = 10_000_000_000
"""After this time the requests of one person that were withdrawn before their event are told together."""

TOO_MANY = N_("Too many of your requests are open. Please wait until the host has answered.")
ASKED_TWICE = N_("You have asked for this song already.")
OVER = Notice(Code.REQUEST_OVER)
FULL = N_("The queue is full.")
NO_UPLOAD = N_("The song was not sent.")


@dataclasses.dataclass(slots=True)
class Request:
    """One request that is not finished."""

    request_id: UUID
    number: int
    """Users refer to it by this number, from 1."""
    who: Requester
    file_name: str
    size: int
    """In bytes."""
    title: str
    artist: str
    duration_secs: float
    state: RequestState = RequestState.OPEN
    done_bytes: int = 0
    tries: int = 0
    """Upload connections so far."""
    reported_tenths: int = 0
    """Tenths of the song in the last progress event."""
    give_up_at_ns: int | None = None
    """Deadline for progress of the upload or the conversion; None while the request is not accepted."""
    converted_percent: int | None = None
    """As it was told last; None: it is not being converted."""
    song_id: int | None = None
    """The song is in the host's library under this number; None: it is uploaded."""
    tell_at_ns: int = 0
    """The progress of its conversion is not told before this time."""
    bequeathed_by: tuple[str, str] | None = None
    """It comes from another part of the session: name and key of the person who asked for it there. The rules do not
    count."""

    def view(self, reason: str = "") -> RequestView:
        """The request as users see it."""
        return RequestView(
            self.request_id,
            self.number,
            self.who.name,
            self.file_name,
            self.size,
            self.state,
            self.done_bytes,
            reason,
            self.title,
            self.artist,
            self.duration_secs,
            self.converted_percent,
            self.who.guest_id,
        )


@dataclasses.dataclass(slots=True)
class _Pace:
    """When the user is told what one person does."""

    name: str
    """Of the person."""
    due_at_ns: int = 0
    """Earliest time of the next event."""
    waiting: dict[UUID, RequestView] = dataclasses.field(default_factory=dict)
    """The requests whose events wait, as they are now, oldest first."""
    unseen: int = 0
    """Number of requests that were withdrawn before their event."""
    unseen_due_at_ns: int = 0
    """When this number is told."""


class IncomingRequests:
    """All requests that are not finished."""

    def __init__(self, outbox: Outbox, room: Callable[[], bool], caps: Caps) -> None:
        self._outbox = outbox
        self._caps = caps
        self._room = room
        """Returns whether one more track fits into the queue."""
        self._requests: dict[UUID, Request] = {}
        self._added: dict[UUID, None] = {}
        """Ids of the newest added requests, oldest first. A peer that missed the answer asks again and receives it."""
        self._rejected: dict[UUID, None] = {}
        """Ids of the newest requests that the user has rejected, oldest first."""
        self._accepted_before: frozenset[UUID] = frozenset()
        """Requests that the host before this one has accepted, and that have not come again."""
        self._last_number = 0
        self._paces: dict[str, _Pace] = {}
        """By the key of the person."""

    def views(self) -> tuple[RequestView, ...]:
        """The requests that are not finished, oldest first."""
        return tuple(request.view() for request in self._requests.values())

    def accepted_ids(self) -> frozenset[UUID]:
        """The requests of peers that were accepted, here or at the host before this one, and whose songs have not
        come."""
        mine = (one.request_id for one in self._requests.values() if one.state is not RequestState.OPEN)
        return frozenset(mine) | self._accepted_before

    def inherit(self, accepted: frozenset[UUID]) -> None:
        """These requests were accepted at the host before this one: accept them as soon as they come again."""
        self._accepted_before = accepted

    def of(self, who: Requester) -> list[Request]:
        """The unfinished requests of this person, oldest first."""
        return [request for request in self._requests.values() if request.who is who]

    def open_of(self, key: str) -> int:
        """The number of unfinished requests of the person with this key."""
        return sum(request.who.key == key for request in self._requests.values())

    # -- from the people ---------------------------------------------------------------------------------------------

    def asked(self, who: Requester, message: m.SongRequest, *, song_id: int | None = None, now_ns: int) -> bool:
        """A person requests a song; with `song_id` it is in the host's library. False if the id is in use, which breaks
        the protocol."""
        request_id = message.request_id
        if request_id in self._requests:
            return False
        if request_id in self._added:
            self._answer(who, m.SongRequestAdded(request_id))
            return True
        request = Request(
            request_id,
            self._last_number + 1,
            who,
            file_label(message.file_name),
            message.file_size,
            title(message.title),
            title(message.artist),
            message.duration_secs,
            song_id=song_id,
        )
        if refusal := self._refusal(request, now_ns):
            self._answer(who, m.SongRequestRejected(request_id, refusal))
            request.state = RequestState.REJECTED
            who.finished(request.view(refusal), now_ns=now_ns)
            return True
        self._last_number += 1
        self._requests[request_id] = request
        self._caps.asked(who.key, request_id, now_ns=now_ns)
        pace = self._paces.setdefault(who.key, _Pace(who.name))
        was_accepted = request_id in self._accepted_before
        self._accepted_before -= {request_id}
        if (self._caps.rules.accept or was_accepted) and self._room():
            self._take(request, now_ns)
        if request.state is RequestState.OPEN or song_id is None:
            pace.waiting[request_id] = request.view()
            self._note_waiting(pace, now_ns)
        return True

    def withdrawn(self, who: Requester, request_id: UUID, reason: str, *, now_ns: int) -> None:
        """The person withdraws a request or cannot send the song. Ignored if the request is finished."""
        request = self._requests.get(request_id)
        if request is None or request.who is not who:
            return
        del self._requests[request_id]
        self._caps.undone(who.key, request_id)
        request.state = RequestState.FAILED
        pace = self._paces.setdefault(who.key, _Pace(who.name))
        if pace.waiting.pop(request_id, None) is None:
            pace.waiting[request_id] = request.view(sentence(reason) or N_("It was withdrawn."))
            self._note_waiting(pace, now_ns)
        else:
            pace.unseen += 1
            pace.unseen_due_at_ns = pace.unseen_due_at_ns or now_ns + UNSEEN_EVERY_NS

    def left(self, who: Requester, *, now_ns: int) -> None:
        """The person has left: end its requests."""
        pace = self._paces.pop(who.key, _Pace(who.name))
        for request in self.of(who):
            seen = pace.waiting.pop(request.request_id, None) is None
            if seen:
                self._over(request, RequestState.FAILED, Message("{name} has left.", name=who.name), now_ns)
            else:
                del self._requests[request.request_id]
                self._caps.undone(who.key, request.request_id)
                pace.unseen += 1
        for view in pace.waiting.values():
            self._outbox.note_request(view, now_ns)
        self._tell_unseen(pace, now_ns)

    # -- from the host's user ----------------------------------------------------------------------------------------

    def accept(self, request_id: UUID, *, now_ns: int) -> None:
        """Accept a request: the person uploads the song, or it comes from the library."""
        request = self._open(request_id, now_ns)
        if request is not None and not self._room():
            self._outbox.error(Notice(Code.QUEUE_FULL), now_ns)
        elif request is not None:
            self._accept(request, now_ns)

    def accept_all(self, *, now_ns: int) -> None:
        """Accept all requests that are not decided, as far as the queue has room."""
        for request in list(self._requests.values()):
            if request.state is RequestState.OPEN and self._room():
                self._accept(request, now_ns)

    def reject(self, request_id: UUID, *, now_ns: int) -> None:
        """Reject a request, also during its upload or its conversion."""
        request = self._requests.get(request_id)
        if request is None:
            self._outbox.error(OVER, now_ns)
        else:
            _remember(self._rejected, request_id)
            self._answer(request.who, m.SongRequestRejected(request_id))
            self._over(request, RequestState.REJECTED, "", now_ns)

    # -- the upload --------------------------------------------------------------------------------------------------

    def begin_upload_attempt(self, member: Member | None, request_id: UUID) -> Request | None:
        """The accepted request of this member whose song may arrive on a bulk connection, or None.

        Each call counts as one attempt; None after MAX_TRIES.
        """
        request = self._requests.get(request_id)
        if request is None or request.who is not member or request.state is not RequestState.ACCEPTED:
            return None
        request.tries += 1
        return request if request.tries <= MAX_TRIES else None

    def upload_of_guest(self, guest_id: bytes, request_id: UUID) -> Request | None:
        """The accepted request of this guest whose song may arrive, or None."""
        request = self._requests.get(request_id)
        if request is None or request.who.guest_id != guest_id or request.state is not RequestState.ACCEPTED:
            return None
        return request if request.song_id is None else None

    def wanted(self, request_id: UUID) -> bool:
        """The request is accepted and its song is not in the queue yet."""
        request = self._requests.get(request_id)
        return request is not None and request.state is not RequestState.OPEN

    def progressed(self, request_id: UUID, done_bytes: int, *, now_ns: int) -> None:
        """`done_bytes` of the song have arrived."""
        request = self._requests.get(request_id)
        if request is not None and request.state is RequestState.ACCEPTED:
            request.done_bytes = done_bytes
            request.give_up_at_ns = now_ns + request.who.patience_ns
            tenths = done_bytes * 10 // request.size
            if tenths > request.reported_tenths:
                request.reported_tenths = tenths
                self._note(request, now_ns)

    def converting(self, request_id: UUID, share: float, *, now_ns: int) -> None:
        """The song has arrived, and this share of it is converted, 0 to 1."""
        request = self._requests.get(request_id)
        if request is None or request.state is RequestState.OPEN:
            return
        percent = int(100 * share)
        request.give_up_at_ns = now_ns + CONVERSION_LIMIT_NS
        begins = request.converted_percent is None
        if begins or (now_ns >= request.tell_at_ns and percent // 10 > (request.converted_percent or 0) // 10):
            request.state, request.converted_percent = RequestState.CONVERTING, percent
            request.tell_at_ns = now_ns + CONVERSION_EVERY_NS
            self._answer(request.who, m.SongRequestConverting(request_id, percent))
            self._note(request, now_ns)

    def has(self, request_id: UUID) -> bool:
        """This request is not finished."""
        return request_id in self._requests

    def is_open(self, request_id: UUID) -> bool:
        """The user has not decided about this request."""
        return self._requests[request_id].state is RequestState.OPEN

    def is_bequeathed(self, request_id: UUID) -> bool:
        """This request brings a song of another part of the session."""
        request = self._requests.get(request_id)
        return request is not None and request.bequeathed_by is not None

    def was_rejected(self, request_id: UUID) -> bool:
        """The user has rejected this request."""
        return request_id in self._rejected

    def bequeathed(self, member: Member, message: m.SongBequest, key: str, *, now_ns: int) -> None:
        """A member brings a song of another part of the session, for which the person with this key has asked there.
        Its id is not in use."""
        brings_another = any(one.bequeathed_by is not None for one in self.of(member))
        if brings_another or not self._room():
            self._answer(member, m.SongRequestRejected(message.request_id, TOO_MANY if brings_another else FULL))
            return
        names = file_label(message.file_name), title(message.title), title(message.artist)
        self._last_number += 1
        self._requests[message.request_id] = request = Request(
            message.request_id,
            self._last_number,
            member,
            names[0],
            message.file_size,
            *names[1:],
            message.duration_secs,
            bequeathed_by=(person_name(message.added_by), key),
        )
        self._accept(request, now_ns)

    def arrived(self, request_id: UUID, track: Track, *, now_ns: int) -> tuple[str, str] | None:
        """The song has arrived and is playable. Return name and key of the person who asked for it; None if the song
        must not be added."""
        request = self._requests.get(request_id)
        if request is None or request.state is RequestState.OPEN:
            return None
        if not self._room():
            self.refuse(request_id, FULL, now_ns=now_ns)
            return None
        refusal = "" if request.bequeathed_by else self._caps.refusal_of_track(track, now_ns=now_ns)
        if refusal:
            self.refuse(request_id, refusal, now_ns=now_ns)
            return None
        request.done_bytes = request.size
        _remember(self._added, request_id)
        self._answer(request.who, m.SongRequestAdded(request_id))
        self._over(request, RequestState.ADDED, "", now_ns)
        return request.bequeathed_by or (request.who.name, request.who.key)

    def refuse(self, request_id: UUID, reason: str, *, now_ns: int) -> None:
        """The song cannot be used: end the request and tell the person."""
        request = self._requests.get(request_id)
        if request is not None:
            reason = sentence(reason)
            self._answer(request.who, m.SongRequestRejected(request_id, reason))
            self._over(request, RequestState.FAILED, reason, now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """End the requests whose uploads make no progress, and tell what waits."""
        for pace in self._paces.values():
            self._note_waiting(pace, now_ns)
            if pace.unseen and now_ns >= pace.unseen_due_at_ns:
                self._tell_unseen(pace, now_ns)
        for request in list(self._requests.values()):
            if request.give_up_at_ns is not None and now_ns >= request.give_up_at_ns:
                self.refuse(request.request_id, NO_UPLOAD, now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """The times at which `timer` must be called."""
        for request in self._requests.values():
            if request.give_up_at_ns is not None:
                yield request.give_up_at_ns
        for pace in self._paces.values():
            if pace.waiting:
                yield pace.due_at_ns
            if pace.unseen:
                yield pace.unseen_due_at_ns

    # -- inside ------------------------------------------------------------------------------------------------------

    def _refusal(self, request: Request, now_ns: int) -> str:
        """Why a new request is not taken; empty: it is."""
        of_all = list(self._requests.values())
        if any(_same(request, one) for one in self.of(request.who)):
            return ASKED_TWICE
        if self.open_of(request.who.key) >= MAX_OPEN or len(of_all) >= MAX_ALL:
            return TOO_MANY
        return self._caps.refusal(request, of_all, now_ns=now_ns)

    def _accept(self, request: Request, now_ns: int) -> None:
        self._take(request, now_ns)
        self._note(request, now_ns)

    def _take(self, request: Request, now_ns: int) -> None:
        """Accept a request without an event."""
        request.state = RequestState.ACCEPTED
        if request.song_id is None:
            request.give_up_at_ns = now_ns + request.who.patience_ns
        else:
            self._outbox.do(FetchFromLibrary(request.request_id, request.song_id))
        self._answer(request.who, m.SongRequestAccepted(request.request_id))

    def _answer(self, who: Requester, answer: Answer) -> None:
        effect = who.answer(answer)
        if effect is not None:
            self._outbox.do(effect)

    def _open(self, request_id: UUID, now_ns: int) -> Request | None:
        request = self._requests.get(request_id)
        if request is None or request.state is not RequestState.OPEN:
            self._outbox.error(OVER, now_ns)
            return None
        return request

    def _over(self, request: Request, state: RequestState, reason: str, now_ns: int) -> None:
        del self._requests[request.request_id]
        request.state, request.converted_percent = state, None
        if state is not RequestState.ADDED:
            self._caps.undone(request.who.key, request.request_id)
        request.who.finished(request.view(reason), now_ns=now_ns)
        self._note(request, now_ns, reason)

    def _note_waiting(self, pace: _Pace, now_ns: int) -> None:
        """Tell the oldest event that waits, if it is due."""
        if pace.waiting and now_ns >= pace.due_at_ns:
            pace.due_at_ns = now_ns + NOTE_EVERY_NS
            self._outbox.note_request(pace.waiting.pop(next(iter(pace.waiting))), now_ns)

    def _tell_unseen(self, pace: _Pace, now_ns: int) -> None:
        if pace.unseen:
            self._outbox.warn(Notice(Code.REQUESTS_LEFT_OUT, peer=pace.name, number=pace.unseen), now_ns)
        pace.unseen = pace.unseen_due_at_ns = 0

    def _note(self, request: Request, now_ns: int, reason: str = "") -> None:
        pace = self._paces.get(request.who.key)
        if pace is not None:
            pace.waiting.pop(request.request_id, None)  # this is newer
        self._outbox.note_request(request.view(reason), now_ns)


def _remember(newest: dict[UUID, None], request_id: UUID) -> None:
    newest[request_id] = None
    for old in list(newest)[:-REMEMBERED]:
        del newest[old]


def _same(one: Request, other: Request) -> bool:
    """Two requests for one song, as far as is known before it is sent."""
    return (one.song_id, one.file_name, one.size) == (other.song_id, other.file_name, other.size)
