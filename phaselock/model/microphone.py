"""What a microphone has heard of one calibration pass or check, or why it could not be used."""

from __future__ import annotations

import enum

from phaselock.frozen import frozen
from phaselock.model.sweeps import Arrival

MAX_CLOCK_PPM = 20_000.0
"""Limit of a reported error of a microphone's clock."""
FAR_OFF_PPM = 200.0
"""The clock of a microphone with a larger error is mentioned. Crystals are within 100 ppm."""


class MicrophoneFault(enum.StrEnum):
    """Why a microphone could not be used. Each value is also the value of the Code that tells it."""

    NONE = "no_microphone"
    """There is no sound input."""
    NOT_THERE = "no_such_microphone"
    """The sound input that the user has chosen does not exist now."""
    NO_SYSTEM = "no_recording_system"
    """No sound system is running that could be recorded."""
    DENIED = "microphone_denied"
    """The system refuses the access to it."""
    DENIED_BY_WINDOWS = "microphone_denied_by_windows"
    DENIED_BY_MACOS = "microphone_denied_by_macos"
    NOT_ALLOWED = "microphone_not_allowed"
    """The user of its machine has not allowed the host to use it."""
    LOST = "microphone_lost"
    """It was unplugged, or stopped delivering, during the recording."""
    SILENT = "microphone_silent"
    """It delivered nothing but silence: it is muted, or its level is zero."""
    SILENT_ON_MACOS = "microphone_silent_on_macos"
    """The same on macOS, which delivers silence also if it refuses the access."""
    CLIPPED = "microphone_clipped"
    """It was overloaded."""
    NO_SONG = "listener_without_song"
    """Its machine does not play the song that the host wants to hear."""
    FAILED = "microphone_failed"
    """Anything else; the log of its machine says what."""


@frozen
class HeardPass:
    """What a microphone has heard of one pass or check."""

    arrivals: tuple[Arrival, ...] = ()
    """One for each machine; none if there is a fault."""
    fault: MicrophoneFault | None = None
    microphone_ppm: float | None = None
    """How much faster the microphone's clock runs than session time; None: not known."""
