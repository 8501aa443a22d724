"""`phaselock bench decode`: how fast songs of several kinds are inspected, decoded, searched and analysed, with the
calls of the player."""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import pathlib
import random
import tempfile
import time
from collections.abc import Sequence

from phaselock.audio.formats.base import CHANNELS, Music, Source
from phaselock.audio.music import inspect
from phaselock.audio.waveform import analyse
from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab import signals
from phaselock.bench.results import Case, Metric, Plot, Series

SEEKS = 200
"""For each repeat."""
_READ_FRAMES = 8192
"""The player reads this many frames at a time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mp3Kind:
    """A kind of MP3. With `vbr` the encoder chooses the bitrate, and `kbps` has no meaning."""

    name: str
    rate_hz: int
    kbps: int
    channels: int = 2
    vbr: bool = False
    tag_bytes: int = 0
    """Size of an ID3 tag before the sound, as artwork makes it."""


KINDS = (
    Mp3Kind("44.1 kHz, 128 kbit/s", 44100, 128),
    Mp3Kind("44.1 kHz, 320 kbit/s", 44100, 320),
    Mp3Kind("48 kHz, 320 kbit/s", 48000, 320),
    Mp3Kind("22.05 kHz, 64 kbit/s", 22050, 64),
    Mp3Kind("44.1 kHz, variable", 44100, 0, vbr=True),
    Mp3Kind("44.1 kHz, 128 kbit/s, mono", 44100, 128, channels=1),
    Mp3Kind("44.1 kHz, 128 kbit/s, 8 MB tag", 44100, 128, tag_bytes=8_000_000),
)


@dataclasses.dataclass(frozen=True, slots=True)
class DecodeResult:
    """The result of one repeat; times per minute of music, except for seeks."""

    realtime_factor: float
    inspect_ms: float
    analysis_ms: float
    seeks_ms: tuple[float, ...]


def run(options: argparse.Namespace, bench: Bench, seconds: float = 120.0) -> None:
    """Measure songs of `seconds` of each kind, once for each seed."""
    with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
        paths = {}
        for number, kind in enumerate(KINDS):
            bench.progress(0.2 * number / len(KINDS), f"making {kind.name}")
            paths[kind] = pathlib.Path(folder) / f"{number}.mp3"
            make(paths[kind], kind, seconds)
        results = collections.defaultdict[Mp3Kind, list[DecodeResult]](list)
        steps = [(seed, kind) for seed in options.seeds for kind in KINDS]
        for step, (seed, kind) in enumerate(steps):
            bench.progress(0.2 + 0.8 * step / len(steps), kind.name)
            results[kind].append(measure(paths[kind], seed))
            bench.add(case(kind, paths[kind], seconds, results[kind]))


def make(path: pathlib.Path, kind: Mp3Kind, seconds: float) -> None:
    """Write a song of this kind."""
    tag = b""
    if kind.tag_bytes:
        size = bytes(kind.tag_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
        tag = b"ID3\x04\0\0" + size + bytes(kind.tag_bytes)
    sound = signals.noise(seconds, kind.rate_hz, 1, kind.channels)
    path.write_bytes(tag + signals.encode(sound, kind.rate_hz, kind.kbps, vbr=kind.vbr))


def measure(path: pathlib.Path, seed: int) -> DecodeResult:
    """Measure one repeat; `seed` chooses the positions of the seeks."""
    began_s = time.perf_counter()
    info = inspect(path)
    inspected_s = time.perf_counter() - began_s
    minutes = info.frames / info.rate_hz / 60
    pcm = bytearray(4 * CHANNELS * _READ_FRAMES)
    with contextlib.closing(info.open(path)) as source:
        began_s = time.perf_counter()
        while source.read_into(pcm, _READ_FRAMES):
            pass
        decoded_s = time.perf_counter() - began_s
        seeks_ms = tuple(_seek_ms(source, frame, pcm) for frame in seek_frames(info, seed))
    began_s = time.perf_counter()
    analyse(path, info)
    analysed_s = time.perf_counter() - began_s
    return DecodeResult(60 * minutes / decoded_s, 1e3 * inspected_s / minutes, 1e3 * analysed_s / minutes, seeks_ms)


def seek_frames(info: Music, seed: int) -> list[int]:
    """Random frames to seek to."""
    source = random.Random(seed)
    return [source.randrange(info.frames) for _ in range(SEEKS)]


def _seek_ms(source: Source, frame: int, pcm: bytearray) -> float:
    """Time until the first frame after the seek is decoded."""
    began_s = time.perf_counter()
    source.seek(frame)
    source.read_into(pcm, 1)
    return 1e3 * (time.perf_counter() - began_s)


def case(kind: Mp3Kind, path: pathlib.Path, seconds: float, repeats: Sequence[DecodeResult]) -> Case:
    """The case of one kind, from all repeats."""
    ranks = tuple(range(101))

    def seeks(percent: float) -> tuple[float, ...]:
        return tuple(stats.percentile(one.seeks_ms, percent) for one in repeats)

    return Case(
        "decode",
        kind.name,
        {**dataclasses.asdict(kind), "seconds": seconds, "bytes": path.stat().st_size, "seeks": SEEKS},
        (
            Metric("realtime_factor", "", tuple(one.realtime_factor for one in repeats), "more"),
            Metric("seek_p50_ms", "ms", seeks(50)),
            Metric("seek_p95_ms", "ms", seeks(95)),
            Metric("seek_worst_ms", "ms", seeks(100)),
            Metric("inspect_a_minute_ms", "ms", tuple(one.inspect_ms for one in repeats)),
            Metric("analyse_a_minute_ms", "ms", tuple(one.analysis_ms for one in repeats)),
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
            "its first frame is decoded. The analysis sleeps for half of its time by design.",
        ),
    )
