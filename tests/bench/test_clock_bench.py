"""The benchmark of the clock filters: the simulated pinger, the true offset, and the cases."""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import random
import re
import subprocess

import numpy as np
import pytest

from phaselock.bench.benchmarks import clock
from phaselock.bench.lab.clock_host import ClockHost
from phaselock.bench.lab.exchanges import Crystal, random_crystal, simulate
from phaselock.bench.lab.links import PROFILES, Link
from phaselock.errors import PhaseLockError
from phaselock.model.choices import FILTERS
from phaselock.sync.trace import trace_bytes
from tests.support.bench import Collector

STILL = Link(100, 0, 0, 100, 0, 0)


def true_offset_ns(crystal: Crystal, true_ns: int) -> int:
    return true_ns - crystal.local_ns(true_ns)


def test_a_crystal_runs_fast_and_wanders_a_little() -> None:
    even = Crystal(10**13, 50.0)
    assert even.local_ns(0) == 10**13
    assert even.local_ns(10**11) - even.local_ns(0) == 10**11 + 5_000_000
    warm = random_crystal(random.Random(1))
    shown = np.array([warm.local_ns(k * 10**9) for k in range(1200)])
    rates_ppm = (np.diff(shown) / 1e9 - 1) * 1e6
    assert 0.08 < np.ptp(rates_ppm) < 0.11
    assert abs(rates_ppm.mean() - warm.drift_ppm) < 0.001


def test_trains_have_the_numbers_of_the_schedule() -> None:
    exchanges = simulate(PROFILES["wired"], Crystal(0, 0.0), 40, "a")
    sent_s = np.array([one[0] for one in exchanges]) / 1e9
    counts = np.histogram(sent_s, np.arange(0, 40.1, 0.2))[0]
    assert counts[0] == 64
    assert set(counts[1:150]) == {32}
    assert set(counts[150:]) == {8}
    lossy = simulate(Link(up_loss=0.2, down_loss=0.2), Crystal(0, 0.0), 40, "a")
    assert 0.25 < len(lossy) / len(exchanges) < 0.75


def test_a_slow_path_still_gets_through_in_pieces() -> None:
    exchanges = simulate(Link(up_us=100_000, down_us=100_000), Crystal(0, 0.0), 5, "a")
    assert len(exchanges) > 100
    assert all(one[3] - one[0] > 400_000_000 for one in exchanges)


def test_a_seed_gives_the_same_exchanges_again_and_another_seed_gives_others() -> None:
    one, same, other = (simulate(PROFILES["wifi"], Crystal(0, 10.0), 3, seed) for seed in ("1", "1", "2"))
    assert one == same != other


@pytest.mark.parametrize("kind", FILTERS)
def test_every_filter_is_exact_without_jitter(kind: str) -> None:
    crystal = Crystal(10**13, 0.0)
    exchanges = simulate(STILL, crystal, 10, "a")
    base_ns = exchanges[0][1] - exchanges[0][0]
    trace = clock.ReferenceTrace(exchanges, lambda at_ns: np.full(len(at_ns), -(10.0**13) - base_ns), 10**13)
    found = clock.filter_errors(trace, kind, 10)
    assert np.isfinite(found.error_us).all()
    assert np.abs(found.error_us).max() < 0.2
    assert (found.claim_us >= 0).all()


def test_an_error_is_the_distance_from_the_truth() -> None:
    exchanges = simulate(STILL, Crystal(10**13, 0.0), 6, "a")
    base_ns = exchanges[0][1] - exchanges[0][0]
    trace = clock.ReferenceTrace(exchanges, lambda at_ns: np.full(len(at_ns), -(10.0**13) - base_ns - 7000), 10**13)
    assert clock.filter_errors(trace, "envelope", 6).error_us == pytest.approx(7, abs=0.2)


def test_errors_are_nan_before_the_filter_knows_the_clock() -> None:
    late = Link(up_us=400_000, down_us=400_000)
    trace = clock.simulated_trace(late, 4, "a")
    found = clock.filter_errors(trace, "envelope", 4)
    assert np.isnan(found.error_us[found.at_s == 0.5]).all() and np.isnan(found.claim_us[0])
    assert np.isfinite(found.error_us[-1])


