"""The interface of audio output for the rest of the program. The player and the simulated output implement it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import Protocol

from phaselock.frozen import frozen
from phaselock.model.role import Role
from phaselock.model.sweeps import Sounds
from phaselock.model.timeline import Timeline
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.types import AudioStatus, Track


class SongLength(Protocol):
    """The length of an intact file."""

    @property
    def rate_hz(self) -> int: ...

    @property
    def frames(self) -> int: ...


@frozen
class Plan:
    """A timeline to follow, with its track and the file of the track on this computer."""

    timeline: Timeline
    track: Track
    path: pathlib.Path
    gain_db: float = 0.0
    """Makes the track as loud as others, see `model.loudness`."""


@frozen
class SweepPlan:
    """A timeline of sweeps to follow, which a microphone hears."""

    timeline: Timeline
    sounds: Sounds


@frozen
class DecodeFailed:
    """The file of a plan cannot be decoded: this computer does not play it. `reason` is a sentence for users."""

    plan: Plan
    reason: str


@frozen
class DeviceChanged:
    """`state` is "open", "lost" (it will be opened again) or "none" (there is no output device). "open" is repeated
    when the sound system moves the stream to another output, and when the timing changes. Its `detail` is empty, unless
    it replaces a lost one of another name."""

    state: DeviceState
    device_name: str | None
    detail: str
    timing: Timing | None = None
    """How exactly an open output reports its delay; None in the other states."""


@frozen
class LevelsChanged:
    """Volume, trim, channels, correction or the time to wake of the output changed: its status is another one."""


AudioEvent = DecodeFailed | DeviceChanged | LevelsChanged


class AudioOutput(Protocol):
    """Plays timelines. All methods return at once; one thread (the network thread) calls them."""

    def start(self, on_event: Callable[[AudioEvent], None]) -> None:
        """Start. No event is delivered before this call. `on_event` is called on threads of the implementation. Another
        call replaces `on_event`, and tells it which output is open; what plays goes on."""

    def follow(self, plan: Plan | SweepPlan | None, next_plan: Plan | None = None) -> None:
        """Follow `plan` from now on (None: silence, after a short fade). `next_plan` starts where `plan` ends.

        If another plan is playing, it plays on until the new one starts.
        """

    def set_volume(self, volume: float) -> None:
        """Set the volume, from 0 to 1; `model.volume` has its curve. The change is ramped."""

    def set_trim_db(self, trim_db: float) -> None:
        """Play louder than the volume says by this, in dB: -MAX_TRIM_DB (model/volume.py) to 0. The change is ramped.

        It applies to sweeps too: what a microphone hears of a machine is what people hear of it."""

    def set_role(self, role: Role) -> None:
        """Set which channels to play. The change is ramped."""

    def set_quiet(self, spans: Sequence[tuple[int, int]]) -> None:
        """Be silent in these spans of session time and in no others, with a fade at both ends; what plays goes on."""

    def set_correction_ms(self, correction_ms: float) -> None:
        """Set the user's correction for this output. A positive value plays earlier."""

    def status(self) -> AudioStatus:
        """The status now. Never blocks."""

    def close(self) -> None:
        """Stop the device and all threads."""
