"""`phaselock bench sync`: a session is played, and what left the loudspeakers is compared to a part of a sample.

Each run plays noise, pauses, resumes and seeks, as a user might. The distance of a window is that of the two machines
furthest apart in it; windows in which anybody is silent (or the correlation is not sure) tell nothing and are left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay
from phaselock.bench.interface import Bench
from phaselock.bench.lab.links import PROFILES, Link, link_from
from phaselock.bench.lab.session import Machine, open_session
from phaselock.bench.lab.signals import noise_song
from phaselock.bench.options import SCENARIOS
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError

SETTLED_US = 100.0
WINDOW_S = 0.5
MINUTE_S = 60.0
ALONE_MS = 500.0
"""Who begins so much later than others, ends so much sooner, or pauses so much longer, was not heard."""
TRIES = 3
PAUSE_S, AFTER_MOVE_S = 2.0, 5.0
LONG_ENOUGH_S = 30
"""How much longer the song is than the time it plays."""

# One for the host and for each of five peers: as different as what is sold.
SKEW_PPM = (0.0, 45.0, -55.0, 20.0, -30.0, 60.0)
CARD_PPM = (0.0, -70.0, 35.0, 50.0, -20.0, 10.0)
PERIOD_FRAMES = (512, 256, 1024, 480, 960, 2048)
LATENCY_MS = (800.0, 700.0, 920.0, 850.0, 750.0, 1000.0)

UNITS = dict.fromkeys(("clicks", "dropouts", "unsure_windows", "late_wakes"), "")
INDIFFERENT = ("machine_noise_p50_us", "machine_noise_p99_us", "relay_late_p99_us", "late_wakes")


def machines_of(scenario: str, peers: int, custom: Link | None = None) -> list[Machine]:
    """The machines of a scenario, the host first; their clocks are a quarter of an hour apart."""
    link = custom if scenario == "custom" and custom else PROFILES.get(scenario, PROFILES["wired"])
    skewed, mixed, untimed = (scenario == one for one in ("skew", "mixed", "untimed"))
    return [
        Machine(
            name="host" if k == 0 else f"peer{k}",
            link=link,
            skew_ppm=SKEW_PPM[k] if skewed else 0.0,
            ahead_s=k * 1000,
            card=VirtualCard(
                ppm=CARD_PPM[k] if skewed else 0.0,
                period_frames=PERIOD_FRAMES[k] if mixed else 512,
                latency_ms=LATENCY_MS[k] if mixed else 800.0,
                tells_times=not untimed,
            ),
        )
        for k in range(peers + 1)
    ]


@dataclasses.dataclass(slots=True)
class Heard:
    """What one run left behind."""

    loudspeakers: list[delay.Loudspeaker]
    syncs: list[dict[str, Any]]
    noise_us: dict[str, float]
    until_playing_s: float
    relay: dict[str, Any]
    """What the relay says of itself: see Relay.summary."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Play every scenario with every seed."""
    custom = link_from(options.link) if options.link else None
    scenarios = list(dict.fromkeys(options.scenario or (["custom"] if custom else SCENARIOS)))
    if ("custom" in scenarios) != (custom is not None):
        raise PhaseLockError("--scenario custom and --link NETWORK belong together, for instance --link wifi,mbit=20")
    runs = [(scenario, seed) for scenario in scenarios for seed in options.seeds]
    results: dict[str, list[tuple[int, dict[str, float], dict[str, Any]]]] = {}
    for number, (scenario, seed) in enumerate(runs):
        machines = machines_of(scenario, options.peers, custom)

        def progress(done: float, doing: str, at: int = number, what: str = f"{scenario}, seed {seed}") -> None:
            bench.progress((at + done) / len(runs), f"{what}: {doing}")

        figures, samples = _one(scenario, machines, options, seed, progress)
        results.setdefault(scenario, []).append((seed, figures, samples))
        bench.add(_case(scenario, machines, options, results[scenario]))


