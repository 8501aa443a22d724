"""The peer's sockets: one control connection at a time. peer_transfers.py has the connections for files."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import pathlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID

from phaselock.audio.interface import AudioEvent, AudioOutput, DecodeFailed, SongLength
from phaselock.errors import InternalError, PhaseLockError, bug_net, message_of
from phaselock.language.message import Message
from phaselock.model.invitation import Candidate
from phaselock.model.role import Role
from phaselock.model.types import ClockStatus, Track
from phaselock.network import transfer as bulk
from phaselock.network.call_back import take_calls
from phaselock.network.connection import MESSAGES_AT_ONCE, Connection, ConnectionLost
from phaselock.network.host_places import Bridge, HostPlaces
from phaselock.network.pairing import prove_code
from phaselock.network.peer_swarm import PeerSwarm
from phaselock.network.peer_transfers import PeerTransfers
from phaselock.network.queue_updates import QueueUpdates
from phaselock.network.reach import CannotConnect, Place, place_of
from phaselock.network.runner import Hear, HearSong, Outcome, Runner, log
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.network.succession import StandBy, StandByPorts
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import HOST_CAP, Framer
from phaselock.session.commands import PeerCommand
from phaselock.session.effects import (
    AwaitCall,
    CancelFetch,
    CancelUpload,
    Close,
    CloseForSuccession,
    Connect,
    Effect,
    Fetch,
    FetchPieces,
    FollowHost,
    Keep,
    LetFetch,
    OpenForSuccession,
    OpenPieces,
    Pair,
    Send,
    StartClock,
    StopClock,
    TakeOver,
    Upload,
    UsePlaces,
)
from phaselock.session.events import Event, Failed
from phaselock.session.peer.session import PeerSession
from phaselock.session.sentences import notice_of
from phaselock.storage.cache import FileCache

HANDSHAKE_S = 5.0
"""Time limit of the handshake of TLS, in seconds."""
PAIRING_MESSAGES = 2
"""Number of messages that a host sends in a pairing."""
CLOCK_AGAIN_S = 2.0
"""Time in seconds from a failed start of the clock to the next one."""


class ClockFollower(Protocol):
    """Measures the session clock and gives it to the audio output."""

    def start(self, host_ip: str, port: int, peer_id: int, own_ip: str, key: bytes) -> None: ...

    def start_anew(self) -> None: ...

    def stop(self) -> None: ...

    def status(self, now_ns: int) -> ClockStatus: ...


class PeerRunner(Runner[PeerSession]):
    """Runs a peer's part in a host's session. For the network thread; `inspect` is called in worker threads and raises
    a PhaseLockError if a file cannot be played. `volume` returns the volume of the output in percent, and whether it is
    muted; `role` returns the channels that it plays."""

    def __init__(
        self,
        session: PeerSession,
        output: AudioOutput,
        clock: ClockFollower,
        cache: FileCache,
        *,
        inspect: Callable[[pathlib.Path, bytes], SongLength],
        volume: Callable[[], tuple[int, bool]],
        role: Callable[[], Role],
        now_ns: Callable[[], int],
        on_event: Callable[[Event], None],
        find: Callable[[str, str], Awaitable[Sequence[Place]]] | None = None,
        clock_ports: Mapping[Place, int] = MappingProxyType({}),
        bridge: Bridge | None = None,
        identity: Callable[[], HostIdentity] | None = None,
        hear: Hear | None = None,
        hear_song: HearSong | None = None,
        files: Mapping[UUID, tuple[Track, pathlib.Path]] = MappingProxyType({}),
        open_ports: Callable[[], Awaitable[StandByPorts]] | None = None,
    ) -> None:
        """`find` searches the network for the session with this id and this host key (in hex digits) and returns where
        it is now. `clock_ports`: the UDP port of a place, where it is not the one that the host tells. `identity`
        returns the key of this machine, with which it passes songs on to other peers; called in a worker thread. None:
        it does not. `open_ports` opens the ports of a host for `OpenForSuccession`; it may raise PhaseLockError."""
        super().__init__(session, output, now_ns=now_ns, on_event=on_event, hear=hear, hear_song=hear_song, files=files)
        self._clock = clock
        self._volume = volume
        self._role = role
        self._where = HostPlaces(find, clock_ports, bridge)
        self._connection: Connection | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._attempt: asyncio.Task[None] | None = None
        """The newest attempt to reconnect: another host may be sought meanwhile."""
        self._pairing_inbox: asyncio.Queue[m.PairingReply | m.PairingProof] = asyncio.Queue(PAIRING_MESSAGES)
        """What the host sends during a pairing."""
        self.await_call: Callable[[], None] | None = None
        """Opens a port for calls of the host: see `AwaitCall`."""
        self._own_ip = ""
        self._clock_due: asyncio.TimerHandle | None = None
        """The next start of the clock, after one that failed."""
        self._clock_start: StartClock | None = None
        """The clock that is measured, or is to start again."""
        self._clock_port = 0
        """UDP, where it is asked."""
        self.stand_by = StandBy(open_ports, session.standby_info, self._sought, self._stands_by)
        self._updates = QueueUpdates(self._received, lambda: session.told_queue)
        self._swarm = PeerSwarm(cache, self._piece_ended, self._files.get, identity, self.session_ns)
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "bulk")
        self._transfers = PeerTransfers(
            session,
            self._files,
            cache,
            inspect,
            self._swarm,
            self._pool,
            tell=self._tell,
            spawn=self._spawn,
            is_over=self._ended.done,
        )

    @property
    def told_places(self) -> tuple[Candidate, ...]:
        """Where the host is now, as it has told last, or as a newer invitation says; empty: as it was joined."""
        return self._where.told

    @property
    def session_id(self) -> bytes:
        """See PeerSession.session_id."""
        return self._session.session_id

    def met(self, address: str, port: int, announced_key: bytes) -> None:
        """See PeerSession.met."""
        self._tell(self._session.met, address, port, announced_key)

    @property
    def places(self) -> Sequence[Place]:
        """Where the host announces itself; empty before `run`."""
        return self._where.places

    @property
    def host_key(self) -> bytes:
        """SHA-256 of the host's certificate; empty before the first connection."""
        return self._session.host_key

    async def run(self, sock: socket.socket | None, places: Sequence[Place] = ()) -> Outcome:
        """Take part until the session ends, then close the socket. `places` are all that the host has announced.
        Without a socket, this machine was the host before, and looks for the new one at these places."""
        self._where.places = places
        if sock is not None:
            self._spawn(self._listen(sock))
        else:
            self._where.address = places[0]
            self._do(self._session.resume(self.clock_status(), now_ns=self._now_ns()))
        self._spawn(self._transfers.report_room())
        self._report_regularly()
        try:
            return await self._ended
        finally:
            for task in self._connecting:
                task.cancel()
            if self._connection:
                self._connection.end("the session is over")
            if not self._is_taking_over:
                await self.stand_by.close()
            self._updates.drop()
            self._transfers.end_all()
            self._swarm.close()
            await self._finish()
            self._swarm.shutdown()
            self._stop_clock()
            self._pool.shutdown()
            self._transfers.shutdown()

    def command(self, command: PeerCommand) -> None:
        """Execute a command of this machine's user."""
        self._do(self._session.command(command, now_ns=self._now_ns()))

    def request(self, path: pathlib.Path) -> None:
        """Ask the host to add this file. A problem with the file is reported as an `error` event."""
        self._spawn(self._request(path))

    def path_changed(self) -> None:
        """The packets to the host take another path from now on, so its delays are no measure of the new one."""
        try:
            self._begin_settling()
            self._clock.start_anew()
        except OSError as error:
            log.warning("the clock does not start anew: %s", error)

    @property
    def own_ip(self) -> str:
        """The address of this machine on the last connection to the host."""
        return self._own_ip

    def listen_for_call(self, listener: socket.socket) -> None:
        """Take calls of the host at this listener until the end of the session; the caller closes it afterwards."""
        self._begin(take_calls(listener, self._session.may_be_host, self._called))

    def call_back_at(self, port: int) -> None:
        """The host reaches this machine at this TCP port."""
        self._tell(self._session.call_back_at, port)

    def _called(self, places: m.HostPlaces) -> None:
        self._tell(self._session.called, places)

    def clock_status(self) -> ClockStatus:
        return self._clock.status(self._now_ns())

    def session_ns(self) -> int | None:
        now_ns = self._now_ns()
        return self._clock.status(now_ns).session_from_local(now_ns)

    def _report_clock(self, status: ClockStatus) -> None:
        now_ns = self._now_ns()
        self._do(
            [
                *self._session.volume(*self._volume(), now_ns=now_ns),
                *self._session.role(self._role(), now_ns=now_ns),
                *self._session.clock(status, now_ns=now_ns),
            ]
        )

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Send(_, message):
                if self._connection:
                    self._connection.send(message)
            case Close(_, reason):
                if self._connection:
                    self._connection.end(reason)
            case Pair(code):
                if self._connection:
                    self._begin(self._pair(self._connection, code))
            case Connect():
                if self._attempt is not None:
                    self._attempt.cancel()
                self._attempt = self._begin(self._reconnect())
            case FollowHost(host):
                self._where.follow(host)
            case TakeOver():
                self._ended.set_result(effect)
            case OpenForSuccession():
                self.stand_by.open()
            case CloseForSuccession():
                self._spawn(self.stand_by.close())
            case StartClock():
                self._start_clock(effect)
            case StopClock():
                self._stop_clock()
            case Fetch(track, _, _, root) if root:
                self._transfers.fetch_in_pieces(track, root)
            case FetchPieces(file_id, source, pieces, peer_id, token):
                self._swarm.fetch(file_id, source, pieces, self._access(peer_id, token))
            case OpenPieces():
                self._spawn(self._open_pieces())
            case LetFetch(key):
                self._swarm.let(key)
            case Fetch(track, peer_id, token):
                self._transfers.fetch(track, self._access(peer_id, token))
            case CancelFetch(file_id):
                self._transfers.cancel(file_id)
            case Upload(peer_id=peer_id, token=token):
                self._transfers.upload(effect, self._access(peer_id, token))
            case CancelUpload(request_id):
                self._transfers.cancel_upload(request_id)
            case AwaitCall():
                if self.await_call is not None:
                    self.await_call()
            case UsePlaces(candidates, heirs):
                self._where.use(candidates, heirs)
                start = self._clock_start
                if self._session.is_joined and start and self._where.clock_port(start.clock_port) != self._clock_port:
                    self._start_clock(start)
            case Keep(hashes):
                self._transfers.keep(hashes)
            case _:
                raise AssertionError(f"{effect} is not for this runner")

    @property
    def _is_taking_over(self) -> bool:
        """The next role of this machine is that of the host: its ports are taken from `stand_by`."""
        return self._ended.done() and not self._ended.cancelled() and isinstance(self._ended.result(), TakeOver)

    def _stands_by(self, open_: StandByPorts) -> None:
        if not self._ended.done():
            ports = open_.ports.control_port, open_.ports.clock_port, open_.ports.identity.host_key
            about = open_.addresses, open_.wired, open_.page_port
            self._do(self._session.stands_by(*ports, *about, now_ns=self._now_ns()))

    def _sought(self, question: m.HostSeek) -> m.HostTold:
        answer, effects = self._session.sought(question, now_ns=self._now_ns())
        self._do(effects)
        return answer

    def _begin(self, attempt: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start an attempt to join, which the end of the session cancels."""
        task = self._spawn(attempt)
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return task

    def _access(self, peer_id: int, token: bytes) -> bulk.Access:
        return bulk.Access(self._where.address, self._session.host_key, peer_id, token)

    def _start_clock(self, start: StartClock) -> None:
        """Start the clock, and try again later if that fails: a network that changes, or a firewall."""
        self._stop_waiting_for_clock()
        self._begin_settling()
        self._report_soon()
        port = self._where.clock_port(start.clock_port)
        self._clock_start, self._clock_port = start, port
        try:
            self._clock.start(self._where.address[0], port, start.peer_id, self._own_ip, start.key)
        except OSError as error:
            log.warning("the clock of the host at %s, port %d: %s", self._where.address[0], port, error)
            self._clock_due = self._loop.call_later(CLOCK_AGAIN_S, self._start_clock, start)
            if not self._ended.done():
                self._do(self._session.clock_failed(message_of(error), now_ns=self._now_ns()))

    def _stop_clock(self) -> None:
        self._stop_waiting_for_clock()
        self._clock_start = None
        self._clock.stop()

    def _stop_waiting_for_clock(self) -> None:
        if self._clock_due:
            self._clock_due.cancel()
            self._clock_due = None

    async def _reconnect(self) -> None:
        if self._connection:
            self._connection.abort("another connection takes its place")
        try:
            with bug_net("a connection to the host", PhaseLockError):
                session_id, host_key = self._session.session_id, self._session.host_key
                sock = await self._where.connect_again(session_id, host_key, self._refused)
        except PhaseLockError as error:
            refused = isinstance(error, CannotConnect) and error.refused
            if not self._ended.done():
                self._do(self._session.connect_failed(error.message, refused=refused, now_ns=self._now_ns()))
        else:
            self._spawn(self._listen(sock))

    async def _listen(self, sock: socket.socket) -> None:
        place, own_ip = self._where.address, self._own_ip
        with contextlib.suppress(OSError):  # the other side has gone already, which `receive` will report
            place, own_ip = place_of(sock.getpeername()), place_of(sock.getsockname())[0]
        connection = self._connection = Connection(sock, Framer(HOST_CAP))
        self._updates.drop()
        log.debug("control connection to %s", place)
        secured = False
        try:
            with bug_net("the connection to the host", ConnectionLost, ProtocolError):
                host_key = await self._secure(connection, place)
                secured = True
                message = await self._greeting(connection) if self._may_be_elsewhere(place) else None
                if self._session.may_be_host(host_key):
                    self._own_ip = own_ip
                    self._where.found(place)
                else:
                    self._where.not_at(place)
                self._do(self._session.connected(host_key, place[0].partition("%")[0], now_ns=self._now_ns()))
                for number in itertools.count(1):
                    message = message or await connection.receive()
                    if self._connection is not connection:
                        break
                    if isinstance(message, m.QueueUpdate | m.QueueChange):
                        self._updates.add(message)
                    elif isinstance(message, m.PairingReply | m.PairingProof):
                        if self._pairing_inbox.full():
                            raise ProtocolError("it pairs without end")
                        self._pairing_inbox.put_nowait(message)
                    else:
                        if not isinstance(message, m.Heartbeat):
                            self._updates.flush()
                        self._received(message)
                    message = None
                    if number % MESSAGES_AT_ONCE == 0:
                        await asyncio.sleep(0)
        except (ConnectionLost, ProtocolError, InternalError) as error:
            log.debug("control connection is over: %s; %s", error, connection.counts())
            if self._connection is connection and self._may_be_elsewhere(place):
                self._begin(self._try_others(place))
            elif self._connection is connection and not self._ended.done():
                self._updates.flush()
                reason = error.reason if isinstance(error, ConnectionLost) else str(error)
                if secured:
                    self._do(self._session.disconnected(reason, now_ns=self._now_ns()))
                else:
                    self._do(self._session.connect_failed(reason, refused=False, now_ns=self._now_ns()))
        finally:
            await connection.close()

    async def _pair(self, connection: Connection, code: str) -> None:
        """Prove to the host that this machine knows the code, and let the host do so: see network/pairing.py. If the
        host refuses, it does so by a message to the session."""
        inbox = self._pairing_inbox = asyncio.Queue(PAIRING_MESSAGES)
        try:
            with bug_net("pairing", ProtocolError, TimeoutError):
                async with asyncio.timeout(HANDSHAKE_S):
                    right = await prove_code(code, self._session.host_key, connection.send, inbox.get, self._pool)
        except (ProtocolError, InternalError, TimeoutError) as error:
            log.info("the host does not pair: %s", error)
            right = False
        if not self._ended.done() and self._connection is connection:
            paired = self._session.paired if right else self._session.not_paired
            self._do(paired(now_ns=self._now_ns()))

    def _may_be_elsewhere(self, place: Place) -> bool:
        """The host may be elsewhere than at this place; not once a host has been found."""
        return not self._session.host_key and not self._ended.done() and self._where.may_be_elsewhere(place)

    def _refused(self) -> None:
        if not self._ended.done():
            self._do(self._session.refused(now_ns=self._now_ns()))

    async def _try_others(self, place: Place) -> None:
        """Another machine has answered at this place."""
        try:
            with bug_net("a connection to the host", PhaseLockError):
                sock = await self._where.connect_elsewhere(place)
        except PhaseLockError as error:
            if not self._ended.done():
                reason = error.reason if isinstance(error, CannotConnect) else error.message
                self._do(self._session.connect_failed(reason, refused=False, now_ns=self._now_ns()))
        else:
            self._spawn(self._listen(sock))

    async def _greeting(self, connection: Connection) -> m.Message:
        """The first message of a machine that may not be the host. ConnectionLost if it is not."""
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                greeting = await connection.receive()
        except TimeoutError:
            raise ConnectionLost(Message("it does not answer")) from None
        if not isinstance(greeting, m.SessionInfo) or not greeting.session_id.startswith(self._session.session_id):
            raise ConnectionLost("another session")
        return greeting

    async def _secure(self, connection: Connection, place: Place) -> bytes:
        """Make the handshake of TLS and return SHA-256 of the host's certificate. ConnectionLost without one."""
        channel = SecureChannel()
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                if await connection.secure(channel):
                    return channel.host_key
                greeting = await connection.receive()
        except TimeoutError:
            raise ConnectionLost(Message("it does not answer")) from None
        other_version = isinstance(greeting, m.SessionInfo) and greeting.protocol_version != m.PROTOCOL_VERSION
        if other_version and not self._may_be_elsewhere(place):
            now_ns = self._now_ns()
            self._do([*self._session.connected(b"", now_ns=now_ns), *self._session.received(greeting, now_ns=now_ns)])
        raise ConnectionLost(Message("it does not encrypt"))

    def _received(self, message: m.Message) -> None:
        if not self._ended.done():
            with contextlib.suppress(InternalError), bug_net("a message of the host"):
                self._do(self._session.received(message, now_ns=self._now_ns()))

    async def _request(self, path: pathlib.Path) -> None:
        try:
            with bug_net("taking a song in", PhaseLockError):
                wish = await self._transfers.take_in(path)
        except PhaseLockError as error:
            self._publish(Failed(self.session_ns(), notice_of(error)))
            return
        if not self._ended.done():
            self.command(wish)
            await self._transfers.report_room()

    def _audio_event(self, event: AudioEvent) -> None:
        if isinstance(event, DecodeFailed) and not event.plan.path.exists() and not self._ended.done():
            file_id = event.plan.track.file_id
            self._do(self._session.file_gone(file_id, is_open=False, now_ns=self._now_ns()))
        else:
            super()._audio_event(event)

    def _piece_ended(self, file_id: UUID, piece: int, source: int, result: m.PieceResult) -> None:
        self._tell(self._session.piece_ended, file_id, piece, source, result)

    async def _open_pieces(self) -> None:
        place = await self._swarm.open(self._own_ip, self._session.session_id)
        if place is not None and not self._ended.done():
            self._do(self._session.pieces_at(place, now_ns=self._now_ns()))
