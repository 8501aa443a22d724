"""Record what a sink of this machine plays, by its monitor, with the time at which each frame leaves.

The monitor contains what the sink was given. The times are the server's own account, taken from another stream than the
one under test. Delays that the card, the link or the loudspeaker does not report are in no recording of this kind.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from phaselock import _native
from phaselock.audio import handles, microphone, pulse
from phaselock.audio.device import ListedOutput
from phaselock.audio.pipewire import PipeWire, Sink
from phaselock.audio.pipewire_monitor import PipeWireRecorder
from phaselock.bench.analysis import delay
from phaselock.bench.lab import capture
from phaselock.bench.lab.wav import Capture
from phaselock.errors import AudioDeviceError, PhaseLockError
from phaselock.frozen import frozen

_CLIENT_NAME = "phaselock-bench"
_CHANNELS = 2
_FRAME_BYTES = 4 * _CHANNELS
_MIN_STAMPS = 40
"""A line through fewer time stamps is not reliable."""
_MAX_JITTER_NS = 5_000_000
"""A larger step of the time stamps is a gap in the recording."""
_TIMEOUT_S = 10.0
"""Limit for the first block to arrive."""
_POLL_S = 0.05

Stamp = tuple[float, int]
"""(frame of the recording, local time in ns at which it leaves)"""
_Answer = TypeVar("_Answer")


@frozen
class MonitorRecording:
    """A recording, and the spread of its time stamps around their line: 5th and 95th percentile in microseconds."""

    loudspeaker: delay.Loudspeaker
    stamps_us: tuple[float, float]


class Monitor(Protocol):
    """The monitor of one sink."""

    def start(self, seconds: float) -> None:
        """Start to record. Raise AudioDeviceError if that is not possible."""

    def finish(self) -> MonitorRecording:
        """Wait until `seconds` are recorded and return them. Raise PhaseLockError if the recording is of no use."""


def monitor_of(output: ListedOutput) -> Monitor | None:
    """The monitor of the sink to which this output plays; None if it cannot be recorded."""
    server = _none_on_error(lambda: pulse.ask_server(_CLIENT_NAME))
    is_pipewire = server is None or server.is_pipewire
    if output.backend == "pipewire" or output.link == "pipewire-jack" or output.link == "server" and is_pipewire:
        is_named = output.backend in ("pipewire", "pulseaudio")  # the others play to the default sink
        sinks = _none_on_error(_pipewire_sinks) or []
        sink = next((sink for sink in sinks if not is_named or sink.description == output.name), None)
        return None if sink is None else PipeWireMonitor(sink)
    if server is None or not server.sinks or output.backend != "pulseaudio" and output.link != "server":
        return None
    return PulseMonitor(output.name if output.backend == "pulseaudio" else server.sinks[0].description)


class PulseMonitor:
    """The monitor of the PulseAudio sink with this description. It records on a thread of its own."""

    def __init__(self, description: str) -> None:
        self._input = f"Monitor of {description}"
        self._stamps: list[Stamp] = []
        self._capture: Capture | None = None
        self._error: PhaseLockError | None = None
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> None:
        """See Monitor.start."""
        microphone.check(_CHANNELS, self._input)
        self._thread = threading.Thread(target=self._record, args=(seconds,), name="monitor", daemon=True)
        self._thread.start()

    def finish(self) -> MonitorRecording:
        """See Monitor.finish."""
        assert self._thread is not None
        self._thread.join()
        if self._error is not None or self._capture is None:
            raise self._error or AudioDeviceError("The monitor delivers no sound.")
        return recording_from_stamps(self._capture.frames[:, 0], self._capture.rate_hz, self._stamps)

    def _record(self, seconds: float) -> None:
        try:
            self._capture = capture.record(seconds, _CHANNELS, self._input, on_block=self._stamp)
        except PhaseLockError as error:
            self._error = error

    def _stamp(self, device: Any, _frames: int) -> None:
        stream = handles.handle(device, "pulseaudio capture")
        stamp = None if stream is None else pulse.recorded(stream)
        if stamp is not None and (not self._stamps or stamp[0] > self._stamps[-1][0]):
            self._stamps.append((stamp[0], stamp[1] + _native.now_ns() - time.time_ns()))


class PipeWireMonitor:
    """The monitor of a PipeWire sink. Blocks arrive on a thread of PipeWireRecorder."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._recorder: PipeWireRecorder | None = None
        self._blocks: list[bytes] = []
        self._stamps: list[Stamp] = []
        self._frames = 0
        self._end_s = 0.0

    def start(self, seconds: float) -> None:
        """See Monitor.start. Return once the first block has arrived."""
        self._recorder = PipeWireRecorder(_CLIENT_NAME, self._sink, self._add_block)
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not self._frames:
            if time.monotonic() > deadline_s:
                self._recorder.close()
                raise AudioDeviceError(f"The monitor of {self._sink.description} delivers no sound.")
            time.sleep(_POLL_S)
        self._end_s = time.monotonic() + seconds

    def finish(self) -> MonitorRecording:
        """See Monitor.finish."""
        assert self._recorder is not None
        time.sleep(max(0.0, self._end_s - time.monotonic()))
        rate_hz = self._recorder.rate_hz()
        self._recorder.close()
        frames = np.frombuffer(b"".join(self._blocks), np.float32).reshape(-1, _CHANNELS)
        return recording_from_stamps(frames[:, 0], rate_hz, self._stamps)

    def _add_block(self, block: bytes, leaves_ns: int) -> None:
        self._stamps.append((float(self._frames), leaves_ns))
        self._blocks.append(block)
        self._frames += len(block) // _FRAME_BYTES


