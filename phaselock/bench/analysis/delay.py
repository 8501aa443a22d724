"""Estimate how far apart loudspeakers play, from recordings of what left each of them, to a fraction of a microsecond.

Every recording is resampled onto one grid of true time by a windowed sinc, which removes the rate error of its card and
the fractional position of its first frame. The delay between two loudspeakers is the highest peak of their generalised
cross-correlation with phase transform (C. H. Knapp and G. C. Carter, "The generalized correlation method for estimation
of time delay", IEEE Trans. ASSP-24, 1976), refined by Newton's method on the correlation as a continuous function.

A level is an amplitude; full scale is 1. True time is the clock that all machines of a measurement share.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen

Floats = NDArray[np.floating[Any]]

ONSET_LEVEL = 1e-3
"""A sound begins at its first frame above this level."""
SILENCE_LEVEL = 1e-4
"""Silence stays below this level."""
BAND_HZ = (150.0, 11000.0)
"""The correlation uses this band: below it, rooms and cards turn the phase; above it, MP3s contain little."""
MIN_PEAK_RATIO = 2.0
"""A delay is reliable if its peak is at least this many times as high as the highest other peak."""
MIN_CLICK_HZ = 16000.0
"""Songs of lab/signals.py contain nothing above this frequency; a click does."""
MIN_CLICK_SHARE = 2e-8
"""A half second with a larger share of its power above MIN_CLICK_HZ contains a click. Songs of lab/signals.py reach
3e-9; a lost frame or a gap of 1 ms gives 3e-8 to 1e-5."""
START_WINDOW_S = 0.1
"""Length of the sound after a start that is compared."""
MAX_TOGETHER_S = 0.003
"""Loudspeakers start together if no one plays alone for longer than this."""

_TAPS = 16
_PHASES = 4096
_PEAK_WIDTH_S = 1e-3
"""Other peaks nearer than this belong to the highest one."""
_SILENT_PIECE_S = 0.01
"""A window is silent if a piece of this length has no frame above the silence level."""
_OVERLAPPING_NS = 300_000_000
"""Half seconds whose middles are closer than this overlap: they follow each other every quarter of a second."""
_BLOCK_FRAMES = 1 << 20
_MAX_FILE_BYTES = 8_000_000_000


@frozen
class Recording:
    """What left a loudspeaker while its output was open.

    `frames` has the shape (frames,), float32, full scale 1. Frame n left at first_ns + n / true_rate_hz in true time;
    `rate_hz` is the nominal rate.
    """

    first_ns: int
    true_rate_hz: float
    rate_hz: int
    frames: NDArray[np.float32]
    underruns: int = 0
    late_wakes_ms: list[float] = dataclasses.field(default_factory=list)

    @property
    def end_ns(self) -> int:
        """True time at which the last frame ends."""
        return self.first_ns + round(len(self.frames) * 1e9 / self.true_rate_hz)


class Loudspeaker:
    """What one machine played: one recording for each time its output was open, with silence between them."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.recordings = sorted(
            (recording for recording in recordings if len(recording.frames)), key=lambda recording: recording.first_ns
        )

    @property
    def underruns(self) -> int:
        """Number of blocks that came too late to be played."""
        return sum(recording.underruns for recording in self.recordings)

    @property
    def late_wakes_ms(self) -> list[float]:
        """How late the virtual card woke, for each time it was far too late."""
        return [late_ms for recording in self.recordings for late_ms in recording.late_wakes_ms]

    def resampled(self, middle_ns: int, frames: int, rate_hz: float) -> NDArray[np.float64]:
        """`frames` frames at `rate_hz` in true time, centred at `middle_ns`; zeros where nothing was played.

        The shape is (frames,), float64.
        """
        grid_s = (np.arange(frames, dtype=np.float64) - (frames - 1) / 2) / rate_hz
        found = np.zeros(frames)
        for recording in self.recordings:
            # Subtract as integers first: as floats, times of today are accurate to a quarter of a microsecond only.
            positions = ((middle_ns - recording.first_ns) * 1e-9 + grid_s) * recording.true_rate_hz
            if positions[-1] > 0 and positions[0] < len(recording.frames):
                found += _interpolated(recording.frames, positions)
        return found

    def sounding_spans(self, level: float, min_silence_s: float) -> list[tuple[int, int]]:
        """Spans of sound, separated by silences of at least `min_silence_s`.

        Each is (true time of the first frame above `level`, that of the last one), in ns.
        """
        min_silence_ns = round(min_silence_s * 1e9)
        found: list[tuple[int, int]] = []
        for recording in self.recordings:
            # In blocks: an hour at once would take gigabytes.
            for first in range(0, len(recording.frames), _BLOCK_FRAMES):
                loud = first + np.flatnonzero(np.abs(recording.frames[first : first + _BLOCK_FRAMES]) > level)
                if not len(loud):
                    continue
                times_ns = recording.first_ns + np.rint(loud * (1e9 / recording.true_rate_hz)).astype(np.int64)
                breaks = np.flatnonzero(np.diff(times_ns) >= min_silence_ns)
                begins, ends = [0, *(breaks + 1)], [*breaks, -1]
                spans = [(int(times_ns[begin]), int(times_ns[end])) for begin, end in zip(begins, ends, strict=True)]
                if found and spans[0][0] - found[-1][1] < min_silence_ns:
                    spans[0] = found.pop()[0], spans[0][1]
                found += spans
        return found


