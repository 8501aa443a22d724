"""`phaselock bench soak`: a long party of real programs, and whether they still are at its end what they were at first.

A host and two peers play one short song after the other, of several formats, on virtual cards behind the relay. The
party is a sequence of rounds of a minute. In each, two guests join: one requests a song and is killed, the other one
leaves. The host pauses, resumes and seeks. The network is cut, or a peer is stopped, for some seconds. Each round ends
with a rest without guests, in which all programs are sampled. The first tenth of the rounds is not counted. The three
tenths after it, the first part, are compared with the last three tenths, the last part. Linux only.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import itertools
import math
import os
import pathlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.links import PROFILES
from phaselock.bench.lab.process_sample import ProcessSample, is_measurable, sample_process
from phaselock.bench.lab.session import Machine, ProgramEvent, RunningSession, open_session
from phaselock.bench.lab.songs import SongKind, long_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.tools.processes import Program

MAX_MEMORY_RISE_MB = 3.0
"""Private memory in the last part may be larger than in the first part by this."""
MAX_PHASE_RISE_US = 20.0
"""The 95th percentile of the phase error may rise by this, in microseconds."""
MAX_DESCRIPTORS_RISE = 2
"""The song that plays and the one that follows. A program has opened none, one or both of them in the seconds of a
rest. If each round, or every other one, left a file open, there would be at least three more in the last part."""
MAX_THREADS_RISE = 5
"""The host starts a worker thread when more files are on their way than ever before, and keeps it, up to 12 of them. If
each round left a thread behind, there would be at least six more in the last part."""
ROUND_S = 60.0
MIN_SONG_S = 8.0
QUEUED = 5
"""Songs in the queue: the one that plays and those that follow."""
KEPT_SONGS = 2 * QUEUED
"""Files that are not deleted yet."""
REST_SAMPLES = 5
"""Samples of a rest, one a second. The least of them counts: what a song needs on its way is no leak."""
CUT_S = 7.0
"""A connection is lost after 5 s without a message."""
PARTS_OF_ROUNDS = 10
FIRST_PART, LAST_PART = (1, 4), (7, 10)
"""In tenths of the rounds."""
KINDS = (
    SongKind("MP3", "mp3", 44100, kbps=128),
    SongKind("FLAC", "flac", 44100, channels=1),
    SongKind("WAV", "wav", 22050, channels=1),
    SongKind("AIFF", "aiff", 22050, channels=1),
    SongKind("Wave64", "wave64", 32000, channels=1, bits=24),
    SongKind("MP3, variable", "mp3", 22050, vbr=True),
)
GUESTS = 2
"""In each round."""
_MB_BYTES = 1e6


@dataclasses.dataclass(slots=True)
class Rest:
    """The end of one round: the least sample of each program, and what the peers said of their phase in the round."""

    at_s: float
    samples: dict[str, ProcessSample]
    phase_us: list[float]
    clock_us: list[float]


@dataclasses.dataclass(slots=True)
class Soaked:
    """What a party has left behind."""

    rests: list[Rest] = dataclasses.field(default_factory=list)
    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    warnings: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Play for `options.hours`, once. Raise PhaseLockError if the host or one of its two peers ends."""
    if not is_measurable():
        bench.add(Case("soak", "nothing", {}, (), notes=("Not measured on this system: it needs Linux's /proc.",)))
        return
    rounds = max(PARTS_OF_ROUNDS, round(options.hours * 3600 / ROUND_S))
    song_s = max(MIN_SONG_S, rounds * ROUND_S / options.songs)
    link = PROFILES["wired"]
    machines = [Machine(name, link, card=VirtualCard()) for name in ("host", "peer1", "peer2")]
    parameters = {"hours": options.hours, "rounds": rounds, "song_s": song_s}
    with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as name:
        folder = pathlib.Path(name)
        songs = Songs(folder, song_s)
        bench.progress(0.0, "making songs")
        first = [next(songs) for _ in range(QUEUED)]
        with open_session(machines, first, folder, 1, later=[link] * GUESTS) as session:
            session.wait_for_all([session.host], "playing")
            party = Party(session, songs, folder)
            for number in range(rounds):
                bench.progress(number / rounds, f"round {number + 1} of {rounds}")
                party.play_round(number)
                bench.add(case(parameters, party.soaked))
        party.soaked.counts["tracebacks"] = sum(
            path.read_text("utf-8", "replace").count("Traceback") for path in folder.glob("*.err")
        )
    bench.add(case(parameters, party.soaked))


