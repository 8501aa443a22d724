"""`phaselock bench calibrate`: how exactly a microphone hears how late and how loud each machine plays, in rooms."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from phaselock.audio.listening import MAX_BEGIN_ERROR_NS, Heard, analyse
from phaselock.bench.interface import Bench
from phaselock.bench.lab.rooms import LEAD_S, NOISES, Conditions, record, room, true_offsets_s
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.frozen import frozen
from phaselock.model.sweeps import MAX_HIDDEN_NS, Sounds, Verdict, length_ns, schedule

MACHINES, REPEATS = 6, 3
WRONG_S = 0.001
"""A correction that is off by more is wrong."""
MAX_TRAVEL_S = 0.05
"""Machines hide less than MAX_HIDDEN_NS by this: their sound travels, too."""


@frozen
class Setting:
    """A setting of rooms. All else is random in each: noise, delays, levels, the clock of the microphone."""

    name: str
    snr_db: float = 20.0
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of Conditions."""
    loses: bool = False
    """10 ms are lost at a random moment."""


ALL = frozenset(range(MACHINES))
SETTINGS = (
    *(Setting(f"noise {snr_db} dB below", snr_db) for snr_db in (20, 10, 5, 0)),
    Setting("delays known to 5 ms", fixed={"hidden_s": {number: 0.001 * number for number in range(MACHINES)}}),
    Setting("two 0.1 ms apart, two 400 ms", fixed={"hidden_s": {1: 0.0001, 2: -0.2, 3: 0.2}}),
    Setting("stronger echo after 30 ms", fixed={"strong_echo": ALL}),
    Setting("one machine silent", fixed={"silent": frozenset({2})}),
    Setting("automatic gain control", fixed={"agc": True}),
    Setting("clipped by 6 dB", fixed={"clipping_db": 6.0}),
    Setting("clipped by 15 dB", fixed={"clipping_db": 15.0}),
    Setting("10 ms lost", loses=True),
)


@frozen
class RoomResult:
    """What was heard in one room. The sound of the first machine that was heard is the reference of the others."""

    errors_s: tuple[float, ...]
    """Of the offsets of those that were heard."""
    refused: tuple[str, ...]
    """The verdicts about the others that sounded."""
    false: int
    """Machines that were heard although they were silent."""
    ppm_error: float
    """NaN if the microphone's clock was not measured."""
    analysis_s: float
    level_errors_db: tuple[float, ...] = ()
    """Of the levels of those that were heard. A level is the power of the sweep at the microphone while the loudspeaker
    plays it, with all echoes: that of any longer sound."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Measure each setting in `options.rooms` rooms for each seed."""
    measure_rooms(options, bench, "calibrate", SETTINGS, measure)


def measure_rooms(
    options: argparse.Namespace,
    bench: Bench,
    benchmark: str,
    settings: Sequence[Setting],
    measure: Callable[[Setting, np.random.Generator, int], RoomResult],
) -> None:
    """Measure each setting in `options.rooms` rooms for each seed, and add a case for each."""
    results = collections.defaultdict[str, list[list[RoomResult]]](list)
    steps = [(seed, number) for seed in options.seeds for number in range(len(settings))]
    for step, (seed, number) in enumerate(steps):
        setting, found = settings[number], []
        for room_number in range(options.rooms):
            bench.progress((step + room_number / options.rooms) / len(steps), f"{setting.name}, seed {seed}")
            found.append(measure(setting, np.random.default_rng([seed, number, room_number]), room_number))
        results[setting.name].append(found)
        bench.add(case(benchmark, setting, options.rooms, results[setting.name]))


def measure(setting: Setting, random: np.random.Generator, number: int) -> RoomResult:
    """Simulate the pass in one room and analyse the recording."""
    paths, sounds = room(random, MACHINES), schedule(MACHINES, REPEATS)
    conditions = _conditions(setting, random, number, sounds)
    recording = record(random, paths, sounds, conditions)
    begin_ns = round(-LEAD_S * 1e9 + random.uniform(-MAX_BEGIN_ERROR_NS, MAX_BEGIN_ERROR_NS))
    began_s = time.perf_counter()
    heard = analyse(recording.tobytes(), conditions.rate_hz, begin_ns, sounds)
    analysis_s = time.perf_counter() - began_s
    return _judged(heard, true_offsets_s(paths, conditions), conditions, analysis_s)


