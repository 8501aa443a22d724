"""When the sounds of a calibration pass arrive at the microphone, and what a recording cannot say.

The decision rule. A machine is heard only if all of this holds (ext/pl_places.c and pl_direct.c have the constants):

- All its repeats are in the recording at one common delay and correlate there, each with each. So the echoes of the
  room must be the same at each repeat.
- The direct sound, which is the first pulse, stands out of the noise, which is what the repeats do not have in common.
  There is no doubtful pulse before it, and before it the noise can hide none that has more than 36 % of the strongest
  echo.
- The repeats agree to 0.1 ms.
- At most MAX_CLIPPED_SHARE of the recording is at full scale: the distortion of more looks like earlier sounds.

Noise alone is taken for a machine less than once in 1000 machines: each pair of repeats must correlate by chance, and
the common response must have a pulse of 4.5 times the noise (none of 3200 in tests/audio/test_listening.py).
`phaselock bench calibrate` measures how often a machine that does not sound is heard, and how often one is heard at a
wrong time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from phaselock import _native
from phaselock.audio.sweeps import sweep
from phaselock.frozen import frozen
from phaselock.model.sweeps import HIGH_HZ, LEVEL, LOW_HZ, MAX_HIDDEN_NS, Arrival, Sounds, Verdict, length_ns

MAX_BEGIN_ERROR_NS = 300_000_000
"""The begin of a recording is known to this."""
MIN_RATE_HZ, MAX_RATE_HZ = 16_000, 96_000
MAX_CLIPPED_SHARE = 0.05
SILENCE = 2 / 32768
"""Largest amplitude of silence: the dither of a converter of 16 bits."""
_MAX_TRAVEL_NS = 50_000_000
"""In 50 ms, sound travels 17 m."""
_BAND_EDGE = 0.06
"""The ends of the sweep's range are not used, as a share: there it fades."""
_QUIET_DB = -12.0
"""A machine that is so far below the median of the machines that are heard is too quiet."""
_AUDIBLE_DB = -40.0
"""If noise would hide a sweep of this level, the room is too loud."""


@frozen
class Heard:
    """What a recording of one pass says."""

    arrivals: tuple[Arrival, ...]
    """One for each machine."""
    microphone_ppm: float | None
    """How much faster the microphone's clock runs than session time; None if no machine was found."""
    clipped_share: float
    """Share of the frames at full scale, 0 to 1. If it is above MAX_CLIPPED_SHARE, no machine is heard."""


def analyse(recording: memoryview | bytes, rate_hz: int, begin_ns: int, sounds: Sequence[Sounds]) -> Heard:
    """Find the sounds of all machines in a recording (mono float32, as a buffer or as bytes) at `rate_hz`.

    `begin_ns` is the time of the first recorded frame after the begin of the pass (negative: before it), known to
    MAX_BEGIN_ERROR_NS. Takes about half a second for six machines, on a worker thread: it releases the GIL. Samples
    that are not numbers count as silence. What was recorded after the last sound can have arrived is ignored.
    ValueError if the rate is not within MIN_RATE_HZ and MAX_RATE_HZ, or the recording begins more than a minute
    before or after the pass.
    """
    whole = memoryview(recording).cast("B")
    samples = whole[: len(whole) // 4 * 4].cast("f")
    reach_ns = MAX_HIDDEN_NS + MAX_BEGIN_ERROR_NS + _MAX_TRAVEL_NS
    needed_ns = length_ns(sounds) + 2 * reach_ns - begin_ns
    samples = samples[: max(0, needed_ns) * rate_hz // 1_000_000_000]
    found, rate_error, clipped = _native.find_arrivals(
        samples,
        rate_hz,
        [sweep(upward, rate_hz) for upward in (False, True)],
        LOW_HZ * (1 + 2 * _BAND_EDGE),
        min(HIGH_HZ, rate_hz - HIGH_HZ) * (1 - _BAND_EDGE),
        -begin_ns / 1e9,
        reach_ns / 1e9,
        [(int(one.upward), [start_ns / 1e9 for start_ns in one.starts_ns]) for one in sounds],
    )
    placed = [one for one in found if one.verdict not in (_native.ARRIVAL_ABSENT, _native.ARRIVAL_UNSTEADY)]
    clipped_share = clipped / max(1, len(samples))
    if clipped_share > MAX_CLIPPED_SHARE:
        found = [one._replace(verdict=_native.ARRIVAL_NOISE) for one in found]
    return Heard(tuple(_arrival(one, found) for one in found), rate_error * 1e6 if placed else None, clipped_share)


def is_silent(recording: memoryview | bytes) -> bool:
    """Whether a recording (mono float32) has no more than SILENCE in it: so delivers a muted microphone, and a real one
    never does."""
    samples = memoryview(recording).cast("B").cast("f")
    return not samples or max(max(samples), -min(samples)) <= SILENCE


def _arrival(one: _native.SweepArrival, found: Sequence[_native.SweepArrival]) -> Arrival:
    heard = [other for other in found if other.verdict == _native.ARRIVAL_HEARD]
    level_db = _level_db(one)
    if one.verdict == _native.ARRIVAL_HEARD:
        offset_ns = round((one.arrival_s - heard[0].arrival_s) * 1e9)
        return Arrival(Verdict.HEARD, offset_ns, round(one.spread_s * 1e9), level_db)
    if one.verdict == _native.ARRIVAL_ECHO:
        verdict = Verdict.ECHO
    elif one.verdict == _native.ARRIVAL_UNSTEADY:
        verdict = Verdict.UNSTEADY
    elif one.verdict == _native.ARRIVAL_NOISE:
        levels_db = [level for other in heard if (level := _level_db(other)) is not None]
        quiet = levels_db and level_db is not None and level_db < statistics.median(levels_db) + _QUIET_DB
        verdict = Verdict.TOO_QUIET if quiet else Verdict.NOISE
    else:
        audible = statistics.median([other.peak for other in heard]) if heard else 10 ** (_AUDIBLE_DB / 20)
        verdict = Verdict.NOISE if one.noise > audible else Verdict.NOT_HEARD
    return Arrival(verdict, None, 0, level_db)


def _level_db(one: _native.SweepArrival) -> float | None:
    """Of a sweep of full scale, which has more than LEVEL."""
    return 20 * math.log10(one.level * LEVEL) if one.level > 0 else None