class Songs(Iterator[pathlib.Path]):
    """New songs of about this length, of all KINDS by turns. A song that is long over is deleted."""

    def __init__(self, folder: pathlib.Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._made = 0

    def __next__(self) -> pathlib.Path:
        self._path(self._made - KEPT_SONGS).unlink(missing_ok=True)
        path = self._path(self._made)
        long_song(path, KINDS[self._made % len(KINDS)], self._seconds, seed=self._made)
        self._made += 1
        return path

    def _path(self, number: int) -> pathlib.Path:
        return self._folder / f"song{number}.{KINDS[number % len(KINDS)].form}"


class Party:
    """The programs of one session: a host and two peers, who stay, and guests."""

    def __init__(self, session: RunningSession, songs: Songs, folder: pathlib.Path) -> None:
        self.soaked = Soaked()
        self._session = session
        self._songs = songs
        self._folder = folder
        self._began_s = time.monotonic()
        self._guests: dict[str, Program] = {}
        self._playing = ""
        """The id of the file that plays."""
        self._rows = QUEUED
        """Of the queue."""
        self._phase_us: list[float] = []
        self._clock_us: list[float] = []

    def play_round(self, number: int) -> None:
        """Play one round of ROUND_S, the rest included."""
        leaves, is_killed = (f"guest{GUESTS * number + place}" for place in range(GUESTS))
        host = self._session.host
        cut = self._session.relay.pid if number % 2 else self._session.peers[1].process.pid
        plan: list[tuple[float, Callable[[], None]]] = [
            (0, lambda: self._join(leaves, 2)),
            (3, lambda: self._join(is_killed, 3)),
            (8, lambda: self._request(is_killed)),
            (12, lambda: host.say("pause")),
            (14, lambda: host.say("resume")),
            (16, lambda: host.say("seek 1")),
            (18, lambda: self._kill(is_killed)),
            (20, lambda: self._stop(cut)),
            (20 + CUT_S, lambda: os.kill(cut, signal.SIGCONT)),
            (40, lambda: self._leave(leaves)),
            (ROUND_S - REST_SAMPLES, lambda: None),
        ]
        began_s = time.monotonic()
        try:
            for at_s, act in plan:
                self._hear(began_s + at_s)
                act()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(cut, signal.SIGCONT)
        self._rest(began_s + ROUND_S)

    # -- what happens --------------------------------------------------------------------------------------------------

    def _hear(self, until_s: float) -> None:
        """Take in the events up to this time."""
        while found := self._session.programs.hear(until_s):
            self._take(found)

    def _take(self, found: ProgramEvent) -> None:
        program, event = found
        match event["event"]:
            case "playing" if program is self._session.host and event["file_id"] != self._playing:
                self.soaked.counts["songs"] += 1
                if self._playing:  # the first row of the queue is over
                    program.say("remove 1")
                    if self._rows <= QUEUED:  # a requested song has made it longer
                        program.say(f"add {next(self._songs)}")
                self._playing = event["file_id"]
            case "queue" if program is self._session.host:
                self._rows = len(event["queue"])
            case "request" if program is self._session.host and event["state"] == "open":
                self.soaked.counts["requests"] += 1
                program.say(f"accept {event['number']}")
            case "joined":
                self.soaked.counts["returns" if event["again"] else "joins"] += 1
            case "sync" if program in self._session.peers and event["playing"]:
                self._phase_us.append(abs(event["phase_error_us"]))
                self._clock_us.append(event["offset_uncertainty_us"] or math.inf)
            case "warning" | "error":
                self.soaked.warnings[f"{program.name.rstrip('0123456789')}: {event['message']}"] += 1

    def _join(self, name: str, link: int) -> None:
        options = ["--backend", "null", "--cache", str(self._folder / name / "received")]
        guest = self._session.programs.start(name, "join", self._session.relay.address(link), *options)
        guest.may_end = True
        self._guests[name] = guest

    def _request(self, name: str) -> None:
        path = self._folder / name / "wish.wav"
        path.parent.mkdir(exist_ok=True)
        long_song(path, KINDS[2], MIN_SONG_S, seed=1_000_000 + int(name.removeprefix("guest")))
        self._guests[name].say(f"request {path}")

    def _kill(self, name: str) -> None:
        self.soaked.counts["crashes"] += 1
        self._guests[name].process.kill()
        self._forget(name)

    def _leave(self, name: str) -> None:
        self._guests[name].say("leave")
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._session.programs.forget(self._guests.pop(name))
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def _stop(self, pid: int) -> None:
        self.soaked.counts["cuts"] += 1
        os.kill(pid, signal.SIGSTOP)

    def _rest(self, until_s: float) -> None:
        samples: dict[str, list[ProcessSample]] = collections.defaultdict(list)
        for left in reversed(range(REST_SAMPLES)):
            self._hear(until_s - left)
            for program in (self._session.host, *self._session.peers):
                samples[program.name].append(sample_process(program.process.pid))
        least = {name: _least(seen) for name, seen in samples.items()}
        self.soaked.rests.append(Rest(time.monotonic() - self._began_s, least, self._phase_us, self._clock_us))
        self._phase_us, self._clock_us = [], []


def _least(samples: Sequence[ProcessSample]) -> ProcessSample:
    """The least value of each field."""
    fields = [field.name for field in dataclasses.fields(ProcessSample)]
    return ProcessSample(**{name: min(getattr(one, name) for one in samples) for name in fields})


# -- metrics -----------------------------------------------------------------------------------------------------------


def part_of(rests: Sequence[Rest], tenths: tuple[int, int]) -> Sequence[Rest]:
    """The rests of the rounds between these tenths."""
    first, last = (round(len(rests) * tenth / PARTS_OF_ROUNDS) for tenth in tenths)
    return rests[first:last]


def metrics_of(soaked: Soaked) -> dict[str, float]:
    """The metrics of a party, in the units of their names. NaN where there were too few rounds."""
    first, last = (part_of(soaked.rests, tenths) for tenths in (FIRST_PART, LAST_PART))
    found: dict[str, float] = {"limits_missed": 0.0}
    for name in soaked.rests[0].samples if soaked.rests else ():

        def seen(part: Sequence[Rest], field: str, name: str = name) -> list[float]:
            return [getattr(rest.samples[name], field) for rest in part]

        memory_mb = [stats.median(seen(part, "uss_bytes")) / _MB_BYTES for part in (first, last)]
        found[f"{name}_memory_mb"] = memory_mb[1]
        found[f"{name}_memory_rise_mb"] = memory_mb[1] - memory_mb[0]
        for field in ("descriptors", "threads"):
            least = [min(seen(part, field), default=math.nan) for part in (first, last)]
            found[f"{name}_{field}"] = least[1]
            found[f"{name}_{field}_rise"] = least[1] - least[0]
    for name, part in (("first", first), ("last", last)):
        phase_us = list(itertools.chain.from_iterable(rest.phase_us for rest in part))
        found[f"phase_{name}_p50_us"], found[f"phase_{name}_p95_us"] = (
            stats.percentile(phase_us, percent) for percent in (50, 95)
        )
        clock_us = list(itertools.chain.from_iterable(rest.clock_us for rest in part))
        found[f"clock_known_{name}_p95_us"] = stats.percentile(clock_us, 95)
    for name in ("songs", "joins", "returns", "requests", "crashes", "cuts", "tracebacks"):
        found[name] = float(soaked.counts[name])
    found["warnings"] = float(soaked.warnings.total())
    found["limits_missed"] = float(len(limits_missed(found)))
    return found


def limits_missed(metrics: Mapping[str, float]) -> list[str]:
    """The limits that these metrics do not keep, in a few words each. A figure that was not measured misses its
    limit."""
    rises = {
        "_memory_rise_mb": MAX_MEMORY_RISE_MB,
        "_descriptors_rise": MAX_DESCRIPTORS_RISE,
        "_threads_rise": MAX_THREADS_RISE,
    }
    missed = [
        name
        for ending, most in rises.items()
        for name, value in metrics.items()
        if name.endswith(ending) and not value <= most
    ]
    if not metrics["phase_last_p95_us"] <= metrics["phase_first_p95_us"] + MAX_PHASE_RISE_US:
        missed.append("phase")
    if metrics["tracebacks"]:
        missed.append("tracebacks")
    return missed


def case(parameters: Mapping[str, Any], soaked: Soaked) -> Case:
    """The case of a party so far."""
    metrics = metrics_of(soaked)
    missed = limits_missed(metrics)
    names = list(soaked.rests[0].samples) if soaked.rests else []
    at_s = tuple(rest.at_s for rest in soaked.rests)
    return Case(
        "soak",
        "host and 2 peers",
        {**parameters, "rounds_played": len(soaked.rests)},
        tuple(
            Metric(name, _unit(name), (value,), "less" if _is_limited(name) else "") for name, value in metrics.items()
        ),
        (
            Plot(
                "Private memory at rest",
                "seconds",
                "MB",
                tuple(
                    Series(name, at_s, tuple(rest.samples[name].uss_bytes / _MB_BYTES for rest in soaked.rests))
                    for name in names
                ),
            ),
            Plot(
                "Phase error of the peers, 95th percentile of each round",
                "seconds",
                "microseconds",
                (Series("peers", at_s, tuple(stats.percentile(rest.phase_us, 95) for rest in soaked.rests)),),
            ),
        ),
        {"rests": [dataclasses.asdict(rest) for rest in soaked.rests], "warnings": dict(soaked.warnings)},
        (
            "Limits: from the first part of the rounds (10 to 40 %) to the last part (70 to 100 %), the median of "
            f"private memory at rest rises by at most {MAX_MEMORY_RISE_MB:g} MB, the least number of descriptors by "
            f"at most {MAX_DESCRIPTORS_RISE}, that of threads by at most {MAX_THREADS_RISE}, and the 95th percentile "
            f"of the phase error by at most {MAX_PHASE_RISE_US:g} µs; no program prints a traceback. Missed: "
            f"{', '.join(missed) or 'none'}.",
        ),
    )


def _is_limited(name: str) -> bool:
    return "_rise" in name or name.startswith("phase") or name in ("limits_missed", "tracebacks")


def _unit(name: str) -> str:
    unit = name.rpartition("_")[2]
    return {"mb": "MB", "us": "us"}.get(unit, "")
