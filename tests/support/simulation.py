"""A session on simulated time: real session cores and real frames; clocks, networks and processes are simulated.

True time is in integer nanoseconds and jumps from event to event, so nothing here waits. A node is one process on one
machine. It drives its core as network/runner.py does: effects in their order, `timer` when `next_deadline_ns` has come,
reports at regular intervals. Subclasses and outputs add what differs:

- tests/support/session_harness.py: fixed delays and no sound, for tests of the session alone;
- tests/support/audio_simulation.py: jitter, loss, measured clocks and the real engine on simulated sound cards.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from uuid import UUID

from phaselock.model.pieces import piece_count
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.sweeps import Sounds
from phaselock.model.timeline import Timeline
from phaselock.model.types import AudioStatus, ClockStatus, Track
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, HOST_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import PROTOCOL_VERSION, CodeNeeded, JoinRequest, Message, PieceResult, PiecesAt
from phaselock.protocol.proof import FETCH, JOIN, UPLOAD, membership_proof
from phaselock.session import effects as e
from phaselock.session.commands import Add, HostCommand, Leave
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from tests.support.told import Told, lost, told
from tests.support.virtual_clock import VirtualClock

MS = 1_000_000
SECOND = 1_000_000_000
RESEND_NS = 200 * MS
"""The first retransmission timeout of TCP; it doubles with each loss."""
CONNECT_TIMEOUT_NS = 2 * SECOND
"""RECONNECT_S of network/peer.py."""
HOST_KEY = bytes(range(32))
"""SHA-256 of the certificate that a host would have."""
ROOT = b"\1" * 32
"""Of the hash tree of every file."""
PIECE_NS = 20 * MS
"""How long the fetch of a piece takes."""
FIRST_UPLOADED_NUMBER = 1000
"""Songs that peers upload are numbered from here on."""


def fetch_proof(token: bytes) -> bytes:
    """What a peer with this token sends to fetch a file."""
    return membership_proof(token, FETCH, HOST_KEY)


def upload_proof(token: bytes) -> bytes:
    """What a peer with this token sends to upload a song."""
    return membership_proof(token, UPLOAD, HOST_KEY)


def returning(name: str, peer_id: int, token: bytes) -> JoinRequest:
    """What a lost peer sends to join again."""
    return JoinRequest(name, PROTOCOL_VERSION, peer_id, membership_proof(token, JOIN, HOST_KEY))


def a_track(number: int = 1, seconds: float = 60.0, rate_hz: int = 44100, **changes: Any) -> Track:
    """The song of that number; each number is a different file."""
    sha256 = number.to_bytes(2, "big") * 16
    track = Track(UUID(int=number), f"song {number}.mp3", 1000, sha256, rate_hz, round(seconds * rate_hz))
    return dataclasses.replace(track, **changes)


class Simulation:
    """The true time, one host and its peers."""

    host: SimulatedHost

    def __init__(self, start_ns: int = 0) -> None:
        self.now_ns = start_ns
        self.peers: list[Any] = []
        """In the order in which they joined first."""
        self.connections = itertools.count(1)
        """Numbers of the host's control connections."""
        self._due: list[tuple[int, int, SimulatedNode | None, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, at_ns: int, call: Callable[[], None], node: SimulatedNode | None = None) -> None:
        """Call then. A call for a node waits while the node is stalled, and is dropped after its process has ended."""
        heapq.heappush(self._due, (at_ns, next(self._numbers), node, call))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end_ns:
            at_ns, number, node, call = heapq.heappop(self._due)
            self.now_ns = max(self.now_ns, at_ns)
            if node is None or (node.awake and not node.gone):
                call()
            elif not node.gone:
                heapq.heappush(self._due, (node.awake_at_ns, number, node, call))
        self.now_ns = end_ns

    def run_until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Let time pass until the condition holds; AssertionError after `timeout_s`."""
        end_ns = self.now_ns + round(timeout_s * SECOND)
        while not condition():
            assert self.now_ns < end_ns, f"the condition did not hold within {timeout_s} s"
            self.run(0.01)


# -- network -----------------------------------------------------------------------------------------------------------


class Cable:
    """A peer's network cable. While it is cut nothing arrives in either direction. What TCP sends meanwhile arrives
    after the repair."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._held: list[tuple[Callable[[], None], SimulatedNode | None]] = []
        self.is_cut = False
        self.repair_at_ns = 0
        """When the last cut of a known length ends."""

    def cut(self, seconds: float | None = None) -> None:
        """Until `repair`, or for that time."""
        self.is_cut = True
        if seconds is not None:
            self.repair_at_ns = self._simulation.now_ns + round(seconds * SECOND)
            self._simulation.at(self.repair_at_ns, self.repair)

    def repair(self) -> None:
        """Deliver what was held."""
        self.is_cut = False
        held, self._held = self._held, []
        for arrive, receiver in held:
            self.deliver(self._simulation.now_ns, arrive, receiver)

    def deliver(self, at_ns: int, arrive: Callable[[], None], receiver: SimulatedNode | None) -> None:
        """Call `arrive` for the receiver then, or after the repair."""

        def check() -> None:
            if self.is_cut:
                self._held.append((arrive, receiver))
            else:
                arrive()

        self._simulation.at(at_ns, check, receiver)


class Pipe:
    """One direction of a TCP connection: in order; lost data arrives after a retransmission timeout."""

    def __init__(
        self,
        simulation: Simulation,
        arrival_ns: Callable[[float], float | None],
        cable: Cable,
        receiver: SimulatedNode | None,
        on_data: Callable[[bytes], None],
    ) -> None:
        """`arrival_ns(sent_ns)`: when a packet sent then arrives; None when it is lost."""
        self._simulation = simulation
        self._arrival_ns = arrival_ns
        self._cable = cable
        self._receiver = receiver
        self._on_data = on_data
        self._last_ns = 0

    def send(self, data: bytes) -> None:
        """No data: the end of the connection."""
        sent_ns: float = self._simulation.now_ns
        resend_ns = RESEND_NS
        while (arrival_ns := self._arrival_ns(sent_ns)) is None:
            sent_ns += resend_ns
            resend_ns *= 2
        self._last_ns = max(self._last_ns, round(arrival_ns))
        self._cable.deliver(self._last_ns, lambda: self._on_data(data), self._receiver)


# -- nodes -------------------------------------------------------------------------------------------------------------


class Output(Protocol):
    """A node's audio output."""

    def start(self, node: SimulatedNode) -> None:
        """The node is complete."""

    def follow(self, timeline: Timeline | None, next_timeline: Timeline | None) -> None:
        """Execute `Follow`."""

    def status(self) -> AudioStatus:
        """The present state, for `SessionCore.audio`."""

    def close(self) -> None:
        """The process ends."""


class SimulatedNode:
    """One process: its session core, its clock, its output, and the runner between them."""

    core: Any

    def __init__(
        self, simulation: Simulation, name: str, clock: VirtualClock, output: Output, report_every_ns: int
    ) -> None:
        self.simulation = simulation
        self.name = name
        self.clock = clock
        self.output: Any = output
        self.effects: list[e.Effect] = []
        """All effects of the core so far."""
        self.tracks: dict[UUID, Track] = {}
        """Files on this machine."""
        self.sounds: Sounds | None = None
        """The sounds of the newest calibration pass."""
        self.listening: e.Listen | None = None
        self.listening_to_song: e.ListenToSong | None = None
        self.quiet: tuple[tuple[int, int], ...] = ()
        """The recording that runs. A test answers it with `core.heard`."""
        self.gone = False
        """Whether the process has ended."""
        self.stalled_from_ns = self.awake_at_ns = 0
        self._report_every_ns = report_every_ns
        self._timer = 0
        """Number of the newest timer; older ones are void."""

    @property
    def now_ns(self) -> int:
        """Local time."""
        return self.clock.local(self.simulation.now_ns)

    @property
    def awake(self) -> bool:
        return self.simulation.now_ns >= self.awake_at_ns

    def snapshot(self) -> SessionSnapshot:
        """The session as this node sees it."""
        return self.core.snapshot()

    def of(self, kind: type) -> list:
        """All effects of that kind so far."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def events(self, *names: str) -> list[Told]:
        """All events of these names so far."""
        return [told(effect.event) for effect in self.of(e.Notify) if effect.event.event_name in names]

    @property
    def following(self) -> e.Follow | None:
        """The last `Follow`."""
        return next(iter(reversed(self.of(e.Follow))), None)

    @property
    def ended(self) -> e.Ended | None:
        return next(iter(self.of(e.Ended)), None)

    def start(self) -> None:
        """Open the output and begin to report."""
        self.output.start(self)
        self.simulation.at(self.simulation.now_ns, self._report_regularly, self)

    def stall(self, seconds: float) -> None:
        """Run nothing for that time. The clock goes on."""
        self.stalled_from_ns = self.simulation.now_ns
        self.awake_at_ns = self.stalled_from_ns + round(seconds * SECOND)

    def end(self) -> None:
        """The process ends."""
        self.gone = True
        self.output.close()

    def call(self, method: Callable[..., list[e.Effect]], *arguments: object, **more: object) -> None:
        """Call a method of the core at the local time and execute its effects; nothing after the end."""
        if not self.gone:
            self.do(method(*arguments, **more, now_ns=self.now_ns))

    def do(self, effects: list[e.Effect]) -> None:
        """Execute the effects of one call, and set the timer."""
        self.effects += effects
        for effect in effects:
            if not self.gone:
                self.execute(effect)
        self._timer += 1
        number, deadline_ns = self._timer, self.core.next_deadline_ns()
        if deadline_ns is not None and not self.gone:
            at_ns = max(self.simulation.now_ns, self.clock.true(deadline_ns))
            self.simulation.at(at_ns, lambda: self._on_timer(number), self)

    def _on_timer(self, number: int) -> None:
        if number == self._timer:
            self.call(self.core.timer)

    def execute(self, effect: e.Effect) -> None:
        """Execute one effect; AssertionError for an effect that no node knows."""
        match effect:
            case e.Follow(timeline, next_timeline):
                self.output.follow(timeline, next_timeline)
            case e.Ended():
                self.end()
            case e.UseSounds(sounds):
                self.sounds = sounds
            case e.Listen():
                self.listening = effect
            case e.ListenToSong():
                self.listening_to_song = effect
            case e.SetQuiet(spans):
                self.quiet = spans
            case e.StopListening():
                self.listening = self.listening_to_song = None
            case e.Notify() | e.Keep():
                pass  # the log has them, and files are never deleted here
            case e.OpenForSuccession() | e.CloseForSuccession() | e.AskHost() | e.TakeOver() | e.FollowHost():
                pass  # the host never changes here: see evening.py
            case _:
                raise AssertionError(f"{effect} is not for this node")

    def report(self) -> None:
        """Tell the core about the output."""
        self.call(self.core.audio, self.output.status())

    def _report_regularly(self) -> None:
        self.report()
        self.simulation.at(self.simulation.now_ns + self._report_every_ns, self._report_regularly, self)


class SimulatedHost(SimulatedNode):
    """The node whose clock is the session clock."""

    core: HostSession

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        clock: VirtualClock,
        output: Output,
        report_every_ns: int,
        max_peers: int = 5,
    ) -> None:
        super().__init__(simulation, name, clock, output, report_every_ns)
        tokens = itertools.count(1)
        self.core = HostSession(
            session_name="Friday",
            host_name=name,
            max_peers=max_peers,
            token_factory=lambda: next(tokens).to_bytes(16, "big"),
            host_key=HOST_KEY,
        )
        self.for_guests: list[e.ForGuest | e.WantFallback] = []
        self.fetches: list[e.FetchFromLibrary] = []
        self.outside: list[e.OpenOutside | e.CloseOutside | e.ReachedAt | e.CallBack] = []
        self.hashed: list[Track] = []
        """The tracks of which a hash tree was made."""
        self.allowed_clocks: dict[int, bytes] = {}
        """Peers whose pings are answered, and their keys."""
        self._framers: dict[int, Framer] = {}
        self._pipes: dict[int, Pipe] = {}
        """To the peers, by connection."""
        self._song_numbers = itertools.count(FIRST_UPLOADED_NUMBER)

    def command(self, *commands: HostCommand) -> None:
        """The user gives commands."""
        for command in commands:
            if isinstance(command, Add):
                self.tracks[command.track.file_id] = command.track
            self.call(self.core.command, command)

    def accept(self, conn: int, to_peer: Pipe | None = None, ip: str = "10.0.0.1", *, outside: bool = False) -> None:
        """A control connection is open. Without a pipe, messages sent on it are lost."""
        self._framers[conn] = Framer(GREETING_CAP)
        if to_peer:
            self._pipes[conn] = to_peer
        self.call(self.core.connected, conn, ip, outside)

    def receive(self, conn: int, message: Message) -> None:
        """As if this message had arrived."""
        self.call(self.core.received, conn, message)

    def data_received(self, conn: int, data: bytes) -> None:
        """Data on a connection; no data: its end."""
        if conn not in self._framers:
            return
        try:
            for message in self._framers[conn].feed(data):
                self.receive(conn, message)
            reason = "" if data else "closed"
        except ProtocolError as error:
            reason = str(error)
            self._send(conn, b"")
        if reason:
            self.connection_lost(conn, reason)

    def connection_lost(self, conn: int, reason: str) -> None:
        """A connection has ended. Does nothing if that is known already."""
        if self._framers.pop(conn, None):
            self._pipes.pop(conn, None)
            self.call(self.core.disconnected, conn, lost(reason))

    def crash(self) -> None:
        """The process dies; every peer sees its connection end."""
        self.end()
        for conn in self._pipes:
            self._send(conn, b"")

    def receive_song(self, request_id: UUID, file_name: str, upload: e.Upload) -> None:
        """An upload is complete: it is a new song."""
        track = a_track(next(self._song_numbers), file_name=file_name, size=upload.size, sha256=upload.sha256)
        self.tracks[track.file_id] = track
        self.call(self.core.uploaded, request_id, track)

    def execute(self, effect: e.Effect) -> None:
        match effect:
            case e.Send(conn, message):
                self._send(conn, frame(message))
            case e.Broadcast(conns, message):
                data = frame(message)
                for conn in conns:
                    self._send(conn, data)
            case e.Close(conn):
                self._send(conn, b"")
            case e.AskCode(conn):
                self._send(conn, frame(CodeNeeded()))
            case e.AllowClock(peer_id, conn, key):
                self._framers[conn].cap = SESSION_CAP
                self.allowed_clocks[peer_id] = key
            case e.ForbidClock(peer_id):
                self.allowed_clocks.pop(peer_id, None)
            case (
                e.TellGuest()
                | e.GuestRemoved()
                | e.GuestSweep()
                | e.GuestSweepEnd()
                | e.GuestCalibrated()
                | e.WantFallback()
            ):
                self.for_guests.append(effect)
            case e.FetchFromLibrary():
                self.fetches.append(effect)
            case e.HashPieces(track):
                self.hashed.append(track)
                self.call(self.core.pieces_hashed, track.file_id, ROOT)
            case e.OpenOutside() | e.CloseOutside() | e.ReachedAt() | e.CallBack():
                self.outside.append(effect)
            case _:
                super().execute(effect)

    def _send(self, conn: int, data: bytes) -> None:
        if conn in self._pipes:
            self._pipes[conn].send(data)


class SimulatedPeer(SimulatedNode):
    """A node that joins. Subclasses add the delays of its network and its session clock."""

    core: PeerSession

    def __init__(
        self, simulation: Simulation, name: str, clock: VirtualClock, output: Output, report_every_ns: int
    ) -> None:
        super().__init__(simulation, name, clock, output, report_every_ns)
        self.core = PeerSession(display_name=name)
        self.ip = f"10.0.1.{len(simulation.peers) + 1}"
        self.outside = False
        """It connects to the outside port of the host."""
        self.reached = ""
        """The address at which it reaches the host."""
        self.used_places: list[e.UsePlaces] = []
        self.awaits_call = False
        self.cable = Cable(simulation)
        self.conn = 0
        """The host's number of the newest connection; 0 while there is none. Data of older ones is ignored."""
        self.connects = 0
        """How often the core asked to connect again."""
        self.received: list[Message] = []
        """All messages from the host so far."""
        self.fetches: list[e.Fetch] = []
        self.fetch_results: Iterator[bool] = itertools.repeat(True)
        """For each attempt to fetch a file: whether it arrives unchanged."""
        self.uploads: list[e.Upload] = []
        self.upload_results: Iterator[bool | str] = itertools.repeat(True)
        """For each attempt to upload a song: True if it arrives, or the reason why the host refuses it."""
        self.transfers: dict[UUID, e.Fetch | e.Upload] = {}
        """Transfers that are not over, by file or request."""
        self.passes_on: PiecesAt | None = None
        """Where it passes pieces on; None: nowhere."""
        self.piece_keys: list[bytes] = []
        self.in_pieces: dict[UUID, tuple[e.Fetch, set[int]]] = {}
        """The files that arrive in pieces, and the pieces that are here."""
        self.piece_tasks: list[tuple[UUID, int, int]] = []
        """File, piece and source of all tasks so far."""
        self.piece_results: Callable[[int, int], PieceResult] = lambda piece, source: "right"
        """The result of a piece from a source."""
        self._attempt = 0
        """Number of the attempt to connect that is not over; 0 for none."""
        self._framer = Framer(HOST_CAP)
        self._to_host: Pipe | None = None

    # -- hooks -------------------------------------------------------------------------------------------------------

    def up_ns(self, sent_ns: float) -> float | None:
        """When a packet to the host arrives that is sent then; None when it is lost."""
        raise NotImplementedError

    def down_ns(self, sent_ns: float) -> float | None:
        """When a packet from the host arrives that is sent then; None when it is lost."""
        raise NotImplementedError

    def transfer_end_ns(self, transfer: e.Fetch | e.Upload) -> int:
        """When a transfer that begins now is over, if the network is not cut."""
        raise NotImplementedError

    def clock_status(self) -> ClockStatus:
        """What the peer knows of the session clock."""
        raise NotImplementedError

    def start_clock(self, peer_id: int, key: bytes) -> None:
        """Execute `StartClock`."""

    def stop_clock(self) -> None:
        """Execute `StopClock`."""

    # -- what tests do -----------------------------------------------------------------------------------------------

    def told(self, kind: type) -> list:
        """All messages of that kind from the host so far."""
        return [message for message in self.received if isinstance(message, kind)]

    @property
    def is_cut(self) -> bool:
        return self.cable.is_cut

    def cut(self, seconds: float | None = None) -> None:
        """Cut the cable until `repair`, or for that time."""
        self.cable.cut(seconds)

    def repair(self) -> None:
        self.cable.repair()

    def leave(self) -> None:
        """The user leaves."""
        self.call(self.core.command, Leave())

    def crash(self) -> None:
        """The process dies; the host sees its connection reset."""
        self.end()
        self._for_host(lambda: self.simulation.host.connection_lost(self.conn, "connection reset"))

    # -- connections -------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A connection to the host is there."""
        simulation, host = self.simulation, self.simulation.host
        self.conn = conn = next(simulation.connections)
        self._framer = Framer(HOST_CAP)
        self._to_host = Pipe(simulation, self.up_ns, self.cable, host, lambda data: host.data_received(conn, data))
        to_peer = Pipe(simulation, self.down_ns, self.cable, self, lambda data: self._data_received(conn, data))
        self.call(self.core.connected, HOST_KEY, self.reached)
        self._for_host(lambda: host.accept(conn, to_peer, self.ip, outside=self.outside))

    def _for_host(self, call: Callable[[], None]) -> None:
        """Call now, or as soon as the host is awake."""
        host = self.simulation.host
        if host.awake:
            call()
        else:
            self.simulation.at(host.awake_at_ns, call, host)

    def _connect_again(self) -> None:
        """Give up the old connection; its end is reported late. Connect after one round trip, or fail."""
        if self.conn:
            self._send(b"")
            self._report_loss_soon(0)
        self.conn, self._to_host = 0, None
        self.connects += 1
        self._attempt = number = self.connects
        simulation, cable = self.simulation, self.cable
        answer = Pipe(simulation, self.down_ns, cable, self, lambda data: self._answered(number))
        Pipe(simulation, self.up_ns, cable, None, answer.send).send(b"")
        timeout_ns = simulation.now_ns + CONNECT_TIMEOUT_NS
        simulation.at(timeout_ns, lambda: self._connect_failed(number, refused=False), self)

    def _answered(self, number: int) -> None:
        if self.simulation.host.gone:
            self._connect_failed(number, refused=True)
        elif number == self._attempt:
            self._attempt = 0
            self.connect()

    def _connect_failed(self, number: int, *, refused: bool) -> None:
        if number == self._attempt:
            self._attempt = 0
            self.call(self.core.connect_failed, "no answer", refused=refused)

    def _report_loss_soon(self, conn: int) -> None:
        """Report the end of a connection, unless another one is there by then."""
        self.simulation.at(self.simulation.now_ns + MS, lambda: self._data_received(conn, b""), self)

    def _data_received(self, conn: int, data: bytes) -> None:
        """Data on a connection; no data: its end."""
        if conn != self.conn:
            return
        for message in self._framer.feed(data):
            self.received.append(message)
            self.call(self.core.received, message)
        if not data:
            self._send(b"")
            self.call(self.core.disconnected, "closed")

    def _send(self, data: bytes) -> None:
        if self._to_host:
            self._to_host.send(data)

    def execute(self, effect: e.Effect) -> None:
        match effect:
            case e.Send(_, message):
                self._send(frame(message))
            case e.Close():
                self._send(b"")
                self._report_loss_soon(self.conn)
            case e.Pair(code):
                self._for_host(lambda: self._pair(code))
            case e.Connect():
                self._connect_again()
            case e.UsePlaces():
                self.used_places.append(effect)
            case e.AwaitCall():
                self.awaits_call = True
            case e.StartClock(peer_id, _, key):
                self.start_clock(peer_id, key)
            case e.StopClock():
                self.stop_clock()
            case e.OpenPieces():
                if self.passes_on is not None:
                    self.call(self.core.pieces_at, self.passes_on)
            case e.LetFetch(key):
                self.piece_keys.append(key)
            case e.Fetch(track, root=root) if root:
                self.fetches.append(effect)
                self.in_pieces[track.file_id] = effect, set()
            case e.FetchPieces(file_id, source, pieces):
                number = source.source if source is not None else 0
                for piece in pieces:
                    self.piece_tasks.append((file_id, piece, number))
                    self.cable.deliver(
                        self.simulation.now_ns + PIECE_NS,
                        functools.partial(self._piece_came, file_id, piece, number),
                        self,
                    )
            case e.Fetch(track):
                self.fetches.append(effect)
                self._transfer(track.file_id, effect, lambda: self._fetched(effect))
            case e.Upload(request_id):
                self.uploads.append(effect)
                self._transfer(request_id, effect, lambda: self._uploaded(effect))
            case e.CancelFetch(key) | e.CancelUpload(key):
                self.transfers.pop(key, None)
                self.in_pieces.pop(key, None)
            case _:
                super().execute(effect)

    def _pair(self, code: str) -> None:
        """What both sides find out by a pairing, without the exchange itself (tests/network/test_pairing.py)."""
        host = self.simulation.host
        wanted, effects = host.core.begin_pairing(self.conn, now_ns=host.now_ns)
        host.do(effects)
        if wanted and code == wanted:
            host.call(host.core.paired, self.conn, wanted)
            self.call(self.core.paired)
        elif wanted:
            host.call(host.core.not_paired, self.conn)

    def report(self) -> None:
        self.call(self.core.clock, self.clock_status())
        super().report()

    # -- files -------------------------------------------------------------------------------------------------------

    def _transfer(self, key: UUID, transfer: e.Fetch | e.Upload, done: Callable[[], None]) -> None:
        """A cut only delays it."""
        self.transfers[key] = transfer

        def end() -> None:
            if self.transfers.get(key) is transfer:
                del self.transfers[key]
                done()

        self.cable.deliver(self.transfer_end_ns(transfer), end, self)

    def _fetched(self, fetch: e.Fetch) -> None:
        host, track = self.simulation.host, fetch.track
        allowed = host.core.authorise_fetch(fetch.peer_id, fetch_proof(fetch.token), track.file_id) == track
        if allowed and not host.gone and next(self.fetch_results):
            self.tracks[track.file_id] = track
            self.call(self.core.file_ready, track.file_id)
        else:
            self.call(self.core.file_failed, track.file_id, "The hash is wrong.")

    def _piece_came(self, file_id: UUID, piece: int, source: int) -> None:
        if file_id in self.in_pieces:
            fetch, here = self.in_pieces[file_id]
            result = self.piece_results(piece, source)
            if result == "right":
                here.add(piece)
            self.call(self.core.piece_ended, file_id, piece, source, result)
            if len(here) == piece_count(fetch.track.size) and file_id in self.in_pieces:
                del self.in_pieces[file_id]
                self.tracks[file_id] = fetch.track
                self.call(self.core.file_ready, file_id)

    def _uploaded(self, upload: e.Upload) -> None:
        host, request_id = self.simulation.host, upload.request_id
        request = host.core.authorise_upload(upload.peer_id, upload_proof(upload.token), request_id, upload.sha256)
        result = not host.gone and request is not None and next(self.upload_results)
        if request is not None and result is True:
            host.receive_song(request_id, request.file_name, upload)
        elif isinstance(result, str):
            host.call(host.core.upload_refused, request_id, result)
        self.call(self.core.upload_ended, request_id, "The connection was lost." if result is not True else "")
