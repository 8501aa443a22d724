"""`phaselock bench clock`: compare the clock filters on the same exchanges.

There are three sources of exchanges. Simulated networks and clocks: the true offset is known. Real UDP over the
impaired relay to a host whose clock has another rate: it is known too. Recorded traces: an estimate from the whole
trace stands in for it. One more case measures what the MACs of an exchange cost.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import math
import pathlib
import random
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import scipy.optimize

from phaselock import _native
from phaselock.bench.analysis import stats
from phaselock.bench.interface import Bench
from phaselock.bench.lab.clock_host import CLOCK_KEY, PEER_ID, ClockHost
from phaselock.bench.lab.exchanges import random_crystal, simulate
from phaselock.bench.lab.links import PROFILES, Link
from phaselock.bench.lab.relay import Relay, peer_ip
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.model.choices import FILTERS
from phaselock.sync.clock import PeerClock, clock_status
from phaselock.sync.trace import Exchange, read_trace, round_trip_ns

TRACES = 20
"""Simulated for each profile and seed."""
SINCE_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Times after joining at which errors are plotted."""
AFTER_S = 5
"""Time after joining for the metrics of a new peer."""
HOST_SKEW_PPM, HOST_AHEAD_NS = 40.0, 1_000_000_000_000
MAX_REAL_S = 120
"""Longest measurement of real exchanges, which takes real time."""
_TRAIN_GAP_NS = 20_000_000
"""A longer time between two exchanges separates two trains."""
_POLL_S = 0.5
_UNKNOWN_US = 1e300
"""Stands for an infinite error: finite, because percentiles interpolate."""
_PACKET_BYTES, _HASHES = 29, 4
"""What a MAC covers, and how often it is computed in an exchange: made and checked, of a ping and of a pong."""
_BATCHES, _BATCH = 200, 100
"""Numbers of times that are measured, and of exchanges in each."""
_PIECE_S, _STEP_S = 120.0, 30.0
"""Length of the pieces in which the rate of a clock is taken as constant, and the distance of their middles."""

Floats = npt.NDArray[np.float64]
TrueOffset = Callable[[Sequence[int]], Floats]
"""Offset of the host's clock at these local times, (times,) float64 in ns, minus `ReferenceTrace.base_ns`."""


@frozen
class ReferenceTrace:
    """Exchanges, and the true offset."""

    exchanges: Sequence[Exchange]
    truth: TrueOffset
    joined_ns: int
    """Local time of the first ping."""

    @property
    def base_ns(self) -> int:
        """The offset of the first exchange: other offsets minus this one fit in a float."""
        return self.exchanges[0][1] - self.exchanges[0][0]


