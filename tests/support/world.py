"""The simulated world: real session machines, real decks and the real native engine on clocks, cards and links made up.

Time is true time in integer nanoseconds, and passes from event to event. Every machine has a clock, a sound card and a
link of its own, described by `Machine`; what its program does here is what network/runner.py, audio/player.py and
sync/clock.py do with threads and sockets. What leaves the loudspeakers is recorded with its true times for the ear.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import pathlib
import random
from collections.abc import Callable, Iterator
from uuid import UUID

from phaselock._native import ClockFilter, ClockMap, Engine
from phaselock.audio.decks import Decks
from phaselock.audio.interface import AudioEvent, DecodeFailed, Plan
from phaselock.model.timeline import Timeline
from phaselock.model.types import UNKNOWN_CLOCK, ClockStatus, Track
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, HOST_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import Message
from phaselock.session import effects as e
from phaselock.session.commands import Add, HostCommand, Leave
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from phaselock.sync.clock import STALE_NS, clock_status
from tests.support.clock import VirtualClock
from tests.support.ear import Ear, Record, Sound
from tests.support.exchanges import WIRED, Exchange, Link, Path, Trains
from tests.support.pcm import TURN_FRAMES, CompassSource
from tests.support.told import Told, lost, told

MS = 1_000_000
SECOND = 1_000_000_000
TRACK_HZ = 22050
STATUS_NS = 200 * MS
PUMP_NS = 50 * MS
BUSY_NS = 2 * MS
WORK_NS = 15 * MS
"""Waking the player's thread, opening, seeking and decoding: what is armed is armed so much later."""
RESEND_NS = 200 * MS
CONNECT_NS = 2 * SECOND
"""So long a peer tries to connect into a network that is gone."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine's hardware and network."""

    clock_ppm: float = 0.0
    card_ppm: float = 0.0
    card_hz: int = 24000
    block_frames: int = 240
    latency_ms: float = 30.0
    """From a punctual callback to the loudspeaker, as the platform tells it."""
    untold_us: float = 0.0
    """And so much more, of which nobody knows."""
    late_us: float = 50.0
    """How late the callbacks come in the mean, after the card asked."""
    link: Link = WIRED
    bytes_per_s: float = 10e6
    room_bytes: int = 1 << 30
    queue_ms: float = 0.0
    """While it receives a file, every packet to it waits behind up to so much of it."""


def a_track(number: int = 1, seconds: float = 600.0, size: int = 1_000_000) -> Track:
    frames = round(seconds * TRACK_HZ)
    return Track(UUID(int=number), f"song {number}.mp3", size, bytes([number]) * 32, TRACK_HZ, frames)