def test_times_count_from_joining_and_not_from_the_first_answer() -> None:
    trace = clock.simulated_trace(PROFILES["wired"], 8, "a")
    assert trace.joined_ns == random_crystal(random.Random("a")).local_ns(0)
    late = [one for one in trace.exchanges if one[0] > trace.joined_ns + 3 * 10**9]
    deaf = dataclasses.replace(trace, exchanges=late)
    found = clock.filter_errors(deaf, "envelope", 8)
    assert np.array_equal(np.isnan(found.error_us), found.at_s <= 3)


def errors_of(error_us: float) -> clock.FilterErrors:
    """Errors at 5, 9 and 10 s; NaN: the clock is never known."""
    return clock.FilterErrors(np.array([5.0, 9.0, 10.0]), np.full(3, error_us), np.full(3, 10 + 0 * error_us))


def test_an_unknown_clock_counts_as_an_infinite_error() -> None:
    nothing = errors_of(math.nan)
    mostly = [errors_of(7.0)] * 19 + [nothing]
    hardly = [errors_of(7.0)] + [nothing] * 19
    found = clock._case("some", {}, [mostly, hardly, [nothing]], (), "")
    values = {figure.name: figure.values for figure in found.figures}
    assert values["after_5_s_p50_us"] == pytest.approx((7, math.nan, math.nan), nan_ok=True)
    for name in ("after_5_s_p95_us", "error_p99_us"):
        assert np.isnan(values[name]).all()
    assert values["known_after_5_s_percent"] == (95, 5, 0)
    assert values["claimed_us"] == pytest.approx((10, math.nan, math.nan), nan_ok=True)
    assert values["within_1_claim_percent"] == pytest.approx((100, 100, math.nan), nan_ok=True)
    p50, p95, p99 = (
        clock._over_time("some", {kind: [mostly] for kind in FILTERS}, percent).series[0].y for percent in (50, 95, 99)
    )
    assert p50 == (7, 7)
    assert np.isnan(p95).all() and np.isnan(p99).all()


def test_the_true_offset_of_a_simulation_comes_from_its_clock() -> None:
    trace = clock.simulated_trace(PROFILES["wired"], 20, "seed")
    crystal = random_crystal(random.Random("seed"))
    for true_ns in (0, 10**10, 2 * 10**10):
        found = trace.truth([crystal.local_ns(true_ns)])[0] + trace.base_ns
        assert abs(found - true_offset_ns(crystal, true_ns)) < 2


@pytest.mark.parametrize(("profile", "seconds", "within_us"), [("wired", 60, 1), ("wifi", 60, 60), ("wan", 200, 30)])
def test_the_estimate_from_a_whole_trace_is_near_the_true_offset(profile: str, seconds: int, within_us: int) -> None:
    trace = clock.simulated_trace(PROFILES[profile], seconds, "hindsight")
    at_ns = [trace.joined_ns + k * 10**9 for k in range(seconds)]
    errors_us = (clock.estimated_truth(trace.exchanges)(at_ns) - trace.truth(at_ns)) / 1000
    assert np.abs(errors_us).max() < within_us
    assert np.abs(errors_us).max() > 0


def test_the_estimate_follows_a_clock_of_varying_rate() -> None:
    crystal = Crystal(10**13, 30.0, wander_ppm=0.5, wander_every_s=1200)
    exchanges = simulate(PROFILES["wired"], crystal, 600, "wander")
    base_ns = exchanges[0][1] - exchanges[0][0]
    seen = clock.estimated_truth(exchanges)
    for true_ns in range(0, 600 * 10**9, 10**10):
        wrong_ns = seen([crystal.local_ns(true_ns)])[0] + base_ns - true_offset_ns(crystal, true_ns)
        assert abs(wrong_ns) < 10_000


def options(**changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{"seeds": (1, 2), "trace_s": 12, "trace": None, **changes})