def _one(
    scenario: str,
    machines: Sequence[Machine],
    options: argparse.Namespace,
    seed: int,
    progress: Callable[[float, str], None],
) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures and the raw samples of one run. One in which a card was not fed in time, because the machine was busy
    with something else for most of a second, tells nothing of the program, and is repeated."""
    for attempt in range(TRIES):
        with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
            heard = play(machines, pathlib.Path(folder), options.play_s, seed, options.filter, progress)
            if options.keep:
                kept = options.out / "recordings" / f"{scenario}-{seed}"
                shutil.copytree(pathlib.Path(folder) / "ear", kept, dirs_exist_ok=True)
        if not any(one.underruns for one in heard.loudspeakers):
            break
        progress(0.0, f"the machine was too busy: once more ({attempt + 1})")
    else:
        raise PhaseLockError(f"This machine is too busy: its virtual sound cards were not fed in time {TRIES} times.")
    progress(0.95, "listening")
    figures, samples = figures_of(heard)
    return figures, {**samples, "attempts": attempt + 1}


def play(
    machines: Sequence[Machine],
    folder: pathlib.Path,
    seconds: float,
    seed: int,
    clock_filter: str,
    progress: Callable[[float, str], None],
) -> Heard:
    """One session: plays for so long, pauses, resumes, seeks. What left the loudspeakers is kept below folder/ear."""
    song = folder / "noise.mp3"
    progress(0.0, "making a song")
    noise_song(song, seconds + LONG_ENOUGH_S, seed=seed)
    recorded = [_recorded(machine, folder / "ear" / machine.name) for machine in machines]
    whole_s = seconds + PAUSE_S + 2 * AFTER_MOVE_S
    syncs: list[dict[str, Any]] = []
    with Noise() as noise:
        progress(0.02, "joining")
        began = time.monotonic()
        with open_session(recorded, [song], folder, seed, join_options=["--clock-filter", clock_filter]) as session:
            session.wait_for_all([session.host], "playing")
            until_playing_s = time.monotonic() - began
            gone_s = 0.0
            for command, rest_s in _moves(seconds):
                if command:
                    session.host.say(command)

                def show(left_s: float, of_s: float = rest_s, before_s: float = gone_s) -> None:
                    progress(0.05 + 0.9 * (before_s + of_s - left_s) / whole_s, "playing")

                told = session.rest(rest_s, show)
                syncs += [{**event, "machine": of.name} for of, event in told if event["event"] == "sync"]
                gone_s += rest_s
    loudspeakers = [
        delay.Loudspeaker([delay.read_recording(path) for path in sorted((folder / "ear" / one.name).glob("*.json"))])
        for one in machines
    ]
    return Heard(loudspeakers, syncs, noise.percentiles_us(), until_playing_s, session.relay.summary)


def _moves(seconds: float) -> list[tuple[str, float]]:
    seek = f"seek {seconds / 2:.3f}"
    return [("", seconds), ("pause", PAUSE_S), ("resume", AFTER_MOVE_S), (seek, AFTER_MOVE_S)]


def _recorded(machine: Machine, folder: pathlib.Path) -> Machine:
    assert machine.card is not None
    return dataclasses.replace(machine, card=dataclasses.replace(machine.card, record=str(folder)))


def figures_of(heard: Heard, pauses: int = 1) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures, in the units of their names, and the raw samples. `pauses`: how many silences were meant.
    PhaseLockError when somebody played nothing."""
    if not all(one.recordings and len(delay.starts_ns(one)) for one in heard.loudspeakers):
        raise PhaseLockError("A machine played nothing.")
    windows = delay.window_delays(heard.loudspeakers, WINDOW_S, WINDOW_S)
    sure = [window for window in windows if window.sure]
    spreads = np.array([delay.spread_us(window) for window in sure]) if sure else np.array([math.nan])
    starts = delay.start_delays(heard.loudspeakers)
    together = len(starts) == pauses + 1
    p50, p95, p99 = np.percentile(spreads, [50, 95, 99])
    silences = _silences(heard.loudspeakers, pauses)
    late_wakes_ms = [late for one in heard.loudspeakers for late in one.late_wakes_ms]
    figures = {
        "start_us": max(delay.spread_us(start) for start in starts) if together else math.nan,
        "playing_p50_us": float(p50),
        "playing_p95_us": float(p95),
        "playing_p99_us": float(p99),
        "playing_max_us": float(spreads.max()),
        **_of_minutes(sure, spreads),
        "settling_s": _settling_s(sure, starts),
        "clicks": float(sum(len(delay.clicks(one)) for one in heard.loudspeakers)),
        "dropouts": float(sum(map(len, silences))),
        "dropped_s": sum(ms for of_one in silences for ms in of_one) / 1000,
        "unsure_windows": float(len(windows) - len(sure)),
        "until_playing_s": heard.until_playing_s,
        "machine_noise_p50_us": heard.noise_us["p50"],
        "machine_noise_p99_us": heard.noise_us["p99"],
        "relay_late_p99_us": heard.relay.get("late_us", {}).get("p99", math.nan),
        "late_wakes": float(len(late_wakes_ms)),
    }
    samples = {
        "windows": [[window.at_s, *window.offsets_us] for window in sure],
        "starts": [dataclasses.asdict(start) for start in starts],
        "dropouts_ms": silences,
        "late_wakes_ms": late_wakes_ms,
        "machine_noise_us": heard.noise_us,
        "relay": heard.relay,
        "sync_events": heard.syncs,
    }
    return figures, samples


