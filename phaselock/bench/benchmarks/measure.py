"""`phaselock bench measure`: how far apart two real machines play, by a sound input that hears both.

With both outputs on one stereo input the two channels share one clock, and the ear (bench/ear.py) measures between
them. With one microphone they are one sound and its own echo, whose distance is the peak of the power cepstrum (B. P.
Bogert, M. J. R. Healy and J. W. Tukey, "The quefrency alanysis of time series for echoes", 1963). It does not tell who
is first.
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

from phaselock.bench.analysis import delay
from phaselock.bench.interface import Bench
from phaselock.bench.lab import capture, signals
from phaselock.bench.lab.wav import Sound, read_wav
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.console.events import SignalWritten
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.tools.processes import ProcessGroup, Program, open_process_group

SIGNAL_RATE_HZ = 44100
SPARE_S = 30
"""The signal is longer than the listening: nobody starts both at once."""
SESSION = "measure"
JOIN_S = 600.0
SETTLING_S = 5.0

SHORTEST_S = 2.0
CLIPPED = 0.999
CLIPPED_SHARE = 1e-4
FAINT = 1e-3
MUTE = 1e-5
MISSING = 0.01
"""A channel this much fainter than the other one holds what crept over."""
SAME = 1e-3
"""Two channels that differ by less, of their own level, are one."""
_LEVEL = 0.1
_SILENT = 0.005
"""Where the level is _LEVEL. An input is never as silent as a file."""

ECHO_S = (1e-4, 0.03)
"""Between these a second loudspeaker is looked for."""
ECHO_TOLD_S = 0.35e-3
"""But from here on only it is told: of what is closer the third overtone may look higher."""
ECHO_HZ = (200.0, 11000.0)
ECHO_HEIGHT = 0.6
"""Twice the loudness of the second loudspeaker beside the first one; what a wall returns is lower."""
ECHO_CLEARLY = 1.3
"""Times as high as the next peak."""
_ECHO_WINDOW_S = 0.1
_BLOCK_S = 1.0


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Record or read, and add what was found; see Bench. PhaseLockError when the sound tells nothing."""
    channels = 1 if options.microphone else 2
    if options.recording is not None:
        if options.play or options.input is not None:
            raise PhaseLockError("A recording is analysed instead of listening: leave out --play and --input.")
        bench.progress(0.0, "reads the recording")
        sound = read_wav(options.recording, channels)
    elif options.play:
        sound = _play_and_listen(options, channels, bench)
    else:
        sound = _listen(options, channels, bench)
    bench.progress(0.9, "compares")
    case = microphone_case(sound) if options.microphone else stereo_case(sound)
    source = {"source": "recording" if options.recording is not None else "input", "rate_hz": sound.rate_hz}
    bench.add(dataclasses.replace(case, parameters={**source, **case.parameters}))