@frozen
class DelayWindow:
    """A window of time in which all loudspeakers play.

    `at_s` is its middle. `offsets_us[k]` is the delay of loudspeaker k after loudspeaker 0. `sure`: all delays are
    reliable, see MIN_PEAK_RATIO.
    """

    at_s: float
    offsets_us: tuple[float, ...]
    sure: bool


@frozen
class Start:
    """A start of sound that all loudspeakers share.

    `offsets_us[k]` is the delay of loudspeaker k after loudspeaker 0, estimated from the sound. `first_loud_us[k]` is
    the same for the first frame above ONSET_LEVEL, which a fade or a little noise moves. `sure`: the delays are
    reliable. `together`: no loudspeaker plays alone for longer than MAX_TOGETHER_S.
    """

    at_s: float
    offsets_us: tuple[float, ...]
    first_loud_us: tuple[float, ...]
    sure: bool
    together: bool


def read_recording(path: pathlib.Path) -> Recording:
    """Read a recording of the virtual sound card: PATH.json and PATH.f32. Raise PhaseLockError for any other file."""
    try:
        notes = json.loads(path.read_text("utf-8"))
        channels = _in_range(notes["channels"], 1, 32)
        samples_path = path.with_suffix(".f32")
        if samples_path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError("it is too large")
        samples = np.fromfile(samples_path, "<f4")
        recording = Recording(
            first_ns=int(_in_range(notes["first_ns"], -(2**62), 2**62)),
            true_rate_hz=_in_range(notes["true_rate_hz"], 1000, 1_000_000),
            rate_hz=int(_in_range(notes["rate_hz"], 1000, 1_000_000)),
            frames=samples[: len(samples) // int(channels) * int(channels) : int(channels)].astype(np.float32),
            underruns=len(notes["underruns"]),
            late_wakes_ms=[_in_range(late_ms, 0, math.inf) for _, late_ms in notes["late_wakes"]],
        )
        if not np.isfinite(recording.frames).all():
            raise ValueError("it contains samples that are not finite")
        return recording
    except OSError as error:
        raise PhaseLockError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise PhaseLockError(f"{path} is not a recording: {reason}.") from None


def window_delays(
    loudspeakers: Sequence[Loudspeaker],
    window_s: float = 0.5,
    hop_s: float = 0.5,
    max_lag_s: float = 0.5,
    silence_level: float = SILENCE_LEVEL,
) -> list[DelayWindow]:
    """Estimate the delays in each window in which every loudspeaker plays without a silence.

    `at_s` counts from the moment at which the first recording began.
    """
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
        sounds = [one.resampled(middle_ns, frames, rate_hz) for one in loudspeakers]
        if any(_has_silence(sound, rate_hz, silence_level) for sound in sounds):
            continue
        lags = [
            _recentred_delay(one, middle_ns, sound, sounds[0], rate_hz, max_lag_s)
            for one, sound in zip(loudspeakers[1:], sounds[1:], strict=True)
        ]
        sure = all(peak_ratio > MIN_PEAK_RATIO for _, peak_ratio in lags)
        offsets_us = (0.0, *(lag_s * 1e6 for lag_s, _ in lags))
        found.append(DelayWindow((middle_ns - begin_ns) / 1e9, offsets_us, sure))
    return found


def spread_us(window: DelayWindow | Start) -> float:
    """The distance between the earliest and the latest loudspeaker."""
    return max(window.offsets_us) - min(window.offsets_us)


def starts_ns(loudspeaker: Loudspeaker, silence_s: float = 0.25) -> list[int]:
    """True times at which sound begins after a silence of at least `silence_s`, by the first frame above
    ONSET_LEVEL."""
    return [begin_ns for begin_ns, _ in loudspeaker.sounding_spans(ONSET_LEVEL, silence_s)]


def start_delays(loudspeakers: Sequence[Loudspeaker], silence_s: float = 0.25, max_lag_s: float = 0.5) -> list[Start]:
    """Estimate the delays at each start that all loudspeakers share within `max_lag_s`."""
    if len(loudspeakers) < 2:
        return []
    starts = [starts_ns(one, silence_s) for one in loudspeakers]
    max_lag_ns = max_lag_s * 1e9
    found = []
    for first_ns in starts[0]:
        nearest_ns = [min(own, key=lambda start_ns: abs(start_ns - first_ns)) for own in starts if own]
        if len(nearest_ns) == len(loudspeakers) and all(abs(one - first_ns) <= max_lag_ns for one in nearest_ns):
            found.append(_start(loudspeakers, nearest_ns))
    return found


def silences(
    loudspeaker: Loudspeaker, min_ms: float = 3, silence_level: float = SILENCE_LEVEL
) -> list[tuple[int, float]]:
    """Every silence between two sounds: (true time at which it begins in ns, its length in ms). A pause makes one; any
    other is a dropout."""
    spans = loudspeaker.sounding_spans(silence_level, min_ms / 1e3)
    return [(end, round((begin - end) / 1e6, 2)) for (_, end), (begin, _) in itertools.pairwise(spans)]


def silences_ms(loudspeaker: Loudspeaker, min_ms: float = 3, silence_level: float = SILENCE_LEVEL) -> list[float]:
    """The lengths of the `silences`."""
    return [lasts_ms for _, lasts_ms in silences(loudspeaker, min_ms, silence_level)]


def clicks(loudspeaker: Loudspeaker) -> list[int]:
    """True times of the clicks in ns, accurate to a quarter of a second. A gap or a jump in the sound makes a click: it
    has power above MIN_CLICK_HZ, where the song has none."""
    return clicks_in(click_band_shares(loudspeaker), MIN_CLICK_SHARE)


def clicks_in(shares: Sequence[tuple[int, float]], min_share: float) -> list[int]:
    """True times of the clicks in the result of `click_band_shares`: half seconds with a share above `min_share`.

    Half seconds overlap, so each click is in two of them: two neighbours count as one click. A longer run counts as the
    smallest number of clicks that can cause it.
    """
    found: list[int] = []
    unpaired_ns: int | None = None  # a half second whose click may be in the next, overlapping one as well
    for middle_ns, share in shares:
        if share <= min_share:
            continue
        if unpaired_ns is not None and middle_ns - unpaired_ns < _OVERLAPPING_NS:
            found[-1] = (unpaired_ns + middle_ns) // 2
            unpaired_ns = None
        else:
            found.append(middle_ns)
            unpaired_ns = middle_ns
    return found


def click_band_shares(loudspeaker: Loudspeaker, silence_level: float = ONSET_LEVEL) -> list[tuple[int, float]]:
    """For each half second: (true time of its middle in ns, the share of its power above MIN_CLICK_HZ).

    Half seconds follow each other every quarter of a second. Those with a silence are left out, because the edge of a
    silence has power in that band too.
    """
    found = []
    for recording in loudspeaker.recordings:
        frames = recording.rate_hz // 2
        taper = np.hanning(frames)
        first_bin = math.ceil(MIN_CLICK_HZ * frames / recording.rate_hz)
        for first in range(0, len(recording.frames) - frames + 1, frames // 2):
            part = recording.frames[first : first + frames].astype(np.float64)
            if _has_silence(part, recording.rate_hz, silence_level):
                continue
            power = np.abs(np.fft.rfft(part * taper)) ** 2
            middle_ns = recording.first_ns + round((first + frames / 2) * 1e9 / recording.true_rate_hz)
            found.append((middle_ns, float(power[first_bin:].sum() / power.sum())))
    return found


def estimate_delay(sound: Floats, reference: Floats, rate_hz: float, max_lag_s: float) -> tuple[float, float]:
    """(delay of `sound` after `reference` in seconds, peak ratio, see MIN_PEAK_RATIO). Polarity does not matter.

    Both arrays have the shape (frames,) and the rate `rate_hz`. GCC-PHAT with a refined peak, see the module's
    docstring.
    """
    size = scipy.fft.next_fast_len(len(sound) + len(reference), real=True)
    cross = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    bins = _band_bins(size, rate_hz)
    magnitude = np.abs(cross[bins])
    # Bins with almost no power have a random phase: give them less weight.
    whitened = cross[bins] / (magnitude + 1e-3 * magnitude.mean() + 1e-30)
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    spectrum[bins] = whitened
    limit = min(int(max_lag_s * rate_hz), (size - 1) // 2)
    correlation = np.fft.irfft(spectrum, size)
    heights = np.abs(np.concatenate([correlation[size - limit :], correlation[: limit + 1]]))
    peak = int(np.argmax(heights))
    lag = _refined_lag(whitened, bins * (2 * math.pi / size), float(peak - limit))
    near = round(_PEAK_WIDTH_S * rate_hz)
    others = np.concatenate([heights[: max(0, peak - near)], heights[peak + near + 1 :]])
    highest = float(others.max()) if len(others) else 0.0
    return lag / rate_hz, float(heights[peak]) / max(highest, 1e-12)


def _band_bins(size: int, rate_hz: float) -> NDArray[np.int64]:
    """The bins of a Fourier transform of `size` frames that are within BAND_HZ."""
    low_hz, high_hz = BAND_HZ
    return np.arange(math.ceil(low_hz * size / rate_hz), int(min(high_hz, 0.45 * rate_hz) * size / rate_hz) + 1)


def _refined_lag(whitened: NDArray[np.complex128], omega: Floats, lag: float) -> float:
    """The extremum of the correlation near `lag`, in frames, by four steps of Newton's method of at most one frame."""
    for _ in range(4):
        turned = whitened * np.exp(1j * omega * lag)
        slope, curvature = float((omega * turned.imag).sum()), float((omega**2 * turned.real).sum())
        if curvature == 0:
            break
        lag -= min(1.0, max(-1.0, slope / curvature))
    return lag


def _start(loudspeakers: Sequence[Loudspeaker], starts: Sequence[int]) -> Start:
    rate_hz = _rate_hz(loudspeakers)
    frames = round(START_WINDOW_S * rate_hz)
    half_ns = round(START_WINDOW_S * 5e8)
    max_lag_s = START_WINDOW_S / 2
    middle_ns = max(starts) + half_ns
    offsets_us, sure = [0.0], True
    for one, start_ns in zip(loudspeakers[1:], starts[1:], strict=True):
        sound, reference = (each.resampled(middle_ns, frames, rate_hz) for each in (one, loudspeakers[0]))
        lag_s, peak_ratio = _recentred_delay(one, middle_ns, sound, reference, rate_hz, max_lag_s)
        if peak_ratio <= MIN_PEAK_RATIO:
            # Too far apart to share enough of so short a window: compare each from its own start.
            sound = one.resampled(start_ns + half_ns, frames, rate_hz)
            reference = loudspeakers[0].resampled(starts[0] + half_ns, frames, rate_hz)
            lag_s, peak_ratio = _recentred_delay(one, start_ns + half_ns, sound, reference, rate_hz, max_lag_s)
            lag_s += (start_ns - starts[0]) / 1e9
        offsets_us.append(lag_s * 1e6)
        sure &= peak_ratio > MIN_PEAK_RATIO
    first_loud_us = tuple((start_ns - starts[0]) / 1e3 for start_ns in starts)
    alone_us = [loud_us - offset_us for loud_us, offset_us in zip(first_loud_us, offsets_us, strict=True)]
    return Start(
        at_s=(starts[0] - _begin_ns(loudspeakers)) / 1e9,
        offsets_us=tuple(offsets_us),
        first_loud_us=first_loud_us,
        sure=sure,
        together=max(alone_us) - min(alone_us) <= MAX_TOGETHER_S * 1e6,
    )


def _recentred_delay(
    loudspeaker: Loudspeaker,
    middle_ns: int,
    sound: NDArray[np.float64],
    reference: NDArray[np.float64],
    rate_hz: int,
    max_lag_s: float,
) -> tuple[float, float]:
    """`estimate_delay` of the `sound` of `loudspeaker` around `middle_ns`. A lag above a twentieth of the window leaves
    too little in common: then estimate again with a window moved by the first estimate."""
    lag_s, peak_ratio = estimate_delay(sound, reference, rate_hz, max_lag_s)
    if peak_ratio <= MIN_PEAK_RATIO or abs(lag_s) * rate_hz <= len(sound) / 20:
        return lag_s, peak_ratio
    lag_ns = round(lag_s * 1e9)
    moved = loudspeaker.resampled(middle_ns + lag_ns, len(sound), rate_hz)
    rest_s, peak_ratio = estimate_delay(moved, reference, rate_hz, max_lag_s)
    return lag_ns / 1e9 + rest_s, peak_ratio


def _interpolated(frames: NDArray[np.float32], positions: Floats) -> NDArray[np.float64]:
    """The sound at fractional frame positions in ascending order, by a Kaiser-windowed sinc; zero outside `frames`.
    Both arrays have one dimension; the result has the shape of `positions`."""
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
    """The kernel for each fractional position, (phases, taps), with a Kaiser window of beta 8."""
    taps = np.arange(_TAPS) - (_TAPS // 2 - 1) - np.arange(_PHASES)[:, None] / _PHASES
    kaiser = np.i0(8.0 * np.sqrt(np.clip(1 - (taps / (_TAPS / 2)) ** 2, 0, 1))) / np.i0(8.0)
    table: NDArray[np.float64] = np.sinc(taps) * kaiser
    return table


_SINC = _sinc_table()


def _has_silence(sound: NDArray[np.float64], rate_hz: float, level: float) -> bool:
    """Whether a piece of _SILENT_PIECE_S has no frame above `level`; `sound` has the shape (frames,)."""
    piece = round(_SILENT_PIECE_S * rate_hz)
    pieces = np.abs(sound[: len(sound) // piece * piece]).reshape(-1, piece)
    return bool((pieces.max(axis=1) < level).any())


def _rate_hz(loudspeakers: Sequence[Loudspeaker]) -> int:
    """The rate of the common grid: the lowest rate of all recordings."""
    return min(recording.rate_hz for one in loudspeakers for recording in one.recordings)


def _begin_ns(loudspeakers: Sequence[Loudspeaker]) -> int:
    return min(one.recordings[0].first_ns for one in loudspeakers if one.recordings)


def _in_range(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is out of range")
    return value
