"""The page's server: which request gets which answer, and what each guest is told.

Everything here runs on the network thread and does not block: files are read and written, songs are searched and
pictures are decoded in worker threads or in another process. The state is looked at five times a second in all, and
sent to those guests for which it has changed. PACE_BYTES limits what that costs with many guests and a long queue.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import ipaddress
import logging
import os
import pathlib
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any
from uuid import UUID

from phaselock.errors import InternalError, bug_net
from phaselock.guests.access import Access, Removed
from phaselock.guests.art import Pictures
from phaselock.guests.connection import Connection, Live, Sink, SmallBody
from phaselock.guests.http import Head, policy
from phaselock.guests.jam import FoundSong, Jam, Songs
from phaselock.guests.limits import Bucket, Openings, Pace, Place, to_close
from phaselock.guests.messages import PageError, read_object, text_of
from phaselock.guests.moving import Places, answer_seeker
from phaselock.guests.page_session import PageSession
from phaselock.guests.song_sender import SongSender
from phaselock.guests.states import Shared, States, sweep_message, timeline_text
from phaselock.guests.static import PageFile
from phaselock.guests.turns import SPAN_S, Turns, Work
from phaselock.guests.uploads import Uploads
from phaselock.language.catalogue import words_of
from phaselock.language.message import N_, translated
from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.sweeps import SWEEP_ID
from phaselock.session.effects import Follow, ForGuest, GuestRemoved, TellGuest
from phaselock.session.guest_actions import GuestGone
from phaselock.storage.cache import FileCache

STATE_EVERY_S = 0.2
"""Smallest time between two states of one guest."""
PACE_BYTES_S = 5e6
"""Bytes of states per second to all guests, about: with many guests and a long queue they come less often."""
STATES_SHARE, ACCEPT_SHARE = 0.1, 0.05
"""Shares of the network thread's time for states and for new connections. See turns.py for requests and messages."""
SLICE_S = 0.001
"""States are made and sent for this time before other work of the network thread."""
ACCEPT_AGAIN_S = 0.1
"""After a failed accept, pause for this time before the next one."""
CHECK_EVERY_S = 1.0
BACKLOG = 128
"""New connections that wait."""
FAREWELL_S = 0.5
"""How long the pages may take, in seconds, to receive why they are closed when the page is switched off."""
MAX_LIVE = 200
"""Most open pages."""
MAX_OF_GUEST = 4
"""Most open pages of one guest; the oldest is closed for a new one."""
MAX_PLACES = 500
"""Guests whose addresses are remembered."""
MAX_BODY_BYTES = 4096
WORKERS = 4
"""Worker threads for files and searches."""
LOCAL_NAMES = ("localhost",)

REMOVED = N_("The host has removed you.")
WRONG_SECRET = N_("This invitation is no longer valid. Please scan the code at the host again.")
NEEDS_CODE = N_("Please enter the code of the jam.")
FULL = N_("Too many people use this page at the moment.")

_log = logging.getLogger("phaselock.guests")