@frozen
class FilterErrors:
    """The errors of one filter on one trace, and the uncertainty that it claimed (one standard deviation), at times
    after joining. Each has the shape (times,); NaN before the filter knew anything."""

    at_s: Floats
    error_us: Floats
    claim_us: Floats


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Measure recorded, simulated and real exchanges. Raise PhaseLockError if a trace or a network is of no use."""
    traces = options.trace or []
    real_s = min(options.trace_s, MAX_REAL_S)
    parts: list[tuple[float, Callable[[Callable[[float, str], None]], None]]] = [
        (10.0 * len(traces), lambda progress: _recorded(traces, bench, progress)),
        (0.1 * options.trace_s * len(options.seeds), lambda progress: _simulated(options, bench, progress)),
        (float(real_s * len(options.seeds)), lambda progress: _real(options, real_s, bench, progress)),
    ]
    whole, done = sum(weight for weight, _ in parts), 0.0
    for weight, work in parts:

        def progress(share: float, doing: str, began: float = done, part: float = weight) -> None:
            bench.progress((began + part * share) / whole, doing)

        work(progress)
        done += weight
    bench.add(mac_case(len(options.seeds)))


# -- how wrong a filter is ---------------------------------------------------------------------------------------------


def published_maps(exchanges: Sequence[Exchange], kind: str) -> Iterator[tuple[int, _native.ClockMapValue]]:
    """The clock maps that the pinger publishes, as (local time, map): one after each train, and one after each
    BURST_UPDATE_ANSWERS measurements of the first train."""
    clock = _native.ClockFilter(kind)
    for number, exchange in enumerate(exchanges, 1):
        clock.add(*exchange)
        arrived_ns = exchange[3]
        last = number == len(exchanges) or exchanges[number][3] - arrived_ns > _TRAIN_GAP_NS
        if last or (number <= _native.BURST_PINGS and number % _native.BURST_UPDATE_ANSWERS == 0):
            clock_map = clock.map(arrived_ns)
            if clock_map:
                yield arrived_ns, clock_map


def filter_errors(trace: ReferenceTrace, kind: str, seconds: float) -> FilterErrors:
    """The errors of this filter at SINCE_S and in every second of the second half."""
    at_s = np.unique([*(one for one in SINCE_S if one <= seconds), *np.arange(math.ceil(seconds / 2), seconds + 0.5)])
    at_ns = [trace.joined_ns + round(one * 1e9) for one in at_s]
    published = list(published_maps(trace.exchanges, kind))
    known = np.searchsorted(np.array([since_ns for since_ns, _ in published], np.int64), at_ns, "right")
    guess_ns, claim_ns = np.full(len(at_s), np.nan), np.full(len(at_s), np.nan)
    for k, (count, now_ns) in enumerate(zip(known, at_ns, strict=True)):
        if count:
            since_ns, clock_map = published[count - 1]
            guess_ns[k] = clock_map.offset_ns - trace.base_ns + clock_map.drift * (now_ns - clock_map.local_ns)
            claim_ns[k] = clock_status(clock_map, since_ns, 0, now_ns=now_ns).uncertainty_ns
    return FilterErrors(at_s, (guess_ns - trace.truth(at_ns)) / 1000, claim_ns / 1000)


# -- where exchanges come from -----------------------------------------------------------------------------------------


def simulated_trace(link: Link, seconds: float, seed: str) -> ReferenceTrace:
    """Simulate a peer with a random crystal that joins over such a link. Raise PhaseLockError if no exchange
    arrives."""
    crystal = random_crystal(random.Random(seed))
    exchanges = simulate(link, crystal, seconds, seed)
    if not exchanges:
        raise PhaseLockError("No exchange arrives over this link.")
    base_ns = exchanges[0][1] - exchanges[0][0]

    def truth(at_ns: Sequence[int]) -> Floats:
        return np.array([_true_ns(crystal.local_ns, local_ns) - local_ns - base_ns for local_ns in at_ns], float)

    return ReferenceTrace(exchanges, truth, crystal.local_ns(0))


def _true_ns(clock: Callable[[int], int], shown_ns: int) -> int:
    """True time at which a clock with nearly the right rate showed `shown_ns`, by three steps of a fixed-point
    iteration."""
    true_ns = shown_ns - clock(0)
    for _ in range(3):
        true_ns -= clock(true_ns) - shown_ns
    return true_ns


@contextlib.contextmanager
def _peer(link: Link, seed: int) -> Iterator[tuple[ClockHost, PeerClock, int]]:
    """A host's clock and a peer's, both with such a link, with the relay between them, and the local time of
    joining."""
    with ClockHost(peer_ip(0), HOST_SKEW_PPM, HOST_AHEAD_NS) as host:
        with Relay("127.0.0.1", host.port, host.port, link, [link], seed):
            joined_ns = _native.now_ns()
            clock = PeerClock(peer_ip(0), host.port, PEER_ID, CLOCK_KEY)
            try:
                yield host, clock, joined_ns
            finally:
                clock.close()


def measured_traces(seconds: float, seed: int, progress: Callable[[float], None]) -> dict[str, ReferenceTrace]:
    """Measure real exchanges over all profiles at once. The true offset comes from readings of both clocks. Raise
    PhaseLockError if a profile gives no exchange."""
    names = list(PROFILES)
    measured: dict[str, list[Exchange]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        first: dict[str, tuple[int, int]] = {}
        peers = {name: stack.enter_context(_peer(PROFILES[name], seed)) for name in names}
        for name, (host, _, _) in peers.items():
            first[name] = host.compare_ns()
        began_s = time.monotonic()
        while (left_s := began_s + seconds + 0.5 - time.monotonic()) > 0:
            progress(1 - left_s / (seconds + 0.5))
            time.sleep(min(left_s, _POLL_S))
            for name, (_, clock, _) in peers.items():
                so_far = measured[name]
                so_far += clock.exchanges(so_far[-1] if so_far else None)
        last = {name: host.compare_ns() for name, (host, _, _) in peers.items()}
    for name in names:
        if not measured[name]:
            raise PhaseLockError(
                f"No answer of the clock came through the relay ({name}). Is there a firewall on the loopback?"
            )
    return {
        name: ReferenceTrace(measured[name], _line_through(measured[name], first[name], last[name]), peers[name][2])
        for name in names
    }


def _line_through(exchanges: Sequence[Exchange], first: tuple[int, int], last: tuple[int, int]) -> TrueOffset:
    """The line through two readings of both clocks, which both run at constant rates."""
    base_ns = exchanges[0][1] - exchanges[0][0]
    offset_ns = first[1] - first[0] - base_ns
    slope = (last[1] - last[0] - base_ns - offset_ns) / (last[0] - first[0])

    def truth(at_ns: Sequence[int]) -> Floats:
        return np.array([offset_ns + slope * (local_ns - first[0]) for local_ns in at_ns])

    return truth


def estimated_truth(exchanges: Sequence[Exchange]) -> TrueOffset:
    """The best estimate from a whole trace.

    No packet arrives early: the offset is below all that the way there shows, and above all that the way back shows.
    Two parallel lines as far apart as these allow enclose it (after S. Moon, P. Skelly and D. Towsley, INFOCOM 1999);
    the middle is the offset. It is fitted in pieces, because the rate of a clock varies. Each piece uses exchanges from
    after its middle, which no filter can.
    """
    base_ns, origin_ns = exchanges[0][1] - exchanges[0][0], exchanges[0][0]
    sent_s = np.array([one[0] - origin_ns for one in exchanges]) / 1e9
    came_s = np.array([one[3] - origin_ns for one in exchanges]) / 1e9
    there_us = np.array([one[1] - one[0] - base_ns for one in exchanges]) / 1e3
    back_us = np.array([one[2] - one[3] - base_ns for one in exchanges]) / 1e3
    end_s = float(came_s[-1])
    knots_s = np.arange(0, end_s + _STEP_S, _STEP_S) if end_s > _PIECE_S else np.array([0.0, max(end_s, 1e-3)])
    offsets_us = []
    for knot_s in knots_s:
        middle_s = min(max(knot_s, _PIECE_S / 2), max(_PIECE_S / 2, end_s - _PIECE_S / 2))
        piece = np.abs((sent_s + came_s) / 2 - middle_s) <= _PIECE_S / 2
        if np.count_nonzero(piece) < 2:
            offsets_us.append(np.nan)
            continue
        offset_us = _middle_of_parallels(
            sent_s[piece] - knot_s, there_us[piece], came_s[piece] - knot_s, back_us[piece]
        )
        offsets_us.append(offset_us)
    known = np.isfinite(offsets_us)

    def truth(at_ns: Sequence[int]) -> Floats:
        at_s = np.array([local_ns - origin_ns for local_ns in at_ns]) / 1e9
        found: Floats = np.interp(at_s, knots_s[known], np.array(offsets_us)[known]) * 1000
        return found

    return truth


def _middle_of_parallels(sent_s: Floats, there_us: Floats, came_s: Floats, back_us: Floats) -> float:
    """The middle at time 0 of two parallel lines as far apart as possible: one below all `there_us` at `sent_s`, one
    above all `back_us` at `came_s`; NaN if there is no solution. All have the shape (exchanges,)."""
    ones, zeros = np.ones(len(sent_s)), np.zeros(len(sent_s))
    # Maximise above - below with above + slope * sent <= there and below + slope * came >= back.
    rows = np.concatenate([np.stack([ones, zeros, sent_s], 1), np.stack([zeros, -ones, -came_s], 1)])
    found = scipy.optimize.linprog([-1, 1, 0], rows, np.concatenate([there_us, -back_us]), bounds=[(None, None)] * 3)
    if not found.success:
        return math.nan
    above, below, _ = found.x
    return float(above + below) / 2


# -- cases -------------------------------------------------------------------------------------------------------------

ByFilter = dict[str, list[list[FilterErrors]]]
"""For each filter and repeat, the errors on each trace."""


def _simulated(options: argparse.Namespace, bench: Bench, progress: Callable[[float, str], None]) -> None:
    found: dict[str, ByFilter] = {name: collections.defaultdict(list) for name in PROFILES}
    steps = [(seed, name) for seed in options.seeds for name in PROFILES]
    for step, (seed, name) in enumerate(steps):
        repeat: dict[str, list[FilterErrors]] = {kind: [] for kind in FILTERS}
        for number in range(TRACES):
            progress((step + number / TRACES) / len(steps), f"simulated {name}, seed {seed}")
            trace = simulated_trace(PROFILES[name], options.trace_s, f"{seed} {name} {number}")
            for kind in FILTERS:
                repeat[kind].append(filter_errors(trace, kind, options.trace_s))
        for kind in FILTERS:
            found[name][kind].append(repeat[kind])
        about = {"link": dataclasses.asdict(PROFILES[name]), "seconds": options.trace_s, "traces": TRACES}
        _add(
            bench,
            f"simulated {name}",
            about,
            found[name],
            "The network model of the relay, and clocks up to 50 ppm off.",
        )


def _real(options: argparse.Namespace, seconds: float, bench: Bench, progress: Callable[[float, str], None]) -> None:
    found: dict[str, ByFilter] = {name: collections.defaultdict(list) for name in PROFILES}
    for number, seed in enumerate(options.seeds):

        def share(done: float, at: int = number) -> None:
            progress((at + done) / len(options.seeds), "real exchanges over the relay")

        for name, trace in measured_traces(seconds, seed, share).items():
            for kind in FILTERS:
                found[name][kind].append([filter_errors(trace, kind, seconds)])
            about = {"link": dataclasses.asdict(PROFILES[name]), "seconds": seconds, "host_skew_ppm": HOST_SKEW_PPM}
            note = (
                "Real packets and system calls; the three networks are measured at once. A different delay of this "
                "computer itself in the two directions counts as an error, too."
            )
            _add(bench, f"relay {name}", about, found[name], note)


def _recorded(paths: Sequence[pathlib.Path], bench: Bench, progress: Callable[[float, str], None]) -> None:
    for number, path in enumerate(paths):
        progress(number / len(paths), f"trace {number + 1}")
        recorded = read_trace(path)
        exchanges = recorded.exchanges
        seconds = (exchanges[-1][3] - exchanges[0][0]) / 1e9 if exchanges else 0.0
        if seconds < 2 * AFTER_S:
            raise PhaseLockError(
                f"The trace {path} is too short: it has {seconds:.0f} seconds, and {2 * AFTER_S} are needed."
            )
        trace = ReferenceTrace(exchanges, estimated_truth(exchanges), exchanges[0][0])
        round_trips_ms = [round_trip_ns(one) / 1e6 for one in exchanges]
        about = {
            **recorded.header,
            "round_trip_p50_ms": stats.percentile(round_trips_ms, 50),
            "round_trip_p95_ms": stats.percentile(round_trips_ms, 95),
        }
        note = (
            "The true offset of a real network is not known: errors are distances from the line that fits the whole "
            f"trace best, in pieces of {_PIECE_S:.0f} s. If one direction is always slower, half of the difference is "
            "an error of all filters that is not visible here. That line is found by the method of the envelope "
            "filter, which makes this filter look better, and more so the shorter the trace is. A trace begins with "
            "the first ping that was answered, and so does the time here."
        )
        _add(
            bench,
            f"trace {number + 1}",
            about,
            {kind: [[filter_errors(trace, kind, seconds)]] for kind in FILTERS},
            note,
        )


def _add(bench: Bench, name: str, about: dict[str, object], found: ByFilter, note: str) -> None:
    """Add a case for each filter; the first one has the plots of all."""
    plots = tuple(_over_time(name, found, percent) for percent in (50, 95, 99))
    for kind in FILTERS:
        bench.add(_case(f"{name}, {kind}", {**about, "filter": kind}, found[kind], plots, note))
        plots = ()


def _case(
    name: str, about: dict[str, object], repeats: list[list[FilterErrors]], plots: tuple[Plot, ...], note: str
) -> Case:
    settled = [_pooled(repeat, lambda at_s: at_s >= at_s[-1] / 2) for repeat in repeats]
    early = [_pooled(repeat, lambda at_s: at_s == AFTER_S) for repeat in repeats]

    def wrong(of: list[tuple[Floats, Floats]], percent: float) -> tuple[float, ...]:
        return tuple(_percentile(error, percent) for error, _ in of)

    def honest(times: float) -> tuple[float, ...]:
        """Percent of the errors that are within `times` the claim, where there is one."""
        return tuple(_percent_of((np.abs(error) <= times * claim)[np.isfinite(claim)]) for error, claim in settled)

    return Case(
        "clock",
        name,
        about,
        (
            Metric("error_p50_us", "us", wrong(settled, 50)),
            Metric("error_p95_us", "us", wrong(settled, 95)),
            Metric("error_p99_us", "us", wrong(settled, 99)),
            Metric(f"after_{AFTER_S}_s_p50_us", "us", wrong(early, 50)),
            Metric(f"after_{AFTER_S}_s_p95_us", "us", wrong(early, 95)),
            Metric(
                f"known_after_{AFTER_S}_s_percent",
                "%",
                tuple(_percent_of(np.isfinite(error)) for error, _ in early),
                "more",
            ),
            Metric("claimed_us", "us", tuple(_percentile(claim, 50) for _, claim in settled), ""),
            Metric("within_1_claim_percent", "%", honest(1), ""),
            Metric("within_2_claims_percent", "%", honest(2), ""),
        ),
        plots,
        {"repeats": [[dataclasses.asdict(one) for one in repeat] for repeat in repeats]},
        (
            f"Errors of the second half of each trace, and {AFTER_S} s after joining. A clock that is not known yet "
            "has an infinite error, and no claim. A claim is one standard deviation, as the program reports it: of a "
            "normal error, 68 percent are within one and 95 percent within two.",
            note,
        ),
    )


def mac_case(repeats: int) -> Case:
    """The time that the MACs of an exchange take on this computer."""
    packet, found = bytes(_PACKET_BYTES), []
    for _ in range(repeats):
        took_us = []
        for _ in range(_BATCHES):
            began_ns = time.perf_counter_ns()
            for _ in range(_BATCH * _HASHES):
                _native.siphash(CLOCK_KEY, packet)
            took_us.append((time.perf_counter_ns() - began_ns) / _BATCH / 1000)
        found.append(took_us)
    p50, p95 = (tuple(stats.percentile(took_us, percent) for took_us in found) for percent in (50, 95))
    return Case(
        "clock",
        "MACs of an exchange",
        {"hashes": _HASHES, "bytes": _PACKET_BYTES, "exchanges": _BATCHES * _BATCH},
        (Metric("macs_p50_us", "us", p50), Metric("macs_p95_us", "us", p95)),
        samples={"us": found},
        notes=("The calls from Python are included, which the clock threads do without: an upper limit.",),
    )


def _pooled(repeat: list[FilterErrors], when: Callable[[Floats], npt.NDArray[np.bool_]]) -> tuple[Floats, Floats]:
    """The errors and claims of all traces at the times for which `when` is true."""
    error = np.concatenate([one.error_us[when(one.at_s)] for one in repeat])
    claim = np.concatenate([one.claim_us[when(one.at_s)] for one in repeat])
    return error, claim


def _percentile(errors_us: Floats, percent: float) -> float:
    """A percentile of the absolute errors. An unknown offset counts as an infinite error; NaN where the percentile
    reaches one."""
    found = float(np.percentile(np.nan_to_num(np.abs(errors_us), nan=_UNKNOWN_US), percent))
    return found if found < _UNKNOWN_US / 1e100 else math.nan


def _percent_of(which: npt.NDArray[np.bool_]) -> float:
    return float(100 * np.mean(which)) if len(which) else math.nan


def _over_time(name: str, found: ByFilter, percent: int) -> Plot:
    """That percentile of the errors of all traces, over the time after joining."""
    series = []
    for kind in FILTERS:
        every = [one for repeat in found[kind] for one in repeat]
        since_s = [one for one in SINCE_S if one in every[0].at_s]
        wrong = [_percentile(np.array([one.error_us[one.at_s == at][0] for one in every]), percent) for at in since_s]
        series.append(Series(kind, tuple(map(float, since_s)), tuple(wrong)))
    title = f"{name}: error of the clock, {percent} of 100 times"
    return Plot(title, "seconds since joining", "microseconds at most", tuple(series), log_y=True)
