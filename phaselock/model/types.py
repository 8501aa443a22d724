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
    """What a machine knows of the session clock. The host's own is exact: zeros, `usable`."""

    usable: bool
    stale: bool
    offset_ns: int
    drift_ppm: float
    uncertainty_ns: int
    rtt_ns: int
    """Recent worst round trip (about the 90th percentile), for lead times."""