class GuestServer:
    """For the network thread. The runner of the session calls `tell`."""

    def __init__(
        self,
        jam: Jam,
        access: Access,
        files: Mapping[str, PageFile],
        cache: FileCache,
        *,
        names: Collection[str],
        read_art: Callable[[pathlib.Path], Awaitable[bytes | None]],
        now_ns: Callable[[], int],
        songs: Callable[[], Songs | None] = lambda: None,
    ) -> None:
        """`names`: names of this machine that browsers may use in addresses. `read_art`: the picture of a music file as
        PNG. `songs`: the library, if there is one at present."""
        self.jam = jam
        self.access = access
        self.songs = songs
        self.now_ns = now_ns
        self._files = files
        self._names = frozenset(name.lower() for name in (*LOCAL_NAMES, *names))
        self._loop = asyncio.get_running_loop()
        self._pool = concurrent.futures.ThreadPoolExecutor(WORKERS, "guests")
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[int, Connection] = {}
        self._all_left = asyncio.Event()
        """Set after `close`, when the last connection has ended."""
        self._last_number = 0
        self._turns = Turns(self._precise_s, self._loop.call_later)
        self._pace = Pace()
        self._openings = Openings()
        self._searching = asyncio.Lock()
        self._sender = SongSender(self.in_worker, self._loop.time)
        self._live: dict[Connection, PageSession] = {}
        """Open pages, the oldest first."""
        self._unknown: dict[PageSession, None] = {}
        """WebSockets that have not said which guest they belong to, the oldest first."""
        self._places: collections.OrderedDict[bytes, Removed] = collections.OrderedDict()
        """The addresses of each guest, the one that has entered last behind the others."""
        self._states = States()
        self._shared: Shared | None = None
        self._timeline = ""
        self.next_pages: Places = ()
        """Of the next hosts, when the state was looked at last."""
        self._pictures = Pictures(read_art, self.spawn)
        self.uploads = Uploads(
            cache, self.in_worker, self.spawn, self._loop.time, jam.guest_upload_progress, jam.guest_upload
        )
        self._states_s = Bucket(STATES_SHARE, STATES_SHARE * SPAN_S)
        self._accept_s = Bucket(ACCEPT_SHARE, ACCEPT_SHARE * SPAN_S)
        self._listener: socket.socket | None = None
        self._working: list[asyncio.Task[None]] = []
        self._due: asyncio.Handle | None = None
        """When the state is looked at again; None: no page is open, or it happens now."""
        self._is_closed = False
        self.number = os.urandom(8).hex()
        """A page that meets another one knows that the host was started again."""
        self.had_removed = False
        """A guest was removed. The next session makes a new secret, because it does not know who was removed."""

    async def start(self, listener: socket.socket) -> None:
        """Serve on this listening socket, which is closed by `close`."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._listener = listener
        self._working = [self._spawn(self._accept(listener)), self._spawn(self._check())]

    async def close(self) -> None:
        """Close all connections and the socket, and wait for the workers."""
        self._is_closed = True
        for task in self._working:
            task.cancel()
        if self._due is not None:
            self._due.cancel()
        pages = list(self._live.values())
        for page in pages:
            page.tell_next(self.jam.next_pages())  # it may be off because another machine is the host now
            page.leave("the page is off")
        self.uploads.close()
        told = [page.connection for page in pages]
        for connection in list(self._connections.values()):
            if connection not in told:
                connection.abort("the page is off")
        await asyncio.sleep(0)
        if self._listener is not None:
            self._listener.close()
        if self._connections:
            with contextlib.suppress(TimeoutError):  # what a page is told has not always left when it was written
                async with asyncio.timeout(FAREWELL_S):
                    await self._all_left.wait()
        for connection in list(self._connections.values()):
            connection.abort("the page is off")
        await asyncio.sleep(0)
        while self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
            for task in self._tasks:
                task.cancel()
        self._pool.shutdown(wait=False)

    # -- from the session --------------------------------------------------------------------------------------------

    def tell(self, effect: ForGuest) -> None:
        """Show a sentence to a guest, in the language of its page, let its phone play the sounds of a calibration, or
        close the pages of one that was removed."""
        if isinstance(effect, TellGuest):
            self.show(effect.guest_id, effect.text, effect.request_id)
        elif isinstance(effect, GuestRemoved):
            self._removed(effect.guest_id)
        else:
            for page in self.pages_of(effect.guest_id):
                if page.is_listening:
                    page.send(sweep_message(effect))

    def show(self, guest_id: bytes, text: str, request_id: UUID | None = None) -> None:
        """Show a sentence to a guest, in the language of its page."""
        for page in self.pages_of(guest_id):
            shown = translated(text, page.words)
            page.send({"type": "told", "message": shown, "request": None if request_id is None else str(request_id)})

    def _removed(self, guest_id: bytes) -> None:
        pages = self.pages_of(guest_id)
        if known := self._places.pop(guest_id, None):
            self.access.remove(known)
        self.had_removed = True
        self.uploads.cancel_guest(guest_id)
        for page in pages:
            page.refuse("removed", REMOVED)

    def change_secret(self, secret: bytes) -> None:
        """All guests must come in again with the new secret, or with the code."""
        self.access.change_secret(secret)
        for page in list(self._live.values()):
            page.refuse("token", WRONG_SECRET)

    @property
    def open_pages(self) -> int:
        """Number of open pages."""
        return len(self._live)

    # -- what the connections need -----------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        self._last_number += 1
        return Connection(self, self._last_number)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = await self._loop.sock_accept(listener)
            except OSError:  # the connection is closed already, or this process has no free file descriptor
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            began_s = self._precise_s()
            with contextlib.suppress(OSError):
                await self._loop.connect_accepted_socket(self._connection, sock)
            now_s = self._precise_s()
            await asyncio.sleep(self._accept_s.spend(now_s - began_s, now_s))

    def admit(self, connection: Connection) -> bool:
        if self._is_closed or not self._openings.take(connection.ip, self._loop.time()):
            return False
        places = (Place(one.number, one.ip, one.group, one.is_idle) for one in self._connections.values())
        evicted = to_close(places, connection.ip)
        if evicted is None:
            return False
        if evicted:
            self._connections.pop(evicted).abort("others are waiting")
        self._connections[connection.number] = connection
        return True

    def left(self, connection: Connection) -> None:
        if self._connections.get(connection.number) is connection:
            del self._connections[connection.number]
        if self._is_closed and not self._connections:
            self._all_left.set()

    def line_up(self, ip: str, work: Work) -> None:
        self._turns.line_up(ip, work)

    def pause_s(self, ip: str) -> float:
        return self._pace.spend(ip, self._loop.time())

    def request(self, connection: Connection, head: Head) -> Sink | None:
        if (head.method, head.path) == ("GET", "/api/host") and self._is_own_name(head):
            answer_seeker(connection, head, self.access)
            return None
        if not self._is_ours(head):
            connection.reply_json(403, {"error": "host"})
            return None
        first, _, rest = head.path[1:].partition("/")
        match head.method, first:
            case "POST", "api" if rest == "enter":
                return self._small_body(connection, head, functools.partial(self._enter, connection))
            case "POST", "upload":
                return self._upload(connection, head, rest)
            case "GET", "upload":
                self._upload_state(connection, head, rest)
            case "GET" | "HEAD", "art":
                self._art(connection, head, rest)
            case "GET" | "HEAD", "song":
                self._song(connection, head, rest)
            case "GET" | "HEAD", _:
                self._file(connection, head)
            case _:
                connection.reply_json(405, {"error": "method"})
        return None

    def open_live(self, connection: Connection, head: Head) -> Live | None:
        key, version = head.headers.get("sec-websocket-key"), head.headers.get("sec-websocket-version")
        if not self._is_ours(head) or "origin" not in head.headers:
            connection.reply_json(403, {"error": "host"})
        elif head.method != "GET" or head.path != "/live" or not key or version != "13":
            connection.reply_json(400, {"error": "websocket"})
        elif len(self._live) >= MAX_LIVE:
            connection.reply_json(503, {"error": "busy"}, {"Retry-After": "30"})
        else:
            if len(self._live) + len(self._unknown) >= MAX_LIVE:
                oldest = next(iter(self._unknown))
                del self._unknown[oldest]
                oldest.connection.abort("others are waiting")
            page = PageSession(self, connection)
            self._unknown[page] = None
            return page
        return None

    # -- what the pages need -----------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start what a request has begun; see `Turns.counted`."""
        self._spawn(work, self._turns.counted(work))

    def _spawn(self, work: Coroutine[Any, Any, None], counted: Awaitable[None] | None = None) -> asyncio.Task[None]:
        """Start a task, which `close` ends. An exception in it is a bug, which is logged."""

        async def run() -> None:
            with contextlib.suppress(InternalError, asyncio.CancelledError), bug_net("a task of the guests' page"):
                await (counted or work)

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # a task that is cancelled before it begins has not awaited it
        return task

    def _precise_s(self) -> float:
        """For what takes less than a millisecond: on Windows, the time of the loop moves in steps of 16 ms."""
        return self.now_ns() / 1e9

    def time_s(self) -> float:
        """Time of the loop."""
        return self._loop.time()

    async def in_worker(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a worker thread."""
        return await self._loop.run_in_executor(self._pool, function, *arguments)

    async def search(self, text: str, limit: int) -> list[FoundSong]:
        """The songs of the library that match. Searches run one after the other: all together use one processor at
        most, and the workers are free for files."""
        async with self._searching:
            songs = self.songs()
            return list(await self.in_worker(functools.partial(songs.search, text, limit=limit))) if songs else []

    def entered(self, page: PageSession) -> None:
        """A page has said which guest it belongs to."""
        for old in self.pages_of(page.guest_id)[: 1 - MAX_OF_GUEST]:
            old.leave("the guest has opened the page again")
        self._unknown.pop(page, None)
        before = self._places.pop(page.guest_id, Removed(page.guest_id, frozenset()))
        self._places[page.guest_id] = dataclasses.replace(before, ips=before.ips | {page.connection.ip})
        while len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        if self._live and self._shared is not None:  # the present round of states may take long with many guests
            page.update(self._shared, (), "", self._loop.time())
        self._live[page.connection] = page
        self._look_soon()

    def gone(self, page: PageSession) -> None:
        """An open page is closed."""
        self._unknown.pop(page, None)
        if self._live.pop(page.connection, None) is not None and not self.pages_of(page.guest_id):
            if not self.jam.is_removed_guest(page.guest_id):
                self.jam.guest(page.guest_id, GuestGone())

    def pages_of(self, guest_id: bytes) -> list[PageSession]:
        """The open pages of a guest, the oldest first."""
        return [page for page in self._live.values() if page.guest_id == guest_id]

    def refusal(self, guest_id: bytes | None) -> tuple[str, str] | None:
        """Why the guest of a token is not let in: error and sentence; None: it is."""
        self.access.keep_removed(self.jam.is_removed_guest)
        if guest_id is None:
            return "token", WRONG_SECRET
        if self.jam.is_removed_guest(guest_id):
            return "removed", REMOVED
        if not self.pages_of(guest_id) and len(self._live) >= MAX_LIVE:
            return "full", FULL
        return None

    # -- states ------------------------------------------------------------------------------------------------------

    def _music(self, snapshot: SessionSnapshot) -> Follow:
        """The music that the audio output plays. During a calibration it is paused, and phones keep its songs."""
        followed = self.jam.followed
        is_sweep = followed.timeline is not None and followed.timeline.file_id == SWEEP_ID
        return Follow(snapshot.timeline, snapshot.then) if is_sweep else followed

    def _look_soon(self) -> None:
        if self._due is None and not self._is_closed:
            self._due = self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Send the state to those guests for which it has changed."""
        self._due = None
        if self._live and not self._is_closed:
            self._spawn(self._send_states())

    async def _send_states(self) -> None:
        began_s, slice_began_s, sent_bytes = self._loop.time(), self._precise_s(), 0
        try:
            snapshot, session_ns = self.jam.snapshot(), self.jam.session_ns()
            now = snapshot.now
            shared = self._states.shared(
                snapshot,
                session_ns,
                has_library=self.songs() is not None,
                has_art=now is not None and self._pictures.has(now.id, self.jam.path(now.id)),
            )
            if shared == self._shared:  # then pages need not compare it
                shared = self._shared
            self._shared = shared
            timeline, self.next_pages = self._timeline, self.jam.next_pages()
            if any(page.is_listening for page in self._live.values()):
                is_check = snapshot.check is not None and bool(snapshot.check.turns)
                timeline = self._timeline = timeline_text(
                    self._music(snapshot), snapshot.queue, self.jam.track, silent=is_check
                )
            for page in list(self._live.values()):
                sent_bytes += page.update(shared, snapshot.chat, timeline, self._loop.time())
                now_s = self._precise_s()
                if now_s - slice_began_s > SLICE_S:
                    await asyncio.sleep(self._states_s.spend(now_s - slice_began_s, now_s))
                    slice_began_s = self._precise_s()
        finally:
            spent_s = self._loop.time() - began_s
            if self._live and not self._is_closed:
                pause_s = max(STATE_EVERY_S - spent_s, sent_bytes / PACE_BYTES_S, 0.02)
                self._due = self._loop.call_later(pause_s, self._look)

    async def _check(self) -> None:
        while not self._is_closed:
            await asyncio.sleep(CHECK_EVERY_S)
            now_s = self._loop.time()
            self.uploads.sweep(self.jam.wants_guest_upload)
            for connection in list(self._connections.values()):
                connection.check(now_s)
            for page in [*self._live.values(), *self._unknown]:
                page.check(now_s)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _is_ours(self, head: Head) -> bool:
        """Whether a page of this server makes the request, and a person uses it by an address of this machine. A page
        of another site can neither send requests here nor use a name of its own for this machine (DNS rebinding)."""
        host = head.headers.get("host", "").lower()
        if not self._is_own_name(head):
            return False
        origin = head.headers.get("origin")
        if origin is not None:
            return origin.lower() == f"http://{host}"
        return head.headers.get("sec-fetch-site", "none") in ("none", "same-origin")

    def _is_own_name(self, head: Head) -> bool:
        """Whether the Host header names an address, or this machine."""
        host = head.headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]").partition("%")[0])
            return True
        return name.removesuffix(".") in self._names

    def _file(self, connection: Connection, head: Head) -> None:
        file = self._files.get(head.path)
        ports = {DEFAULT_GUEST_PORT, *(port for _, port in self.jam.next_pages())}
        rules = policy(head.headers.get("host", ""), ports)
        headers = {"ETag": file.tag if file else "", "Content-Security-Policy": rules}
        if file is None:
            connection.reply_json(404, {"error": "not found"})
        elif head.headers.get("if-none-match") == file.tag:
            connection.reply(304, headers, b"")
        else:
            connection.reply(200, {"Content-Type": file.content_type, **headers}, file.content)

    def _small_body(self, connection: Connection, head: Head, then: Callable[[bytes], None]) -> Sink | None:
        if head.length > MAX_BODY_BYTES:
            connection.reply_json(413, {"error": "too long"})
            return None
        return SmallBody(then)

    def _enter(self, connection: Connection, body: bytes) -> None:
        try:
            fields = read_object(body)
            secret, code, token = (text_of(fields, name, 200) for name in ("secret", "code", "guest"))
            language = text_of(fields, "language", 35)
        except PageError as error:
            connection.reply_json(400, {"error": "request", "message": str(error)})
            return
        words = words_of(language)
        refused = self._entry_refusal(connection.ip, secret, code, token)
        if refused is not None:
            connection.reply_json(403, {"error": refused[0], "message": translated(refused[1], words)})
            return
        known = self.access.guest_id(token)
        connection.reply_json(200, {"token": self.access.new_token() if known is None else token})

    def _entry_refusal(self, ip: str, secret: str, code: str, token: str) -> tuple[str, str] | None:
        """Why a person may not come in: error and sentence; None: it may."""
        self.access.keep_removed(self.jam.is_removed_guest)
        known = self.access.guest_id(token)
        if known is not None and self.jam.is_removed_guest(known):
            return "removed", REMOVED
        ips = {page.connection.ip for page in self._live.values()}
        if known is None and self.access.is_barred(ip, ips):
            return "removed", REMOVED
        if secret:
            return None if self.access.is_secret(secret) else ("secret", WRONG_SECRET)
        if not self.jam.code or known is not None:
            return None
        if not code:
            return "code", NEEDS_CODE
        return self.jam.guest_code(ip, code)

    def _guest(self, connection: Connection, head: Head) -> bytes | None:
        """The guest of a request with a token; None: it was answered with an error."""
        scheme, _, token = head.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else head.query.get("token", "")
        guest_id = self.access.guest_id(token)
        refused = self.refusal(guest_id)
        if refused is not None or guest_id is None:
            connection.reply_json(403, {"error": refused[0] if refused else "token"})
            return None
        return guest_id

    def _id(self, connection: Connection, text: str) -> UUID | None:
        """The id in a path; None: it was answered with an error."""
        try:
            return UUID(text)
        except ValueError:
            connection.reply_json(404, {"error": "not found"})
            return None

    # -- uploads -----------------------------------------------------------------------------------------------------

    def _upload(self, connection: Connection, head: Head, rest: str) -> Sink | None:
        if (guest_id := self._guest(connection, head)) is None or (request_id := self._id(connection, rest)) is None:
            return None
        offset = head.headers.get("upload-offset", "")
        wanted = self.jam.authorise_guest_upload(guest_id, request_id)
        if wanted is None:
            connection.reply_json(404, {"error": "not wanted"})
        elif not (offset.isascii() and offset.isdecimal() and len(offset) <= 12):
            connection.reply_json(400, {"error": "offset"})
        else:
            return self.uploads.begin(connection, guest_id, request_id, wanted, int(offset), head.length)
        return None

    def _upload_state(self, connection: Connection, head: Head, rest: str) -> None:
        if (guest_id := self._guest(connection, head)) is None or (request_id := self._id(connection, rest)) is None:
            return
        if self.jam.authorise_guest_upload(guest_id, request_id) is None:
            connection.reply_json(404, {"error": "not wanted"})
        else:
            connection.reply_json(200, {"done": self.uploads.done(request_id)})

    # -- files -------------------------------------------------------------------------------------------------------

    def _path(self, file_id: UUID) -> pathlib.Path | None:
        """The file of a song that is in the queue or plays."""
        return self.jam.path(file_id) if self.jam.has_song(file_id) else None

    def _art(self, connection: Connection, head: Head, rest: str) -> None:
        if self._guest(connection, head) is None or (file_id := self._id(connection, rest)) is None:
            return
        path = self._path(file_id)

        async def answer() -> None:
            picture = await self._pictures.read(file_id, path) if path is not None else None
            if picture is None:
                connection.reply_json(404, {"error": "no picture"})
            else:
                fields = {"Content-Type": "image/png", "Cache-Control": "private, max-age=86400"}
                connection.reply(200, fields, picture)

        self.spawn(answer())

    def _song(self, connection: Connection, head: Head, rest: str) -> None:
        guest_id = self._guest(connection, head)
        if guest_id is None or (file_id := self._id(connection, rest)) is None:
            return
        path, track = self._path(file_id), self.jam.track(file_id)
        if path is None or track is None:
            connection.reply_json(404, {"error": "not found"})
        elif self._sender.is_busy(guest_id, connection.ip):
            connection.reply_json(503, {"error": "busy"}, {"Retry-After": "2"})
        elif head.method == "HEAD":
            connection.reply(200, {"Content-Type": "application/octet-stream"}, b"")
        else:
            self.spawn(self._sender.send(connection, guest_id, path, track.size))
