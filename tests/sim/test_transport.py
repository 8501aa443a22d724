"""Everything that is done to a song happens on all machines at one instant, in phase from the first sample."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from phaselock.session.commands import Autoplay, HostCommand, Next, Pause, Play, Resume, Seek, Stop
from tests.support.exchanges import WAN, WIFI, WIRED, Link
from tests.support.pcm import TURN_FRAMES
from tests.support.world import TRACK_HZ, Machine, World, a_track

TURN_S = TURN_FRAMES / TRACK_HZ
IN_PHASE_US = 60.0
MIXED = (Machine(), Machine(block_frames=512, latency_ms=150), Machine(card_hz=32000, card_ppm=80, clock_ppm=-50))


def settled(*machines: Machine, seed: int = 1) -> World:
    """Nothing plays yet; everybody has the song and a good clock."""
    world = World(*machines, seed=seed)
    world.host.add(a_track())
    world.run(5.0)
    return world


def apart_us(instants: list[float]) -> float:
    return (max(instants) - min(instants)) * 1e6


@pytest.mark.parametrize("link", [WIRED, WIFI, WAN], ids=["wired", "wifi", "wan"])
def test_each_command_is_one_instant(link: Link) -> None:
    world = settled(*(dataclasses.replace(machine, link=link) for machine in MIXED))
    limit_us = IN_PHASE_US if link is WIRED else 500.0
    said: list[tuple[HostCommand, str]] = [
        (Play(), "playing"),
        (Seek(200.13), "seeked"),
        (Pause(), "paused"),
        (Seek(60.27), "seeked"),
        (Resume(), "resumed"),
        (Stop(), "stopped"),
        (Play(), "playing"),
    ]
    for command, _ in said:
        world.host.say(command)
        world.run(2.5)
    told = [event for _, event in world.host.events if event.name in {name for _, name in said}]
    assert [event.name for event in told] == [name for _, name in said]
    instants = [world.true_s(event) for event in told]
    ear = world.ear()
    ups = [record.edges_s(rising=True) for record in ear.records]
    downs = [record.edges_s(rising=False) for record in ear.records]
    # Heard: play, both sides of the seek, pause, resume, stop, play. A fade takes 5 ms up to or from the instant.
    for times, fade_s, expected in (
        (ups, +0.0025, [instants[k] for k in (0, 1, 4, 6)]),
        (downs, -0.0025, [instants[k] for k in (1, 2, 5)]),
    ):
        for k, instant_s in enumerate(expected):
            of_all = [times[node][k] for node in range(len(world.nodes))]
            late_ms = [(t - instant_s) * 1e3 for t in of_all]
            assert apart_us(of_all) < limit_us + 45, (k, late_ms)  # a frame of the card
            assert all(abs(t - instant_s - fade_s) < 0.0027 for t in of_all), (k, late_ms)
        assert {len(t) for t in times} == {len(expected)}
    for k in (0, 1, 4, 6):
        assert ear.start(instants[k])[1] < limit_us


@pytest.mark.parametrize("latency_ms", [5.0, 30.0])
def test_a_click_is_heard_soon(latency_ms: float) -> None:
    """Within 150 ms and the card's own latency, on wired machines."""
    world = settled(*(Machine(latency_ms=latency_ms),) * 3)
    clicked_s = world.now_s
    world.host.say(Play())
    world.run(2.0)
    heard_s = [record.edges_s(rising=True)[0] for record in world.ear().records]
    assert max(heard_s) - clicked_s < 0.150 + latency_ms / 1e3


def test_a_fast_resume_after_a_pause_keeps_the_place() -> None:
    world = settled(*MIXED)
    for command, after_s in ((Play(), 3.0), (Pause(), 0.02), (Resume(), 2.0)):
        world.host.say(command)
        world.run(after_s)
    begun = world.begun_s()
    _, apart = world.ear().apart_us(begun[0], world.now_s - 0.1)
    assert apart.max() < IN_PHASE_US


# -- tracks that follow each other -------------------------------------------------------------------------------------


def test_the_next_track_joins_to_the_frame() -> None:
    """Both tracks are one sound cut at a whole turn: whatever the seam does to time is heard as a bend."""
    world = World(*MIXED)
    turns = 25
    world.host.add(a_track(1, seconds=turns * TURN_S))
    world.host.add(a_track(2, seconds=turns * TURN_S))
    world.host.say(Autoplay(2))
    world.run_until(lambda: len(world.host.heard_of("playing")) == 2, 60.0)
    world.run(4.0)
    first_s, seam_s = (world.true_s(event) for event in world.host.heard_of("playing"))
    assert seam_s - first_s == pytest.approx(turns * TURN_S, abs=1e-8)
    ear = world.ear()
    for node, record in zip(world.nodes, ear.records, strict=True):
        near = np.abs(record.at_s - seam_s) < 0.5
        at_s, place_s, loudness = record.at_s[near], record.place_s[near], record.loudness[near]
        bend_us = (place_s - (at_s - seam_s) + TURN_S / 2) % TURN_S * 1e6 - TURN_S / 2 * 1e6
        before, after = bend_us[at_s < seam_s], bend_us[at_s >= seam_s]
        assert abs(after.mean() - before.mean()) < 5
        assert abs(bend_us - bend_us.mean()).max() < 5  # not a frame is lost or doubled: one is 45 us
        assert loudness.min() > 0.999 and loudness.max() < 1.001
        print(f"{node.name}: bend {after.mean() - before.mean():.3f} us, loudness {loudness.min():.6f}")
    assert ear.apart_us(first_s + 0.01, world.now_s - 0.1)[1].max() < IN_PHASE_US
    assert not any(record.silences(first_s + 0.01, world.now_s - 0.1) for record in ear.records)


