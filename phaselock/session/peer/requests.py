"""The peer's record of its own song requests: sent, decided, uploaded, added."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from uuid import UUID

from phaselock.language.message import N_
from phaselock.model.names import sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import RequestState, RequestView
from phaselock.protocol import messages as m
from phaselock.session.commands import Request
from phaselock.session.effects import HOST_CONN, CancelUpload, Send, Upload
from phaselock.session.outbox import Outbox

MAX_TRIES = 3
"""Upload attempts for one song, counted again after each reconnect."""
REMEMBERED = 20
"""Number of finished requests that are kept: a late answer of the host is no breach of the protocol."""
SHOWN_NS = 60_000_000_000
"""How long a finished request stays visible."""
DECLINED = N_("The host has declined it.")
_AT_WORK = (RequestState.ACCEPTED, RequestState.CONVERTING)
_OVER = (RequestState.ADDED, RequestState.REJECTED, RequestState.FAILED)


@dataclasses.dataclass(slots=True)
class OutgoingRequest:
    """One request of this peer for a song."""

    request: Request
    number: int
    """Users refer to it by this number, from 1."""
    state: RequestState = RequestState.OPEN
    tries: int = 0
    """Upload attempts since the last acceptance."""
    done_bytes: int = 0
    converted_percent: int | None = None
    """How much of it the host has converted; None: it has told nothing of that."""
    reason: str = ""
    """Why it was rejected or failed; otherwise empty."""
    hide_at_ns: int | None = None
    """It is finished, and disappears at this local time."""
    hidden: bool = False

    @property
    def over(self) -> bool:
        return self.state in _OVER


class OutgoingRequests:
    """The unfinished requests of this peer, and the newest finished ones. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None]) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        self._requests: dict[UUID, OutgoingRequest] = {}
        self._last_number = 0

    def views(self, peer_name: str) -> tuple[RequestView, ...]:
        """The requests as users see them, oldest first."""
        return tuple(_view(wish, peer_name) for wish in self._requests.values() if not wish.hidden)

    def ask(self, request: Request, *, connected: bool, now_ns: int) -> None:
        """The user of this machine requests a song. An `error` event reports that the host is not connected, or that
        this song is requested already."""
        if not connected:
            self._outbox.error(Notice(Code.NOT_CONNECTED), self._session_ns(now_ns))
            return
        if any(wish.request.sha256 == request.sha256 and not wish.over for wish in self._requests.values()):
            self._outbox.error(Notice(Code.ALREADY_REQUESTED), self._session_ns(now_ns))
            return
        self._last_number += 1
        wish = OutgoingRequest(request, self._last_number)
        over = [request_id for request_id, other in self._requests.items() if other.over]
        for request_id in over[: max(0, len(over) - REMEMBERED)]:
            del self._requests[request_id]
        self._requests[request.request_id] = wish
        self._send(wish)
        self._note(wish, now_ns)

    def accepted(self, request_id: UUID, peer_id: int, token: bytes, *, now_ns: int) -> bool:
        """The host accepts a request. False if this peer did not send it."""
        wish = self._requests.get(request_id)
        if wish is None or wish.state is not RequestState.OPEN:
            return wish is not None
        wish.state = RequestState.ACCEPTED
        self._upload(wish, peer_id, token)
        self._note(wish, now_ns)
        return True

    def rejected(self, request_id: UUID, reason: str, *, now_ns: int) -> bool:
        """The host rejects a request, also during its upload. False if this peer did not send it."""
        wish = self._requests.get(request_id)
        if wish is not None and not wish.over:
            if wish.state in _AT_WORK:
                self._outbox.do(CancelUpload(request_id))
            self._end(wish, RequestState.REJECTED, sentence(reason) or DECLINED, now_ns)
        return wish is not None

    def converting(self, request_id: UUID, done_percent: int, *, now_ns: int) -> bool:
        """The host has the song, and has converted this share of it. False if this peer did not request it."""
        wish = self._requests.get(request_id)
        if wish is not None and wish.state in _AT_WORK:
            wish.state, wish.converted_percent, wish.done_bytes = (
                RequestState.CONVERTING,
                done_percent,
                wish.request.size,
            )
            self._note(wish, now_ns)
        return wish is not None

    def added(self, request_id: UUID, *, now_ns: int) -> bool:
        """The host has added the song to the queue. False if this peer did not request it."""
        wish = self._requests.get(request_id)
        if wish is not None and not wish.over:
            wish.done_bytes = wish.request.size
            self._end(wish, RequestState.ADDED, "", now_ns)
        return wish is not None

    def upload_ended(self, request_id: UUID, problem: str, peer_id: int, token: bytes, *, now_ns: int) -> None:
        """An upload attempt has ended. Empty `problem`: the host has received all bytes and will send its decision."""
        wish = self._requests.get(request_id)
        if wish is None or wish.state is not RequestState.ACCEPTED or not problem:
            return
        if wish.tries < MAX_TRIES:
            self._upload(wish, peer_id, token)
        else:
            self._outbox.do(Send(HOST_CONN, m.SongRequestWithdrawn(request_id, sentence(problem))))
            self._end(wish, RequestState.FAILED, sentence(problem), now_ns)

    def unanswered(self) -> tuple[Request, ...]:
        """The requests that are not finished."""
        return tuple(wish.request for wish in self._requests.values() if not wish.over)

    def lost_host(self) -> None:
        """The host is lost: cancel all uploads. Accepted requests are open again."""
        for request_id, wish in self._requests.items():
            if wish.state in _AT_WORK:
                self._outbox.do(CancelUpload(request_id))
                wish.state, wish.tries, wish.done_bytes, wish.converted_percent = RequestState.OPEN, 0, 0, None

    def found_host(self) -> None:
        """After a reconnect: send all open requests again."""
        for wish in self._requests.values():
            if wish.state is RequestState.OPEN:
                self._send(wish)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """Hide the requests that have been finished for SHOWN_NS."""
        for wish in self._requests.values():
            if wish.hide_at_ns is not None and now_ns >= wish.hide_at_ns:
                wish.hidden, wish.hide_at_ns = True, None

    def deadlines_ns(self) -> Iterator[int]:
        """The local times at which `timer` must be called."""
        for wish in self._requests.values():
            if wish.hide_at_ns is not None:
                yield wish.hide_at_ns

    # -- inside ------------------------------------------------------------------------------------------------------

    def _send(self, wish: OutgoingRequest) -> None:
        request = wish.request
        about = request.title, request.artist, request.duration_secs
        self._outbox.do(Send(HOST_CONN, m.SongRequest(request.request_id, request.file_name, request.size, *about)))

    def _upload(self, wish: OutgoingRequest, peer_id: int, token: bytes) -> None:
        wish.tries += 1
        request = wish.request
        self._outbox.do(Upload(request.request_id, request.sha256, request.size, peer_id, token))

    def _end(self, wish: OutgoingRequest, state: RequestState, reason: str, now_ns: int) -> None:
        wish.state, wish.reason, wish.hide_at_ns = state, reason, now_ns + SHOWN_NS
        wish.converted_percent = None
        self._note(wish, now_ns)

    def _note(self, wish: OutgoingRequest, now_ns: int) -> None:
        self._outbox.note_request(_view(wish, ""), self._session_ns(now_ns))


def _view(wish: OutgoingRequest, peer_name: str) -> RequestView:
    request = wish.request
    return RequestView(
        request.request_id,
        wish.number,
        peer_name,
        request.file_name,
        request.size,
        wish.state,
        wish.done_bytes,
        wish.reason,
        request.title,
        request.artist,
        request.duration_secs,
        wish.converted_percent,
    )
