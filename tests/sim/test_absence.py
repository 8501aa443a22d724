"""A network or a program that is gone for longer than a connection lasts: who is away plays on in phase."""

from __future__ import annotations

import uuid

import pytest

from phaselock.session.commands import Accept, Autoplay, Move, Next, Pause, Remove, Request, Resume
from tests.support.exchanges import WIFI, WIRED, Link
from tests.support.pcm import TURN_FRAMES
from tests.support.told import reason
from tests.support.world import TRACK_HZ, Machine, Node, World, a_track

TURN_S = TURN_FRAMES / TRACK_HZ
IN_PHASE_US = 60.0
AWAY_US = {WIRED: 200.0, WIFI: 500.0}
OTHER = Machine(clock_ppm=40, card_ppm=-30)
LINKS = pytest.mark.parametrize(
    "link", [pytest.param(WIRED, id="wired"), pytest.param(WIFI, id="wifi", marks=pytest.mark.slow)]
)


def playing(*machines: Machine, tracks: tuple[float, ...] = (600.0,), song_s: float = 20.0, seed: int = 1) -> World:
    """A session in the middle of its first track; all are one sound, cut at whole turns."""
    world = World(*machines or (Machine(), OTHER, Machine()), seed=seed)
    for number, seconds in enumerate(tracks, 1):
        world.host.add(a_track(number, seconds=round(seconds / TURN_S) * TURN_S))
    world.host.say(Autoplay(len(world.peers)))
    world.run_until(lambda: bool(world.host.heard_of("playing")))
    world.run(song_s)
    return world


def check_in_phase(world: World, since_s: float, limit_us: float, *nodes: Node) -> None:
    """These, or all, sounded without a gap and within the limit."""
    ear, until_s = world.ear(*nodes), world.now_s - 0.1
    assert not any(record.silences(since_s, until_s) for record in ear.records)
    worst_us = float(ear.apart_us(since_s, until_s)[1].max())
    print(f"apart by {worst_us:.1f} us at worst")
    assert worst_us <= limit_us


def check_back(world: World, back_s: float, limit_s: float, limit_us: float = IN_PHASE_US) -> None:
    """All are in phase for good so soon after that time."""
    took_s = world.ear().back_in_phase_s(back_s, world.now_s - 0.1, limit_us)
    print(f"in phase after {took_s:.2f} s")
    assert took_s <= limit_s


def others(world: World, but: Node) -> list[Node]:
    return [node for node in world.nodes if node is not but]


def came_back(world: World, *nodes: Node) -> bool:
    """As the same peers, all at the same place."""
    again = {event.fields["name"] for event in world.host.heard_of("peer_joined") if event.fields["again"]}
    mine = world.host.machine.snapshot()
    for peer in world.peers:
        theirs = peer.machine.snapshot()
        assert (theirs.connected, theirs.queue) == (True, mine.queue)
        assert (theirs.timeline, theirs.then) == (mine.timeline, mine.then)
    return again == {node.name for node in nodes} and len(mine.peers) == len(world.peers)


# -- a network that is gone --------------------------------------------------------------------------------------------


@LINKS
@pytest.mark.parametrize("seconds", [20.0, 45.0])
def test_a_network_that_is_gone_in_the_middle_of_a_song(link: Link, seconds: float) -> None:
    world = playing(Machine(), Machine(link=link, clock_ppm=40, card_ppm=-30), OTHER)
    began_s, peer = world.now_s, world.peers[0]
    peer.cut_off(seconds)
    world.run(seconds)
    assert not peer.machine.snapshot().connected
    assert [event.fields["message"][:26] for event in peer.heard_of("warning")] == ["The host cannot be heard. "]
    world.run(12.0)
    assert came_back(world, peer)
    check_in_phase(world, began_s, AWAY_US[link])
    check_in_phase(world, began_s, IN_PHASE_US, *others(world, peer))


def test_everybodys_network_is_gone() -> None:
    """The access point starts anew."""
    world = playing(Machine(), OTHER, Machine(clock_ppm=-60), Machine(card_ppm=80))
    began_s = world.now_s
    for peer in world.peers:
        peer.cut_off(25.0)
    world.run(35.0)
    assert came_back(world, *world.peers)
    check_in_phase(world, began_s, AWAY_US[WIRED])


@LINKS
def test_a_cut_across_the_seam_to_the_armed_track(link: Link) -> None:
    """Both tracks are one sound: whoever is late or early at the seam is heard."""
    world = playing(Machine(), Machine(link=link, clock_ppm=40), OTHER, tracks=(30.0, 60.0))
    began_s, peer = world.now_s, world.peers[0]
    peer.cut_off(25.0)
    world.run(24.0)
    assert len(peer.heard_of("track_ended")) == len(world.host.heard_of("track_ended")) == 1
    world.run(10.0)
    assert came_back(world, peer)
    check_in_phase(world, began_s, AWAY_US[link])


def test_a_pause_that_it_did_not_hear_of_is_followed_at_the_return() -> None:
    world = playing()
    peer = world.peers[0]
    peer.cut_off(15.0)
    world.run(10.0)
    world.host.say(Pause())
    world.run(10.0)
    paused_s = world.true_s(world.host.heard_of("paused")[0])
    assert came_back(world, peer)
    mine, theirs = (world.ear(node).records[0].silences(paused_s - 1, world.now_s) for node in (peer, world.host))
    assert theirs[0][0] == pytest.approx(paused_s, abs=0.001)
    assert 4.5 < mine[0][0] - paused_s < 8.0  # when its network was back
    world.host.say(Resume())
    world.run(3.0)
    assert world.ear().start(world.begun_s()[-1])[1] < IN_PHASE_US


