"""The check of all loudspeakers by one microphone while music plays, at the host.

    IDLE --start--> ASKING --allowed--> CHECKING --heard--> IDLE
                       |                   |
                       +--refused, stop----+--stop, trouble, the music changes--> IDLE

A peer is asked for its microphone first; its user may have to answer. The host's own microphone needs no question.
The machines play the song in turns (model/turns.py), and one machine records them. Nothing is corrected. The
phones of guests, which play the song too, are silent meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.notices import Code, Notice
from phaselock.model.role import Role
from phaselock.model.snapshot import CheckView
from phaselock.model.timeline import Timeline
from phaselock.model.turns import MAX_MACHINES, in_session, length_ns, quiet, turns
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import ListenToSong, Send, SetQuiet, StopListening
from phaselock.session.host.calibration import ASK_NS
from phaselock.session.host.guests import Guests
from phaselock.session.host.members import Member, Members, Reports
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox

BEGIN_NS = 800_000_000
"""From when all machines know of a check to its begin: the microphone opens."""
TAIL_NS = 1_000_000_000
"""The song plays on at least until this time after the last turn: machines may be late."""
ANSWER_NS = 25_000_000_000
"""How long after the last turn the listener may take to answer. Its analysis takes some seconds."""
FIRST_NUMBER = 2**32 - 1
"""Checks are numbered from here downwards, the passes of calibrations from 1 upwards: an answer belongs to one."""


class HostCheck:
    """A check of the session's machines. `now_ns` is session time.

    An `error` event reports a check that cannot begin or has failed, a `checked` event one that has ended.
    """

    def __init__(
        self, members: Members, guests: Guests, transport: TransportControl, outbox: Outbox, host_name: str
    ) -> None:
        self._members = members
        self._guests = guests
        self._transport = transport
        self._outbox = outbox
        self._host_name = host_name
        self._timeline: Timeline | None = None
        """The song that is heard; None: no check runs."""
        self._machines: list[tuple[int | None, str]] = []
        """Peer number and name of the machines that take part; the first one is the host, without a number."""
        self._listener: int | None = None
        """The peer whose microphone listens; None: the host."""
        self._listener_name = ""
        self._number = FIRST_NUMBER + 1
        """Of the newest check; answers to earlier ones are ignored."""
        self._begin_ns = 0
        self._asked_until_ns: int | None = None
        """A peer has been asked for its microphone, and may answer until then. None: no question is open."""

    @property
    def active(self) -> bool:
        """A check runs, or a peer is asked for its microphone."""
        return self._timeline is not None or self._asked_until_ns is not None

    def view(self) -> CheckView | None:
        """The state for users; None if no check runs."""
        if not self.active:
            return None
        if self._timeline is None:
            return CheckView(self._listener_name, 0, 0, ())
        return CheckView(
            listener=self._listener_name,
            begin_session_ns=self._begin_ns,
            length_ns=length_ns(len(self._machines)),
            turns=tuple((span.begin_ns, self._machines[one][1]) for one, span in turns(len(self._machines))),
        )

    # -- commands of the user ----------------------------------------------------------------------------------------

    def start(self, listener: Member | None, *, now_ns: int) -> None:
        """Begin. `listener` is the peer whose microphone listens, and is asked for it; None: the host's."""
        if self.active:
            return self._outbox.error(Notice(Code.CHECK_RUNS), now_ns)
        if (obstacle := self._obstacle(now_ns)) is not None:
            return self._outbox.error(_about(obstacle), now_ns)
        self._listener = listener.peer_id if listener else None
        self._listener_name = listener.name if listener else self._host_name
        self._number -= 1
        if listener is None:
            return self._begin(now_ns)
        self._asked_until_ns = now_ns + ASK_NS
        self._outbox.do(Send(listener.conn, m.MicrophoneRequest(self._number)))

    def _playing(self) -> list[Member]:
        return [peer for peer in self._members if peer.reports.in_the_room]

    def _begin_from(self, now_ns: int) -> int:
        return now_ns + self._members.lead_ns() + BEGIN_NS

    def _obstacle(self, now_ns: int) -> Code | None:
        """Why no check can begin now."""
        timeline, end_ns = self._transport.playback.current, self._transport.end_ns()
        playing, begin_ns = self._playing(), self._begin_from(now_ns)
        if not playing:
            return Code.CALIBRATION_ALONE
        if len(playing) + 1 > MAX_MACHINES:
            return Code.TOO_MANY_TO_HEAR
        if timeline is None or end_ns is None or timeline.start_session_ns > begin_ns:
            return Code.CHECK_NEEDS_MUSIC
        return Code.CHECK_SONG_ENDS if begin_ns + length_ns(len(playing) + 1) + TAIL_NS > end_ns else None

    def _begin(self, now_ns: int) -> None:
        """The microphone may listen: begin, if that is still possible."""
        obstacle, timeline = self._obstacle(now_ns), self._transport.playback.current
        if obstacle is not None or timeline is None:
            return self._fail(_about(obstacle or Code.CHECK_NEEDS_MUSIC), now_ns)
        playing, begin_ns = self._playing(), self._begin_from(now_ns)
        machines = len(playing) + 1
        self._timeline, self._begin_ns = timeline, begin_ns
        self._machines = [(None, self._host_name), *((peer.peer_id, peer.name) for peer in playing)]
        for k, (peer_id, _) in enumerate(self._machines):
            spans = quiet(k, machines)
            member = self._members.numbered(peer_id) if peer_id is not None else None
            if member is not None:
                self._outbox.do(Send(member.conn, m.QuietCommand(begin_ns, spans)))
            else:
                self._outbox.do(SetQuiet(in_session(spans, begin_ns)))
        roles = tuple(_role(reports) for reports in (self._members.own, *(peer.reports for peer in playing)))
        listener = self._members.numbered(self._listener) if self._listener is not None else None
        if self._listener is None:
            self._outbox.do(ListenToSong(self._number, begin_ns, timeline, roles))
        elif listener is not None:
            self._outbox.do(Send(listener.conn, m.ListenToSongCommand(self._number, begin_ns, roles)))
        names = tuple(name for _, name in self._machines)
        left_out = tuple(guest.name for guest in self._guests if guest.plays)
        self._outbox.note(e.CheckBegan(now_ns, self._listener_name, names, left_out))

    def stop(self, *, now_ns: int) -> None:
        """End a check that runs."""
        if self.active:
            self._fail(Notice(Code.CHECK_STOPPED), now_ns)

    # -- from the listener -------------------------------------------------------------------------------------------

    def answered(self, member: Member, answer: m.MicrophoneAnswer, *, now_ns: int) -> None:
        """A peer has answered whether the host may listen by its microphone."""
        asked = self._asked_until_ns is not None and self._listener == member.peer_id
        if not asked or answer.number != self._number:
            return
        self._asked_until_ns = None
        if answer.allowed:
            self._begin(now_ns)
        else:
            self._fail(Notice(Code.MICROPHONE_NOT_ALLOWED, peer=self._listener_name), now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> None:
        """The host's own microphone has heard check `number`, or could not."""
        if self._timeline is not None and self._listener is None and number == self._number:
            self._take(heard, now_ns)

    def heard_by(self, member: Member, report: m.HeardReport, *, now_ns: int) -> None:
        """A peer has answered a ListenToSongCommand."""
        if self._timeline is not None and self._listener == member.peer_id and report.number == self._number:
            self._take(HeardPass(report.arrivals, report.fault, report.microphone_ppm), now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def deadlines_ns(self) -> Iterator[int]:
        """The session time at which `timer` must be called, if a check runs."""
        if self._asked_until_ns is not None:
            yield self._asked_until_ns
        elif self.active:
            yield self._turns_end_ns() + ANSWER_NS

    def timer(self, *, now_ns: int) -> None:
        """End a check whose listener does not answer."""
        if any(now_ns >= at_ns for at_ns in self.deadlines_ns()):
            asking = self._asked_until_ns is not None
            code = Code.MICROPHONE_NOT_ALLOWED if asking else Code.LISTENER_SILENT
            self._fail(Notice(code, peer=self._listener_name), now_ns)

    def settle(self, *, now_ns: int) -> None:
        """End a check whose listener has left, or whose song does not play on."""
        if not self.active:
            return
        if self._listener is not None and self._members.numbered(self._listener) is None:
            self._fail(Notice(Code.LISTENER_SILENT, peer=self._listener_name), now_ns)
        elif self._timeline not in (None, self._transport.playback.current) and now_ns < self._turns_end_ns():
            self._fail(Notice(Code.CHECK_DISTURBED), now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _turns_end_ns(self) -> int:
        return self._begin_ns + length_ns(len(self._machines))

    def _take(self, heard: HeardPass, now_ns: int) -> None:
        if heard.fault is not None or len(heard.arrivals) != len(self._machines):
            code = Code(heard.fault or MicrophoneFault.FAILED)
            self._fail(Notice(code, peer=self._listener_name), now_ns)
            return
        rows = tuple(
            e.CheckedRow(name, one.verdict, None if one.offset_ns is None else round(one.offset_ns / 1e6, 3) + 0.0)
            for (_, name), one in zip(self._machines, heard.arrivals, strict=True)
        )
        self._end()
        self._outbox.note(e.Checked(now_ns, self._listener_name, rows))

    def _fail(self, notice: Notice, now_ns: int) -> None:
        self._end()
        self._outbox.error(notice, now_ns)

    def _end(self) -> None:
        """Let all machines play, and end the recording."""
        self._timeline = self._asked_until_ns = None
        self._outbox.do(SetQuiet(()), StopListening())
        self._outbox.do(*self._members.broadcast(m.QuietCommand(self._begin_ns, ())))


def _about(obstacle: Code) -> Notice:
    return Notice(obstacle, number=MAX_MACHINES if obstacle is Code.TOO_MANY_TO_HEAR else None)


def _role(reports: Reports | None) -> Role:
    report = reports.latest if reports is not None else None
    return (report.role if report is not None else None) or "stereo"
