"""`phaselock bench check`: how exactly a microphone hears how far apart the machines play a song, in
simulated rooms."""

from __future__ import annotations

import argparse
import time

import numpy as np

from phaselock.audio.song_listening import MAX_BEGIN_ERROR_NS, analyse
from phaselock.bench.benchmarks.calibrate import RoomResult, Setting, measure_rooms
from phaselock.bench.interface import Bench
from phaselock.bench.lab.rooms import NOISES, room
from phaselock.bench.lab.song_rooms import LEAD_S, SONGS, SongConditions, record_check
from phaselock.model.role import Role
from phaselock.model.sweeps import RATE_HZ, Verdict

MIN_MACHINES, MAX_MACHINES = 2, 6
APART_S = (0.005, 0.04)
"""The machines are at most so far apart, in every second room each."""
SETTINGS = tuple(
    Setting(f"{song}, noise {snr_db} dB below", snr_db, {"song": song}) for song in SONGS for snr_db in (20, 10, 5)
)


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Measure each setting in `options.rooms` rooms for each seed."""
    measure_rooms(options, bench, "check", SETTINGS, measure)


def measure(setting: Setting, random: np.random.Generator, number: int) -> RoomResult:
    """Simulate the check in one room and analyse the recording."""
    machines = int(random.integers(MIN_MACHINES, MAX_MACHINES + 1))
    paths = room(random, machines)
    conditions = SongConditions(
        noise=tuple(NOISES)[number % len(NOISES)],
        snr_db=setting.snr_db,
        hidden_s=dict(enumerate(random.uniform(0, APART_S[number % 2], machines))),
        gain_db=dict(enumerate(random.uniform(-6, 0, machines))),
        clock_ppm=random.uniform(-100, 100),
        **setting.fixed,
    )
    roles: list[Role] = ["stereo"] * machines
    recording, song = record_check(random, paths, conditions)
    begin_ns = round(-LEAD_S * 1e9)
    error_ns = round(random.uniform(-MAX_BEGIN_ERROR_NS, MAX_BEGIN_ERROR_NS))
    began_s = time.perf_counter()
    heard = analyse(recording.tobytes(), RATE_HZ, begin_ns + error_ns, song.tobytes(), RATE_HZ, begin_ns, roles)
    analysis_s = time.perf_counter() - began_s
    arrives_s = [path.direct_s + conditions.hidden_s[k] for k, path in enumerate(paths)]
    found = [
        (one.offset_ns, at_s) for one, at_s in zip(heard.arrivals, arrives_s, strict=True) if one.offset_ns is not None
    ]
    errors_s = tuple(offset_ns / 1e9 - (at_s - found[0][1]) for offset_ns, at_s in found[1:])
    refused = tuple(one.verdict.value for one in heard.arrivals if one.verdict is not Verdict.HEARD)
    return RoomResult(errors_s, refused, 0, heard.microphone_ppm - conditions.clock_ppm, analysis_s)
