"""`phaselock bench resources`: memory and processor time of real programs, as the system reports them."""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import importlib.util
import itertools
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.process_sample import ProcessSample, is_measurable, sample_process
from phaselock.bench.lab.songs import MUSIC, long_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError
from phaselock.python_process import python_command
from phaselock.tools.processes import TIMEOUT_S, open_process_group, surroundings

PEERS = 2
SETTLING_S = 5.0
"""Not measured, after a program is ready."""
LONG_TIMEOUT_S = 600.0
"""Every machine receives and decodes the whole song before it plays: an hour of FLAC takes minutes."""
_SAMPLE_EVERY_S = 1.0
_LOCAL = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--session", "bench", "--unlisted")
_MB_BYTES = 1e6
HEADLESS_IDLE = "headless host, idle"
HEADLESS_HOST, HEADLESS_PEER = f"headless host, playing to {PEERS} peers", "headless peer, playing"
WINDOW = {
    "home": "window, at the start",
    "browsing": "window, browsing",
    "hosting": "window, hosting in silence",
    "playing": "window, hosting and playing",
    "home after three jams": "window, at home after three jams",
}
"""The name of the case of each state in bench/lab/window_states.py."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Sample each kind of program for `options.watch_s`, once for each seed."""
    if not is_measurable():
        bench.add(Case("resources", "nothing", {}, (), notes=("Not measured on this system: it needs Linux's /proc.",)))
        return
    found = collections.defaultdict[str, list[list[ProcessSample]]](list)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="phaselock-bench-"))
        kind = MUSIC[options.song]
        song = pathlib.Path(folder) / f"song.{kind.form}"
        bench.progress(0.0, "making a song")
        song_s = 60.0 * options.minutes if options.minutes else options.watch_s + TIMEOUT_S
        long_song(song, kind, song_s)
        parameters = {"seconds": options.watch_s, "settling_s": SETTLING_S, "music": options.song, "song_s": song_s}
        display = stack.enter_context(_display())
        kinds: list[tuple[str, Callable[[], contextlib.AbstractContextManager[Mapping[str, int]]]]] = [
            (HEADLESS_IDLE, lambda: _headless_idle(folder)),
            ("headless, playing", lambda: _headless_playing(folder, song)),
        ]
        if display is None:
            note = "Not measured: there is no display and no Xvfb here, or no Tk."
            for name in WINDOW.values():
                bench.add(Case("resources", name, {}, (), notes=(note,)))
        else:
            for state, name in WINDOW.items():
                kinds.append((name, functools.partial(_window, folder, display, song, state)))
        steps = [kind for _ in options.seeds for kind in kinds]
        for step, (doing, open_programs) in enumerate(steps):

            def progress(done: float, at: int = step, what: str = doing) -> None:
                bench.progress((at + done) / len(steps), what)

            progress(0.0)
            with open_programs() as pids:
                _sleep(SETTLING_S)
                samples = watch(pids, options.watch_s, progress)
            for name, seen in samples.items():
                found[name].append(seen)
                bench.add(case(name, parameters, found[name]))


def watch(pids: Mapping[str, int], seconds: float, progress: Callable[[float], None]) -> dict[str, list[ProcessSample]]:
    """Sample these processes every second for `seconds`, and at least twice. `progress` gets the share that is done."""
    samples: dict[str, list[ProcessSample]] = {name: [] for name in pids}
    began_s = time.monotonic()
    for rounds in itertools.count(1):
        for name, pid in pids.items():
            samples[name].append(sample_process(pid))
        left_s = began_s + seconds - time.monotonic()
        progress(1 - max(0.0, left_s) / seconds)
        if left_s <= 0 and rounds > 1:
            break
        _sleep(max(0.0, min(_SAMPLE_EVERY_S, left_s)))
    return samples


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


# -- the programs that are measured: (name of the case, process id) ----------------------------------------------------


@contextlib.contextmanager
def _headless_idle(folder: str) -> Iterator[Mapping[str, int]]:
    with open_process_group(folder) as programs:
        host = programs.start("host", "host", *_LOCAL, "--backend", "null")
        programs.wait_for(host, "session")
        yield {HEADLESS_IDLE: host.process.pid}
        host.say("quit")


