"""`phaselock bench outputs`: compare the time at which the engine predicts that sound leaves with a recording of the
sink, for each output of this machine that can be recorded."""

from __future__ import annotations

import argparse
import ctypes
import pathlib
import queue
import time
import uuid

import numpy as np
from numpy.typing import NDArray

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device, ListedOutput, list_outputs
from phaselock.audio.interface import AudioEvent, DeviceChanged, Plan
from phaselock.audio.player import Player
from phaselock.bench.analysis import delay
from phaselock.bench.interface import Bench
from phaselock.bench.lab import signals
from phaselock.bench.lab.monitor import Monitor, MonitorRecording, monitor_of
from phaselock.bench.results import Case, Metric, Plot, Series
from phaselock.errors import AudioDeviceError, PhaseLockError
from phaselock.frozen import frozen
from phaselock.model.timeline import Timeline
from phaselock.model.timing import TIMING_PHRASES
from phaselock.model.types import AudioStatus, Track
from phaselock.model.volume import volume_of

RATE_HZ = 48000
GAIN = 0.3
SETTLING_S = 5.0
"""The output clock settles for this time before the measurement."""
AHEAD_S = 1.0
"""The signal starts this long after the recording."""
TIMEOUT_S = 10.0
"""Limit for the output to open."""
_POLL_S = 0.2

LIMITS_NOTE = (
    "A recording is taken at the sink's monitor. Its times are the server's account of another stream than the one "
    "under test. Delays that the server, the link or the loudspeaker does not report are in neither. The error of the "
    "server's account is in the figures."
)


@frozen
class Played:
    """The signal as played from `start_ns` on, the last status of the output, and its recording."""

    start_ns: int
    status: AudioStatus
    recording: MonitorRecording


def run(options: argparse.Namespace, bench: Bench) -> None:
    """Measure one output after the other. Raise PhaseLockError if there is none."""
    outputs = list_outputs()
    if not outputs:
        raise PhaseLockError("No audio output detected.")
    signal = signals.noise(options.output_s + SETTLING_S, RATE_HZ, seed=1, channels=1)[:, 0]
    for number, output in enumerate(outputs):
        bench.progress(number / len(outputs), f"plays through {output.name} ({output.backend})")
        bench.add(_case(output, signal))


def _case(output: ListedOutput, signal: NDArray[np.float32]) -> Case:
    monitor = monitor_of(output)
    if monitor is None:
        return _not_measured(output, "it cannot be recorded here.")
    try:
        return compare(output, signal, play(output, signal, monitor))
    except PhaseLockError as error:
        return _not_measured(output, f"not measured. {error}")


def _not_measured(output: ListedOutput, why: str) -> Case:
    parameters = {"backend": output.backend, "timing": output.timing, "recorded": False}
    note = f"{_name(output)}: {TIMING_PHRASES[output.timing]}; {why}"
    return Case("outputs", _name(output), parameters, (), notes=(note,))


def play(output: ListedOutput, signal: NDArray[np.float32], monitor: Monitor) -> Played:
    """Play the signal, (frames,) at RATE_HZ, through this output, and record it. Raise PhaseLockError if the output
    does not open or the recording is of no use."""
    events: queue.SimpleQueue[AudioEvent] = queue.SimpleQueue()
    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    player = Player(
        _native.ClockMap(identity=True),
        lambda engine: Device(engine, "phaselock-bench", output.backend, output.name),
        lambda _plan: _SignalSource(signal),
    )
    player.set_volume(volume_of(GAIN))
    player.start(events.put)
    try:
        _wait_until_open(events)
        seconds = len(signal) / RATE_HZ
        monitor.start(seconds + 2 * AHEAD_S)
        start_ns = _native.now_ns() + round(AHEAD_S * 1e9)
        track = Track(uuid.uuid4(), "signal", 0, b"", RATE_HZ, len(signal))
        player.follow(Plan(Timeline(track.file_id, RATE_HZ, 0, start_ns), track, pathlib.Path("signal")))
        status = player.status()
        while _native.now_ns() < start_ns + seconds * 1e9 - _POLL_S * 1e9:
            time.sleep(_POLL_S)
            status = player.status()
        return Played(start_ns, status, monitor.finish())
    finally:
        player.close()