class Card:
    """A running sound card: asks the engine for block after block, each one due at its own crystal's time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._spec = node.spec
        self._begin_ns = node.world.now_ns
        self._frame_ns = 1e9 / (self._spec.card_hz * (1 + self._spec.card_ppm * 1e-6))
        self._asked = 0
        self._last_ns = 0
        self._open = True
        self._expect()

    def close(self) -> None:
        self._open = False

    def lose(self, blocks: int) -> None:
        """It plays so many blocks of silence that nobody was asked for."""
        self._asked += blocks * self._spec.block_frames

    def _expect(self) -> None:
        due_ns = self._begin_ns + self._asked * self._frame_ns
        late_ns = self._node.rng.expovariate(1 / self._spec.late_us) * 1e3 if self._spec.late_us else 0.0
        late_ns = min(late_ns + self._node.busy_us * 1e3, self._spec.block_frames * self._frame_ns)
        self._last_ns = max(self._last_ns, round(due_ns + late_ns))
        self._node.world.at(self._last_ns, lambda: self._ask(due_ns))

    def _ask(self, due_ns: float) -> None:
        if not self._open:
            return
        node, spec = self._node, self._spec
        samples = bytearray(8 * spec.block_frames)
        if node.awake:
            samples = node.engine.process(spec.block_frames, node.now_ns)
        heard_ns = due_ns + spec.latency_ms * 1e6 + spec.untold_us * 1e3
        node.sounds.append(Sound(heard_ns / 1e9, self._frame_ns / 1e9, samples))
        self._asked += spec.block_frames
        self._expect()


class Wire:
    """One direction of a control connection: in order, and what is lost arrives after a time-out, as in TCP."""

    def __init__(self, world: World, path: Path, to: Node, on_data: Callable[[bytes], None]) -> None:
        self._world = world
        self._path = path
        self._to = to
        self._on_data = on_data
        self._last_ns = 0

    def send(self, data: bytes) -> None:
        """Empty data: the end."""
        sent_ns: float = self._world.now_ns
        resend_ns = RESEND_NS
        while (due_ns := self._path.arrival_ns(sent_ns)) is None:
            sent_ns += resend_ns
            resend_ns *= 2
        self._last_ns = max(self._last_ns, round(due_ns))
        self._world.at(self._last_ns, lambda: self._on_data(data), self._to)


class Node:
    """One machine and its program."""

    machine: HostSession | PeerSession

    def __init__(self, world: World, name: str, spec: Machine, line: ClockMap) -> None:
        self.world = world
        self.name = name
        self.spec = spec
        self.rng = random.Random(f"{world.seed} {name}")
        self.clock = VirtualClock(self.rng.randrange(10**12, 10**15), spec.clock_ppm)
        self.line = line
        self.engine = Engine(line)
        self.sounds: list[Sound] = []
        self.events: list[tuple[float, Told]] = []
        """With the true seconds at which people heard of them."""
        self.ended: e.Ended | None = None
        self.gone = False
        self.stalled_from_ns = self.awake_at_ns = 0
        self.busy_us = 0.0
        """At least so late every callback comes."""
        self._decks = Decks(self.engine, lambda plan: CompassSource(plan.track.frames))
        self._files: dict[UUID, Track] = {}
        self._card: Card | None = None
        self._timer = self._pump = 0
        """Numbers of the one timer and the one pump that count."""

    @property
    def now_ns(self) -> int:
        """Its local time."""
        return self.clock.local(self.world.now_ns)

    @property
    def awake(self) -> bool:
        return self.world.now_ns >= self.awake_at_ns

    def heard_of(self, name: str) -> list[Told]:
        """Every event of that name so far."""
        return [event for _, event in self.events if event.name == name]

    # -- what befalls it ---------------------------------------------------------------------------------------------

    def stall(self, seconds: float) -> None:
        """Nothing runs on it for a while; its card plays silence, its clock goes on."""
        self.stalled_from_ns, self.awake_at_ns = self.world.now_ns, self.world.now_ns + round(seconds * SECOND)

    def lose_blocks(self, blocks: int) -> None:
        """The card plays silence instead of asking."""
        if self._card:
            self._card.lose(blocks)

    def lose_card(self) -> None:
        """The output is gone."""
        if self._card:
            self._card.close()
        self._card = None
        self._tell_device("lost", None)

    def open_card(self, spec: Machine | None = None) -> None:
        """An output is there (again), this one or another."""
        self.spec = spec or self.spec
        self.engine.set_output_latency(self._latency_ns)
        self.engine.stream(self.spec.card_hz)
        self._decks.restart()
        self._card = Card(self)
        self._tell_device("open", "card")
        self._pump_at(self.world.now_ns)

    # -- the player --------------------------------------------------------------------------------------------------

    @property
    def _latency_ns(self) -> int:
        return round(self.spec.latency_ms * 1e6)

    def _follow(self, plan: Plan | None, then: Plan | None) -> None:
        self._decks.follow(plan, then)
        self._pump_at(self.world.now_ns)

    def _pump_at(self, at_ns: int) -> None:
        self._pump += 1
        number = self._pump
        self.world.at(at_ns, lambda: self._begin_pump(number), self)

    def _begin_pump(self, number: int) -> None:
        if number == self._pump:
            began_ns = self.now_ns
            self.world.at(self.world.now_ns + WORK_NS, lambda: self._end_pump(number, began_ns), self)

    def _end_pump(self, number: int, began_ns: int) -> None:
        busy, events = self._decks.pump(began_ns, output_latency_ns=self._latency_ns, running=self._card is not None)
        for event in events:
            self._audio_event(event)
        if number == self._pump:
            self._pump_at(self.world.now_ns + (BUSY_NS if busy else PUMP_NS))

    # -- the runner --------------------------------------------------------------------------------------------------

    def do(self, effects: list[e.Effect]) -> None:
        """Execute what a call of the machine gave, and set the timer."""
        for effect in effects:
            if not self.ended:
                self._execute(effect)
        self._set_timer()

    def _set_timer(self) -> None:
        self._timer += 1
        number, deadline_ns = self._timer, self.machine.next_deadline_ns()
        if deadline_ns is not None and not self.ended:
            self.world.at(max(self.world.now_ns, self.clock.true(deadline_ns)), lambda: self._on_timer(number), self)

    def _on_timer(self, number: int) -> None:
        if number == self._timer:
            self.do(self.machine.timer(now_ns=self.now_ns))

    def _execute(self, effect: e.Effect) -> None:
        match effect:
            case e.Follow(timeline, then):
                self._follow(self._plan(timeline), self._plan(then))
            case e.Notify(event):
                self.events.append((self.world.now_ns / 1e9, told(event)))
            case e.Ended():
                self.ended = effect
                self.leave()
            case e.Keep():
                pass  # nothing is ever thrown away here
            case _:
                raise AssertionError(f"{effect} is not for this machine")

    def _plan(self, line: Timeline | None) -> Plan | None:
        return None if line is None else Plan(line, self._files[line.file_id], pathlib.Path(str(line.file_id)))

    def _audio_event(self, event: AudioEvent) -> None:
        assert isinstance(event, DecodeFailed)
        self.do(self.machine.decode_failed(event.plan.track.file_id, event.reason, now_ns=self.now_ns))

    def _tell_device(self, state: str, name: str | None) -> None:
        self.do(self.machine.device_changed(state, name, "", "exact" if name else None, now_ns=self.now_ns))
        self._tell_status()

    def _tell_status(self) -> None:
        status = self.engine.status()
        effects = self.machine.audio(
            phase_error_ns=round(status.phase_error_ns),
            dac_deviation_ns=int(status.dac_uncertainty_ns),
            dac_uncertainty_ns=int(status.dac_uncertainty_ns),
            timing="exact",
            output_latency_ns=self._latency_ns,
            device_name="card" if self._card else None,
            underruns=status.underruns,
            now_ns=self.now_ns,
        )
        self.do(effects)

    def _tell_statuses(self) -> None:
        if not self.ended:
            self._tell_status()
            self.world.at(self.world.now_ns + STATUS_NS, self._tell_statuses, self)

    def leave(self) -> None:
        """The process ends."""
        self.gone = True
        if self._card:
            self._card.close()
        self._decks.restart()


class Host(Node):
    """The machine whose clock is the session's."""

    machine: HostSession

    def __init__(self, world: World, spec: Machine) -> None:
        super().__init__(world, "host", spec, ClockMap(identity=True))
        tokens = itertools.count(1)
        self.machine = HostSession(
            session_name="Friday", host_name="host", token_factory=lambda: next(tokens).to_bytes(16, "big")
        )
        self.measured: set[int] = set()
        """Whose pings are answered."""
        self._framers: dict[int, Framer] = {}
        self.open_card()
        self._tell_statuses()

    def say(self, command: HostCommand) -> None:
        """Somebody at the controls."""
        self.do(self.machine.command(command, now_ns=self.now_ns))

    def add(self, track: Track) -> None:
        """A file is added."""
        self._files[track.file_id] = track
        self.say(Add(track))

    def receive_song(self, upload: e.Upload) -> None:
        """A requested song has come; every one of them is ten seconds long."""
        track = dataclasses.replace(a_track(100 + len(self._files), 10.0), size=upload.size, sha256=upload.sha256)
        self._files[track.file_id] = track
        self.do(self.machine.uploaded(upload.request_id, track, now_ns=self.now_ns))

    def greet(self, conn: int) -> None:
        """Somebody connected."""
        self._framers[conn] = Framer(GREETING_CAP)
        self.do(self.machine.connected(conn, now_ns=self.now_ns))

    def take(self, conn: int, data: bytes) -> None:
        """Bytes came on a connection, or its end."""
        if conn not in self._framers:
            return
        try:
            for message in self._framers[conn].feed(data):
                self.do(self.machine.received(conn, message, now_ns=self.now_ns))
            reason = "" if data else "it was closed"
        except ProtocolError as error:
            reason = str(error)
        if reason:
            self.lost(conn, reason)

    def crash(self) -> None:
        """Its process dies, and all connections with it."""
        self.leave()
        for conn in self._framers:
            self._send(conn, b"")

    def lost(self, conn: int, reason: str) -> None:
        """A connection is over."""
        if self._framers.pop(conn, None):
            self.do(self.machine.disconnected(conn, lost(reason), now_ns=self.now_ns))

    def _execute(self, effect: e.Effect) -> None:
        match effect:
            case e.Send(conn, message):
                self._send(conn, frame(message))
            case e.Close(conn):
                self._send(conn, b"")
                self._framers.pop(conn, None)
            case e.AllowClock(peer_id, conn):
                self._framers[conn].cap = SESSION_CAP
                self.measured.add(peer_id)
            case e.ForbidClock(peer_id):
                self.measured.discard(peer_id)
            case _:
                super()._execute(effect)

    def _send(self, conn: int, data: bytes) -> None:
        if conn in self._framers:
            self.world.ways[conn].send(data)