def test_a_pause_across_the_seam() -> None:
    """A pause announced before the end of a track comes after it: the next track is heard and stands still."""
    world = World(*MIXED)
    world.host.add(a_track(1, seconds=25 * TURN_S))
    world.host.add(a_track(2))
    world.host.say(Autoplay(2))
    world.run_until(lambda: bool(world.host.heard_of("playing")))
    end_s = world.begun_s()[0] + 25 * TURN_S
    world.run(end_s - 0.1 - world.now_s)
    for command, after_s in ((Pause(), 1.5), (Resume(), 2.0)):
        world.host.say(command)
        world.run(after_s)
    paused_s, resumed_s = (world.true_s(world.host.heard_of(name)[0]) for name in ("paused", "resumed"))
    assert paused_s > end_s
    ear = world.ear()
    for record in ear.records:
        [(silent_s, length_s)] = record.silences(end_s - 1, world.now_s - 0.1)
        assert silent_s == pytest.approx(paused_s, abs=0.001)
        assert length_s == pytest.approx(resumed_s - paused_s, abs=0.001)
    assert ear.apart_us(world.begun_s()[0] + 0.01, world.now_s - 0.1)[1].max() < IN_PHASE_US


def test_next_changes_over_at_one_instant() -> None:
    world = World(*MIXED)
    world.host.add(a_track(1))
    world.host.add(a_track(2))
    world.host.say(Autoplay(2))
    world.run(8.0)
    world.host.say(Next())
    world.run(3.0)
    late_s, start_us = world.ear().start(world.begun_s()[1])
    assert late_s < 0.004 and start_us < IN_PHASE_US


# -- files while it plays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "limit_us"), [(WIRED, 60), (WIFI, 500), (WAN, 500)], ids=["wired", "wifi", "wan"])
def test_a_late_comer_is_soon_in_phase(link: Link, limit_us: float) -> None:
    """Within 2 s of having the file, the others undisturbed."""
    world = World(Machine(link=link), Machine(link=link))
    world.host.add(a_track())
    world.host.say(Autoplay(1))
    world.run(10.0)
    began_s = world.now_s
    late = world.join(Machine(link=link, bytes_per_s=1e6, clock_ppm=30, card_ppm=-40))
    world.run_until(lambda: bool(late.heard_of("file_ready")))
    ready_s = world.now_s
    world.run(12.0)
    took_s = world.ear().back_in_phase_s(ready_s, world.now_s - 0.1, limit_us)
    others, apart = world.ear(world.host, world.peers[0]), world.ear().apart_us(ready_s, world.now_s)[1]
    print(f"in phase {took_s:.2f} s after the file, {apart.max():.1f} us at worst from the first sample")
    assert took_s <= 2.0
    assert apart.max() < 1000
    assert others.apart_us(began_s, world.now_s - 0.1)[1].max() < limit_us
    assert not any(record.silences(began_s, world.now_s - 0.1) for record in others.records)


@pytest.mark.parametrize("queue_ms", [5.0, 40.0])
def test_a_transfer_does_not_disturb_the_clock(queue_ms: float) -> None:
    """Packets of the clock wait behind those of the file, one way only, for 20 s."""
    busy = Machine(link=WIRED, bytes_per_s=0.5e6, queue_ms=queue_ms)
    world = World(Machine(), busy, busy)
    world.host.add(a_track())
    world.host.say(Autoplay(2))
    world.run(20.0)
    began_s = world.now_s
    world.host.add(a_track(2, size=10_000_000))
    world.run(22.0)
    assert all(peer.heard_of("file_ready")[-1].fields["file_name"] == "song 2.mp3" for peer in world.peers)
    before, during = (world.ear().apart_us(at_s, at_s + 20.0)[1].max() for at_s in (began_s - 10.0, began_s))
    print(f"{before:.1f} us before, {during:.1f} us during the transfer")
    assert during < 30


def test_a_lasting_transfer_from_the_first_moment_on() -> None:
    """A machine joins and fetches 20 s of files behind whose packets its first pings wait."""
    world = World(Machine(), Machine(), Machine(bytes_per_s=0.5e6, queue_ms=40.0))
    world.host.add(a_track(1, size=500_000))
    world.host.add(a_track(2, size=10_000_000))
    world.host.say(Autoplay(2))
    world.run(40.0)
    begun_s = world.begun_s()[0]
    _, apart = world.ear().apart_us(begun_s, world.now_s)
    print(f"p95 {np.percentile(apart, 95):.1f} max {apart.max():.1f} us, played after {begun_s:.1f} s")
    assert apart.max() < 1000


def test_a_file_that_arrives_broken_comes_again_while_it_plays() -> None:
    world = World(Machine(), Machine(), Machine())
    world.host.add(a_track())
    world.host.say(Autoplay(2))
    world.run(5.0)
    began_s, peer = world.now_s, world.peers[1]
    peer.fetch_fails = iter([True, False])
    world.host.add(a_track(2))
    world.run(5.0)
    assert [event.fields["state"] for event in world.host.heard_of("transfer")][-1] == "done"
    assert peer.heard_of("file_ready")[-1].fields["file_name"] == "song 2.mp3"
    assert world.ear().apart_us(began_s, world.now_s - 0.1)[1].max() < IN_PHASE_US


def test_who_comes_during_a_pause_resumes_with_the_others() -> None:
    world = World(Machine(), Machine())
    world.host.add(a_track())
    world.host.say(Autoplay(1))
    world.run(6.0)
    world.host.say(Pause())
    world.run(1.0)
    world.join(Machine())
    world.run(3.0)
    world.host.say(Resume())
    world.run(3.0)
    late_s, start_us = world.ear().start(world.begun_s()[-1])
    assert late_s < 0.006 and start_us < IN_PHASE_US
