"""`phaselock bench engine`: how long an audio callback takes, timed in C around the engine, at simulated times.

The callbacks follow each other directly, so the caches are warm. Each comes a little late, as on a real card.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from phaselock import _native
from phaselock.bench.interface import Bench
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen

BLOCK_FRAMES = (96, 512, 1024)
RING_FRAMES = 65536
SETTLING_S = 2.0
"""Not measured: the engine estimates the rate of its card."""
_T0_NS = 1_000_000_000_000
_MEAN_LATE_NS = 30_000
"""Mean of the exponential lateness of callbacks, so that the engine's estimate of the card's clock has work to do."""
_GRID = np.concatenate([np.arange(0, 99, 1.0), np.arange(99, 100.001, 0.02)])
"""The percentiles that the result keeps of all callbacks."""

Durations = npt.NDArray[np.int64]


@frozen
class Load:
    """A load of the engine."""

    name: str
    device_hz: int
    track_hz: int | None
    """None: nothing plays."""
    drift_ppm: float = 0.0
    """By how much the session's clock is faster than the local one."""
    seams: bool = False
    """Time only the callbacks with the end of one track and the begin of the next."""


LOADS = (
    Load("silence", 48000, None),
    Load("48 to 48 kHz", 48000, 48000),
    Load("44.1 to 48 kHz", 48000, 44100),
    Load("44.1 to 44.1 kHz, 80 ppm apart", 44100, 44100, drift_ppm=80),
    Load("44.1 to 48 kHz, at a seam", 48000, 44100, seams=True),
)


def run(options: argparse.Namespace, bench: Bench, seconds: float = 30.0) -> None:
    """Measure each load with each block size, `seconds` of sound for each seed. Raise PhaseLockError if the engine runs
    out of sound."""
    found = collections.defaultdict[tuple[Load, int], list[Durations]](list)
    steps = [(seed, load, frames) for seed in options.seeds for load in LOADS for frames in BLOCK_FRAMES]
    for step, (seed, load, frames) in enumerate(steps):
        bench.progress(step / len(steps), f"{load.name}, {frames} frames")
        found[load, frames].append(measure(load, frames, seconds, seed))
        bench.add(case(load, frames, found[load, frames]))


def measure(load: Load, frames: int, seconds: float, seed: int) -> Durations:
    """The duration of each callback of this load in ns, (callbacks,) int64, without the first SETTLING_S, in which the
    engine estimates the rate of its card. Raise PhaseLockError if the engine runs out of sound."""
    random = np.random.default_rng(seed)
    song = (0.1 * random.standard_normal(2 * RING_FRAMES)).astype(np.float32)
    clock_map = _native.ClockMap()
    clock_map.set(_T0_NS, 0, load.drift_ppm * 1e-6, 1000.0, 1e-8)
    engine = _native.Engine(clock_map, RING_FRAMES)
    engine.stream(load.device_hz)
    period_ns = frames * 1e9 / load.device_hz
    calls = round((SETTLING_S + seconds) * 1e9 / period_ns)
    came_ns = _T0_NS + (np.arange(calls) * period_ns + random.exponential(_MEAN_LATE_NS, calls)).astype(np.int64)
    settled = round(SETTLING_S * 1e9 / period_ns)
    if load.track_hz is None:
        return _measured(engine, frames, came_ns)[settled:]
    if load.seams:
        return _seams(engine, load.track_hz, frames, came_ns, period_ns, song)[settled // _CALLS_PER_SEAM :]
    deck, generation = _arm(engine, load.track_hz, round(_T0_NS + 2 * period_ns))
    calls_per_fill = int((RING_FRAMES - 8192) / (frames * load.track_hz / load.device_hz))
    durations = []
    for begin in range(0, calls, calls_per_fill):
        engine.write(deck, generation, song)
        durations.append(_measured(engine, frames, came_ns[begin : begin + calls_per_fill]))
    status = engine.status()
    if status.underruns or not status.audible:
        raise PhaseLockError(
            "The engine ran out of sound while it was measured: a part of the callbacks played silence."
        )
    return np.concatenate(durations)[settled:]


_CALLS_PER_SEAM = 8
"""Number of callbacks from one seam to the next."""


def _seams(
    engine: _native.Engine,
    track_hz: int,
    frames: int,
    came_ns: Durations,
    period_ns: float,
    song: npt.NDArray[np.float32],
) -> Durations:
    """Durations of the callbacks in which short tracks join. A seam is in the middle of its callback."""
    track_frames = round(_CALLS_PER_SEAM * period_ns * track_hz / 1e9)
    step_ns, durations = track_frames * 1e9 / track_hz, []
    first_ns = _T0_NS + 4.5 * period_ns

    def add_track(number: int) -> None:
        deck, generation = _arm(engine, track_hz, round(first_ns + number * step_ns), seamless=number > 0)
        engine.write(deck, generation, song[: 2 * track_frames])
        engine.finish(deck, generation)

    add_track(0)
    done = 0
    for number in range(1, len(came_ns) // _CALLS_PER_SEAM - 1):
        add_track(number)
        # The card's time decides which callback contains the seam, not the lateness of the callback.
        inside = int((first_ns + number * step_ns - _T0_NS) / period_ns)
        _measured(engine, frames, came_ns[done:inside])
        durations.append(_measured(engine, frames, came_ns[inside : inside + 1]))
        done = inside + 1
    return np.concatenate(durations)


def _arm(engine: _native.Engine, track_hz: int, start_ns: int, *, seamless: bool = False) -> tuple[int, int]:
    deck = engine.free_deck()
    generation = engine.reset_deck(deck, 0)
    if not engine.arm(deck, track_hz, 0, start_ns, None, seamless):
        raise PhaseLockError("The engine did not accept another track while it was measured.")
    return deck, generation


def _measured(engine: _native.Engine, frames: int, came_ns: Durations) -> Durations:
    return np.frombuffer(engine.measure(frames, came_ns), np.int64) if len(came_ns) else np.empty(0, np.int64)


def case(load: Load, frames: int, repeats: Sequence[Durations]) -> Case:
    """The case of one load, from the durations of each repeat."""
    period_us = frames * 1e6 / load.device_hz
    p50, p99, worst = (
        tuple(float(np.percentile(durations, percent)) / 1000 for durations in repeats) for percent in (50, 99, 100)
    )
    grids = [np.percentile(durations, _GRID) / 1000 for durations in repeats]
    return Case(
        "engine",
        f"{load.name}, {frames} frames",
        {**dataclasses.asdict(load), "frames": frames, "period_us": period_us, "callbacks": len(repeats[0])},
        (
            Metric("p50_us", "us", p50),
            Metric("p99_us", "us", p99),
            Metric("worst_us", "us", worst),
            Metric("of_period_percent", "%", tuple(100 * one / period_us for one in p99)),
        ),
        (
            Plot(
                f"{load.name}, {frames} frames: duration of a callback",
                "percent of the callbacks",
                "microseconds",
                tuple(
                    Series(f"repeat {k + 1}", tuple(_GRID.tolist()), tuple(grid.tolist()))
                    for k, grid in enumerate(grids)
                ),
                log_y=True,
            ),
        ),
        {"percentiles": _GRID, "us": grids, "longest_us": [np.sort(durations)[-50:] / 1000 for durations in repeats]},
        (
            "Timed in C around the engine alone, one callback after the other: the caches are warm. If the system ran "
            "another program meanwhile, the worst value contains that.",
        ),
    )
