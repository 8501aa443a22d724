"""One open page of a guest: the messages of its WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phaselock.guests import messages as p
from phaselock.guests.connection import Connection
from phaselock.guests.limits import Bucket
from phaselock.guests.messages import PageError
from phaselock.guests.moving import Places, hosts_text
from phaselock.guests.states import Shared, chat_text, dumps, state_text
from phaselock.language.catalogue import words_of
from phaselock.language.message import ENGLISH, N_, translated
from phaselock.model.names import file_label, person_name
from phaselock.model.snapshot import ChatLine, GuestPage
from phaselock.session import guest_actions as a

if TYPE_CHECKING:
    from phaselock.guests.server import GuestServer

HELLO_S = 10.0
"""A new page says which guest it belongs to within this time."""
MESSAGES_S, MESSAGES_BURST = 40.0, 160.0
"""A page that sends more is closed."""
MAX_WAITING_BYTES = 64 << 10
"""A page with more unsent bytes gets its next state later."""
MAX_BEHIND_S = 20.0
"""A page that does not take its state for this time is closed."""
MAX_FOUND = 50
"""Songs in the answer to a search."""
NO_SONG = N_("This song is not in the host's music folder any more.")


class PageSession:
    """For the network thread."""

    def __init__(self, server: GuestServer, connection: Connection) -> None:
        self._server = server
        self.connection = connection
        self.guest_id = b""
        """Empty before `hello`."""
        self.name = ""
        """As the session calls the guest."""
        self.words = ENGLISH
        self.is_listening = False
        self._asked_name = ""
        self._bucket = Bucket(MESSAGES_S, MESSAGES_BURST)
        self._hello_due_s = server.time_s() + HELLO_S
        self._behind_since_s: float | None = None
        self._state_of: tuple[Shared, GuestPage] | None = None
        """What the last state was made of."""
        self._last_line = 0
        self._timeline = ""
        self._next_pages: Places = ()
        self._searching = False
        self._next_search: p.Search | None = None

    # -- Live --------------------------------------------------------------------------------------------------------

    def message(self, text: str, arrived_ns: int) -> None:
        """A message of the page. PageError if it must not send this."""
        if not self._bucket.take(1.0, arrived_ns / 1e9):
            raise PageError("too many messages")
        message = p.read(text)
        if not self.guest_id:
            if not isinstance(message, p.Hello):
                raise PageError("the first message must be hello")
            self._hello(message)
            return
        match message:
            case p.Ping(t0):
                times = {"t1_ns": str(arrived_ns), "t2_ns": str(self._server.now_ns())}
                self.send({"type": "pong", "t0": t0, **times})
            case p.Search():
                self._search(message)
            case p.AskFound():
                self._server.spawn(self._ask_found(message))
            case p.Withdraw(request_id):
                if self._server.jam.authorise_guest_upload(self.guest_id, request_id) is not None:
                    self._server.uploads.cancel(request_id)
                self._do(a.GuestWithdraws(request_id))
            case p.Listen(on, uncertainty_ns, by_ear):
                self.is_listening = on
                self._do(a.GuestListens(on, uncertainty_ns, by_ear))
            case p.Hello():
                raise PageError("hello was said already")
            case _:
                self._do(self._action(message))

    def lost(self) -> None:
        """The connection is closed."""
        self._server.gone(self)

    # -- for the server ----------------------------------------------------------------------------------------------

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the page."""
        self.connection.send_text(dumps(message))

    def tell_next(self, places: Places) -> int:
        """Tell the page of the next hosts, if that has changed. Return the number of bytes, about."""
        if places == self._next_pages:
            return 0
        self._next_pages = places
        return self._send_text(hosts_text(self._server.access, self.guest_id, places))

    def refuse(self, error: str, message: str) -> None:
        """Send the page away."""
        self.send({"type": "refused", "error": error, "message": translated(message, self.words)})
        self.leave(error)

    def leave(self, reason: str) -> None:
        """Close the page's connection."""
        self.connection.close_live(reason)
        self.lost()

    def check(self, now_s: float) -> None:
        """Close it if it does not say which guest it is, or does not take what it is sent."""
        if not self.guest_id and now_s > self._hello_due_s:
            self.connection.abort("no hello")
        if self._behind_since_s is not None and now_s - self._behind_since_s > MAX_BEHIND_S:
            self.connection.abort("it does not take its state")

    def update(self, shared: Shared, chat: tuple[ChatLine, ...], timeline: str, now_s: float) -> int:
        """Send what has changed for this page. Return the number of bytes, about."""
        if self.connection.is_closing:
            return 0
        if self.connection.unsent_bytes > MAX_WAITING_BYTES:
            self._behind_since_s = now_s if self._behind_since_s is None else self._behind_since_s
            return 0
        self._behind_since_s = None
        own = self._server.jam.guest_page(self.guest_id)
        if own is None:
            return 0
        self.name = own.name
        sent = 0
        if self._state_of is None or self._state_of[0] is not shared or self._state_of[1] != own:
            self._state_of = shared, own
            sent += self._send_text(state_text(shared, self.guest_id, own, self.words))
        if chat and chat[-1].number > self._last_line:
            text = chat_text(chat, self._last_line, own.name)
            self._last_line = chat[-1].number
            sent += self._send_text(text) if text else 0
        sent += self.tell_next(self._server.next_pages)
        if self.is_listening and timeline != self._timeline:
            self._timeline = timeline
            sent += self._send_text(timeline)
        elif not self.is_listening:
            self._timeline = ""
        return sent

    # -- inside ------------------------------------------------------------------------------------------------------

    def _send_text(self, text: str) -> int:
        self.connection.send_text(text)
        return len(text)

    def _do(self, action: a.GuestAction) -> None:
        self._server.jam.guest(self.guest_id, action)

    def _hello(self, hello: p.Hello) -> None:
        self.words = words_of(hello.language)
        guest_id = self._server.access.guest_id(hello.token)
        refused = self._server.refusal(guest_id)
        if refused is not None or guest_id is None:
            self.refuse(*(refused or ("token", "")))
            return
        self.guest_id = guest_id
        self._asked_name = person_name(hello.name)
        self._do(self._here())
        own = self._server.jam.guest_page(guest_id)
        self.name = own.name if own is not None else self._asked_name
        who = {"you": guest_id.hex(), "name": self.name}
        self.send({"type": "welcome", "version": p.VERSION, "session": self._server.number, **who})
        self._server.entered(self)

    def _here(self) -> a.GuestHere:
        return a.GuestHere(self._asked_name, "" if self.connection.is_own else self.connection.ip)

    def _action(self, message: p.PageMessage) -> a.GuestAction:
        match message:
            case p.Name(name):
                self._asked_name = person_name(name)
                return self._here()
            case p.Here():
                return self._here()
            case p.AskUpload(request, file_name, size):
                return a.GuestAsks(request, file_label(file_name), size)
            case p.Vote(song, wanted):
                return a.GuestVotes(song, wanted)
            case p.Skip(song, wanted):
                return a.GuestWantsSkip(song, wanted)
            case p.Say(text):
                return a.GuestSays(text)
        raise AssertionError(f"{message} was handled before")

    def _search(self, search: p.Search) -> None:
        """Search once at a time: while a person types, only the last text counts."""
        self._next_search = search
        if not self._searching:
            self._searching = True
            self._server.spawn(self._search_all())

    async def _search_all(self) -> None:
        try:
            while (search := self._next_search) is not None:
                self._next_search = None
                found = await self._server.search(search.text, MAX_FOUND) if search.text.strip() else []
                rows = [
                    {
                        "id": song.song_id,
                        "title": song.title,
                        "artist": song.artist,
                        "album": song.album,
                        "file_name": song.file_name,
                        "duration_s": round(song.duration_secs, 1),
                    }
                    for song in found
                ]
                self.send({"type": "results", "search": search.search, "songs": rows})
        finally:
            self._searching = False

    async def _ask_found(self, ask: p.AskFound) -> None:
        songs = self._server.songs()
        song = await self._server.in_worker(songs.song, ask.song) if songs is not None else None
        if song is None:
            self._server.show(self.guest_id, NO_SONG, ask.request)
        else:
            self._do(
                a.GuestAsks(
                    ask.request,
                    file_label(song.file_name),
                    song.size,
                    song.title,
                    song.artist,
                    song.duration_secs,
                    ask.song,
                )
            )
