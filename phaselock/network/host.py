"""The host's sockets: control connections of peers. file_sender.py and song_taker.py have the connections for files."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import pathlib
import socket
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from phaselock.audio.interface import AudioOutput
from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.language.message import N_, Message
from phaselock.model.heritage import Hosting
from phaselock.model.loudness import Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import GuestPage
from phaselock.model.types import ClockStatus, Track
from phaselock.network.arrivals import Arrivals
from phaselock.network.call_back import Calls
from phaselock.network.connection import MESSAGES_AT_ONCE, Connection, ConnectionLost
from phaselock.network.file_connection import FileConnection
from phaselock.network.file_sender import FileSender
from phaselock.network.pairing import Pairing
from phaselock.network.runner import Hear, HearSong, Outcome, Runner, log
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.network.song_taker import Describe, SongTaker
from phaselock.network.unauthenticated import RefusalLog, UnauthenticatedConnections
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import (
    CodeNeeded,
    FileRefused,
    FileRequest,
    Heartbeat,
    PairingProof,
    PairingReply,
    PairingStart,
    PauseCommand,
    PieceRequest,
    PlayCommand,
    ResumeCommand,
    SeekCommand,
    SongUploadStart,
    StopCommand,
)
from phaselock.session.commands import Add, HostCommand
from phaselock.session.effects import (
    AllowClock,
    AskCode,
    Broadcast,
    CallBack,
    Close,
    CloseOutside,
    Effect,
    FetchFromLibrary,
    FollowHost,
    ForbidClock,
    ForGuest,
    GuestCalibrated,
    GuestRemoved,
    GuestSweep,
    GuestSweepEnd,
    HashPieces,
    OpenOutside,
    ReachedAt,
    Send,
    TakeOver,
    TellGuest,
    WantFallback,
)
from phaselock.session.events import Event
from phaselock.session.guest_actions import GuestAction
from phaselock.session.host.requests import Request
from phaselock.session.host.session import HostSession
from phaselock.session.sentences import notice_text
from phaselock.storage.cache import FileCache

HELLO_S = 5.0
"""How long a new connection may take, in seconds, to send its first message."""
UNENCRYPTED_S = 2.5
"""How long a new connection may take, in seconds, to begin the handshake of TLS."""
HANDSHAKE_S = 10.0
"""How long it may then take for the rest. Where many machines join at once, each one waits for the others."""
SPARE_WORKERS = 2
"""Worker threads for transfers that are ending. There is one more for a file to each peer, and one for a song from
each."""
OUTSIDE_PAUSE_S = 0.02
"""Time in seconds between two connections at the outside port: the internet must not keep this thread busy."""
REFUSED_PAUSE_S = 0.001
"""The same after one that is closed at once: the queue of the system must not fill with the connections of a machine
that has too many."""
OUTSIDE_BACKLOG = 128
"""Connections that may wait to be accepted at the outside port."""
ACCEPT_AGAIN_S = 0.1
"""Time in seconds from a failed `accept` to the next one."""
TIMED = (PlayCommand, PauseCommand, ResumeCommand, SeekCommand, StopCommand)
"""Messages that name a time at which they take effect. A late arrival is audible."""
CHASERS_S = (0.008, 0.02, 0.04)
"""Delays in seconds of the heartbeats that follow a message of TIMED. TCP detects a lost packet with no packet behind
it only after its minimum timeout of 200 ms. With packets behind it the loss is detected at once (RFC 8985), and the
message still arrives in time."""


class ClockResponder(Protocol):
    """Session time at the host. Answers clock pings of the peers that are allowed, from their IP addresses and under
    their keys."""

    def status(self, now_session_ns: int) -> ClockStatus: ...

    def allow(self, peer_id: int, ip: str, key: bytes) -> None: ...

    def forbid(self, peer_id: int) -> None: ...

    def log_counts(self) -> None: ...


class GuestServer(Protocol):
    """The server of the guests' page, as the runner uses it. Nothing here may block."""

    def tell(self, effect: ForGuest) -> None:
        """Show a sentence to a guest, let its phone play sounds, or close the connections of one that was removed."""


