"""Clock filters on seeded exchanges with known truth."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from phaselock._native import ClockFilter
from tests.support.exchanges import WAN, WIFI, WIRED, Leg, Link, Trains

LOCAL_AT_0_NS = 7_000_000_000
HOST_AT_0_NS = 1_800_000_000_000_000_000


def host_clock(true_ns: float) -> int:
    return HOST_AT_0_NS + round(true_ns)


def drifting(ppm: float) -> Callable[[float], int]:
    return lambda true_ns: LOCAL_AT_0_NS + round(true_ns * (1 + ppm * 1e-6))


class Run:
    """One filter following one simulated link."""

    def __init__(self, kind: str, link: Link, seed: int, ppm: float = 50.0, host: Link | None = None) -> None:
        self.filter = ClockFilter(kind)
        self.local = drifting(ppm)
        self.trains = Trains(random.Random(seed), link, host or link, lambda t: self.local(t), host_clock)
        self.rows: list[tuple[float, float, float]] = []
        """(s, error in us, uncertainty in us) after each train."""

    def follow(self, from_s: float, until_s: float) -> Run:
        for over_ns, exchanges in self.trains.run(from_s * 1e9, until_s * 1e9):
            for exchange in exchanges:
                self.filter.add(*exchange)
            clock_map = self.filter.map(self.local(over_ns))
            if clock_map is not None:
                truth_ns = host_clock(over_ns) - self.local(over_ns)
                self.rows.append(
                    (over_ns / 1e9, (clock_map.offset_ns - truth_ns) / 1e3, clock_map.uncertainty_ns / 1e3)
                )
        return self

    def errors_us(self, from_s: float, until_s: float = 1e9) -> list[float]:
        return sorted(abs(error) for at_s, error, _ in self.rows if from_s <= at_s < until_s)


def p95(values: list[float]) -> float:
    return values[int(0.95 * (len(values) - 1))]


def pooled(kind: str, link: Link, from_s: float, until_s: float, seeds: int = 6) -> list[float]:
    runs = (Run(kind, link, seed).follow(0, until_s) for seed in range(seeds))
    return sorted(error for run in runs for error in run.errors_us(from_s, until_s))


@pytest.mark.parametrize(
    ("link", "soon_us", "late_us"), [(WIRED, 10, 2), (WIFI, 200, 60), (WAN, 150, 40)], ids=["wired", "wifi", "wan"]
)
def test_the_envelope_is_soon_good_and_later_exact(link: Link, soon_us: float, late_us: float) -> None:
    assert p95(pooled("envelope", link, 1.0, 4.0)) < soon_us
    assert p95(pooled("envelope", link, 20.0, 45.0)) < late_us


@pytest.mark.parametrize("link", [WIFI, WAN], ids=["wifi", "wan"])
def test_the_envelope_beats_the_other_filters_by_far(link: Link) -> None:
    ours = p95(pooled("envelope", link, 20.0, 35.0))
    assert ours * 2 < p95(pooled("kalman", link, 20.0, 35.0))
    assert ours * 20 < p95(pooled("median", link, 20.0, 35.0))


@pytest.mark.parametrize("link", [WIRED, WIFI, WAN], ids=["wired", "wifi", "wan"])
def test_the_uncertainty_covers_the_error(link: Link) -> None:
    rows = [row for seed in range(10) for row in Run("envelope", link, seed).follow(0, 30).rows if row[0] > 1]
    within = sum(abs(error) <= 2 * uncertainty for _, error, uncertainty in rows) / len(rows)
    assert within > 0.9
    # And it is not too large to be useful.
    assert sum(u for *_, u in rows) / len(rows) < 4 * sum(abs(e) for _, e, _ in rows) / len(rows) + 1


def test_an_estimate_is_usable_within_a_second_and_better_than_a_millisecond_within_two() -> None:
    for link in (WIRED, WIFI, WAN):
        for seed in range(10):
            run = Run("envelope", link, seed).follow(0, 2.0)
            assert run.rows[0][0] < 1.3  # a slow link's burst takes a second; the native thread publishes within it
            assert max(run.errors_us(1.0)) < 1000


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 100.0])
def test_drift_is_learnt(ppm: float) -> None:
    run = Run("envelope", WIRED, 3, ppm).follow(0, 30)
    clock_map = run.filter.map(run.local(30e9))
    assert clock_map is not None
    assert clock_map.drift * 1e6 == pytest.approx(-ppm / (1 + ppm * 1e-6), abs=0.3)
    assert max(run.errors_us(5)) < 10


@pytest.mark.parametrize("step_ns", [30_000_000_000, -30_000_000_000, 3_000_000, -3_000_000])
def test_a_clock_step_is_detected_and_corrected(step_ns: int) -> None:
    run = Run("envelope", WIRED, 5).follow(0, 20)
    before = run.local
    truth_shift_us = 0.0
    if step_ns > 0:
        run.local = lambda t: before(t) + step_ns
    else:  # the peer slept: its clock stood still while the host's ran on
        run.trains._host_clock = lambda t: host_clock(t) - step_ns
        truth_shift_us = -step_ns / 1e3
    run.rows.clear()
    run.follow(20, 30)
    errors = [abs(error - truth_shift_us) for at_s, error, _ in run.rows if at_s > 22]
    assert run.filter.steps == 1
    assert max(errors) < 20


@pytest.mark.parametrize("per_map", [1, 2, 3, 5])
@pytest.mark.parametrize("step_ns", [30_000_000_000, -30_000_000_000, 3_000_000, -3_000_000])
def test_a_clock_step_is_found_whatever_the_length_of_a_train(step_ns: int, per_map: int) -> None:
    """Trains are short while nothing plays, and on a bad path. The map is then made from exchanges of both sides."""
    run = Run("envelope", WIRED, 5).follow(0, 20)
    exchanges = [one for _, train in run.trains.run(20e9, 26e9) for one in train]
    for number, (sent_ns, received_ns, answered_ns, returned_ns) in enumerate(exchanges):
        shift_ns = step_ns if number >= 50 else 0
        run.filter.add(sent_ns, received_ns + shift_ns, answered_ns + shift_ns, returned_ns)
        if number % per_map == 0:
            run.filter.map(returned_ns)
    clock_map = run.filter.map(run.local(26e9))
    assert run.filter.steps == 1
    assert clock_map is not None
    assert abs(clock_map.offset_ns - step_ns - (host_clock(26e9) - run.local(26e9))) < 20_000


def test_a_permanently_slower_path_does_not_move_the_offset_within_the_window() -> None:
    run = Run("envelope", WIRED, 6).follow(0, 30)
    slower = Link(Leg(5100, 20), Leg(5100, 20))
    second = Trains(random.Random(7), slower, WIRED, run.local, host_clock)
    run.trains = second
    run.follow(30, 80)
    assert max(run.errors_us(31)) < 60
    assert run.filter.steps == 0


def test_one_direction_that_is_slower_for_a_while_does_not_move_the_offset() -> None:
    run = Run("envelope", WIRED, 8).follow(0, 20)
    run.trains = Trains(random.Random(9), Link(WIRED.up, Leg(20100, 5000)), WIRED, run.local, host_clock)  # a download
    run.follow(20, 30)
    assert max(run.errors_us(20)) < 20


def test_bounds_that_contradict_each_other_make_the_offset_uncertain() -> None:
    """The host's clock steps between the first two exchanges: each puts the offset outside of the other's bounds."""
    one = ClockFilter()
    assert one.add(1_000_000, 1_005_000, 1_005_000, 1_010_000)
    assert one.add(101_000_000, 101_105_000, 101_105_000, 101_010_000)
    clock_map = one.map(102_000_000)
    assert clock_map is not None and clock_map.uncertainty_ns > 40_000


def test_without_exchanges_the_line_stays_and_its_uncertainty_grows() -> None:
    run = Run("envelope", WIRED, 10).follow(0, 20)
    known = run.filter.map(run.local(20e9))
    later = run.filter.map(run.local(50e9))
    assert known is not None and later is not None
    assert abs(later.offset_ns - (host_clock(50e9) - run.local(50e9))) < 30_000
    assert later.uncertainty_ns > 2 * known.uncertainty_ns


def test_an_overtaken_answer_does_not_replace_later_ones() -> None:
    overtaken = ClockFilter("envelope")
    ms = 1_000_000

    def add(sent_ms: int, late_ms: int, back_ms: int) -> None:
        arrived_ns = (1000 + sent_ms + 20 + late_ms) * ms
        assert overtaken.add((1000 + sent_ms) * ms, arrived_ns, arrived_ns, arrived_ns + back_ms * ms)

    add(0, 5, 20)
    add(100, 0, 20)  # the quickest
    add(150, 2, 20)
    add(60, 1, 112)  # its answer comes after that of 150
    add(220, 3, 20)
    clock_map = overtaken.map(1300 * ms)
    assert clock_map is not None
    assert abs(clock_map.offset_ns) < 50_000


@pytest.mark.parametrize("step_ns", [10**10, -(10**10)])
def test_all_filters_limit_the_drift_to_that_of_crystals(step_ns: int) -> None:
    for kind in ("envelope", "median", "kalman"):
        one = ClockFilter(kind)
        for k in range(200):
            sent_ns = 10**12 + k * 50_000_000
            host_ns = sent_ns + 100_000 + (step_ns if k >= 100 else 0)
            assert one.add(sent_ns, host_ns, host_ns, sent_ns + 200_000)
            clock_map = one.map(sent_ns + 200_000)
            assert clock_map is not None
            assert abs(clock_map.drift) <= 1e-3


@pytest.mark.parametrize("kind", ["envelope", "median", "kalman"])
def test_contradicting_times_are_ignored(kind: str) -> None:
    run = Run(kind, WIRED, 11).follow(0, 5)
    before = run.filter.map(run.local(5e9))
    samples = run.filter.samples
    last = run.local(4.9e9)
    assert not run.filter.add(last, 10, 5, last + 1000)  # answered before it arrived
    assert not run.filter.add(last + 1000, 5, 6, last)  # came back before it left
    assert not run.filter.add(last, 5, 5 + 10**9, last + 1000)  # was away longer than it was
    assert run.filter.samples == samples
    assert run.filter.map(run.local(5e9)) == before


def test_the_median_is_of_the_newest_ten_exchanges_of_two_seconds() -> None:
    median = ClockFilter("median")
    for k in range(10):
        offset_ns = 5_000 if k < 4 else (90_000_000 if k < 6 else 5_200)  # outliers in the minority
        sent_ns = 1_000_000_000 + k * 200_000_000
        median.add(sent_ns, sent_ns + 100_000 + offset_ns, sent_ns + 110_000 + offset_ns, sent_ns + 210_000)
    clock_map = median.map(3_000_000_000)
    assert clock_map is not None
    assert clock_map.offset_ns == 5_200


@pytest.mark.parametrize("rtt_ns", [0, 1, 100, 1_900_000_000])
def test_known_round_trips_give_the_known_offset(rtt_ns: int) -> None:
    for kind in ("envelope", "median", "kalman"):
        one = ClockFilter(kind)
        assert one.add(10_000_000_000, 500 + rtt_ns // 2, 500 + rtt_ns // 2, 10_000_000_000 + rtt_ns)
        clock_map = one.map(10_000_000_000 + rtt_ns)
        assert clock_map is not None
        assert abs(clock_map.offset_ns - (500 - 10_000_000_000)) <= 1
