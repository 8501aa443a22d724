"""Sessions with sound: real session cores, decks and the native engine on simulated clocks, cards and links.

Each machine is described by a `MachineSpec`. What leaves the outputs is recorded with its true times, for
tests/support/phase_meter.py.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import random

from phaselock._native import ClockFilter, ClockMap, Engine
from phaselock.audio.decks import Decks
from phaselock.audio.interface import DecodeFailed, Plan
from phaselock.model.timeline import Timeline
from phaselock.model.types import UNKNOWN_CLOCK, AudioStatus, ClockStatus
from phaselock.session import effects as e
from phaselock.sync.clock import STALE_NS, clock_status
from phaselock.sync.trace import round_trip_ns
from tests.support.exchanges import WIRED, Exchange, Link, Path, Trains
from tests.support.pcm import TURN_FRAMES, CompassSource
from tests.support.phase_meter import Block, Capture, PhaseMeter
from tests.support.simulation import (
    MS,
    SECOND,
    SimulatedHost,
    SimulatedNode,
    SimulatedPeer,
    Simulation,
    a_track,
)
from tests.support.told import Told
from tests.support.virtual_clock import VirtualClock

TRACK_HZ = 22050
TURN_S = TURN_FRAMES / TRACK_HZ
"""The meter sees the place in a track modulo this time."""
REPORT_EVERY_NS = 1000 * MS
"""STATUS_EVERY_S of network/runner.py."""
PUMP_IDLE_NS = 50 * MS
PUMP_BUSY_NS = 2 * MS
PUMP_WORK_NS = 15 * MS
"""Waking the player's thread, opening, seeking and decoding take this long."""


@dataclasses.dataclass(frozen=True)
class MachineSpec:
    """One machine's hardware and network."""

    clock_ppm: float = 0.0
    card_ppm: float = 0.0
    card_hz: int = 24000
    block_frames: int = 240
    latency_ms: float = 30.0
    """From a punctual callback to the loudspeaker, as the platform reports it."""
    hidden_latency_us: float = 0.0
    """Additional latency that the platform does not report."""
    late_us: float = 50.0
    """Mean delay of the callbacks after the card asked."""
    link: Link = WIRED
    bytes_per_s: float = 10e6
    room_bytes: int = 1 << 30
    queue_ms: float = 0.0
    """While it receives a file, every packet to it waits up to this time behind the file's packets."""


compass_track = functools.partial(a_track, seconds=600.0, rate_hz=TRACK_HZ, size=1_000_000)
"""A song of the compass (tests/support/pcm.py)."""


class Card:
    """A running sound card. It asks for block after block, each one due by its own crystal."""

    def __init__(self, player: SimulatedPlayer) -> None:
        self._player = player
        self._node = player.node
        self._spec = player.spec
        self._begin_ns = self._node.simulation.now_ns
        self._frame_ns = 1e9 / (self._spec.card_hz * (1 + self._spec.card_ppm * 1e-6))
        self._asked_frames = 0
        self._last_ns = 0
        self._open = True
        self._expect()

    def close(self) -> None:
        """Ask no more."""
        self._open = False

    def lose(self, blocks: int) -> None:
        """Play silence for this number of blocks instead of asking."""
        self._asked_frames += blocks * self._spec.block_frames

    def _expect(self) -> None:
        due_ns = self._begin_ns + self._asked_frames * self._frame_ns
        late_ns = self._player.rng.expovariate(1 / self._spec.late_us) * 1e3 if self._spec.late_us else 0.0
        late_ns = min(late_ns + self._player.busy_us * 1e3, self._spec.block_frames * self._frame_ns)
        self._last_ns = max(self._last_ns, round(due_ns + late_ns))
        self._node.simulation.at(self._last_ns, lambda: self._ask(due_ns))

    def _ask(self, due_ns: float) -> None:
        if not self._open:
            return
        player, spec = self._player, self._spec
        samples = bytearray(8 * spec.block_frames)
        if self._node.awake:
            samples = player.engine.process(spec.block_frames, self._node.now_ns)
        heard_ns = due_ns + spec.latency_ms * 1e6 + spec.hidden_latency_us * 1e3
        player.blocks.append(Block(heard_ns / 1e9, self._frame_ns / 1e9, samples))
        self._asked_frames += spec.block_frames
        self._expect()


