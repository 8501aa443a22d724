"""Values that travel between the rooms of the house."""

from __future__ import annotations

import dataclasses
from uuid import UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """One MP3 as every machine knows it. `frames` counts frames of the track's own rate, encoder delay and padding
    trimmed."""

    file_id: UUID
    file_name: str
    size: int
    sha256: bytes
    rate_hz: int
    frames: int
    title: str = ""
    """As the file's tags tell it; empty: the file name has to do."""
    artist: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz


@dataclasses.dataclass(frozen=True, slots=True)
class ClockStatus:
    """What a machine knows of the session clock at one moment. What is not known yet is None."""

    local_ns: int
    """The local time at which the figures below hold."""
    usable: bool
    """Precise enough to play by."""
    stale: bool
    """No measurement came in the last two seconds."""
    offset_ns: int | None
    """Session time minus local time at `local_ns`."""
    drift_ppm: float | None
    """How much faster session time runs than local time, in parts per million."""
    uncertainty_ns: int | None
    """The offset is within plus or minus this."""
    rtt_ns: int | None
    """Recent worst round trip (about the 90th percentile), for lead times."""

    def session_from_local(self, local_ns: int) -> int | None:
        """Session time at a local time; None while the clock is not usable."""
        if not self.usable or self.offset_ns is None:
            return None
        return local_ns + self.offset_ns + round((self.drift_ppm or 0.0) * 1e-6 * (local_ns - self.local_ns))

    def local_from_session(self, session_ns: int) -> int | None:
        """The first local time at which it is that session time or later; None while the clock is not usable."""
        if not self.usable or self.offset_ns is None:
            return None
        drift = (self.drift_ppm or 0.0) * 1e-6
        elapsed_ns = session_ns - self.local_ns - self.offset_ns
        local_ns = self.local_ns + elapsed_ns - round(elapsed_ns * drift / (1 + drift))
        while (found_ns := self.session_from_local(local_ns)) is not None and found_ns < session_ns:
            local_ns += 1  # at most a few times, for rounding
        return local_ns


UNKNOWN_CLOCK = ClockStatus(
    local_ns=0, usable=False, stale=True, offset_ns=None, drift_ppm=None, uncertainty_ns=None, rtt_ns=None
)
"""Of a peer that has not measured the host's clock yet."""
HOST_CLOCK = ClockStatus(local_ns=0, usable=True, stale=False, offset_ns=0, drift_ppm=0.0, uncertainty_ns=0, rtt_ns=0)
"""Of the host: its local time is session time."""
