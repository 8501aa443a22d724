"""Recording what a sink of this machine plays, by its monitor, each frame with the time at which it leaves.

The monitor holds what the sink was given. When that leaves is the server's own account, taken through a stream that is
not the one under test. What the card, the link or the loudspeaker keeps to itself is in no recording of this kind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from phaselock import _native
from phaselock.audio import handles, pulse
from phaselock.audio.device import ListedOutput
from phaselock.audio.pipewire import PipeWire, Sink
from phaselock.audio.pipewire_monitor import PipeWireRecorder
from phaselock.bench.analysis import delay
from phaselock.bench.lab import capture
from phaselock.errors import AudioDeviceError, PhaseLockError

_CLIENT = "phaselock-bench"
_MIN_STAMPS = 40
_JUMP_NS = 5_000_000
_OPENING_S = 10.0

_Answer = TypeVar("_Answer")


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """What was recorded, and how far its own time stamps spread around their line, 5th and 95th percentile."""

    loudspeaker: delay.Loudspeaker
    stamps_us: tuple[float, float]


class Monitor(Protocol):
    """The monitor of one sink."""

    def start(self, seconds: float) -> None:
        """Begin to record; AudioDeviceError."""

    def finish(self) -> Heard:
        """After so many seconds: what was recorded. PhaseLockError when it tells nothing."""


def monitor_of(output: ListedOutput) -> Monitor | None:
    """The monitor of the sink that this output plays to; None where none can be recorded."""
    server = _answer(lambda: pulse.ask_server(_CLIENT))
    is_pipewire = server is None or server.is_pipewire
    if output.backend == "pipewire" or output.link == "pipewire-jack" or output.link == "server" and is_pipewire:
        named = output.backend in ("pipewire", "pulseaudio")  # the others play to the default sink
        sinks = _answer(_pipewire_sinks) or []
        sink = next((sink for sink in sinks if not named or sink.description == output.name), None)
        return None if sink is None else PipeWireMonitor(sink)
    if server is None or not server.sinks or output.backend != "pulseaudio" and output.link != "server":
        return None
    return PulseMonitor(output.name if output.backend == "pulseaudio" else server.sinks[0].description)


class PulseMonitor:
    """By PulseAudio, on a sink of this description."""

    def __init__(self, description: str) -> None:
        self._input = f"Monitor of {description}"
        self._stamps: list[tuple[float, int]] = []
        self._captured: capture.Captured | None = None
        self._error: PhaseLockError | None = None
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> None:
        """See Monitor.start."""
        capture.check(2, self._input)
        self._thread = threading.Thread(target=self._listen, args=(seconds,), name="monitor", daemon=True)
        self._thread.start()

    def finish(self) -> Heard:
        """See Monitor.finish."""
        assert self._thread is not None
        self._thread.join()
        if self._error is not None or self._captured is None:
            raise self._error or AudioDeviceError("The monitor hands over nothing.")
        return heard(self._captured.frames[:, 0], self._captured.rate_hz, self._stamps)

    def _listen(self, seconds: float) -> None:
        try:
            self._captured = capture.listen(seconds, 2, self._input, stamp=self._stamp)
        except PhaseLockError as error:
            self._error = error

    def _stamp(self, device: Any, _frames: int) -> None:
        stream = handles.handle(device, "pulseaudio capture")
        told = None if stream is None else pulse.recorded(stream)
        if told is not None and (not self._stamps or told[0] > self._stamps[-1][0]):
            self._stamps.append((told[0], told[1] + _native.now_ns() - time.time_ns()))


class PipeWireMonitor:
    """By PipeWire, on a sink of its own."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._recorder: PipeWireRecorder | None = None
        self._blocks: list[bytes] = []
        self._stamps: list[tuple[float, int]] = []
        self._frames = 0
        self._until_s = 0.0

    def start(self, seconds: float) -> None:
        """See Monitor.start. Returns once it records."""
        self._recorder = PipeWireRecorder(_CLIENT, self._sink, self._take)
        until_s = time.monotonic() + _OPENING_S
        while not self._frames:
            if time.monotonic() > until_s:
                self._recorder.close()
                raise AudioDeviceError(f"The monitor of {self._sink.description} hands over nothing.")
            time.sleep(0.05)
        self._until_s = time.monotonic() + seconds

    def finish(self) -> Heard:
        """See Monitor.finish."""
        assert self._recorder is not None
        time.sleep(max(0.0, self._until_s - time.monotonic()))
        rate_hz = self._recorder.rate_hz()
        self._recorder.close()
        frames = np.frombuffer(b"".join(self._blocks), np.float32).reshape(-1, 2)
        return heard(frames[:, 0], rate_hz, self._stamps)

    def _take(self, block: bytes, leaves_ns: int) -> None:
        self._stamps.append((float(self._frames), leaves_ns))
        self._blocks.append(block)
        self._frames += len(block) // 8


def heard(frames: NDArray[np.float32], rate_hz: int, stamps: list[tuple[float, int]]) -> Heard:
    """A recording of `frames`, (frames,), by time stamps of some of them: (frame, local time in ns at which it leaves).
    Where the stamps jump, a part of the sound is missing, and a new line begins. PhaseLockError when they tell nothing.
    """
    at = np.array([frame for frame, _ in stamps])
    leaves_ns = np.array([leaves_ns for _, leaves_ns in stamps], np.int64)
    late_ns = (leaves_ns - leaves_ns[:1]) - (at - at[:1]) * 1e9 / rate_hz
    jumps = np.flatnonzero(np.abs(np.diff(late_ns)) > _JUMP_NS) + 1
    parts, rests = [], []
    for first, last in itertools.pairwise((0, *jumps.tolist(), len(at))):
        if last - first >= _MIN_STAMPS:
            recording, rest_ns = _line(frames, rate_hz, at[first:last], leaves_ns[first:last])
            parts.append(recording)
            rests.append(rest_ns)
    if not parts:
        raise PhaseLockError("The server tells no times of its monitor that could be relied on.")
    low, high = np.percentile(np.concatenate(rests), (5, 95)) / 1e3
    return Heard(delay.Loudspeaker(parts), (float(low), float(high)))


def _line(
    frames: NDArray[np.float32], rate_hz: int, at: NDArray[np.float64], leaves_ns: NDArray[np.int64]
) -> tuple[delay.Recording, NDArray[np.float64]]:
    """The frames between the first and the last stamp, on the line through all of them, and how far each is from it. By
    Theil's incomplete method (H. Theil, 1950): the median of the slopes between the halves."""
    late_ns = (leaves_ns - leaves_ns[0]) - (at - at[0]) * 1e9 / rate_hz
    half = len(at) // 2
    slope_ns = float(np.median((late_ns[half : 2 * half] - late_ns[:half]) / (at[half : 2 * half] - at[:half])))
    rest_ns = late_ns - slope_ns * (at - at[0])
    middle_ns = float(np.median(rest_ns))
    frame_ns = 1e9 / rate_hz + slope_ns
    first = math.ceil(at[0])
    first_ns = int(leaves_ns[0]) + round(middle_ns + (first - at[0]) * frame_ns)
    return delay.Recording(first_ns, 1e9 / frame_ns, rate_hz, frames[first : math.ceil(at[-1])]), rest_ns - middle_ns


def _pipewire_sinks() -> list[Sink]:
    with contextlib.closing(PipeWire(_CLIENT)) as pipewire:
        return pipewire.sinks()


def _answer(ask: Callable[[], _Answer]) -> _Answer | None:
    with contextlib.suppress(AudioDeviceError):
        return ask()
    return None
