"""The host's session, as its runner calls it.

parts.py makes the parts: queue.py has the queue, transport.py the playback, distribution.py the file transfers,
requests.py the song requests, party.py the rules, guests and votes, and hearing.py what microphones hear. commands.py
gives them the commands of the user, and member_messages.py the messages of peers. seats.py has who joins and leaves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID

from phaselock.model.code import normal_code
from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.heritage import Cause, Heritage, Hosting
from phaselock.model.loudness import Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.microphone import HeardPass
from phaselock.model.names import person_name, sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.party import I_CHOOSE, PartyRules
from phaselock.model.snapshot import GuestPage, SessionSnapshot
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.transitions import PLAIN, Transitions
from phaselock.model.types import AudioStatus, Track
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.protocol.proof import FETCH, UPLOAD
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.effects import Close, Effect, FollowHost, Send
from phaselock.session.guest_actions import GuestAction, GuestSays
from phaselock.session.host.about import About
from phaselock.session.host.commands import HostCommands
from phaselock.session.host.departure import Departure
from phaselock.session.host.door import WRONG_CODE
from phaselock.session.host.inheritance import Inheritance
from phaselock.session.host.member_messages import MemberMessages
from phaselock.session.host.members import Reports
from phaselock.session.host.own_output import OwnOutput
from phaselock.session.host.own_report import own_report
from phaselock.session.host.parts import HostParts
from phaselock.session.host.requests import Request
from phaselock.session.host.seats import Seats
from phaselock.session.host.view import snapshot_of
from phaselock.session.sentences import notice_text
from phaselock.session.states import ASLEEP_NS, HOST_ACCEPTS


class HostSession:
    """One session at its host. Session time is the host's local time, so every `now_ns` here is both.

    Methods that change the session return the effects that the runner must execute.
    """

    def __init__(
        self,
        *,
        session_name: str,
        host_name: str,
        max_peers: int = DEFAULT_PEERS,
        clock_port: int = 17402,
        loudness_lufs: float | None = None,
        transitions: Transitions = PLAIN,
        rules: PartyRules = I_CHOOSE,
        token_factory: Callable[[], bytes],
        host_key: bytes,
        code: str = "",
        succession: bool = True,
        heritage: Heritage | None = None,
    ) -> None:
        """`loudness_lufs`: the loudness of all songs; None: each plays as it is. `token_factory` returns 16 random
        bytes; they are different each time. `host_key`: SHA-256 of the certificate with which this host encrypts.
        `code`, in its normal form: who joins must know it; empty: everybody may join. `succession`: peers may become
        the host. `heritage`: of the host before this one.
        """
        session_id = token_factory() if heritage is None else heritage.session_id
        names = person_name(session_name), person_name(host_name)
        self._parts = HostParts(
            About(session_id, *names, max_peers, clock_port, host_key),
            loudness_lufs=loudness_lufs,
            transitions=transitions,
            rules=rules,
            token_factory=token_factory,
            code=code,
            succession=succession,
        )
        parts = self._parts
        self._seats = Seats(parts)
        self._output = OwnOutput(parts.members, parts.transport, parts.gains, parts.hearing.calibration)
        self._departure = Departure(parts, self._output)
        self._commands = HostCommands(parts, self._seats, self._departure)
        self._messages = MemberMessages(parts, self._seats, self._departure)
        self._heritage = heritage
        if heritage is not None:
            parts.hosting = heritage.settings.hosting
        self._called_at_ns: int | None = None

    @property
    def max_peers(self) -> int:
        """How many peers may join."""
        return self._parts.about.max_peers

    @property
    def session_id(self) -> bytes:
        """16 random bytes that identify this session among sessions of the same name."""
        return self._parts.about.session_id

    # -- connections -------------------------------------------------------------------------------------------------

    def connected(self, conn: int, ip: str, outside: bool = False, *, now_ns: int) -> list[Effect]:
        """A connection from this IP address was accepted; `outside`: at the outside port. Its first message will show
        whether it is a control or a bulk connection.

        `conn` identifies the connection; each number is used once.
        """
        if self._departure.is_over:
            return [Close(conn, "session ended")]
        self._parts.entrance.connected(conn, ip, outside, now_ns=now_ns)
        self._parts.outbox.do(Send(conn, self._parts.about.nameless_greeting() if outside else self._seats.greeting()))
        return self._settle(now_ns)

    def refusal_of_unencrypted(self) -> tuple[m.SessionInfo, m.JoinRejected]:
        """What a peer of a version without encryption is told. Everybody can read it: it names nothing."""
        return self._parts.about.nameless_greeting(), m.JoinRejected(notice_text(Notice(Code.OTHER_VERSION)))

    def received(self, conn: int, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived on a control connection. It is ignored if this session has closed the connection."""
        member = self._parts.members.members.get(conn)
        if member is not None:
            if not member.hear(now_ns):
                self._seats.breach(member, "it talks without end", now_ns=now_ns)
            elif type(message) in HOST_ACCEPTS:
                self._messages.take(member, message, now_ns=now_ns)
                if isinstance(message, m.Heartbeat):
                    return []  # nothing else has changed
            else:
                self._seats.breach(member, f"{type(message).__name__} was not expected", now_ns=now_ns)
        elif isinstance(message, m.HostSeek):
            self._sought(conn, message, now_ns)
        else:
            newcomer = self._parts.entrance.received(conn, message)
            if newcomer is not None and isinstance(message, m.JoinRequest):
                self._seats.join(conn, newcomer, message, now_ns=now_ns)
        return self._settle(now_ns)

    def disconnected(self, conn: int, reason: Notice, *, now_ns: int) -> list[Effect]:
        """A control connection ended or broke the framing, or the connection is a bulk connection."""
        self._parts.entrance.closed(conn, now_ns=now_ns)
        member = self._parts.members.members.get(conn)
        if member is not None:
            self._seats.lose(member, dataclasses.replace(reason, detail=sentence(reason.detail)), now_ns=now_ns)
        return self._settle(now_ns)

    def begin_pairing(self, conn: int, *, now_ns: int) -> tuple[str, list[Effect]]:
        """The peer of a connection wants to prove that it knows the code. Return the code; empty if it may not, and the
        connection is closed."""
        return self._parts.entrance.begin_pairing(conn, now_ns=now_ns), self._settle(now_ns)

    def paired(self, conn: int, code: str, *, now_ns: int) -> list[Effect]:
        """The peer has proved that it knows this code."""
        self._parts.entrance.paired(conn, code)
        return self._settle(now_ns)

    def not_paired(self, conn: int, *, now_ns: int) -> list[Effect]:
        """The peer does not know the code."""
        self._parts.entrance.not_paired(conn, now_ns=now_ns)
        return self._settle(now_ns)

    # -- succession --------------------------------------------------------------------------------------------------

    @classmethod
    def from_heritage(
        cls,
        heritage: Heritage,
        *,
        clock_port: int,
        token_factory: Callable[[], bytes],
        host_key: bytes,
        succession: bool = True,
    ) -> HostSession:
        """The session of the new host. Call `took_over` first."""
        settings = heritage.settings
        return cls(
            session_name=settings.session_name,
            host_name=heritage.me.name,
            max_peers=settings.max_peers,
            clock_port=clock_port,
            loudness_lufs=settings.loudness_lufs,
            transitions=Transitions(settings.crossfade_s, settings.skip_silence),
            rules=settings.rules,
            token_factory=token_factory,
            host_key=host_key,
            code=settings.code,
            succession=succession,
            heritage=heritage,
        )

    def took_over(self, cause: Cause, *, now_ns: int) -> list[Effect]:
        """This machine, which was a peer, is the host from now on. Its output already follows the timeline."""
        heritage = self._heritage
        assert heritage is not None, "only a successor takes over"
        self._parts.reign.took_over(heritage, now_ns=now_ns)
        Inheritance(heritage).give(
            self._parts.admission,
            self._parts.queue,
            self._parts.lost_files,
            self._parts.facts,
            self._parts.gains,
            self._parts.transport,
            self._parts.party,
            self._parts.requests,
            self._parts.chat,
            self._parts.invitation,
            now_ns=now_ns,
        )
        self._output.keep()
        return self._settle(now_ns)

    def reachable_at(
        self, addresses: tuple[str, ...], control_port: int, *, wired: bool | None = None, now_ns: int
    ) -> list[Effect]:
        """Where this host listens: its own addresses, the best first. Call it at the begin, and when they change."""
        self._parts.reign.reachable_at(addresses, control_port, self._parts.about.clock_port)
        return self._settle(now_ns)

    @property
    def hosting(self) -> Hosting:
        """See `hosts_with`."""
        return self._parts.hosting

    def hosts_with(self, hosting: Hosting, *, now_ns: int) -> list[Effect]:
        """What the host's program does beside the session has changed."""
        self._parts.hosting = hosting
        return self._settle(now_ns)

    def next_pages(self) -> tuple[tuple[str, int], ...]:
        """Where other hosts of this session would serve the page for guests: addresses and TCP ports, the machines of
        the line in their order first, and then the host before this one, which may come back."""
        heritage = self._heritage
        before = []
        if heritage is not None and heritage.previous is not None:
            before.append((heritage.previous.addresses[0], heritage.settings.hosting.page_port))
        return tuple(dict.fromkeys([*self._parts.reign.succession.pages(), *before]))

    def met(self, address: str, control_port: int, announced_key: bytes, *, now_ns: int) -> list[Effect]:
        """Another host of this session, whose key begins with `announced_key`, is announced there."""
        self._parts.reign.met(address, control_port, announced_key)
        return self._settle(now_ns)

    def told(self, number: int, answer: m.HostTold | None, *, refused: bool = False, now_ns: int) -> list[Effect]:
        """The answer to the `AskHost` of this number; None: there is none. `refused`: no program listens there."""
        if not self._departure.is_over:
            other = self._parts.reign.reunion.told(number, answer, now_ns=now_ns)
            if other is not None:
                self._departure.yield_to(*other)
        return self._settle(now_ns)

    def recovers(self, request_id: UUID) -> Track | None:
        """The row of the queue whose missing file arrives by this upload; None: it is a song of its own. Its file
        belongs to the `file_id` of that row. `uploaded` then expects this track."""
        return self._parts.lost_files.track(request_id)

    # -- commands of the user ----------------------------------------------------------------------------------------

    def command(self, command: c.HostCommand, *, now_ns: int) -> list[Effect]:
        """Execute a command of the host's user. An `error` event reports a command that cannot be done."""
        if self._departure.is_over:
            return []
        self._commands.command(command, now_ns=now_ns)
        return self._settle(now_ns)

    def learn_tags(self, file_id: UUID, tagged: Tagged, *, now_ns: int) -> list[Effect]:
        """What the tags of a track say."""
        self._parts.facts.learn_tags(file_id, tagged)
        return self._settle(now_ns)

    def learn_measurement(self, file_id: UUID, measurement: Measurement, *, now_ns: int) -> list[Effect]:
        """What was measured in a track; the tags no longer count."""
        self._parts.facts.learn_measurement(file_id, measurement)
        return self._settle(now_ns)

    # -- guests ------------------------------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """What people must know to join, as in the snapshot; empty: everybody may join."""
        return self._parts.door.code

    def has_song(self, file_id: UUID) -> bool:
        """The song is in the queue, or plays."""
        return self._parts.queue.rows.entry(file_id) is not None

    def guest(self, guest_id: bytes, action: GuestAction, *, now_ns: int) -> list[Effect]:
        """A guest does something. Everything but `GuestHere` is ignored while the session does not know the guest."""
        if not self._departure.is_over:
            self._parts.party.guest(guest_id, action, now_ns=now_ns)
            guest = self._parts.party.guests.known(guest_id)
            if guest is not None and isinstance(action, GuestSays):
                self._parts.chat.guest_says(guest, action.text, now_ns=now_ns)
        return self._settle(now_ns)

    def guest_code(self, ip: str, code: str, *, now_ns: int) -> tuple[tuple[str, str] | None, list[Effect]]:
        """A person at this address has typed this code on the page for guests. Why it does not open the page: "code" or
        "wait", and a sentence; None: it does."""
        refusal = self._parts.door.attempt(normal_code(code), ip, now_ns=now_ns)
        kind = "code" if refusal == WRONG_CODE else "wait"
        return (kind, refusal) if refusal else None, self._settle(now_ns)

    def guest_page(self, guest_id: bytes, *, now_ns: int) -> GuestPage | None:
        """What the session shows to this guest alone; None: it is not here."""
        return self._parts.party.page(guest_id, now_ns=now_ns)

    def is_removed_guest(self, guest_id: bytes) -> bool:
        """The host's user has removed this guest."""
        return self._parts.party.guests.is_removed(guest_id)

    # -- the host's own machine --------------------------------------------------------------------------------------

    def audio(self, status: AudioStatus, *, now_ns: int) -> list[Effect]:
        """The state of the host's own output.

        Call it several times a second, and at once if latency or device change.
        """
        if self._parts.members.own is None:
            self._parts.members.own = Reports(now_ns)
        self._parts.members.own.take(own_report(status), now_ns=now_ns)
        return self._settle(now_ns)

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host's own player cannot decode a track."""
        track = self._parts.queue.rows.track(file_id)
        if track is not None:
            self._parts.outbox.error(Notice(Code.UNPLAYABLE_HERE, sentence(reason), file_id, track.file_name), now_ns)
        return self._settle(now_ns)

    def device_changed(
        self, state: DeviceState, device_name: str | None, detail: str, timing: Timing | None, *, now_ns: int
    ) -> list[Effect]:
        """The host's own output opened, was lost, or does not exist."""
        self._parts.outbox.note(e.DeviceChanged(now_ns, state, device_name, detail, timing))
        return self._settle(now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> list[Effect]:
        """The host's microphone has heard what `Listen` or `ListenToSong` with this number asks for, or could not."""
        self._parts.hearing.heard(number, heard, now_ns=now_ns)
        return self._settle(now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> list[Effect]:
        """Handle all deadlines that have passed. A call before or after `next_deadline_ns` is allowed."""
        self._wake(now_ns)
        self._parts.entrance.timer(now_ns=now_ns)
        must_end = self._parts.reign.timer(now_ns=now_ns)
        self._parts.lost_files.timer(now_ns=now_ns)
        self._seats.timer(now_ns=now_ns)
        self._parts.distribution.timer(now_ns=now_ns)
        self._parts.requests.timer(now_ns=now_ns)
        self._parts.party.timer(now_ns=now_ns)
        self._parts.hearing.timer(now_ns=now_ns)
        self._parts.transport.leave_behind(now_ns=now_ns)
        self._parts.transport.end_tracks(now_ns=now_ns)
        if must_end:
            self._departure.quit(now_ns=now_ns)
        return self._settle(now_ns)

    def next_deadline_ns(self) -> int | None:
        """The time for the next call of `timer`; None: no call is needed. Every call of the session may change it."""
        deadlines = [self._parts.transport.end_ns(), self._parts.queue.due_ns()]
        deadlines += [
            *self._parts.entrance.deadlines_ns(),
            *self._parts.reign.deadlines_ns(),
            *self._parts.lost_files.deadlines_ns(),
            *self._seats.deadlines_ns(),
            *self._parts.distribution.deadlines_ns(),
            *self._parts.sharing.deadlines_ns(),
            *self._parts.requests.deadlines_ns(),
            *self._parts.party.deadlines_ns(),
            *self._parts.hearing.deadlines_ns(),
            *self._parts.invitation.deadlines_ns(),
        ]
        deadlines += [self._parts.transport.wait_ends_ns(), self._parts.transport.overdue_at_ns()]
        if self._departure.is_over:
            return None
        return min((at_ns for at_ns in deadlines if at_ns is not None), default=None)

    # -- files -------------------------------------------------------------------------------------------------------

    def authorise_fetch(self, peer_id: int, proof: bytes, file_id: UUID) -> Track | None:
        """The track that may be sent on a bulk connection with this proof; None: refuse it."""
        member = self._parts.admission.member(peer_id, proof, FETCH)
        return self._parts.distribution.may_fetch(member, file_id) if member is not None else None

    def fetch_progress(self, peer_id: int, file_id: UUID, sent_bytes: int, *, now_ns: int) -> list[Effect]:
        """`sent_bytes` of the file were sent, including the part that the peer had from an earlier attempt.

        It may be called for each chunk.
        """
        member = self._parts.members.numbered(peer_id)
        if member is not None:
            self._parts.distribution.progressed(member, file_id, sent_bytes, now_ns=now_ns)
        return self._settle(now_ns)

    def fetch_failed(self, peer_id: int, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host cannot send a file, for example because it was deleted. The peer reports a lost bulk connection."""
        track, member = self._parts.queue.rows.track(file_id), self._parts.members.numbered(peer_id)
        if track is not None and member is not None and member.may_report(now_ns):
            about = file_id, track.file_name
            self._parts.outbox.warn(Notice(Code.CANNOT_SEND, sentence(reason), *about, peer_id=peer_id), now_ns)
        return self._settle(now_ns)

    def pieces_hashed(self, file_id: UUID, root: bytes, *, now_ns: int) -> list[Effect]:
        """The root of the hash tree of `HashPieces`; empty: the file cannot be read."""
        self._parts.sharing.hashed(file_id, root)
        return self._settle(now_ns)

    def authorise_upload(self, peer_id: int, proof: bytes, request_id: UUID, sha256: bytes) -> Request | None:
        """The accepted request whose song, which has this hash, may arrive on a bulk connection with this proof; None:
        refuse it.

        Each call counts as one attempt.
        """
        member = self._parts.admission.member(peer_id, proof, UPLOAD)
        if self._parts.lost_files.track(request_id) is not None:
            return self._parts.lost_files.begin_upload_attempt(member, request_id, sha256)
        return self._parts.requests.begin_upload_attempt(member, request_id)

    def authorise_guest_upload(self, guest_id: bytes, request_id: UUID) -> Request | None:
        """The accepted request of this guest whose song may arrive; None: refuse it."""
        return self._parts.requests.upload_of_guest(guest_id, request_id)

    def wants_upload(self, request_id: UUID) -> bool:
        """The request is accepted and its song is not in the queue yet."""
        return self._parts.requests.wanted(request_id) or self._parts.lost_files.track(request_id) is not None

    def upload_progress(self, request_id: UUID, done_bytes: int, *, now_ns: int) -> list[Effect]:
        """`done_bytes` of a requested song have arrived. It may be called for each chunk."""
        self._parts.requests.progressed(request_id, done_bytes, now_ns=now_ns)
        self._parts.lost_files.progressed(request_id, now_ns=now_ns)
        return self._settle(now_ns)

    def upload_converting(self, request_id: UUID, share: float, *, now_ns: int) -> list[Effect]:
        """A requested song has arrived, and this share of it is converted, 0 to 1. It may be called at any rate."""
        self._parts.requests.converting(request_id, share, now_ns=now_ns)
        return self._settle(now_ns)

    def uploaded(self, request_id: UUID, track: Track, *, now_ns: int) -> list[Effect]:
        """A requested song has arrived, complete and playable."""
        if self._parts.reign.succession.is_handing_over:
            return self._settle(now_ns)  # the new host does not know the song: the peer asks for it again
        if self._parts.lost_files.arrived(request_id, track, now_ns=now_ns):
            return self._settle(now_ns)
        is_bequeathed = self._parts.requests.is_bequeathed(request_id)
        who = self._parts.requests.arrived(request_id, track, now_ns=now_ns)
        if who is not None:
            self._parts.queue.seen |= {request_id} if is_bequeathed else set()
            self._parts.queue.add(track, *who, now_ns=now_ns)
        return self._settle(now_ns)

    def upload_refused(self, request_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The uploaded song cannot be used. A lost connection is no reason: the peer tries again or gives up."""
        self._parts.requests.refuse(request_id, reason, now_ns=now_ns)
        self._parts.lost_files.failed(request_id, now_ns=now_ns)
        return self._settle(now_ns)

    def snapshot(self) -> SessionSnapshot:
        """A consistent copy of the state, for display."""
        return snapshot_of(self._parts, now_ns=self._called_at_ns or 0)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _sought(self, conn: int, message: m.HostSeek, now_ns: int) -> None:
        """A machine asks for the host of this session. At the outside port it proves nothing, and is told nothing."""
        found = self._parts.entrance.leave(conn)
        is_answered = found is not None and not found.outside and not self._departure.is_over
        answer = self._parts.reign.reunion.asked(message, now_ns=now_ns) if is_answered else None
        if answer is not None:
            self._parts.outbox.do(Send(conn, answer))
        self._parts.outbox.do(Close(conn, "it has asked for the host"))

    def _settle(self, now_ns: int) -> list[Effect]:
        """The end of every call: what it has changed, and the effects of that."""
        self._wake(now_ns)
        if not self._departure.is_over:
            self._parts.hearing.calibration.settle(now_ns=now_ns)
            self._parts.hearing.levels.settle()
            self._parts.bequests.settle(now_ns=now_ns)
            self._parts.gains.settle()
            self._parts.party.settle(now_ns=now_ns)
            self._parts.transport.settle(now_ns=now_ns)
            self._parts.hearing.check.settle(now_ns=now_ns)
            self._parts.queue.settle(now_ns=now_ns)
            self._parts.invitation.settle(now_ns=now_ns)
            self._parts.distribution.settle(now_ns=now_ns)
            self._parts.sharing.settle(now_ns=now_ns)
            self._parts.reign.settle(now_ns=now_ns)
            self._parts.call_backs.settle(self._parts.invitation.candidates, self._parts.reign.succession.standing())
        last = self._departure.take()
        plays_on = isinstance(last, FollowHost)
        follow = self._output.settle(is_over=self._departure.is_over) if not plays_on else []
        return [*self._parts.outbox.drain(*follow), *([last] if last is not None else [])]

    def _wake(self, now_ns: int) -> None:
        """Restart the timeouts of the members if this computer was suspended: it could not receive their messages."""
        if self._called_at_ns is not None and now_ns - self._called_at_ns > ASLEEP_NS:
            for member in self._parts.members:
                member.heard_at_ns = member.reports.heard_at_ns = now_ns
            self._parts.reign.woke(now_ns - self._called_at_ns, now_ns=now_ns)
        self._called_at_ns = now_ns
