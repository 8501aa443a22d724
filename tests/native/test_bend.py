"""Changes of a clock's speed, and events that only look like one: for the session's clock and for a sound card."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from phaselock._native import ClockFilter, ClockMap, Engine
from tests.support.exchanges import WAN, WIFI, WIRED, Leg, Link, Trains

SECOND = 1_000_000_000
LOCAL_AT_0_NS = 7_000_000_000_000
DEVICE_HZ = 48000
BLOCK = 480
Clock = Callable[[float], int]


def bending(*bends: tuple[float, float]) -> Clock:
    """A local clock by true time in ns. `bends`: (second, ppm by which it runs fast from then on)."""

    def local_ns(true_ns: float) -> int:
        ahead_ns = 0.0
        for number, (from_s, ppm) in enumerate(bends):
            until_ns = bends[number + 1][0] * 1e9 if number + 1 < len(bends) else math.inf
            ahead_ns += max(0.0, min(true_ns, until_ns) - from_s * 1e9) * ppm * 1e-6
        return LOCAL_AT_0_NS + round(true_ns + ahead_ns)

    return local_ns


class Session:
    """A clock filter on simulated exchanges with a host whose clock is true time."""

    def __init__(self, clock: Clock, link: Link, seed: int) -> None:
        self.filter = ClockFilter()
        self.clock = clock
        self.trains = Trains(random.Random(seed), link, link, lambda t: self.clock(t), round)
        self.now_s = 0.0

    def errors_us(self, until_s: float) -> list[float]:
        """The clock's error after each train up to that second, in us."""
        errors_us = []
        for over_ns, exchanges in self.trains.run(self.now_s * 1e9, until_s * 1e9):
            for exchange in exchanges:
                self.filter.add(*exchange)
            clock_map = self.filter.map(self.clock(over_ns))
            if clock_map is not None:
                errors_us.append((clock_map.offset_ns - (over_ns - self.clock(over_ns))) / 1e3)
        self.now_s = until_s
        return errors_us


class Card:
    """An engine on a card of exactly the nominal rate, with late callbacks."""

    def __init__(self, clock: Clock, late_us: Callable[[float], float]) -> None:
        self.engine = Engine(ClockMap())
        self.engine.stream(DEVICE_HZ)
        self.clock = clock
        self.late_us = late_us
        self.asked = 0

    def errors_us(self, until_s: float) -> list[float]:
        """By how much each block leaves later, as the engine sees it, than a punctual callback comes."""
        errors_us = []
        while (due_ns := self.asked / DEVICE_HZ * 1e9) < until_s * 1e9:
            self.engine.process(BLOCK, self.clock(due_ns + self.late_us(due_ns / 1e9) * 1e3))
            errors_us.append((self.engine.status().dac_ns - self.clock(due_ns)) / 1e3)
            self.asked += BLOCK
        return errors_us


def largest(values: list[float]) -> float:
    return max(abs(value) for value in values)


def exponential(mean_us: float, seed: int = 1) -> Callable[[float], float]:
    rng = random.Random(seed)
    return lambda _: rng.expovariate(1 / mean_us) if mean_us else 0.0


@pytest.mark.parametrize("ppm", [20.0, -20.0, 100.0, -500.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sessions_clock_follows(ppm: float, seed: int) -> None:
    session = Session(bending((0, 30), (30, 30 + ppm)), WIRED, seed)
    session.errors_us(30)
    assert largest(session.errors_us(35)) < 3 * abs(ppm) + 20  # until the change is certain
    assert largest(session.errors_us(60)) < 5
    assert session.filter.bends == 1


@pytest.mark.parametrize("link", [WIFI, WAN], ids=["wifi", "wan"])
def test_it_follows_over_a_jittering_link(link: Link) -> None:
    session = Session(bending((0, 0), (40, 200)), link, 1)
    session.errors_us(50)
    assert largest(session.errors_us(80)) < 150
    assert session.filter.bends >= 1


@pytest.mark.parametrize("link", [WIRED, WIFI, WAN], ids=["wired", "wifi", "wan"])
def test_an_even_clock_has_no_bends(link: Link) -> None:
    for seed in range(6):
        session = Session(bending((0, 40)), link, seed)
        session.errors_us(90)
        assert session.filter.bends == 0


def test_a_queue_that_grows_in_one_direction_is_no_bend() -> None:
    session = Session(bending((0, 0)), WIRED, 2)
    session.errors_us(30)
    growing = Leg(100, 20, queue_ns=lambda at_ns: max(0.0, at_ns / 1e9 - 30) * 100e3)
    session.trains = Trains(random.Random(3), Link(growing, WIRED.down), WIRED, session.clock, round)
    assert largest(session.errors_us(50)) < 20
    assert session.filter.bends == 0


@pytest.mark.parametrize("step_ms", [3, 50])
def test_a_step_is_no_bend(step_ms: int) -> None:
    even = bending((0, 20))
    session = Session(even, WIRED, 4)
    session.errors_us(20)
    session.clock = lambda true_ns: even(true_ns) + step_ms * 1_000_000
    session.errors_us(21)
    assert largest(session.errors_us(40)) < 10
    assert session.filter.bends == 0 and session.filter.steps == 1


@pytest.mark.parametrize("ppm", [20.0, -20.0, 100.0, -500.0, 500.0])
@pytest.mark.parametrize("late_us", [0.0, 20.0, 300.0])
def test_the_cards_clock_follows(ppm: float, late_us: float) -> None:
    card = Card(bending((0, 30), (30, 30 + ppm)), exponential(late_us))
    card.errors_us(30)
    card.errors_us(35)
    assert largest(card.errors_us(60)) < 5 + late_us / 10
    status = card.engine.status()
    assert status.card_ppm == pytest.approx(30 + ppm, abs=2)
    assert status.slips == 0


@pytest.mark.parametrize("least_us", [60.0, 300.0])
def test_a_busy_machine_is_no_bend(least_us: float) -> None:
    noise = exponential(20.0)
    card = Card(bending((0, 25)), lambda at_s: noise(at_s) + (least_us if at_s % 31 > 16 and at_s > 30 else 0))
    card.errors_us(20)
    assert largest(card.errors_us(400)) < 10


@pytest.mark.parametrize("ppm", [25.0, -25.0])
def test_a_timer_that_beats_against_the_card_is_no_bend(ppm: float) -> None:
    """It wakes every 400 us, so the callbacks' lateness is a saw tooth; its least values are the truth."""
    noise = exponential(20.0)
    card = Card(bending((0, ppm)), lambda at_s: noise(at_s) + -at_s * (1 + ppm * 1e-6) * 1e6 % 400)
    card.errors_us(60)
    assert largest(card.errors_us(300)) < 30


def test_a_second_bend_soon_after_the_first() -> None:
    """As when a time daemon corrects an offset of a millisecond: two seconds of 500 ppm."""
    clock = bending((0, 0), (30, 500), (32, 0))
    session, card = Session(clock, WIRED, 1), Card(clock, exponential(20.0))
    session.errors_us(36)
    card.errors_us(36)
    assert largest(session.errors_us(60)) < 10
    assert largest(card.errors_us(60)) < 10
