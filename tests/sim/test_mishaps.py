"""Mishaps of one machine in the middle of a song: the others are not disturbed, and it comes back in phase."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from phaselock.session.commands import Add, Autoplay
from tests.support.audio_simulation import AudioSimulation, MachineSpec, compass_track
from tests.support.exchanges import WIFI, WIRED, Link
from tests.support.simulation import MS, SECOND, SimulatedNode

IN_PHASE_US = 60.0


def playing(*machines: MachineSpec, seed: int = 1, song_s: float = 8.0) -> AudioSimulation:
    """A session in the middle of a song."""
    simulation = AudioSimulation(*machines or (MachineSpec(),) * 3, seed=seed)
    simulation.host.command(Add(compass_track()))
    simulation.host.command(Autoplay(len(simulation.peers)))
    simulation.run_until(lambda: bool(simulation.host.events("playing")))
    simulation.run(song_s)
    return simulation


def check_others(simulation: AudioSimulation, but: SimulatedNode, since_s: float) -> None:
    """All others played on in phase and without a gap."""
    meter = simulation.meter(*(node for node in simulation.nodes if node is not but))
    times, apart = meter.apart_us(since_s, simulation.now_s - 0.1)
    assert apart.max() < IN_PHASE_US
    assert not any(capture.silences(since_s, simulation.now_s - 0.1) for capture in meter.captures)


def back_s(simulation: AudioSimulation, since_s: float, limit_us: float = IN_PHASE_US) -> float:
    """Seconds until all were in phase and stayed so."""
    took_s = simulation.meter().back_in_phase_s(since_s, simulation.now_s - 0.1, limit_us)
    print(f"in phase after {took_s:.2f} s")
    return took_s


def step(by_ms: float) -> Callable[[SimulatedNode], None]:
    return lambda node: node.clock.step(node.simulation.now_ns, round(by_ms * MS))


def stand_still(seconds: float) -> Callable[[SimulatedNode], None]:
    return lambda node: node.clock.stand_still(node.simulation.now_ns, round(seconds * SECOND))


def sleep(seconds: float) -> Callable[[SimulatedNode], None]:
    """As a suspended laptop whose monotonic clock stops too."""

    def happen(node: SimulatedNode) -> None:
        node.stall(seconds)
        node.clock.stand_still(node.simulation.now_ns, round(seconds * SECOND))

    return happen


def stall(seconds: float) -> Callable[[SimulatedNode], None]:
    """Nothing runs on it: neither callbacks nor network."""
    return lambda node: node.stall(seconds)


def lose_blocks(blocks: int) -> Callable[[SimulatedNode], None]:
    return lambda node: node.output.lose_blocks(blocks)


# What happens to one machine; for how many seconds; after how many more seconds all are in phase again.
MISHAPS: dict[str, tuple[Callable[[SimulatedNode], None], float, float]] = {
    "a clock steps by 50 ms": (step(50), 0.0, 3.0),
    "a clock steps by a minute": (step(60_000), 0.0, 3.0),
    "a clock stands still for 40 ms": (stand_still(0.04), 0.04, 3.0),
    "a machine stalls for 3 s": (stall(3.0), 3.0, 2.0),
    "a machine stalls for 0.2 s": (stall(0.2), 0.2, 2.0),
    "a machine sleeps for 2.5 s": (sleep(2.5), 2.5, 2.0),
    "a card loses a block": (lose_blocks(1), 0.0, 1.0),
    "a card loses ten blocks": (lose_blocks(10), 0.0, 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "link", [pytest.param(WIRED, id="wired"), pytest.param(WIFI, id="wifi", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", MISHAPS)
def test_a_peer_is_back_in_phase_after_a_mishap(name: str, link: Link) -> None:
    happen, lasts_s, limit_s = MISHAPS[name]
    simulation = playing(MachineSpec(), MachineSpec(link=link), MachineSpec(clock_ppm=40, card_ppm=-30))
    began_s = simulation.now_s
    happen(simulation.peers[0])
    simulation.run(lasts_s + 12.0)
    assert back_s(simulation, began_s + lasts_s, IN_PHASE_US if link is WIRED else 500.0) <= limit_s
    check_others(simulation, simulation.peers[0], began_s)
    assert not simulation.host.events("peer_left")


@pytest.mark.parametrize("name", MISHAPS)
def test_a_host_is_back_in_phase_after_a_mishap(name: str) -> None:
    happen, lasts_s, limit_s = MISHAPS[name]
    simulation = playing()
    began_s = simulation.now_s
    happen(simulation.host)
    simulation.run(lasts_s + 12.0)
    assert back_s(simulation, began_s + lasts_s) <= limit_s
    assert not simulation.host.events("peer_left")


@pytest.mark.slow
@pytest.mark.parametrize("node", [0, 1])
def test_a_small_clock_step_is_corrected_within_ten_seconds(node: int) -> None:
    """By less than a block: it looks like late callbacks, so it is believed only after a while."""
    simulation = playing()
    began_s = simulation.now_s
    step(2)(simulation.nodes[node])
    simulation.run(14.0)
    assert back_s(simulation, began_s) <= 10.0


# (index of the machine, change of its clock rate in ppm, limit of the distance of the outputs in microseconds)
SPEEDS = [
    (1, 20, 60),
    (0, -100, 200),
    *(
        pytest.param(*one, marks=pytest.mark.slow)
        for one in ((1, -20, 60), (1, 100, 200), (1, 500, 1000), (0, 20, 200))
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("node", "ppm", "limit_us"), SPEEDS)
def test_outputs_stay_in_phase_while_a_clock_changes_its_rate(
    node: int, ppm: float, limit_us: float, seed: int
) -> None:
    """As a clock that NTP slews."""
    simulation = playing(MachineSpec(), MachineSpec(), seed=seed, song_s=20.0)
    began_s = simulation.now_s
    simulation.nodes[node].clock.run_at(simulation.now_ns, ppm)
    simulation.run(40.0)
    _, apart = simulation.meter().apart_us(began_s, simulation.now_s)
    print(f"{ppm} ppm: p95 {np.percentile(apart, 95):.0f} max {apart.max():.0f} us")
    assert apart.max() < limit_us


@pytest.mark.slow
@pytest.mark.parametrize("least_us", [60, 300])
def test_late_callbacks_do_not_move_the_sound(least_us: float) -> None:
    """All callbacks are late for a while: that tells nothing about the card's clock."""
    simulation = playing(MachineSpec(), MachineSpec(), song_s=20.0)
    began_s = simulation.now_s
    simulation.peers[0].output.busy_us = least_us
    simulation.run(15.0)
    simulation.peers[0].output.busy_us = 0.0
    simulation.run(8.0)
    _, apart = simulation.meter().apart_us(began_s, simulation.now_s)
    assert apart.max() < IN_PHASE_US