@contextlib.contextmanager
def _headless_playing(folder: str, song: pathlib.Path) -> Iterator[Mapping[str, int]]:
    with open_process_group(folder) as programs:
        autoplay = ["--wait-peers", str(PEERS), "--play"]
        host = programs.start("host", "host", str(song), *_LOCAL, *autoplay, "--backend", "null")
        port = programs.wait_for(host, "session")["port"]
        for number in range(1, PEERS + 1):
            cache = f"{folder}/cache{number}"
            shutil.rmtree(cache, ignore_errors=True)
            peer = programs.start(f"peer{number}", "join", f"127.0.0.1:{port}", "--cache", cache, "--backend", "null")
        programs.wait_for(host, "playing", timeout_s=LONG_TIMEOUT_S)
        yield {HEADLESS_HOST: host.process.pid, HEADLESS_PEER: peer.process.pid}
        host.say("quit")


@contextlib.contextmanager
def _window(folder: str, display: str, song: pathlib.Path, state: str) -> Iterator[Mapping[str, int]]:
    """A window, once it is in this state."""
    around = surroundings(f"{folder}/{state}")
    around["env"]["DISPLAY"] = display
    with (
        open(f"{folder}/window.err", "w+b") as errors,
        subprocess.Popen(
            python_command("-P", "-m", "phaselock.bench.lab.window_states", state, str(song)),
            **around,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            assert process.stdout
            is_ready = select.select([process.stdout], [], [], LONG_TIMEOUT_S)[0]
            if not is_ready or process.stdout.readline().strip() != b"ready":
                errors.seek(0)
                last_line = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise PhaseLockError(f"The window did not come so far. {last_line}".strip())
            yield {WINDOW[state]: process.pid}
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT_S)
            finally:
                process.kill()


@contextlib.contextmanager
def _display() -> Iterator[str | None]:
    """A display: an Xvfb of our own, so that no window disturbs the user and all measurements are alike; otherwise the
    user's; None if there is none."""
    if importlib.util.find_spec("_tkinter") is None:
        yield None
        return
    server = shutil.which("Xvfb")
    if server is None:
        yield os.environ.get("DISPLAY")
        return
    read, write = os.pipe()
    with subprocess.Popen(
        [server, "-displayfd", str(write), "-screen", "0", "1920x1080x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            os.close(write)
            with os.fdopen(read) as file:
                number = file.readline().strip()
            yield f":{number}" if number else os.environ.get("DISPLAY")
        finally:
            process.terminate()


# -- the case ----------------------------------------------------------------------------------------------------------


def case(name: str, parameters: Mapping[str, Any], repeats: Sequence[Sequence[ProcessSample]]) -> Case:
    """The case of one program, from the samples of each repeat."""

    def a_second(value: Callable[[ProcessSample], float]) -> tuple[float, ...]:
        return tuple((value(seen[-1]) - value(seen[0])) / max(seen[-1].at_s - seen[0].at_s, 1e-9) for seen in repeats)

    def middle(value: Callable[[ProcessSample], float]) -> tuple[float, ...]:
        return tuple(stats.median([value(one) for one in seen]) for seen in repeats)

    def over_time(number: int, seen: Sequence[ProcessSample]) -> Series:
        return Series(
            f"repeat {number}",
            tuple(one.at_s - seen[0].at_s for one in seen),
            tuple(one.rss_bytes / _MB_BYTES for one in seen),
        )

    return Case(
        "resources",
        name,
        {**parameters, "peers": PEERS},
        (
            Metric("rss_mb", "MB", middle(lambda one: one.rss_bytes / _MB_BYTES)),
            Metric("rss_most_mb", "MB", tuple(max(one.rss_bytes for one in seen) / _MB_BYTES for seen in repeats)),
            Metric("pss_mb", "MB", middle(lambda one: one.pss_bytes / _MB_BYTES)),
            Metric("private_mb", "MB", middle(lambda one: one.uss_bytes / _MB_BYTES)),
            Metric("processor_percent", "%", a_second(lambda one: 100 * one.cpu_s)),
            Metric("wakes_per_s", "1/s", a_second(lambda one: one.wakes)),
            Metric("threads", "", middle(lambda one: one.threads)),
        ),
        (
            Plot(
                f"{name}: resident memory",
                "seconds",
                "MB",
                tuple(over_time(number, seen) for number, seen in enumerate(repeats, 1)),
            ),
        ),
        {"repeats": [[dataclasses.asdict(one) for one in seen] for seen in repeats]},
        (
            "From Linux's /proc. 100 % of the processor is one core. Private memory would be free without the program; "
            "resident memory includes what it shares with others. The output is the null output.",
        ),
    )