class SimulatedPlayer:
    """What audio/player.py is in the program: decks and engine on a card, and the loop that pumps the decks."""

    def __init__(self, spec: MachineSpec, clock_map: ClockMap, rng: random.Random) -> None:
        self.spec = spec
        self.rng = rng
        self.engine = Engine(clock_map)
        self.blocks: list[Block] = []
        """What left the loudspeaker."""
        self.busy_us = 0.0
        """Least delay of every callback."""
        self.node: SimulatedNode
        self._decks = Decks(self.engine, lambda plan: CompassSource(plan.track.frames))
        self._card: Card | None = None
        self._pump = 0
        """Number of the newest pump; older ones are void."""

    def start(self, node: SimulatedNode) -> None:
        self.node = node
        self.open_card()

    def close(self) -> None:
        if self._card:
            self._card.close()
        self._decks.restart()

    def lose_blocks(self, blocks: int) -> None:
        """The card plays silence instead of asking."""
        assert self._card
        self._card.lose(blocks)

    def lose_card(self) -> None:
        """The output is gone."""
        if self._card:
            self._card.close()
        self._card = None
        self._report_device("lost", None)

    def open_card(self, spec: MachineSpec | None = None) -> None:
        """An output is there (again), this one or another."""
        self.spec = spec or self.spec
        self.engine.set_output_latency(self._latency_ns)
        self.engine.stream(self.spec.card_hz)
        self._decks.restart()
        self._card = Card(self)
        self._report_device("open", "card")
        self._pump_at(self.node.simulation.now_ns)

    def follow(self, timeline: Timeline | None, next_timeline: Timeline | None) -> None:
        self._decks.follow(self._plan(timeline), self._plan(next_timeline))
        self._pump_at(self.node.simulation.now_ns)

    def status(self) -> AudioStatus:
        status = self.engine.status()
        uncertainty_ns = int(status.dac_uncertainty_ns)
        return AudioStatus(
            device_name="card" if self._card else None,
            device_rate_hz=self.spec.card_hz,
            output_latency_ns=self._latency_ns,
            dac_deviation_ns=uncertainty_ns,
            dac_uncertainty_ns=uncertainty_ns,
            timing="exact",
            playing=status.audible,
            phase_error_ns=round(status.phase_error_ns),
            correction_ppm=status.correction_ppm,
            underruns=status.underruns,
            volume=status.volume,
        )

    def _report_device(self, state: str, name: str | None) -> None:
        self.node.call(self.node.core.device_changed, state, name, "", "exact" if name else None)
        self.node.report()

    @property
    def _latency_ns(self) -> int:
        return round(self.spec.latency_ms * 1e6)

    def _plan(self, timeline: Timeline | None) -> Plan | None:
        if timeline is None:
            return None
        return Plan(timeline, self.node.tracks[timeline.file_id], pathlib.Path(str(timeline.file_id)))

    def _pump_at(self, at_ns: int) -> None:
        self._pump += 1
        number = self._pump
        self.node.simulation.at(at_ns, lambda: self._begin_pump(number), self.node)

    def _begin_pump(self, number: int) -> None:
        if number == self._pump:
            node, began_ns = self.node, self.node.now_ns
            node.simulation.at(node.simulation.now_ns + PUMP_WORK_NS, lambda: self._end_pump(number, began_ns), node)

    def _end_pump(self, number: int, began_ns: int) -> None:
        running = self._card is not None
        busy, events = self._decks.pump(began_ns, output_latency_ns=self._latency_ns, running=running)
        for event in events:
            assert isinstance(event, DecodeFailed)
            self.node.call(self.node.core.decode_failed, event.plan.track.file_id, event.reason)
        if number == self._pump:
            self._pump_at(self.node.simulation.now_ns + (PUMP_BUSY_NS if busy else PUMP_IDLE_NS))


