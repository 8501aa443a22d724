"""The benchmarks of the engine, of decoding and of resources, with short runs."""

from __future__ import annotations

import argparse
import contextlib
import gc
import mmap
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from phaselock import _native
from phaselock.audio.formats import pcm
from phaselock.audio.music import inspect
from phaselock.bench.benchmarks import decode, engine, resources
from phaselock.bench.lab import decode_process, songs
from phaselock.bench.lab.process_sample import ProcessSample, sample_process
from phaselock.bench.results import Case
from phaselock.errors import PhaseLockError
from tests.support.bench import Collector

linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not say what a process needs")
T0_NS = 10**12
OPTIONS = argparse.Namespace(seeds=(3, 5))


def values(case: Case, name: str) -> tuple[float, ...]:
    (figure,) = (one for one in case.figures if one.name == name)
    return figure.values


def an_engine() -> _native.Engine:
    line = _native.ClockMap()
    line.set(T0_NS, 0, 0.0, 1.0, 0.0)
    made = _native.Engine(line)
    made.stream(48000)
    deck = made.free_deck()
    generation = made.reset_deck(deck, 0)
    made.write(deck, generation, np.ones(60_000, np.float32))
    assert made.arm(deck, 44100, 0, T0_NS)
    return made


def test_measured_callbacks_do_what_real_ones_do() -> None:
    came_ns = T0_NS + np.arange(50) * 10_000_000
    one, other = an_engine(), an_engine()
    took_ns = np.frombuffer(one.measure(480, came_ns), np.int64)
    for at_ns in came_ns:
        other.process(480, int(at_ns))
    assert len(took_ns) == 50 and took_ns.min() > 0
    assert one.status() == other.status()
    assert one.status().audible
    with pytest.raises(ValueError, match="frames"):
        one.measure(0, came_ns)
    assert one.measure(480, came_ns[:0]) == b""


def test_every_load_of_the_engine_is_a_case() -> None:
    found = Collector()
    engine.run(OPTIONS, found, seconds=0.5)
    assert len(found.cases) == len(engine.LOADS) * len(engine.BLOCK_FRAMES)
    assert found.done == sorted(found.done) and found.done[0] == 0 and found.done[-1] < 1
    for case in found.cases.values():
        assert [len(figure.values) for figure in case.figures] == [2, 2, 2, 2]
        (middle, _), (most, _), (worst, _) = (values(case, f"{name}_us") for name in ("p50", "p99", "worst"))
        assert 0 < middle <= most <= worst
        assert len(case.plots[0].series) == 2


def test_an_engine_out_of_sound_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def armed_elsewhere(*arguments: object) -> tuple[int, int]:
        deck, generation = arm(*arguments)
        return deck, generation + 1  # another generation: the engine drops the frames

    arm = engine._arm
    monkeypatch.setattr(engine, "_arm", armed_elsewhere)
    with pytest.raises(PhaseLockError, match="ran out of sound"):
        engine.measure(engine.LOADS[1], 1024, 1.0, 1)


