"""`phaselock bench measure`: how far apart two real machines play, by a sound input that records both.

With both outputs on one stereo input, the two channels share one clock, and analysis/delay.py estimates the delay
between them. With one microphone the recording contains a sound and its own echo. Their distance is the peak of the
power cepstrum (B. P. Bogert, M. J. R. Healy and J. W. Tukey, "The quefrency alanysis of time series for echoes", 1963).
It does not show which of them is first.

A level is an amplitude; full scale is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import tempfile
import time

import numpy as np
from numpy.typing import NDArray

from phaselock.audio import microphone
from phaselock.bench.analysis import delay
from phaselock.bench.interface import Bench
from phaselock.bench.lab import capture, signals
from phaselock.bench.lab.wav import Capture, read_wav
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.console.events import SignalWritten
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.tools.processes import ProcessGroup, Program, open_process_group

SIGNAL_RATE_HZ = 44100
SPARE_S = 30
"""The signal is longer than the recording, because a user does not start both at once."""
SESSION_NAME = "measure"
JOIN_TIMEOUT_S = 600.0
SETTLING_S = 5.0
"""From the start of the music to that of the recording."""

MIN_RECORDING_S = 2.0
CLIPPED_LEVEL = 0.999
MAX_CLIPPED_SHARE = 1e-4
FAINT_LEVEL = 1e-3
SILENT_LEVEL = 1e-5
MIN_CHANNEL_RATIO = 0.01
"""A channel fainter than this share of the other one contains only its crosstalk."""
SAME_SOUND_RATIO = 1e-3
"""Channels that differ by less than this share of their level contain the same sound."""
_SCALED_LEVEL = 0.1
_SCALED_SILENCE_LEVEL = 0.005
"""Silence in a channel scaled to _SCALED_LEVEL. The noise of an input is louder than the silence of a file."""
_MAX_CLICK_RATIO = 10
"""A click has this many times the usual share of power in the click band, where an input has noise of its own."""

ECHO_RANGE_S = (1e-4, 0.03)
"""Distances at which a second loudspeaker is searched."""
MIN_ECHO_S = 0.35e-3
"""A smaller distance is not reported: its third harmonic in the cepstrum may be higher."""
ECHO_BAND_HZ = (200.0, 11000.0)
MIN_ECHO_HEIGHT = 0.6
"""A second loudspeaker of half the loudness gives a higher peak; the echo of a wall gives a lower one."""
MIN_ECHO_RATIO = 1.3
"""Ratio to the next peak."""
_ECHO_WINDOW_S = 0.1
_ECHO_OVERSAMPLING = 8
_BLOCK_S = 1.0


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Record or read a recording, and add its case. Raise PhaseLockError if the recording is of no use."""
    channels = 1 if options.microphone else 2
    if options.recording is not None:
        if options.play or options.input is not None:
            raise PhaseLockError("--recording analyses a file instead of an input: leave out --play and --input.")
        bench.progress(0.0, "reads the recording")
        recorded = read_wav(options.recording, channels)
    elif options.play:
        recorded = _play_and_record(options, channels, bench)
    else:
        recorded = _record(options, channels, bench)
    bench.progress(0.9, "compares")
    case = microphone_case(recorded) if options.microphone else stereo_case(recorded)
    source = {"source": "recording" if options.recording is not None else "input", "rate_hz": recorded.rate_hz}
    bench.add(dataclasses.replace(case, parameters={**source, **case.parameters}))


