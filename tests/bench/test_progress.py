"""The progress of a benchmark: what is drawn, reported and printed, and how often."""

from __future__ import annotations

import math
from collections.abc import Mapping

from phaselock.bench.progress import Progress
from phaselock.session.events import Event
from tests.support.told import told


class Screen:
    """A terminal that keeps what it shows."""

    def __init__(self, *, in_place: bool) -> None:
        self.in_place = in_place
        self.shown: list[str] = []
        self.said: list[str] = []
        self.events: list[Mapping[str, object]] = []
        self.cleared = False

    def event(self, event: Event, *, to_people: bool = True) -> None:
        assert event.event_name == "progress" and not to_people
        self.events.append(told(event).fields)

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, text: str) -> None:
        self.shown.append(text)

    def clear_progress(self) -> None:
        self.cleared = True


class Hand:
    """A clock that advances by hand."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def test_a_watched_bar_is_drawn_ten_times_a_second_at_most() -> None:
    screen, hand = Screen(in_place=True), Hand()
    progress = Progress(screen, ["engine", "sync"], hand)
    progress.begin("sync")
    for step in range(1000):
        hand.s += 0.01
        progress.show(step / 1000, f"step {step}")
    assert 90 <= len(screen.shown) <= 101
    assert screen.said == []
    assert 10 <= len(screen.events) <= 11


def test_a_bar_shows_benchmark_share_and_times() -> None:
    screen, hand = Screen(in_place=True), Hand()
    progress = Progress(screen, ["engine", "sync"], hand)
    progress.begin("sync")
    hand.s += 75
    progress.show(0.25, "wifi, seed 2")
    bar, doing = screen.shown[-1].splitlines()
    assert bar == "sync (2 of 2)  ██████░░░░░░░░░░░░░░░░░░  25%  1:15, about 3:45 left"
    assert doing == "wifi, seed 2"
    assert screen.events[-1]["left_s"] == 225.0
    progress.end()
    assert screen.cleared


def test_the_time_left_needs_some_progress() -> None:
    screen, hand = Screen(in_place=True), Hand()
    progress = Progress(screen, ["sync"], hand)
    for done, gone_s in ((0.0, 60), (0.02, 60), (0.5, 1)):
        progress.begin("sync")
        hand.s += gone_s
        progress.show(done, "playing")
        assert "playing" in screen.shown[-1] and "left" not in screen.shown[-1]


def test_other_output_has_a_line_for_each_new_step() -> None:
    screen = Screen(in_place=False)
    progress = Progress(screen, ["sync"], Hand())
    progress.begin("sync")
    for done, doing in ((0.1, "joining"), (0.2, "playing"), (0.3, "playing"), (0.4, "listening")):
        progress.show(done, doing)
    assert screen.said == ["sync: begins", "sync: joining", "sync: playing", "sync: listening"]
    assert screen.shown == []


def test_shares_out_of_range_are_clamped() -> None:
    screen, hand = Screen(in_place=True), Hand()
    progress = Progress(screen, ["sync"], hand)
    progress.begin("sync")
    for done in (-1.0, 7.0, math.nan, math.inf):
        hand.s += 10
        progress.show(done, "playing")
    assert [line.split("%")[0][-3:].strip() for line in screen.shown[1:]] == ["0", "100", "0", "0"]
