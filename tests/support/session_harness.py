"""Sessions without sound: links of fixed delay, clocks of fixed offset, and outputs that report what a test sets."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.role import Role
from phaselock.model.timeline import Timeline
from phaselock.model.timing import Timing
from phaselock.model.types import AudioStatus, ClockStatus
from phaselock.session import effects as e
from phaselock.session.commands import Add, HostCommand
from phaselock.session.peer.session import PeerSession
from tests.support.simulation import MS, SECOND, SimulatedHost, SimulatedNode, SimulatedPeer, Simulation, a_track
from tests.support.virtual_clock import VirtualClock

REPORT_EVERY_NS = 200 * MS
"""As often as a real node whose output has just opened."""
START_NS = 1000 * SECOND


@dataclasses.dataclass
class ReportedOutput:
    """What a node reports about its output and its clock."""

    latency_ns: int = 10 * MS
    dac_deviation_ns: int = 5_000
    dac_uncertainty_ns: int | None = 6_000
    timing: Timing = "exact"
    device_name: str | None = "card"
    uncertainty_ns: int | None = 5_000
    """Of the session clock."""
    clock_usable: bool = True
    trim_db: float = 0.0
    role: Role = "stereo"
    correction_ns: int = 0

    def start(self, node: SimulatedNode) -> None: ...

    def follow(self, timeline: Timeline | None, next_timeline: Timeline | None) -> None: ...

    def status(self) -> AudioStatus:
        return AudioStatus(
            device_name=self.device_name,
            device_rate_hz=48000,
            output_latency_ns=self.latency_ns,
            dac_deviation_ns=self.dac_deviation_ns,
            dac_uncertainty_ns=self.dac_uncertainty_ns,
            timing=self.timing,
            playing=False,
            phase_error_ns=100,
            correction_ppm=0.0,
            underruns=0,
            volume=1.0,
            trim_db=self.trim_db,
            role=self.role,
            correction_ns=self.correction_ns,
        )

    def close(self) -> None: ...


class HarnessPeer(SimulatedPeer):
    """A peer behind a link of fixed delay."""

    output: ReportedOutput

    def __init__(self, simulation: Simulation, name: str, output: ReportedOutput, delay_ns: int, ahead_ns: int) -> None:
        super().__init__(simulation, name, VirtualClock(ahead_ns), output, REPORT_EVERY_NS)
        self.delay_ns = delay_ns
        self.transfer_ns = 50 * MS
        """How long each transfer takes."""
        self.slow_files: set[UUID] = set()
        """Their transfers do not end."""
        self._ahead_ns = ahead_ns

    def up_ns(self, sent_ns: float) -> float:
        return sent_ns + self.delay_ns

    def down_ns(self, sent_ns: float) -> float:
        return sent_ns + self.delay_ns

    def transfer_end_ns(self, transfer: e.Fetch | e.Upload) -> int:
        slow = isinstance(transfer, e.Fetch) and transfer.track.file_id in self.slow_files
        return self.simulation.now_ns + (1000 * SECOND if slow else self.transfer_ns)

    def clock_status(self) -> ClockStatus:
        usable, uncertainty_ns = self.output.clock_usable, self.output.uncertainty_ns
        rtt_ns = 2 * self.delay_ns
        return ClockStatus(self.now_ns, usable, self.is_cut, -self._ahead_ns, 0.0, uncertainty_ns, rtt_ns, rtt_ns)


class SessionHarness(Simulation):
    """A host called Hana, and peers that join when a test says so."""

    peers: list[HarnessPeer]

    def __init__(self, *, max_peers: int = 5, output: ReportedOutput | None = None) -> None:
        super().__init__(START_NS)
        clock = VirtualClock(0)
        self.host = SimulatedHost(self, "Hana", clock, output or ReportedOutput(), REPORT_EVERY_NS, max_peers)
        self.host.start()

    def join(
        self,
        name: str,
        *,
        delay_ns: int = 200_000,
        ahead_ns: int = -START_NS,
        output: ReportedOutput | None = None,
        code: str = "",
        outside: bool = False,
        session: bytes = b"",
        reached: str = "",
        ip: str = "",
    ) -> HarnessPeer:
        """A peer connects and joins; run on to see it happen. Its clock is `ahead_ns` ahead of the session clock.
        `outside`: it comes to the outside port, by the address `reached`. `session`: the beginning of the id of the
        session that it joins. `ip`: its address; empty: one of its own in the house."""
        peer = HarnessPeer(self, name, output or ReportedOutput(), delay_ns, ahead_ns)
        peer.core = PeerSession(display_name=name, code=code, session_id=session)
        self.peers.append(peer)
        peer.outside, peer.reached = outside, reached
        peer.ip = ip or peer.ip
        peer.connect()
        peer.start()
        return peer

    def open_connection(self, ip: str = "10.0.0.1") -> int:
        """A connection to the host on which nothing is sent by itself."""
        conn = next(self.connections)
        self.host.accept(conn, ip=ip)
        return conn

    def command(self, *commands: HostCommand) -> None:
        """The host's user gives commands."""
        self.host.command(*commands)


def ready(*names: str, tracks: int = 1, seconds: float = 60.0) -> tuple[SessionHarness, list[HarnessPeer]]:
    """A session in which every peer has every file and a good clock."""
    harness = SessionHarness()
    peers = [harness.join(name) for name in names or ("Ana", "Ben")]
    harness.run(0.1)
    harness.command(*(Add(a_track(number + 1, seconds)) for number in range(tracks)))
    harness.run(2)
    return harness, peers


def line(harness: SessionHarness) -> Timeline:
    """The host's timeline; it must play."""
    timeline = harness.host.snapshot().timeline
    assert timeline is not None
    return timeline


def all_follow_the_same(harness: SessionHarness, peers: list[HarnessPeer]) -> bool:
    """Whether every output follows what the host's output follows."""
    return all(peer.following == harness.host.following for peer in peers)


def error(node: SimulatedNode) -> object:
    """The last error that the user of this node was told."""
    return node.events("error")[-1].fields["message"]
