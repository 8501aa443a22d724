"""The peer's session: it joins, fetches the offered files, follows the host's timelines and reports its state.

The peer checks all messages of the host, like all data from the network, and then executes them. absence.py describes
what it does if it loses its host.
"""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.calibration import Confirmation
from phaselock.model.heritage import MAX_ADDRESSES, Cause
from phaselock.model.invitation import Invitation
from phaselock.model.key_words import key_words
from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.names import file_label, person_name, sentence, title
from phaselock.model.notices import Code, Notice
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.role import Role
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.turns import in_session
from phaselock.model.types import UNKNOWN_CLOCK, AudioStatus, ClockStatus
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.protocol.proof import JOIN, membership_proof
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.claims import derived_token
from phaselock.session.effects import (
    HOST_CONN,
    Close,
    Effect,
    Ended,
    FollowHost,
    Listen,
    ListenToSong,
    Pair,
    Send,
    SetQuiet,
    StartClock,
    StopClock,
    TakeOver,
    Upload,
    UsePlaces,
)
from phaselock.session.outbox import Outbox
from phaselock.session.peer.absence import Absence
from phaselock.session.peer.bequest import PeerBequest
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.chat import PeerChat
from phaselock.session.peer.clock_watch import ClockWatch
from phaselock.session.peer.files import PeerFiles
from phaselock.session.peer.gains import PeerGains
from phaselock.session.peer.heritage import heritage_of
from phaselock.session.peer.microphone import PeerMicrophone
from phaselock.session.peer.outside import PeerOutside
from phaselock.session.peer.party import PeerParty
from phaselock.session.peer.pieces import PeerPieces
from phaselock.session.peer.playback import PeerPlayback
from phaselock.session.peer.reports import StatusReports
from phaselock.session.peer.requests import OutgoingRequests
from phaselock.session.peer.succession import GRACE_NS, Found, PeerSuccession
from phaselock.session.queue_updates import updated
from phaselock.session.states import (
    ASLEEP_NS,
    DEAD_NS,
    HEARTBEAT_NS,
    HOLD_NS,
    HOLD_OUTSIDE_NS,
    PEER_ACCEPTS,
    PeerSide,
    other_version,
)

