"""Networks and processes that are gone for longer than a connection lasts: the peer plays on in phase."""

from __future__ import annotations

import uuid

import pytest

from phaselock.session.commands import Accept, Add, Autoplay, Move, Next, Pause, Remove, Request, Resume
from tests.support.audio_simulation import TURN_S, AudioSimulation, MachineSpec, compass_track
from tests.support.exchanges import WIFI, WIRED, Link
from tests.support.simulation import SimulatedNode
from tests.support.told import reason

IN_PHASE_US = 60.0
AWAY_US = {WIRED: 200.0, WIFI: 500.0}
OTHER = MachineSpec(clock_ppm=40, card_ppm=-30)
LINKS = pytest.mark.parametrize(
    "link", [pytest.param(WIRED, id="wired"), pytest.param(WIFI, id="wifi", marks=pytest.mark.slow)]
)


def playing(
    *machines: MachineSpec, tracks: tuple[float, ...] = (600.0,), song_s: float = 20.0, seed: int = 1
) -> AudioSimulation:
    """A session in the middle of its first track. The tracks are one continuous sound, cut at whole turns."""
    simulation = AudioSimulation(*machines or (MachineSpec(), OTHER, MachineSpec()), seed=seed)
    for number, seconds in enumerate(tracks, 1):
        simulation.host.command(Add(compass_track(number, seconds=round(seconds / TURN_S) * TURN_S)))
    simulation.host.command(Autoplay(len(simulation.peers)))
    simulation.run_until(lambda: bool(simulation.host.events("playing")))
    simulation.run(song_s)
    return simulation


def check_in_phase(simulation: AudioSimulation, since_s: float, limit_us: float, *nodes: SimulatedNode) -> None:
    """These outputs, or all, played without a gap and within the limit."""
    meter, until_s = simulation.meter(*nodes), simulation.now_s - 0.1
    assert not any(capture.silences(since_s, until_s) for capture in meter.captures)
    worst_us = float(meter.apart_us(since_s, until_s)[1].max())
    print(f"apart by {worst_us:.1f} us at worst")
    assert worst_us <= limit_us


def check_back(simulation: AudioSimulation, back_s: float, limit_s: float, limit_us: float = IN_PHASE_US) -> None:
    """All are in phase, and stay so, within `limit_s` after that time."""
    took_s = simulation.meter().back_in_phase_s(back_s, simulation.now_s - 0.1, limit_us)
    print(f"in phase after {took_s:.2f} s")
    assert took_s <= limit_s


def others(simulation: AudioSimulation, but: SimulatedNode) -> list[SimulatedNode]:
    return [node for node in simulation.nodes if node is not but]


def came_back(simulation: AudioSimulation, *nodes: SimulatedNode) -> bool:
    """Whether these nodes returned as the same peers. All nodes must agree on the queue and the timelines."""
    again = {event.fields["name"] for event in simulation.host.events("peer_joined") if event.fields["again"]}
    mine = simulation.host.snapshot()
    for peer in simulation.peers:
        theirs = peer.snapshot()
        assert (theirs.connected, theirs.queue) == (True, mine.queue)
        assert (theirs.timeline, theirs.then) == (mine.timeline, mine.then)
    return again == {node.name for node in nodes} and len(mine.peers) == len(simulation.peers)


# -- a network that is gone --------------------------------------------------------------------------------------------


@LINKS
@pytest.mark.parametrize("seconds", [20.0, pytest.param(45.0, marks=pytest.mark.slow)])
def test_a_peer_without_network_plays_on_in_phase_and_comes_back(link: Link, seconds: float) -> None:
    simulation = playing(MachineSpec(), MachineSpec(link=link, clock_ppm=40, card_ppm=-30), OTHER)
    began_s, peer = simulation.now_s, simulation.peers[0]
    peer.cut(seconds)
    simulation.run(seconds)
    assert not peer.snapshot().connected
    assert [event.fields["message"][:26] for event in peer.events("warning")] == ["The host cannot be heard. "]
    simulation.run(12.0)
    assert came_back(simulation, peer)
    check_in_phase(simulation, began_s, AWAY_US[link])
    check_in_phase(simulation, began_s, IN_PHASE_US, *others(simulation, peer))