def _conditions(setting: Setting, random: np.random.Generator, number: int, sounds: Sequence[Sounds]) -> Conditions:
    hidden_s = MAX_HIDDEN_NS / 1e9 - MAX_TRAVEL_S
    drawn = Conditions(
        noise=tuple(NOISES)[number % len(NOISES)],
        snr_db=setting.snr_db,
        hidden_s=dict(enumerate(random.uniform(-hidden_s, hidden_s, MACHINES))),
        gain_db=dict(enumerate(random.uniform(-12, 0, MACHINES))),
        clock_ppm=random.uniform(-100, 100),
        lost_at_s=random.uniform(0, length_ns(sounds) / 1e9) if setting.loses else None,
    )
    return dataclasses.replace(drawn, **setting.fixed)


def _judged(heard: Heard, truth_s: Sequence[float], conditions: Conditions, analysis_s: float) -> RoomResult:
    errors_s: list[float] = []
    levels_db: list[float] = []
    refused, false, reference_s = [], 0, None
    for number, arrival in enumerate(heard.arrivals):
        if number not in conditions.silent and arrival.offset_ns is not None and arrival.level_db is not None:
            levels_db.append(arrival.level_db - conditions.gain_db.get(number, 0.0))
        if number in conditions.silent:
            false += arrival.verdict is Verdict.HEARD
        elif arrival.offset_ns is None:
            refused.append(arrival.verdict.value)
        elif reference_s is None:
            reference_s = truth_s[number]
        else:
            errors_s.append(arrival.offset_ns / 1e9 - (truth_s[number] - reference_s))
    ppm = float("nan") if heard.microphone_ppm is None else heard.microphone_ppm
    level_errors_db = tuple(level_db - levels_db[0] for level_db in levels_db[1:])
    return RoomResult(tuple(errors_s), tuple(refused), false, ppm - conditions.clock_ppm, analysis_s, level_errors_db)


def case(benchmark: str, setting: Setting, rooms: int, repeats: Sequence[Sequence[RoomResult]]) -> Case:
    """The case of one setting, from the rooms of each repeat."""
    errors_us = [np.abs([error_s * 1e6 for one in found for error_s in one.errors_s]) for found in repeats]
    refused = [[verdict for one in found for verdict in one.refused] for found in repeats]
    asked = [len(errors) + len(verdicts) for errors, verdicts in zip(errors_us, refused, strict=True)]

    def errors(percent: float) -> tuple[float, ...]:
        return tuple(float(np.percentile(one, percent)) if len(one) else float("nan") for one in errors_us)

    def levels(percent: float) -> tuple[float, ...]:
        errors_db = ([abs(error_db) for one in found for error_db in one.level_errors_db] for found in repeats)
        return tuple(float(np.percentile(one, percent)) if one else float("nan") for one in errors_db)

    def ppm_p95(found: Sequence[RoomResult]) -> float:
        known = [abs(one.ppm_error) for one in found if np.isfinite(one.ppm_error)]
        return float(np.percentile(known, 95)) if known else float("nan")

    percents = np.arange(0, 100.5, 0.5)
    return Case(
        benchmark,
        setting.name,
        {"snr_db": setting.snr_db, "rooms": rooms},
        (
            Metric("error_p50_us", "us", errors(50)),
            Metric("error_p95_us", "us", errors(95)),
            Metric("error_p99_us", "us", errors(99)),
            Metric("error_worst_us", "us", errors(100)),
            Metric("wrong", "machines", tuple(float(np.sum(one > WRONG_S * 1e6)) for one in errors_us)),
            Metric(
                "refused_percent", "%", tuple(100 * len(r) / max(1, n) for r, n in zip(refused, asked, strict=True))
            ),
            Metric("false_alarms", "machines", tuple(float(sum(one.false for one in found)) for found in repeats)),
            Metric("level_p50_db", "dB", levels(50)),
            Metric("level_p95_db", "dB", levels(95)),
            Metric("clock_p95_ppm", "ppm", tuple(ppm_p95(found) for found in repeats)),
            Metric(
                "analysis_p95_ms",
                "ms",
                tuple(float(np.percentile([1000 * one.analysis_s for one in found], 95)) for found in repeats),
            ),
        ),
        (
            Plot(
                f"{setting.name}: error of the corrected offset",
                "percent of the machines that were heard",
                "microseconds",
                tuple(
                    Series(f"repeat {k + 1}", tuple(percents.tolist()), tuple(np.percentile(one, percents).tolist()))
                    for k, one in enumerate(errors_us)
                    if len(one)
                ),
                log_y=True,
            ),
        ),
        {"errors_us": errors_us, "refused": [dict(collections.Counter(verdicts)) for verdicts in refused]},
        (
            "Simulated rooms. Noise is pink, speech or music, below the mean of the machines. "
            "Offsets and levels are relative to the first machine that is heard, which has no error of its own.",
        ),
    )
