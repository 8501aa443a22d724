"""The gain of a track, which makes all tracks equally loud. It is not the volume of the output, which is the user's."""

from __future__ import annotations

from phaselock import _native
from phaselock.audio.formats.base import FRAME_BYTES

RAMP_S = 1.0
"""How long a change of the gain takes while the track plays."""


class Gain:
    """Multiplies decoded frames. A new gain is reached after RAMP_S of music, in a straight line."""

    def __init__(self, gain_db: float, rate_hz: int) -> None:
        self._aim_db = gain_db
        self._now = self._aim = _factor(gain_db)
        self._ramp_frames = max(1, round(RAMP_S * rate_hz))
        self._step = 0.0
        self._left = 0
        """Frames to the end of the ramp."""

    def aim(self, gain_db: float) -> None:
        """Change to this gain, beginning with the frames that are decoded next."""
        if gain_db == self._aim_db:
            return
        self._aim_db, self._aim = gain_db, _factor(gain_db)
        self._step = (self._aim - self._now) / self._ramp_frames
        self._left = self._ramp_frames

    def apply(self, stereo: int, frames: int) -> None:
        """Multiply the next `frames` float32 stereo frames of the track, which are at this address."""
        ramp = min(self._left, frames)
        if ramp:
            _native.amplify(stereo, ramp, self._now, self._step)
            self._left -= ramp
            self._now = self._now + ramp * self._step if self._left else self._aim
        if frames > ramp and self._now != 1.0:
            _native.amplify(stereo + ramp * FRAME_BYTES, frames - ramp, self._now, 0.0)


def _factor(gain_db: float) -> float:
    return float(10 ** (gain_db / 20))
