"""`phaselock bench air`: what songs use of a path that carries the clock, too, and how wrong the clock is meanwhile.

Simulated (lab/air.py), so that it tells of the congestion control and not of the machine on which it runs.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from phaselock.bench.interface import Bench
from phaselock.bench.lab.air import (
    S_NS,
    Channel,
    Clock,
    FixedWindow,
    Loop,
    Transfer,
    carried_mbit,
    medium_of,
    sent_mbit,
)
from phaselock.bench.lab.links import PROFILES, Link
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.frozen import frozen

PATHS: Mapping[str, Link | Channel] = {
    "wired, 100 Mbit/s": dataclasses.replace(PROFILES["wired"], mbit=100),
    "wired, 5 Mbit/s": dataclasses.replace(PROFILES["wired"], mbit=5),
    "calm Wi-Fi": Channel(0.1),
    "crowded Wi-Fi": Channel(0.6),
    "crowded Wi-Fi without priorities": Channel(0.6, priority=False),
    "very crowded Wi-Fi": Channel(0.75),
    "jitter of every packet": dataclasses.replace(PROFILES["wifi"], up_loss=0, down_loss=0),
    "beside a download": dataclasses.replace(PROFILES["wired"], mbit=100),
}
DOWNLOAD_BYTES = {"beside a download": 64 * 1024}
"""The window of a flow that always fills it, with and without songs."""
SECONDS = 30.0
"""How long one transfer takes for the use of the path."""
SONG_BYTES, SLOW_SONG_BYTES, SONG_EVERY_NS, SONGS = 10_000_000, 2_000_000, 30 * S_NS, 10
"""A song is sent this often; a shorter one below SLOW_MBIT."""
SLOW_MBIT = 10
SONGS_AT_NS = 60 * S_NS
"""From when on songs are sent, and errors of the clock count."""


@frozen
class AirResult:
    """One path with one seed."""

    carried_mbit: float
    """What the path carries of a flow that never lets it run empty."""
    sent_mbit: float
    song_mbit: float
    """The rate of the songs, their starts included; 0 if one did not arrive."""
    errors_us: npt.NDArray[np.float64]
    quiet_errors_us: npt.NDArray[np.float64]
    """The errors of the clock with and without songs, in every quarter of a second."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Simulate each path with every seed."""
    runs = [(name, seed) for name in PATHS for seed in options.seeds]
    found = dict[str, list[AirResult]]()
    for number, (name, seed) in enumerate(runs):
        bench.progress(number / len(runs), f"{name}, seed {seed}")
        found.setdefault(name, []).append(measure(name, seed))
        bench.add(case(name, options.seeds, found[name]))


def measure(name: str, seed: int, songs: int = SONGS, seconds: float = SECONDS) -> AirResult:
    """The path of this name with this seed, for `songs` songs and a transfer of `seconds`."""
    path = PATHS[name]
    quiet_us, _ = _play(name, seed, songs, send=False)
    errors_us, song_mbit = _play(name, seed, songs, send=True)
    return AirResult(
        carried_mbit(path, str(seed), seconds), sent_mbit(path, str(seed), seconds), song_mbit, errors_us, quiet_us
    )


def _play(name: str, seed: int, songs: int, *, send: bool) -> tuple[npt.NDArray[np.float64], float]:
    """(errors of the clock in us, rate of the songs in Mbit/s)"""
    path, loop = PATHS[name], Loop()
    medium = medium_of(loop, path, str(seed))
    clock = Clock(loop, medium, str(seed))
    if window_bytes := DOWNLOAD_BYTES.get(name):
        Transfer(loop, medium, 0, 1 << 40, FixedWindow(window_bytes))
    size = SLOW_SONG_BYTES if isinstance(path, Link) and path.mbit < SLOW_MBIT else SONG_BYTES
    begins_ns = range(SONGS_AT_NS, SONGS_AT_NS + songs * SONG_EVERY_NS, SONG_EVERY_NS)
    sent = [Transfer(loop, medium, at_ns, size) for at_ns in begins_ns if send]
    loop.run(SONGS_AT_NS + songs * SONG_EVERY_NS)
    rate = float(np.mean([one.mbit for one in sent])) if sent and all(one.done_ns for one in sent) else 0.0
    return clock.errors_us(SONGS_AT_NS, loop.now_ns), rate


def case(name: str, seeds: Sequence[int], found: Sequence[AirResult]) -> Case:
    """The case of one path; a result for each of the first seeds."""

    def errors(percent: float, quiet: bool = False) -> tuple[float, ...]:
        arrays = [one.quiet_errors_us if quiet else one.errors_us for one in found]
        return tuple(float(np.percentile(array, percent)) for array in arrays)

    # Of all seeds together: the percentiles of a single one are too uncertain for a ratio.
    with_songs, quiet = (
        np.concatenate([getattr(one, key) for one in found]) for key in ("errors_us", "quiet_errors_us")
    )
    ranked = tuple(
        Series(label, tuple(np.sort(array)), tuple(100 * (np.arange(len(array)) + 1) / len(array)))
        for label, array in (("with songs", with_songs), ("without", quiet))
    )
    return Case(
        benchmark="air",
        name=name,
        parameters={"path": dataclasses.asdict(PATHS[name]), "seeds": seeds[: len(found)]},
        figures=(
            Metric("of_limit_percent", "%", tuple(100 * one.sent_mbit / one.carried_mbit for one in found), "more"),
            Metric("limit", "Mbit/s", tuple(one.carried_mbit for one in found), ""),
            Metric("song_rate", "Mbit/s", tuple(one.song_mbit for one in found), "more"),
            Metric("error_p50_us", "us", errors(50)),
            Metric("error_p95_us", "us", errors(95)),
            Metric("quiet_p50_us", "us", errors(50, quiet=True), ""),
            Metric("quiet_p95_us", "us", errors(95, quiet=True), ""),
            Metric("p95_ratio", "", (float(np.percentile(with_songs, 95) / np.percentile(quiet, 95)),)),
        ),
        plots=(Plot("How much of the time the clock is less wrong", "microseconds", "percent of the time", ranked),),
        samples={"error_us": with_songs.tolist(), "quiet_us": quiet.tolist()},
        notes=(
            f"The limit is what the path carries of a flow that never lets it run empty. Songs of "
            f"{SONG_BYTES / 1e6:g} MB are sent every {SONG_EVERY_NS / 1e9:g} s. Quiet is the clock without songs.",
        ),
    )
