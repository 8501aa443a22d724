"""The peer's session, as its runner calls it: it joins, fetches the offered files, follows the host's timelines and
reports its state.

parts.py makes the parts. joining.py has the begin of the session, and departure.py its end. host_messages.py gives the
parts the messages of the host; all of these are checked, like all data from the network. absence.py describes what the
peer does if it loses its host, and lost_host.py does it.
"""

from __future__ import annotations

from uuid import UUID

from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.heritage import MAX_ADDRESSES, Cause
from phaselock.model.key_words import key_words
from phaselock.model.microphone import HeardPass
from phaselock.model.names import person_name, sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.role import Role
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.types import AudioStatus, ClockStatus
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Close, Effect, FollowHost, Send
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.departure import HOST_LOST, PeerDeparture
from phaselock.session.peer.host_messages import HostMessages
from phaselock.session.peer.joining import Joining
from phaselock.session.peer.lost_host import LostHost
from phaselock.session.peer.parts import PeerParts
from phaselock.session.peer.seat import Seat
from phaselock.session.peer.succession import Found
from phaselock.session.states import ASLEEP_NS, DEAD_NS, HEARTBEAT_NS, PEER_ACCEPTS, PeerSide


class PeerSession:
    """One session at a peer. `now_ns` is the peer's local time.

    Methods that change the session return the effects that the runner must execute.
    """

    def __init__(
        self,
        *,
        display_name: str,
        code: str = "",
        microphone: bool = False,
        session_id: bytes = b"",
        announced_key: bytes = b"",
        may_host: bool = True,
    ) -> None:
        """`code`: that of the session, in its normal form; empty if the user was told none. `session_id`: of the
        session that was announced at this place, or the beginning of it; empty: any session. `announced_key`: the
        beginning of the key that was announced there; empty: any key. `may_host`: this machine may become the
        host."""
        self._seat = Seat(person_name(display_name), session_id, announced_key)
        self._parts = PeerParts(microphone=microphone, may_host=may_host)
        self._departure = PeerDeparture(self._parts, self._seat)
        self._lost_host = LostHost(self._parts, self._seat, self._departure)
        self._joining = Joining(self._parts, self._seat, self._lost_host, self._departure, code)
        self._messages = HostMessages(self._parts, self._seat, self._joining, self._lost_host, self._departure)
        self._called_at_ns = 0
        self._former: FollowHost | None = None
        """This machine was the host until this effect."""

    @property
    def session_id(self) -> bytes:
        """The id of the host's session; empty before it is known."""
        return self._seat.session_id

    @property
    def told_queue(self) -> m.QueueUpdate:
        """The queue as the host has told it last, with texts that are safe to show."""
        return self._parts.queue.told

    @property
    def host_key(self) -> bytes:
        """SHA-256 of the host's certificate; empty before the first connection."""
        return self._seat.host_key

    @property
    def is_joined(self) -> bool:
        """The host has accepted this machine, and is not lost."""
        return self._seat.connected

    def may_be_host(self, host_key: bytes) -> bool:
        """A machine with this key may be the host. Before the first connection each one may be."""
        return self._seat.host_key in (b"", host_key) or self._lost_host.is_heir(host_key)

    # -- the connection ----------------------------------------------------------------------------------------------

    def connected(self, host_key: bytes, reached: str = "", *, now_ns: int) -> list[Effect]:
        """The encrypted connection to the host is open: the first one, or the one that `Connect` requested. `host_key`:
        SHA-256 of the certificate of the machine that answered. `reached`: its address."""
        if self._seat.side in (PeerSide.OFFLINE, PeerSide.AWAY):
            self._called_at_ns = now_ns
            self._joining.connected(host_key, reached, now_ns=now_ns)
        return self._settle(now_ns)

    def paired(self, *, now_ns: int) -> list[Effect]:
        """`Pair` has succeeded: both sides know the code."""
        self._joining.paired()
        return self._settle(now_ns)

    def not_paired(self, *, now_ns: int) -> list[Effect]:
        """The machine that answered does not know the code, although it asked for it."""
        self._joining.not_paired(now_ns=now_ns)
        return self._settle(now_ns)

    def connect_failed(self, reason: str, *, refused: bool, now_ns: int) -> list[Effect]:
        """No encrypted connection came about: the first one, or the one that `Connect` requested. `refused`: no program
        listens at the host's address. From elsewhere that says nothing: a router may refuse, or another machine."""
        if self._seat.side is PeerSide.OFFLINE:
            self._departure.end(Notice(Code.HOST_CONNECTION_LOST, sentence(reason)), now_ns=now_ns, failed=True)
        if self._seat.side is PeerSide.AWAY:
            is_ended = refused and not self._parts.outside.active
            if is_ended and not self._parts.succession.has_line:
                self._departure.end(HOST_LOST, now_ns=now_ns, failed=True)
            else:
                self._parts.absence.attempt_failed(now_ns=now_ns)
                self._parts.succession.search(is_ended=is_ended, now_ns=now_ns)
                self._lost_host.search(now_ns=now_ns)
        return self._settle(now_ns)

    def refused(self, *, now_ns: int) -> list[Effect]:
        """No program listens where the lost host was. It is still looked for elsewhere, which takes seconds: meanwhile
        ask the other members."""
        if self._seat.side is PeerSide.AWAY and not self._parts.outside.active and self._parts.succession.has_line:
            self._parts.succession.search(is_ended=False, now_ns=now_ns)
            self._lost_host.search(now_ns=now_ns)
        return self._settle(now_ns)

    def received(self, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived on the control connection. It is ignored if this session has given up the connection."""
        if self._seat.side not in (PeerSide.AWAY, PeerSide.OVER):
            self._seat.heard_at_ns = now_ns
            try:
                if type(message) not in PEER_ACCEPTS[self._seat.side]:
                    raise Breach(f"{type(message).__name__} was not expected")
                self._messages.take(message, now_ns=now_ns)
            except Breach as breach:
                self._parts.outbox.do(Close(HOST_CONN, str(breach)))
                self._departure.end(Notice(Code.HOST_BROKE_PROTOCOL, str(breach)), now_ns=now_ns, failed=True)
        return self._settle(now_ns)

    def disconnected(self, reason: str, *, now_ns: int) -> list[Effect]:
        """The control connection ended or broke the framing. A late call for an old connection has no effect."""
        if self._seat.side is PeerSide.JOINED:
            self._lost_host.lose(now_ns=now_ns)
        elif self._seat.side in (PeerSide.AWAY, PeerSide.OVER):
            pass
        elif self._parts.absence.active:
            self._lost_host.rejoin_failed(now_ns=now_ns)
        else:
            self._departure.end(Notice(Code.HOST_CONNECTION_LOST, sentence(reason)), now_ns=now_ns, failed=True)
        return self._settle(now_ns)

    def command(self, command: c.PeerCommand, *, now_ns: int) -> list[Effect]:
        """Execute a command of the peer's user."""
        if self._seat.side is not PeerSide.OVER:
            joined = self._seat.side is PeerSide.JOINED
            match command:
                case c.Request(sha256=sha256):
                    if queued := self._parts.queue.waiting(sha256):
                        about = Notice(Code.ALREADY_QUEUED, file_id=queued.id, file_name=queued.file_name)
                        self._parts.outbox.error(about, self._parts.session_ns(now_ns))
                    else:
                        self._parts.requests.ask(command, connected=joined, now_ns=now_ns)
                case c.VoteFor() | c.WantSkip():
                    self._parts.party.command(command, self._parts.queue.told.queue, connected=joined, now_ns=now_ns)
                case c.PermitMicrophone(permitted=permitted):
                    self._parts.microphone.permit(permitted, now_ns=now_ns)
                    self._parts.reports.microphone = permitted
                case c.AnswerMicrophone(allowed=allowed):
                    self._parts.microphone.answer(allowed, now_ns=now_ns)
                case c.Say(text=text):
                    self._parts.chat.say(text, connected=joined, now_ns=now_ns)
                case c.ReturnBy(invitation=invitation):
                    self._lost_host.return_by(invitation, now_ns=now_ns)
                case c.Leave():
                    if joined:
                        self._parts.outbox.do(Send(HOST_CONN, m.LeaveSession(self._seat.peer_id)))
                    self._parts.outbox.do(Close(HOST_CONN, "left"))
                    self._departure.end(Notice(Code.SESSION_LEFT), now_ns=now_ns, failed=False)
        return self._settle(now_ns)

    def call_back_at(self, port: int, *, now_ns: int) -> list[Effect]:
        """The host reaches this machine at this TCP port: see `AwaitCall`."""
        self._parts.outside.call_back_at(port, connected=self._seat.connected)
        return self._settle(now_ns)

    def called(self, places: m.HostPlaces, *, now_ns: int) -> list[Effect]:
        """The host has called this machine, which may have lost it, and has told its places."""
        if self._parts.outside.use(places) and self._seat.side is PeerSide.AWAY:
            self._parts.absence.found(now_ns=now_ns)
        return self._settle(now_ns)

    # -- succession --------------------------------------------------------------------------------------------------

    @classmethod
    def of_former_host(
        cls, follow: FollowHost, *, code: str = "", microphone: bool = False, may_host: bool = True
    ) -> PeerSession:
        """The session of a machine that was the host until this effect. Call `resume` first."""
        session = cls(
            display_name=follow.display_name,
            code=code,
            microphone=microphone,
            session_id=follow.session_id,
            may_host=may_host,
        )
        session._seat.peer_id = follow.membership.peer_id
        session._parts.succession.inherit(follow.membership, follow.line, follow.known_keys)
        session._former = follow
        if follow.bequest is not None:
            session._parts.bequest.give(follow.bequest)
        return session

    def resume(self, status: ClockStatus, *, now_ns: int) -> list[Effect]:
        """Begin to look for the new host. `status`: the clock map by which the output plays on."""
        follow = self._former
        assert follow is not None, "only the session of a former host resumes"
        self._parts.clock, self._called_at_ns = status, now_ns
        self._parts.playback.go_on(follow.playing, follow.then)
        for track in follow.tracks:
            self._parts.files.keep(track)
        self._parts.gains.keep(follow.gains)
        self._lost_host.follow(Found(follow.host, follow.term, follow.chain), follow.cause, now_ns=now_ns)
        return self._settle(now_ns)

    def stands_by(
        self,
        control_port: int,
        clock_port: int,
        host_key: bytes,
        addresses: tuple[str, ...] = (),
        wired: bool | None = None,
        page_port: int = DEFAULT_GUEST_PORT,
        *,
        now_ns: int,
    ) -> list[Effect]:
        """The ports of `OpenForSuccession` are open. `host_key`: SHA-256 of this machine's host certificate.
        `addresses`: its own, the best first. `wired`: its network is a cable (None: unknown). `page_port`: of
        its page for guests."""
        standing = m.StandingBy(control_port, clock_port, host_key, addresses[:MAX_ADDRESSES], wired, page_port)
        self._parts.succession.stands_by(standing, connected=self._seat.connected)
        return self._settle(now_ns)

    def standby_info(self) -> m.SessionInfo:
        """The greeting at these ports. It has no names."""
        return m.SessionInfo(m.PROTOCOL_VERSION, self._seat.session_id, "", "", (), 0)

    def sought(self, message: m.HostSeek, *, now_ns: int) -> tuple[m.HostTold, list[Effect]]:
        """A machine has asked at these ports. Return the answer as well."""
        answer = None
        if message.session_id == self._seat.session_id:
            answer = self._parts.succession.sought(message, connected=self._seat.connected, now_ns=now_ns)
        return answer or m.HostTold("lost"), self._settle(now_ns)

    def told(self, number: int, answer: m.HostTold | None, *, refused: bool = False, now_ns: int) -> list[Effect]:
        """The answer to the `AskHost` of this number; None: there is none. `refused`: no program listens there."""
        found = self._parts.succession.told(number, answer, self._seat.host_key, refused=refused, now_ns=now_ns)
        if found is not None and self._parts.absence.active:
            self._lost_host.follow(found, Cause.HOST_LOST, now_ns=now_ns)
        return self._settle(now_ns)

    def met(self, address: str, control_port: int, announced_key: bytes, *, now_ns: int) -> list[Effect]:
        """A host of this session, whose key begins with `announced_key`, is announced there, while this peer has lost
        its host. The key is another one than that of the lost host."""
        if self._parts.absence.active:
            self._parts.succession.met(address, control_port, announced_key, self._seat.session_id, self._seat.peer_id)
        return self._settle(now_ns)

    # -- this machine ------------------------------------------------------------------------------------------------

    def clock(self, status: ClockStatus, *, now_ns: int) -> list[Effect]:
        """The state of the session clock. Call it several times a second, before `audio`."""
        was_unknown, self._parts.clock = self._parts.clock.offset_ns is None, status
        self._parts.clock_watch.take(status, host_heard_at_ns=self._seat.heard_at_ns, now_ns=now_ns)
        if was_unknown and status.offset_ns is not None:
            self._parts.playback.note_current()
        return self._settle(now_ns)

    def clock_failed(self, reason: str, *, now_ns: int) -> list[Effect]:
        """The measurement of the session clock cannot start: the system refuses. It is tried again."""
        self._parts.clock_watch.failed(sentence(reason), now_ns=now_ns)
        return self._settle(now_ns)

    def audio(self, status: AudioStatus, *, now_ns: int) -> list[Effect]:
        """The state of the output. Call it several times a second, and at once if latency or device change."""
        self._parts.reports.take(status, self._parts.clock)
        return self._settle(now_ns)

    def room(self, room_bytes: int, *, now_ns: int) -> list[Effect]:
        """The bytes of tracks that this machine can store, for the next PeerStatus."""
        self._parts.reports.room_bytes = max(0, room_bytes)
        self._parts.files.room(max(0, room_bytes))
        return self._settle(now_ns)

    def volume(self, volume_percent: int, muted: bool, *, now_ns: int) -> list[Effect]:
        """The volume of this machine's output, 0 to 100, for the next PeerStatus."""
        self._parts.reports.volume_percent, self._parts.reports.muted = max(0, min(volume_percent, 100)), muted
        return self._settle(now_ns)

    def role(self, role: Role, *, now_ns: int) -> list[Effect]:
        """The channels that this machine plays, for the next PeerStatus."""
        self._parts.reports.role = role
        return self._settle(now_ns)

    def file_ready(self, file_id: UUID, *, now_ns: int) -> list[Effect]:
        """A fetched file is complete and has the right hash."""
        track = self._parts.files.ready(file_id, connected=self._seat.connected, now_ns=now_ns)
        timeline = self._parts.playback.timeline
        if track is not None and timeline is not None and timeline.file_id == file_id:
            self._parts.playback.note_current()
        return self._settle(now_ns)

    def file_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """One attempt to fetch a file failed: wrong hash, lost or refused connection, full disk.

        The host decides whether to try again.
        """
        self._parts.files.failed(file_id, reason, connected=self._seat.connected, now_ns=now_ns)
        return self._settle(now_ns)

    def piece_ended(
        self, file_id: UUID, piece: int, source: int, result: m.PieceResult, *, now_ns: int
    ) -> list[Effect]:
        """A task of `FetchPieces` has ended: see PieceEnd. `source`: the number of its source, 0 for the host."""
        self._parts.files.piece_ended(file_id, piece, source, result, connected=self._seat.connected, now_ns=now_ns)
        return self._settle(now_ns)

    def pieces_at(self, place: m.PiecesAt, *, now_ns: int) -> list[Effect]:
        """This machine passes pieces on there: see `OpenPieces`."""
        self._parts.pieces.open_at(place, connected=self._seat.connected)
        return self._settle(now_ns)

    def file_gone(self, file_id: UUID, *, is_open: bool, now_ns: int) -> list[Effect]:
        """A file that was ready was deleted. `is_open`: the player may have opened it before."""
        self._parts.files.gone(file_id, is_open=is_open)
        return self._settle(now_ns)

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """This machine cannot decode a file. Call it after the fetch, instead of `file_ready`, or later."""
        self._parts.files.unplayable(file_id, reason, connected=self._seat.connected, now_ns=now_ns)
        return self._settle(now_ns)

    def upload_ended(self, request_id: UUID, problem: str, *, now_ns: int) -> list[Effect]:
        """An upload attempt has ended. Empty `problem`: the host has received all bytes."""
        if self._seat.connected:
            self._parts.requests.upload_ended(request_id, problem, *self._seat.access, now_ns=now_ns)
            self._parts.bequest.upload_ended(request_id, problem, self._seat.access)
            if problem:
                self._parts.files.send_back(request_id, self._seat.access)
        return self._settle(now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> list[Effect]:
        """This machine's microphone has heard the pass of `Listen` with this number, or could not."""
        if self._seat.connected:
            self._parts.microphone.heard(number, heard, now_ns=now_ns)
        return self._settle(now_ns)

    def device_changed(
        self, state: DeviceState, device_name: str | None, detail: str, timing: Timing | None, *, now_ns: int
    ) -> list[Effect]:
        """The output opened, was lost, or does not exist."""
        self._parts.outbox.note(e.DeviceChanged(self._parts.session_ns(now_ns), state, device_name, detail, timing))
        return self._settle(now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> list[Effect]:
        """Handle all deadlines that have passed. A call before or after `next_deadline_ns` is allowed."""
        self._wake(now_ns)
        self._parts.requests.timer(now_ns=now_ns)
        self._parts.microphone.timer(now_ns=now_ns)
        self._parts.pieces.timer(connected=self._seat.connected, now_ns=now_ns)
        if self._parts.absence.active:
            self._lost_host.search(now_ns=now_ns)
        if self._seat.side is PeerSide.OVER:
            pass
        elif self._parts.absence.is_over(now_ns=now_ns):
            self._lost_host.hold_is_over(now_ns=now_ns)
        elif self._seat.side is PeerSide.AWAY:
            self._parts.absence.timer(now_ns=now_ns)
        elif self._seat.alive and now_ns >= self._seat.heard_at_ns + DEAD_NS:
            self._parts.outbox.do(Close(HOST_CONN, "silent for too long"))
            if self._seat.side is PeerSide.JOINED:
                self._lost_host.lose(now_ns=now_ns)
                self._parts.absence.warn(now_ns=now_ns)
                self._parts.succession.search(is_ended=False, now_ns=now_ns)
                self._lost_host.search(now_ns=now_ns)
            elif self._parts.absence.active:
                self._lost_host.rejoin_failed(now_ns=now_ns)
            else:
                self._departure.end(Notice(Code.HOST_SILENT), now_ns=now_ns, failed=True)
        if self._seat.side is PeerSide.JOINED and now_ns >= self._seat.heartbeat_at_ns:
            self._seat.heartbeat_at_ns = now_ns + HEARTBEAT_NS
            self._parts.outbox.do(Send(HOST_CONN, m.Heartbeat()))
        return self._settle(now_ns)

    def next_deadline_ns(self) -> int | None:
        """The time for the next call of `timer`; None: no call is needed. Every call of the session may change it."""
        if not self._seat.alive:
            return None
        deadlines = [
            *self._parts.absence.deadlines_ns(),
            *self._parts.succession.deadlines_ns(),
            *self._parts.requests.deadlines_ns(),
            *self._parts.microphone.deadlines_ns(),
        ]
        if self._seat.side is not PeerSide.AWAY:
            deadlines.append(self._seat.heard_at_ns + DEAD_NS)
        if self._seat.side is PeerSide.JOINED:
            deadlines.append(self._seat.heartbeat_at_ns)
            deadlines += self._parts.reports.deadlines_ns()
            if (report_ns := self._parts.pieces.deadline_ns()) is not None:
                deadlines.append(report_ns)
        end_ns = self._parts.playback.end_ns()
        end_local_ns = None if end_ns is None else self._parts.clock.local_from_session(end_ns)
        if end_local_ns is not None:
            deadlines.append(end_local_ns)
        return min(deadlines)

    def snapshot(self) -> SessionSnapshot:
        """A consistent copy of the state, for display."""
        return SessionSnapshot(
            session_name=self._seat.session_name,
            session_id=self._seat.session_id,
            host_name=self._seat.host_name,
            display_name=self._seat.display_name,
            queue=self._parts.queue.told.queue,
            now=self._parts.queue.now(),
            timeline=self._parts.playback.timeline,
            then=self._parts.playback.armed,
            requests=self._parts.requests.views(self._seat.display_name),
            connected=self._seat.connected,
            plays_on=self._parts.absence.plays_on,
            invitation_wanted=self._parts.absence.invitation_wanted,
            confirmed=self._parts.reports.proof.confirmation,
            host_words=key_words(self._seat.host_key) if self._seat.host_key else "",
            microphone=self._parts.microphone.view(),
            chat=self._parts.chat.lines,
            rules=self._parts.party.rules,
            votes=self._parts.party.votes,
            skip=self._parts.party.skip,
        )

    # -- inside ------------------------------------------------------------------------------------------------------

    def _settle(self, now_ns: int) -> list[Effect]:
        """The end of every call: what it has changed, and the effects of that."""
        self._wake(now_ns)
        self._parts.playback.end_tracks(now_ns=now_ns)
        if self._seat.side is PeerSide.JOINED and self._parts.reports.settle(now_ns=now_ns):
            self._seat.heartbeat_at_ns = now_ns + HEARTBEAT_NS
        self._parts.files.settle(self._parts.playback.file_ids())
        return [*self._parts.outbox.drain(*self._parts.playback.follow()), *self._departure.take()]

    def _wake(self, now_ns: int) -> None:
        """Restart the timeout of the host if this computer was suspended: it could not receive messages."""
        if self._seat.side is PeerSide.JOINED and now_ns - self._called_at_ns > ASLEEP_NS:
            self._seat.heard_at_ns = now_ns
            self._parts.clock_watch.restart(now_ns=now_ns)
        self._called_at_ns = now_ns
