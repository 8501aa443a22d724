"""The benchmark of synchronisation: its metrics from recordings, and one session of real programs."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import pathlib

import numpy as np
import pytest

from phaselock import cli
from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay
from phaselock.bench.analysis.delay import Loudspeaker
from phaselock.bench.benchmarks import sync, transfer
from phaselock.bench.lab import songs
from phaselock.bench.lab.links import PROFILES, Link
from phaselock.bench.lab.session import Machine
from phaselock.bench.options import MUSIC
from phaselock.errors import PhaseLockError
from tests.support.bench import Collector
from tests.support.noise import Noise, played

QUIET = dict.fromkeys(("p50", "p90", "p99", "max"), 10.0)


@functools.cache
def noise() -> Noise:
    return Noise(seconds=4.0, seed=3)


def recorded(*late_us: float) -> sync.SessionRecording:
    return sync.SessionRecording([Loudspeaker([played(noise(), late)]) for late in late_us], [], QUIET, 1.5, {})


def test_the_distance_is_between_the_earliest_and_the_latest() -> None:
    figures, samples = sync.metrics_of(recorded(0.0, 30.0, -20.0), pauses=0)
    for name in ("start_us", "playing_p50_us", "playing_p95_us", "playing_p99_us", "playing_max_us"):
        assert figures[name] == pytest.approx(50, abs=1), name
    assert (figures["settling_s"], figures["clicks"], figures["until_playing_s"]) == (0, 0, 1.5)
    assert samples["windows"][0][1:] == pytest.approx([0, 30, -20], abs=1)


def test_the_worst_minute_is_reported() -> None:
    """The percentiles of an hour hide one bad minute."""
    at_s = [7.25 + sync.WINDOW_S * k for k in range(4 * 120 + 60)]
    worst = range(2 * 120, 3 * 120)
    late_us = [50.0 if k in worst else 80.0 if k == 10 or k >= 4 * 120 else 5.0 for k in range(len(at_s))]
    windows = [delay.DelayWindow(at, (0.0, late), sure=True) for at, late in zip(at_s, late_us, strict=True)]
    assert sync._worst_minute_us(windows, np.array(late_us)) == {"worst_minute_p95_us": 50.0}, "half a minute is none"
    assert sync._worst_minute_us(windows[:119], np.array(late_us[:119])) == {}
    assert sync._worst_minute_us([], np.array([math.nan])) == {}


def test_machines_that_stay_apart_do_not_settle() -> None:
    figures, _ = sync.metrics_of(recorded(0.0, 2 * sync.SETTLED_US), pauses=0)
    assert math.isnan(figures["settling_s"])


def test_settling_time_is_measured() -> None:
    late = played(noise(), 2 * sync.SETTLED_US)
    good = played(noise())
    late.frames[96000:] = good.frames[96000:]
    figures, _ = sync.metrics_of(
        sync.SessionRecording([Loudspeaker([late]), Loudspeaker([good])], [], QUIET, 1.5, {}), pauses=0
    )
    assert figures["settling_s"] == pytest.approx(2.0, abs=0.51)


@pytest.mark.parametrize(
    ("silent", "dropouts", "dropped_s"),
    [
        ((48000, 57600), 1, 0.2),
        ((48000, 144000), 1, 2.0),
        ((0, 96000), 1, 2.0),
        ((96000, 192000), 1, 2.0),
        ((0, 0), 0, 0.0),
    ],
    ids=["a moment", "long", "it begins late", "it ends early", "none"],
)
def test_a_silence_while_others_play_is_a_dropout(silent: tuple[int, int], dropouts: int, dropped_s: float) -> None:
    """Neither distances nor clicks show it."""
    sounds = recorded(0.0, 0.0)
    sounds.loudspeakers[1].recordings[0].frames[slice(*silent)] = 0
    figures, _ = sync.metrics_of(sounds, pauses=0)
    assert figures["dropouts"] == dropouts
    assert figures["dropped_s"] == pytest.approx(dropped_s, abs=0.01)
    assert math.isnan(figures["start_us"]) == (silent[0] == 0 and silent[1] > 0)


def test_a_pause_is_expected_on_every_machine() -> None:
    sounds = recorded(0.0, 0.0)
    sounds.loudspeakers[0].recordings[0].frames[48000:144000] = 0
    figures, _ = sync.metrics_of(sounds)
    assert figures["dropouts"] == 1, "the other one did not pause"
    sounds.loudspeakers[1].recordings[0].frames[48000:144000] = 0
    figures, _ = sync.metrics_of(sounds)
    assert figures["dropouts"] == 0 and math.isfinite(figures["start_us"])


def test_a_silent_machine_is_an_error() -> None:
    alone = recorded(0.0, 0.0)
    alone.loudspeakers[1] = Loudspeaker([])
    with pytest.raises(PhaseLockError, match="played nothing"):
        sync.metrics_of(alone)


def test_every_scenario_has_its_machines() -> None:
    for scenario in sync.SCENARIOS:
        machines = sync.machines_of(scenario, 5)
        assert [one.name for one in machines] == ["host", "peer1", "peer2", "peer3", "peer4", "peer5"]
        assert len({one.ahead_s for one in machines}) == 6
        assert (len({one.skew_ppm for one in machines}) > 1) == (scenario == "skew")
        assert (len({one.card for one in machines}) > 1) == (scenario in ("skew", "mixed"))
        assert {one.link for one in machines} == {PROFILES.get(scenario, PROFILES["wired"])}


def test_the_options_name_all_kinds_of_songs() -> None:
    assert tuple(songs.MUSIC) == MUSIC


def test_a_custom_scenario_needs_a_link() -> None:
    with pytest.raises(PhaseLockError, match="belong together"):
        sync.run(argparse.Namespace(scenario=["wired", "custom"], link=None), Collector())
    with pytest.raises(PhaseLockError, match="belong together"):
        sync.run(argparse.Namespace(scenario=["wired"], link="wifi"), Collector())
    link = Link(mbit=20)
    assert sync.machines_of("custom", 1, link)[1].link == link


def test_the_command_line_accepts_the_options_of_a_machine() -> None:
    machine = sync.machines_of("skew", 2)[2]
    parsed = cli.command_line().parse_args(["join", "127.0.0.2", *machine.options()])
    assert VirtualCard.from_json(parsed.card) == machine.card
    assert (parsed.backend, parsed.clock_ahead_s, parsed.clock_skew_ppm) == ("virtual", machine.ahead_s, -55.0)
    assert cli.command_line().parse_args(["host", *Machine("x", Link()).options()]).backend == "null"


def test_a_run_on_a_busy_computer_is_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A computer that is too busy causes underruns of a virtual card: the run is repeated, and has no metrics."""
    late, good = recorded(0.0, 0.0), recorded(0.0, 0.0)
    late.loudspeakers[0] = Loudspeaker([dataclasses.replace(played(noise()), underruns=1)])
    options = argparse.Namespace(
        scenario=["wired"],
        music=["flac96", "mp3"],
        crossfade=4.0,
        link=None,
        peers=1,
        play_s=10,
        seeds=(1,),
        filter="envelope",
        keep=False,
        out=tmp_path,
    )
    runs = [late, good, good]
    monkeypatch.setattr(sync, "play", lambda *_: runs.pop(0))
    bench = Collector()
    sync.run(options, bench)
    assert not runs and list(bench.cases) == [
        "wired, 2 machines, FLAC 24/96, crossfade of 4 s",
        "wired, 2 machines, crossfade of 4 s",
    ]
    monkeypatch.setattr(sync, "play", lambda *_: late)
    with pytest.raises(PhaseLockError, match="too busy"):
        sync.run(options, bench)


