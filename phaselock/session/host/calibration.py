"""The calibration of all loudspeakers by one microphone, at the host.

    IDLE --start--> ASKING --allowed--> MEASURING --heard--> CHECKING --heard--> IDLE
                       |                    |                    |
                       +--refused, stop-----+--stop, trouble-----+-------------> IDLE

    IDLE --start--> ASKING --allowed--> WAITING --go on--> MEASURING --heard--> WAITING ... CHECKING --heard--> IDLE

A peer is asked for its microphone first; its user may have to answer. The host's own microphone needs no question.

In each of the two passes all machines play sweeps (model/sweeps.py), and one machine records them. After the first
pass, each machine that was heard is corrected by how much later than the earliest one it was heard. The second pass
shows what is left. A machine that is not much closer than before gets its old correction back.

A guest's phone that plays the music (guests.py) takes part like a machine, but nothing is compared with it: it is
corrected to the earliest loudspeaker, also if it is early. Its page plays the second pass by the correction, and keeps
it only when that pass has confirmed it; so a page that has gone away meanwhile has nothing to undo.

In a walk (walk.py) there is a first pass beside each loudspeaker. The session waits until the user has put the
microphone there. The second pass is heard at the last place: there, each machine must be heard earlier by its
correction.

What played is paused meanwhile, and goes on afterwards.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Sequence

from phaselock.model.calibration import Confirmation, Place, travel_ns
from phaselock.model.group import MAX_CALIBRATED
from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import CalibrationView, CalibrationWait
from phaselock.model.sweeps import MAX_CORRECTION_NS, RATE_HZ, SWEEP_ID, Arrival, Sounds, Verdict, length_ns, schedule
from phaselock.model.timeline import Timeline
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.commands import Calibrate, HostCommand, PlaybackCommand
from phaselock.session.effects import (
    GuestCalibrated,
    GuestSweep,
    GuestSweepEnd,
    Listen,
    Send,
    StopListening,
    UseSounds,
)
from phaselock.session.host.guests import Guests
from phaselock.session.host.levels import HeardLevel, HostLevels
from phaselock.session.host.members import Member, Members
from phaselock.session.host.transport import TransportControl
from phaselock.session.host.walk import MAX_CONTRADICTION_NS, Walk
from phaselock.session.outbox import Outbox

MEASURING_REPEATS = 3
CHECKING_REPEATS = 2
QUIET_NS = 300_000_000
"""Silence before the first sound of a pass: the recording begins, and hears the noise of the room."""
ANSWER_NS = 8_000_000_000
"""How long after the last sound of a pass its listener may take to answer."""
WAIT_NS = 300_000_000_000
"""How long a walk waits for its user at each place."""
MAX_WITH_PHONES = 6
"""Phones are left out of a calibration that would have more machines with them: it takes 15 s with this number."""
PHONE_LEAD_NS = 1_000_000_000
"""Least time before a pass in which phones play: their wireless network and their outputs are slow."""
ASK_NS = 30_000_000_000
"""How long the user of a peer may take to allow its microphone."""
LEAST_CHANGE_NS = 20_000
"""A smaller difference is left alone: about one frame."""
MAX_LEFT_NS = 100_000_000
"""A machine that the second pass finds further off was not heard: it is another sound."""
SMALL_NS = 50_000
"""A correction is kept if it leaves less than this, or less than half of the distance before. A machine that was late
only during the first pass is as far off in the second one, on the other side."""


class Phase(enum.Enum):
    """What a calibration does."""

    IDLE = "idle"
    WAITING = "waiting"
    ASKING = "asking"
    MEASURING = "measuring"
    CHECKING = "checking"


@dataclasses.dataclass(slots=True)
class _Machine:
    """A machine that takes part."""

    peer_id: int | None
    """None: the host, or a phone."""
    name: str
    guest_id: bytes | None = None
    """The guest whose phone it is; None: it is a loudspeaker of the session."""
    verdict: Verdict = Verdict.NOT_HEARD
    before_ns: int | None = None
    """How much later than the earliest loudspeaker it was heard in the first pass. Only a phone can be earlier."""
    after_ns: int | None = None
    """The same in the second pass, later than the loudspeaker that was the earliest in the first one."""
    corrected_ns: int = 0
    spread_ns: int = 0
    level: HeardLevel | None = None
    travel_ns: int = 0
    """Of its sound to the microphone. It does not count. In the second pass of a walk: when it must be heard."""


class HostCalibration:
    """A calibration of the session's machines. `now_ns` is session time.

    An `error` event reports a calibration that cannot begin or has failed, a `calibrated` event one that has ended.
    """

    def __init__(
        self,
        members: Members,
        guests: Guests,
        transport: TransportControl,
        levels: HostLevels,
        outbox: Outbox,
        host_name: str,
    ) -> None:
        self._members = members
        self._guests = guests
        self._transport = transport
        self._levels = levels
        self._outbox = outbox
        self._host_name = host_name
        self._phase = Phase.IDLE
        self._machines: list[_Machine] = []
        self._reference = 0
        """Index of the loudspeaker with which the second pass compares all: the one that was heard first."""
        self._left_out: tuple[str, ...] = ()
        """The names of the phones that play the music and do not take part."""
        self._walk: Walk | None = None
        self._unheard: tuple[str, Verdict] | None = None
        """The machine that was not heard at the present place, and why. The pass is repeated once."""
        self._waiting_since_ns = 0
        self._listener: int | None = None
        """The peer whose microphone listens; None: the host."""
        self._listener_name = ""
        self._place: Place = "spot"
        self._number = 0
        """Of the newest pass; answers to earlier ones are ignored."""
        self._asked_until_ns = 0
        """Until when a peer may answer the question for its microphone."""
        self._microphone_ppm: float | None = None
        self._begin_ns = 0
        self._sounds: tuple[Sounds, ...] = ()
        self._resume = False
        """Something played when the calibration began."""

    @property
    def active(self) -> bool:
        """A calibration runs."""
        return self._phase is not Phase.IDLE

    def timeline(self) -> Timeline | None:
        """The timeline of the sweeps, which the host's output follows; None: the playback is followed."""
        return Timeline(SWEEP_ID, RATE_HZ, 0, self._begin_ns) if self._sounding else None

    def view(self) -> CalibrationView | None:
        """The state for users; None if no calibration runs."""
        if not self.active:
            return None
        walk, wait = self._walk, self._wait_view()
        steps = (1, 1) if walk is None else (min(walk.step, walk.steps), walk.steps)
        if wait is not None:
            return CalibrationView(self._listener_name, False, self._waiting_since_ns, 0, (), *steps, wait)
        turns = [(start_ns, one.name) for one, sounds in self._taking_part() for start_ns in sounds.starts_ns]
        return CalibrationView(
            listener=self._listener_name,
            checking=self._phase is Phase.CHECKING,
            begin_session_ns=self._begin_ns,
            length_ns=length_ns(self._sounds) if self._sounds else 0,
            turns=tuple(sorted(turns)),
            step=steps[0],
            steps=steps[1],
            asking=self._phase is Phase.ASKING,
        )

    # -- commands of the user ----------------------------------------------------------------------------------------

    def start(self, listener: Member | None, command: Calibrate, *, now_ns: int) -> None:
        """Begin with the first pass. `listener` is the peer whose microphone listens, and is asked for it; None: the
        host's."""
        if self.active:
            self._outbox.error(Notice(Code.CALIBRATION_RUNS), now_ns)
            return
        playing = [peer for peer in self._members if peer.reports.in_the_room]
        machines = [_Machine(None, self._host_name), *(_Machine(peer.peer_id, peer.name) for peer in playing)]
        phones = self._phones()
        is_spot = command.distances_m is None and not command.walk
        taken = max(0, MAX_WITH_PHONES - len(machines)) if is_spot else 0
        machines += phones[:taken]
        if len(machines) < 2:
            self._outbox.error(Notice(Code.CALIBRATION_ALONE), now_ns)
            return
        if len(machines) > MAX_CALIBRATED:
            self._outbox.error(Notice(Code.TOO_MANY_TO_HEAR, number=MAX_CALIBRATED), now_ns)
            return
        if command.distances_m is not None and not self._set_distances(machines, command.distances_m, now_ns):
            return
        walk = self._new_walk(machines, listener.peer_id if listener else None) if command.walk else None
        if walk is not None and walk.machines < 2:
            self._outbox.error(Notice(Code.CALIBRATION_ALONE), now_ns)
            return
        self._machines, self._walk = machines, walk
        self._left_out = tuple(phone.name for phone in phones[taken:])
        self._place = "spot" if is_spot else "speakers"
        self._listener = listener.peer_id if listener else None
        self._listener_name = listener.name if listener else self._host_name
        self._begin_ns, self._sounds, self._resume, self._microphone_ppm = 0, (), False, None
        if listener is None:
            self._begin(now_ns)
        else:
            self._phase = Phase.ASKING
            self._number += 1
            self._asked_until_ns = now_ns + ASK_NS
            self._outbox.do(Send(listener.conn, m.MicrophoneRequest(self._number)))

    def _begin(self, now_ns: int) -> None:
        """The microphone may listen: begin."""
        self._resume = self._transport.playback.playing
        if self._resume:
            self._transport.pause(now_ns=now_ns)
        self._levels.forget()
        if self._walk is None:
            self._phase = Phase.MEASURING
            self._begin_pass(MEASURING_REPEATS, now_ns)
        else:
            self._wait(None, now_ns)
        names = tuple(one.name for one in self._machines)
        began = e.CalibrationBegan(now_ns, self._listener_name, names, self._walk is not None, self._left_out)
        self._outbox.note(began)

    def go_on(self, *, now_ns: int) -> None:
        """The user has put the microphone beside the loudspeaker that the session waits for."""
        if self._phase is Phase.WAITING:
            self._phase = Phase.MEASURING
            self._begin_pass(MEASURING_REPEATS, now_ns)
        else:
            self._outbox.error(Notice(Code.NOTHING_WAITS), now_ns)

    def stop(self, *, now_ns: int) -> None:
        """End a calibration that runs, and go on with what played."""
        if self.active:
            self._fail(Notice(Code.CALIBRATION_STOPPED), now_ns)

    def precede(self, command: HostCommand, *, now_ns: int) -> None:
        """This command follows. If it changes what plays, end a calibration that runs, without a resume."""
        if isinstance(command, PlaybackCommand):
            self._resume = False
            self.stop(now_ns=now_ns)

    # -- from the listener -------------------------------------------------------------------------------------------

    def answered(self, member: Member, answer: m.MicrophoneAnswer, *, now_ns: int) -> None:
        """A peer has answered whether the host may listen by its microphone."""
        asked = self._phase is Phase.ASKING and self._listener == member.peer_id
        if not asked or answer.number != self._number:
            return
        if answer.allowed:
            self._begin(now_ns)
        else:
            self._fail(Notice(Code.MICROPHONE_NOT_ALLOWED, peer=self._listener_name), now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> None:
        """The host's own microphone has heard pass `number`, or could not."""
        if self._sounding and self._listener is None and number == self._number:
            self._take(heard, now_ns)

    def heard_by(self, member: Member, report: m.HeardReport, *, now_ns: int) -> None:
        """A peer has answered a ListenCommand."""
        if self._sounding and self._listener == member.peer_id and report.number == self._number:
            self._take(HeardPass(report.arrivals, report.fault, report.microphone_ppm), now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def deadlines_ns(self) -> Iterator[int]:
        """The session time at which `timer` must be called, if a calibration runs."""
        if self._phase is Phase.ASKING:
            yield self._asked_until_ns
        elif self._phase is Phase.WAITING:
            yield self._waiting_since_ns + WAIT_NS
        elif self.active:
            yield self._begin_ns + length_ns(self._sounds) + ANSWER_NS

    def timer(self, *, now_ns: int) -> None:
        """End a calibration whose listener does not answer, or whose user has gone."""
        if not any(now_ns >= at_ns for at_ns in self.deadlines_ns()):
            return
        if self._phase is Phase.WAITING:
            self._fail(Notice(Code.CALIBRATION_STOPPED), now_ns)
        else:
            asking = self._phase is Phase.ASKING
            code = Code.MICROPHONE_NOT_ALLOWED if asking else Code.LISTENER_SILENT
            self._fail(Notice(code, peer=self._listener_name), now_ns)

    def settle(self, *, now_ns: int) -> None:
        """End a calibration whose listener has left. Go on to the next place if the machine at this one has left."""
        if self.active and self._listener is not None and self._members.numbered(self._listener) is None:
            self._fail(Notice(Code.LISTENER_SILENT, peer=self._listener_name), now_ns)
        if self._phase is Phase.WAITING and self._walk is not None and self._is_gone(self._walk.place):
            self._walk.skip()
            self._next_place(now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _phones(self) -> list[_Machine]:
        """The phones that play the music, those first that no microphone has heard."""
        phones = sorted((one for one in self._guests if one.plays), key=lambda one: one.confirmation is not None)
        return [_Machine(None, one.name, one.guest_id) for one in phones]

    def _set_distances(
        self, machines: Sequence[_Machine], distances_m: Sequence[tuple[str, float]], now_ns: int
    ) -> bool:
        """Whether all names are known and all machines have a distance. An `error` event says what is wrong."""
        known = {name.casefold() for name in (self._host_name, *(peer.name for peer in self._members))}
        stranger = next((name for name, _ in distances_m if name.casefold() not in known), None)
        by_name = {name.casefold(): distance_m for name, distance_m in distances_m}
        missing = tuple(one.name for one in machines if one.name.casefold() not in by_name)
        if stranger is not None:
            self._outbox.error(Notice(Code.NO_SUCH_PEER, peer=stranger), now_ns)
        elif missing:
            self._outbox.error(Notice(Code.DISTANCES_MISSING, peers=missing), now_ns)
        else:
            for one in machines:
                one.travel_ns = travel_ns(by_name[one.name.casefold()])
        return stranger is None and not missing

    def _at_place(self, arrivals: Sequence[Arrival]) -> dict[int, int]:
        """How late each machine that was heard is at the place of the calibration, compared with an arbitrary zero."""
        return {
            k: arrival.offset_ns - self._machines[k].travel_ns
            for k, arrival in enumerate(arrivals)
            if arrival.offset_ns is not None
        }

    def _new_walk(self, machines: Sequence[_Machine], listener: int | None) -> Walk:
        """The walk to all machines that play. If the listening machine plays, it is carried along."""
        own = self._members.own
        has_output = own is not None and own.latest is not None and own.latest.device_name is not None
        playing = [k for k, one in enumerate(machines) if one.peer_id is not None or has_output]
        carried = next((k for k in playing if machines[k].peer_id == listener), None)
        return Walk(playing, carried)

    def _is_gone(self, place: int | None) -> bool:
        peer_id = None if place is None else self._machines[place].peer_id
        return peer_id is not None and self._members.numbered(peer_id) is None

    def _wait(self, unheard: tuple[str, Verdict] | None, now_ns: int) -> None:
        """Wait until the user has put the microphone at the next place; `unheard`: the last pass has failed there."""
        self._phase, self._sounds = Phase.WAITING, ()
        self._unheard, self._waiting_since_ns = unheard, now_ns
        self._outbox.do(*self._members.broadcast(m.SweepEnd(more_follow=True)))
        wait = self._wait_view()
        if wait is not None and self._walk is not None:
            self._outbox.note(e.CalibrationWaits(now_ns, self._listener_name, self._walk.step, self._walk.steps, wait))

    def _wait_view(self) -> CalibrationWait | None:
        """What the session waits for."""
        if self._phase is not Phase.WAITING or self._walk is None or self._walk.place is None:
            return None
        name, verdict = self._unheard or (None, None)
        return CalibrationWait(self._machines[self._walk.place].name, self._walk.is_carried, name, verdict)

    def _next_place(self, now_ns: int) -> None:
        """Wait at the next place. After the last one, correct all machines."""
        assert self._walk is not None
        while self._is_gone(self._walk.place):
            self._walk.skip()
        if self._walk.place is None:
            self._walked(self._walk, now_ns)
        else:
            self._wait(None, now_ns)

    def _heard_beside(self, walk: Walk, arrivals: Sequence[Arrival], now_ns: int) -> None:
        """A first pass of a walk was heard. If a machine is missing that must be heard there, it is repeated once."""
        offsets_ns = {k: one.offset_ns for k, one in enumerate(arrivals) if one.offset_ns is not None}
        beside = walk.place
        if beside is not None:
            self._machines[beside].verdict = arrivals[beside].verdict
            self._machines[beside].spread_ns = arrivals[beside].spread_ns
        missing = walk.unheard(offsets_ns)
        if missing is not None and self._unheard is None:
            self._wait((self._machines[missing].name, arrivals[missing].verdict), now_ns)
            return
        walk.take(offsets_ns)
        self._next_place(now_ns)

    def _walked(self, walk: Walk, now_ns: int) -> None:
        """All places were visited: correct all machines, and hear at the last place what that does."""
        late_ns = walk.late_ns()
        reference = next((k for k in walk.references() if k in late_ns), None)
        if walk.contradiction_ns() > MAX_CONTRADICTION_NS:
            self._fail(Notice(Code.PLACES_CONTRADICT), now_ns)
            return
        if reference is None:
            self._finish(now_ns)
            return
        self._reference = reference
        for k, machine_late_ns in late_ns.items():
            self._machines[k].verdict = Verdict.HEARD
            self._correct_late(k, machine_late_ns, now_ns)
        for k, offset_ns in walk.heard_last().items():
            self._machines[k].travel_ns = offset_ns - self._machines[k].corrected_ns
        self._phase = Phase.CHECKING
        self._begin_pass(CHECKING_REPEATS, now_ns)

    def _correct_late(self, k: int, late_ns: int, now_ns: int) -> None:
        self._machines[k].before_ns = late_ns
        is_early = self._machines[k].guest_id is not None and late_ns <= -LEAST_CHANGE_NS
        if late_ns >= LEAST_CHANGE_NS or is_early:
            self._correct(self._machines[k], late_ns, now_ns)

    @property
    def _sounding(self) -> bool:
        """The sweeps of a pass play, or its answer is awaited."""
        return self._phase in (Phase.MEASURING, Phase.CHECKING)

    def _taking_part(self) -> list[tuple[_Machine, Sounds]]:
        return list(zip(self._machines, self._sounds, strict=True)) if self._sounds else []

    def _begin_pass(self, repeats: int, now_ns: int) -> None:
        self._number += 1
        self._sounds = schedule(len(self._machines), repeats)
        stop_ns = self._transport.playback.current.stop_session_ns if self._transport.playback.current else None
        moved_ns = max((one.corrected_ns for one in self._machines), default=0)
        has_phones = any(one.guest_id is not None for one in self._machines)
        lead_ns = max(self._members.lead_ns(), PHONE_LEAD_NS if has_phones else 0)
        self._begin_ns = max(now_ns + lead_ns + moved_ns, stop_ns or 0) + QUIET_NS
        for one, sounds in self._taking_part():
            member = self._members.numbered(one.peer_id) if one.peer_id is not None else None
            if one.guest_id is not None:
                self._outbox.do(GuestSweep(one.guest_id, self._begin_ns, sounds, one.corrected_ns))
            elif one.peer_id is None:
                self._outbox.do(UseSounds(sounds))
            elif member is not None:
                self._outbox.do(Send(member.conn, m.SweepCommand(self._begin_ns, sounds)))
        if self._listener is None:
            self._outbox.do(Listen(self._number, self._begin_ns, self._sounds))
        elif listener := self._members.numbered(self._listener):
            self._outbox.do(Send(listener.conn, m.ListenCommand(self._number, self._begin_ns, self._sounds)))

    def _take(self, heard: HeardPass, now_ns: int) -> None:
        arrivals = [
            _NOT_HEARD if self._is_phone_gone(one) else arrival
            for one, arrival in zip(self._machines, heard.arrivals, strict=False)
        ]
        if heard.fault is not None or len(heard.arrivals) != len(self._machines):
            code = Code(heard.fault or MicrophoneFault.FAILED)
            self._fail(Notice(code, peer=self._listener_name), now_ns)
        elif self._phase is Phase.MEASURING and self._walk is not None:
            self._microphone_ppm = heard.microphone_ppm
            self._heard_beside(self._walk, arrivals, now_ns)
        elif self._phase is Phase.MEASURING:
            self._microphone_ppm = heard.microphone_ppm
            self._measured(arrivals, now_ns)
        else:
            self._checked(arrivals, now_ns)

    def _is_phone_gone(self, machine: _Machine) -> bool:
        """It is a phone whose page has been closed, or has stopped to play."""
        if machine.guest_id is None:
            return False
        guest = self._guests.known(machine.guest_id)
        return guest is None or not guest.plays

    def _measured(self, arrivals: Sequence[Arrival], now_ns: int) -> None:
        """Correct all machines that were heard, and begin with the second pass."""
        offsets_ns = self._at_place(arrivals)
        for machine, arrival in zip(self._machines, arrivals, strict=True):
            machine.verdict, machine.spread_ns = arrival.verdict, arrival.spread_ns
            if arrival.offset_ns is not None and machine.guest_id is None:
                machine.level = self._levels.hear(machine.peer_id, arrival.level_db)
        loudspeakers = [k for k in offsets_ns if self._machines[k].guest_id is None]
        if len(offsets_ns) < 2 or not loudspeakers:
            self._finish(now_ns)
            return
        self._reference = min(loudspeakers, key=lambda k: offsets_ns[k])
        for k, offset_ns in offsets_ns.items():
            self._correct_late(k, offset_ns - offsets_ns[self._reference], now_ns)
        self._phase = Phase.CHECKING
        self._begin_pass(CHECKING_REPEATS, now_ns)

    def _checked(self, arrivals: Sequence[Arrival], now_ns: int) -> None:
        """Note what is left, and undo what made a machine worse."""
        offsets_ns = self._at_place(arrivals)
        far = self._walk is not None and self._reference in offsets_ns
        loudspeakers = sum(one.before_ns is not None and one.guest_id is None for one in self._machines)
        for k, machine in enumerate(self._machines):
            if machine.before_ns is None:
                continue
            if far and self._walk is not None and k not in self._walk.heard_last():
                continue  # it is too far away from the last place; it was heard from beside it
            if k in offsets_ns and self._reference in offsets_ns:
                left_ns = offsets_ns[k] - offsets_ns[self._reference]
                machine.after_ns = left_ns if abs(left_ns) <= MAX_LEFT_NS else None
            is_right = machine.after_ns is not None and abs(machine.after_ns) < max(
                SMALL_NS, abs(machine.before_ns) // 2
            )
            if machine.corrected_ns and not is_right:
                self._correct(machine, -machine.corrected_ns, now_ns)
            elif machine.guest_id is not None:
                self._confirm_phone(machine, machine.guest_id, now_ns)
            elif loudspeakers > 1:
                self._confirm(machine, now_ns)
        self._finish(now_ns)

    def _correct(self, machine: _Machine, late_ns: int, now_ns: int) -> None:
        late_ns = max(-MAX_CORRECTION_NS, min(late_ns, MAX_CORRECTION_NS))
        machine.corrected_ns += late_ns
        if machine.guest_id is not None:
            return  # its page gets it with the second pass
        heard = late_ns, machine.spread_ns, self._listener_name, self._place
        member = self._members.numbered(machine.peer_id) if machine.peer_id is not None else None
        if machine.peer_id is None:
            self._outbox.note(e.OutputCalibrated(now_ns, *heard))
        elif member is not None:
            self._outbox.do(Send(member.conn, m.CalibrationCommand(*heard)))

    def _confirm(self, machine: _Machine, now_ns: int) -> None:
        """The second pass has heard a machine, and its correction stays: note that, here and at the machine."""
        if machine.after_ns is None:
            return
        within_ns = max(abs(machine.after_ns), machine.spread_ns)
        confirmation = Confirmation(now_ns, within_ns, self._place)
        heard = within_ns, self._listener_name, self._place
        member = self._members.numbered(machine.peer_id) if machine.peer_id is not None else None
        if machine.peer_id is None and self._members.own is not None:
            self._members.own.proof.confirm(confirmation)
            self._outbox.note(e.OutputConfirmed(now_ns, *heard))
        if member is not None:
            member.reports.proof.confirm(confirmation)
            self._outbox.do(Send(member.conn, m.CalibrationConfirmed(now_ns, *heard)))

    def _confirm_phone(self, machine: _Machine, guest_id: bytes, now_ns: int) -> None:
        """The same for a phone, whose page keeps the correction from now on."""
        guest = self._guests.known(guest_id)
        if guest is None or machine.after_ns is None:
            return
        guest.confirmation = Confirmation(now_ns, max(abs(machine.after_ns), machine.spread_ns), self._place)
        self._outbox.do(GuestCalibrated(guest_id, machine.corrected_ns))

    def _finish(self, now_ns: int) -> None:
        heard = [one.level for one in self._machines if one.level is not None]
        quietest_db = min((one.heard_db for one in heard), default=0.0)
        self._levels.take(heard)
        rows = tuple(
            e.CalibratedRow(
                name=one.name,
                verdict=one.verdict,
                before_ms=_ms(one.before_ns),
                after_ms=_ms(one.after_ns),
                corrected_ms=round(one.corrected_ns / 1e6, 3),
                level_db=round(one.level.heard_db - quietest_db, 1) if one.level and len(heard) > 1 else None,
                phone=one.guest_id is not None,
            )
            for one in self._machines
        )
        self._end(now_ns)
        ppm = None if self._microphone_ppm is None else round(self._microphone_ppm, 1)
        self._outbox.note(e.Calibrated(now_ns, self._listener_name, rows, self._place, ppm))

    def _fail(self, notice: Notice, now_ns: int) -> None:
        """End the calibration. Corrections that no second pass has confirmed are undone."""
        for machine in self._machines:
            if machine.corrected_ns:
                self._correct(machine, -machine.corrected_ns, now_ns)
        self._end(now_ns)
        self._outbox.error(notice, now_ns)

    def _end(self, now_ns: int) -> None:
        """Stop the sweeps and the recording, and go on with what played."""
        self._phase, self._sounds, self._walk, self._unheard = Phase.IDLE, (), None, None
        self._outbox.do(StopListening())
        self._outbox.do(*self._members.broadcast(m.SweepEnd()))
        self._outbox.do(*(GuestSweepEnd(one.guest_id) for one in self._machines if one.guest_id is not None))
        if self._resume and self._transport.playback.paused:
            self._transport.resume(now_ns=now_ns)


_NOT_HEARD = Arrival(Verdict.NOT_HEARD, None, 0, None)


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 3) + 0.0  # no negative zero
