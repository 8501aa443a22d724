"""The volume that users set, and the gain that it means.

Loudness is heard on a logarithmic scale, so a slider that is linear in amplitude does nothing in its upper half. The
cube is the curve of PulseAudio ("pa_sw_volume_to_linear") and alsamixer: 50 % is -18 dB, 10 % is -60 dB.
"""

from __future__ import annotations

import math


def gain_of(volume: float) -> float:
    """The factor of the samples for a volume of 0 to 1."""
    return volume**3


def volume_of(gain: float) -> float:
    """The volume for a factor of 0 to 1, to four digits."""
    return round(math.cbrt(gain), 4)