def test_a_track_that_it_did_not_hear_of_is_heard_at_the_return() -> None:
    world = playing(tracks=(600.0, 600.0))
    peer = world.peers[0]
    began_s = world.now_s
    peer.cut_off(15.0)
    world.run(10.0)
    world.host.say(Next())
    world.run(5.0)
    back_s = world.now_s
    world.run(10.0)
    assert came_back(world, peer)
    check_in_phase(world, began_s, IN_PHASE_US, world.host, world.peers[1])
    check_back(world, back_s, 4.0)


def test_a_host_that_is_gone_is_silence_in_the_end() -> None:
    world = playing()
    world.host.crash()
    world.run(1.0)
    assert {reason(peer.ended) for peer in world.peers if peer.ended} == {"Host disconnected — session ended."}


# -- a program that stands still ---------------------------------------------------------------------------------------


def test_a_host_that_stands_still_for_ten_seconds() -> None:
    """The others play on in phase, and all come back to it as who they were."""
    world = playing()
    began_s = world.now_s
    world.host.stall(10.0)
    world.run(30.0)
    assert came_back(world, *world.peers)
    check_in_phase(world, began_s, IN_PHASE_US, *world.peers)
    check_back(world, began_s + 10.0, 3.0)


@pytest.mark.parametrize("seconds", [10.0, 30.0])
@LINKS
def test_a_peer_that_stands_still(seconds: float, link: Link) -> None:
    world = playing(Machine(), Machine(link=link, clock_ppm=40), OTHER)
    began_s, peer = world.now_s, world.peers[0]
    peer.stall(seconds)
    world.run(seconds + 12.0)
    assert came_back(world, peer)
    check_in_phase(world, began_s, IN_PHASE_US, *others(world, peer))
    check_back(world, began_s + seconds, 3.0, IN_PHASE_US if link is WIRED else 500.0)


def test_a_stall_across_the_seam() -> None:
    world = playing(tracks=(30.0, 60.0))
    began_s, peer = world.now_s, world.peers[0]
    peer.stall(15.0)
    world.run(27.0)
    assert came_back(world, peer) and len(world.host.heard_of("track_ended")) == 1
    check_in_phase(world, began_s, IN_PHASE_US, *others(world, peer))
    check_back(world, began_s + 15.0, 3.0)


# -- the queue right before the seam -----------------------------------------------------------------------------------


@pytest.mark.parametrize("before_ms", [1000.0, 300.0, 150.0, 100.0, 50.0, 5.0])
@pytest.mark.parametrize("change", ["move", "remove", "remove the playing one"])
def test_a_change_of_the_queue_right_before_the_seam(before_ms: float, change: str) -> None:
    """Whichever track follows, it follows on all machines, in time and without a gap: all of them are one sound."""
    world = playing(tracks=(20.0, 20.0, 20.0), song_s=5.0)
    begun_s, seam_s = world.begun_s()[0], world.begun_s()[0] + round(20.0 / TURN_S) * TURN_S
    world.run(seam_s - before_ms / 1e3 - world.now_s)
    match change:
        case "move":
            world.host.say(Move(a_track(3).file_id, 1))
        case "remove":
            world.host.say(Remove(a_track(2).file_id))
        case _:
            world.host.say(Remove(a_track(1).file_id))
    world.run(5.0)
    follows = 2 if before_ms < 120 or change == "remove the playing one" else 3
    for node in world.nodes:
        timeline = node.machine.snapshot().timeline
        assert timeline is not None and timeline.file_id.int == follows
    assert world.begun_s()[1] == pytest.approx(seam_s, abs=1e-8)
    check_in_phase(world, begun_s + 0.01, IN_PHASE_US)


# -- what peers bring --------------------------------------------------------------------------------------------------


def test_a_requested_song_arrives_and_follows_without_a_gap() -> None:
    world = playing(Machine(), Machine(bytes_per_s=0.5e6), OTHER, tracks=(30.0,), song_s=5.0)
    began_s, peer = world.now_s, world.peers[0]
    request = Request(uuid.UUID(int=5), "wish.mp3", 2_000_000, bytes(32))
    peer.do(peer.machine.command(request, now_ns=peer.now_ns))
    world.run(1.0)
    world.host.say(Accept(request.request_id))
    world.run(30.0)
    rows = world.host.machine.snapshot().queue
    assert [(row.added_by, row.status.value) for row in rows] == [("host", "played"), ("peer 1", "playing")]
    check_in_phase(world, began_s, IN_PHASE_US)


def test_a_peer_with_little_room_plays_all_the_same() -> None:
    small = Machine(room_bytes=2_500_000)
    world = playing(Machine(), small, tracks=(12.0,) * 5, song_s=5.0)
    assert len(world.peers[0].heard_of("file_ready")) == 2
    world.run(45.0)
    assert len(world.host.heard_of("track_ended")) == 4
    check_in_phase(world, world.begun_s()[0] + 0.01, IN_PHASE_US)