def recording_from_stamps(frames: NDArray[np.float32], rate_hz: int, stamps: list[Stamp]) -> MonitorRecording:
    """Place `frames`, (frames,), in time by the stamps of some of them.

    Where the stamps jump, a part of the sound is missing and a new recording begins. Raise PhaseLockError if no part
    has enough stamps.
    """
    stamped = np.array([frame for frame, _ in stamps])
    leaves_ns = np.array([leaves_ns for _, leaves_ns in stamps], np.int64)
    jitter_ns = (leaves_ns - leaves_ns[:1]) - (stamped - stamped[:1]) * 1e9 / rate_hz
    gaps = np.flatnonzero(np.abs(np.diff(jitter_ns)) > _MAX_JITTER_NS) + 1
    recordings, residuals_ns = [], []
    for first, last in itertools.pairwise((0, *gaps.tolist(), len(stamped))):
        if last - first >= _MIN_STAMPS:
            recording, residual_ns = _on_a_line(frames, rate_hz, stamped[first:last], leaves_ns[first:last])
            recordings.append(recording)
            residuals_ns.append(residual_ns)
    if not recordings:
        raise PhaseLockError("The sound server reports no usable times for its monitor.")
    low_us, high_us = np.percentile(np.concatenate(residuals_ns), (5, 95)) / 1e3
    return MonitorRecording(delay.Loudspeaker(recordings), (float(low_us), float(high_us)))


def _on_a_line(
    frames: NDArray[np.float32], rate_hz: int, stamped: NDArray[np.float64], leaves_ns: NDArray[np.int64]
) -> tuple[delay.Recording, NDArray[np.float64]]:
    """The frames between the first and the last stamp, timed by a line through all stamps, and the distance of each
    stamp from the line in ns, (stamps,).

    The slope is the median of the slopes between the first and the second half (H. Theil's incomplete method, 1950).
    """
    late_ns = (leaves_ns - leaves_ns[0]) - (stamped - stamped[0]) * 1e9 / rate_hz
    half = len(stamped) // 2
    rises_ns, runs = late_ns[half : 2 * half] - late_ns[:half], stamped[half : 2 * half] - stamped[:half]
    slope_ns = float(np.median(rises_ns / runs))
    residual_ns = late_ns - slope_ns * (stamped - stamped[0])
    middle_ns = float(np.median(residual_ns))
    frame_ns = 1e9 / rate_hz + slope_ns
    first = math.ceil(stamped[0])
    first_ns = int(leaves_ns[0]) + round(middle_ns + (first - stamped[0]) * frame_ns)
    recording = delay.Recording(first_ns, 1e9 / frame_ns, rate_hz, frames[first : math.ceil(stamped[-1])])
    return recording, residual_ns - middle_ns


def _pipewire_sinks() -> list[Sink]:
    with contextlib.closing(PipeWire(_CLIENT_NAME)) as pipewire:
        return pipewire.sinks()


def _none_on_error(query: Callable[[], _Answer]) -> _Answer | None:
    with contextlib.suppress(AudioDeviceError):
        return query()
    return None