class Peer(Node):
    """A machine that takes part."""

    machine: PeerSession

    def __init__(self, world: World, number: int, spec: Machine) -> None:
        super().__init__(world, f"peer {number}", spec, ClockMap())
        self.machine = PeerSession(display_name=self.name)
        self.conn = 0
        """The connection to the host; what comes on another one is over."""
        self.connects = 0
        """How often it was asked to connect anew."""
        self.fetch_fails: Iterator[bool] = itertools.repeat(False)
        """For each try to get a file, whether it fails."""
        self._framer = Framer(HOST_CAP)
        self._fetches: dict[UUID, e.Fetch] = {}
        self._uploads: dict[UUID, e.Upload] = {}
        self._receiving_until_ns = 0
        self._last_sample_ns = 0
        self._filter: ClockFilter | None = None
        self._peer_id = 0
        self._waits = random.Random(f"{self.rng.random()}")
        up, down = spec.link.up, spec.link.down
        self._link = Link(
            dataclasses.replace(up, queue_ns=self._cut_ns), dataclasses.replace(down, queue_ns=self._queued_ns)
        )
        self._cut_off_until_ns = 0
        host = world.host
        self._up = Path(self.rng, (self._link.up, host.spec.link.down))
        self._down = Path(self.rng, (host.spec.link.up, self._link.down))
        self._to_host: Wire | None = None

    def join(self) -> None:
        """Connect to the host."""
        self._open()
        self.do(self.machine.room(self.spec.room_bytes, now_ns=self.now_ns))
        self.open_card()
        self._tell_statuses()

    def say_goodbye(self) -> None:
        """It leaves politely."""
        self.do(self.machine.command(Leave(), now_ns=self.now_ns))

    def cut_off(self, seconds: float) -> None:
        """What is sent to it or by it arrives only afterwards, if anybody still waits for it there."""
        self._cut_off_until_ns = self.world.now_ns + round(seconds * SECOND)

    def crash(self) -> None:
        """Its process dies, and its connection with it."""
        self.leave()
        self._send(b"")

    # -- connections -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """A connection stands; the host hears of it when it next looks."""
        world, host = self.world, self.world.host
        self.conn = conn = next(world.conns)
        self._framer = Framer(HOST_CAP)
        self._to_host = Wire(world, self._up, host, lambda data: host.take(conn, data))
        world.ways[conn] = Wire(world, self._down, self, lambda data: self._take(conn, data))
        world.at(world.now_ns, lambda: host.greet(conn), host)
        self.do(self.machine.connected(now_ns=self.now_ns))

    def _connect(self) -> None:
        """In place of what there was."""
        if self.conn:
            self._send(b"")
            self.world.at(self.world.now_ns + MS, self._lost_before, self)
        self.conn = 0
        self._to_host = None
        self.connects += 1
        number, left_ns = self.connects, self._cut_off_until_ns - self.world.now_ns
        at_ns = self.world.now_ns + CONNECT_NS
        if left_ns < CONNECT_NS:
            at_ns = round(self._down.arrival_ns(self._up.arrival_ns(self.world.now_ns) or at_ns) or at_ns)
        self.world.at(at_ns, lambda: self._answered(number, reached=left_ns < CONNECT_NS), self)

    def _answered(self, number: int, *, reached: bool) -> None:
        if number != self.connects or self.ended:
            return
        if reached and not self.world.host.gone:
            self._open()
        else:
            self.do(self.machine.connect_failed("no answer", refused=reached, now_ns=self.now_ns))

    def _lost(self) -> None:
        if not self.ended:
            self.do(self.machine.disconnected("it was closed", now_ns=self.now_ns))

    def _lost_before(self) -> None:
        """The end of the connection that was given up is told late, if no other has taken its place."""
        if not self.conn:
            self._lost()

    def _send(self, data: bytes) -> None:
        if self._to_host:
            self._to_host.send(data)

    def _execute(self, effect: e.Effect) -> None:
        match effect:
            case e.Send(_, message):
                self._send(frame(message))
            case e.Close():
                self._send(b"")
            case e.Connect():
                self._connect()
            case e.StartClock(peer_id, _):
                if self._filter is not None and peer_id == self._peer_id:
                    return
                self._peer_id = peer_id
                self._filter = ClockFilter()
                host = self.world.host
                rng = random.Random(f"{self.rng.random()}")
                trains = Trains(rng, self._link, host.spec.link, self.clock.local, host.clock.local)
                self._measure(trains, self._filter)
            case e.StopClock():
                self._filter = None
            case e.Fetch(track, _, _):
                self._fetches[track.file_id] = effect
                if len(self._fetches) == 1:
                    self._fetch(effect)
            case e.CancelFetch(file_id):
                self._fetches.pop(file_id, None)
            case e.Upload(request_id, size=size):
                self._uploads[request_id] = effect
                self.world.at(self._over_ns(size), lambda: self._uploaded(effect), self)
            case e.CancelUpload(request_id):
                self._uploads.pop(request_id, None)
            case _:
                super()._execute(effect)

    def _take(self, conn: int, data: bytes) -> None:
        if conn != self.conn:
            return
        if data:
            for message in self._framer.feed(data):
                self._received(message)
        else:
            self._lost()

    def _received(self, message: Message) -> None:
        if not self.ended:
            self.do(self.machine.received(message, now_ns=self.now_ns))

    # -- files, one after the other ----------------------------------------------------------------------------------

    def _over_ns(self, size: int) -> int:
        """When so many bytes have travelled that begin now; a network that is gone brings none."""
        return max(self.world.now_ns, self._cut_off_until_ns) + round(size / self.spec.bytes_per_s * SECOND)

    def _fetch(self, fetch: e.Fetch) -> None:
        self._receiving_until_ns = self._over_ns(fetch.track.size)
        self.world.at(self._receiving_until_ns, lambda: self._fetched(fetch), self)

    def _fetched(self, fetch: e.Fetch) -> None:
        file_id, host = fetch.track.file_id, self.world.host
        if self.world.now_ns < self._cut_off_until_ns:
            self.world.at(self._cut_off_until_ns, lambda: self._fetched(fetch), self)
            return
        if self._fetches.get(file_id) is fetch:
            del self._fetches[file_id]
            allowed = host.machine.authorise_fetch(fetch.peer_id, fetch.token, file_id) == fetch.track
            if allowed and not next(self.fetch_fails):
                self._files[file_id] = fetch.track
                self.do(self.machine.file_ready(file_id, now_ns=self.now_ns))
            else:
                self.do(self.machine.file_failed(file_id, "The hash is wrong.", now_ns=self.now_ns))
        for following in list(self._fetches.values())[:1]:
            self._fetch(following)

    def _uploaded(self, upload: e.Upload) -> None:
        if self._uploads.get(upload.request_id) is not upload:
            return
        del self._uploads[upload.request_id]
        request = self.world.host.machine.authorise_upload(upload.peer_id, upload.token, upload.request_id)
        problem = "" if request and self.world.now_ns >= self._cut_off_until_ns else "The connection was lost."
        if not problem:
            self.world.host.receive_song(upload)
        self.do(self.machine.upload_ended(upload.request_id, problem, now_ns=self.now_ns))

    def _cut_ns(self, at_ns: float) -> float:
        return max(self._cut_off_until_ns - at_ns, 0.0)

    def _queued_ns(self, at_ns: float) -> float:
        receiving = self.spec.queue_ms and at_ns < self._receiving_until_ns
        return max(self._cut_off_until_ns - at_ns, self._waits.uniform(0, self.spec.queue_ms * 1e6) if receiving else 0)

    # -- the clock ---------------------------------------------------------------------------------------------------

    def _measure(self, trains: Trains, filter: ClockFilter) -> None:
        began_ns = self.world.now_ns
        over_ns, exchanges = trains.train(began_ns)
        self.world.at(round(over_ns), lambda: self._measured(trains, filter, began_ns, over_ns, exchanges), self)

    def _measured(
        self, trains: Trains, filter: ClockFilter, began_ns: int, over_ns: float, exchanges: list[Exchange]
    ) -> None:
        if filter is not self._filter:
            return
        host = self.world.host
        stalled = any(node.stalled_from_ns < over_ns and node.awake_at_ns > began_ns for node in (self, host))
        if exchanges and not stalled and self._peer_id in host.measured:
            for exchange in exchanges:
                if exchange[3] - exchange[0] < STALE_NS:
                    filter.add(*exchange)
            line = filter.line(self.now_ns)
            if line is not None:
                self.line.set(line.local_ns, line.offset_ns, line.drift, line.uncertainty_ns, line.drift_uncertainty)
            self._last_sample_ns = self.now_ns
        next_ns = max(began_ns + round(Trains.TRAIN_EVERY_NS), self.world.now_ns)
        self.world.at(next_ns, lambda: self._measure(trains, filter), self)

    def _clock_status(self) -> ClockStatus:
        line, now_ns = self.line.value(), self.now_ns
        if self._filter is None or not line.valid:
            return UNKNOWN_CLOCK
        return clock_status(line, self._last_sample_ns, self._filter.rtt_ns(now_ns), now_ns=now_ns)

    def _tell_status(self) -> None:
        self.do(self.machine.clock(self._clock_status(), now_ns=self.now_ns))
        super()._tell_status()


