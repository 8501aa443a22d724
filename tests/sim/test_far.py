"""A friend far away: the room hears a click soon, and the friend plays in phase, from a little later on if it must."""

from __future__ import annotations

import pytest

from phaselock.session.commands import Add, HostCommand, Next, Pause, Play, Resume, Seek
from tests.support.audio_simulation import AudioSimulation, MachineSpec, compass_track
from tests.support.exchanges import Leg, Link
from tests.support.simulation import SECOND

IN_PHASE_US = 100.0
ROOM = (MachineSpec(latency_ms=20), MachineSpec(latency_ms=20))


def friend(one_way_ms: float, bytes_per_s: float = 10e6) -> MachineSpec:
    """A machine with a path of this length each way, and some jitter."""
    leg = Leg(one_way_ms * 1e3, 3000.0, busy=0.5)
    return MachineSpec(latency_ms=20, link=Link(leg, leg), bytes_per_s=bytes_per_s)


@pytest.mark.parametrize(
    ("one_way_ms", "room_ms", "late_ms"),
    [
        pytest.param(30, 165, 1, id="30", marks=pytest.mark.slow),
        pytest.param(80, 215, 1, id="80", marks=pytest.mark.slow),
        pytest.param(200, 270, 50, id="200"),
    ],
)
def test_the_room_hears_a_click_soon_and_the_friend_is_in_phase(
    one_way_ms: float, room_ms: float, late_ms: float
) -> None:
    """With one lead for all, a click took 620, 915 and 1540 ms."""
    simulation = AudioSimulation(*ROOM, friend(one_way_ms))
    simulation.host.command(Add(compass_track()))
    simulation.run(5)
    commands: tuple[HostCommand, ...] = (Play(), Pause(), Resume(), Seek(200.13))
    for command in commands:
        clicked_s = simulation.now_s
        simulation.host.command(command)
        simulation.run(1.5)
        rising = not isinstance(command, Pause)
        edges = [capture.edges_s(rising=rising) for capture in simulation.meter().captures]
        host_ms, near_ms, far_ms = ((next(t for t in of if t > clicked_s) - clicked_s) * 1e3 for of in edges)
        print(f"{one_way_ms} ms, {command}: room {host_ms:.0f} and {near_ms:.0f} ms, friend {far_ms:.0f} ms")
        assert max(host_ms, near_ms) < room_ms
        assert far_ms - host_ms < late_ms
        if rising:
            _, apart_us = simulation.meter().apart_us(clicked_s + far_ms / 1e3 + 0.01, simulation.now_s - 0.1)
            assert len(apart_us) and apart_us.max() < IN_PHASE_US


@pytest.mark.slow
def test_a_friend_with_a_slow_line_joins_the_song_in_phase() -> None:
    """Its copy is complete seven seconds after the room has its own."""
    simulation = AudioSimulation(*ROOM, friend(40, bytes_per_s=1e6))
    simulation.run(3)
    simulation.host.command(Add(compass_track(1, size=8_000_000)))
    simulation.run(1)
    clicked_s = simulation.now_s
    simulation.host.command(Play())
    simulation.run(12)
    host, near, far = (capture.edges_s(rising=True) for capture in simulation.meter().captures)
    assert host[0] - clicked_s < 3.2 and abs(near[0] - host[0]) < 1e-3
    assert far[0] - clicked_s < 8.5
    _, apart_us = simulation.meter().apart_us(far[0] + 0.01, simulation.now_s - 0.1)
    assert apart_us.max() < IN_PHASE_US


@pytest.mark.slow
def test_a_friend_that_has_a_part_of_the_next_song_keeps_the_room_from_no_seam() -> None:
    """The friend's copy of the second song comes after its beginning."""
    simulation = AudioSimulation(*ROOM, friend(40, bytes_per_s=1e6))
    simulation.run(3)
    simulation.host.command(Add(compass_track(1, seconds=12.0, size=500_000)))
    simulation.run(2)
    simulation.host.command(Play(), Add(compass_track(2, size=16_000_000)))
    simulation.run(24)
    first, second = (event.session_ns for event in simulation.host.events("playing"))
    assert second is not None and first is not None and abs(second - first - 12 * SECOND) < 1e6
    begun_s = simulation.start_times_s()[0]
    meter = simulation.meter()
    for capture in meter.captures[:2]:
        assert capture.silences(begun_s + 0.01, simulation.now_s - 0.1) == []
    ((silent_s, seconds),) = meter.captures[2].silences(begun_s + 0.01, simulation.now_s - 0.1)
    assert abs(silent_s - begun_s - 12) < 0.01 and 2 < seconds < 7
    _, apart_us = meter.apart_us(silent_s + seconds + 0.01, simulation.now_s - 0.1)
    assert apart_us.max() < IN_PHASE_US


@pytest.mark.slow
def test_next_while_a_friend_lacks_the_song_changes_within_three_seconds() -> None:
    simulation = AudioSimulation(*ROOM, friend(40, bytes_per_s=1e6))
    simulation.run(3)
    simulation.host.command(Add(compass_track(1, size=500_000)))
    simulation.run(2)
    simulation.host.command(Play(), Add(compass_track(2, size=20_000_000)))
    simulation.run(2)
    clicked_s = simulation.now_s
    simulation.host.command(Next())
    simulation.run(6)
    assert 0 < simulation.start_times_s()[1] - clicked_s < 3.2
