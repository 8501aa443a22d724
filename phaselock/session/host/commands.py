"""Which part of the session executes which command of the host's user."""

from __future__ import annotations

from phaselock.language.message import N_
from phaselock.model.code import normal_code
from phaselock.model.notices import Code, Notice
from phaselock.model.party import Order
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.effects import Send
from phaselock.session.host.departure import Departure
from phaselock.session.host.fair_order import moved
from phaselock.session.host.parts import HostParts
from phaselock.session.host.seats import Seats
from phaselock.session.person_keys import FALLBACK_KEY, HOST_KEY

REMOVED = N_("The host has removed you from the jam.")


class HostCommands:
    """`now_ns` is session time."""

    def __init__(self, parts: HostParts, seats: Seats, departure: Departure) -> None:
        self._parts = parts
        self._seats = seats
        self._departure = departure

    def command(self, command: c.HostCommand, *, now_ns: int) -> None:
        """Execute a command of the host's user. An `error` event reports a command that cannot be done."""
        parts = self._parts
        if parts.reign.succession.is_handing_over and type(command) not in (c.Leave, c.Quit):
            parts.outbox.error(Notice(Code.HANDING_OVER), now_ns)
            return
        parts.hearing.calibration.precede(command, now_ns=now_ns)
        match command:
            case c.Add(track=track, fallback=fallback):
                key = FALLBACK_KEY if fallback else HOST_KEY
                parts.queue.add(track, parts.about.host_name, key, now_ns=now_ns)
            case c.ChangeCode(code=text):
                self._change_code(text, now_ns)
            case c.Invite() | c.WithdrawInvitation() | c.InvitationPlaces():
                parts.invitation.command(command, now_ns=now_ns)
            case c.Move(file_id=file_id, to=to):
                parts.queue.move(file_id, to, now_ns=now_ns)
                parts.party.moved_by_hand({file_id})
            case c.Remove(file_id=file_id):
                parts.transport.remove(file_id, now_ns=now_ns)
            case c.Restore(file_id=file_id):
                parts.queue.restore(file_id, now_ns=now_ns)
            case c.Arrange(file_ids=file_ids):
                before = parts.queue.rows.ids()
                parts.queue.arrange(file_ids)
                parts.party.moved_by_hand(moved(before, parts.queue.rows.ids()))
            case c.Shuffle(seed=seed) if seed is not None and parts.party.rules.order is Order.FAIR:
                parts.outbox.error(Notice(Code.ORDER_IS_FAIR), now_ns)
            case c.Shuffle(seed=seed):
                parts.queue.shuffle(seed)
            case c.Repeat(on=on):
                parts.transport.repeat = on
            case c.SetLoudness(target_lufs=target_lufs):
                parts.gains.target_lufs = target_lufs
                parts.outbox.note(e.LoudnessSet(now_ns, target_lufs))
            case c.SetTransitions(transitions=transitions):
                parts.transitions.chosen = transitions
                parts.outbox.note(e.TransitionsSet(now_ns, transitions.crossfade_s, transitions.skip_silence))
            case c.Play() | c.Pause() | c.Resume() | c.Stop() | c.Seek() | c.Next() | c.Previous():
                parts.transport.command(command, now_ns=now_ns)
            case c.Autoplay(wait_peers=wait_peers):
                parts.transport.autoplay(wait_peers)
            case c.DropPeer(name=name):
                self._drop(name, now_ns)
            case c.AllowPeer(name=name):
                self._allow(name, now_ns)
            case c.Retry(name=name):
                self._retry(name, now_ns)
            case c.Without(name=name):
                self._skip(name, now_ns)
            case c.SetPeerVolume(name=name, volume_percent=percent, muted=muted):
                percent = None if percent is None else min(max(0, percent), 100)
                for member in parts.named(name, now_ns):
                    parts.outbox.do(Send(member.conn, m.VolumeCommand(percent, muted)))
            case c.SetPeerRole(name=name, role=role):
                for member in parts.named(name, now_ns):
                    parts.outbox.do(Send(member.conn, m.RoleCommand(role)))
            case c.Accept(request_id=request_id):
                parts.requests.accept(request_id, now_ns=now_ns)
            case c.Reject(request_id=request_id):
                parts.requests.reject(request_id, now_ns=now_ns)
            case c.Calibrate() | c.CalibrateNext() | c.StopCalibration() | c.Check() | c.StopCheck():
                parts.hearing.command(command, now_ns=now_ns)
            case c.EvenLevels() | c.UndoLevels() | c.ResetLevels():
                parts.hearing.command(command, now_ns=now_ns)
            case c.SetRules() | c.RemoveGuest() | c.AllowGuest() | c.UseFallback() | c.VoteFor() | c.WantSkip():
                parts.party.command(command, now_ns=now_ns)
            case c.Say(text=text):
                parts.party.people.heard(HOST_KEY, now_ns=now_ns)
                parts.chat.host_says(parts.about.host_name, text, now_ns=now_ns)
            case c.HandOver():
                parts.reign.succession.hand_over(command, parts.reign.claim(), now_ns=now_ns)
            case c.Leave():
                if not parts.reign.succession.leave(parts.reign.claim(), now_ns=now_ns):
                    self._departure.quit(now_ns=now_ns)
            case c.Quit():
                self._departure.quit(now_ns=now_ns)

    def _change_code(self, text: str, now_ns: int) -> None:
        code = normal_code(text)
        if text and not code:
            self._parts.outbox.error(Notice(Code.CODE_UNUSABLE), now_ns)
        else:
            self._parts.admission.change_code(code)
            self._parts.outbox.note(e.CodeSet(now_ns, code))

    def _drop(self, name: str, now_ns: int) -> None:
        for member in self._parts.named(name, now_ns):
            self._parts.admission.remove(member, self._parts.reign.succession.keys.get(member.peer_id, b""))
            self._seats.dismiss(member, REMOVED, Notice(Code.PEER_REMOVED), now_ns=now_ns)
            if member.outside:
                self._parts.invitation.removed(now_ns=now_ns)

    def _allow(self, name: str, now_ns: int) -> None:
        if not self._parts.admission.allow(name):
            self._parts.outbox.error(
                Notice(Code.NOT_REMOVED, peer=name, peers=self._parts.admission.removed_names), now_ns
            )

    def _retry(self, name: str | None, now_ns: int) -> None:
        members = list(self._parts.members) if name is None else self._parts.named(name, now_ns)
        has_changed = [self._parts.distribution.retry(member, now_ns=now_ns) for member in members]
        if (members or name is None) and not any(has_changed):
            self._parts.outbox.error(Notice(Code.NOTHING_TO_RETRY), now_ns)

    def _skip(self, name: str, now_ns: int) -> None:
        for member in self._parts.named(name, now_ns):
            member.skip()
            self._parts.queue.mark_stale()