def shape(found: Collector, name: str, repeats: int) -> None:
    """Every filter has a case with a value for each repeat; the first case has the plots of all filters."""
    cases = [found.cases[f"{name}, {kind}"] for kind in FILTERS]
    for case in cases:
        assert {figure.name: len(figure.values) for figure in case.figures} == dict.fromkeys(
            [figure.name for figure in cases[0].figures], repeats
        )
        assert all(np.isfinite(figure.values).all() for figure in case.figures)
        by_name = {figure.name: figure.values for figure in case.figures}
        for p50, p95, p99 in zip(*(by_name[f"error_p{part}_us"] for part in (50, 95, 99)), strict=True):
            assert 0 < p50 <= p95 <= p99
    assert [re.findall(r"\d+(?= of 100)", plot.title) for plot in cases[0].plots] == [["50"], ["95"], ["99"]]
    for plot in cases[0].plots:
        assert [series.label for series in plot.series] == list(FILTERS)
        assert plot.series[0].x[:5] == (0.5, 1, 2, 5, 10)
    assert not cases[1].plots


def no_progress(done: float, doing: str) -> None:
    assert 0 <= done <= 1 and doing


def test_simulated_networks_are_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TRACES", 2)
    found = Collector()
    clock._simulated(options(), found, no_progress)
    assert len(found.cases) == 9
    for profile in PROFILES:
        shape(found, f"simulated {profile}", 2)


def test_a_recorded_trace_is_a_case(tmp_path: pathlib.Path) -> None:
    exchanges = simulate(PROFILES["wifi"], random_crystal(random.Random(1)), 20, "recorded")
    path = tmp_path / "home.trace"
    about = {"recorded": "2026-11-24T10:00:00+00:00", "seconds": 20, "session": "Kitchen", "host": "Ada"}
    path.write_bytes(trace_bytes(exchanges, about))
    found = Collector()
    clock._recorded([path], found, no_progress)
    shape(found, "trace 1", 1)
    case = found.cases["trace 1, envelope"]
    assert case.parameters["host"] == "Ada"
    assert "fits the whole trace best" in " ".join(case.notes)
    path.write_bytes(trace_bytes(exchanges[:100], about))
    with pytest.raises(PhaseLockError, match="too short"):
        clock._recorded([path], found, no_progress)
    path.write_bytes(trace_bytes([], about))
    with pytest.raises(PhaseLockError, match="too short"):
        clock._recorded([path], found, no_progress)


def test_the_three_sources_share_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(*arguments: object) -> None:
        tell = arguments[-1]
        assert callable(tell)
        tell(0.0, "begins")
        tell(1.0, "ends")

    for name in ("_recorded", "_simulated", "_real"):
        monkeypatch.setattr(clock, name, part)
    found = Collector()
    clock.run(options(trace=["a"]), found)
    assert found.done == sorted(found.done)
    assert (found.done[0], found.done[-1]) == (0.0, 1.0)
    case = found.cases["MACs of an exchange"]
    assert [len(figure.values) for figure in case.figures] == [2, 2]
    assert min(value for figure in case.figures for value in figure.values) > 0


def test_an_interrupt_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started = spied_processes(monkeypatch)

    def interrupted(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clock.measured_traces(10, 1, interrupted)
    assert len(started) == 6
    assert all(process.returncode is not None for process in started)


def spied_processes(monkeypatch: pytest.MonkeyPatch) -> list:  # type: ignore[type-arg]
    started = []

    class Spied(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Spied)
    return started


def test_a_clock_host_runs_at_the_rate_it_is_given() -> None:
    with ClockHost("127.0.0.2", 5000.0, 10**12) as host:
        machine_ns, shown_ns = host.compare_ns()
        assert 0 < shown_ns - machine_ns - 10**12 < 10**9
        later_ns, later_shown_ns = host.compare_ns()
        assert (later_shown_ns - shown_ns) / (later_ns - machine_ns) == pytest.approx(1.005, abs=0.004)


def test_a_clock_host_with_a_wrong_address_gives_an_error() -> None:
    with pytest.raises(PhaseLockError, match="did not start"), ClockHost("nonsense", 0.0, 0):
        pass


def test_real_exchanges_agree_with_the_true_offset() -> None:
    trace = clock.measured_traces(12, 1, lambda done: None)["wired"]
    assert len(trace.exchanges) > 300
    found = clock.filter_errors(trace, "envelope", 12)
    assert np.abs(found.error_us[-3:]).max() < 1000