class World:
    """Everybody, and the time."""

    def __init__(self, host: Machine, *peers: Machine, seed: int = 1) -> None:
        self.seed = seed
        self.now_ns = 0
        self._due: list[tuple[int, int, Node | None, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.conns = itertools.count(1)
        self.ways: dict[int, Wire] = {}
        """From the host, by connection."""
        self.host = Host(self, host)
        self.peers: list[Peer] = []
        for spec in peers:
            self.join(spec)

    @property
    def nodes(self) -> list[Node]:
        return [self.host, *self.peers]

    @property
    def now_s(self) -> float:
        return self.now_ns / SECOND

    def join(self, spec: Machine) -> Peer:
        """One more machine connects."""
        peer = Peer(self, len(self.peers) + 1, spec)
        self.peers.append(peer)
        peer.join()
        return peer

    def at(self, at_ns: int, what: Callable[[], None], node: Node | None = None) -> None:
        """Do something then; what belongs to a machine waits while it stalls, and is dropped once it is gone."""
        heapq.heappush(self._due, (at_ns, next(self._numbers), node, what))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end_ns:
            at_ns, number, node, what = heapq.heappop(self._due)
            self.now_ns = at_ns
            if node is None or not node.gone and node.awake:
                what()
            elif not node.gone:
                heapq.heappush(self._due, (node.awake_at_ns, number, node, what))
        self.now_ns = end_ns

    def run_until(self, condition: Callable[[], bool], at_most_s: float = 30.0) -> None:
        """Let time pass until something is so."""
        end_ns = self.now_ns + round(at_most_s * SECOND)
        while not condition():
            assert self.now_ns < end_ns, "it has not come to pass"
            self.run(0.01)

    def begun_s(self) -> list[float]:
        """True times at which sound was to begin or to go on elsewhere, by the host's account."""
        events = [event for _, event in self.host.events if event.name in ("playing", "resumed", "seeked")]
        return [self.true_s(event) for event in events]

    def true_s(self, event: Told) -> float:
        """When an event of the host is to be heard."""
        assert event.session_ns is not None
        return self.host.clock.true(event.session_ns) / SECOND

    def ear(self, *nodes: Node) -> Ear:
        """Hear these loudspeakers, or all."""
        turn_s = TURN_FRAMES / TRACK_HZ
        return Ear([Record(node.sounds, turn_s) for node in nodes or self.nodes], turn_s)
