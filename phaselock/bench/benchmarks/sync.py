"""`phaselock bench sync`: play a session, and compare what left the loudspeakers to a fraction of a sample.

Each run plays noise, pauses, resumes and seeks. The distance in a window is that between its earliest and its latest
machine. Windows with a silent machine or without a reliable correlation are left out.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import math
import pathlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay, stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.links import PROFILES, Link, link_from
from phaselock.bench.lab.session import Machine, RunningSession, open_session
from phaselock.bench.lab.songs import MUSIC, SongKind, noise_song
from phaselock.bench.options import SCENARIOS
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError

SETTLED_US = 100.0
"""Machines have settled while they stay within this distance."""
WINDOW_S = 0.5
MINUTE_S = 60.0
MAX_ALONE_MS = 500.0
"""A machine that begins this much later than another, ends this much sooner, or pauses this much longer, has a
dropout."""
MAX_ATTEMPTS = 3
"""For one run, if this computer is too busy to feed the virtual cards in time."""
PAUSE_S, AFTER_MOVE_S = 2.0, 5.0
SPARE_S = 30
"""The song is longer than the time it plays, by this."""
TRANSFER_TIMEOUT_S = 600.0
"""For the songs of a session with a crossfade."""
SETTLE_S = 4.0
"""From the last peer that is ready to the beginning; without a crossfade the host knows when they have settled."""
OTHER_SEED = 1000
"""Between the seeds of two songs of one run."""

# One value for the host and one for each of five peers; they differ as much as hardware on the market.
SKEW_PPM = (0.0, 45.0, -55.0, 20.0, -30.0, 60.0)
CARD_PPM = (0.0, -70.0, 35.0, 50.0, -20.0, 10.0)
PERIOD_FRAMES = (512, 256, 1024, 480, 960, 2048)
LATENCY_MS = (800.0, 700.0, 920.0, 850.0, 750.0, 1000.0)

UNITLESS = ("clicks", "dropouts", "unsure_windows", "late_wakes")
ENVIRONMENT = ("machine_noise_p50_us", "machine_noise_p99_us", "relay_late_p99_us", "late_wakes")
"""Metrics of this computer, not of PhaseLock: neither direction is better."""

Result = tuple[int, dict[str, float], dict[str, Any]]
"""The seed, the metrics and the raw samples of one run."""


def machines_of(scenario: str, peers: int, custom: Link | None = None) -> list[Machine]:
    """The machines of a scenario, the host first. Their clocks are about a quarter of an hour apart."""
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
class SessionRecording:
    """What one run recorded."""

    loudspeakers: list[delay.Loudspeaker]
    sync_events: list[dict[str, Any]]
    noise_us: dict[str, float]
    until_playing_s: float
    relay: dict[str, Any]
    """See Relay.summary."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Play every scenario with every seed. Raise PhaseLockError if the options do not fit together, or a run fails."""
    custom = link_from(options.link) if options.link else None
    scenarios = list(dict.fromkeys(options.scenario or (["custom"] if custom else SCENARIOS)))
    if ("custom" in scenarios) != (custom is not None):
        raise PhaseLockError("--scenario custom and --link NETWORK belong together, for instance --link wifi,mbit=20.")
    music = list(dict.fromkeys(options.music or [next(iter(MUSIC))]))
    runs = [(scenario, seed, song) for scenario in scenarios for seed in options.seeds for song in music]
    results = collections.defaultdict[tuple[str, str], list[Result]](list)
    for number, (scenario, seed, song) in enumerate(runs):
        machines = machines_of(scenario, options.peers, custom)
        what = f"{scenario}, {MUSIC[song].name}, seed {seed}"

        def progress(done: float, doing: str, at: int = number, what: str = what) -> None:
            bench.progress((at + done) / len(runs), f"{what}: {doing}")

        metrics, samples = _measure(scenario, song, machines, options, seed, progress)
        results[scenario, song].append((seed, metrics, samples))
        bench.add(_case(scenario, song, machines, options, results[scenario, song]))


