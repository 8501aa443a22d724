"""What the rest of the program sees of audio. The player with a device and the simulated one both implement it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Protocol

from phaselock.model.timeline import Timeline
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.types import Track


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A line to follow and the file that it speaks of."""

    timeline: Timeline
    track: Track
    path: pathlib.Path


@dataclasses.dataclass(frozen=True, slots=True)
class AudioStatus:
    """One coherent look at the engine; errors and times in nanoseconds, rates in parts per million."""

    device_name: str | None
    """None while no device is open."""
    device_rate_hz: int
    output_latency_ns: int
    """From a callback to the loudspeaker, the user's correction included."""
    dac_deviation_ns: int
    """One standard deviation of the output clock's fit: how far it has settled."""
    dac_uncertainty_ns: int | None
    """Of the moment at which a frame leaves the loudspeaker: the deviation and what the output leaves untold. None: not
    known."""
    timing: Timing
    playing: bool
    """Sound of a track leaves the callback now."""
    phase_error_ns: int
    correction_ppm: float
    underruns: int
    volume: float


@dataclasses.dataclass(frozen=True, slots=True)
class DecodeFailed:
    """The file of a plan cannot be decoded; nothing of it will play on this machine."""

    plan: Plan
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceChanged:
    """`state` is "open", "lost" (will be tried again) or "none" (no output device exists). "open" is said again when
    the sound system moves the stream to another output, and when the timing changes."""

    state: DeviceState
    device_name: str | None
    detail: str
    timing: Timing | None = None
    """Of an open one."""


AudioEvent = DecodeFailed | DeviceChanged


class AudioOutput(Protocol):
    """Follows timelines. All methods return at once and are called from one thread (the network thread)."""

    def start(self, on_event: Callable[[AudioEvent], None]) -> None:
        """Begin; not sooner is there an event. They arrive on a thread of the implementation's choice."""

    def follow(self, plan: Plan | None, then: Plan | None = None) -> None:
        """Follow `plan` from now on instead of whatever was followed (None: silence, with a short fade); `then` is the
        track that starts where `plan` ends. Sound that is playing goes on until the new line starts."""

    def set_volume(self, volume: float) -> None:
        """0 to 1, ramped."""

    def set_correction_ms(self, correction_ms: float) -> None:
        """The user's own correction of this output: positive plays earlier."""

    def status(self) -> AudioStatus:
        """A coherent look, never blocking."""

    def close(self) -> None:
        """Stop the device and all threads."""
