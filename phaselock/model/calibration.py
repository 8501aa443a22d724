"""What a microphone has heard of an output, and where its sound is right because of that."""

from __future__ import annotations

from typing import Literal

from phaselock.frozen import frozen
from phaselock.language.message import N_

Place = Literal["spot", "speakers"]
"""spot: sounds that leave all loudspeakers at different times arrive together at the microphone. speakers: they leave
all loudspeakers together, and arrive at each place as late as it is far."""
PLACES: tuple[Place, ...] = ("spot", "speakers")
PLACE_SENTENCES: dict[Place, str] = {
    "spot": N_("That is right at the place of the microphone."),
    "speakers": N_("That is right at the loudspeakers."),
}

SPEED_OF_SOUND_M_S = 343.2
"""In dry air of 20 °C (ISO 9613-1, appendix A). It changes by 0.6 m/s per degree: 0.02 ms at 3 m and 5 °C."""
MAX_DISTANCE_M = 100.0


def travel_ns(distance_m: float) -> int:
    """How long sound takes for this distance."""
    return round(distance_m / SPEED_OF_SOUND_M_S * 1e9)


@frozen
class Calibration:
    """What a microphone has heard of an output."""

    late_ms: float
    """By how much the output plays earlier because of it; positive plays earlier."""
    spread_ms: float
    """By how much the repeats of the measurement differed."""
    heard_at: float
    """Unix time, in seconds."""
    latency_ms: float
    """The latency that the platform reported then. With another one, the calibration may no longer be right."""
    listener: str = ""
    """The machine whose microphone it was."""
    place: Place = "spot"


@frozen
class Confirmation:
    """A microphone has heard a machine together with the others, after the corrections."""

    heard_session_ns: int
    """When, in session time."""
    within_ns: int
    """How far from the others it was heard at most."""
    place: Place


NOT_CALIBRATED = Calibration(0.0, 0.0, 0.0, 0.0)
"""No microphone has heard the output, or the user wants to forget it."""


@frozen
class OutputCalibration:
    """What is kept for the open output, and whether it is applied."""

    kept: Calibration = NOT_CALIBRATED
    set_aside: bool = False
    """The output reports another latency than when it was heard: the calibration is kept, and not applied."""
    latency_ms: float = 0.0
    """The latency that the platform reports now."""
    elsewhere: str = ""
    """If no microphone has heard this output: the output that one has heard last. Empty if there is none."""
