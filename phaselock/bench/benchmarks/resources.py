"""`phaselock bench resources`: memory and processor of real programs, seen from outside, as the system counts them."""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import importlib.util
import itertools
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.signals import noise_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError
from phaselock.tools.processes import TIMEOUT_S, open_process_group, surroundings

PEERS = 2
SETTLING_S = 5.0
"""After a program is ready."""
_EVERY_S = 1.0
_LOCAL = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--session", "bench", "--unlisted")
_MB = 1e6
HEADLESS_IDLE = "headless host, idle"
HEADLESS_HOST, HEADLESS_PEER = f"headless host, playing to {PEERS} peers", "headless peer, playing"
WINDOW_IDLE, WINDOW_PLAYING = "window, at the start", "window, hosting and playing"


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What the system says of a process at one moment."""

    at_s: float
    cpu_s: float
    """All that it has used since it began."""
    threads: int
    rss_bytes: int
    uss_bytes: int
    """What would be free without it."""


def look(pid: int) -> Look:
    """Look at a process of this user; PhaseLockError when it is gone. Linux only."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError as error:
        raise PhaseLockError(f"A program that was watched cannot be looked at: {error.strerror}.") from None
    fields = stat.rpartition(")")[2].split()  # from the third on: the second is a name, in which anything may stand
    memory = collections.defaultdict[str, int](int)
    for line in rollup.splitlines()[1:]:
        name, _, size = line.partition(":")
        memory[name] += int(size.split()[0]) * 1024
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    private = memory["Private_Clean"] + memory["Private_Dirty"]
    return Look(time.monotonic(), cpu_s, int(fields[17]), memory["Rss"], private)


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Watch each for `options.watch_s`; the repeats, one for each seed, take turns."""
    if sys.platform != "linux":
        bench.add(Case("resources", "nothing", {}, (), notes=("Not measured on this system: it needs Linux's /proc.",)))
        return
    found = collections.defaultdict[str, list[list[Look]]](list)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="phaselock-bench-"))
        song = pathlib.Path(folder) / "song.mp3"
        bench.progress(0.0, "making a song")
        noise_song(song, options.watch_s + TIMEOUT_S)
        display = stack.enter_context(_display())
        parts: list[tuple[str, Callable[[], contextlib.AbstractContextManager[Mapping[str, int]]]]] = [
            (HEADLESS_IDLE, lambda: _headless_idle(folder)),
            ("headless, playing", lambda: _headless_playing(folder, song)),
        ]
        if display is None:
            note = "Not measured: there is no display here, and no Xvfb to make one, or no Tk."
            for name in (WINDOW_IDLE, WINDOW_PLAYING):
                bench.add(Case("resources", name, {}, (), notes=(note,)))
        else:
            parts += [
                (WINDOW_IDLE, lambda: _window(folder, display, WINDOW_IDLE, ["-m", "phaselock", "window"])),
                (WINDOW_PLAYING, lambda: _window(folder, display, WINDOW_PLAYING, _windowed(song))),
            ]
        steps = [part for _ in options.seeds for part in parts]
        for step, (doing, open_programs) in enumerate(steps):

            def progress(done: float, at: int = step, what: str = doing) -> None:
                bench.progress((at + done) / len(steps), what)

            progress(0.0)
            with open_programs() as pids:
                _rest(SETTLING_S)
                looks = watch(pids, options.watch_s, progress)
            for name, seen in looks.items():
                found[name].append(seen)
                bench.add(case(name, options.watch_s, found[name]))


def watch(pids: Mapping[str, int], seconds: float, progress: Callable[[float], None]) -> dict[str, list[Look]]:
    """Look at these processes every second for so long, and at least twice."""
    looks: dict[str, list[Look]] = {name: [] for name in pids}
    began_s = time.monotonic()
    for rounds in itertools.count(1):
        for name, pid in pids.items():
            looks[name].append(look(pid))
        left_s = began_s + seconds - time.monotonic()
        progress(1 - max(0.0, left_s) / seconds)
        if left_s <= 0 and rounds > 1:
            break
        _rest(max(0.0, min(_EVERY_S, left_s)))
    return looks


def _rest(seconds: float) -> None:
    time.sleep(seconds)


# -- programs to be watched, by the name of their case -----------------------------------------------------------------


@contextlib.contextmanager
def _headless_idle(folder: str) -> Iterator[Mapping[str, int]]:
    with open_process_group(folder) as stage:
        host = stage.start("host", "host", *_LOCAL, "--backend", "null")
        stage.wait_for(host, "session")
        yield {HEADLESS_IDLE: host.process.pid}
        host.say("quit")


@contextlib.contextmanager
def _headless_playing(folder: str, song: pathlib.Path) -> Iterator[Mapping[str, int]]:
    with open_process_group(folder) as stage:
        autoplay = ["--wait-peers", str(PEERS), "--play"]
        host = stage.start("host", "host", str(song), *_LOCAL, *autoplay, "--backend", "null")
        port = stage.wait_for(host, "session")["port"]
        for number in range(1, PEERS + 1):
            cache = f"{folder}/cache{number}"
            shutil.rmtree(cache, ignore_errors=True)
            peer = stage.start(f"peer{number}", "join", f"127.0.0.1:{port}", "--cache", cache, "--backend", "null")
        stage.wait_for(host, "playing")
        yield {HEADLESS_HOST: host.process.pid, HEADLESS_PEER: peer.process.pid}
        host.say("quit")


def _windowed(song: pathlib.Path) -> list[str]:
    return ["-m", "phaselock.bench.lab.window_player", str(song)]


@contextlib.contextmanager
def _window(folder: str, display: str, name: str, arguments: Sequence[str]) -> Iterator[Mapping[str, int]]:
    """A window: at the start as it opens for everybody, or hosting and playing, once it says that it plays."""
    idle = name == WINDOW_IDLE
    around = surroundings(f"{folder}/{'idle' if idle else 'playing'}")
    around["env"]["DISPLAY"] = display
    with (
        open(f"{folder}/window.err", "w+b") as errors,
        subprocess.Popen(
            [sys.executable, "-P", *arguments, *(["--backend", "null"] if idle else [])],
            **around,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            assert process.stdout
            ready = idle or select.select([process.stdout], [], [], TIMEOUT_S)[0]
            if not ready or (not idle and process.stdout.readline().strip() != b"playing"):
                errors.seek(0)
                last_words = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise PhaseLockError(f"The window did not play. {last_words}".strip())
            yield {name: process.pid}
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT_S)
            finally:
                process.kill()


@contextlib.contextmanager
def _display() -> Iterator[str | None]:
    """A display to draw on: an Xvfb of our own, so that nothing jumps into anybody's face and everybody measures the
    same; else the one there is; else None."""
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
            with os.fdopen(read) as told:
                number = told.readline().strip()
            yield f":{number}" if number else os.environ.get("DISPLAY")
        finally:
            process.terminate()


# -- what was found ----------------------------------------------------------------------------------------------------


def case(name: str, seconds: float, repeats: Sequence[Sequence[Look]]) -> Case:
    """What was seen of one program."""
    cores = tuple(100 * (seen[-1].cpu_s - seen[0].cpu_s) / max(seen[-1].at_s - seen[0].at_s, 1e-9) for seen in repeats)

    def middle(value: Callable[[Look], float]) -> tuple[float, ...]:
        return tuple(stats.median([value(one) for one in seen]) for seen in repeats)

    def over_time(number: int, seen: Sequence[Look]) -> Series:
        return Series(
            f"repeat {number}",
            tuple(one.at_s - seen[0].at_s for one in seen),
            tuple(one.rss_bytes / _MB for one in seen),
        )

    return Case(
        "resources",
        name,
        {"seconds": seconds, "settling_s": SETTLING_S, "peers": PEERS},
        (
            Metric("rss_mb", "MB", middle(lambda one: one.rss_bytes / _MB)),
            Metric("rss_most_mb", "MB", tuple(max(one.rss_bytes for one in seen) / _MB for seen in repeats)),
            Metric("private_mb", "MB", middle(lambda one: one.uss_bytes / _MB)),
            Metric("processor_percent", "%", cores),
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
            "Seen from outside in Linux's /proc. Processor: of one core. Private memory would be free without this "
            "program; resident memory counts what it shares with others, too. The sound goes into the void.",
        ),
    )