def test_a_short_network_loss_does_not_move_the_sound() -> None:
    """The peer plays on by the clock it knows."""
    simulation = playing(song_s=10.0)
    began_s = simulation.now_s
    simulation.peers[0].cut(2.5)
    simulation.run(12.0)
    check_others(simulation, simulation.host, began_s)
    assert back_s(simulation, began_s) == 0.0
    assert not simulation.host.events("peer_left")


def test_a_crashed_peer_does_not_disturb_the_others() -> None:
    simulation = playing()
    began_s = simulation.now_s
    simulation.peers[0].crash()
    simulation.run(4.0)
    assert [event.fields["name"] for event in simulation.host.events("peer_left")] == ["peer 1"]
    check_others(simulation, simulation.peers[0], began_s)


def test_a_leaving_peer_does_not_disturb_the_others() -> None:
    simulation = playing()
    began_s = simulation.now_s
    simulation.peers[0].leave()
    simulation.run(4.0)
    assert [event.fields["reason"] for event in simulation.host.events("peer_left")] == ["It left."]
    check_others(simulation, simulation.peers[0], began_s)


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [MachineSpec(), MachineSpec(latency_ms=180, block_frames=512, card_hz=32000, card_ppm=60)],
    ids=["same", "another"],
)
def test_a_reopened_output_is_back_in_phase(other: MachineSpec) -> None:
    simulation = playing()
    began_s, peer = simulation.now_s, simulation.peers[0]
    peer.output.lose_card()
    simulation.run(1.5)
    peer.output.open_card(other)
    found_s = simulation.now_s
    simulation.run(8.0)
    assert back_s(simulation, found_s) <= 2.0
    check_others(simulation, peer, began_s)
