"""What the host's own output plays."""

from __future__ import annotations

from phaselock.session.effects import Effect, Follow
from phaselock.session.host.calibration import HostCalibration
from phaselock.session.host.gains import HostGains
from phaselock.session.host.members import Members
from phaselock.session.host.transport import TransportControl


class OwnOutput:
    """The session calls `settle` at the end of each of its calls."""

    def __init__(
        self, members: Members, transport: TransportControl, gains: HostGains, calibration: HostCalibration
    ) -> None:
        self._members = members
        self._transport = transport
        self._gains = gains
        self._calibration = calibration
        self._followed = Follow(None)

    def keep(self) -> None:
        """The output plays already what it must: this machine becomes the host, or another one does."""
        self._followed = self._wanted()

    def settle(self, *, is_over: bool) -> list[Effect]:
        """The effect of what has changed, if anything has. `is_over`: the session plays no sweeps any more."""
        before, self._followed = self._followed, self._wanted(is_over=is_over)
        return [self._followed] if self._followed != before else []

    def _wanted(self, *, is_over: bool = False) -> Follow:
        """It leaves out a song whose file is not here."""
        sweeps = None if is_over else self._calibration.timeline()
        if sweeps is not None:
            return Follow(sweeps)
        lost = self._members.lost_files
        lines = [one for one in self._transport.playback.lines() if one is None or one.file_id not in lost]
        return self._gains.follow(*[*lines, None, None][:2])
