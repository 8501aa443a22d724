"""`phaselock bench decode`: how fast songs of every kind that is decoded on every machine are inspected, decoded,
searched and analysed, and how much memory that takes."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import math
import pathlib
import subprocess
import tempfile
from collections.abc import Sequence

from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.decode_process import DecodeResult
from phaselock.bench.lab.songs import MUSIC, SongKind, long_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError
from phaselock.python_process import environment, python_command

SEEKS = 200
"""For each repeat."""
KINDS = (
    SongKind("MP3, 44.1 kHz, 128 kbit/s", "mp3", 44100, kbps=128),
    SongKind("MP3, 44.1 kHz, 320 kbit/s", "mp3", 44100, kbps=320),
    SongKind("MP3, 48 kHz, 320 kbit/s", "mp3", 48000, kbps=320),
    SongKind("MP3, 22.05 kHz, 64 kbit/s", "mp3", 22050, kbps=64),
    SongKind("MP3, 44.1 kHz, variable", "mp3", 44100, vbr=True),
    SongKind("MP3, 44.1 kHz, 128 kbit/s, mono", "mp3", 44100, kbps=128, channels=1),
    SongKind("MP3, 44.1 kHz, 128 kbit/s, 8 MB tag", "mp3", 44100, kbps=128, tag_bytes=8_000_000),
    MUSIC["flac"],
    MUSIC["flac96"],
    MUSIC["flac192"],
    dataclasses.replace(MUSIC["flac192"], name="FLAC 24/192, no seek table", seek_table=False),
    SongKind("WAV 16/44.1", "wav", 44100),
    SongKind("WAV float/44.1", "wav", 44100, bits=32, is_float=True),
    SongKind("AIFF 16/44.1", "aiff", 44100),
    SongKind("Wave64 24/96", "wave64", 96000, bits=24),
)
"""Two numbers in a name are bits and kHz."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Measure a song of `options.decode_s` of each kind, once for each seed. PhaseLockError if one cannot be
    decoded."""
    results = collections.defaultdict[SongKind, list[DecodeResult]](list)
    steps = [(kind, seed) for kind in KINDS for seed in options.seeds]
    with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
        path = pathlib.Path(folder) / "song"
        for step, (kind, seed) in enumerate(steps):
            bench.progress(step / len(steps), kind.name)
            if kind not in results:  # one song at a time: hours of them fill a disk
                long_song(path, kind, options.decode_s)
            results[kind].append(measure(path, seed))
            bench.add(case(kind, path, options.decode_s, results[kind]))


def measure(path: pathlib.Path, seed: int) -> DecodeResult:
    """Measure one repeat in a process of its own. PhaseLockError if it fails."""
    words = ("-P", "-m", "phaselock.bench.lab.decode_process", str(path), str(SEEKS), str(seed))
    ended = subprocess.run(python_command(*words), env=environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise PhaseLockError(f"A song was not decoded. {ended.stderr.strip().rpartition(chr(10))[2]}".strip())
    return DecodeResult(**json.loads(ended.stdout))


def case(kind: SongKind, path: pathlib.Path, seconds: float, repeats: Sequence[DecodeResult]) -> Case:
    """The case of one kind, from all repeats."""
    ranks = tuple(range(101))

    def seeks(percent: float) -> tuple[float, ...]:
        return tuple(stats.percentile(one.seeks_ms, percent) for one in repeats)

    def known(megabytes: Sequence[float | None]) -> tuple[float, ...]:
        return tuple(math.nan if one is None else one for one in megabytes)

    return Case(
        "decode",
        kind.name,
        {**dataclasses.asdict(kind), "seconds": seconds, "bytes": path.stat().st_size, "seeks": SEEKS},
        (
            Metric("realtime_factor", "", tuple(one.realtime_factor for one in repeats), "more"),
            Metric("memory_mb", "MB", known([one.playing_mb for one in repeats])),
            Metric("seek_p50_ms", "ms", seeks(50)),
            Metric("seek_p95_ms", "ms", seeks(95)),
            Metric("seek_worst_ms", "ms", seeks(100)),
            Metric("inexact_seeks", "", tuple(float(one.inexact_seeks) for one in repeats)),
            Metric("inspect_a_minute_ms", "ms", tuple(one.inspect_ms for one in repeats)),
            Metric("analyse_a_minute_ms", "ms", tuple(one.analysis_ms for one in repeats)),
            Metric("analysis_memory_mb", "MB", known([one.analysis_mb for one in repeats])),
        ),
        (
            Plot(
                f"{kind.name}: duration of a seek",
                "percent of the seeks",
                "milliseconds",
                tuple(
                    Series(
                        f"repeat {number}",
                        tuple(map(float, ranks)),
                        tuple(stats.percentile(one.seeks_ms, rank) for rank in ranks),
                    )
                    for number, one in enumerate(repeats, 1)
                ),
            ),
        ),
        {"repeats": [dataclasses.asdict(one) for one in repeats]},
        (
            "Band-limited noise, the worst case for an encoder, from a file in the system's cache. A seek ends when "
            "its first frame is decoded; it is exact if the sound there is that of decoding without a seek. Memory is "
            "by how much a process that does only this grows at most. The analysis sleeps for half of its time by "
            "design.",
        ),
    )