@pytest.mark.parametrize("frames", engine.BLOCK_FRAMES)
def test_the_timed_callback_contains_the_seam(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    armed = []

    def measured(native: _native.Engine, frames: int, came_ns: engine.Durations) -> engine.Durations:
        before = sum(native.deck(deck).armed for deck in range(_native.DECKS))
        spans = real(native, frames, came_ns)
        if len(came_ns) == 1:
            armed.append((before, sum(native.deck(deck).armed for deck in range(_native.DECKS))))
        return spans

    real = engine._measured
    monkeypatch.setattr(engine, "_measured", measured)
    seams = engine.measure(engine.LOADS[4], frames, 1.0, 1)
    assert len(armed) >= len(seams) > 1
    assert set(armed[-len(seams) :]) == {(2, 1)}


def test_decoding_is_measured_for_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the processes: the calls are the same."""
    monkeypatch.setattr(decode, "SEEKS", 5)
    monkeypatch.setattr(decode, "measure", lambda path, seed: decode_process.measure(path, decode.SEEKS, seed))
    found = Collector()
    decode.run(argparse.Namespace(seeds=(3, 5), decode_s=0.5), found)
    assert list(found.cases) == [kind.name for kind in decode.KINDS]
    for case in found.cases.values():
        assert all(len(figure.values) == 2 for figure in case.figures)
        assert min(values(case, "realtime_factor") + values(case, "seek_p50_ms")) > 0
        assert values(case, "inexact_seeks") == (0, 0)
        assert len(case.samples["repeats"][0]["seeks_ms"]) == 5


def test_files_have_the_properties_of_their_kind(tmp_path: pathlib.Path) -> None:
    path, sizes = tmp_path / "song", {}
    for kind in decode.KINDS:
        songs.long_song(path, kind, 2)
        info = inspect(path)
        assert (info.rate_hz, info.channels) == (kind.rate_hz, kind.channels)
        assert info.frames / info.rate_hz == pytest.approx(2, abs=0.15)
        assert not kind.kbps or abs(info.bitrate_bps / 1000 - kind.kbps) < 2
        sizes[kind.name] = path.stat().st_size
    assert 8_000_000 < sizes["MP3, 44.1 kHz, 128 kbit/s, 8 MB tag"] - sizes["MP3, 44.1 kHz, 128 kbit/s"] < 8_000_100


def test_a_seed_gives_the_same_positions(tmp_path: pathlib.Path) -> None:
    songs.long_song(tmp_path / "song", decode.KINDS[0], 2)
    info = inspect(tmp_path / "song")
    frames = decode_process.seek_frames(info, 200, 1)
    assert frames == decode_process.seek_frames(info, 200, 1) != decode_process.seek_frames(info, 200, 2)
    assert all(0 <= frame < info.frames for frame in frames)


def test_a_seek_to_another_frame_is_found(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def astray(source: pcm.PcmSource, frame: int) -> None:
        seek(source, frame + (frame % 2))

    songs.long_song(tmp_path / "song", songs.MUSIC["flac"], 2)
    seek = pcm.PcmSource.seek
    monkeypatch.setattr(pcm.PcmSource, "seek", astray)
    odd = sum(frame % 2 for frame in decode_process.seek_frames(inspect(tmp_path / "song"), 40, 1))
    assert decode_process.measure(tmp_path / "song", 40, 1).inexact_seeks == odd > 0


@linux
def test_decoding_is_measured_in_a_process_of_its_own(tmp_path: pathlib.Path) -> None:
    songs.long_song(tmp_path / "song", songs.MUSIC["flac"], 1)
    found = decode.measure(tmp_path / "song", 1)
    assert found.playing_mb is not None and 0 < found.playing_mb < 20
    assert found.analysis_mb is not None and 0 < found.analysis_mb < 20
    (tmp_path / "song").write_bytes(b"")
    with pytest.raises(PhaseLockError, match=r"^A song was not decoded\. .+: it is no music file\.$"):
        decode.measure(tmp_path / "song", 1)


@linux
def test_a_process_sample_follows_the_process() -> None:
    gc.collect()  # memory that another test has left would be returned between the two samples
    before = sample_process(os.getpid())
    end = threading.Event()
    another = threading.Thread(target=end.wait)
    another.start()
    assert sample_process(os.getpid()).threads == before.threads + 1
    end.set()
    another.join()
    assert 5e6 < before.uss_bytes <= before.pss_bytes <= before.rss_bytes
    ballast = mmap.mmap(-1, 50_000_000)  # the heap may have as much free memory
    for at in range(0, len(ballast), mmap.PAGESIZE):
        ballast[at] = 1
    while sample_process(os.getpid()).cpu_s == before.cpu_s:
        pass
    after = sample_process(os.getpid())
    assert after.rss_bytes - before.rss_bytes > 0.9 * len(ballast)
    assert after.at_s > before.at_s
    threading.Event().wait(0.001)
    assert sample_process(os.getpid()).wakes > before.wakes


@linux
def test_an_ended_process_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    with pytest.raises(PhaseLockError, match="cannot be sampled"):
        sample_process(process.pid)


@linux
def test_watch_samples_all_processes() -> None:
    told: list[float] = []
    looks = resources.watch({"one": os.getpid(), "two": os.getppid()}, 1e-9, told.append)
    assert set(looks) == {"one", "two"}
    assert len(looks["one"]) == len(looks["two"]) >= 2
    assert told == sorted(told) and told[-1] == 1


def test_samples_become_metrics() -> None:
    seen = [
        ProcessSample(10.0 + k, 3.0 + k / 50, 7, 40_000_000 + 1_000_000 * k, 30_000_000, 20_000_000, 9, 90 * k)
        for k in range(5)
    ]
    case = resources.case("somebody", {}, [seen, seen[:3]])
    assert values(case, "processor_percent") == pytest.approx((2, 2))
    assert values(case, "wakes_per_s") == pytest.approx((90, 90))
    assert values(case, "rss_mb") == (42, 41)
    assert values(case, "rss_most_mb") == (44, 42)
    assert values(case, "pss_mb") == (30, 30)
    assert values(case, "private_mb") == (20, 20)
    assert values(case, "threads") == (7, 7)
    assert case.plots[0].series[0].x == (0, 1, 2, 3, 4)


def test_another_system_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    found = Collector()
    resources.run(argparse.Namespace(seeds=(1,), watch_s=5), found)
    (case,) = found.cases.values()
    assert not case.figures and "Not measured" in case.notes[0]


@linux
def test_a_missing_display_is_noted_and_an_interrupt_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Spied(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[call-overload]
            started.append(self)

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Spied)
    monkeypatch.setattr(resources, "_sleep", interrupted)
    monkeypatch.setattr(resources, "_display", lambda: contextlib.nullcontext())
    monkeypatch.setattr(resources, "TIMEOUT_S", 1)
    found = Collector()
    with pytest.raises(KeyboardInterrupt):
        resources.run(argparse.Namespace(seeds=(1,), watch_s=1, song="mp3", minutes=None), found)
    assert len(started) == 1 and started[0].returncode is not None
    assert list(found.cases) == list(resources.WINDOW.values())
    assert all("no display" in case.notes[0] for case in found.cases.values())


@linux
def test_each_state_of_the_window_has_a_case() -> None:
    pytest.importorskip("_tkinter", reason="Python was built without tkinter")
    from phaselock.bench.lab import window_states

    assert tuple(resources.WINDOW) == window_states.STATES


@linux
@pytest.mark.gui
def test_real_programs_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with resources._display() as display:
        if display is None:
            pytest.skip("no display")
    monkeypatch.setattr(resources, "SETTLING_S", 1)
    found = Collector()
    resources.run(argparse.Namespace(seeds=(1,), watch_s=2, song="flac192", minutes=1), found)
    assert set(found.cases) == {
        resources.HEADLESS_IDLE,
        resources.HEADLESS_HOST,
        resources.HEADLESS_PEER,
        *resources.WINDOW.values(),
    }
    for case in found.cases.values():
        assert 10 < values(case, "private_mb")[0] < values(case, "rss_mb")[0] < 200
