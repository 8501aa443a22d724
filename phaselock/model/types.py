"""Values that several packages exchange: a track, the state of a clock and the state of an audio output."""

from __future__ import annotations

from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.role import Role
from phaselock.model.timing import Timing


@frozen
class Track:
    """One music file, described equally on all machines.

    `size` is in bytes. `frames` is the length in frames at `rate_hz`, without encoder delay and padding.
    """

    file_id: UUID
    file_name: str
    size: int
    sha256: bytes
    rate_hz: int
    frames: int
    title: str = ""
    """From the file's tags; may be empty, then users see the file name."""
    artist: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz


@frozen
class ClockStatus:
    """The session clock at one moment, as one machine has measured it. Values that are not known yet are None."""

    local_ns: int
    """The local time at which the values below are valid."""
    usable: bool
    """The offset is precise enough to schedule playback."""
    stale: bool
    """No measurement arrived in the last two seconds."""
    offset_ns: int | None
    """Session time minus local time at `local_ns`."""
    drift_ppm: float | None
    """How much faster session time runs than local time, in parts per million."""
    uncertainty_ns: int | None
    """Bound of the error of the offset, plus or minus."""
    rtt_ns: int | None
    """Recent worst round trip (about the 90th percentile), for lead times."""
    least_rtt_ns: int | None = None
    """Least round trip of about the last minute: the length of the path without what delays single packets."""

    def session_from_local(self, local_ns: int) -> int | None:
        """Session time at a local time; None while the clock is not usable."""
        if not self.usable or self.offset_ns is None:
            return None
        return local_ns + self.offset_ns + round((self.drift_ppm or 0.0) * 1e-6 * (local_ns - self.local_ns))

    def local_from_session(self, session_ns: int) -> int | None:
        """The first local time that maps to `session_ns` or later; None while the clock is not usable."""
        if not self.usable or self.offset_ns is None:
            return None
        drift = (self.drift_ppm or 0.0) * 1e-6
        elapsed_ns = session_ns - self.local_ns - self.offset_ns
        local_ns = self.local_ns + elapsed_ns - round(elapsed_ns * drift / (1 + drift))
        while (found_ns := self.session_from_local(local_ns)) is not None and found_ns < session_ns:
            local_ns += 1  # a few steps at most: they correct the rounding
        return local_ns


UNKNOWN_CLOCK = ClockStatus(
    local_ns=0, usable=False, stale=True, offset_ns=None, drift_ppm=None, uncertainty_ns=None, rtt_ns=None
)
"""The status at a peer that has not measured the host's clock yet."""
HOST_CLOCK = ClockStatus(
    local_ns=0, usable=True, stale=False, offset_ns=0, drift_ppm=0.0, uncertainty_ns=0, rtt_ns=0, least_rtt_ns=0
)
"""The status at the host: its local time is session time."""


@frozen
class AudioStatus:
    """An audio output at one moment. All values are from the same moment."""

    device_name: str | None
    """Name of the open output; None while none is open."""
    device_rate_hz: int
    """Frames per second of the open output; 0 before the first one."""
    output_latency_ns: int
    """Time from a callback to the loudspeaker, with the user's correction. Negative if the correction exceeds it. While
    the output rests, it contains the time to wake."""
    dac_deviation_ns: int
    """One standard deviation of the fit of the output clock; it falls while the fit converges."""
    dac_uncertainty_ns: int | None
    """Uncertainty of the time at which a frame leaves the loudspeaker: the deviation, and the part of its delay that
    the output does not report. None: unknown."""
    timing: Timing
    """How exactly the delay of the output is known."""
    playing: bool
    """True while the callback outputs a track."""
    phase_error_ns: int
    """How much earlier than its timeline the track is played; negative: later."""
    correction_ppm: float
    """Present change of the playback rate that removes the phase error, in parts per million."""
    underruns: int
    """Number of times that the callback had no decoded audio, since the start of the program."""
    volume: float
    """As set, from 0 to 1."""
    trim_db: float = 0.0
    """How much louder than its volume says it plays, in dB: -MAX_TRIM_DB (model/volume.py) to 0."""
    correction_ns: int = 0
    """By how much the output plays earlier: the user's correction, and what a microphone has heard."""
    role: Role = "stereo"
    """Which channels of the track it plays."""
