"""The volume that users set, the trim that makes machines equally loud, and the gain that both mean.

Loudness is heard on a logarithmic scale, so a slider that is linear in amplitude does nothing in its upper half. The
cube is the curve of PulseAudio ("pa_sw_volume_to_linear") and alsamixer: 50 % is -18 dB, 10 % is -60 dB.
"""

from __future__ import annotations

import math
from typing import Annotated

from phaselock.model.bounds import Within

MAX_TRIM_DB = 12.0
"""A trim makes a machine quieter by at most this."""
LEAST_DIFFERENCE_DB = 1.0
"""A smaller difference of two levels is hardly heard."""
TrimDb = Annotated[float, Within(-MAX_TRIM_DB, 0)]
"""How much louder than its volume says a machine plays, in dB."""


def gain_of(volume: float, trim_db: float = 0.0) -> float:
    """The factor of the samples for a volume of 0 to 1 and a trim."""
    return float(volume**3 * 10 ** (trim_db / 20))


def volume_of(gain: float) -> float:
    """The volume for a factor of 0 to 1, to four digits."""
    return round(math.cbrt(gain), 4)
