"""What `phaselock bench` can be asked for. Loads nothing that measures: the command line reads this every time."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from phaselock.console.arguments import number
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError

NEEDS = ("numpy", "scipy", "matplotlib", "lameenc")
BENCHMARKS = ("engine", "decode", "clock", "sync", "transfer", "resources")
"""In the order in which `all` runs them: the short ones first."""
PLAY_S, TRACE_S, WATCH_S, OUTPUT_S = 40, 120, 20, 15
SCENARIOS = ("wired", "skew", "mixed", "untimed", "wifi", "wan")


def add_to(commands: Any, lines: argparse.ArgumentParser) -> None:
    """Add `bench` and everything below it; `lines` is the parent with the options of output."""
    bench = commands.add_parser(
        "bench",
        help="measure how well it keeps time",
        description="Measure PhaseLock on this machine, or measure real machines, and compare. Every measurement "
        "writes run.json with all raw samples and report.html into a folder of its own. Ctrl-C ends one early and "
        f"keeps what was found. Needs what playing does not: {', '.join(NEEDS)}.",
    )
    benches = bench.add_subparsers(metavar="WHAT", title="what to measure", required=True)

    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--out", type=pathlib.Path, metavar="DIR", help="write run.json and the reports there (default: a new folder)"
    )
    seeds = argparse.ArgumentParser(add_help=False)
    seeds.add_argument(
        "--seeds", type=_seeds, default=(1, 2, 3), metavar="A,B,..", help="repeat with these seeds (default 1,2,3)"
    )

    def add(name: str, help_: str, description: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = benches.add_parser(
            name, parents=[*parents, where, lines], help=help_, description=description
        )
        parser.set_defaults(run=_measure, benchmarks=(name,))
        return parser

    sync = add(
        "sync",
        "how far apart the loudspeakers start and play",
        "Play a session with real programs on this machine, over an impaired network, each with a clock and a virtual "
        "sound card of its own, and measure to a fraction of a sample what left their loudspeakers and when.",
        seeds,
    )
    _sync_options(sync)
    clock = add(
        "clock",
        "the clock filters side by side",
        "Compare the clock filters (median of 10, minimum round trip with Kalman, envelope) on simulated networks, "
        "over the impaired relay, and on traces of your own network recorded with phaselock trace.",
        seeds,
    )
    clock.add_argument(
        "--trace",
        action="append",
        type=pathlib.Path,
        metavar="FILE",
        help="a trace to replay, of 10 s at least (may be repeated)",
    )
    clock.add_argument(
        "--seconds",
        dest="trace_s",
        metavar="SECONDS",
        type=number(5, 3600),
        default=TRACE_S,
        help="length of a trace (default %(default)s)",
    )
    transfer = add(
        "transfer",
        "files to many peers against the limit of the link",
        "Send a file to one to five peers over a link of a given rate and compare with what the link can carry.",
        seeds,
    )
    _transfer_options(transfer)
    add("decode", "how fast songs are decoded", "Decode MP3s of several kinds as the player does.", seeds)
    add("engine", "how long the audio callback takes", "Time the native engine, callback by callback.", seeds)
    resources = add(
        "resources",
        "memory and processor, idle and playing",
        "Measure memory and processor use of real programs, idle and playing, with and without the window.",
        seeds,
    )
    resources.add_argument(
        "--seconds",
        dest="watch_s",
        metavar="SECONDS",
        type=number(5, 600),
        default=WATCH_S,
        help="how long each is watched (default %(default)s)",
    )
    everything = add("all", "everything above", "Run every benchmark, the short ones first.", seeds)
    _sync_options(everything)
    _transfer_options(everything)
    everything.set_defaults(benchmarks=BENCHMARKS, trace=None, trace_s=TRACE_S, watch_s=WATCH_S)

    measure = add(
        "measure",
        "how far apart two real machines play, by a recording",
        "Record two outputs, one on each channel of a stereo input, or both with one microphone, while they play the "
        "test signal, and say how far apart they are. On a stereo input A is left, B is right, and any music will do; "
        "one microphone must be as far from the one loudspeaker as from the other, and tells 0.35 ms and more.",
    )
    _measure_options(measure)

    outputs = add(
        "outputs",
        "this machine's outputs against recordings of them",
        "Play noise through every output of this machine that can be recorded (a monitor of PulseAudio or PipeWire), "
        "one after the other, and say how far what leaves is from the prediction. It is heard.",
    )
    outputs.add_argument(
        "--seconds",
        dest="output_s",
        metavar="SECONDS",
        type=number(5, 600),
        default=OUTPUT_S,
        help="how long each output is measured (default %(default)s)",
    )

    compare = benches.add_parser(
        "compare",
        parents=[lines],
        help="what got better or worse between two runs",
        description="Compare two results, and say what got better or worse, and how sure that is. Exit status: 1 if "
        "something got worse, beyond what chance does among so many figures; else 0, even where something is likely "
        "worse. With three repeats nothing is surer than likely: compare runs of six seeds or more, with --seeds "
        "1,2,3,4,5,6 or as many as the comparison asks for.",
    )
    compare.add_argument("before", type=pathlib.Path, metavar="A.json")
    compare.add_argument("after", type=pathlib.Path, metavar="B.json")
    compare.set_defaults(run=_compare)

    table = benches.add_parser(
        "table",
        parents=[lines],
        help="the README's table of figures",
        description="Write the figures of a run, and how they were measured, as the table in the README.",
    )
    table.add_argument("result", type=pathlib.Path, metavar="RUN.json")
    table.add_argument("--readme", type=pathlib.Path, metavar="FILE", help="put it there, between its two marks")
    table.set_defaults(run=_table)


def _sync_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario",
        action="append",
        choices=(*SCENARIOS, "custom"),
        help="wired; skew (clocks and cards of different rates); mixed (cards of different latencies and blocks); "
        "untimed (cards that do not tell when a block was due, so that it has to be guessed from callbacks as late as "
        "this machine is busy); wifi; wan; custom (see --link). May be repeated; default: all but custom",
    )
    parser.add_argument(
        "--link",
        metavar="FIELDS",
        help="a network of your own, from a profile and what differs: wifi,mbit=20,up_us=500; without a scenario it "
        "means custom",
    )
    parser.add_argument("--peers", type=number(1, 5), default=2, metavar="N", help="how many (default %(default)s)")
    parser.add_argument(
        "--seconds",
        dest="play_s",
        metavar="SECONDS",
        type=number(10, 3600),
        default=PLAY_S,
        help="how long a session plays (default %(default)s); an hour takes 5 GB of the folder for temporary files and "
        "4 GB of memory",
    )
    parser.add_argument(
        "--filter",
        choices=("envelope", "median", "kalman"),
        default="envelope",
        help="which clock filter (default %(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the recordings beside the result")


def _transfer_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mbit", type=number(1, 1000), default=100, help="rate of each link (default %(default)s)")
    parser.add_argument("--megabytes", type=number(1, 200), default=20, help="size of the file (default %(default)s)")


def _measure_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recording", type=pathlib.Path, metavar="WAV", help="analyse this instead of listening")
    parser.add_argument("--seconds", type=number(5, 600), default=30, help="how long to listen (default %(default)s)")
    parser.add_argument("--input", metavar="NAME", help="listen to this input (default: the system's)")
    parser.add_argument("--microphone", action="store_true", help="both outputs in one channel, by a microphone")
    parser.add_argument(
        "--signal", type=pathlib.Path, metavar="MP3", help="only write the test signal to this file, for you to play"
    )
    parser.add_argument(
        "--play",
        action="store_true",
        help="host a session here that plays the test signal on the system's output as soon as one machine has joined",
    )
    parser.set_defaults(run=_measure_real)


# -- what to do --------------------------------------------------------------------------------------------------------


def _measure(options: argparse.Namespace, terminal: Terminal) -> int:
    status: int = _part("command").measure(options, terminal)
    return status


def _measure_real(options: argparse.Namespace, terminal: Terminal) -> int:
    if options.signal is None:
        return _measure(options, terminal)
    status: int = _part("benchmarks.measure").write_signal(options, terminal)
    return status


def _compare(options: argparse.Namespace, terminal: Terminal) -> int:
    status: int = _part("report.compare").run(options.before, options.after, terminal)
    return status


def _table(options: argparse.Namespace, terminal: Terminal) -> int:
    status: int = _part("report.table").run(options.result, options.readme, terminal)
    return status


def _part(name: str) -> Any:
    missing = [module for module in NEEDS if importlib.util.find_spec(module) is None]
    if missing:
        raise PhaseLockError(
            f"phaselock bench needs {', '.join(missing)}, which playing does not. "
            f"Install: {sys.executable} -m pip install {' '.join(missing)}"
        )
    return importlib.import_module(f"phaselock.bench.{name}")


def _seeds(text: str) -> Sequence[int]:
    try:
        seeds = tuple(int(one) for one in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**31 or len(set(seeds)) != len(seeds) or len(seeds) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of different whole numbers, as in 1,2,3")
    return seeds