@pytest.mark.slow
def test_all_peers_without_network_play_on_in_phase_and_come_back() -> None:
    """As when the access point restarts."""
    simulation = playing(MachineSpec(), OTHER, MachineSpec(clock_ppm=-60), MachineSpec(card_ppm=80))
    began_s = simulation.now_s
    for peer in simulation.peers:
        peer.cut(25.0)
    simulation.run(35.0)
    assert came_back(simulation, *simulation.peers)
    check_in_phase(simulation, began_s, AWAY_US[WIRED])


@pytest.mark.slow
@LINKS
def test_a_peer_without_network_plays_the_armed_track_in_phase(link: Link) -> None:
    """Both tracks are one continuous sound: an output that is late or early at the seam is measured."""
    simulation = playing(MachineSpec(), MachineSpec(link=link, clock_ppm=40), OTHER, tracks=(30.0, 60.0))
    began_s, peer = simulation.now_s, simulation.peers[0]
    peer.cut(25.0)
    simulation.run(24.0)
    assert len(peer.events("track_ended")) == len(simulation.host.events("track_ended")) == 1
    simulation.run(10.0)
    assert came_back(simulation, peer)
    check_in_phase(simulation, began_s, AWAY_US[link])


@pytest.mark.slow
def test_a_missed_pause_is_followed_at_the_return() -> None:
    simulation = playing()
    peer = simulation.peers[0]
    peer.cut(15.0)
    simulation.run(10.0)
    simulation.host.command(Pause())
    simulation.run(10.0)
    paused_s = simulation.true_s(simulation.host.events("paused")[0])
    assert came_back(simulation, peer)
    mine, theirs = (
        simulation.meter(node).captures[0].silences(paused_s - 1, simulation.now_s) for node in (peer, simulation.host)
    )
    assert theirs[0][0] == pytest.approx(paused_s, abs=0.001)
    assert 4.5 < mine[0][0] - paused_s < 8.0  # its network was back 5 s after the pause
    simulation.host.command(Resume())
    simulation.run(3.0)
    assert simulation.meter().start(simulation.start_times_s()[-1])[1] < IN_PHASE_US


@pytest.mark.slow
def test_a_missed_track_is_played_at_the_return() -> None:
    simulation = playing(tracks=(600.0, 600.0))
    peer = simulation.peers[0]
    began_s = simulation.now_s
    peer.cut(15.0)
    simulation.run(10.0)
    simulation.host.command(Next())
    simulation.run(5.0)
    back_s = simulation.now_s
    simulation.run(10.0)
    assert came_back(simulation, peer)
    check_in_phase(simulation, began_s, IN_PHASE_US, simulation.host, simulation.peers[1])
    check_back(simulation, back_s, 4.0)


def test_a_crashed_host_ends_the_session() -> None:
    simulation = playing()
    simulation.host.crash()
    simulation.run(1.0)
    assert {reason(peer.ended) for peer in simulation.peers if peer.ended} == {"Host disconnected — session ended."}


# -- a program that stands still ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_peers_play_on_in_phase_while_the_host_is_stalled() -> None:
    """Afterwards all return to it as the same peers."""
    simulation = playing()
    began_s = simulation.now_s
    simulation.host.stall(10.0)
    simulation.run(30.0)
    assert came_back(simulation, *simulation.peers)
    check_in_phase(simulation, began_s, IN_PHASE_US, *simulation.peers)
    check_back(simulation, began_s + 10.0, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [10.0, pytest.param(30.0, marks=pytest.mark.slow)])
