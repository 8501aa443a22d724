"""When the song that plays arrives at the microphone from each machine: the analysis of a check.

The decision rule. A machine is heard only if all of this holds:

- Both halves of its turn have their direct sound at the same time, to MAX_SPREAD_S.
- The noise, which is what the halves do not have in common, has at most MAX_NOISE of the direct sound.
- No pulse before the direct sound has more than MAX_BEFORE of it.

The first machine also has to be heard at the same time in its two turns.

Machines could also be told apart while all of them play, by steps of their levels. In simulated rooms this is not exact
enough: with steps of 0.5 dB for 16 s, three machines had errors of 2.1 ms (median) and 7.4 ms (95th percentile) without
noise, and of 3.4 and 15 ms with noise 10 dB below, because the steps are 25 dB below what all machines have in common.
So the machines play in turns.
"""

from __future__ import annotations

from collections.abc import Sequence

from phaselock import _native
from phaselock.frozen import frozen
from phaselock.model.role import Role
from phaselock.model.sweeps import Arrival, Verdict
from phaselock.model.turns import FADE_NS, length_ns, turns

MAX_BEGIN_ERROR_NS = 300_000_000
"""The begin of a recording is known to this."""
REACH_NS = 800_000_000
"""A machine may be so early or late, with the travel of its sound and MAX_BEGIN_ERROR_NS."""
MAX_SPREAD_S = 0.0002
MAX_NOISE, MAX_BEFORE = 0.2, 0.5
ABSENT_NOISE = 0.5
"""With more noise, nothing is heard at all."""


@frozen
class Heard:
    """What a recording of a check says."""

    arrivals: tuple[Arrival, ...]
    """One for each machine."""
    microphone_ppm: float
    """How much faster the microphone's clock runs than session time."""


def analyse(
    recording: memoryview | bytes,
    rate_hz: int,
    begin_ns: int,
    song: memoryview | bytes | bytearray,
    song_rate_hz: int,
    song_begin_ns: int,
    roles: Sequence[Role],
) -> Heard:
    """Find the direct sound of each machine; `roles` are the channels that they play.

    `recording` is mono float32 at `rate_hz`, and begins `begin_ns` after the check (negative: before it). `song` is
    interleaved stereo float32 and begins `song_begin_ns` after it. Takes some seconds, on a worker thread: it releases
    the GIL. Samples that are not numbers count as silence. ValueError if a rate or a time is out of range.
    """
    order = turns(len(roles))
    shift_s = -song_begin_ns / 1e9
    found, rate_error = _native.find_song(
        _floats(recording)[: max(0, length_ns(len(roles)) + 2 * REACH_NS - begin_ns) * rate_hz // 1_000_000_000],
        rate_hz,
        begin_ns / 1e9 + shift_s,
        _floats(song),
        song_rate_hz,
        [(roles[one], span.begin_ns / 1e9 + shift_s, span.end_ns / 1e9 + shift_s) for one, span in order],
        FADE_NS / 1e9,
        REACH_NS / 1e9,
    )
    verdicts = [_verdict(one) for one in found]
    agree = abs(found[0].delay_s - found[-1].delay_s) <= MAX_SPREAD_S
    if verdicts[0] is Verdict.HEARD and (verdicts[-1] is not Verdict.HEARD or not agree):
        verdicts[0] = Verdict.UNSTEADY
    heard = [one for one, verdict in zip(found[:-1], verdicts[:-1], strict=True) if verdict is Verdict.HEARD]
    return Heard(
        tuple(
            Arrival(
                verdict,
                round((one.delay_s - heard[0].delay_s) * 1e9) if verdict is Verdict.HEARD else None,
                round(one.spread_s * 1e9) if verdict is Verdict.HEARD else 0,
                None,
            )
            for one, verdict in zip(found[:-1], verdicts[:-1], strict=True)
        ),
        rate_error * 1e6,
    )


def _verdict(one: _native.SongArrival) -> Verdict:
    if one.noise > ABSENT_NOISE:
        return Verdict.NOT_HEARD
    if one.noise > MAX_NOISE:
        return Verdict.NOISE
    if one.spread_s > MAX_SPREAD_S:
        return Verdict.UNSTEADY
    return Verdict.ECHO if one.before > MAX_BEFORE else Verdict.HEARD


def _floats(samples: memoryview | bytes | bytearray) -> memoryview[float]:
    whole = memoryview(samples).cast("B")
    return whole[: len(whole) // 4 * 4].cast("f")
