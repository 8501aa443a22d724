"""`phaselock bench abuse`: attack a session, and measure what its honest members notice before, during and after.

A host and two peers play on virtual cards that record what leaves them, behind the relay. The host gets a command every
second. A newcomer joins before the attack and another one during it. Linux only.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import math
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phaselock import _native
from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay, stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.attack import ATTACKS, MALICIOUS_HOST, Attack, Target
from phaselock.bench.lab.attack_process import MALICIOUS_IP
from phaselock.bench.lab.links import PROFILES
from phaselock.bench.lab.process_sample import ProcessSample, is_measurable, sample_process
from phaselock.bench.lab.relay import peer_ip
from phaselock.bench.lab.session import Machine, RunningSession, open_session
from phaselock.bench.lab.signals import noise_song
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.tools.processes import Program

MAX_COMMAND_MS = 50.0
"""95 % of the commands must reach the peers within this time, during and after the attack."""
MAX_PHASE_RISE_US = 20.0
"""The 95th percentile of the distance between two machines may rise by this, in microseconds."""
MAX_MEMORY_RISE_MB = 5.0
"""Private memory after the attack may be larger than before it by this."""
NEWCOMER_TIMEOUT_S = 30.0
"""A newcomer must have joined, with the song, and play within this time."""
COMMAND_EVERY_S = 0.5
SETTLING_S = 6.0
"""Played, but not measured: after the first start, and after the attack."""
POSITIONS, STEP_S = 40, 0.5
"""Each seek goes to another position, so that its arrival can be told from that of another one."""
SONG_S = 120
WINDOW_S = 0.5
PARTS = ("before", "during", "after")
UNITLESS = ("limits_missed", "underruns", "commands_lost", "warnings")
_MB_BYTES = 1e6


@dataclasses.dataclass(slots=True)
class Part:
    """What was measured before, during or after an attack. `began_ns` and `ended_ns` are true times."""

    began_ns: int
    ended_ns: int = 0
    commands_ms: list[float] = dataclasses.field(default_factory=list)
    """Time from each command to its arrival at each peer, in milliseconds."""
    commands_lost: int = 0
    """Commands that did not reach a peer before the end of the part."""
    answers_ms: list[float] = dataclasses.field(default_factory=list)
    """How long the peer of a malicious host takes to answer its user, in milliseconds."""
    clock_us: list[float] = dataclasses.field(default_factory=list)
    """To within how many microseconds the peers say that they know the session clock, each second."""
    warnings: list[str] = dataclasses.field(default_factory=list)
    """What the host and the peers warn of."""
    samples: dict[str, list[ProcessSample]] = dataclasses.field(default_factory=dict)
    newcomer_s: float = math.nan
    """Time from the start of the newcomer's program until it plays; NaN if it did not, or if there was none."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Run every attack of `options.attack`, once for each seed. Raise PhaseLockError if a session cannot be opened."""
    if not is_measurable():
        bench.add(Case("abuse", "nothing", {}, (), notes=("Not measured on this system: it needs Linux's /proc.",)))
        return
    kinds = list(dict.fromkeys(options.attack or ATTACKS))
    runs = [(kind, seed) for kind in kinds for seed in options.seeds]
    found = collections.defaultdict[str, list[tuple[dict[str, float], dict[str, Any]]]](list)
    for number, (kind, seed) in enumerate(runs):

        def progress(done: float, doing: str, at: int = number, what: str = f"{ATTACKS[kind]}, seed {seed}") -> None:
            bench.progress((at + done) / len(runs), f"{what}: {doing}")

        with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
            found[kind].append(_measure(kind, pathlib.Path(folder), options.part_s, seed, progress))
        bench.add(case(kind, {"seconds": options.part_s, "seeds": options.seeds[: len(found[kind])]}, found[kind]))


def _measure(
    kind: str, folder: pathlib.Path, seconds: float, seed: int, progress: Callable[[float, str], None]
) -> tuple[dict[str, float], dict[str, Any]]:
    """The metrics and the raw samples of one session with one attack."""
    progress(0.0, "joining")
    song = folder / "noise.mp3"
    noise_song(song, SONG_S, seed=seed)
    recordings = [folder / "recordings" / name for name in ("host", "peer1", "peer2")]
    link = PROFILES["wired"]
    machines = [Machine(into.name, link, card=VirtualCard(record=str(into))) for into in recordings]
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(open_session(machines, [song], folder, seed, later=[link, link]))
        events = session.wait_for_all([session.host, *session.peers], "playing")
        member_id = next(event["peer_id"] for one, event in events if one is session.peers[0] and "peer_id" in event)
        target = Target(*session.relay.host_place, member_ip=peer_ip(0), member_id=member_id)
        attack = stack.enter_context(Attack(kind, target))
        victim = None
        if kind == MALICIOUS_HOST:
            options = ["--backend", "null", "--cache", str(folder / "victim" / "received")]
            victim = session.programs.start("victim", "join", f"{MALICIOUS_IP}:{attack.port}", *options)
            session.wait_for_all([victim], "joined")
        party = Party(session, victim, folder)
        party.measure(SETTLING_S)
        progress(0.2, "before")
        before = party.measure(seconds, newcomer=2)
        progress(0.4, "during")
        attack.begin()
        during = party.measure(seconds, newcomer=3)
        counts = attack.end()
        session.collect(SETTLING_S)
        progress(0.7, "after")
        after = party.measure(seconds)
        leave_s = _leave_s(session, victim) if victim else math.nan
    progress(0.9, "comparing the recordings")
    loudspeakers = [
        delay.Loudspeaker([delay.read_recording(one) for one in into.glob("*.json")]) for into in recordings
    ]
    phase_us = phases_us(loudspeakers, (before, during, after))
    metrics = metrics_of((before, during, after), phase_us, counts)
    metrics["underruns"] = float(sum(one.underruns for one in loudspeakers))
    if victim:
        metrics["victim_leaves_s"] = leave_s
    parts = dict(zip(PARTS, map(dataclasses.asdict, (before, during, after)), strict=True))
    return metrics, {"parts": parts, "phase_us": dict(zip(PARTS, phase_us, strict=True)), "attack": counts}


