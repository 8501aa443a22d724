"""The benchmark of attacks: its metrics and limits, every attack, and one session that is attacked."""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import sys
import time

import pytest

from phaselock.bench.analysis.delay import Loudspeaker
from phaselock.bench.benchmarks import abuse
from phaselock.bench.lab import attack, attack_process
from phaselock.bench.lab.attack import Attack, Target
from phaselock.bench.lab.process_sample import ProcessSample
from phaselock.bench.options import ATTACKS
from phaselock.tools.processes import open_process_group
from tests.support.bench import Collector
from tests.support.noise import Noise, played

linux = pytest.mark.skipif(sys.platform != "linux", reason="it needs Linux's /proc and its loopback addresses")


def part(*commands_ms: float, memory_mb: float = 30.0, newcomer_s: float = math.nan) -> abuse.Part:
    sample = ProcessSample(1.0, 1.0, 9, 1, 1, round(memory_mb * 1e6), 9)
    return abuse.Part(
        0,
        1,
        list(commands_ms),
        clock_us=[2.0],
        samples={"host": [sample] * 2, "peer1": [sample]},
        newcomer_s=newcomer_s,
    )


GOOD = part(5.0, 7.0, newcomer_s=0.5)
PHASE_US = ([2.0, 3.0], [2.0, 4.0], [2.0])


def missed(
    during: abuse.Part = GOOD, after: abuse.Part = GOOD, phase_us: tuple[list[float], ...] = PHASE_US
) -> list[str]:
    return abuse.limits_missed(abuse.metrics_of((GOOD, during, after), phase_us, {"pings": 50, "seconds": 10}))


def test_each_limit() -> None:
    assert missed() == []
    assert missed(during=part(*[5.0] * 10, 51.0, 51.0, newcomer_s=1)) == ["command latency"]
    assert missed(after=part(51.0)) == ["command latency"]
    assert missed(during=dataclasses.replace(GOOD, commands_lost=1)) == ["command latency"]
    assert missed(phase_us=([2.0], [23.0], [2.0])) == ["phase"]
    assert missed(phase_us=([2.0], [], [2.0])) == ["phase"], "all machines fell silent"
    assert missed(during=part(5.0, memory_mb=99.0, newcomer_s=1)) == [], "memory may rise during an attack"
    assert missed(after=part(5.0, memory_mb=35.1)) == ["memory"]
    assert missed(during=part(5.0)) == ["newcomer"]


def test_the_case_says_what_was_missed() -> None:
    metrics = abuse.metrics_of((GOOD, part(5.0), GOOD), PHASE_US, {"pings": 50, "seconds": 10})
    samples = {"parts": {name: dataclasses.asdict(GOOD) for name in abuse.PARTS}}
    case = abuse.case("pings", {}, [(metrics, samples)])
    figures = {metric.name: (metric.values, metric.unit) for metric in case.figures}
    assert figures["limits_missed"] == ((1.0,), "") and figures["pings_per_s"] == ((5.0,), "1/s")
    assert figures["command_during_ms"] == ((5.0,), "ms") and figures["host_rise_mb"] == ((0.0,), "MB")
    assert "Missed: repeat 1: newcomer." in case.notes[0]


def test_windows_belong_to_the_part_in_which_they_were_played() -> None:
    noise = Noise(seconds=4.0, seed=3)
    loudspeakers = [Loudspeaker([played(noise, late_us)]) for late_us in (0.0, 30.0)]
    begin_ns = loudspeakers[0].recordings[0].first_ns
    spans_s = (0, 1), (1, 3), (60, 61)
    parts = [abuse.Part(begin_ns + round(first * 1e9), begin_ns + round(last * 1e9)) for first, last in spans_s]
    before, during, after = abuse.phases_us(loudspeakers, parts)
    assert len(before) < len(during) and after == []
    assert during == pytest.approx([30.0] * len(during), abs=1)


def test_the_options_name_all_attacks() -> None:
    assert ATTACKS == tuple(attack.ATTACKS)
    assert {*attack_process.ATTACKS, attack.MALICIOUS_HOST} == set(ATTACKS)


@linux
def test_every_attack_reaches_the_host(tmp_path: pathlib.Path) -> None:
    with open_process_group(str(tmp_path)) as programs:
        local = ["--session", "bench", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--unlisted"]
        song = tmp_path / "song.wav"
        abuse.noise_song(song, 2)
        host = programs.start("host", "host", str(song), *local, "--backend", "null")
        opened = programs.wait_for(host, "session")
        programs.wait_for(host, "queue")
        target = Target("127.0.0.1", opened["port"], opened["clock_port"], "127.0.0.2", 1)
        wanted = {
            "silent": "connections",
            "joins": "joined",
            "slow": "fetches",
            "requests": "requests",
            "pings": "pings",
        }
        for kind, count in wanted.items():
            for seconds in (2, 10, 40):  # a busy machine needs longer
                with Attack(kind, target) as attacker:
                    attacker.begin()
                    time.sleep(seconds)
                    told = attacker.end()
                if told.get(count):
                    break
            assert told.get(count), kind
        host.say("quit")


@linux
def test_a_peer_of_a_malicious_host() -> None:
    found = Collector()
    abuse.run(argparse.Namespace(attack=["host"], seeds=(1,), part_s=3), found)
    (case,) = found.cases.values()
    figures = {metric.name: metric.values[0] for metric in case.figures}
    assert figures["offers_per_s"] > 0 and figures["queue_updates_per_s"] > 0
    assert math.isfinite(figures["command_during_ms"]) and math.isfinite(figures["victim_answers_during_ms"])
    assert figures["newcomer_before_s"] > 0 and math.isfinite(figures["victim_rise_mb"])
