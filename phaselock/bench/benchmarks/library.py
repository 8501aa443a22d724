"""`phaselock bench library`: how fast a music folder is read, read again and searched, and how much memory that
takes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from phaselock.app.library import SCAN_CODE
from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.library_process import SearchResult
from phaselock.bench.lab.signals import noise_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.python_process import environment, python_command

SEARCHES = 1000
"""For each repeat."""
SONG_S = 2.0
SONGS_OF_ALBUM = 12
SYLLABLES = "ka lo mi ve sté rö ñu lá ße tra kon del far bren zu ei ou shi no ra the of love night day fire blue run"
_PEAK = "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
"""Prints the largest resident memory of a process, in kB."""


@frozen
class LibraryResult:
    """What one repeat has measured."""

    read_s: float
    rescan_s: float
    reader_mb: float
    """The largest resident memory of the process that reads."""
    search: SearchResult


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Read a folder with `options.library_songs` songs, and search in it, once for each seed. PhaseLockError if a
    process fails."""
    results: list[LibraryResult] = []
    with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as place:
        music = pathlib.Path(place) / "music"
        bench.progress(0.0, "making the songs")
        make_songs(music, options.library_songs)
        for number, seed in enumerate(options.seeds):
            bench.progress((number + 0.3) / len(options.seeds), f"seed {seed}")
            results.append(measure(music, pathlib.Path(place) / f"{seed}.sqlite", seed))
            bench.add(case(options.library_songs, results))


def make_songs(music: pathlib.Path, count: int) -> None:
    """Write `count` MP3 files with tags of random words, each with the same sound."""
    source = random.Random(1)

    def words(most: int) -> str:
        made = ("".join(source.choices(SYLLABLES.split(), k=source.randint(1, 3))) for _ in range(most))
        return " ".join(list(made)[: source.randint(1, most)]).title()

    music.mkdir()
    noise_song(music / "song.mp3", SONG_S, kbps=128)
    sound = (music / "song.mp3").read_bytes()
    (music / "song.mp3").unlink()
    artist = album = ""
    for number in range(count):
        if number % SONGS_OF_ALBUM == 0:
            artist, album = words(3), words(3)
        title = words(4)
        path = music / artist / album / f"{number % SONGS_OF_ALBUM + 1:02} {title} {number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_tag(title, artist, album) + sound)


def measure(music: pathlib.Path, index: pathlib.Path, seed: int) -> LibraryResult:
    """Measure one repeat. PhaseLockError if a process fails."""
    read_s, reader_mb = _scan(music, index)
    rescan_s, _ = _scan(music, index)
    words = ("-P", "-m", "phaselock.bench.lab.library_process", str(music), str(index), str(SEARCHES), str(seed))
    ended = subprocess.run(python_command(*words), env=environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise PhaseLockError(f"The folder was not searched. {ended.stderr.strip().rpartition(chr(10))[2]}".strip())
    return LibraryResult(read_s, rescan_s, reader_mb, SearchResult(**json.loads(ended.stdout)))


def _scan(music: pathlib.Path, index: pathlib.Path) -> tuple[float, float]:
    """Read the folder as a host does: the time in s, and the largest resident memory in MB; NaN: not known here."""
    code = SCAN_CODE
    if sys.platform == "linux":
        code += f"; {_PEAK}"
    began_s = time.perf_counter()
    command = python_command("-P", "-c", code, str(music), str(index))
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - began_s
    if ended.returncode or '"songs"' not in ended.stdout:
        raise PhaseLockError("The folder was not read.")
    last = ended.stdout.split("\n")[-2]
    return took_s, int(last) * 1024 / 1e6 if last.isdigit() else math.nan


def case(songs: int, repeats: Sequence[LibraryResult]) -> Case:
    """The case of all repeats."""
    ranks = tuple(range(101))

    def searches(percent: float) -> tuple[float, ...]:
        return tuple(stats.percentile(one.search.searches_ms, percent) for one in repeats)

    memory_mb = tuple(math.nan if (mb := one.search.memory_mb) is None else mb for one in repeats)
    return Case(
        "library",
        f"{songs} songs",
        {"songs": songs, "searches": SEARCHES},
        (
            Metric("read_s", "s", tuple(one.read_s for one in repeats)),
            Metric("rescan_s", "s", tuple(one.rescan_s for one in repeats)),
            Metric("search_p50_ms", "ms", searches(50)),
            Metric("search_p95_ms", "ms", searches(95)),
            Metric("search_worst_ms", "ms", searches(100)),
            Metric("host_mb", "MB", memory_mb),
            Metric("reader_mb", "MB", tuple(one.reader_mb for one in repeats)),
        ),
        (
            Plot(
                "Duration of a search",
                "percent of the searches",
                "milliseconds",
                tuple(
                    Series(
                        f"repeat {number}",
                        tuple(map(float, ranks)),
                        tuple(stats.percentile(one.search.searches_ms, rank) for rank in ranks),
                    )
                    for number, one in enumerate(repeats, 1)
                ),
            ),
        ),
        {"repeats": [dataclasses.asdict(one) for one in repeats]},
        (
            "The files are in the system's cache. The host grows by host_mb with its first searches. The reader is "
            "another process, which ends when the folder is read.",
        ),
    )


def _tag(title: str, artist: str, album: str) -> bytes:
    """An ID3v2.4 tag."""
    frames = b""
    for name, text in ((b"TIT2", title), (b"TPE1", artist), (b"TALB", album)):
        content = b"\3" + text.encode()
        frames += name + _seven_bits(len(content)) + b"\0\0" + content
    return b"ID3\4\0\0" + _seven_bits(len(frames)) + frames


def _seven_bits(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
