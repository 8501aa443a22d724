"""The output clock, fed with made-up accounts, and what the engine makes of an account."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from phaselock import _native

HZ = 48000
FRAME_NS = 1e9 / HZ
T0_NS = 1_800_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000


class Card:
    """A stream whose frame F leaves at T0 + F frames of the card, and `later_ns` later since it was moved."""

    def __init__(self, noise: str, *, ppm: float = 20.0, block: int = 1024) -> None:
        self.clock = _native.OutputClock(noise, HZ)
        self.ppm, self.block = ppm, block
        self.frame = 0
        self.later_ns = 0.0

    def leaves_ns(self, frame: float) -> int:
        return T0_NS + round(frame * FRAME_NS * (1 + self.ppm * 1e-6) + self.later_ns)

    def run(self, seconds: float, noise_ns: Callable[[], float] = lambda: 0.0) -> Card:
        for _ in range(round(seconds * HZ / self.block)):
            leaves_ns = self.leaves_ns(self.frame)
            self.clock.add(self.frame, leaves_ns + round(noise_ns()), leaves_ns - 30 * MS, self.block)
            self.frame += self.block
        return self

    @property
    def error_us(self) -> float:
        return (self.clock.leaves_ns(self.frame) - self.leaves_ns(self.frame)) / 1e3


@pytest.mark.parametrize("noise", ["late", "both"])
@pytest.mark.parametrize("later_ms", [3, 40, -40])
def test_a_stream_that_is_moved_is_found_at_once(noise: str, later_ms: float) -> None:
    """To a sink with another delay."""
    draw = random.Random(1)
    one_sided = {"late": lambda: draw.expovariate(1 / 5e3), "both": lambda: draw.gauss(0, 20e3)}[noise]
    card = Card(noise).run(20, one_sided)
    card.later_ns = later_ms * MS
    card.run(1.0 if abs(later_ms) > 20 else 9.0, one_sided)
    assert abs(card.error_us) < 60
    assert card.clock.slips == 1
    card.run(20, one_sided)
    assert abs(card.error_us) < 30
    assert card.clock.slips == 1


def test_a_server_that_errs_for_a_moment_is_not_believed() -> None:
    draw = random.Random(2)
    card = Card("both").run(20, lambda: draw.gauss(0, 20e3))
    card.run(0.15, lambda: 5e6)
    card.run(0.3, lambda: draw.gauss(0, 20e3))
    assert card.clock.slips == 0
    assert abs(card.error_us) < 30


@pytest.mark.parametrize("noise", ["late", "both"])
def test_the_deviation_covers_the_error(noise: str) -> None:
    within = []
    draw = random.Random(1)
    noise_ns = {"late": lambda: draw.expovariate(1 / 50e3), "both": lambda: draw.gauss(0, 50e3)}[noise]
    for _ in range(20):
        card = Card(noise, ppm=draw.gauss(0, 40))
        for _ in range(10):
            card.run(3, noise_ns)
            within.append(abs(card.error_us) * 1e3 < 3 * card.clock.deviation_ns(card.frame))
    assert np.mean(within) > 0.85


class Stream:
    """An engine on a stream whose account says what it is told to say. Time is the callbacks'."""

    def __init__(self, noise: str) -> None:
        line = _native.ClockLine()
        line.set(T0_NS, 0, 0.0, 0.0, 0.0)
        self.engine = _native.Engine(line)
        self.account = _native.ManualAccount(noise)
        self.engine.stream(HZ, self.account)
        self.frame = 0

    def run(self, seconds: float, delay_ms: float | None) -> Stream:
        """`delay_ms`: from a callback to its first frame, as the account has it; None: it tells nothing."""
        for _ in range(round(seconds * 100)):
            now_ns = T0_NS + self.frame * SECOND // HZ
            if delay_ms is None:
                self.account.say_nothing()
            else:
                self.account.tell(self.frame, now_ns + round(delay_ms * MS))
            self.engine.process(480, now_ns)
            self.frame += 480
        return self

    @property
    def lead_ms(self) -> float:
        """From the next callback to its first frame."""
        return (self.engine.status().dac_ns - T0_NS) / 1e6 - self.frame / 48


def test_an_account_that_pauses_is_waited_for() -> None:
    stream = Stream("both").run(5, 80).run(2, None)
    assert not stream.account.is_silent
    assert stream.lead_ms == pytest.approx(70, abs=0.01)  # the status is of the block before
    assert stream.account.timing == "exact"


@pytest.mark.parametrize("begin_s", [0, 5])
def test_an_account_that_falls_silent_is_done_without(begin_s: float) -> None:
    """Then the callbacks tell, and an output latency that the owner knows; until the account tells again."""
    stream = Stream("both").run(begin_s, 80).run(3.2, None)
    assert stream.account.is_silent
    assert stream.account.timing == "unknown"
    stream.engine.set_output_latency(60 * MS)
    stream.run(1, None)
    assert stream.lead_ms == pytest.approx(50, abs=0.01)
    stream.engine.set_output_latency(0)
    stream.run(1, 80)
    assert not stream.account.is_silent
    assert stream.account.timing == "exact"
    assert stream.lead_ms == pytest.approx(70, abs=0.01)