class Party:
    """The honest members, who play, and perhaps the peer of a malicious host."""

    def __init__(self, session: RunningSession, victim: Program | None, folder: pathlib.Path) -> None:
        self._session = session
        self._victim = victim
        self._folder = folder
        self._commands = 0

    def measure(self, seconds: float, newcomer: int | None = None) -> Part:
        """Measure for `seconds`, and until the newcomer plays, which joins over the relay's link of this number."""
        part = Part(_native.now_ns())
        session = self._session
        joining = self._join(newcomer) if newcomer is not None else None
        began_s = time.monotonic()
        said_s: dict[float, float] = {}
        waiting: set[tuple[str, float]] = set()
        while True:
            passed_s = time.monotonic() - began_s
            is_joining = joining is not None and math.isnan(part.newcomer_s) and passed_s < NEWCOMER_TIMEOUT_S
            if passed_s >= seconds and not is_joining:
                break
            position_s = (1 + self._commands % POSITIONS) * STEP_S
            self._commands += 1
            said_s[position_s] = asked_s = time.monotonic()
            waiting |= {(peer.name, position_s) for peer in session.peers}
            session.host.say(f"seek {position_s}")
            if self._victim:
                self._victim.say("status")
            while heard := session.programs.hear(asked_s + COMMAND_EVERY_S):
                program, event = heard
                now_s = time.monotonic()
                if event["event"] == "seeked" and (key := (program.name, round(event["position_s"], 3))) in waiting:
                    waiting.discard(key)
                    part.commands_ms.append((now_s - said_s[key[1]]) * 1e3)
                elif program in session.peers and event["event"] == "sync":
                    part.clock_us.append(event["offset_uncertainty_us"] or math.inf)
                elif program in (session.host, *session.peers) and event["event"] in ("warning", "error"):
                    part.warnings.append(f"{program.name}: {event['message']}")
                elif program is self._victim and event["event"] == "status":
                    part.answers_ms.append((now_s - asked_s) * 1e3)
                elif program is joining and event["event"] == "playing" and math.isnan(part.newcomer_s):
                    part.newcomer_s = now_s - began_s
            self._sample(part)
        part.ended_ns = _native.now_ns()
        part.commands_lost = len(waiting)
        if joining:
            joining.may_end = True
            joining.say("leave")
            session.programs.forget(joining)
        return part

    def _join(self, number: int) -> Program:
        name = f"newcomer{number}"
        options = ["--backend", "null", "--cache", str(self._folder / name / "received")]
        program = self._session.programs.start(name, "join", self._session.relay.address(number), *options)
        program.may_end = True  # one that the host refuses ends
        return program

    def _sample(self, part: Part) -> None:
        programs = [self._session.host, *self._session.peers, *([self._victim] if self._victim else [])]
        for program in programs:
            part.samples.setdefault(program.name, []).append(sample_process(program.process.pid))


def _leave_s(session: RunningSession, victim: Program) -> float:
    """Let the peer leave its malicious host. Return how many seconds it took."""
    victim.may_end = True
    began_s = time.monotonic()
    victim.say("leave")
    session.programs.forget(victim)
    return time.monotonic() - began_s


# -- metrics -----------------------------------------------------------------------------------------------------------


def phases_us(loudspeakers: Sequence[delay.Loudspeaker], parts: Sequence[Part]) -> list[list[float]]:
    """For each part the distance in microseconds between the earliest and the latest machine, in each window."""
    begin_ns = min(one.recordings[0].first_ns for one in loudspeakers)
    found: list[list[float]] = [[] for _ in parts]
    for window in delay.window_delays(loudspeakers, WINDOW_S, WINDOW_S):
        at_ns = begin_ns + round(window.at_s * 1e9)
        for part, spreads_us in zip(parts, found, strict=True):
            if window.sure and part.began_ns <= at_ns <= part.ended_ns:
                spreads_us.append(delay.spread_us(window))
    return found


