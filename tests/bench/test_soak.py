"""The soak: its metrics and limits, and ten minutes of a party."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import faulthandler
import pathlib
import sys

import pytest

from phaselock.bench.benchmarks import soak
from phaselock.bench.lab.process_sample import ProcessSample
from tests.support.bench import Collector

SAMPLE = ProcessSample(1.0, 1.0, threads=14, rss_bytes=1, pss_bytes=1, uss_bytes=30_000_000, descriptors=20)
ROUNDS = 10


def soaked(*last: ProcessSample, phase_us: float = 1.0, **counts: int) -> soak.Soaked:
    """A party whose last samples are these, and in whose last part the phase error is `phase_us`."""
    samples = [SAMPLE] * (ROUNDS - len(last)) + list(last)
    rests = [
        soak.Rest(60.0 * k, {"host": sample}, [phase_us if k >= 7 else 1.0], [2.0]) for k, sample in enumerate(samples)
    ]
    return soak.Soaked(rests, collections.Counter(counts))


def missed(*last: ProcessSample, phase_us: float = 1.0, **counts: int) -> list[str]:
    return soak.limits_missed(soak.metrics_of(soaked(*last, phase_us=phase_us, **counts)))


def test_each_limit() -> None:
    grown = dataclasses.replace(SAMPLE, uss_bytes=33_100_000)
    assert missed() == []
    assert missed(grown) == [], "one of three"
    assert missed(grown, grown) == ["host_memory_rise_mb"]
    more = dataclasses.replace(SAMPLE, descriptors=SAMPLE.descriptors + 3, threads=SAMPLE.threads + 6)
    assert missed(more, more) == [], "a file that was open in some rests only is no leak"
    assert missed(more, more, more) == ["host_descriptors_rise", "host_threads_rise"]
    assert missed(*[dataclasses.replace(SAMPLE, threads=SAMPLE.threads + 5)] * 3) == [], "workers of a pool"
    assert missed(*[dataclasses.replace(SAMPLE, descriptors=SAMPLE.descriptors + 2)] * 3) == [], "songs that are open"
    assert missed(phase_us=22.0) == ["phase"]
    assert missed(tracebacks=1) == ["tracebacks"]


def test_the_first_tenth_is_not_counted() -> None:
    whole = soaked()
    whole.rests[0].samples["host"] = dataclasses.replace(SAMPLE, uss_bytes=1, descriptors=1)
    assert soak.metrics_of(whole)["host_memory_rise_mb"] == 0
    assert soak.metrics_of(whole)["host_descriptors_rise"] == 0


def test_the_case_of_a_party_that_has_just_begun() -> None:
    whole = soaked()
    del whole.rests[1:]
    case = soak.case({}, whole)
    assert "Missed: host_memory_rise_mb, host_descriptors_rise, host_threads_rise, phase." in case.notes[0]
    assert case.parameters["rounds_played"] == 1


def test_songs_are_of_all_kinds_and_old_ones_are_deleted(tmp_path: pathlib.Path) -> None:
    songs = soak.Songs(tmp_path, 0.5)
    made = [next(songs) for _ in range(soak.KEPT_SONGS + 2)]
    assert {path.suffix for path in made} == {".mp3", ".flac", ".wav", ".aiff", ".wave64"}
    assert [path.exists() for path in made] == [False] * 2 + [True] * soak.KEPT_SONGS


@pytest.mark.skipif(sys.platform != "linux", reason="it needs Linux's /proc")
def test_ten_minutes_of_a_party_leak_nothing() -> None:
    """Mostly waiting. No figure of time is checked, because this machine may do other work."""
    faulthandler.cancel_dump_traceback_later()  # the limit of pyproject.toml is shorter
    found = Collector()
    soak.run(argparse.Namespace(hours=ROUNDS / 60, songs=60), found)
    (case,) = found.cases.values()
    metrics = {metric.name: metric.values[0] for metric in case.figures}
    assert set(soak.limits_missed(metrics)) <= {"phase"}, (metrics, case.samples)
    assert metrics["songs"] >= ROUNDS and metrics["crashes"] == metrics["cuts"] == ROUNDS
    assert metrics["joins"] >= ROUNDS