def write_signal(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the test signal to `options.signal`, long enough for `options.seconds`."""
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


def stereo_case(sound: Sound) -> Case:
    """Left against right. PhaseLockError when the sound tells nothing."""
    if sound.frames.shape[1] < 2:
        raise PhaseLockError("The recording has one channel only. If a microphone heard both, add --microphone.")
    both = sound.frames[:, :2]
    notes = _complaints(sound.rate_hz, both)
    left_level, right_level = _levels(both)
    for name, level, other in (("left", left_level, right_level), ("right", right_level, left_level)):
        if level < max(MUTE, MISSING * other):
            raise PhaseLockError(f"The {name} channel is silent. Is that machine's output connected, and playing?")
    scaled = both * (_LEVEL / np.array([left_level, right_level], np.float32))
    if float(np.std(scaled[:, 0] - scaled[:, 1])) < SAME * _LEVEL:
        notes.append(
            "Both channels hold the same sound: is it one machine that is heard twice, or an input with one channel?"
        )
    machines = [
        delay.Loudspeaker([delay.Recording(0, float(sound.rate_hz), sound.rate_hz, scaled[:, side])]) for side in (0, 1)
    ]
    windows = delay.distances(machines, quiet=_SILENT)
    sure = [one for one in windows if one.sure]
    if not sure:
        raise PhaseLockError(
            "The two channels have nothing in common. Do both machines play the same music, in one session, and is "
            "each of them on a channel of its own?"
        )
    at_s = np.array([one.at_s for one in sure])
    offsets_us = np.array([one.offsets_us[1] for one in sure])
    offset_us = float(np.median(offsets_us))
    notes.insert(0, _verdict(offset_us, offsets_us))
    if len(sure) < len(windows):
        unsure = f"{len(windows) - len(sure)} of {len(windows)} half seconds"
        notes.append(f"{unsure} were not clear enough, and are left out.")
    clicks = _clicks(machines) if sound.rate_hz > 2.2 * delay.CLICK_HZ else None
    if clicks is None:
        notes.append(f"At {sound.rate_hz} Hz clicks cannot be told.")
    silences = [delay.silences_ms(one, least_ms=20, quiet=_SILENT) for one in machines]
    figures = [
        *_distance_figures(offsets_us),
        Metric("offset_us", "us", (offset_us,), ""),
        Metric("drift_us_per_min", "us/min", (_drift_us_per_min(at_s, offsets_us),), ""),
        Metric("silences", "", (float(sum(map(len, silences))),)),
        *([] if clicks is None else [Metric("clicks", "", (float(clicks),))]),
    ]
    plot = Plot(
        "How much later B (right) plays than A (left)",
        "Time (s)",
        "Microseconds",
        (Series("B after A", tuple(at_s.tolist()), tuple(offsets_us.tolist())),),
    )
    samples = {"at_s": at_s.tolist(), "offset_us": offsets_us.tolist(), "silences_ms": silences}
    return Case("measure", "stereo", {"windows": len(windows)}, tuple(figures), (plot,), samples, tuple(notes))


def microphone_case(sound: Sound) -> Case:
    """Two loudspeakers in one channel. PhaseLockError when the sound tells nothing."""
    heard = sound.frames[:, :1]
    notes = _complaints(sound.rate_hz, heard)
    blocks = _echoes(heard[:, 0].astype(np.float64), sound.rate_hz)
    found = [(at_s, echo_us) for at_s, echo_us in blocks if echo_us is not None]
    if len(found) * 2 < len(blocks):
        raise PhaseLockError(
            f"No second loudspeaker is heard clearly. Either the two are less than {ECHO_TOLD_S * 1e3} ms apart, or "
            f"more than {ECHO_S[1] * 1e3:.0f} ms, or one of them is far louder at the microphone. This takes the test "
            "signal, and a microphone as far from the one as from the other."
        )
    at_s, distances_us = (np.array(column) for column in zip(*found, strict=True))
    notes[:0] = [
        f"The two loudspeakers are {float(np.median(distances_us)) / 1e3:.1f} ms apart at the microphone; it cannot "
        "tell which of them is first.",
        "A microphone tells 0.1 ms, not less. Sound travels 34 cm in a millisecond: put it as far from the one "
        "loudspeaker as from the other. What a near wall returns may look like a second loudspeaker.",
    ]
    plot = Plot(
        "How far apart the loudspeakers are at the microphone",
        "Time (s)",
        "Microseconds",
        (Series("distance", tuple(at_s.tolist()), tuple(distances_us.tolist())),),
    )
    samples = {"at_s": at_s.tolist(), "distance_us": distances_us.tolist()}
    figures = tuple(_distance_figures(distances_us))
    return Case("measure", "microphone", {"windows": len(blocks)}, figures, (plot,), samples, tuple(notes))


# -- recording ---------------------------------------------------------------------------------------------------------


def _listen(options: argparse.Namespace, channels: int, bench: Bench) -> Sound:
    def heard(seconds: float) -> None:
        bench.progress(0.9 * seconds / options.seconds, f"listens, {seconds:.0f} of {options.seconds} s")

    captured = capture.listen(options.seconds, channels, options.input, heard)
    return Sound(captured.rate_hz, captured.frames)


def _play_and_listen(options: argparse.Namespace, channels: int, bench: Bench) -> Sound:
    """Host a session that plays the signal as soon as one peer is there, and listen once it has settled."""
    capture.check(channels, options.input)  # before anybody walks to the other machine
    with tempfile.TemporaryDirectory(prefix="phaselock-measure-") as folder, open_process_group(folder) as stage:
        signal = pathlib.Path(folder, "signal.mp3")
        signal.write_bytes(_signal(options.seconds))
        host = stage.start("host", "host", str(signal), "--session", SESSION, "--wait-peers", "1", "--play")
        address = str(stage.wait_for(host, "session").get("address"))
        _wait_for_peer(stage, host, address, bench)
        until = time.monotonic() + SETTLING_S
        while stage.hear(until):
            bench.progress(0.0, "lets them settle")
        sound = _listen(options, channels, bench)
        host.say("quit")
        return sound


def _wait_for_peer(stage: ProcessGroup, host: Program, address: str, bench: Bench) -> None:
    until = time.monotonic() + JOIN_S
    bench.progress(0.0, f"waits for the other machine: phaselock join {address}")
    while heard := stage.hear(until):
        program, event = heard
        if event["event"] == "error":
            raise PhaseLockError(str(event["message"]))
        if program is host and event["event"] == "playing":
            return
        bench.progress(0.0, f"waits for the other machine: phaselock join {address}")
    raise PhaseLockError("No other machine joined within ten minutes.")


def _signal(seconds: int) -> bytes:
    """Noise in one channel, so that every output of every machine plays the same."""
    return signals.encode(signals.noise(seconds + SPARE_S, SIGNAL_RATE_HZ, seed=1, channels=1), SIGNAL_RATE_HZ)


# -- comparing ---------------------------------------------------------------------------------------------------------


def _complaints(rate_hz: int, frames: NDArray[np.float32]) -> list[str]:
    """What is wrong with a recording that may tell something all the same. PhaseLockError if it cannot."""
    if len(frames) < SHORTEST_S * rate_hz:
        raise PhaseLockError(f"The recording is too short: it takes {SHORTEST_S:.0f} seconds at least.")
    levels = _levels(frames)
    if max(levels) < MUTE:
        raise PhaseLockError("The recording is silent. Is the right input chosen, and is anything playing?")
    notes = []
    if float((np.abs(frames) >= CLIPPED).mean()) > CLIPPED_SHARE:
        notes.append("The recording is clipped: turn the input, or the machines, down.")
    if min(levels) < FAINT:
        notes.append("The recording is very faint: turn the input, or the machines, up.")
    return notes


def _levels(frames: NDArray[np.float32]) -> list[float]:
    """Of each channel, without its constant part: a cheap input has one."""
    return [float(level) for level in frames.std(axis=0, dtype=np.float64)]


def _distance_figures(offsets_us: NDArray[np.float64]) -> list[Metric]:
    apart_us = np.abs(offsets_us)
    return [
        Metric("distance_p50_us", "us", (float(np.median(apart_us)),)),
        Metric("distance_p95_us", "us", (float(np.percentile(apart_us, 95)),)),
        Metric("distance_p99_us", "us", (float(np.percentile(apart_us, 99)),)),
        Metric("distance_max_us", "us", (float(apart_us.max()),)),
    ]


def _verdict(offset_us: float, offsets_us: NDArray[np.float64]) -> str:
    low_us, high_us = np.percentile(offsets_us, [5, 95])
    first, second = ("A (left)", "B (right)") if offset_us < 0 else ("B (right)", "A (left)")
    return (
        f"{first} plays {_span(abs(offset_us))} later than {second}; "
        f"nine tenths of the time B minus A is between {_span(low_us)} and {_span(high_us)}."
    )


def _span(us: float) -> str:
    return f"{us:.1f} us" if abs(us) < 10 else f"{us:.0f} us" if abs(us) < 10_000 else f"{us / 1e3:.1f} ms"


def _drift_us_per_min(at_s: NDArray[np.float64], offsets_us: NDArray[np.float64]) -> float:
    if len(at_s) < 4:
        return math.nan
    slope: float = np.polyfit(at_s / 60, offsets_us, 1)[0]
    return float(slope)


def _clicks(machines: list[delay.Loudspeaker]) -> int:
    """What stands out above CLICK_HZ from the rest: an input adds noise of its own there."""
    found = 0
    for one in machines:
        shares = delay.treble(one, _SILENT)
        if shares:
            usual = float(np.median([share for _, share in shares]))
            found += len(delay.standing_out(shares, max(delay.CLICK, 10 * usual)))
    return found


def _echoes(heard: NDArray[np.float64], rate_hz: int) -> list[tuple[float, float | None]]:
    """For each block the second of its middle and the microseconds between the loudspeakers, if they can be told."""
    block = round(_BLOCK_S * rate_hz)
    firsts = range(0, len(heard) - block + 1, block)
    return [((first + block / 2) / rate_hz, _echo_us(heard[first : first + block], rate_hz)) for first in firsts]


def _echo_us(heard: NDArray[np.float64], rate_hz: int) -> float | None:
    """The highest peak of the power cepstrum, averaged over short windows, if it is high and clear enough."""
    frames = round(_ECHO_WINDOW_S * rate_hz)
    bell = np.hanning(frames)
    windows = np.lib.stride_tricks.sliding_window_view(heard, frames)[:: frames // 2]
    power = np.abs(np.fft.rfft(windows * bell, axis=1)) ** 2
    if power.sum() <= frames * MUTE**2:
        return None
    logs = np.log(power + 1e-9 * power.mean()).mean(axis=0)
    low, high = (round(hz * frames / rate_hz) for hz in (ECHO_HZ[0], min(ECHO_HZ[1], 0.4 * rate_hz)))
    band = logs[low:high]
    # What the loudspeakers and the room do to the colour of the sound is a smooth line; an echo is a ripple on it.
    line = np.polynomial.Polynomial.fit(np.arange(len(band)), band, 4)(np.arange(len(band)))
    ripple = np.zeros(frames // 2 + 1)
    ripple[low:high] = (band - line) * np.hanning(high - low)
    finer = 8
    cepstrum = np.fft.irfft(ripple, frames * finer) * (2 * frames * finer / (high - low))
    step_s = 1 / (rate_hz * finer)
    first, last = math.ceil(ECHO_S[0] / step_s), int(ECHO_S[1] / step_s)
    heights: NDArray[np.float64] = cepstrum[first : last + 1]
    peak = int(np.argmax(heights))
    near = round(ECHO_S[0] / step_s)
    others = np.concatenate([heights[: max(0, peak - near)], heights[peak + near :]])
    if heights[peak] < max(ECHO_HEIGHT, ECHO_CLEARLY * others.max(initial=0)) or peak == len(heights) - 1:
        return None
    echo_s = (first + peak) * step_s
    return echo_s * 1e6 if echo_s >= ECHO_TOLD_S else None
