"""The ear: how far apart loudspeakers play, from what left each of them and when, to a fraction of a microsecond.

Every loudspeaker is brought onto one grid of true time: a windowed sinc undoes its rate error and the place of its
first frame. The delay between two is then the highest peak of their generalised cross-correlation with phase transform
(C. H. Knapp and G. C. Carter, "The generalized correlation method for estimation of time delay", IEEE Trans. ASSP-24,
1976), climbed by Newton's method on the correlation as a continuous function.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phaselock.errors import PhaseLockError

Floats = NDArray[np.floating[Any]]

LOUD = 1e-3
"""What counts as the beginning of a sound; full scale is 1."""
QUIET = 1e-4
"""Silence stays below."""
BAND_HZ = (150.0, 11000.0)
"""What is listened to: below, rooms and cards turn the phase; above, MP3s hold little."""
SURE = 2.0
"""A peak this many times as high as the highest other one is no accident."""
CLICK = 2e-8
"""Least share of the power above CLICK_HZ. Songs of bench/songs.py hold 3e-9; a frame lost, or a gap of a
millisecond, gives 3e-8 to 1e-5."""
CLICK_HZ = 16000.0
START_S = 0.1
"""How much of a start is compared."""
TOGETHER_S = 0.003

_TAPS = 16
_PHASES = 4096
_NEIGHBOURHOOD_S = 1e-3
_PIECE_S = 0.01
_OVERLAPPING_NS = 300_000_000
"""Half seconds that begin a quarter apart are closer, others are not."""
_BLOCK_FRAMES = 1 << 20
_MAX_BYTES = 8_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """All that left a loudspeaker while its output was open: frame n at first_ns + n / true_rate_hz, on the clock that
    all machines of the measurement share."""

    first_ns: int
    true_rate_hz: float
    rate_hz: int
    frames: NDArray[np.float32]
    underruns: int = 0
    late_wakes_ms: list[float] = dataclasses.field(default_factory=list)

    @property
    def end_ns(self) -> int:
        """When the last frame is over."""
        return self.first_ns + round(len(self.frames) * 1e9 / self.true_rate_hz)


class Loudspeaker:
    """What one machine played: its recordings, one for each time its output was opened, and silence between them."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.recordings = sorted((one for one in recordings if len(one.frames)), key=lambda one: one.first_ns)

    @property
    def underruns(self) -> int:
        """Blocks that came too late to be heard."""
        return sum(one.underruns for one in self.recordings)

    @property
    def late_wakes_ms(self) -> list[float]:
        """How late the machine was, each time it was far too late."""
        return [late for one in self.recordings for late in one.late_wakes_ms]

    def cut(self, middle_ns: int, frames: int, rate_hz: float) -> NDArray[np.float64]:
        """So many frames of that rate, in true time, around that moment; zeros where nothing was played."""
        grid_s = (np.arange(frames, dtype=np.float64) - (frames - 1) / 2) / rate_hz
        found = np.zeros(frames)
        for one in self.recordings:
            # The difference of the integers comes first: as floats they would be good to a quarter of a microsecond.
            positions = ((middle_ns - one.first_ns) * 1e-9 + grid_s) * one.true_rate_hz
            if positions[-1] > 0 and positions[0] < len(one.frames):
                found += _interpolated(one.frames, positions)
        return found

    def stretches(self, level: float, least_silence_s: float) -> list[tuple[int, int]]:
        """The true times, in nanoseconds, of the first and the last frame above that level of each stretch of sound
        that holds no silence so long."""
        least_ns = round(least_silence_s * 1e9)
        found: list[tuple[int, int]] = []
        for one in self.recordings:
            # All at once would need gigabytes for an hour.
            for first in range(0, len(one.frames), _BLOCK_FRAMES):
                loud = first + np.flatnonzero(np.abs(one.frames[first : first + _BLOCK_FRAMES]) > level)
                if not len(loud):
                    continue
                times = one.first_ns + np.rint(loud * (1e9 / one.true_rate_hz)).astype(np.int64)
                breaks = np.flatnonzero(np.diff(times) >= least_ns)
                begins, ends = [0, *(breaks + 1)], [*breaks, -1]
                parts = [(int(times[begin]), int(times[end])) for begin, end in zip(begins, ends, strict=True)]
                if found and parts[0][0] - found[-1][1] < least_ns:
                    parts[0] = found.pop()[0], parts[0][1]
                found += parts
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """A time in which all played: `offsets_us[k]` is how much later loudspeaker k plays than loudspeaker 0."""

    at_s: float
    offsets_us: tuple[float, ...]
    sure: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """A beginning of sound that all share.

    `offsets_us` tells by the sound itself how much later loudspeaker k is than loudspeaker 0, `first_loud_us` by its
    first frame above LOUD, which a fade or a little noise deceives. `together`: nobody let the others begin alone by
    more than a few milliseconds.
    """

    at_s: float
    offsets_us: tuple[float, ...]
    first_loud_us: tuple[float, ...]
    sure: bool
    together: bool


