"""`phaselock bench transfer`: how fast a file reaches one to five peers, compared with the rate of the host's link."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import tempfile
from typing import Any

from phaselock.bench.interface import Bench
from phaselock.bench.lab.links import PROFILES, SEGMENT_BYTES, SEGMENT_OVERHEAD_BYTES, Link
from phaselock.bench.lab.session import Machine, ProgramEvent, open_session
from phaselock.bench.lab.signals import noise_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError

MAX_PEERS = 5
KBPS = 320
TIMEOUT_FACTOR, TIMEOUT_S = 6, 20.0
"""A transfer may take this factor of the time that the link needs, and this time on top, between two events."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Send a file to 1 to MAX_PEERS peers, each with every seed. Raise PhaseLockError if a transfer fails."""
    link = dataclasses.replace(PROFILES["wired"], mbit=options.mbit)
    runs = [(peers, seed) for peers in range(1, MAX_PEERS + 1) for seed in options.seeds]
    with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
        song = pathlib.Path(folder) / "large.mp3"
        bench.progress(0.0, "making a large file")
        noise_song(song, options.megabytes * 8000 / KBPS, kbps=KBPS)
        size = song.stat().st_size
        found: dict[int, list[tuple[float, dict[str, Any]]]] = {}
        for number, (peers, seed) in enumerate(runs):
            bench.progress((number + 0.2) / len(runs), f"{peers} peers, seed {seed}")
            ideal_s = peers * size * 8 / (link.mbit * 1e6)
            where = pathlib.Path(folder) / f"{peers}-{seed}"
            where.mkdir()
            found.setdefault(peers, []).append(_send(song, link, peers, seed, where, ideal_s))
            bench.add(_case(options, size, peers, ideal_s, found[peers]))


def _send(
    song: pathlib.Path, link: Link, peers: int, seed: int, folder: pathlib.Path, ideal_s: float
) -> tuple[float, dict[str, Any]]:
    """Send one file to all peers. Return (seconds until the last peer had it, seconds of each peer), both from the
    start of the first transfer."""
    machines = [Machine("host" if k == 0 else f"peer{k}", link) for k in range(peers + 1)]
    with open_session(machines, [], folder, seed, play=False) as session:
        session.wait_for_all(session.peers, "joined")
        session.host.say(f"add {song}")

        def is_transfer(found: ProgramEvent) -> bool:
            return found[0] is session.host and found[1]["event"] == "transfer"

        began_ns, done_ns = 0, dict[str, int]()
        while len(done_ns) < peers:
            events = session.collect(TIMEOUT_FACTOR * ideal_s + TIMEOUT_S, until=is_transfer)
            if not events or not is_transfer(events[-1]):
                raise PhaseLockError("A transfer did not finish in time.")
            event = events[-1][1]
            if event["state"] == "started":
                began_ns = began_ns or event["session_ns"]
            elif event["state"] == "done":
                done_ns[event["peer"]] = event["session_ns"]
            elif event["state"] == "failed":
                raise PhaseLockError(f"A transfer failed: {event}")
    return (max(done_ns.values()) - began_ns) / 1e9, {peer: (at - began_ns) / 1e9 for peer, at in done_ns.items()}


def _case(
    options: argparse.Namespace, size: int, peers: int, ideal_s: float, found: list[tuple[float, dict[str, Any]]]
) -> Case:
    seconds = tuple(took_s for took_s, _ in found)
    with_headers_s = ideal_s * (SEGMENT_BYTES + SEGMENT_OVERHEAD_BYTES) / SEGMENT_BYTES
    bars = (
        Series("the link", ("all",), (ideal_s,)),
        *(
            Series(f"seed {seed}", tuple(done), tuple(done.values()))
            for seed, (_, done) in zip(options.seeds, found, strict=False)
        ),
    )
    return Case(
        benchmark="transfer",
        name=f"{peers} peer{'' if peers == 1 else 's'} at {options.mbit} Mbit/s",
        parameters={"peers": peers, "mbit": options.mbit, "bytes": size, "seeds": options.seeds[: len(found)]},
        figures=(
            Metric("of_limit_percent", "%", tuple(100 * ideal_s / one for one in seconds), "more"),
            Metric("of_payload_percent", "%", tuple(100 * with_headers_s / one for one in seconds), "more"),
            Metric("seconds", "s", seconds),
            Metric("limit_s", "s", (ideal_s,) * len(seconds), ""),
            Metric("rate", "Mbit/s", tuple(peers * size * 8e-6 / one for one in seconds), "more"),
        ),
        plots=(Plot("When each peer had the file", "", "seconds", bars, "bars"),),
        samples={"done_s": [done for _, done in found]},
        notes=(
            "The limit is the time to send all bytes to all peers at the rate of the host's link. Packet headers are "
            "not counted in it; they take 4 to 5 percent. The payload is what the link carries beside them.",
        ),
    )