def _measure(
    scenario: str,
    music: str,
    machines: Sequence[Machine],
    options: argparse.Namespace,
    seed: int,
    progress: Callable[[float, str], None],
) -> tuple[dict[str, float], dict[str, Any]]:
    """The metrics and raw samples of one run. Repeat a run in which a card was not fed in time, because this computer
    was busy for most of a second: it says nothing about PhaseLock. Raise PhaseLockError after MAX_ATTEMPTS."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
            recording = play(machines, pathlib.Path(folder), MUSIC[music], options, seed, progress)
            if options.keep:
                kept = options.out / "recordings" / f"{scenario}-{music}-{seed}"
                shutil.copytree(pathlib.Path(folder) / "recordings", kept, dirs_exist_ok=True)
        if not any(one.underruns for one in recording.loudspeakers):
            break
        progress(0.0, f"this computer was too busy, attempt {attempt} failed")
    else:
        raise PhaseLockError(
            f"This computer is too busy: in {MAX_ATTEMPTS} attempts a virtual sound card was not fed in time."
        )
    progress(0.95, "comparing the recordings")
    metrics, samples = metrics_of(recording)
    return metrics, {**samples, "attempts": attempt}


def play(
    machines: Sequence[Machine],
    folder: pathlib.Path,
    kind: SongKind,
    options: argparse.Namespace,
    seed: int,
    progress: Callable[[float, str], None],
) -> SessionRecording:
    """Play one session with a song of this kind: `options.play_s`, a pause, a resume and a seek. With a crossfade, a
    song of half of this time comes before it. The recordings are kept below folder/recordings."""
    seconds: float = options.play_s
    progress(0.0, "making a song")
    lengths_s = [seconds / 2, seconds + SPARE_S] if options.crossfade else [seconds + SPARE_S]
    songs = [folder / f"noise{number}.{kind.form}" for number in range(len(lengths_s))]
    for number, (song, length_s) in enumerate(zip(songs, lengths_s, strict=True)):
        noise_song(song, kind, length_s, seed + number * OTHER_SEED)
    folders = [folder / "recordings" / machine.name for machine in machines]
    recorded = [_recorded(machine, into) for machine, into in zip(machines, folders, strict=True)]
    with WakeUpProbe() as probe:
        progress(0.02, "joining")
        began_s = time.perf_counter()
        with open_session(
            recorded,
            songs,
            folder,
            seed,
            play=not options.crossfade,
            host_options=["--crossfade", f"{options.crossfade:g}"],
            join_options=["--clock-filter", options.filter],
        ) as session:
            if options.crossfade:  # a second song that is still on its way would make a silence
                session.wait_until_ready(len(songs), TRANSFER_TIMEOUT_S)
                session.collect(SETTLE_S)
                session.host.say("play")
            session.wait_for_all([session.host], "playing")
            until_playing_s = time.perf_counter() - began_s
            sync_events = _play_moves(session, _moves(seconds), progress)
    loudspeakers = [
        delay.Loudspeaker([delay.read_recording(path) for path in sorted(into.glob("*.json"))]) for into in folders
    ]
    return SessionRecording(loudspeakers, sync_events, probe.percentiles_us(), until_playing_s, session.relay.summary)


def _moves(seconds: float) -> list[tuple[str, float]]:
    """What the host does: (command, seconds until the next one)."""
    seek = f"seek {seconds / 2:.3f}"
    return [("", seconds), ("pause", PAUSE_S), ("resume", AFTER_MOVE_S), (seek, AFTER_MOVE_S)]


def _play_moves(
    session: RunningSession, moves: Sequence[tuple[str, float]], progress: Callable[[float, str], None]
) -> list[dict[str, Any]]:
    """Give the host these commands; return the `sync` events of all machines."""
    total_s = sum(seconds for _, seconds in moves)
    done_s = 0.0
    sync_events: list[dict[str, Any]] = []
    for command, seconds in moves:
        if command:
            session.host.say(command)

        def on_progress(left_s: float, end_s: float = done_s + seconds) -> None:
            progress(0.05 + 0.9 * (end_s - left_s) / total_s, "playing")

        events = session.collect(seconds, on_progress)
        sync_events += [{**event, "machine": program.name} for program, event in events if event["event"] == "sync"]
        done_s += seconds
    return sync_events


def _recorded(machine: Machine, folder: pathlib.Path) -> Machine:
    """The machine, with a card that records into `folder`."""
    assert machine.card is not None
    return dataclasses.replace(machine, card=dataclasses.replace(machine.card, record=str(folder)))


def metrics_of(recording: SessionRecording, pauses: int = 1) -> tuple[dict[str, float], dict[str, Any]]:
    """The metrics, in the units of their names, and the raw samples. `pauses` is the number of pauses that were played.
    Raise PhaseLockError if a machine played nothing."""
    if not all(one.recordings and len(delay.starts_ns(one)) for one in recording.loudspeakers):
        raise PhaseLockError("A machine played nothing.")
    windows = delay.window_delays(recording.loudspeakers, WINDOW_S, WINDOW_S)
    sure = [window for window in windows if window.sure]
    spreads = np.array([delay.spread_us(window) for window in sure]) if sure else np.array([math.nan])
    starts = delay.start_delays(recording.loudspeakers)
    together = len(starts) == pauses + 1
    p50, p95, p99 = np.percentile(spreads, [50, 95, 99])
    silences = _silences(recording.loudspeakers, pauses)
    late_wakes_ms = [late for one in recording.loudspeakers for late in one.late_wakes_ms]
    metrics = {
        "start_us": max(delay.spread_us(start) for start in starts) if together else math.nan,
        "playing_p50_us": float(p50),
        "playing_p95_us": float(p95),
        "playing_p99_us": float(p99),
        "playing_max_us": float(spreads.max()),
        **_worst_minute_us(sure, spreads),
        "settling_s": _settling_s(sure, starts),
        "clicks": float(sum(len(delay.clicks(one)) for one in recording.loudspeakers)),
        "dropouts": float(sum(map(len, silences))),
        "dropped_s": sum(ms for lengths in silences for ms in lengths) / 1000,
        "unsure_windows": float(len(windows) - len(sure)),
        "until_playing_s": recording.until_playing_s,
        "machine_noise_p50_us": recording.noise_us["p50"],
        "machine_noise_p99_us": recording.noise_us["p99"],
        "relay_late_p99_us": recording.relay.get("late_us", {}).get("p99", math.nan),
        "late_wakes": float(len(late_wakes_ms)),
    }
    samples = {
        "windows": [[window.at_s, *window.offsets_us] for window in sure],
        "starts": [dataclasses.asdict(start) for start in starts],
        "dropouts_ms": silences,
        "late_wakes_ms": late_wakes_ms,
        "machine_noise_us": recording.noise_us,
        "relay": recording.relay,
        "sync_events": recording.sync_events,
    }
    return metrics, samples


def _worst_minute_us(sure: Sequence[delay.DelayWindow], spreads_us: NDArray[np.float64]) -> dict[str, float]:
    """The 95th percentile of the worst minute; nothing if no whole minute was played."""
    minutes = np.array([(window.at_s - sure[0].at_s) // MINUTE_S for window in sure])
    whole = range(int((sure[-1].at_s - sure[0].at_s + WINDOW_S) // MINUTE_S)) if sure else ()
    p95s = [float(np.percentile(spreads, 95)) for minute in whole if len(spreads := spreads_us[minutes == minute])]
    return {"worst_minute_p95_us": max(p95s)} if p95s else {}


def _settling_s(sure: Sequence[delay.DelayWindow], starts: Sequence[delay.Start]) -> float:
    """Seconds from the first start until the machines stay within SETTLED_US, up to the next start; NaN if they do
    not."""
    if not starts:
        return math.nan
    end_s = starts[1].at_s if len(starts) > 1 else math.inf
    first = [window for window in sure if window.at_s < end_s]
    wide = [window.at_s for window in first if delay.spread_us(window) > SETTLED_US]
    if not first or wide and wide[-1] == first[-1].at_s:
        return math.nan
    return wide[-1] + WINDOW_S / 2 - starts[0].at_s if wide else 0.0


def _silences(loudspeakers: Sequence[delay.Loudspeaker], pauses: int) -> list[list[float]]:
    """For each loudspeaker, the length in ms of each silence that was not played: within its sound, before it while
    others play, and after it while others play. A missing pause counts as one, too."""
    spans = [one.sounding_spans(delay.SILENCE_LEVEL, MAX_ALONE_MS / 1e3) for one in loudspeakers]
    begin_ns, end_ns = min(own[0][0] for own in spans), max(own[-1][1] for own in spans)
    found = []
    for loudspeaker, own in zip(loudspeakers, spans, strict=True):
        lengths_ms = delay.silences_ms(loudspeaker)
        for _ in range(pauses):
            pause_ms = min(lengths_ms, key=lambda ms: abs(ms - PAUSE_S * 1000), default=0.0)
            if abs(pause_ms - PAUSE_S * 1000) < MAX_ALONE_MS:
                lengths_ms.remove(pause_ms)
            else:
                lengths_ms.append(PAUSE_S * 1000)
        edges_ms = ((own[0][0] - begin_ns) / 1e6, (end_ns - own[-1][1]) / 1e6)
        found.append(lengths_ms + [ms for ms in edges_ms if ms > MAX_ALONE_MS])
    return found


def _case(
    scenario: str, music: str, machines: Sequence[Machine], options: argparse.Namespace, results: Sequence[Result]
) -> Case:
    names = dict.fromkeys(name for _, metrics, _ in results for name in metrics)
    metrics = tuple(
        Metric(
            name,
            "" if name in UNITLESS else name.rpartition("_")[2],
            tuple(metrics.get(name, math.nan) for _, metrics, _ in results),
            "" if name in ENVIRONMENT else "less",
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
        name=", ".join(
            [
                f"{scenario}, {len(machines)} machines",
                *([MUSIC[music].name] if music != "mp3" else []),
                *([f"crossfade of {options.crossfade:g} s"] if options.crossfade else []),
            ]
        ),
        parameters={
            "scenario": scenario,
            "music": music,
            "crossfade_s": options.crossfade,
            "seconds": options.play_s,
            "clock_filter": options.filter,
            "seeds": [seed for seed, _, _ in results],
            "machines": [dataclasses.asdict(machine) for machine in machines],
        },
        figures=metrics,
        plots=(
            Plot("Distance of the two machines furthest apart", "seconds", "microseconds", over_time, "points"),
            Plot("How much of the time it is less", "microseconds", "percent of the time", ranked),
        ),
        samples={str(seed): samples for seed, _, samples in results},
    )


class WakeUpProbe:
    """Measures how late this computer wakes a thread that sleeps for a millisecond: every packet and every block has
    this delay."""

    def __init__(self) -> None:
        self._late_us: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._probe, name="probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def percentiles_us(self) -> dict[str, float]:
        """The percentiles p50, p90, p99 and max; NaN if nothing was measured."""
        percents = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
        return {name: stats.percentile(self._late_us, percent) for name, percent in percents.items()}

    def _probe(self) -> None:
        while not self._ended.is_set():
            before_ns = time.perf_counter_ns()
            time.sleep(0.001)
            self._late_us.append((time.perf_counter_ns() - before_ns) / 1e3 - 1000)
            self._ended.wait(0.01)