def test_a_session_is_played_and_measured(tmp_path: pathlib.Path) -> None:
    bench = Collector()
    options = argparse.Namespace(
        scenario=["skew"],
        music=["flac96"],
        crossfade=2.0,
        link=None,
        peers=1,
        play_s=10,
        seeds=(1,),
        filter="envelope",
        keep=True,
        out=tmp_path,
    )
    sync.run(options, bench)
    figures = {
        figure.name: figure.values[0]
        for figure in bench.cases["skew, 2 machines, FLAC 24/96, crossfade of 2 s"].figures
    }
    assert figures["playing_p50_us"] < 1000 and figures["start_us"] < 1000, "the promise"
    assert (figures["clicks"], figures["dropouts"], figures["unsure_windows"]) == (0, 0, 0)
    assert len(list((tmp_path / "recordings" / "skew-flac96-1").rglob("*.f32"))) == 2


def test_a_file_is_sent_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_PEERS", 2)
    bench = Collector()
    transfer.run(argparse.Namespace(mbit=200, megabytes=2, seeds=(1,)), bench)
    assert list(bench.cases) == ["1 peer at 200 Mbit/s", "2 peers at 200 Mbit/s"]
    for case in bench.cases.values():
        figures = {figure.name: figure.values[0] for figure in case.figures}
        assert 0 < figures["of_limit_percent"] <= 100 and math.isfinite(figures["seconds"])
