"""Which part of the session takes which message of the host."""

from __future__ import annotations

from phaselock.model.calibration import Confirmation
from phaselock.model.microphone import MicrophoneFault
from phaselock.model.names import person_name, sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.turns import in_session
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Close, Listen, ListenToSong, SetQuiet
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.departure import PeerDeparture
from phaselock.session.peer.joining import Joining
from phaselock.session.peer.lost_host import LostHost
from phaselock.session.peer.parts import PeerParts
from phaselock.session.peer.seat import Seat


class HostMessages:
    """`now_ns` is the peer's local time."""

    def __init__(
        self, parts: PeerParts, seat: Seat, joining: Joining, lost_host: LostHost, departure: PeerDeparture
    ) -> None:
        self._parts = parts
        self._seat = seat
        self._joining = joining
        self._lost_host = lost_host
        self._departure = departure

    def take(self, message: Message, *, now_ns: int) -> None:
        """The host has sent this message, which it may send now. Breach if it makes no sense."""
        parts, seat = self._parts, self._seat
        match message:
            case m.SessionInfo() | m.JoinAccepted() | m.JoinRejected() | m.CodeNeeded():
                self._joining.take(message, now_ns=now_ns)
            case m.SessionEnd(reason=reason):
                parts.outbox.do(Close(HOST_CONN, "session ended"))
                self._departure.end(Notice(Code.SESSION_ENDED, sentence(reason)), now_ns=now_ns, failed=bool(reason))
            case m.FileTransferStart():
                self._offered(message, now_ns)
            case m.QueueUpdate(queue=queue, revision=revision):
                parts.queue.take(queue, revision, now_ns=now_ns)
            case m.QueueChange():
                parts.queue.change(message, now_ns=now_ns)
            case m.RulesUpdate(rules=rules):
                parts.party.take_rules(rules, now_ns=now_ns)
            case m.VotesUpdate():
                if not parts.party.take_votes(message, parts.queue.now(), now_ns=now_ns):
                    raise Breach("too many votes")
            case m.YourVotes():
                parts.party.take_own_votes(message)
            case m.SongRequestAccepted(request_id=file_id) if parts.files.is_offered_back(file_id):
                parts.files.send_back(file_id, seat.access)
            case m.SongRequestAccepted(request_id=request_id) if parts.bequest.is_offered(request_id):
                parts.bequest.accepted(seat.access)
            case m.SongRequestRejected(request_id=request_id) | m.SongRequestAdded(request_id=request_id) if (
                parts.bequest.is_offered(request_id)
            ):
                parts.bequest.settled()
            case m.SongRequestConverting(request_id=request_id) if parts.bequest.is_offered(request_id):
                pass
            case m.SongRequestAccepted(request_id=request_id):
                self._asked(parts.requests.accepted(request_id, *seat.access, now_ns=now_ns))
            case m.SongRequestRejected(request_id=request_id, reason=reason):
                self._asked(parts.requests.rejected(request_id, reason, now_ns=now_ns))
            case m.SongRequestConverting(request_id=request_id, done_percent=done_percent):
                self._asked(parts.requests.converting(request_id, done_percent, now_ns=now_ns))
            case m.SongRequestAdded(request_id=request_id):
                self._asked(parts.requests.added(request_id, now_ns=now_ns))
            case m.SweepCommand():
                parts.playback.sweep(message)
            case m.SweepEnd(more_follow=more_follow):
                parts.playback.end_sweeps()
                if more_follow:
                    parts.microphone.pause()
                else:
                    parts.microphone.end(now_ns=now_ns)
            case m.MicrophoneRequest(number=number):
                parts.microphone.ask(number, now_ns=now_ns)
            case m.ListenCommand(number=number, target_time_ns=begin_ns, machines=machines):
                parts.microphone.listen(Listen(number, begin_ns, machines), now_ns=now_ns)
            case m.QuietCommand(target_time_ns=begin_ns, spans=spans):
                parts.outbox.do(SetQuiet(in_session(spans, begin_ns)))
                if not spans:
                    parts.microphone.end(now_ns=now_ns)
            case m.ListenToSongCommand():
                self._listen_to_song(message, now_ns)
            case m.CalibrationCommand(late_ns=late_ns, spread_ns=spread_ns, listener=listener, place=place):
                heard = late_ns, spread_ns, person_name(listener), place
                parts.outbox.note(e.OutputCalibrated(parts.session_ns(now_ns), *heard))
            case m.TrimCommand(trim_db=trim_db):
                parts.outbox.note(e.TrimSet(parts.session_ns(now_ns), trim_db))
            case m.CalibrationConfirmed():
                self._confirmed(message, now_ns)
            case m.PlayCommand():
                parts.playback.play(message)
            case m.PauseCommand():
                parts.playback.pause(message, now_ns=now_ns)
            case m.ResumeCommand():
                parts.playback.resume(message)
            case m.SeekCommand():
                parts.playback.seek(message)
            case m.StopCommand():
                parts.playback.stop(message, now_ns=now_ns)
            case m.VolumeCommand(volume_percent=volume_percent, muted=muted):
                parts.reports.change_volume(volume_percent, muted)
                volume = parts.reports.volume_percent, parts.reports.muted
                parts.outbox.note(e.VolumeSet(parts.session_ns(now_ns), *volume))
            case m.RoleCommand(role=role):
                parts.reports.role = role
                parts.outbox.note(e.RoleSet(parts.session_ns(now_ns), role))
            case m.TrackGains():
                if not parts.gains.take(message):
                    raise Breach("too many gains")
            case m.ChatSaid(line=line):
                parts.chat.said(line)
            case m.ChatHistory(lines=lines):
                parts.chat.history(lines)
            case m.ChatRefused(why=why):
                parts.chat.refused(why, now_ns=now_ns)
            case m.HostPlaces():
                parts.outside.use(message)
            case m.PiecesKey(key=key):
                parts.pieces.let(key)
            case m.PieceSource():
                parts.pieces.source(message)
            case m.PieceTasks():
                parts.pieces.tasks(message, *seat.access)
            case m.StandBy():
                parts.succession.asked_to_stand_by()
            case m.SuccessionLine():
                parts.succession.take_line(message, seat.host_key, seat.token, parts.session_ns(now_ns))
            case m.HeritageUpdate():
                parts.succession.take_heritage(message)
            case m.HostMoved():
                self._lost_host.moved_to(message, now_ns=now_ns)
            case m.SongsSought(file_ids=file_ids):
                parts.files.sought(file_ids)
            case m.Heartbeat():
                pass
            case _:
                raise Breach(f"{type(message).__name__} makes no sense")

    def _confirmed(self, message: m.CalibrationConfirmed, now_ns: int) -> None:
        within_ns, place = message.within_ns, message.place
        self._parts.reports.proof.confirm(Confirmation(message.heard_time_ns, within_ns, place))
        heard = within_ns, person_name(message.listener), place
        self._parts.outbox.note(e.OutputConfirmed(self._parts.session_ns(now_ns), *heard))

    def _offered(self, start: m.FileTransferStart, now_ns: int) -> None:
        self._parts.playback.check_rate(start.file_id, start.rate_hz)
        if not self._parts.files.offered(start, *self._seat.access, now_ns=now_ns):
            raise Breach("a file changed, or there are too many")

    def _listen_to_song(self, command: m.ListenToSongCommand, now_ns: int) -> None:
        timeline = self._parts.playback.timeline
        if timeline is not None and self._parts.playback.sounds():
            task = ListenToSong(command.number, command.target_time_ns, timeline, command.roles)
            self._parts.microphone.listen(task, now_ns=now_ns)
        else:
            self._parts.microphone.refuse(command.number, MicrophoneFault.NO_SONG)

    def _asked(self, asked: bool) -> None:
        if not asked:
            raise Breach("an answer to a request that was never made")
