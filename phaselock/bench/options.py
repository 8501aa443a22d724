"""The command-line options of `phaselock bench`. Every command of PhaseLock imports this: it imports no benchmark."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from phaselock.console.arguments import crossfade, number
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.model.choices import FILTERS
from phaselock.model.group import MAX_PEERS

NEEDS = ("numpy", "scipy", "matplotlib", "lameenc")
BENCHMARKS = ("engine", "library", "decode", "clock", "calibrate", "call", "air", "sync", "transfer", "resources")
"""In the order in which `all` runs them: the short ones first."""
PLAY_S, TRACE_S, WATCH_S, OUTPUT_S, DECODE_S, ABUSE_S = 40, 120, 20, 15, 120, 15
"""Defaults of --seconds."""
LIBRARY_SONGS = 10_000
"""Default of --songs of `library`."""
SOAK_HOURS, SOAK_SONGS = 8.0, 500
"""Defaults of --hours and --songs of `soak`."""
ROOMS, CHECK_ROOMS, ROOMS_OF_ALL = 200, 30, 20
"""Defaults of --rooms of `calibrate` and `check`, and how many `all` simulates."""
SCENARIOS = ("wired", "skew", "mixed", "untimed", "wifi", "wan")
MUSIC = ("mp3", "flac", "flac96", "flac192")
"""Names of the kinds of songs in lab/songs.py; the first one is the default."""
ATTACKS = ("silent", "joins", "slow", "requests", "pings", "host")
"""Names of the attacks in lab/attack.py."""
_MUSIC_HELP = "what is played: MP3, or FLAC of 16 bits and 44.1 kHz, or of 24 bits and 96 or 192 kHz (default mp3)"


def add_to(commands: Any, lines: argparse.ArgumentParser, summary: str) -> None:
    """Add the `bench` command with its subcommands. `lines` is the parent parser with the options of output, `summary`
    the line about it in the list of commands."""
    bench = commands.add_parser(
        "bench",
        help=summary,
        description="Measure PhaseLock on this machine, or measure real machines, and compare. Every measurement "
        "writes run.json with all raw samples and report.html into a folder of its own. Ctrl-C ends one early and "
        f"keeps the results until then. Needs packages that playing does not need: {', '.join(NEEDS)}.",
    )
    add = bench.add_subparsers(metavar="WHAT", title="what to measure", required=True).add_parser
    _add_benchmarks(add, lines)
    _add_real_measurements(add, lines)
    _add_reports(add, lines)


def _add_benchmarks(add: Any, lines: argparse.ArgumentParser) -> None:
    parents = [_seeds_option(), _folder_option(), lines]

    def add_benchmark(name: str, help_: str, description: str, *, repeats: bool = True) -> argparse.ArgumentParser:
        chosen = parents if repeats else parents[1:]
        parser: argparse.ArgumentParser = add(name, parents=chosen, help=help_, description=description)
        parser.set_defaults(run=_measure, benchmarks=(name,))
        return parser

    sync = add_benchmark(
        "sync",
        "how far apart the loudspeakers start and play",
        "Play a session with real programs on this machine, over an impaired network, each with its own clock and "
        "virtual sound card, and measure to a fraction of a sample what left their loudspeakers and when.",
    )
    _add_sync_options(sync)
    clock = add_benchmark(
        "clock",
        "the clock filters side by side",
        "Compare the clock filters (median of 10, minimum round trip with Kalman, envelope) on simulated networks, "
        "over the impaired relay, and on traces of your own network recorded with phaselock trace.",
    )
    clock.add_argument(
        "--trace",
        action="append",
        type=pathlib.Path,
        metavar="FILE",
        help="a trace to replay, of at least 10 s (may be repeated)",
    )
    _add_seconds(clock, "trace_s", number(5, 3600), TRACE_S, "length of a trace")
    transfer = add_benchmark(
        "transfer",
        "files to many peers against the limit of the link",
        "Send a file to one to five peers over a link of a given rate and compare with what the link can carry.",
    )
    _add_transfer_options(transfer)
    add_benchmark(
        "call",
        "how long a call waits beside songs on a home's uplink",
        "Simulate uplinks of 5 to 50 Mbit/s with a call of 1 Mbit/s beside songs for one to five friends elsewhere, "
        "and say how long the packets of the call wait, and what of the rest of the link the songs use.",
    )
    add_benchmark(
        "air",
        "what songs use of crowded Wi-Fi, and the clock beside them",
        "Simulate paths from a cable to a crowded Wi-Fi, and say what of them the songs use, and how wrong the clock "
        "is with and without songs.",
    )
    calibrate = add_benchmark(
        "calibrate",
        "how exactly a microphone hears each machine",
        "Simulate rooms with six machines that hide delays, with noise, and compare what the recording of a microphone "
        "says with the truth.",
    )
    calibrate.add_argument(
        "--rooms", type=number(1, 10_000), default=ROOMS, metavar="N", help="in each setting (default %(default)s)"
    )
    check = add_benchmark(
        "check",
        "how exactly a microphone hears the machines while music plays",
        "Simulate rooms with two to six machines that play a song in turns, with noise, and compare what the recording "
        "of a microphone says with the truth.",
    )
    check.add_argument(
        "--rooms",
        type=number(1, 10_000),
        default=CHECK_ROOMS,
        metavar="N",
        help="in each setting (default %(default)s)",
    )
    decode = add_benchmark(
        "decode",
        "how fast songs are decoded, and how much memory that takes",
        "Decode songs of every kind that all machines decode (MP3, FLAC, WAV, AIFF, Wave64) as the player does, and go "
        "to random places in them.",
    )
    _add_seconds(decode, "decode_s", number(2, 7200), DECODE_S, "length of each song")
    library = add_benchmark(
        "library",
        "how fast a music folder is read and searched",
        "Make a folder with songs, read it as a host does, read it again, and search in it.",
    )
    library.add_argument(
        "--songs",
        dest="library_songs",
        type=number(100, 100_000),
        default=LIBRARY_SONGS,
        metavar="N",
        help="how many songs (default %(default)s)",
    )
    add_benchmark("engine", "how long the audio callback takes", "Time the native engine, callback by callback.")
    resources = add_benchmark(
        "resources",
        "memory and processor, idle and playing",
        "Measure memory and processor use of real programs, idle and playing, with and without the window.",
    )
    _add_seconds(resources, "watch_s", number(5, 600), WATCH_S, "how long each is measured")
    resources.add_argument("--music", dest="song", choices=MUSIC, default=MUSIC[0], help=_MUSIC_HELP)
    resources.add_argument(
        "--minutes", type=number(1, 60), metavar="N", help="length of the song (default: as long as it is played)"
    )
    abuse = add_benchmark(
        "abuse",
        "what members of a session notice while it is attacked",
        "Attack a session with real programs on this machine, and measure before, during and after: how fast commands "
        "reach the peers, how far apart they play, the memory of all programs, and whether a newcomer can join.",
    )
    abuse.add_argument(
        "--attack",
        action="append",
        choices=ATTACKS,
        help="silent: 500 silent connections; joins: 1,000 a second; slow: members that read slowly; requests: floods "
        "of a member; pings: 100,000 forged ones a second; host: a malicious host at a peer. May be repeated; default: "
        "all",
    )
    _add_seconds(abuse, "part_s", number(5, 600), ABUSE_S, "how long each attack takes, and each measurement around it")
    guests = add_benchmark(
        "guests",
        "what members of a session notice of a crowd at the page for phones, and of phones that play",
        "Open 200 connections to the page for guests, send 2,000 requests a second and ten slow uploads; then let 20 "
        "phones play the music. Measure before, during and after: how fast commands reach the peers, how far apart "
        "they play, and the memory of all programs; and what the page adds to the host's memory.",
    )
    _add_seconds(guests, "part_s", number(5, 600), ABUSE_S, "how long the guests stay, and each measurement around it")
    soak = add_benchmark(
        "soak",
        "a long party: whether memory, open files and phase stay as they are",
        "Play one song after the other to two peers for hours, while guests join, leave and crash and the network "
        "fails, and compare memory, open files, threads and phase of the first part with those of the last part.",
        repeats=False,
    )
    soak.add_argument(
        "--hours", type=number(0.2, 1000, float), default=SOAK_HOURS, metavar="N", help="how long (default 8)"
    )
    soak.add_argument(
        "--songs", type=number(1, 100_000), default=SOAK_SONGS, metavar="N", help="how many songs (default %(default)s)"
    )
    everything = add_benchmark(
        "all", "everything above, without abuse, guests and soak", "Run every benchmark, the short ones first."
    )
    _add_sync_options(everything)
    _add_transfer_options(everything)
    everything.set_defaults(
        benchmarks=BENCHMARKS,
        trace=None,
        trace_s=TRACE_S,
        watch_s=WATCH_S,
        decode_s=DECODE_S,
        library_songs=LIBRARY_SONGS,
        song=MUSIC[0],
        minutes=None,
        rooms=ROOMS_OF_ALL,
    )


def _add_real_measurements(add: Any, lines: argparse.ArgumentParser) -> None:
    parents = [_folder_option(), lines]
    measure = add(
        "measure",
        parents=parents,
        help="how far apart two real machines play, by a recording",
        description="Record two outputs, one on each channel of a stereo input, or both with one microphone, while "
        "they play the test signal, and say how far apart they are. On a stereo input A is left, B is right, and any "
        "music will do. One microphone must be as far from the one loudspeaker as from the other; it shows distances "
        "from 0.35 ms.",
    )
    _add_measure_options(measure)
    outputs = add(
        "outputs",
        parents=parents,
        help="this machine's outputs against recordings of them",
        description="Play noise through every output of this machine that can be recorded (a monitor of PulseAudio or "
        "PipeWire), one after the other, and say how far the sound is from the prediction. The noise is audible.",
    )
    outputs.set_defaults(run=_measure, benchmarks=("outputs",))
    _add_seconds(outputs, "output_s", number(5, 600), OUTPUT_S, "how long each output is measured")


def _add_reports(add: Any, lines: argparse.ArgumentParser) -> None:
    compare = add(
        "compare",
        parents=[lines],
        help="what got better or worse between two runs",
        description="Compare two results, and say what got better or worse, and how sure that is. Exit status: 1 if "
        "something got worse beyond chance among all figures; otherwise 0, even if something is likely worse. With "
        "three repeats nothing is surer than likely: compare runs of six seeds or more, with --seeds 1,2,3,4,5,6 or "
        "as many as the comparison asks for.",
    )
    compare.add_argument("before", type=pathlib.Path, metavar="A.json")
    compare.add_argument("after", type=pathlib.Path, metavar="B.json")
    compare.set_defaults(run=_compare)
    table = add(
        "table",
        parents=[lines],
        help="the README's table of figures",
        description="Write the figures of a run, and how they were measured, as the table in the README.",
    )
    table.add_argument("result", type=pathlib.Path, metavar="RUN.json")
    table.add_argument("--readme", type=pathlib.Path, metavar="FILE", help="put it there, between its two marks")
    table.set_defaults(run=_table)


def _folder_option() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--out", type=pathlib.Path, metavar="DIR", help="write run.json and the reports there (default: a new folder)"
    )
    return parent


def _seeds_option() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--seeds", type=_seeds, default=(1, 2, 3), metavar="A,B,..", help="repeat with these seeds (default 1,2,3)"
    )
    return parent


def _add_seconds(parser: argparse.ArgumentParser, dest: str, type_: Any, default: int, help_: str) -> None:
    parser.add_argument(
        "--seconds", dest=dest, metavar="SECONDS", type=type_, default=default, help=f"{help_} (default %(default)s)"
    )


def _add_sync_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario",
        action="append",
        choices=(*SCENARIOS, "custom"),
        help="wired; skew (clocks and cards of different rates); mixed (cards of different latencies and blocks); "
        "untimed (cards that do not report when a block was due, so that it is estimated from callbacks, which come "
        "late on a busy machine); wifi; wan; custom (see --link). May be repeated; default: all except custom",
    )
    parser.add_argument(
        "--link",
        metavar="FIELDS",
        help="a network of your own, from a profile and the fields that differ: wifi,mbit=20,up_us=500; without a "
        "scenario it means custom",
    )
    parser.add_argument(
        "--music", action="append", choices=MUSIC, help=f"{_MUSIC_HELP}; may be repeated: then they take turns"
    )
    parser.add_argument(
        "--crossfade",
        type=crossfade,
        default=0.0,
        metavar="SECONDS",
        help="play two songs, and let the first fade into the second for so long (default: one song)",
    )
    peers = number(1, MAX_PEERS)
    parser.add_argument("--peers", type=peers, default=2, metavar="N", help="how many (default %(default)s)")
    takes = "how long a session plays; an hour takes 5 GB of the folder for temporary files and 4 GB of memory"
    _add_seconds(parser, "play_s", number(10, 3600), PLAY_S, takes)
    parser.add_argument(
        "--filter",
        choices=FILTERS,
        default=FILTERS[0],
        help="which clock filter (default %(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the recordings beside the result")


def _add_transfer_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mbit", type=number(1, 1000), default=100, help="rate of each link (default %(default)s)")
    parser.add_argument("--megabytes", type=number(1, 200), default=20, help="size of the file (default %(default)s)")


def _add_measure_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recording", type=pathlib.Path, metavar="WAV", help="analyse this file instead of an input")
    parser.add_argument("--seconds", type=number(5, 600), default=30, help="how long to record (default %(default)s)")
    parser.add_argument("--input", metavar="NAME", help="record this input (default: the system's)")
    parser.add_argument(
        "--microphone", action="store_true", help="both outputs in one channel, recorded by a microphone"
    )
    parser.add_argument(
        "--signal", type=pathlib.Path, metavar="MP3", help="only write the test signal to this file, for you to play"
    )
    parser.add_argument(
        "--play",
        action="store_true",
        help="host a session here that plays the test signal on the system's output as soon as one machine has joined",
    )
    parser.set_defaults(run=_measure_real, benchmarks=("measure",))


# -- commands ----------------------------------------------------------------------------------------------------------


def _measure(options: argparse.Namespace, terminal: Terminal) -> int:
    status: int = _module("command").measure(options, terminal)
    return status


def _measure_real(options: argparse.Namespace, terminal: Terminal) -> int:
    if options.signal is None:
        return _measure(options, terminal)
    status: int = _module("benchmarks.measure").write_signal(options, terminal)
    return status


def _compare(options: argparse.Namespace, terminal: Terminal) -> int:
    status: int = _module("report.compare").run(options.before, options.after, terminal)
    return status


def _table(options: argparse.Namespace, terminal: Terminal) -> int:
    status: int = _module("report.table").run(options.result, options.readme, terminal)
    return status


def _module(name: str) -> Any:
    missing = [module for module in NEEDS if importlib.util.find_spec(module) is None]
    if missing:
        raise PhaseLockError(
            f"phaselock bench needs {', '.join(missing)}, which playing does not need. "
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