class HostRunner(Runner[HostSession]):
    """Runs the session of a host: accepts connections, and transfers files in worker threads.

    For the network thread. `now_ns` returns session time.
    """

    def __init__(
        self,
        session: HostSession,
        output: AudioOutput,
        clock: ClockResponder,
        cache: FileCache,
        identity: HostIdentity,
        *,
        describe: Describe,
        now_ns: Callable[[], int],
        on_event: Callable[[Event], None],
        hear: Hear | None = None,
        hear_song: HearSong | None = None,
        files: Mapping[UUID, tuple[Track, pathlib.Path]] = MappingProxyType({}),
    ) -> None:
        super().__init__(session, output, now_ns=now_ns, on_event=on_event, hear=hear, hear_song=hear_song, files=files)
        self._clock = clock
        self._identity = identity
        self._numbers = itertools.count(1)
        self._connections: dict[int, tuple[Connection, str]] = {}
        self._member_ips: dict[int, str] = {}
        """IP addresses of the members, by peer id."""
        self._arrivals = Arrivals(self._member_ips.values())
        self._unauthenticated = UnauthenticatedConnections(self._member_ips.values(), session.max_peers)
        self._refusals = RefusalLog()
        self._pool = concurrent.futures.ThreadPoolExecutor(2 * session.max_peers + SPARE_WORKERS, "bulk")
        self._sender = FileSender(session, self._files, self._pool, self._tell, self.session_ns)
        self._songs = SongTaker(session, self._files, cache, describe, self._pool, self._tell, self._ended.done)
        self._pairing_pool = concurrent.futures.ThreadPoolExecutor(1, "pairing")
        self.guest_server: GuestServer | None = None
        """None: there is no page for guests."""
        self.library: Callable[[int], pathlib.Path | None] | None = None
        """Returns the path of a song of the library; None: there is none. Called in a worker thread."""
        self.want_fallback: Callable[[], None] | None = None
        """Adds one song of the fallback."""
        self.open_outside: Callable[[], None] | None = None
        """Opens the outside port, and tells the places that lead to it: see `OpenOutside`."""
        self.close_outside: Callable[[], None] | None = None
        """Closes it."""
        self.reached_at: Callable[[str], None] | None = None
        """A friend has reached this machine at this public address: see `ReachedAt`."""
        self._calls = Calls(identity, self._spawn)
        """Of lost friends: see `CallBack`."""
        self._accepting_outside: dict[socket.socket, asyncio.Task[None]] = {}

    def took_over(self, effect: TakeOver) -> None:
        """This machine was a peer until this effect. Call this before `run`."""
        self._do(self._session.took_over(effect.cause, now_ns=self._now_ns()))

    def reachable_at(self, addresses: tuple[str, ...], port: int, wired: bool | None) -> None:
        """See HostSession.reachable_at."""
        if not self._ended.done():
            self._do(self._session.reachable_at(addresses, port, wired=wired, now_ns=self._now_ns()))

    @property
    def hosting(self) -> Hosting:
        """What the next host is told: see HostSession.hosts_with."""
        return self._session.hosting

    def hosts_with(self, hosting: Hosting) -> None:
        """See HostSession.hosts_with."""
        self._tell(self._session.hosts_with, hosting)

    def next_pages(self) -> tuple[tuple[str, int], ...]:
        """See HostSession.next_pages."""
        return self._session.next_pages()

    def met(self, address: str, port: int, announced_key: bytes) -> None:
        """See HostSession.met."""
        self._tell(self._session.met, address, port, announced_key)

    async def run(self, listeners: Sequence[socket.socket]) -> Outcome:
        """Serve until the session ends. The caller closes the listeners."""
        working = [self._spawn(self._accept(listener)) for listener in listeners]
        self._report_regularly()
        try:
            return await self._ended
        finally:
            self._calls.end_all()
            for task in [*working, *self._accepting_outside.values()]:
                task.cancel()
            for connection, _ in self._connections.values():
                connection.end("the session is over")
            self._sender.end_all()
            self._songs.end_all()
            await self._finish()
            self._pool.shutdown()
            self._sender.shutdown()
            self._songs.shutdown()
            self._pairing_pool.shutdown()

    def listen_outside(self, listener: socket.socket) -> None:
        """Accept connections at the outside port, until `stop_outside`. The caller closes the listener afterwards."""
        listener.listen(OUTSIDE_BACKLOG)
        self._accepting_outside[listener] = self._spawn(self._accept(listener, outside=True))

    async def stop_outside(self, listener: socket.socket) -> None:
        """Accept no more connections with this listener of `listen_outside`."""
        if (accepting := self._accepting_outside.pop(listener, None)) is not None:
            accepting.cancel()
            await asyncio.wait([accepting])

    @property
    def session_id(self) -> bytes:
        """See HostSession.session_id."""
        return self._session.session_id

    @property
    def max_peers(self) -> int:
        """See HostSession.max_peers."""
        return self._session.max_peers

    @property
    def host_key(self) -> bytes:
        """SHA-256 of this host's certificate."""
        return self._identity.host_key

    def command(self, command: HostCommand) -> None:
        """Execute a command of the host's user."""
        self._do(self._session.command(command, now_ns=self._now_ns()))

    def add(
        self, track: Track, path: pathlib.Path, origin: pathlib.Path | None = None, *, fallback: bool = False
    ) -> None:
        """Append this file to the queue. `origin` is the user's file, if `path` was made of it. `fallback`: it plays
        when nothing else waits."""
        self._songs.keep(track, path, origin)
        self.command(Add(track, fallback))

    def add_file(self, path: pathlib.Path, name: str) -> None:
        """Append a file of the cache to the queue, under this name."""
        self._spawn(self._add_file(path, name))

    async def _add_file(self, path: pathlib.Path, name: str) -> None:
        try:
            with bug_net("describing a song", PhaseLockError, OSError):
                found = await self._songs.describe(path, name)
        except (PhaseLockError, OSError) as error:
            log.warning("%s cannot be added: %s", name, error)
        else:
            if not self._ended.done():
                self.add(*found, origin=path)

    def guest(self, guest_id: bytes, action: GuestAction) -> None:
        """A guest does something; see HostSession.guest."""
        self._do(self._session.guest(guest_id, action, now_ns=self._now_ns()))

    def guest_code(self, ip: str, code: str) -> tuple[str, str] | None:
        """See HostSession.guest_code."""
        refusal, effects = self._session.guest_code(ip, code, now_ns=self._now_ns())
        self._do(effects)
        return refusal

    def guest_page(self, guest_id: bytes) -> GuestPage | None:
        """See HostSession.guest_page."""
        return self._session.guest_page(guest_id, now_ns=self._now_ns())

    @property
    def code(self) -> str:
        """See HostSession.code."""
        return self._session.code

    def has_song(self, file_id: UUID) -> bool:
        """See HostSession.has_song."""
        return self._session.has_song(file_id)

    def is_removed_guest(self, guest_id: bytes) -> bool:
        """See HostSession.is_removed_guest."""
        return self._session.is_removed_guest(guest_id)

    def authorise_guest_upload(self, guest_id: bytes, request_id: UUID) -> Request | None:
        """See HostSession.authorise_guest_upload."""
        return self._session.authorise_guest_upload(guest_id, request_id)

    def guest_upload_progress(self, request_id: UUID, done_bytes: int) -> bool:
        """`done_bytes` of a guest's song have arrived. False: the song is no longer wanted."""
        self._tell(self._session.upload_progress, request_id, done_bytes)
        return self.wants_guest_upload(request_id)

    def wants_guest_upload(self, request_id: UUID) -> bool:
        """See HostSession.wants_upload."""
        return self._songs.is_wanted(request_id)

    def guest_upload(self, request_id: UUID, path: pathlib.Path, file_name: str) -> None:
        """All bytes of a guest's song are in this file of the cache: describe it, and add it to the queue."""
        self._spawn(self._songs.take_file(request_id, path, file_name))

    def learn_tags(self, file_id: UUID, tagged: Tagged) -> None:
        """See HostSession.learn_tags."""
        self._do(self._session.learn_tags(file_id, tagged, now_ns=self._now_ns()))

    def learn_measurement(self, file_id: UUID, measurement: Measurement) -> None:
        """See HostSession.learn_measurement."""
        self._do(self._session.learn_measurement(file_id, measurement, now_ns=self._now_ns()))

    def origin(self, file_id: UUID) -> pathlib.Path | None:
        """The path of the user's file of which a track was made; None if there is none on this machine."""
        return self._songs.origin(file_id) or self.path(file_id)

    def clock_status(self) -> ClockStatus:
        return self._clock.status(self._now_ns())

    def _report_clock(self, status: ClockStatus) -> None:
        self._clock.log_counts()

    def session_ns(self) -> int:
        return self._now_ns()

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Send(conn, message):
                self._send((conn,), message)
            case Broadcast(conns, message):
                self._send(conns, message)
            case AskCode(conn):
                self._send((conn,), CodeNeeded())
                self._unauthenticated.is_waiting(conn)
            case Close(conn, reason):
                if conn in self._connections:
                    self._note_stranger(conn, reason)
                    self._connections[conn][0].end(reason)
            case AllowClock(peer_id, conn, key):
                if conn in self._connections:
                    connection, ip = self._connections[conn]
                    connection.framer.cap = SESSION_CAP
                    self._unauthenticated.remove(conn)
                    self._member_ips[peer_id] = ip
                    self._clock.allow(peer_id, ip, key)
                self._calls.end(peer_id)
            case ForbidClock(peer_id):
                self._member_ips.pop(peer_id, None)
                self._clock.forbid(peer_id)
                self._sender.shut(peer_id)
                self._songs.shut(peer_id)
            case FollowHost():
                self._ended.set_result(effect)
            case TellGuest() | GuestRemoved() | GuestSweep() | GuestSweepEnd() | GuestCalibrated():
                if self.guest_server is not None:
                    self.guest_server.tell(effect)
            case FetchFromLibrary(request_id, song_id):
                self._spawn(self._songs.take_from_library(request_id, self.library, song_id))
            case WantFallback():
                if self.want_fallback is not None:
                    self.want_fallback()
            case OpenOutside():
                if self.open_outside is not None:
                    self.open_outside()
            case CloseOutside():
                if self.close_outside is not None:
                    self.close_outside()
            case ReachedAt(address):
                if self.reached_at is not None:
                    self.reached_at(address)
            case HashPieces(track):
                self._spawn(self._sender.hash_pieces(track))
            case CallBack(peer_id, ip, port, message):
                self._calls.begin(peer_id, ip, port, message)
            case _:
                raise AssertionError(f"{effect} is not for this runner")

    def _send(self, conns: tuple[int, ...], message: m.Message) -> None:
        data = frame(message)
        for conn in conns:
            if conn in self._connections:
                self._connections[conn][0].send_frame(data)
                if isinstance(message, TIMED):
                    for delay_s in CHASERS_S:
                        self._loop.call_later(delay_s, self._chase, conn)

    def _chase(self, conn: int) -> None:
        if conn in self._connections and not self._ended.done():
            self._connections[conn][0].send(Heartbeat())

    async def _accept(self, listener: socket.socket, outside: bool = False) -> None:
        while True:
            try:
                sock, address = await self._loop.sock_accept(listener)
            except OSError:  # the connection is closed already, or this process has no free file descriptor
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            ip = address[0].removeprefix("::ffff:")
            if outside and not self._arrivals.take(ip, self._loop.time()):
                sock.close()
                await asyncio.sleep(REFUSED_PAUSE_S)
                continue
            try:
                with bug_net("a new connection"):
                    self._admit(sock, ip, outside)
            except InternalError:
                sock.close()
            # Yield once at least: the sockets just closed are released before the next accept.
            await asyncio.sleep(OUTSIDE_PAUSE_S if outside else 0)

    def _admit(self, sock: socket.socket, ip: str, outside: bool) -> None:
        if self._unauthenticated.make_room(ip, outside):
            conn = next(self._numbers)
            connection = Connection(sock, Framer(GREETING_CAP))
            self._unauthenticated.add(conn, ip, connection.abort, outside)
            self._spawn(self._serve(conn, connection, ip, outside))
        else:
            sock.close()

    async def _serve(self, conn: int, connection: Connection, ip: str, outside: bool) -> None:
        try:
            message = await self._converse(conn, connection, ip, outside)
            if isinstance(message, FileRequest):
                track = self._session.authorise_fetch(message.peer_id, message.proof, message.file_id)
                if track is not None and message.offset <= track.size:
                    self._unauthenticated.remove(conn)
                    return await self._sender.serve_file(FileConnection(*connection.detach()), message, track)
                connection.send(FileRefused(N_("There is no such file for you here.")))
            elif isinstance(message, PieceRequest):
                if self._session.authorise_fetch(message.peer_id, message.proof, message.file_id) is not None:
                    self._unauthenticated.remove(conn)
                    return await self._sender.serve_pieces(FileConnection(*connection.detach()), message)
                connection.send(FileRefused(N_("There is no such file for you here.")))
            elif message is not None:
                request = self._session.authorise_upload(
                    message.peer_id, message.proof, message.request_id, message.sha256
                )
                if request is not None:
                    self._unauthenticated.remove(conn)
                    return await self._songs.take_song(FileConnection(*connection.detach()), message, request)
                connection.send(FileRefused(N_("This song is not wanted.")))
            if not connection.is_aborted:
                self._unauthenticated.is_closing(conn, ip, connection.abort, outside)
            await connection.close()
        finally:
            self._unauthenticated.remove(conn)

    async def _converse(
        self, conn: int, connection: Connection, ip: str, outside: bool
    ) -> FileRequest | PieceRequest | SongUploadStart | None:
        """Pass the messages of a connection to the session until the connection ends, then return None.

        If its first message starts a file transfer, return this message at once; the connection stays open.
        """
        self._connections[conn] = connection, ip
        log.debug("connection %d from %s", conn, ip)
        reason = Notice(Code.PEER_CONNECTION_LOST, "it carries a file")
        try:
            with bug_net("the connection of a peer", ConnectionLost, ProtocolError, TimeoutError):
                if not await self._secure(connection, outside):
                    raise ProtocolError("it does not encrypt")
                self._do(self._session.connected(conn, ip, outside, now_ns=self._now_ns()))
                async with asyncio.timeout(HELLO_S):
                    message = await connection.receive()
                self._unauthenticated.has_spoken(conn)
                if isinstance(message, FileRequest | PieceRequest | SongUploadStart):
                    return message
                for number in itertools.count(1):
                    if isinstance(message, PairingStart):
                        await self._pair(conn, connection, message.share)
                    else:
                        self._do(self._session.received(conn, message, now_ns=self._now_ns()))
                    message = await connection.receive()
                    if number % MESSAGES_AT_ONCE == 0:  # `receive` does not yield while messages are buffered
                        await asyncio.sleep(0)
        except InternalError as error:
            reason = Notice(Code.PEER_CONNECTION_LOST, error.message)
        except ProtocolError as error:
            self._note_stranger(conn, str(error))
            connection.abort(str(error))
            reason = Notice(Code.PEER_BROKE_PROTOCOL, str(error))
        except ConnectionLost as error:
            reason = Notice(
                Code.PEER_CONNECTION_LOST, Message("The connection was lost: {reason}.", reason=error.reason)
            )
        except TimeoutError:
            reason = Notice(Code.PEER_CONNECTION_LOST, "it said nothing")
        finally:
            del self._connections[conn]
            log.debug("connection %d from %s is over: %s; %s", conn, ip, notice_text(reason), connection.counts())
            if not self._ended.done():
                self._do(self._session.disconnected(conn, reason, now_ns=self._now_ns()))
        return None

    async def _pair(self, conn: int, connection: Connection, share: bytes) -> None:
        """Find out whether the peer knows the code: see network/pairing.py. TimeoutError if it does not go on."""
        code, effects = self._session.begin_pairing(conn, now_ns=self._now_ns())
        self._do(effects)
        if not code:
            return
        pairing = await self._loop.run_in_executor(self._pairing_pool, _answered, code, self._identity.host_key, share)
        connection.send(PairingReply(pairing.share))
        async with asyncio.timeout(HELLO_S):
            message = await connection.receive()
        if isinstance(message, PairingProof) and pairing.is_proof(message.proof):
            connection.send(PairingProof(pairing.proof))
            self._do(self._session.paired(conn, code, now_ns=self._now_ns()))
        else:
            self._do(self._session.not_paired(conn, now_ns=self._now_ns()))

    async def _secure(self, connection: Connection, outside: bool) -> bool:
        """Make the handshake of TLS. A peer of a version without encryption gets a greeting, from which it learns that
        the versions differ: return False. At the outside port it gets none."""

        def begun() -> None:
            limit.reschedule(self._loop.time() + HANDSHAKE_S)

        try:
            async with asyncio.timeout(UNENCRYPTED_S) as limit:
                if await connection.secure(SecureChannel(self._identity), begun):
                    return True
        except TimeoutError:
            if connection.speaks_tls:
                raise
            # else it waits for the greeting
        if outside:
            return False
        info, reason = self._session.refusal_of_unencrypted()
        connection.send(info)
        connection.send(reason)
        await connection.close()
        return False

    def _note_stranger(self, conn: int, reason: str) -> None:
        """A connection is closed for this reason: log it if it has not joined."""
        if conn in self._unauthenticated and conn in self._connections:
            self._refusals.note(self._connections[conn][1], reason, self._loop.time())


def _answered(code: str, host_key: bytes, share: bytes) -> Pairing:
    """The host's side of a pairing, with the share of the peer. Called in a worker thread."""
    pairing = Pairing(code, host_key, is_host=True)
    pairing.take(share)
    return pairing
