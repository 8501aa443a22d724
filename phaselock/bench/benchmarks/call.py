"""`phaselock bench call`: how long the packets of a call wait on a home's uplink while songs go to friends elsewhere.

Simulated (lab/bottleneck.py), so that it tells of the congestion control and not of the machine on which it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from phaselock.bench.interface import Bench
from phaselock.bench.lab.bottleneck import Outcome, S, bottleneck
from phaselock.bench.results import Case, Metric, Plot, Series

UPLINKS_MBIT = (5, 10, 20, 50)
FRIENDS = (1, 2, 5)
RTT_MS, JITTER_MS = 40, 1
SONGS_AT_S, STEADY_AT_S, UNTIL_S = 2, 4, 20
"""When the songs start, from when on the flows count as steady, and the end."""
SHORT_QUEUE_MS = 100
"""What a router with a short queue holds: packets that wait longer are lost there."""


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Simulate each uplink with each number of friends, with every seed."""
    runs = [(mbit, friends) for mbit in UPLINKS_MBIT for friends in FRIENDS]
    for number, (mbit, friends) in enumerate(runs):
        bench.progress(number / len(runs), f"{mbit} Mbit/s, {friends} friends")
        found = [
            bottleneck(mbit, RTT_MS, [SONGS_AT_S] * friends, until_s=UNTIL_S, jitter_ms=JITTER_MS, call_s=0, seed=seed)
            for seed in options.seeds
        ]
        bench.add(case(mbit, friends, options.seeds, found))


def case(mbit: int, friends: int, seeds: Sequence[int], found: Sequence[Outcome]) -> Case:
    """One uplink with one number of friends; an outcome for each seed."""
    steady_ns = STEADY_AT_S * S
    waits = found[0].call_waits
    return Case(
        benchmark="call",
        name=f"{mbit} Mbit/s, {friends} friend{'' if friends == 1 else 's'}",
        parameters={"mbit": mbit, "friends": friends, "rtt_ms": RTT_MS, "jitter_ms": JITTER_MS, "seeds": seeds},
        figures=(
            Metric("wait_p50_ms", "ms", tuple(one.call_wait_ms(0.5, steady_ns) for one in found)),
            Metric("wait_p95_ms", "ms", tuple(one.call_wait_ms(0.95, steady_ns) for one in found)),
            Metric("start_worst_ms", "ms", tuple(one.call_wait_ms(1) for one in found)),
            Metric("lost_percent", "%", tuple(_lost_percent(one) for one in found)),
            Metric("of_limit_percent", "%", tuple(100 * one.use for one in found), "more"),
            Metric("least_share", "", tuple(min(one.shares) for one in found), "more"),
        ),
        plots=(
            Plot(
                "How long each packet of the call waited",
                "seconds",
                "ms",
                (Series(f"seed {seeds[0]}", tuple(at / 1e9 for at, _ in waits), tuple(one / 1e6 for _, one in waits)),),
            ),
        ),
        samples={"wait_us": [[wait_ns // 1000 for _, wait_ns in one.call_waits] for one in found]},
        notes=(
            f"Without songs no packet of the call waits. The songs start after {SONGS_AT_S} s. Lost is what waits "
            f"longer than {SHORT_QUEUE_MS} ms. The limit is what the call leaves of the link.",
        ),
    )


def _lost_percent(found: Outcome) -> float:
    lost = sum(wait_ns > SHORT_QUEUE_MS * 1_000_000 for _, wait_ns in found.call_waits)
    return 100 * lost / len(found.call_waits)
