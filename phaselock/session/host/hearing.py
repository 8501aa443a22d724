"""What microphones hear: the host's calibration, its levels, and its check. Only one of them runs at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from phaselock.model.microphone import HeardPass
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session.host.calibration import HostCalibration
from phaselock.session.host.check import HostCheck
from phaselock.session.host.guests import Guests
from phaselock.session.host.levels import HostLevels
from phaselock.session.host.members import Member, Members
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox

HearingCommand = (
    c.Calibrate
    | c.CalibrateNext
    | c.StopCalibration
    | c.EvenLevels
    | c.UndoLevels
    | c.ResetLevels
    | c.Check
    | c.StopCheck
)
"""The commands of the host's user that need a microphone, or what it has heard."""


class HostHearing:
    """The session calls `settle` at the end of each of its calls. `named` returns the peer with a name; if there is
    none: an empty list, and an `error` event."""

    def __init__(
        self,
        members: Members,
        guests: Guests,
        transport: TransportControl,
        outbox: Outbox,
        host_name: str,
        named: Callable[[str, int], list[Member]],
    ) -> None:
        self._outbox = outbox
        self._named = named
        self.levels = HostLevels(members, outbox, host_name)
        self.calibration = HostCalibration(members, guests, transport, self.levels, outbox, host_name)
        self.check = HostCheck(members, guests, transport, outbox, host_name)

    def command(self, command: HearingCommand, *, now_ns: int) -> None:
        """Execute a command of the host's user."""
        match command:
            case c.Calibrate() if self.check.active:
                self._outbox.error(Notice(Code.CHECK_RUNS), now_ns)
            case c.Calibrate(listener=listener):
                for member in self._listeners(listener, now_ns):
                    self.calibration.start(member, command, now_ns=now_ns)
            case c.CalibrateNext():
                self.calibration.go_on(now_ns=now_ns)
            case c.StopCalibration():
                self.calibration.stop(now_ns=now_ns)
            case c.EvenLevels() | c.UndoLevels() | c.ResetLevels() | c.Check() if self.calibration.active:
                self._outbox.error(Notice(Code.CALIBRATION_RUNS), now_ns)
            case c.EvenLevels():
                self.levels.even(now_ns=now_ns)
            case c.UndoLevels():
                self.levels.undo(now_ns=now_ns)
            case c.ResetLevels():
                self.levels.reset(now_ns=now_ns)
            case c.Check(listener=listener):
                for member in self._listeners(listener, now_ns):
                    self.check.start(member, now_ns=now_ns)
            case c.StopCheck():
                self.check.stop(now_ns=now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> None:
        """The host's own microphone has heard what was asked for under this number, or could not."""
        self.calibration.heard(number, heard, now_ns=now_ns)
        self.check.heard(number, heard, now_ns=now_ns)

    def heard_by(self, member: Member, report: m.HeardReport, *, now_ns: int) -> None:
        """The microphone of a member has heard something, or could not."""
        self.calibration.heard_by(member, report, now_ns=now_ns)
        self.check.heard_by(member, report, now_ns=now_ns)

    def answered(self, member: Member, answer: m.MicrophoneAnswer, *, now_ns: int) -> None:
        """A member allows its microphone, or does not."""
        self.calibration.answered(member, answer, now_ns=now_ns)
        self.check.answered(member, answer, now_ns=now_ns)

    def timer(self, *, now_ns: int) -> None:
        """Handle all deadlines that have passed."""
        self.calibration.timer(now_ns=now_ns)
        self.check.timer(now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """The times at which `timer` must be called."""
        yield from self.calibration.deadlines_ns()
        yield from self.check.deadlines_ns()

    def _listeners(self, name: str | None, now_ns: int) -> list[Member | None]:
        """The machine whose microphone listens: the host (None), or the peer with this name. None at all if that is in
        another room than the loudspeakers."""
        if name is None:
            return [None]
        found = self._named(name, now_ns)
        far = [peer for peer in found if peer.far]
        for peer in far:
            self._outbox.error(Notice(Code.MICROPHONE_FAR, peer=peer.name), now_ns)
        return [peer for peer in found if peer not in far]