def metrics_of(
    parts: Sequence[Part], phase_us: Sequence[Sequence[float]], counts: Mapping[str, float]
) -> dict[str, float]:
    """The metrics of one attack, in the units of their names; `parts` and `phase_us` are those of PARTS."""
    before, during, _after = parts
    found: dict[str, float] = {"limits_missed": 0.0}
    for name, part in zip(PARTS, parts, strict=True):
        found[f"command_{name}_ms"] = stats.percentile(part.commands_ms, 95)
    for name, spreads_us in zip(PARTS, phase_us, strict=True):
        found[f"phase_{name}_us"] = stats.percentile(spreads_us, 95)
    for name, part in zip(PARTS, parts, strict=True):
        found[f"clock_known_{name}_us"] = max(part.clock_us, default=math.nan)
    found["newcomer_before_s"], found["newcomer_during_s"] = before.newcomer_s, during.newcomer_s
    memory_mb = {name: [_memory_mb(part.samples[name]) for part in parts] for name in before.samples}
    for name in memory_mb:
        found[f"{name}_peak_rise_mb"] = max(_private_mb(during.samples[name])) - memory_mb[name][0]
        found[f"{name}_rise_mb"] = memory_mb[name][2] - memory_mb[name][0]
    found["warnings"] = float(len(during.warnings))
    found["commands_lost"] = float(sum(part.commands_lost for part in parts))
    if before.answers_ms:
        for name, part in zip(PARTS, parts, strict=True):
            found[f"victim_answers_{name}_ms"] = stats.percentile(part.answers_ms, 95)
    for name, count in counts.items():
        if name != "seconds":
            found[f"{name}_per_s"] = count / counts["seconds"]
    found["limits_missed"] = float(len(limits_missed(found)))
    return found


def limits_missed(metrics: Mapping[str, float]) -> list[str]:
    """The limits that these metrics do not keep, in a few words each. A figure that was not measured misses its
    limit."""
    phase_us = metrics["phase_before_us"] + MAX_PHASE_RISE_US
    checks = {
        "command latency": all(metrics[f"command_{part}_ms"] < MAX_COMMAND_MS for part in PARTS[1:])
        and not metrics["commands_lost"],
        "phase": all(metrics[f"phase_{part}_us"] <= phase_us for part in PARTS[1:]),
        "memory": all(
            rise_mb <= MAX_MEMORY_RISE_MB
            for name, rise_mb in metrics.items()
            if name.endswith("_rise_mb") and not name.endswith("_peak_rise_mb")
        ),
        "newcomer": metrics["newcomer_during_s"] <= NEWCOMER_TIMEOUT_S,
    }
    return [name for name, is_kept in checks.items() if not is_kept]


def _private_mb(samples: Sequence[ProcessSample]) -> list[float]:
    return [one.uss_bytes / _MB_BYTES for one in samples]


def _memory_mb(samples: Sequence[ProcessSample]) -> float:
    """The median of the last half, in MB."""
    return stats.median(_private_mb(samples[len(samples) // 2 :]))


def case(kind: str, parameters: Mapping[str, Any], found: Sequence[tuple[dict[str, float], dict[str, Any]]]) -> Case:
    """The case of one attack, from the metrics and the raw samples of each repeat."""
    names = dict.fromkeys(name for metrics, _ in found for name in metrics)
    missed = [limits_missed(metrics) for metrics, _ in found]
    verdicts = "; ".join(f"repeat {number}: {', '.join(one) or 'all kept'}" for number, one in enumerate(missed, 1))
    return Case(
        "abuse",
        ATTACKS.get(kind, kind),
        parameters,
        tuple(
            Metric(
                name,
                "" if name in UNITLESS else "1/s" if name.endswith("_per_s") else _unit(name),
                tuple(metrics.get(name, math.nan) for metrics, _ in found),
                "" if name.endswith("_per_s") else "less",
            )
            for name in names
        ),
        (
            Plot(
                "Private memory of the host",
                "seconds",
                "MB",
                tuple(_over_time(number, samples) for number, (_, samples) in enumerate(found, 1)),
            ),
        ),
        {"repeats": [samples for _, samples in found]},
        (
            f"Limits: 95 % of the commands reach the peers within {MAX_COMMAND_MS:g} ms, during and after the attack; "
            "the 95th percentile of the distance between two machines rises by at most "
            f"{MAX_PHASE_RISE_US:g} µs; private memory of each program is at most {MAX_MEMORY_RISE_MB:g} MB larger "
            f"after the attack than before; a newcomer plays within {NEWCOMER_TIMEOUT_S:g} s during the attack. "
            f"Missed: {verdicts}.",
            "The attackers, the relay and all members share the processor of this computer.",
        ),
    )


def _unit(name: str) -> str:
    unit = name.rpartition("_")[2]
    return "MB" if unit == "mb" else unit


def _over_time(number: int, samples: Mapping[str, Any]) -> Series:
    seen = [one for part in PARTS for one in samples["parts"][part]["samples"]["host"]]
    return Series(
        f"repeat {number}",
        tuple(one["at_s"] - seen[0]["at_s"] for one in seen),
        tuple(one["uss_bytes"] / _MB_BYTES for one in seen),
    )