HOST_LOST = Notice(Code.HOST_LOST)
REFUSALS: dict[m.RefusalKind, Code] = {"code": Code.CODE_WRONG, "removed": Code.BARRED}
"""The codes of refusals that have one of their own."""


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
        self._announced_key = announced_key
        self._code = code
        self._pairing = False
        """The machine that answered last has asked for the code."""
        self._paired = False
        """The machine that answered last has proved that it knows the code."""
        self._nameless = False
        """The machine that answered last has told no names: it tells them when it lets this machine in."""
        self._side = PeerSide.OFFLINE
        self._display_name = person_name(display_name)
        self._session_name = self._host_name = ""
        self._session_id = session_id
        self._peer_id = 0
        self._token = b""
        """From the last JoinAccepted; empty before the first one."""
        self._host_key = b""
        """SHA-256 of the host's certificate; empty before the first connection."""
        self._joined_at_ns = 0
        self._heard_at_ns = 0
        self._called_at_ns = 0
        self._heartbeat_at_ns = 0
        self._clock = UNKNOWN_CLOCK
        self._told = m.QueueUpdate((), 0)
        self._safe: dict[tuple[str, ...], QueueItem] = {}
        """Rows of the last queue with texts that are safe to show, by the texts that the host sent. Reducing texts is
        slow."""
        self._outbox = Outbox()
        self._clock_watch = ClockWatch(self._outbox, self._session_ns)
        self._pieces = PeerPieces(self._outbox)
        self._files = PeerFiles(self._outbox, self._session_ns, self._pieces)
        self._gains = PeerGains()
        self._playback = PeerPlayback(self._files, self._gains, lambda: self._clock, self._outbox)
        self._reports = StatusReports(self._outbox, self._session_ns)
        self._microphone = PeerMicrophone(self._outbox, self._session_ns, permitted=microphone)
        self._reports.microphone = microphone
        self._absence = Absence(self._outbox, self._session_ns, self._playback.sounds)
        self._requests = OutgoingRequests(self._outbox, self._session_ns)
        self._chat = PeerChat(self._outbox, self._session_ns)
        self._party = PeerParty(self._outbox, self._session_ns)
        self._outside = PeerOutside(self._outbox)
        self._reached = ""
        """The address at which the host was reached last."""
        self._succession = PeerSuccession(self._outbox, may_host=may_host)
        self._bequest = PeerBequest(self._outbox)
        self._former: FollowHost | None = None
        """This machine was the host until this effect."""
        self._moved: Cause | None = None
        """The host is another one since the last JoinAccepted, for this reason."""
        self._ended: list[Effect] = []

    @property
    def session_id(self) -> bytes:
        """The id of the host's session; empty before it is known."""
        return self._session_id

    @property
    def told_queue(self) -> m.QueueUpdate:
        """The queue as the host has told it last, with texts that are safe to show."""
        return self._told

    @property
    def host_key(self) -> bytes:
        """SHA-256 of the host's certificate; empty before the first connection."""
        return self._host_key

    # -- the connection ----------------------------------------------------------------------------------------------

    def connected(self, host_key: bytes, reached: str = "", *, now_ns: int) -> list[Effect]:
        """The encrypted connection to the host is open: the first one, or the one that `Connect` requested. `host_key`:
        SHA-256 of the certificate of the machine that answered. `reached`: its address."""
        if self._side in (PeerSide.OFFLINE, PeerSide.AWAY):
            self._side = PeerSide.GREETING
            self._heard_at_ns = self._called_at_ns = now_ns
            self._pairing = self._paired = False
            self._reached = reached
            if self._host_key not in (b"", host_key):  # not the host, although it has its address
                self._outbox.do(Close(HOST_CONN, "another host key"))
                self._rejoin_failed(now_ns)
            elif not host_key.startswith(self._announced_key):
                self._outbox.do(Close(HOST_CONN, "not the announced key"))
                self._end(Notice(Code.OTHER_SESSION), now_ns, failed=True)
            self._host_key = self._host_key or host_key
        return self._settle(now_ns)

    def paired(self, *, now_ns: int) -> list[Effect]:
        """`Pair` has succeeded: both sides know the code."""
        if self._side is PeerSide.JOINING:
            self._paired = True
            self._ask_to_join()
        return self._settle(now_ns)

    def not_paired(self, *, now_ns: int) -> list[Effect]:
        """The machine that answered does not know the code, although it asked for it."""
        if self._side is PeerSide.JOINING:
            self._outbox.do(Close(HOST_CONN, "the host does not know the code"))
            self._end(Notice(Code.CODE_WRONG), now_ns, failed=True)
        return self._settle(now_ns)

    def connect_failed(self, reason: str, *, refused: bool, now_ns: int) -> list[Effect]:
        """No encrypted connection came about: the first one, or the one that `Connect` requested. `refused`: no program
        listens at the host's address. From elsewhere that says nothing: a router may refuse, or another machine."""
        if self._side is PeerSide.OFFLINE:
            self._end(Notice(Code.HOST_CONNECTION_LOST, sentence(reason)), now_ns, failed=True)
        if self._side is PeerSide.AWAY:
            is_ended = refused and not self._outside.active
            if is_ended and not self._succession.has_line:
                self._end(HOST_LOST, now_ns, failed=True)
            else:
                self._absence.attempt_failed(now_ns=now_ns)
                self._succession.search(is_ended=is_ended, now_ns=now_ns)
                self._search(now_ns)
        return self._settle(now_ns)

    def received(self, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived on the control connection. It is ignored if this session has given up the connection."""
        if self._side not in (PeerSide.AWAY, PeerSide.OVER):
            self._heard_at_ns = now_ns
            try:
                if type(message) not in PEER_ACCEPTS[self._side]:
                    raise Breach(f"{type(message).__name__} was not expected")
                self._handle(message, now_ns)
            except Breach as breach:
                self._outbox.do(Close(HOST_CONN, str(breach)))
                self._end(Notice(Code.HOST_BROKE_PROTOCOL, str(breach)), now_ns, failed=True)
        return self._settle(now_ns)

    def disconnected(self, reason: str, *, now_ns: int) -> list[Effect]:
        """The control connection ended or broke the framing. A late call for an old connection has no effect."""
        if self._side is PeerSide.JOINED:
            self._lose_host(now_ns)
        elif self._side in (PeerSide.AWAY, PeerSide.OVER):
            pass
        elif self._absence.active:
            self._rejoin_failed(now_ns)
        else:
            self._end(Notice(Code.HOST_CONNECTION_LOST, sentence(reason)), now_ns, failed=True)
        return self._settle(now_ns)

    def command(self, command: c.PeerCommand, *, now_ns: int) -> list[Effect]:
        """Execute a command of the peer's user."""
        if self._side is not PeerSide.OVER:
            joined = self._side is PeerSide.JOINED
            match command:
                case c.Request(sha256=sha256):
                    if queued := self._queued(sha256):
                        about = Notice(Code.ALREADY_QUEUED, file_id=queued.id, file_name=queued.file_name)
                        self._outbox.error(about, self._session_ns(now_ns))
                    else:
                        self._requests.ask(command, connected=joined, now_ns=now_ns)
                case c.VoteFor() | c.WantSkip():
                    self._party.command(command, self._told.queue, connected=joined, now_ns=now_ns)
                case c.PermitMicrophone(permitted=permitted):
                    self._microphone.permit(permitted, now_ns=now_ns)
                    self._reports.microphone = permitted
                case c.AnswerMicrophone(allowed=allowed):
                    self._microphone.answer(allowed, now_ns=now_ns)
                case c.Say(text=text):
                    self._chat.say(text, connected=joined, now_ns=now_ns)
                case c.ReturnBy(invitation=invitation):
                    self._return_by(invitation, now_ns)
                case c.Leave():
                    if joined:
                        self._outbox.do(Send(HOST_CONN, m.LeaveSession(self._peer_id)))
                    self._outbox.do(Close(HOST_CONN, "left"))
                    self._end(Notice(Code.SESSION_LEFT), now_ns, failed=False)
        return self._settle(now_ns)

    def call_back_at(self, port: int, *, now_ns: int) -> list[Effect]:
        """The host reaches this machine at this TCP port: see `AwaitCall`."""
        self._outside.call_back_at(port, connected=self._connected)
        return self._settle(now_ns)

    def called(self, places: m.HostPlaces, *, now_ns: int) -> list[Effect]:
        """The host has called this machine, which may have lost it, and has told its places."""
        if self._outside.use(places) and self._side is PeerSide.AWAY:
            self._absence.found(now_ns=now_ns)
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
        session._peer_id = follow.membership.peer_id
        session._succession.inherit(follow.membership, follow.line, follow.known_keys)
        session._former = follow
        session._bequest.give(follow.bequest)
        return session

    def resume(self, status: ClockStatus, *, now_ns: int) -> list[Effect]:
        """Begin to look for the new host. `status`: the clock map by which the output plays on."""
        follow = self._former
        assert follow is not None, "only the session of a former host resumes"
        self._clock, self._called_at_ns = status, now_ns
        self._playback.go_on(follow.playing, follow.then)
        for track in follow.tracks:
            self._files.keep(track)
        self._gains.keep(follow.gains)
        self._follow(Found(follow.host, follow.term, follow.chain), follow.cause, now_ns)
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
        self._succession.stands_by(standing, connected=self._connected)
        return self._settle(now_ns)

    def standby_info(self) -> m.SessionInfo:
        """The greeting at these ports. It has no names."""
        return m.SessionInfo(m.PROTOCOL_VERSION, self._session_id, "", "", (), 0)

    def sought(self, message: m.HostSeek, *, now_ns: int) -> tuple[m.HostTold, list[Effect]]:
        """A machine has asked at these ports. Return the answer as well."""
        is_here = message.session_id == self._session_id
        answer = self._succession.sought(message, connected=self._connected, now_ns=now_ns) if is_here else None
        return answer or m.HostTold("lost"), self._settle(now_ns)

    def told(self, number: int, answer: m.HostTold | None, *, refused: bool = False, now_ns: int) -> list[Effect]:
        """The answer to the `AskHost` of this number; None: there is none. `refused`: no program listens there."""
        found = self._succession.told(number, answer, self._host_key, refused=refused, now_ns=now_ns)
        if found is not None and self._absence.active:
            self._follow(found, Cause.HOST_LOST, now_ns)
        return self._settle(now_ns)

    def met(self, address: str, control_port: int, announced_key: bytes, *, now_ns: int) -> list[Effect]:
        """A host of this session, whose key begins with `announced_key`, is announced there, while this peer has lost
        its host. The key is another one than that of the lost host."""
        if self._absence.active:
            self._succession.met(address, control_port, announced_key, self._session_id, self._peer_id)
        return self._settle(now_ns)

    def _send_back(self, file_id: UUID) -> None:
        """Send a song to the host, which lacks its file, if the host was offered it."""
        song = self._files.send_back(file_id)
        if song is not None:
            self._outbox.do(Upload(file_id, song.sha256, song.size, self._peer_id, self._token))

    def _follow(self, found: Found, cause: Cause, now_ns: int) -> None:
        """Join another host of this session as the same member."""
        membership = self._succession.membership(self._peer_id)
        self._host_key, self._announced_key, self._moved = found.host.host_key, b"", cause
        self._token = derived_token(membership, found.term, found.chain) or b""
        self._succession.follows(found.host)
        self._outbox.do(Close(HOST_CONN, "another host"))
        self._outbox.do(FollowHost(found.host, self._session_id, membership, cause, found.term, found.chain))
        self._lose_host(now_ns)

    def _moved_to(self, moved: m.HostMoved, now_ns: int) -> None:
        """The host tells that another machine is the host, maybe this one."""
        cause = self._succession.moved(moved)
        if not self._succession.is_me(moved.host):
            self._follow(Found(moved.host, moved.term, moved.chain), cause, now_ns)
        elif self._succession.me is not None and cause is Cause.HANDED_OVER:
            self._outbox.do(Send(HOST_CONN, m.TookOver()))
            self._take_over(cause, now_ns)

    def _take_over(self, cause: Cause, now_ns: int) -> None:
        """This machine is the host from now on."""
        heritage = heritage_of(
            self._succession,
            self._files,
            self._playback,
            self._gains,
            self._told.queue,
            self._chat.lines,
            session_id=self._session_id,
            peer_id=self._peer_id,
            name=self._display_name,
            lost=cause is Cause.HOST_LOST,
            now_ns=now_ns,
        )
        self._outbox.do(Close(HOST_CONN, "this machine is the host"))
        self._outbox.note(e.HostChanged(self._session_ns(now_ns), self._display_name, you=True, cause=cause))
        self._side = PeerSide.OVER
        self._absence.end()
        self._ended = [TakeOver(heritage, cause, self._requests.unanswered())]

    # -- this machine ------------------------------------------------------------------------------------------------

    def clock(self, status: ClockStatus, *, now_ns: int) -> list[Effect]:
        """The state of the session clock. Call it several times a second, before `audio`."""
        was_unknown, self._clock = self._clock.offset_ns is None, status
        self._clock_watch.take(status, host_heard_at_ns=self._heard_at_ns, now_ns=now_ns)
        if was_unknown and status.offset_ns is not None:
            self._playback.note_current()
        return self._settle(now_ns)

    def clock_failed(self, reason: str, *, now_ns: int) -> list[Effect]:
        """The measurement of the session clock cannot start: the system refuses. It is tried again."""
        self._clock_watch.failed(sentence(reason), now_ns=now_ns)
        return self._settle(now_ns)

    def audio(self, status: AudioStatus, *, now_ns: int) -> list[Effect]:
        """The state of the output. Call it several times a second, and at once if latency or device change."""
        self._reports.take(status, self._clock)
        return self._settle(now_ns)

    def room(self, room_bytes: int, *, now_ns: int) -> list[Effect]:
        """The bytes of tracks that this machine can store, for the next PeerStatus."""
        self._reports.room_bytes = max(0, room_bytes)
        self._files.room(max(0, room_bytes))
        return self._settle(now_ns)

    def volume(self, volume_percent: int, muted: bool, *, now_ns: int) -> list[Effect]:
        """The volume of this machine's output, 0 to 100, for the next PeerStatus."""
        self._reports.volume_percent, self._reports.muted = max(0, min(volume_percent, 100)), muted
        return self._settle(now_ns)

    def role(self, role: Role, *, now_ns: int) -> list[Effect]:
        """The channels that this machine plays, for the next PeerStatus."""
        self._reports.role = role
        return self._settle(now_ns)

    def file_ready(self, file_id: UUID, *, now_ns: int) -> list[Effect]:
        """A fetched file is complete and has the right hash."""
        track, timeline = self._files.ready(file_id, connected=self._connected, now_ns=now_ns), self._playback.timeline
        if track is not None and timeline is not None and timeline.file_id == file_id:
            self._playback.note_current()
        return self._settle(now_ns)

    def file_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """One attempt to fetch a file failed: wrong hash, lost or refused connection, full disk.

        The host decides whether to try again.
        """
        self._files.failed(file_id, reason, connected=self._connected, now_ns=now_ns)
        return self._settle(now_ns)

    def piece_ended(
        self, file_id: UUID, piece: int, source: int, result: m.PieceResult, *, now_ns: int
    ) -> list[Effect]:
        """A task of `FetchPieces` has ended: see PieceEnd. `source`: the number of its source, 0 for the host."""
        self._files.piece_ended(file_id, piece, source, result, connected=self._connected, now_ns=now_ns)
        return self._settle(now_ns)

    def pieces_at(self, place: m.PiecesAt, *, now_ns: int) -> list[Effect]:
        """This machine passes pieces on there: see `OpenPieces`."""
        self._pieces.open_at(place, connected=self._connected)
        return self._settle(now_ns)

    def file_gone(self, file_id: UUID, *, is_open: bool, now_ns: int) -> list[Effect]:
        """A file that was ready was deleted. `is_open`: the player may have opened it before."""
        self._files.gone(file_id, is_open=is_open)
        return self._settle(now_ns)

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """This machine cannot decode a file. Call it after the fetch, instead of `file_ready`, or later."""
        self._files.unplayable(file_id, reason, connected=self._connected, now_ns=now_ns)
        return self._settle(now_ns)

    def upload_ended(self, request_id: UUID, problem: str, *, now_ns: int) -> list[Effect]:
        """An upload attempt has ended. Empty `problem`: the host has received all bytes."""
        if self._connected:
            self._requests.upload_ended(request_id, problem, self._peer_id, self._token, now_ns=now_ns)
            self._bequest.upload_ended(request_id, problem, (self._peer_id, self._token))
            if problem:
                self._send_back(request_id)
        return self._settle(now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> list[Effect]:
        """This machine's microphone has heard the pass of `Listen` with this number, or could not."""
        if self._connected:
            self._microphone.heard(number, heard, now_ns=now_ns)
        return self._settle(now_ns)

    def device_changed(
        self, state: DeviceState, device_name: str | None, detail: str, timing: Timing | None, *, now_ns: int
    ) -> list[Effect]:
        """The output opened, was lost, or does not exist."""
        self._outbox.note(e.DeviceChanged(self._session_ns(now_ns), state, device_name, detail, timing))
        return self._settle(now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> list[Effect]:
        """Handle all deadlines that have passed. A call before or after `next_deadline_ns` is allowed."""
        self._wake(now_ns)
        self._requests.timer(now_ns=now_ns)
        self._microphone.timer(now_ns=now_ns)
        self._pieces.timer(connected=self._connected, now_ns=now_ns)
        if self._absence.active:
            self._search(now_ns)
        if self._side is PeerSide.OVER:
            pass
        elif self._absence.is_over(now_ns=now_ns):
            self._hold_is_over(now_ns)
        elif self._side is PeerSide.AWAY:
            self._absence.timer(now_ns=now_ns)
        elif self._alive and now_ns >= self._heard_at_ns + DEAD_NS:
            self._outbox.do(Close(HOST_CONN, "silent for too long"))
            if self._side is PeerSide.JOINED:
                self._lose_host(now_ns)
                self._absence.warn(now_ns=now_ns)
                self._succession.search(is_ended=False, now_ns=now_ns)
                self._search(now_ns)
            elif self._absence.active:
                self._rejoin_failed(now_ns)
            else:
                self._end(Notice(Code.HOST_SILENT), now_ns, failed=True)
        if self._side is PeerSide.JOINED and now_ns >= self._heartbeat_at_ns:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS
            self._outbox.do(Send(HOST_CONN, m.Heartbeat()))
        return self._settle(now_ns)

    def next_deadline_ns(self) -> int | None:
        """The time for the next call of `timer`; None: no call is needed. Every call of the session may change it."""
        if not self._alive:
            return None
        deadlines = [
            *self._absence.deadlines_ns(),
            *self._succession.deadlines_ns(),
            *self._requests.deadlines_ns(),
            *self._microphone.deadlines_ns(),
        ]
        if self._side is not PeerSide.AWAY:
            deadlines.append(self._heard_at_ns + DEAD_NS)
        if self._side is PeerSide.JOINED:
            deadlines.append(self._heartbeat_at_ns)
            deadlines += self._reports.deadlines_ns()
            if (report_ns := self._pieces.deadline_ns()) is not None:
                deadlines.append(report_ns)
        end_ns = self._playback.end_ns()
        end_local_ns = None if end_ns is None else self._clock.local_from_session(end_ns)
        if end_local_ns is not None:
            deadlines.append(end_local_ns)
        return min(deadlines)

    def snapshot(self) -> SessionSnapshot:
        """A consistent copy of the state, for display."""
        return SessionSnapshot(
            session_name=self._session_name,
            session_id=self._session_id,
            host_name=self._host_name,
            display_name=self._display_name,
            queue=self._told.queue,
            now=self._now(),
            timeline=self._playback.timeline,
            then=self._playback.armed,
            requests=self._requests.views(self._display_name),
            connected=self._connected,
            plays_on=self._absence.plays_on,
            invitation_wanted=self._absence.invitation_wanted,
            confirmed=self._reports.proof.confirmation,
            host_words=key_words(self._host_key) if self._host_key else "",
            microphone=self._microphone.view(),
            chat=self._chat.lines,
            rules=self._party.rules,
            votes=self._party.votes,
            skip=self._party.skip,
        )

    # -- from the host -----------------------------------------------------------------------------------------------

    def _handle(self, message: Message, now_ns: int) -> None:
        match message:
            case m.SessionInfo() if self._side is PeerSide.GREETING:
                self._greeted(message, now_ns)
            case m.SessionInfo() if self._nameless:
                self._take_names(message)
            case m.JoinAccepted():
                if self._code and not self._token and not self._paired:
                    self._outbox.do(Close(HOST_CONN, "it did not ask for the code"))
                    self._end(Notice(Code.CODE_NOT_ASKED), now_ns, failed=True)
                else:
                    self._accepted(message, now_ns)
            case m.JoinRejected(reason=reason, kind=kind):
                self._outbox.do(Close(HOST_CONN, "rejected"))
                code = REFUSALS.get(kind, Code.JOIN_REJECTED)
                self._end(Notice(code, sentence(reason)), now_ns, failed=True)
            case m.CodeNeeded() if self._pairing:  # each exchange lets it test one guess
                raise Breach("it asked for the code again")
            case m.CodeNeeded() if self._code:
                self._pairing = True
                self._outbox.do(Pair(self._code))
            case m.CodeNeeded():
                self._outbox.do(Close(HOST_CONN, "the code is not known here"))
                self._end(Notice(Code.CODE_NEEDED), now_ns, failed=True)
            case m.SessionEnd(reason=reason):
                self._outbox.do(Close(HOST_CONN, "session ended"))
                self._end(Notice(Code.SESSION_ENDED, sentence(reason)), now_ns, failed=bool(reason))
            case m.FileTransferStart():
                self._offered(message, now_ns)
            case m.QueueUpdate(queue=queue, revision=revision):
                self._take_queue(queue, revision, now_ns)
            case m.QueueChange():
                self._change_queue(message, now_ns)
            case m.RulesUpdate(rules=rules):
                self._party.take_rules(rules, now_ns=now_ns)
            case m.VotesUpdate():
                if not self._party.take_votes(message, self._now(), now_ns=now_ns):
                    raise Breach("too many votes")
            case m.YourVotes():
                self._party.take_own_votes(message)
            case m.SongRequestAccepted(request_id=file_id) if self._files.is_offered_back(file_id):
                self._send_back(file_id)
            case m.SongRequestAccepted(request_id=request_id) if self._bequest.is_offered(request_id):
                self._bequest.accepted((self._peer_id, self._token))
            case m.SongRequestRejected(request_id=request_id) | m.SongRequestAdded(request_id=request_id) if (
                self._bequest.is_offered(request_id)
            ):
                self._bequest.settled()
            case m.SongRequestConverting(request_id=request_id) if self._bequest.is_offered(request_id):
                pass
            case m.SongRequestAccepted(request_id=request_id):
                self._asked(self._requests.accepted(request_id, self._peer_id, self._token, now_ns=now_ns))
            case m.SongRequestRejected(request_id=request_id, reason=reason):
                self._asked(self._requests.rejected(request_id, reason, now_ns=now_ns))
            case m.SongRequestConverting(request_id=request_id, done_percent=done_percent):
                self._asked(self._requests.converting(request_id, done_percent, now_ns=now_ns))
            case m.SongRequestAdded(request_id=request_id):
                self._asked(self._requests.added(request_id, now_ns=now_ns))
            case m.SweepCommand():
                self._playback.sweep(message)
            case m.SweepEnd(more_follow=more_follow):
                self._playback.end_sweeps()
                if more_follow:
                    self._microphone.pause()
                else:
                    self._microphone.end(now_ns=now_ns)
            case m.MicrophoneRequest(number=number):
                self._microphone.ask(number, now_ns=now_ns)
            case m.ListenCommand(number=number, target_time_ns=begin_ns, machines=machines):
                self._microphone.listen(Listen(number, begin_ns, machines), now_ns=now_ns)
            case m.QuietCommand(target_time_ns=begin_ns, spans=spans):
                self._outbox.do(SetQuiet(in_session(spans, begin_ns)))
                if not spans:
                    self._microphone.end(now_ns=now_ns)
            case m.ListenToSongCommand():
                self._listen_to_song(message, now_ns)
            case m.CalibrationCommand(late_ns=late_ns, spread_ns=spread_ns, listener=listener, place=place):
                heard = late_ns, spread_ns, person_name(listener), place
                self._outbox.note(e.OutputCalibrated(self._session_ns(now_ns), *heard))
            case m.TrimCommand(trim_db=trim_db):
                self._outbox.note(e.TrimSet(self._session_ns(now_ns), trim_db))
            case m.CalibrationConfirmed():
                self._confirmed(message, now_ns)
            case m.PlayCommand():
                self._playback.play(message)
            case m.PauseCommand():
                self._playback.pause(message, now_ns=now_ns)
            case m.ResumeCommand():
                self._playback.resume(message)
            case m.SeekCommand():
                self._playback.seek(message)
            case m.StopCommand():
                self._playback.stop(message, now_ns=now_ns)
            case m.VolumeCommand(volume_percent=volume_percent, muted=muted):
                self._reports.change_volume(volume_percent, muted)
                volume = self._reports.volume_percent, self._reports.muted
                self._outbox.note(e.VolumeSet(self._session_ns(now_ns), *volume))
            case m.RoleCommand(role=role):
                self._reports.role = role
                self._outbox.note(e.RoleSet(self._session_ns(now_ns), role))
            case m.TrackGains():
                if not self._gains.take(message):
                    raise Breach("too many gains")
            case m.ChatSaid(line=line):
                self._chat.said(line)
            case m.ChatHistory(lines=lines):
                self._chat.history(lines)
            case m.ChatRefused(why=why):
                self._chat.refused(why, now_ns=now_ns)
            case m.HostPlaces():
                self._outside.use(message)
            case m.PiecesKey(key=key):
                self._pieces.let(key)
            case m.PieceSource():
                self._pieces.source(message)
            case m.PieceTasks():
                self._pieces.tasks(message, self._peer_id, self._token)
            case m.StandBy():
                self._succession.asked_to_stand_by()
            case m.SuccessionLine():
                self._succession.take_line(message, self._host_key, self._token, self._session_ns(now_ns))
            case m.HeritageUpdate():
                self._succession.take_heritage(message)
            case m.HostMoved():
                self._moved_to(message, now_ns)
            case m.SongsSought(file_ids=file_ids):
                self._files.sought(file_ids)
            case m.Heartbeat():
                pass
            case _:
                raise Breach(f"{type(message).__name__} makes no sense")

    def _confirmed(self, message: m.CalibrationConfirmed, now_ns: int) -> None:
        within_ns, place = message.within_ns, message.place
        self._reports.proof.confirm(Confirmation(message.heard_time_ns, within_ns, place))
        heard = within_ns, person_name(message.listener), place
        self._outbox.note(e.OutputConfirmed(self._session_ns(now_ns), *heard))

    def _greeted(self, info: m.SessionInfo, now_ns: int) -> None:
        if info.protocol_version != m.PROTOCOL_VERSION:
            self._outbox.do(Close(HOST_CONN, "another version"))
            self._end(other_version(info.protocol_version, m.PROTOCOL_VERSION), now_ns, failed=True)
            return
        if not info.session_id.startswith(self._session_id):
            self._outbox.do(Close(HOST_CONN, "another session"))
            known = Notice(Code.OTHER_SESSION if len(self._session_id) == len(info.session_id) else Code.INVITATION_OLD)
            self._end(HOST_LOST if self._absence.active else known, now_ns, failed=True)
            return
        self._session_id = info.session_id
        self._take_names(info)
        self._nameless = self._outside.active = not info.session_name
        self._side = PeerSide.JOINING
        self._ask_to_join()

    def _take_names(self, info: m.SessionInfo) -> None:
        self._nameless = False
        self._session_name = person_name(info.session_name) or self._session_name
        self._host_name = person_name(info.host_name) or self._host_name

    def _ask_to_join(self) -> None:
        join = m.JoinRequest(self._display_name, m.PROTOCOL_VERSION)
        if self._token:
            proof = membership_proof(self._token, JOIN, self._host_key)
            join = dataclasses.replace(join, peer_id=self._peer_id, proof=proof)
        if self._outside.active:
            join = dataclasses.replace(join, reached=self._reached)
        self._outbox.do(Send(HOST_CONN, join))

    def _accepted(self, accepted: m.JoinAccepted, now_ns: int) -> None:
        again = self._absence.active
        if self._moved is not None:
            self._outbox.note(e.HostChanged(self._session_ns(now_ns), self._host_name, you=False, cause=self._moved))
            self._chat.moved()
        self._moved = None
        self._succession.joined()
        self._side = PeerSide.JOINED
        self._absence.end()
        self._peer_id = accepted.peer_id
        self._token = accepted.token
        self._display_name = person_name(accepted.display_name)
        self._joined_at_ns = now_ns
        self._heartbeat_at_ns = now_ns + HEARTBEAT_NS
        self._reports.joined(now_ns=now_ns)
        self._microphone.joined(self._host_name, self._display_name)
        self._outbox.do(StartClock(accepted.peer_id, accepted.clock_port, accepted.clock_key))
        self._clock_watch.start(accepted.clock_port, now_ns=now_ns)
        names = self._session_name, self._host_name, self._display_name
        self._outbox.note(
            e.Joined(self._session_ns(now_ns), accepted.peer_id, *names, again, key_words(self._host_key))
        )
        state = accepted.session_state
        self._take_queue(state.queue, state.revision, now_ns)
        self._playback.join(state)
        self._requests.found_host()
        if self._former is not None and self._former.claim is not None:
            self._outbox.do(Send(HOST_CONN, m.FormerHost(self._former.claim)))
        self._bequest.joined({item.id for item in self._told.queue})
        self._chat.joined(again=again)
        self._outside.joined(self._reached)
        self._pieces.joined()
        self._party.joined()

    def _take_queue(self, queue: tuple[QueueItem, ...], revision: int, now_ns: int) -> None:
        """`queue` may be the rows that are known, changed."""
        known, self._safe = self._safe, {}  # most rows were in the last queue, too
        rows = []
        for item in queue:
            texts = item.file_name, item.added_by, item.title, item.artist
            safe = known.get(texts) or self._safe.get(texts) or _safe(item)
            self._safe[texts] = safe
            rows.append(dataclasses.replace(safe, id=item.id, duration_secs=item.duration_secs, status=item.status))
        self._told = m.QueueUpdate(tuple(rows), revision)
        self._files.take_queue(self._told.queue)
        self._gains.take_queue({item.id for item in self._told.queue} | self._playback.file_ids())
        self._outbox.note_queue(self._told.queue, revision, self._session_ns(now_ns))

    def _change_queue(self, message: m.QueueChange, now_ns: int) -> None:
        try:
            update = updated(self._told, message)
        except ValueError as error:
            raise Breach(str(error)) from None
        self._take_queue(update.queue, update.revision, now_ns)

    def _offered(self, start: m.FileTransferStart, now_ns: int) -> None:
        self._playback.check_rate(start.file_id, start.rate_hz)
        if not self._files.offered(start, self._peer_id, self._token, now_ns=now_ns):
            raise Breach("a file changed, or there are too many")

    def _listen_to_song(self, command: m.ListenToSongCommand, now_ns: int) -> None:
        timeline = self._playback.timeline
        if timeline is not None and self._playback.sounds():
            task = ListenToSong(command.number, command.target_time_ns, timeline, command.roles)
            self._microphone.listen(task, now_ns=now_ns)
        else:
            self._microphone.refuse(command.number, MicrophoneFault.NO_SONG)

    def _asked(self, asked: bool) -> None:
        if not asked:
            raise Breach("an answer to a request that was never made")

    # -- without a host ----------------------------------------------------------------------------------------------

    def _lose_host(self, now_ns: int) -> None:
        """Continue without the host."""
        end_ns, session_ns = self._playback.end_ns(), self._session_ns(now_ns)
        left_ns = end_ns - session_ns if end_ns is not None and session_ns is not None else 0
        self._side = PeerSide.AWAY
        self._playback.end_sweeps()
        self._microphone.end(now_ns=now_ns)
        self._clock_watch.stop()
        self._files.lost_host()
        self._pieces.lost_host()
        self._requests.lost_host()
        self._bequest.lost_host()
        self._absence.begin(
            hold_ns=HOLD_OUTSIDE_NS if self._outside.active else HOLD_NS,
            wanted_after_ns=self._outside.wanted_after_ns,
            left_ns=left_ns,
            joined_at_ns=self._joined_at_ns,
            now_ns=now_ns,
        )

    def _rejoin_failed(self, now_ns: int) -> None:
        """The new connection to a lost host ended before the host accepted this peer again."""
        self._side = PeerSide.AWAY
        self._absence.attempt_failed(now_ns=now_ns)
        self._succession.search(is_ended=False, now_ns=now_ns)

    def _search(self, now_ns: int) -> None:
        """Look for another host, or become it."""
        if self._side is not PeerSide.OVER and self._succession.takes_over(hold_is_over=False, now_ns=now_ns):
            self._take_over(Cause.HOST_LOST, now_ns)
        elif self._absence.active:
            self._succession.timer(self._session_id, self._peer_id, now_ns=now_ns)

    def _hold_is_over(self, now_ns: int) -> None:
        """The host was not found in time: this part of the session goes on by itself, or ends."""
        if self._succession.takes_over(hold_is_over=True, now_ns=now_ns):
            self._take_over(Cause.HOST_LOST, now_ns)
        elif not (self._succession.awaits_another(now_ns=now_ns) and self._absence.extend(GRACE_NS)):
            self._end(HOST_LOST, now_ns, failed=True)

    def _return_by(self, invitation: Invitation, now_ns: int) -> None:
        if not (invitation.session and self._session_id.startswith(invitation.session)):
            self._outbox.error(Notice(Code.INVITATION_ELSEWHERE), self._session_ns(now_ns))
        elif not self._absence.active:
            self._outbox.error(Notice(Code.INVITATION_HERE), self._session_ns(now_ns))
        else:
            self._outbox.do(UsePlaces(invitation.candidates))
            self._absence.found(now_ns=now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _alive(self) -> bool:
        return self._side not in (PeerSide.OFFLINE, PeerSide.OVER)

    @property
    def _connected(self) -> bool:
        return self._side is PeerSide.JOINED

    def _now(self) -> QueueItem | None:
        """The row of the current track, even if it was removed from the queue; None if there is none."""
        timeline = self._playback.timeline
        if timeline is None:
            return None
        row = next((item for item in self._told.queue if item.id == timeline.file_id), None)
        t = self._files.track(timeline.file_id)
        if row is not None or t is None:
            return row
        return QueueItem(t.file_id, t.file_name, t.duration_s, "", ItemStatus.PLAYING, t.title, t.artist)

    def _queued(self, sha256: bytes) -> QueueItem | None:
        """The row of this song that has not been played yet."""
        for item in self._told.queue:
            track = self._files.track(item.id)
            if track is not None and track.sha256 == sha256 and item.status is not ItemStatus.PLAYED:
                return item
        return None

    def _session_ns(self, now_ns: int) -> int | None:
        return self._clock.session_from_local(now_ns)

    def _end(self, reason: Notice, now_ns: int, *, failed: bool) -> None:
        if self._token:
            self._outbox.do(StopClock())
            self._outbox.note(e.SessionEnded(self._session_ns(now_ns), reason, failed))
        self._side = PeerSide.OVER
        self._absence.end()
        self._playback.end()
        self._ended = [Ended(reason, failed)]

    def _settle(self, now_ns: int) -> list[Effect]:
        self._wake(now_ns)
        self._playback.end_tracks(now_ns=now_ns)
        if self._side is PeerSide.JOINED and self._reports.settle(now_ns=now_ns):
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS
        self._files.settle(self._playback.file_ids())
        effects, self._ended = [*self._outbox.drain(*self._playback.follow()), *self._ended], []
        return effects

    def _wake(self, now_ns: int) -> None:
        """Restart the timeout of the host if this computer was suspended: it could not receive messages."""
        if self._side is PeerSide.JOINED and now_ns - self._called_at_ns > ASLEEP_NS:
            self._heard_at_ns = now_ns
            self._clock_watch.restart(now_ns=now_ns)
        self._called_at_ns = now_ns


def _safe(item: QueueItem) -> QueueItem:
    """The row with texts that are safe to show."""
    return dataclasses.replace(
        item,
        file_name=file_label(item.file_name),
        added_by=person_name(item.added_by),
        title=title(item.title),
        artist=title(item.artist),
    )