def _of_minutes(sure: Sequence[delay.DelayWindow], spreads_us: NDArray[np.float64]) -> dict[str, float]:
    """The 95th percentile of the minute in which it is greatest; nothing where no whole minute was played."""
    minutes = np.array([(window.at_s - sure[0].at_s) // MINUTE_S for window in sure])
    whole = range(int((sure[-1].at_s - sure[0].at_s + WINDOW_S) // MINUTE_S)) if sure else ()
    p95s = [float(np.percentile(of, 95)) for minute in whole if len(of := spreads_us[minutes == minute])]
    return {"worst_minute_p95_us": max(p95s)} if p95s else {}


def _settling_s(sure: Sequence[delay.DelayWindow], starts: Sequence[delay.Start]) -> float:
    """From the first start until they stay within SETTLED_US, up to the next start; NaN when they do not get there."""
    if not starts:
        return math.nan
    end_s = starts[1].at_s if len(starts) > 1 else math.inf
    first = [window for window in sure if window.at_s < end_s]
    wide = [window.at_s for window in first if delay.spread_us(window) > SETTLED_US]
    if not first or wide and wide[-1] == first[-1].at_s:
        return math.nan
    return wide[-1] + WINDOW_S / 2 - starts[0].at_s if wide else 0.0


def _silences(loudspeakers: Sequence[delay.Loudspeaker], pauses: int) -> list[list[float]]:
    """For each loudspeaker the milliseconds of every silence that was not meant: within what it played, before it when
    others sounded already, and after it when others sounded still. A pause that is missing is one, too."""
    sounding = [one.sounding_spans(delay.SILENCE_LEVEL, ALONE_MS / 1e3) for one in loudspeakers]
    begin_ns, end_ns = min(of[0][0] for of in sounding), max(of[-1][1] for of in sounding)
    found = []
    for one, of in zip(loudspeakers, sounding, strict=True):
        own = delay.silences_ms(one)
        for _ in range(pauses):
            meant = min(own, key=lambda ms: abs(ms - PAUSE_S * 1000), default=0.0)
            if abs(meant - PAUSE_S * 1000) < ALONE_MS:
                own.remove(meant)
            else:
                own.append(PAUSE_S * 1000)
        edges = ((of[0][0] - begin_ns) / 1e6, (end_ns - of[-1][1]) / 1e6)
        found.append(own + [ms for ms in edges if ms > ALONE_MS])
    return found


def _case(
    scenario: str,
    machines: Sequence[Machine],
    options: argparse.Namespace,
    results: Sequence[tuple[int, dict[str, float], dict[str, Any]]],
) -> Case:
    names = dict.fromkeys(name for _, of, _ in results for name in of)
    figures = tuple(
        Metric(
            name,
            UNITS.get(name, name.rpartition("_")[2]),
            tuple(of.get(name, math.nan) for _, of, _ in results),
            "" if name in INDIFFERENT else "less",
        )
        for name in names
    )
    over_time = tuple(
        Series(
            f"seed {seed}",
            tuple(row[0] for row in samples["windows"]),
            tuple(max(row[1:]) - min(row[1:]) for row in samples["windows"]),
        )
        for seed, _, samples in results
    )
    ranked = tuple(
        Series(
            one.label,
            tuple(sorted(one.y)),
            tuple(100 * (k + 1) / len(one.y) for k in range(len(one.y))),
        )
        for one in over_time
    )
    return Case(
        benchmark="sync",
        name=f"{scenario}, {len(machines)} machines",
        parameters={
            "scenario": scenario,
            "seconds": options.play_s,
            "clock_filter": options.filter,
            "seeds": [seed for seed, _, _ in results],
            "machines": [dataclasses.asdict(machine) for machine in machines],
        },
        figures=figures,
        plots=(
            Plot("Distance of the two machines furthest apart", "seconds", "microseconds", over_time, "points"),
            Plot("How much of the time it is less", "microseconds", "percent of the time", ranked),
        ),
        samples={str(seed): samples for seed, _, samples in results},
    )


class Noise:
    """How late this machine wakes a thread that sleeps for a millisecond: what every packet and every block suffers."""

    def __init__(self) -> None:
        self._late_us: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._probe, name="noise", daemon=True)

    def __enter__(self) -> Noise:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def percentiles_us(self) -> dict[str, float]:
        """p50, p90, p99 and max."""
        if not self._late_us:
            return dict.fromkeys(("p50", "p90", "p99", "max"), math.nan)
        found = np.percentile(self._late_us, [50, 90, 99, 100])
        return dict(zip(("p50", "p90", "p99", "max"), map(float, found), strict=True))

    def _probe(self) -> None:
        while not self._ended.is_set():
            before_ns = time.perf_counter_ns()
            time.sleep(0.001)
            self._late_us.append((time.perf_counter_ns() - before_ns) / 1e3 - 1000)
            self._ended.wait(0.01)