def read_recording(path: pathlib.Path) -> Recording:
    """A recording of the virtual sound card: PATH.json and PATH.f32. PhaseLockError for anything else."""
    try:
        notes = json.loads(path.read_text("utf-8"))
        channels = _within(notes["channels"], 1, 32)
        sound = path.with_suffix(".f32")
        if sound.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        played = np.fromfile(sound, "<f4")
        recording = Recording(
            first_ns=int(_within(notes["first_ns"], -(2**62), 2**62)),
            true_rate_hz=_within(notes["true_rate_hz"], 1000, 1_000_000),
            rate_hz=int(_within(notes["rate_hz"], 1000, 1_000_000)),
            frames=played[: len(played) // int(channels) * int(channels) : int(channels)].astype(np.float32),
            underruns=len(notes["underruns"]),
            late_wakes_ms=[_within(late_ms, 0, math.inf) for _, late_ms in notes["late_wakes"]],
        )
        if not np.isfinite(recording.frames).all():
            raise ValueError("it holds what is no sound")
        return recording
    except OSError as error:
        raise PhaseLockError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise PhaseLockError(f"{path} is not a recording: {reason}.") from None


def distances(
    loudspeakers: Sequence[Loudspeaker],
    window_s: float = 0.5,
    hop_s: float = 0.5,
    max_lag_s: float = 0.5,
    quiet: float = QUIET,
) -> list[Window]:
    """How far apart they play, for each window in which all of them play without silence. Seconds count from the moment
    at which the first recording began."""
    if len(loudspeakers) < 2 or not all(one.recordings for one in loudspeakers):
        return []
    rate_hz = _rate_hz(loudspeakers)
    frames = round(window_s * rate_hz)
    begin_ns = _begin_ns(loudspeakers)
    first_ns = max(one.recordings[0].first_ns for one in loudspeakers)
    last_ns = min(one.recordings[-1].end_ns for one in loudspeakers)
    hop_ns, half_ns = round(hop_s * 1e9), round(window_s * 5e8)
    hops = max(0, -(-(first_ns - begin_ns) // hop_ns))
    found = []
    for middle_ns in range(begin_ns + hops * hop_ns + half_ns, last_ns - half_ns + 1, hop_ns):
        cuts = [one.cut(middle_ns, frames, rate_hz) for one in loudspeakers]
        if any(_falls_silent(cut, rate_hz, quiet) for cut in cuts):
            continue
        lags = [
            _lag(one, middle_ns, cut, cuts[0], rate_hz, max_lag_s)
            for one, cut in zip(loudspeakers[1:], cuts[1:], strict=True)
        ]
        sure = all(height > SURE for _, height in lags)
        found.append(Window((middle_ns - begin_ns) / 1e9, (0.0, *(lag_s * 1e6 for lag_s, _ in lags)), sure))
    return found


def spread_us(window: Window | Start) -> float:
    """The greatest distance between two."""
    return max(window.offsets_us) - min(window.offsets_us)


def starts_ns(loudspeaker: Loudspeaker, silence_s: float = 0.25) -> list[int]:
    """When sound begins after at least so much silence, by its first frame above LOUD."""
    return [begin_ns for begin_ns, _ in loudspeaker.stretches(LOUD, silence_s)]


def start_distances(
    loudspeakers: Sequence[Loudspeaker], silence_s: float = 0.25, max_lag_s: float = 0.5
) -> list[Start]:
    """How far apart they start, for each start that all of them share, by the first START_S in which all sound."""
    if len(loudspeakers) < 2:
        return []
    starts = [starts_ns(one, silence_s) for one in loudspeakers]
    found = []
    for first in starts[0]:
        near = [min(own, key=functools.partial(_apart, first)) for own in starts if own]
        if len(near) == len(loudspeakers) and all(_apart(first, one) <= max_lag_s * 1e9 for one in near):
            found.append(_start(loudspeakers, near))
    return found


def silences(loudspeaker: Loudspeaker, least_ms: float = 3, quiet: float = QUIET) -> list[tuple[int, float]]:
    """Every silence inside what was played, when it begins, in true nanoseconds, and how many milliseconds it lasts: a
    pause makes one, any other is a dropout."""
    stretches = loudspeaker.stretches(quiet, least_ms / 1e3)
    return [(end, round((begin - end) / 1e6, 2)) for (_, end), (begin, _) in itertools.pairwise(stretches)]


def silences_ms(loudspeaker: Loudspeaker, least_ms: float = 3, quiet: float = QUIET) -> list[float]:
    """How long each of the `silences` lasts."""
    return [lasts_ms for _, lasts_ms in silences(loudspeaker, least_ms, quiet)]


def clicks(loudspeaker: Loudspeaker) -> list[int]:
    """Where, in true nanoseconds to a quarter of a second, there is a click: a gap or a jump, which sounds above
    CLICK_HZ, where the song has nothing."""
    return standing_out(treble(loudspeaker), CLICK)


def standing_out(shares: Sequence[tuple[int, float]], least: float) -> list[int]:
    """The moments of the clicks in what `treble` found, by shares above `least`. Half seconds overlap and one click is
    in two of them: of neighbours two are one click, and a run of more holds as few as can have made it."""
    found: list[int] = []
    pair_ns: int | None = None  # the first half second of a click, while the one that overlaps it may hold it as well
    for middle_ns, share in shares:
        if share <= least:
            continue
        if pair_ns is not None and middle_ns - pair_ns < _OVERLAPPING_NS:
            found[-1] = (pair_ns + middle_ns) // 2
            pair_ns = None
        else:
            found.append(middle_ns)
            pair_ns = middle_ns
    return found


def treble(loudspeaker: Loudspeaker, quiet: float = LOUD) -> list[tuple[int, float]]:
    """The middle of each half second, in true nanoseconds, and the share of its power above CLICK_HZ. Half seconds with
    silence in them are left out, and with them whatever a fade at the edge of one does."""
    found = []
    for one in loudspeaker.recordings:
        frames = one.rate_hz // 2
        bell = np.hanning(frames)
        for first in range(0, len(one.frames) - frames + 1, frames // 2):
            part = one.frames[first : first + frames].astype(np.float64)
            if _falls_silent(part, one.rate_hz, quiet):
                continue
            power = np.abs(np.fft.rfft(part * bell)) ** 2
            share = float(power[math.ceil(CLICK_HZ * frames / one.rate_hz) :].sum() / power.sum())
            found.append((one.first_ns + round((first + frames / 2) * 1e9 / one.true_rate_hz), share))
    return found


def delay(sound: Floats, reference: Floats, rate_hz: float, max_lag_s: float) -> tuple[float, float]:
    """How many seconds later `sound` is than `reference`, whatever their polarity, and how many times as high as the
    highest other peak the peak is that says so (see SURE)."""
    size = _fast_size(len(sound) + len(reference))
    cross = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    low_hz, high_hz = BAND_HZ
    bins = np.arange(math.ceil(low_hz * size / rate_hz), int(min(high_hz, 0.45 * rate_hz) * size / rate_hz) + 1)
    magnitude = np.abs(cross[bins])
    # Where next to nothing is heard the phase is chance: such bins shall count for less.
    white = cross[bins] / (magnitude + 1e-3 * magnitude.mean() + 1e-30)
    whole = np.zeros(size // 2 + 1, np.complex128)
    whole[bins] = white
    limit = min(int(max_lag_s * rate_hz), (size - 1) // 2)
    correlation = np.fft.irfft(whole, size)
    heights = np.abs(np.concatenate([correlation[size - limit :], correlation[: limit + 1]]))
    peak = int(np.argmax(heights))
    lag = float(peak - limit)
    omega = bins * (2 * math.pi / size)
    for _ in range(4):
        turned = white * np.exp(1j * omega * lag)
        slope, bend = float((omega * turned.imag).sum()), float((omega**2 * turned.real).sum())
        if bend == 0:
            break
        lag -= min(1.0, max(-1.0, slope / bend))
    near = round(_NEIGHBOURHOOD_S * rate_hz)
    others = np.concatenate([heights[: max(0, peak - near)], heights[peak + near + 1 :]])
    highest = float(others.max()) if len(others) else 0.0
    return lag / rate_hz, float(heights[peak]) / max(highest, 1e-12)


def _start(loudspeakers: Sequence[Loudspeaker], starts: Sequence[int]) -> Start:
    rate_hz = _rate_hz(loudspeakers)
    frames = round(START_S * rate_hz)
    half_ns = round(START_S * 5e8)
    all_sound_ns = max(starts) + half_ns
    offsets_us, sure = [0.0], True
    for one, start in zip(loudspeakers[1:], starts[1:], strict=True):
        sound, expected = (each.cut(all_sound_ns, frames, rate_hz) for each in (one, loudspeakers[0]))
        lag_s, height = _lag(one, all_sound_ns, sound, expected, rate_hz, START_S / 2)
        if height <= SURE:
            # Too far apart to share much of so short a time: perhaps the same sound follows both beginnings.
            sound = one.cut(start + half_ns, frames, rate_hz)
            expected = loudspeakers[0].cut(starts[0] + half_ns, frames, rate_hz)
            lag_s, height = _lag(one, start + half_ns, sound, expected, rate_hz, START_S / 2)
            lag_s += (start - starts[0]) / 1e9
        offsets_us.append(lag_s * 1e6)
        sure &= height > SURE
    first_loud_us = tuple((start - starts[0]) / 1e3 for start in starts)
    alone_us = [loud - offset for loud, offset in zip(first_loud_us, offsets_us, strict=True)]
    return Start(
        at_s=(starts[0] - _begin_ns(loudspeakers)) / 1e9,
        offsets_us=tuple(offsets_us),
        first_loud_us=first_loud_us,
        sure=sure,
        together=max(alone_us) - min(alone_us) <= TOGETHER_S * 1e6,
    )


def _apart(one_ns: int, other_ns: int) -> int:
    return abs(one_ns - other_ns)


def _lag(
    one: Loudspeaker,
    middle_ns: int,
    sound: NDArray[np.float64],
    expected: NDArray[np.float64],
    rate_hz: int,
    max_lag_s: float,
) -> tuple[float, float]:
    """`delay` of a sound cut from `one` around that moment, measured once more around what was found if so large a lag
    leaves too little in common."""
    lag_s, height = delay(sound, expected, rate_hz, max_lag_s)
    if height <= SURE or abs(lag_s) * rate_hz <= len(sound) / 20:
        return lag_s, height
    lag_ns = round(lag_s * 1e9)
    rest_s, height = delay(one.cut(middle_ns + lag_ns, len(sound), rate_hz), expected, rate_hz, max_lag_s)
    return lag_ns / 1e9 + rest_s, height


def _interpolated(frames: NDArray[np.float32], positions: Floats) -> NDArray[np.float64]:
    """The sound at these fractional frames, which ascend, by a sinc under Kaiser's window; zero outside."""
    lowest = math.floor(positions[0]) - _TAPS // 2 + 1
    highest = math.floor(positions[-1]) + _TAPS // 2 + 1
    part = np.zeros(highest - lowest + 1)
    inside = frames[max(0, lowest) : max(0, highest + 1)]
    part[max(0, -lowest) : max(0, -lowest) + len(inside)] = inside
    steps = np.rint((positions - lowest - (_TAPS // 2 - 1)) * _PHASES).astype(np.int64)
    whole, phase = steps // _PHASES, steps % _PHASES
    windows = np.lib.stride_tricks.sliding_window_view(part, _TAPS)
    found: NDArray[np.float64] = np.einsum("ij,ij->i", windows[whole], _SINC[phase])
    return found


def _sinc_table() -> NDArray[np.float64]:
    taps = np.arange(_TAPS) - (_TAPS // 2 - 1) - np.arange(_PHASES)[:, None] / _PHASES
    bell = np.i0(8.0 * np.sqrt(np.clip(1 - (taps / (_TAPS / 2)) ** 2, 0, 1))) / np.i0(8.0)
    table: NDArray[np.float64] = np.sinc(taps) * bell
    return table


_SINC = _sinc_table()


def _falls_silent(sound: NDArray[np.float64], rate_hz: float, level: float) -> bool:
    """Whether there is a hundredth of a second in which nothing is above that level."""
    piece = round(_PIECE_S * rate_hz)
    pieces = np.abs(sound[: len(sound) // piece * piece]).reshape(-1, piece)
    return bool((pieces.max(axis=1) < level).any())


def _rate_hz(loudspeakers: Sequence[Loudspeaker]) -> int:
    """The rate of the common grid: the lowest, for no recording holds more."""
    return min(one.rate_hz for loudspeaker in loudspeakers for one in loudspeaker.recordings)


def _begin_ns(loudspeakers: Sequence[Loudspeaker]) -> int:
    return min(one.recordings[0].first_ns for one in loudspeakers if one.recordings)


def _fast_size(least: int) -> int:
    """The next length whose Fourier transform is fast: an even one without prime factors above 5."""
    size = least + least % 2
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


def _within(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is out of range")
    return value