def write_signal(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the test signal to `options.signal`, long enough for `options.seconds`, and return 0. Raise PhaseLockError
    if the file exists or cannot be written."""
    path: pathlib.Path = options.signal
    try:
        with path.open("xb") as file:
            file.write(_signal(options.seconds))
    except FileExistsError:
        raise PhaseLockError(f"There is a file {path} already. Choose another name.") from None
    except OSError as error:
        raise PhaseLockError(f"{path} cannot be written: {error.strerror}.") from None
    message = f"Written: {path}. Play it on both machines in one session, then run phaselock bench measure."
    terminal.event(SignalWritten(None, str(path), message))
    return 0


# -- both outputs on one stereo input ----------------------------------------------------------------------------------


def stereo_case(recorded: Capture) -> Case:
    """Compare the right channel with the left one. Raise PhaseLockError if the recording is of no use."""
    if recorded.frames.shape[1] < 2:
        raise PhaseLockError("The recording has one channel only. If a microphone recorded both, add --microphone.")
    notes = _recording_faults(recorded.rate_hz, recorded.frames[:, :2])
    scaled = _scaled_channels(recorded.frames[:, :2])
    if float(np.std(scaled[:, 0] - scaled[:, 1])) < SAME_SOUND_RATIO * _SCALED_LEVEL:
        notes.append(
            "Both channels contain the same sound: is one machine connected to both, or has the input one channel?"
        )
    loudspeakers = [
        delay.Loudspeaker([delay.Recording(0, float(recorded.rate_hz), recorded.rate_hz, channel)])
        for channel in scaled.T
    ]
    windows = delay.window_delays(loudspeakers, silence_level=_SCALED_SILENCE_LEVEL)
    sure = [window for window in windows if window.sure]
    if not sure:
        raise PhaseLockError(
            "The two channels have no sound in common. Do both machines play the same music, in one session, and is "
            "each of them on its own channel?"
        )
    at_s = np.array([window.at_s for window in sure])
    offsets_us = np.array([window.offsets_us[1] for window in sure])
    notes.insert(0, _verdict(offsets_us))
    if len(sure) < len(windows):
        unclear = f"{len(windows) - len(sure)} of {len(windows)} half seconds"
        notes.append(f"{unclear} were not clear enough, and are left out.")
    clicks = _count_clicks(loudspeakers) if recorded.rate_hz > 2.2 * delay.MIN_CLICK_HZ else None
    if clicks is None:
        notes.append(f"Clicks cannot be detected at {recorded.rate_hz} Hz.")
    silences = [delay.silences_ms(one, min_ms=20, silence_level=_SCALED_SILENCE_LEVEL) for one in loudspeakers]
    metrics = (
        *_distance_metrics(offsets_us),
        Metric("offset_us", "us", (float(np.median(offsets_us)),), ""),
        Metric("drift_us_per_min", "us/min", (_drift_us_per_min(at_s, offsets_us),), ""),
        Metric("silences", "", (float(sum(map(len, silences))),)),
        *([] if clicks is None else [Metric("clicks", "", (float(clicks),))]),
    )
    plot = _plot("How much later B (right) plays than A (left)", "B after A", at_s, offsets_us)
    samples = {"at_s": at_s.tolist(), "offset_us": offsets_us.tolist(), "silences_ms": silences}
    return Case("measure", "stereo", {"windows": len(windows)}, metrics, (plot,), samples, tuple(notes))


def _scaled_channels(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both channels at _SCALED_LEVEL, (frames, 2). Raise PhaseLockError if one is silent."""
    left_level, right_level = _levels(frames)
    for name, level, other in (("left", left_level, right_level), ("right", right_level, left_level)):
        if level < max(SILENT_LEVEL, MIN_CHANNEL_RATIO * other):
            raise PhaseLockError(f"The {name} channel is silent. Is that machine's output connected, and playing?")
    scaled: NDArray[np.float32] = frames * (_SCALED_LEVEL / np.array([left_level, right_level], np.float32))
    return scaled


def _distance_metrics(offsets_us: NDArray[np.float64]) -> list[Metric]:
    distances_us = np.abs(offsets_us)
    return [
        Metric("distance_p50_us", "us", (float(np.median(distances_us)),)),
        Metric("distance_p95_us", "us", (float(np.percentile(distances_us, 95)),)),
        Metric("distance_p99_us", "us", (float(np.percentile(distances_us, 99)),)),
        Metric("distance_max_us", "us", (float(distances_us.max()),)),
    ]


def _verdict(offsets_us: NDArray[np.float64]) -> str:
    low_us, middle_us, high_us = np.percentile(offsets_us, [5, 50, 95])
    first, second = ("A (left)", "B (right)") if middle_us < 0 else ("B (right)", "A (left)")
    return (
        f"{first} plays {_time(abs(middle_us))} later than {second}; "
        f"for nine tenths of the time B minus A is between {_time(low_us)} and {_time(high_us)}."
    )


def _time(us: float) -> str:
    return f"{us:.1f} us" if abs(us) < 10 else f"{us:.0f} us" if abs(us) < 10_000 else f"{us / 1e3:.1f} ms"


def _drift_us_per_min(at_s: NDArray[np.float64], offsets_us: NDArray[np.float64]) -> float:
    if len(at_s) < 4:
        return math.nan
    return float(np.polyfit(at_s / 60, offsets_us, 1)[0])


def _count_clicks(loudspeakers: list[delay.Loudspeaker]) -> int:
    """Number of half seconds with a click, compared with the noise of the input in the same band."""
    count = 0
    for loudspeaker in loudspeakers:
        shares = delay.click_band_shares(loudspeaker, _SCALED_SILENCE_LEVEL)
        if shares:
            usual = float(np.median([share for _, share in shares]))
            count += len(delay.clicks_in(shares, max(delay.MIN_CLICK_SHARE, _MAX_CLICK_RATIO * usual)))
    return count


# -- both outputs in one microphone ------------------------------------------------------------------------------------


def microphone_case(recorded: Capture) -> Case:
    """Find two loudspeakers in the first channel. Raise PhaseLockError if the recording is of no use."""
    notes = _recording_faults(recorded.rate_hz, recorded.frames[:, :1])
    blocks = _echoes(recorded.frames[:, 0].astype(np.float64), recorded.rate_hz)
    found = [(at_s, echo_us) for at_s, echo_us in blocks if echo_us is not None]
    if len(found) * 2 < len(blocks):
        raise PhaseLockError(
            f"No second loudspeaker is heard clearly. The two are less than {MIN_ECHO_S * 1e3} ms apart, or more than "
            f"{ECHO_RANGE_S[1] * 1e3:.0f} ms, or one of them is far louder at the microphone. Use the test signal, and "
            "put the microphone as far from the one as from the other."
        )
    at_s, distances_us = (np.array(column) for column in zip(*found, strict=True))
    notes[:0] = [
        f"The two loudspeakers are {float(np.median(distances_us)) / 1e3:.1f} ms apart at the microphone. The "
        "recording does not show which of them is first.",
        "The accuracy of a microphone is 0.1 ms. Sound travels 34 cm in a millisecond: put it as far from the one "
        "loudspeaker as from the other. The echo of a near wall may look like a second loudspeaker.",
    ]
    plot = _plot("How far apart the loudspeakers are at the microphone", "distance", at_s, distances_us)
    samples = {"at_s": at_s.tolist(), "distance_us": distances_us.tolist()}
    metrics = tuple(_distance_metrics(distances_us))
    return Case("measure", "microphone", {"windows": len(blocks)}, metrics, (plot,), samples, tuple(notes))


def _echoes(sound: NDArray[np.float64], rate_hz: int) -> list[tuple[float, float | None]]:
    """For each block of `sound`, (frames,): the time of its middle in s, and the distance of the loudspeakers in us, or
    None if there is no clear one."""
    block = round(_BLOCK_S * rate_hz)
    firsts = range(0, len(sound) - block + 1, block)
    return [((first + block / 2) / rate_hz, _echo_us(sound[first : first + block], rate_hz)) for first in firsts]


def _echo_us(sound: NDArray[np.float64], rate_hz: int) -> float | None:
    """The quefrency of the highest peak of the cepstrum of `sound`, (frames,), if the peak is high and clear enough."""
    cepstrum = _cepstrum(sound, rate_hz)
    if cepstrum is None:
        return None
    step_s = 1 / (rate_hz * _ECHO_OVERSAMPLING)
    first, last = math.ceil(ECHO_RANGE_S[0] / step_s), int(ECHO_RANGE_S[1] / step_s)
    heights = cepstrum[first : last + 1]
    peak = int(np.argmax(heights))
    near = round(ECHO_RANGE_S[0] / step_s)
    others = np.concatenate([heights[: max(0, peak - near)], heights[peak + near :]])
    if heights[peak] < max(MIN_ECHO_HEIGHT, MIN_ECHO_RATIO * others.max(initial=0)) or peak == len(heights) - 1:
        return None
    echo_s = (first + peak) * step_s
    return echo_s * 1e6 if echo_s >= MIN_ECHO_S else None


def _cepstrum(sound: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64] | None:
    """The power cepstrum of ECHO_BAND_HZ, averaged over windows of _ECHO_WINDOW_S, with _ECHO_OVERSAMPLING quefrencies
    a frame; None for silence. `sound` has the shape (frames,)."""
    frames = round(_ECHO_WINDOW_S * rate_hz)
    taper = np.hanning(frames)
    windows = np.lib.stride_tricks.sliding_window_view(sound, frames)[:: frames // 2]
    power = np.abs(np.fft.rfft(windows * taper, axis=1)) ** 2
    if power.sum() <= frames * SILENT_LEVEL**2:
        return None
    log_power = np.log(power + 1e-9 * power.mean()).mean(axis=0)
    low_hz, high_hz = ECHO_BAND_HZ[0], min(ECHO_BAND_HZ[1], 0.4 * rate_hz)
    low, high = (round(hz * frames / rate_hz) for hz in (low_hz, high_hz))
    band = log_power[low:high]
    # Loudspeakers and the room shape the spectrum smoothly; an echo adds a ripple. Remove the smooth part.
    smooth = np.polynomial.Polynomial.fit(np.arange(len(band)), band, 4)(np.arange(len(band)))
    ripple = np.zeros(frames // 2 + 1)
    ripple[low:high] = (band - smooth) * np.hanning(high - low)
    quefrencies = frames * _ECHO_OVERSAMPLING
    cepstrum: NDArray[np.float64] = np.fft.irfft(ripple, quefrencies) * (2 * quefrencies / (high - low))
    return cepstrum


# -- what both have in common ------------------------------------------------------------------------------------------


def _recording_faults(rate_hz: int, frames: NDArray[np.float32]) -> list[str]:
    """Faults of a recording, (frames, channels), that is still of use. Raise PhaseLockError if it is not."""
    if len(frames) < MIN_RECORDING_S * rate_hz:
        raise PhaseLockError(f"The recording is too short: at least {MIN_RECORDING_S:.0f} seconds are needed.")
    levels = _levels(frames)
    if max(levels) < SILENT_LEVEL:
        raise PhaseLockError("The recording is silent. Is the right input chosen, and is anything playing?")
    notes = []
    if float((np.abs(frames) >= CLIPPED_LEVEL).mean()) > MAX_CLIPPED_SHARE:
        notes.append("The recording is clipped: turn the input, or the machines, down.")
    if min(levels) < FAINT_LEVEL:
        notes.append("The recording is very faint: turn the input, or the machines, up.")
    return notes


def _levels(frames: NDArray[np.float32]) -> list[float]:
    """The level of each channel, without its constant part, which cheap inputs have."""
    return [float(level) for level in frames.std(axis=0, dtype=np.float64)]


def _plot(title: str, label: str, at_s: NDArray[np.float64], values_us: NDArray[np.float64]) -> Plot:
    series = Series(label, tuple(at_s.tolist()), tuple(values_us.tolist()))
    return Plot(title, "Time (s)", "Microseconds", (series,))


# -- recording ---------------------------------------------------------------------------------------------------------


def _record(options: argparse.Namespace, channels: int, bench: Bench) -> Capture:
    def on_progress(seconds: float) -> None:
        bench.progress(0.9 * seconds / options.seconds, f"records, {seconds:.0f} of {options.seconds} s")

    return capture.record(options.seconds, channels, options.input, on_progress)


def _play_and_record(options: argparse.Namespace, channels: int, bench: Bench) -> Capture:
    """Host a session that plays the signal as soon as one peer has joined, and record it after SETTLING_S."""
    microphone.check(channels, options.input)  # before the user goes to the other machine
    with tempfile.TemporaryDirectory(prefix="phaselock-measure-") as folder, open_process_group(folder) as programs:
        signal = pathlib.Path(folder, "signal.mp3")
        signal.write_bytes(_signal(options.seconds))
        host = programs.start("host", "host", str(signal), "--session", SESSION_NAME, "--wait-peers", "1", "--play")
        address = str(programs.wait_for(host, "session").get("address"))
        _wait_for_peer(programs, host, address, bench)
        settled_s = time.monotonic() + SETTLING_S
        while programs.hear(settled_s):
            bench.progress(0.0, "waits for the clocks to settle")
        recorded = _record(options, channels, bench)
        host.say("quit")
        return recorded


def _wait_for_peer(programs: ProcessGroup, host: Program, address: str, bench: Bench) -> None:
    """Wait until the host plays. Raise PhaseLockError if a program fails, or no peer joins within JOIN_TIMEOUT_S."""
    deadline_s = time.monotonic() + JOIN_TIMEOUT_S
    doing = f"waits for the other machine: phaselock join {address}"
    bench.progress(0.0, doing)
    while found := programs.hear(deadline_s):
        program, event = found
        if event["event"] == "error":
            raise PhaseLockError(str(event["message"]))
        if program is host and event["event"] == "playing":
            return
        bench.progress(0.0, doing)
    raise PhaseLockError(f"No other machine joined within {JOIN_TIMEOUT_S / 60:.0f} minutes.")


def _signal(seconds: int) -> bytes:
    """An MP3 of noise in one channel, so that every output of every machine plays the same sound."""
    return signals.encode(signals.noise(seconds + SPARE_S, SIGNAL_RATE_HZ, seed=1, channels=1), SIGNAL_RATE_HZ)
