"""`phaselock bench guests`: guests at the host's page, and what the members of the session notice of them.

As `abuse`, but with guests. A crowd has 200 connections that try to send 2,000 requests a second, and ten slow uploads.
Twenty phones that play the music measure the clock and fetch the songs. The memory that the page adds to the host is
the difference of two medians, with the page on and no guest, and before that. Linux only.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay, stats
from phaselock.bench.benchmarks import abuse
from phaselock.bench.interface import Bench
from phaselock.bench.lab.json_process import JsonProcess
from phaselock.bench.lab.links import PROFILES
from phaselock.bench.lab.process_sample import is_measurable, sample_process
from phaselock.bench.lab.session import Machine, RunningSession, open_session
from phaselock.bench.lab.signals import noise_song
from phaselock.bench.results import Case
from phaselock.errors import PhaseLockError

KINDS = {
    "crowd": "200 connections, 2,000 requests a second, ten slow uploads",
    "phones": "20 phones that play the music",
}
PEERS = {"crowd": 2, "phones": 3}
"""How many peers play all the time. Two more join and leave, one after the other."""
MAX_ADDED_MB = 25.0
"""The page may add this to the private memory of the host."""
SAMPLES, SAMPLE_EVERY_S = 10, 0.3


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Let the guests of each kind in once for each seed. Raise PhaseLockError if a session cannot be opened."""
    if not is_measurable():
        bench.add(Case("guests", "nothing", {}, (), notes=("Not measured on this system: it needs Linux's /proc.",)))
        return
    runs = [(kind, seed) for kind in KINDS for seed in options.seeds]
    found = collections.defaultdict[str, list[tuple[dict[str, float], dict[str, Any]]]](list)
    for number, (kind, seed) in enumerate(runs):

        def progress(done: float, doing: str, at: int = number, what: str = f"{kind}, seed {seed}") -> None:
            bench.progress((at + done) / len(runs), f"{what}: {doing}")

        with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
            found[kind].append(_measure(kind, pathlib.Path(folder), options.part_s, seed, progress))
        bench.add(case(kind, {"seconds": options.part_s, "seeds": options.seeds[: len(found[kind])]}, found[kind]))


def case(kind: str, parameters: dict[str, Any], found: list[tuple[dict[str, float], dict[str, Any]]]) -> Case:
    """The case, from the metrics and the raw samples of each repeat."""
    made = abuse.case(KINDS[kind], parameters, found)
    note = f"With the page on and no guest, the host may take {MAX_ADDED_MB:g} MB more than before."
    return dataclasses.replace(made, benchmark="guests", name=KINDS[kind], notes=(*made.notes, note))


def _measure(
    kind: str,
    folder: pathlib.Path,
    seconds: float,
    seed: int,
    progress: Callable[[float, str], None],
) -> tuple[dict[str, float], dict[str, Any]]:
    """The metrics and the raw samples of one session."""
    progress(0.0, "joining")
    song = folder / "noise.mp3"
    noise_song(song, abuse.SONG_S, seed=seed)
    peers = PEERS[kind]
    names = ("host", *(f"peer{number}" for number in range(1, peers + 1)))
    recordings = [folder / "recordings" / name for name in names]
    link = PROFILES["wired"]
    machines = [Machine(into.name, link, card=VirtualCard(record=str(into))) for into in recordings]
    options = ["--guest-port", "0"]
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(
            open_session(machines, [song], folder, seed, host_options=options, later=[link, link])
        )
        session.wait_for_all([session.host, *session.peers], "playing")
        party = abuse.Party(session, None, folder)
        party.measure(abuse.SETTLING_S)
        off_mb = _memory_mb(session)
        session.host.say("rules open")
        session.host.say("guest-page on")
        link_told = session.wait_for_all([session.host], "guest_page")[-1][1]["link"]
        session.collect(abuse.SETTLING_S)
        on_mb = _memory_mb(session)
        guests = JsonProcess("phaselock.bench.lab.guest_process")
        stack.callback(guests.end)
        address, _, secret = link_told.partition("/#")
        guests.tell(json.dumps({"port": int(address.rpartition(":")[2]), "secret": secret, "kind": kind}))
        _answer(guests)
        progress(0.2, "before")
        before = party.measure(seconds, newcomer=peers)
        progress(0.4, "during")
        guests.tell("begin")
        during = party.measure(seconds, newcomer=peers + 1)
        guests.tell("end")
        counts = {name: float(count) for name, count in _answer(guests).items()}
        session.collect(abuse.SETTLING_S)
        progress(0.7, "after")
        after = party.measure(seconds)
    progress(0.9, "comparing the recordings")
    loudspeakers = [
        delay.Loudspeaker([delay.read_recording(one) for one in into.glob("*.json")]) for into in recordings
    ]
    parts = (before, during, after)
    phase_us = abuse.phases_us(loudspeakers, parts)
    metrics = abuse.metrics_of(parts, phase_us, counts)
    metrics["underruns"] = float(sum(one.underruns for one in loudspeakers))
    metrics["page_added_mb"] = on_mb - off_mb
    raw = dict(zip(abuse.PARTS, map(dataclasses.asdict, parts), strict=True))
    return metrics, {"parts": raw, "phase_us": dict(zip(abuse.PARTS, phase_us, strict=True)), "guests": counts}


def _answer(guests: JsonProcess) -> dict[str, Any]:
    if not (answer := guests.answer()):
        raise PhaseLockError("The process of the guests has ended too soon.")
    return answer


def _memory_mb(session: RunningSession) -> float:
    """The private memory of the host in MB."""
    samples = []
    for _ in range(SAMPLES):
        samples.append(sample_process(session.host.process.pid).uss_bytes / 1e6)
        session.collect(SAMPLE_EVERY_S)
    return stats.median(samples)