def compare(output: ListedOutput, signal: NDArray[np.float32], played: Played) -> Case:
    """Compare the recording with the prediction. Raise PhaseLockError if the recording does not contain the signal."""
    predicted = delay.Loudspeaker([delay.Recording(played.start_ns, float(RATE_HZ), RATE_HZ, signal)])
    loudspeaker = played.recording.loudspeaker
    begin_ns = min(played.start_ns, loudspeaker.recordings[0].first_ns)
    windows = delay.window_delays([predicted, loudspeaker])
    settled_s = (played.start_ns - begin_ns) / 1e9 + SETTLING_S
    sure = [one for one in windows if one.sure and one.at_s >= settled_s]
    if not sure:
        raise PhaseLockError("The recording does not contain the signal.")
    at_s = np.array([one.at_s for one in sure])
    late_us = np.array([one.offsets_us[1] for one in sure])
    low_us, middle_us, high_us = (float(one) for one in np.percentile(late_us, (5, 50, 95)))
    shown_ns, timing = played.status.dac_uncertainty_ns, played.status.timing
    metrics = [
        Metric("late_p50_us", "us", (middle_us,), ""),
        Metric("late_p5_us", "us", (low_us,), ""),
        Metric("late_p95_us", "us", (high_us,), ""),
        *([] if shown_ns is None else [Metric("shown_us", "us", (shown_ns / 1e3,))]),
    ]
    stamps_us = played.recording.stamps_us
    shown = "no uncertainty is shown" if shown_ns is None else f"shown ±{shown_ns / 1e6:.2f} ms"
    note = (
        f"{_name(output)}: {TIMING_PHRASES[timing]}, {shown}; leaves {middle_us / 1e3:+.2f} ms after the prediction "
        f"({low_us / 1e3:+.2f} to {high_us / 1e3:+.2f}); the recording's own time stamps spread from "
        f"{stamps_us[0] / 1e3:+.2f} to {stamps_us[1] / 1e3:+.2f} ms."
    )
    parameters = {
        "backend": output.backend,
        "timing": timing,
        "link": output.link,
        "recorded": True,
        "windows": len(windows),
        "underruns": played.status.underruns,
    }
    plot = Plot(
        f"How much later than predicted {output.name} plays",
        "Time (s)",
        "Microseconds",
        (Series(output.backend, tuple(at_s.tolist()), tuple(late_us.tolist())),),
    )
    samples = {"at_s": at_s.tolist(), "late_us": late_us.tolist(), "stamps_us": list(stamps_us)}
    return Case("outputs", _name(output), parameters, tuple(metrics), (plot,), samples, (note, LIMITS_NOTE))


def _name(output: ListedOutput) -> str:
    return f"{output.backend}, {output.name}"


def _wait_until_open(events: queue.SimpleQueue[AudioEvent]) -> None:
    try:
        event = events.get(timeout=TIMEOUT_S)
    except queue.Empty:
        raise AudioDeviceError("The sound system does not answer.") from None
    if isinstance(event, DeviceChanged) and event.state != "open":
        raise AudioDeviceError(event.detail)


class _SignalSource:
    """A Source (audio/decks.py) of the signal in both channels."""

    def __init__(self, signal: NDArray[np.float32]) -> None:
        self._frames = np.ascontiguousarray(np.repeat(signal[:, None], 2, axis=1))
        self._position = 0

    def seek(self, frame: int) -> None:
        """See Source.seek."""
        self._position = min(max(frame, 0), len(self._frames))

    def read_into(self, address: int, frames: int) -> int:
        """See Source.read_into."""
        part = self._frames[self._position : self._position + frames]
        ctypes.memmove(address, part.ctypes.data, part.nbytes)
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        """See Source.close."""