@LINKS
def test_a_stalled_peer_comes_back_in_phase(seconds: float, link: Link) -> None:
    simulation = playing(MachineSpec(), MachineSpec(link=link, clock_ppm=40), OTHER)
    began_s, peer = simulation.now_s, simulation.peers[0]
    peer.stall(seconds)
    simulation.run(seconds + 12.0)
    assert came_back(simulation, peer)
    check_in_phase(simulation, began_s, IN_PHASE_US, *others(simulation, peer))
    check_back(simulation, began_s + seconds, 3.0, IN_PHASE_US if link is WIRED else 500.0)


@pytest.mark.slow
def test_a_peer_stalled_across_the_seam_comes_back_in_phase() -> None:
    simulation = playing(tracks=(30.0, 60.0))
    began_s, peer = simulation.now_s, simulation.peers[0]
    peer.stall(15.0)
    simulation.run(27.0)
    assert came_back(simulation, peer) and len(simulation.host.events("track_ended")) == 1
    check_in_phase(simulation, began_s, IN_PHASE_US, *others(simulation, peer))
    check_back(simulation, began_s + 15.0, 3.0)


# -- the queue right before the seam -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "before_ms", [50.0, *(pytest.param(one, marks=pytest.mark.slow) for one in (1000.0, 300.0, 150.0, 100.0, 5.0))]
)
@pytest.mark.parametrize("change", ["move", "remove", "remove the playing one"])
def test_a_change_of_the_queue_before_the_seam_leaves_no_gap(before_ms: float, change: str) -> None:
    """The same track follows on all machines, in time and without a gap: the tracks are one continuous sound."""
    simulation = playing(tracks=(20.0, 20.0, 20.0), song_s=5.0)
    begun_s, seam_s = simulation.start_times_s()[0], simulation.start_times_s()[0] + round(20.0 / TURN_S) * TURN_S
    simulation.run(seam_s - before_ms / 1e3 - simulation.now_s)
    match change:
        case "move":
            simulation.host.command(Move(compass_track(3).file_id, 1))
        case "remove":
            simulation.host.command(Remove(compass_track(2).file_id))
        case _:
            simulation.host.command(Remove(compass_track(1).file_id))
    simulation.run(5.0)
    follows = 2 if before_ms < 120 or change == "remove the playing one" else 3
    for node in simulation.nodes:
        timeline = node.snapshot().timeline
        assert timeline is not None and timeline.file_id.int == follows
    assert simulation.start_times_s()[1] == pytest.approx(seam_s, abs=1e-8)
    check_in_phase(simulation, begun_s + 0.01, IN_PHASE_US)


# -- what peers bring --------------------------------------------------------------------------------------------------


def test_a_requested_song_arrives_and_follows_without_a_gap() -> None:
    simulation = playing(MachineSpec(), MachineSpec(bytes_per_s=0.5e6), OTHER, tracks=(30.0,), song_s=5.0)
    began_s, peer = simulation.now_s, simulation.peers[0]
    request = Request(uuid.UUID(int=5), "wish.mp3", 2_000_000, bytes(32))
    peer.call(peer.core.command, request)
    simulation.run(1.0)
    simulation.host.command(Accept(request.request_id))
    simulation.run(30.0)
    rows = simulation.host.snapshot().queue
    assert [(row.added_by, row.status.value) for row in rows] == [("host", "played"), ("peer 1", "playing")]
    check_in_phase(simulation, began_s, IN_PHASE_US)


@pytest.mark.slow
def test_a_peer_with_little_free_space_plays_every_track() -> None:
    small = MachineSpec(room_bytes=2_500_000)
    simulation = playing(MachineSpec(), small, tracks=(12.0,) * 5, song_s=5.0)
    assert len(simulation.peers[0].events("file_ready")) == 2
    simulation.run(45.0)
    assert len(simulation.host.events("track_ended")) == 4
    check_in_phase(simulation, simulation.start_times_s()[0] + 0.01, IN_PHASE_US)
