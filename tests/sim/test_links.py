"""Whole sessions on every kind of link: a scenario is a few parameters and limits.

Each one plays, pauses, resumes and seeks; the ear hears how far apart the loudspeakers are. The limits are those of the
laboratory (real programs on a real network), halved where nothing but the algorithm is in the way.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from phaselock.session.commands import Autoplay, Pause, Resume, Seek
from tests.support.exchanges import WAN, WIFI, WIRED, Leg, Link
from tests.support.world import Machine, World, a_track

SONG_S = 15.0
NEVER_US = 1000.0


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Machines, the host first, and limits in microseconds: every start, 95 % of the playing, all of it."""

    machines: tuple[Machine, ...]
    start_us: float
    p95_us: float
    max_us: float = NEVER_US


def on(link: Link, **rest: float) -> tuple[Machine, ...]:
    """Three like machines."""
    return (Machine(link=link, **rest),) * 3


def lossy(link: Link, loss: float) -> Link:
    return Link(dataclasses.replace(link.up, loss=loss), dataclasses.replace(link.down, loss=loss))


PLAIN = Machine()
FAR = Link(Leg(5000, 300), Leg(5000, 300))
SLOW_DOWN = Link(Leg(1000, 300), Leg(4000, 300))
JITTERY_DOWN = Link(Leg(1000, 50), Leg(1000, 3000))

SCENARIOS = {
    "wired": Scenario(on(WIRED), 60, 30, 60),
    "skew": Scenario(
        (
            Machine(clock_ppm=100, card_ppm=-100),
            Machine(clock_ppm=-100, card_ppm=100),
            Machine(clock_ppm=-60, card_ppm=-100),
        ),
        60,
        50,
        100,
    ),
    "mixed": Scenario(
        (
            Machine(block_frames=240, latency_ms=30),
            Machine(block_frames=120, latency_ms=250, card_hz=32000),
            Machine(block_frames=512, latency_ms=60, late_us=400),
        ),
        60,
        30,
        60,
    ),
    "wifi": Scenario(on(WIFI), 500, 150, 500),
    "wan": Scenario(on(WAN), 1000, 300),
    "5 % loss": Scenario(on(lossy(WIRED, 0.05)), 60, 30, 60),
    "5 % loss, wifi": Scenario(on(lossy(WIFI, 0.05)), 500, 150, 500),
    "jitter on the way back only": Scenario((PLAIN, Machine(link=JITTERY_DOWN), PLAIN), 500, 150, 500),
    # No filter can see a difference of the two ways: half of it is the error, the same all the time.
}


class Heard:
    """A scenario played, and what the ear says."""

    def __init__(self, machines: tuple[Machine, ...], seed: int, song_s: float = SONG_S) -> None:
        world = self.world = World(*machines, seed=seed)
        world.host.add(a_track())
        world.host.say(Autoplay(len(machines) - 1))
        world.run_until(lambda: bool(world.host.heard_of("playing")))
        world.run(song_s)
        for command, after_s in ((Pause(), 1.5), (Resume(), 3.0), (Seek(100.0), 3.0)):
            world.host.say(command)
            world.run(after_s)
        begun = world.begun_s()
        ear = world.ear()
        self.starts_us = [ear.start_us(at_s) for at_s in begun]
        _, apart = ear.apart_us(begun[0], world.now_s)
        self.p95_us, self.max_us = float(np.percentile(apart, 95)), float(apart.max())
        self.silences = [[round(s, 4) for _, s in r.silences(begun[0], world.now_s)] for r in ear.records]
        self.underruns = sum(node.engine.status().underruns for node in world.nodes)
        starts = " ".join(f"{us:.1f}" for us in self.starts_us)
        print(f"starts {starts} us, playing p95 {self.p95_us:.1f} max {self.max_us:.1f} us, ready after {begun[0]:.1f} s")


def check(scenario: Scenario, seed: int, song_s: float = SONG_S) -> None:
    heard = Heard(scenario.machines, seed, song_s)
    assert len(heard.starts_us) == 3   # play, resume, seek
    assert max(heard.starts_us) < scenario.start_us
    assert heard.p95_us < scenario.p95_us
    assert heard.max_us < scenario.max_us
    assert heard.underruns == 0
    assert all(len(silences) == 1 for silences in heard.silences), heard.silences   # the pause, and nothing else


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_phase(name: str) -> None:
    check(SCENARIOS[name], seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("name", SCENARIOS)
def test_in_phase_for_longer(name: str, seed: int) -> None:
    check(SCENARIOS[name], seed, song_s=60.0)