class AudioPeer(SimulatedPeer):
    """A peer behind a link with jitter and loss that measures the session clock."""

    output: SimulatedPlayer

    def __init__(
        self, simulation: AudioSimulation, number: int, spec: MachineSpec, clock: VirtualClock, rng: random.Random
    ) -> None:
        self.clock_map = ClockMap()
        player = SimulatedPlayer(spec, self.clock_map, rng)
        super().__init__(simulation, f"peer {number}", clock, player, REPORT_EVERY_NS)
        self._bytes_per_s = spec.bytes_per_s
        self._queue_ns = spec.queue_ms * 1e6
        self._rng = rng
        self._queue_rng = random.Random(f"{rng.random()}")
        self._receiving_until_ns = 0
        self._last_sample_ns = 0
        self._least_rtt_ns: int | None = None
        self._filter: ClockFilter | None = None
        self._peer_id, self._clock_key = 0, b""
        self._host_link = simulation.host_link
        up = dataclasses.replace(spec.link.up, queue_ns=self._wait_for_repair_ns)
        down = dataclasses.replace(spec.link.down, queue_ns=self._wait_down_ns)
        self._link = Link(up, down)
        self._up = Path(rng, (up, self._host_link.down))
        self._down = Path(rng, (self._host_link.up, down))

    def up_ns(self, sent_ns: float) -> float | None:
        return self._up.arrival_ns(sent_ns)

    def down_ns(self, sent_ns: float) -> float | None:
        return self._down.arrival_ns(sent_ns)

    def _wait_for_repair_ns(self, at_ns: float) -> float:
        return max(self.cable.repair_at_ns - at_ns, 0.0)

    def _wait_down_ns(self, at_ns: float) -> float:
        receiving = self._queue_ns and at_ns < self._receiving_until_ns
        return max(self._wait_for_repair_ns(at_ns), self._queue_rng.uniform(0, self._queue_ns) if receiving else 0.0)

    def transfer_end_ns(self, transfer: e.Fetch | e.Upload) -> int:
        """Files are fetched one after the other."""
        begin_ns = max(self.simulation.now_ns, self.cable.repair_at_ns)
        if isinstance(transfer, e.Upload):
            return begin_ns + round(transfer.size / self._bytes_per_s * SECOND)
        begin_ns = max(begin_ns, self._receiving_until_ns)
        self._receiving_until_ns = begin_ns + round(transfer.track.size / self._bytes_per_s * SECOND)
        return self._receiving_until_ns

    # -- the clock ---------------------------------------------------------------------------------------------------

    def clock_status(self) -> ClockStatus:
        value, now_ns = self.clock_map.value(), self.now_ns
        if self._filter is None or not value.valid:
            return UNKNOWN_CLOCK
        rtt_ns = self._filter.rtt_ns(now_ns)
        return clock_status(value, self._last_sample_ns, rtt_ns, self._least_rtt_ns, now_ns=now_ns)

    def start_clock(self, peer_id: int, key: bytes) -> None:
        self._clock_key = key
        if self._filter is not None and peer_id == self._peer_id:
            return
        self._peer_id = peer_id
        self._filter = ClockFilter()
        rng = random.Random(f"{self._rng.random()}")
        trains = Trains(rng, self._link, self._host_link, self.clock.local, self.simulation.host.clock.local)
        self._measure(trains, self._filter)

    def stop_clock(self) -> None:
        self._filter = None

    def _measure(self, trains: Trains, clock_filter: ClockFilter) -> None:
        began_ns = self.simulation.now_ns
        over_ns, exchanges = trains.train(began_ns)
        measured = functools.partial(self._measured, trains, clock_filter, began_ns, over_ns, exchanges)
        self.simulation.at(round(over_ns), measured, self)

    def _measured(
        self, trains: Trains, clock_filter: ClockFilter, began_ns: int, over_ns: float, exchanges: list[Exchange]
    ) -> None:
        if clock_filter is not self._filter:
            return
        simulation, host = self.simulation, self.simulation.host
        stalled = any(node.stalled_from_ns < over_ns and node.awake_at_ns > began_ns for node in (self, host))
        if exchanges and not stalled and host.allowed_clocks.get(self._peer_id) == self._clock_key:
            for exchange in exchanges:
                rtt_ns = round_trip_ns(exchange)
                self._least_rtt_ns = min(rtt_ns, self._least_rtt_ns or rtt_ns)
                if exchange[3] - exchange[0] < STALE_NS:
                    clock_filter.add(*exchange)
            line = clock_filter.map(self.now_ns)
            if line is not None:
                values = line.local_ns, line.offset_ns, line.drift, line.uncertainty_ns, line.drift_uncertainty
                self.clock_map.set(*values)
            self._last_sample_ns = self.now_ns
        next_ns = max(began_ns + round(Trains.TRAIN_EVERY_NS), simulation.now_ns)
        simulation.at(next_ns, lambda: self._measure(trains, clock_filter), self)


class AudioSimulation(Simulation):
    """A host and peers that play; the result depends on nothing but the arguments."""

    peers: list[AudioPeer]

    def __init__(self, host: MachineSpec, *peers: MachineSpec, seed: int = 1) -> None:
        super().__init__()
        self._seed = seed
        self.host_link = host.link
        rng = self.random_of("host")
        clock = _clock(host, rng)
        player = SimulatedPlayer(host, ClockMap(identity=True), rng)
        self.host = SimulatedHost(self, "host", clock, player, REPORT_EVERY_NS)
        self.host.start()
        for spec in peers:
            self.join(spec)

    def random_of(self, name: str) -> random.Random:
        """A source of chance for that name."""
        return random.Random(f"{self._seed} {name}")

    @property
    def nodes(self) -> list[SimulatedNode]:
        return [self.host, *self.peers]

    @property
    def now_s(self) -> float:
        return self.now_ns / SECOND

    def join(self, spec: MachineSpec) -> AudioPeer:
        """One more machine connects and joins."""
        number = len(self.peers) + 1
        rng = self.random_of(f"peer {number}")
        peer = AudioPeer(self, number, spec, _clock(spec, rng), rng)
        self.peers.append(peer)
        peer.connect()
        peer.call(peer.core.room, spec.room_bytes)
        peer.start()
        return peer

    def start_times_s(self) -> list[float]:
        """True times at which sound starts or continues at another place, by the host's events."""
        return [self.true_s(event) for event in self.host.events("playing", "resumed", "seeked")]

    def true_s(self, event: Told) -> float:
        """When an event of the host is heard."""
        assert event.session_ns is not None
        return self.host.clock.true(event.session_ns) / SECOND

    def meter(self, *nodes: SimulatedNode) -> PhaseMeter:
        """What these outputs, or all, played until now."""
        return PhaseMeter([Capture(node.output.blocks, TURN_S) for node in nodes or self.nodes], TURN_S)


def _clock(spec: MachineSpec, rng: random.Random) -> VirtualClock:
    """A clock that shows anything now."""
    return VirtualClock(rng.randrange(10**12, 10**15), spec.clock_ppm)
