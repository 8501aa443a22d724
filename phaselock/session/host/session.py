"""The host's session: connections, members and the messages to them.

admission.py decides who joins, and report_watch.py takes the reports of peers. queue.py has the queue, transport.py the
playback, distribution.py the file transfers, requests.py the song requests, party.py the rules, guests and votes, and
hearing.py what microphones hear. A peer that breaks the protocol or is silent for too long is removed with a reason.
The other peers are not affected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID

from phaselock.language.message import N_
from phaselock.model.code import normal_code
from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.heritage import Cause, HeirSettings, Heritage, HostContact, Hosting
from phaselock.model.key_words import key_words
from phaselock.model.loudness import Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.microphone import HeardPass
from phaselock.model.names import person_name, sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.party import I_CHOOSE, Order, PartyRules
from phaselock.model.snapshot import GuestPage, SessionSnapshot
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.transitions import PLAIN, Transitions
from phaselock.model.types import AudioStatus, Track
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.protocol.proof import FETCH, JOIN, UPLOAD
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.claims import extended
from phaselock.session.effects import AllowClock, Close, Effect, Ended, Follow, FollowHost, ForbidClock, Send
from phaselock.session.guest_actions import GuestAction, GuestSays
from phaselock.session.host.admission import Admission, Admitted, Refused
from phaselock.session.host.call_back import CallBacks
from phaselock.session.host.caps import Caps
from phaselock.session.host.chat import HostChat
from phaselock.session.host.distribution import Distribution
from phaselock.session.host.door import WRONG_CODE, Door
from phaselock.session.host.entrance import Entrance, Newcomer
from phaselock.session.host.fair_order import moved
from phaselock.session.host.gains import HostGains
from phaselock.session.host.hearing import HostHearing
from phaselock.session.host.inheritance import Inheritance
from phaselock.session.host.invitation import HostInvitation
from phaselock.session.host.lost_files import LostFiles
from phaselock.session.host.members import SEAT_NS, Attendance, Member, Members, Reports
from phaselock.session.host.own_report import own_report
from phaselock.session.host.party import Party
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.reign import Reign
from phaselock.session.host.relays import Relays
from phaselock.session.host.report_watch import ReportWatch
from phaselock.session.host.requesters import FALLBACK_KEY, HOST_KEY
from phaselock.session.host.requests import IncomingRequests, Request
from phaselock.session.host.sharing import Sharing
from phaselock.session.host.track_facts import HostTrackFacts
from phaselock.session.host.transitions import HostTransitions
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox
from phaselock.session.playback import Playback
from phaselock.session.sentences import notice_text
from phaselock.session.states import (
    ASLEEP_NS,
    DEAD_NS,
    HEARTBEAT_NS,
    HOLD_NS,
    HOST_ACCEPTS,
)

BROKE_PROTOCOL = N_("The host has closed the connection, because this machine broke the protocol.")
NOTHING_REPORTED = N_("The host has closed the connection, because this machine told nothing about its output.")


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
        self._host_key = host_key
        self._session_name = person_name(session_name)
        self._host_name = person_name(host_name)
        self.max_peers = max_peers
        """How many peers may join."""
        self._clock_port = clock_port
        self._token_factory = token_factory
        self._session_id = token_factory() if heritage is None else heritage.session_id
        self._heritage = heritage
        self.hosting = Hosting() if heritage is None else heritage.settings.hosting
        """See `hosts_with`."""
        self._heartbeat_at_ns: int | None = None
        self._called_at_ns: int | None = None
        self._over = False
        self._gone: FollowHost | Ended | None = None
        """The last effect: another machine is the host."""
        self._outbox = Outbox()
        self._door = Door(code, self._outbox)
        self._members = Members()
        self._admission = Admission(
            self._members,
            self._door,
            self._outbox,
            host_name=self._host_name,
            max_peers=max_peers,
            token_factory=token_factory,
            host_key=host_key,
        )
        playback = Playback()
        self._facts = HostTrackFacts()
        self._queue = HostQueue(self._members, playback, self._outbox)
        self._report_watch = ReportWatch(self._members, self._outbox, clock_port, self._queue.mark_stale)
        self._transitions = HostTransitions(self._facts, transitions)
        self._transport = TransportControl(self._members, playback, self._queue, self._transitions, self._outbox)
        self._gains = HostGains(self._members, self._queue, self._facts, self._outbox, loudness_lufs)
        relays = Relays(self._members, token_factory, self._outbox)
        self._sharing = Sharing(self._members, self._queue, self._transport, relays, self._outbox)
        self._distribution = Distribution(self._members, self._queue, self._transport, self._sharing, self._outbox)
        caps = Caps(self._queue, rules)
        self._requests = IncomingRequests(self._outbox, self._queue.has_room, caps)
        self._party = Party(
            self._members, self._queue, self._transport, caps, self._requests, self._outbox, self._host_name
        )
        self._hearing = HostHearing(
            self._members, self._party.guests, self._transport, self._outbox, self._host_name, self._named
        )
        self._invitation = HostInvitation(self._members, self._outbox, self._session_id, clock_port)
        self._call_backs = CallBacks(self._members, self._admission, self._outbox)
        self._entrance = Entrance(self._door, self._invitation.door, self._admission, self._outbox)
        self._chat = HostChat(self._members, self._outbox, lambda: self._party.rules)
        self._followed = Follow(None)
        self._lost_files = LostFiles(self._members, self._queue, self._outbox)
        self._reign = Reign(
            self._members,
            self._admission,
            self._queue,
            self._facts,
            self._party,
            self._requests,
            self._transport,
            self._gains,
            self._outbox,
            session_id=self._session_id,
            host_name=self._host_name,
            host_key=host_key,
            token=token_factory(),
            settings=self._heir_settings,
            is_on=succession,
        )

    @property
    def session_id(self) -> bytes:
        """16 random bytes that identify this session among sessions of the same name."""
        return self._session_id

    # -- connections -------------------------------------------------------------------------------------------------

    def connected(self, conn: int, ip: str, outside: bool = False, *, now_ns: int) -> list[Effect]:
        """A connection from this IP address was accepted; `outside`: at the outside port. Its first message will show
        whether it is a control or a bulk connection.

        `conn` identifies the connection; each number is used once.
        """
        if self._over:
            return [Close(conn, "session ended")]
        self._entrance.connected(conn, ip, outside, now_ns=now_ns)
        self._outbox.do(Send(conn, self._nameless_info() if outside else self._info()))
        return self._settle(now_ns)

    def _info(self) -> m.SessionInfo:
        # With a code the number is announced, and the names are not. Many names are longer than GREETING_CAP.
        hidden = self._door.code or len(self._members) > DEFAULT_PEERS
        names = tuple("?" if hidden else member.name for member in self._members)
        about = self._session_name, self._host_name, names, self.max_peers
        return m.SessionInfo(m.PROTOCOL_VERSION, self._session_id, *about)

    def _nameless_info(self) -> m.SessionInfo:
        return m.SessionInfo(m.PROTOCOL_VERSION, self._session_id, "", "", (), self.max_peers)

    def refusal_of_unencrypted(self) -> tuple[m.SessionInfo, m.JoinRejected]:
        """What a peer of a version without encryption is told. Everybody can read it: it names nothing."""
        return self._nameless_info(), m.JoinRejected(notice_text(Notice(Code.OTHER_VERSION)))

    def received(self, conn: int, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived on a control connection. It is ignored if this session has closed the connection."""
        member = self._members.members.get(conn)
        if member is not None:
            if not member.hear(now_ns):
                self._breach(member, "it talks without end", now_ns)
            elif type(message) in HOST_ACCEPTS:
                self._from_member(member, message, now_ns)
                if isinstance(message, m.Heartbeat):
                    return []  # nothing else has changed
            else:
                self._breach(member, f"{type(message).__name__} was not expected", now_ns)
        elif isinstance(message, m.HostSeek):
            self._sought(conn, message, now_ns)
        elif (newcomer := self._entrance.received(conn, message)) is not None and isinstance(message, m.JoinRequest):
            self._join(conn, newcomer, message, now_ns)
        return self._settle(now_ns)

    def disconnected(self, conn: int, reason: Notice, *, now_ns: int) -> list[Effect]:
        """A control connection ended or broke the framing, or the connection is a bulk connection."""
        self._entrance.closed(conn, now_ns=now_ns)
        member = self._members.members.get(conn)
        if member is not None:
            self._lose(member, dataclasses.replace(reason, detail=sentence(reason.detail)), now_ns)
        return self._settle(now_ns)

    def begin_pairing(self, conn: int, *, now_ns: int) -> tuple[str, list[Effect]]:
        """The peer of a connection wants to prove that it knows the code. Return the code; empty if it may not, and the
        connection is closed."""
        return self._entrance.begin_pairing(conn, now_ns=now_ns), self._settle(now_ns)

    def paired(self, conn: int, code: str, *, now_ns: int) -> list[Effect]:
        """The peer has proved that it knows this code."""
        self._entrance.paired(conn, code)
        return self._settle(now_ns)

    def not_paired(self, conn: int, *, now_ns: int) -> list[Effect]:
        """The peer does not know the code."""
        self._entrance.not_paired(conn, now_ns=now_ns)
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
        self._reign.took_over(heritage, now_ns=now_ns)
        Inheritance(heritage).give(
            self._admission,
            self._queue,
            self._lost_files,
            self._facts,
            self._gains,
            self._transport,
            self._party,
            self._requests,
            self._chat,
            now_ns=now_ns,
        )
        self._followed = self._to_follow()
        return self._settle(now_ns)

    def reachable_at(
        self, addresses: tuple[str, ...], control_port: int, *, wired: bool | None = None, now_ns: int
    ) -> list[Effect]:
        """Where this host listens: its own addresses, the best first. Call it at the begin, and when they change."""
        self._reign.reachable_at(addresses, control_port, self._clock_port)
        return self._settle(now_ns)

    def hosts_with(self, hosting: Hosting, *, now_ns: int) -> list[Effect]:
        """What the host's program does beside the session has changed."""
        self.hosting = hosting
        return self._settle(now_ns)

    def next_pages(self) -> tuple[tuple[str, int], ...]:
        """Where other hosts of this session would serve the page for guests: addresses and TCP ports, the machines of
        the line in their order first, and then the host before this one, which may come back."""
        heritage = self._heritage
        before = []
        if heritage is not None and heritage.previous is not None:
            before.append((heritage.previous.addresses[0], heritage.settings.hosting.page_port))
        return tuple(dict.fromkeys([*self._reign.succession.pages(), *before]))

    def met(self, address: str, control_port: int, announced_key: bytes, *, now_ns: int) -> list[Effect]:
        """Another host of this session, whose key begins with `announced_key`, is announced there."""
        self._reign.met(address, control_port, announced_key)
        return self._settle(now_ns)

    def told(self, number: int, answer: m.HostTold | None, *, refused: bool = False, now_ns: int) -> list[Effect]:
        """The answer to the `AskHost` of this number; None: there is none. `refused`: no program listens there."""
        if not self._over and (other := self._reign.reunion.told(number, answer)) is not None:
            contact, claim = other
            self._gone = self._gone_to(contact, claim.term, claim.chain, Cause.REUNION)
        return self._settle(now_ns)

    def recovers(self, request_id: UUID) -> Track | None:
        """The row of the queue whose missing file arrives by this upload; None: it is a song of its own. Its file
        belongs to the `file_id` of that row. `uploaded` then expects this track."""
        return self._lost_files.track(request_id)

    # -- commands of the user ----------------------------------------------------------------------------------------

    def command(self, command: c.HostCommand, *, now_ns: int) -> list[Effect]:
        """Execute a command of the host's user. An `error` event reports a command that cannot be done."""
        if self._over:
            return []
        if self._reign.succession.is_handing_over and type(command) is not c.Quit:
            self._outbox.error(Notice(Code.HANDING_OVER), now_ns)
            return self._settle(now_ns)
        self._hearing.calibration.precede(command, now_ns=now_ns)
        match command:
            case c.Add(track=track, fallback=fallback):
                key = FALLBACK_KEY if fallback else HOST_KEY
                self._queue.add(track, self._host_name, key, now_ns=now_ns)
            case c.ChangeCode(code=text):
                self._change_code(text, now_ns)
            case c.Invite() | c.WithdrawInvitation() | c.InvitationPlaces():
                self._invitation.command(command, now_ns=now_ns)
                self._call_backs.change(self._invitation.candidates)
            case c.Move(file_id=file_id, to=to):
                self._queue.move(file_id, to, now_ns=now_ns)
                self._party.moved_by_hand({file_id})
            case c.Remove(file_id=file_id):
                self._transport.remove(file_id, now_ns=now_ns)
            case c.Restore(file_id=file_id):
                self._queue.restore(file_id, now_ns=now_ns)
            case c.Arrange(file_ids=file_ids):
                before = self._queue.rows.ids()
                self._queue.arrange(file_ids)
                self._party.moved_by_hand(moved(before, self._queue.rows.ids()))
            case c.Shuffle(seed=seed) if seed is not None and self._party.rules.order is Order.FAIR:
                self._outbox.error(Notice(Code.ORDER_IS_FAIR), now_ns)
            case c.Shuffle(seed=seed):
                self._queue.shuffle(seed)
            case c.Repeat(on=on):
                self._transport.repeat = on
            case c.SetLoudness(target_lufs=target_lufs):
                self._gains.target_lufs = target_lufs
                self._outbox.note(e.LoudnessSet(now_ns, target_lufs))
            case c.SetTransitions(transitions=transitions):
                self._transitions.chosen = transitions
                self._outbox.note(e.TransitionsSet(now_ns, transitions.crossfade_s, transitions.skip_silence))
            case c.Play() | c.Pause() | c.Resume() | c.Stop() | c.Seek() | c.Next() | c.Previous():
                self._transport.command(command, now_ns=now_ns)
            case c.Autoplay(wait_peers=wait_peers):
                self._transport.autoplay(wait_peers)
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
                for member in self._named(name, now_ns):
                    self._outbox.do(Send(member.conn, m.VolumeCommand(percent, muted)))
            case c.SetPeerRole(name=name, role=role):
                for member in self._named(name, now_ns):
                    self._outbox.do(Send(member.conn, m.RoleCommand(role)))
            case c.Accept(request_id=request_id):
                self._requests.accept(request_id, now_ns=now_ns)
            case c.Reject(request_id=request_id):
                self._requests.reject(request_id, now_ns=now_ns)
            case c.Calibrate() | c.CalibrateNext() | c.StopCalibration() | c.Check() | c.StopCheck():
                self._hearing.command(command, now_ns=now_ns)
            case c.EvenLevels() | c.UndoLevels() | c.ResetLevels():
                self._hearing.command(command, now_ns=now_ns)
            case c.SetRules() | c.RemoveGuest() | c.AllowGuest() | c.UseFallback() | c.VoteFor() | c.WantSkip():
                self._party.command(command, now_ns=now_ns)
            case c.Say(text=text):
                self._party.people.heard(HOST_KEY, now_ns=now_ns)
                self._chat.host_says(self._host_name, text, now_ns=now_ns)
            case c.HandOver():
                self._reign.succession.hand_over(command, self._reign.claim(), now_ns=now_ns)
            case c.Quit():
                self._quit(now_ns)
        effects = self._settle(now_ns)
        return [*effects, Ended(Notice(Code.SESSION_ENDED), failed=False)] if self._over else effects

    def learn_tags(self, file_id: UUID, tagged: Tagged, *, now_ns: int) -> list[Effect]:
        """What the tags of a track say."""
        self._facts.learn_tags(file_id, tagged)
        return self._settle(now_ns)

    def learn_measurement(self, file_id: UUID, measurement: Measurement, *, now_ns: int) -> list[Effect]:
        """What was measured in a track; the tags no longer count."""
        self._facts.learn_measurement(file_id, measurement)
        return self._settle(now_ns)

    # -- guests ------------------------------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """What people must know to join, as in the snapshot; empty: everybody may join."""
        return self._door.code

    def has_song(self, file_id: UUID) -> bool:
        """The song is in the queue, or plays."""
        return self._queue.rows.entry(file_id) is not None

    def guest(self, guest_id: bytes, action: GuestAction, *, now_ns: int) -> list[Effect]:
        """A guest does something. Everything but `GuestHere` is ignored while the session does not know the guest."""
        if not self._over:
            self._party.guest(guest_id, action, now_ns=now_ns)
            guest = self._party.guests.known(guest_id)
            if guest is not None and isinstance(action, GuestSays):
                self._chat.guest_says(guest, action.text, now_ns=now_ns)
        return self._settle(now_ns)

    def guest_code(self, ip: str, code: str, *, now_ns: int) -> tuple[tuple[str, str] | None, list[Effect]]:
        """A person at this address has typed this code on the page for guests. Why it does not open the page: "code" or
        "wait", and a sentence; None: it does."""
        refusal = self._door.attempt(normal_code(code), ip, now_ns=now_ns)
        kind = "code" if refusal == WRONG_CODE else "wait"
        return (kind, refusal) if refusal else None, self._settle(now_ns)

    def guest_page(self, guest_id: bytes, *, now_ns: int) -> GuestPage | None:
        """What the session shows to this guest alone; None: it is not here."""
        return self._party.page(guest_id, now_ns=now_ns)

    def is_removed_guest(self, guest_id: bytes) -> bool:
        """The host's user has removed this guest."""
        return self._party.guests.is_removed(guest_id)

    # -- the host's own machine --------------------------------------------------------------------------------------

    def audio(self, status: AudioStatus, *, now_ns: int) -> list[Effect]:
        """The state of the host's own output.

        Call it several times a second, and at once if latency or device change.
        """
        if self._members.own is None:
            self._members.own = Reports(now_ns)
        self._members.own.take(own_report(status), now_ns=now_ns)
        return self._settle(now_ns)

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host's own player cannot decode a track."""
        track = self._queue.rows.track(file_id)
        if track is not None:
            self._outbox.error(Notice(Code.UNPLAYABLE_HERE, sentence(reason), file_id, track.file_name), now_ns)
        return self._settle(now_ns)

    def device_changed(
        self, state: DeviceState, device_name: str | None, detail: str, timing: Timing | None, *, now_ns: int
    ) -> list[Effect]:
        """The host's own output opened, was lost, or does not exist."""
        self._outbox.note(e.DeviceChanged(now_ns, state, device_name, detail, timing))
        return self._settle(now_ns)

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> list[Effect]:
        """The host's microphone has heard what `Listen` or `ListenToSong` with this number asks for, or could not."""
        self._hearing.heard(number, heard, now_ns=now_ns)
        return self._settle(now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> list[Effect]:
        """Handle all deadlines that have passed. A call before or after `next_deadline_ns` is allowed."""
        self._wake(now_ns)
        self._entrance.timer(now_ns=now_ns)
        self._reign.timer(now_ns=now_ns)
        self._lost_files.timer(now_ns=now_ns)
        for member in self._members:
            if now_ns >= member.heard_at_ns + DEAD_NS:
                self._outbox.do(Close(member.conn, "silent for too long"))
                member.held_until_ns = now_ns + HOLD_NS
                self._lose(member, Notice(Code.PEER_SILENT), now_ns)
            elif now_ns >= member.reports.heard_at_ns + SEAT_NS:
                self._dismiss(member, NOTHING_REPORTED, Notice(Code.PEER_REPORTS_NOTHING), now_ns)
            else:
                self._report_watch.check(member, now_ns=now_ns)
                self._report_watch.tell_left_out(member, now_ns=now_ns)
        if self._heartbeat_at_ns is not None and now_ns >= self._heartbeat_at_ns:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS if len(self._members) else None
            self._outbox.do(*(Send(member.conn, m.Heartbeat()) for member in self._members))
        self._distribution.timer(now_ns=now_ns)
        self._requests.timer(now_ns=now_ns)
        self._party.timer(now_ns=now_ns)
        self._hearing.timer(now_ns=now_ns)
        self._transport.leave_behind(now_ns=now_ns)
        self._transport.end_tracks(now_ns=now_ns)
        return self._settle(now_ns)

    def next_deadline_ns(self) -> int | None:
        """The time for the next call of `timer`; None: no call is needed. Every call of the session may change it."""
        deadlines = [self._heartbeat_at_ns, self._transport.end_ns(), self._queue.due_ns()]
        deadlines += [
            *self._entrance.deadlines_ns(),
            *self._reign.deadlines_ns(),
            *self._lost_files.deadlines_ns(),
            *self._report_watch.deadlines_ns(self._members),
            *self._distribution.deadlines_ns(),
            *self._sharing.deadlines_ns(),
            *self._requests.deadlines_ns(),
            *self._party.deadlines_ns(),
            *self._hearing.deadlines_ns(),
            *self._invitation.deadlines_ns(),
        ]
        deadlines += [member.heard_at_ns + DEAD_NS for member in self._members]
        deadlines += [self._transport.wait_ends_ns(), self._transport.overdue_at_ns()]
        return None if self._over else min((at_ns for at_ns in deadlines if at_ns is not None), default=None)

    # -- files -------------------------------------------------------------------------------------------------------

    def authorise_fetch(self, peer_id: int, proof: bytes, file_id: UUID) -> Track | None:
        """The track that may be sent on a bulk connection with this proof; None: refuse it."""
        member = self._admission.member(peer_id, proof, FETCH)
        return self._distribution.may_fetch(member, file_id) if member is not None else None

    def fetch_progress(self, peer_id: int, file_id: UUID, sent_bytes: int, *, now_ns: int) -> list[Effect]:
        """`sent_bytes` of the file were sent, including the part that the peer had from an earlier attempt.

        It may be called for each chunk.
        """
        member = self._members.numbered(peer_id)
        if member is not None:
            self._distribution.progressed(member, file_id, sent_bytes, now_ns=now_ns)
        return self._settle(now_ns)

    def fetch_failed(self, peer_id: int, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host cannot send a file, for example because it was deleted. The peer reports a lost bulk connection."""
        track, member = self._queue.rows.track(file_id), self._members.numbered(peer_id)
        if track is not None and member is not None and member.may_report(now_ns):
            about = file_id, track.file_name
            self._outbox.warn(Notice(Code.CANNOT_SEND, sentence(reason), *about, peer_id=peer_id), now_ns)
        return self._settle(now_ns)

    def pieces_hashed(self, file_id: UUID, root: bytes, *, now_ns: int) -> list[Effect]:
        """The root of the hash tree of `HashPieces`; empty: the file cannot be read."""
        self._sharing.hashed(file_id, root)
        return self._settle(now_ns)

    def authorise_upload(self, peer_id: int, proof: bytes, request_id: UUID) -> Request | None:
        """The accepted request whose song may arrive on a bulk connection with this proof; None: refuse it.

        Each call counts as one attempt.
        """
        member = self._admission.member(peer_id, proof, UPLOAD)
        if self._lost_files.track(request_id) is not None:
            return self._lost_files.begin_upload_attempt(member, request_id)
        return self._requests.begin_upload_attempt(member, request_id)

    def authorise_guest_upload(self, guest_id: bytes, request_id: UUID) -> Request | None:
        """The accepted request of this guest whose song may arrive; None: refuse it."""
        return self._requests.upload_of_guest(guest_id, request_id)

    def wants_upload(self, request_id: UUID) -> bool:
        """The request is accepted and its song is not in the queue yet."""
        return self._requests.wanted(request_id) or self._lost_files.track(request_id) is not None

    def upload_progress(self, request_id: UUID, done_bytes: int, *, now_ns: int) -> list[Effect]:
        """`done_bytes` of a requested song have arrived. It may be called for each chunk."""
        self._requests.progressed(request_id, done_bytes, now_ns=now_ns)
        self._lost_files.progressed(request_id, now_ns=now_ns)
        return self._settle(now_ns)

    def upload_converting(self, request_id: UUID, share: float, *, now_ns: int) -> list[Effect]:
        """A requested song has arrived, and this share of it is converted, 0 to 1. It may be called at any rate."""
        self._requests.converting(request_id, share, now_ns=now_ns)
        return self._settle(now_ns)

    def uploaded(self, request_id: UUID, track: Track, *, now_ns: int) -> list[Effect]:
        """A requested song has arrived, complete and playable."""
        if self._reign.succession.is_handing_over or self._lost_files.arrived(request_id, track, now_ns=now_ns):
            return self._settle(now_ns)  # the new host does not know the song: the peer asks for it again
        who = self._requests.arrived(request_id, track, now_ns=now_ns)
        if who is not None:
            self._queue.seen.add(request_id)
            self._queue.add(track, *who, now_ns=now_ns)
        return self._settle(now_ns)

    def upload_refused(self, request_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The uploaded song cannot be used. A lost connection is no reason: the peer tries again or gives up."""
        self._requests.refuse(request_id, reason, now_ns=now_ns)
        self._lost_files.failed(request_id, now_ns=now_ns)
        return self._settle(now_ns)

    def snapshot(self) -> SessionSnapshot:
        """A consistent copy of the state, for display."""
        queued, now = self._queue.rows.ids(), self._transport.now()
        return SessionSnapshot(
            session_name=self._session_name,
            session_id=self._session_id,
            host_name=self._host_name,
            display_name=self._host_name,
            queue=self._queue.rows.items(),
            now=now,
            timeline=self._transport.playback.current,
            then=self._transport.playback.armed,
            waiting_for=self._transport.waiting_for(),
            upcoming=self._transport.upcoming(),
            peers=tuple(member.view(queued, self._called_at_ns or 0) for member in self._members),
            successors=tuple(one.name for one in self._reign.succession.line()),
            requests=self._requests.views(),
            repeat=self._transport.repeat,
            shuffle=self._queue.is_shuffled,
            calibration=self._hearing.calibration.view(),
            levels=self._hearing.levels.view(),
            confirmed=self._members.own.proof.confirmation if self._members.own is not None else None,
            check=self._hearing.check.view(),
            loudness_lufs=self._gains.target_lufs,
            now_loudness=self._gains.view(self._queue.known(now.id)) if now is not None else None,
            transitions=self._transitions.chosen,
            host_words=key_words(self._host_key),
            code=self._door.code,
            removed=self._admission.removed_names,
            rules=self._party.rules,
            votes=self._party.votes_view(),
            skip=self._party.skip_view(),
            guests=self._party.guests.views(),
            removed_guests=self._party.guests.removed_names,
            chat=self._chat.lines,
            invitation=self._invitation.view(),
        )

    def _change_code(self, text: str, now_ns: int) -> None:
        code = normal_code(text)
        if text and not code:
            self._outbox.error(Notice(Code.CODE_UNUSABLE), now_ns)
        else:
            self._admission.change_code(code)
            self._outbox.note(e.CodeSet(now_ns, code))

    # -- joining and leaving -----------------------------------------------------------------------------------------

    def _join(self, conn: int, found: Newcomer, request: m.JoinRequest, now_ns: int) -> None:
        before = self._admission.member(request.peer_id, request.proof, JOIN)
        if before is not None:
            self._outbox.do(Close(before.conn, "it came back on another connection"))
            self._lose(before, Notice(Code.PEER_RECONNECTED), now_ns)
        match self._admission.decide(request, found.ip, now_ns=now_ns):
            case Admitted() as admitted:
                self._accept(conn, found, admitted, request.reached, now_ns)
            case Refused(reason, kind) if reason:
                self._entrance.reject(conn, reason, kind)
            case _:
                self._outbox.do(Close(conn, "it joins too often"))

    def _accept(self, conn: int, found: Newcomer, admitted: Admitted, reached: str, now_ns: int) -> None:
        peer_id, token, name, budget = admitted.peer_id, admitted.token, admitted.name, admitted.budget
        attendance = Attendance.CATCHING_UP if self._transport.busy else Attendance.WAITED_FOR
        elsewhere = found.outside and self._invitation.is_elsewhere(found.ip)
        reports = Reports(now_ns, outside=found.outside, elsewhere=elsewhere)
        member = Member(
            conn,
            peer_id,
            name,
            token,
            now_ns,
            reports,
            found.ip,
            budget,
            attendance,
            admitted.asked_name,
            found.outside,
        )
        member.owes_since_ns = budget.owes_since_ns(now_ns)
        self._members.members[conn] = member
        if self._heartbeat_at_ns is None:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS
        if member.outside:
            self._outbox.do(Send(conn, self._info()))
        clock_key = self._token_factory()
        accepted = m.JoinAccepted(peer_id, self._transport.state(), token, self._clock_port, name, clock_key)
        self._outbox.do(AllowClock(peer_id, conn, clock_key), Send(conn, accepted))
        if (gains := self._gains.told()) is not None:
            self._outbox.do(Send(conn, gains))
        if (history := self._chat.history()) is not None:
            self._outbox.do(Send(conn, history))
        if member.outside:
            self._call_backs.tell(member)
            self._invitation.reached(reached, now_ns=now_ns)
        self._party.joined(member)
        self._lost_files.joined(member)
        self._reign.joined(member)
        self._outbox.note(e.PeerJoined(now_ns, peer_id, name, again=admitted.again))

    def _lose(self, member: Member, reason: Notice, now_ns: int) -> None:
        """Remove a member that may reconnect."""
        self._admission.lost(member)
        self._reign.lost(member, now_ns=now_ns)
        if member.outside:
            self._invitation.lost(now_ns=now_ns)
            self._call_backs.call(member)
        self._remove(member, reason, now_ns)

    def _remove(self, member: Member, reason: Notice, now_ns: int) -> None:
        del self._members.members[member.conn]
        self._sharing.left(member)
        member.budget.left(member.owes(), now_ns=now_ns)
        self._report_watch.tell_left_out(member, leaves=True, now_ns=now_ns)
        self._requests.left(member, now_ns=now_ns)
        self._lost_files.left(member, now_ns=now_ns)
        self._queue.mark_stale()
        self._outbox.do(ForbidClock(member.peer_id))
        self._outbox.note(e.PeerLeft(now_ns, member.peer_id, member.name, reason))

    def _breach(self, member: Member, reason: str, now_ns: int) -> None:
        self._dismiss(member, BROKE_PROTOCOL, Notice(Code.PEER_BROKE_PROTOCOL, reason), now_ns)

    def _dismiss(self, member: Member, farewell: str, reason: Notice, now_ns: int) -> None:
        """Remove a member, and tell it why."""
        self._outbox.do(Send(member.conn, m.SessionEnd(farewell)), Close(member.conn, reason.detail or reason.code))
        self._remove(member, reason, now_ns)

    def _drop(self, name: str, now_ns: int) -> None:
        for member in self._named(name, now_ns):
            self._admission.remove(member)
            self._dismiss(member, N_("The host has removed you from the jam."), Notice(Code.PEER_REMOVED), now_ns)
            if member.outside:
                self._invitation.removed(now_ns=now_ns)

    def _allow(self, name: str, now_ns: int) -> None:
        if not self._admission.allow(name):
            self._outbox.error(Notice(Code.NOT_REMOVED, peer=name, peers=self._admission.removed_names), now_ns)

    def _retry(self, name: str | None, now_ns: int) -> None:
        members = list(self._members) if name is None else self._named(name, now_ns)
        has_changed = [self._distribution.retry(member, now_ns=now_ns) for member in members]
        if (members or name is None) and not any(has_changed):
            self._outbox.error(Notice(Code.NOTHING_TO_RETRY), now_ns)

    def _skip(self, name: str, now_ns: int) -> None:
        for member in self._named(name, now_ns):
            member.skip()
            self._queue.mark_stale()

    def _named(self, name: str, now_ns: int) -> list[Member]:
        """The peer with this name, in any letter case. If there is none: an empty list and an `error` event."""
        found = [member for member in self._members if member.name.casefold() == name.casefold()]
        if not found:
            self._outbox.error(Notice(Code.NO_SUCH_PEER, peer=name), now_ns)
        return found

    def _quit(self, now_ns: int) -> None:
        for member in self._members:
            self._outbox.do(Send(member.conn, m.SessionEnd()), Close(member.conn, "session ended"))
            self._outbox.do(ForbidClock(member.peer_id))
        self._entrance.end(N_("Session ended."))
        self._members.members.clear()
        self._transport.playback.stop(None)
        self._outbox.note(e.SessionEnded(now_ns, Notice(Code.SESSION_ENDED)))
        self._over = True

    # -- from the peers ----------------------------------------------------------------------------------------------

    def _from_member(self, member: Member, message: Message, now_ns: int) -> None:
        match message:
            case m.LeaveSession(peer_id=peer_id) if peer_id == member.peer_id:
                self._outbox.do(Close(member.conn, "left"))
                self._remove(member, Notice(Code.PEER_LEFT), now_ns)
                self._reign.left()
            case m.HeardReport():
                self._hearing.heard_by(member, message, now_ns=now_ns)
            case m.MicrophoneAnswer():
                self._hearing.answered(member, message, now_ns=now_ns)
            case m.PeerStatus():
                self._report_watch.take(member, message, now_ns=now_ns)
            case m.FileReceived(file_id=file_id, hash_ok=hash_ok):
                if not self._distribution.answered(member, file_id, hash_ok, now_ns=now_ns):
                    self._breach(member, "FileReceived makes no sense", now_ns)
            case m.FileUnplayable(file_id=file_id, reason=reason):
                self._distribution.unplayable(member, file_id, reason, now_ns=now_ns)
            case m.SongVote(file_id=file_id, wanted=wanted):
                self._party.vote(member.key, file_id, wanted, now_ns=now_ns)
            case m.SkipVote(file_id=file_id, wanted=wanted):
                self._party.want_skip(member.key, file_id, wanted, now_ns=now_ns)
            case m.SongRequest():
                self._party.people.heard(member.key, now_ns=now_ns)
                if not self._requests.asked(member, message, now_ns=now_ns):
                    self._breach(member, "it asked twice under one id", now_ns)
            case m.SongRequestWithdrawn(request_id=request_id, reason=reason):
                self._requests.withdrawn(member, request_id, reason, now_ns=now_ns)
            case m.ChatSay(text=text):
                self._party.people.heard(member.key, now_ns=now_ns)
                self._chat.member_says(member, text, now_ns=now_ns)
            case m.CallBackAt(port=port):
                member.call_back_port = port
            case m.PiecesAt():
                self._sharing.willing(member, message)
            case m.PiecesEnded():
                self._distribution.pieces_ended(member, message, now_ns=now_ns)
            case m.StandingBy():
                if not self._reign.succession.stands_by(member, message):
                    self._breach(member, "it was not asked to stand by", now_ns)
            case m.TookOver():
                self._handed_over(member, now_ns)
            case m.FormerHost(claim=claim):
                self._reign.former_host(member, claim)
            case m.SongBequest():
                self._bequeathed(member, message, now_ns)
            case m.SongsFound(file_ids=file_ids):
                self._lost_files.found(member, file_ids, now_ns=now_ns)
            case m.Heartbeat():
                pass
            case _:
                self._breach(member, f"{type(message).__name__} makes no sense", now_ns)

    # -- other hosts -------------------------------------------------------------------------------------------------

    def _sought(self, conn: int, message: m.HostSeek, now_ns: int) -> None:
        is_open = self._entrance.leave(conn) and not self._over
        answer = self._reign.reunion.asked(message, now_ns=now_ns) if is_open else None
        if answer is not None:
            self._outbox.do(Send(conn, answer))
        self._outbox.do(Close(conn, "it has asked for the host"))

    def _bequeathed(self, member: Member, song: m.SongBequest, now_ns: int) -> None:
        """A former host brings a song of its part of the session."""
        if song.request_id in self._queue.seen:
            self._outbox.do(Send(member.conn, m.SongRequestAdded(song.request_id)))
            return
        asked = self._requests.bequeathed if self._reign.may_bequeath(member) else self._requests.asked_for_bequest
        if not asked(member, song, self._reign.asker_of(member, song), now_ns=now_ns):
            self._breach(member, "it asked twice under one id", now_ns)

    def _handed_over(self, member: Member, now_ns: int) -> None:
        """A member was asked to take over, and is the host now."""
        found = self._reign.succession.took_over(member)
        if found is None:
            self._breach(member, "it was not asked to take over", now_ns)
            return
        contact, stays = found
        claim = self._reign.claim()
        chain = extended(claim.chain, contact.host_key)
        self._gone = self._gone_to(contact, claim.term + 1, chain, Cause.HANDED_OVER, but=member.conn)
        if not stays:
            self._gone = Ended(Notice(Code.HANDED_OVER, peer=contact.name), failed=False)
            self._outbox.note(e.SessionEnded(now_ns, self._gone.reason))

    def _gone_to(
        self, host: HostContact, term: int, chain: tuple[bytes, ...], cause: Cause, but: int = 0
    ) -> FollowHost:
        """Another machine is the host from now on: tell the members, but not the one on this connection. Return what
        this machine brings along."""
        follow, wanted = self._reign.farewell(host, term, chain, cause), self._to_follow()
        for member in self._members:
            if member.conn != but:
                self._outbox.do(Send(member.conn, m.HostMoved(host, term, chain)))
            self._outbox.do(Close(member.conn, "another machine is the host"), ForbidClock(member.peer_id))
        self._entrance.end("")
        self._members.members.clear()
        self._over, self._followed = True, wanted
        return follow

    def _heir_settings(self, token: bytes) -> HeirSettings:
        return HeirSettings(
            session_name=self._session_name,
            host_name=self._host_name,
            max_peers=self.max_peers,
            host_peer_id=self._reign.peer_id,
            host_token=token,
            last_peer_id=self._admission.last_peer_id,
            last_number=self._queue.last_number,
            code=self._door.code,
            loudness_lufs=self._gains.target_lufs,
            crossfade_s=self._transitions.chosen.crossfade_s,
            skip_silence=self._transitions.chosen.skip_silence,
            repeat=self._transport.repeat,
            rules=self._party.rules,
            present_round=self._party.rounds.present,
            fallback=self._party.has_fallback,
            hosting=self.hosting,
        )

    # -- the end of every call ---------------------------------------------------------------------------------------

    def _settle(self, now_ns: int) -> list[Effect]:
        self._wake(now_ns)
        if not self._over:
            self._hearing.calibration.settle(now_ns=now_ns)
            self._hearing.levels.settle()
            self._gains.settle()
            self._party.settle(now_ns=now_ns)
            self._transport.settle(now_ns=now_ns)
            self._hearing.check.settle(now_ns=now_ns)
            self._queue.settle(now_ns=now_ns)
            self._invitation.settle(now_ns=now_ns)
            self._distribution.settle(now_ns=now_ns)
            self._sharing.settle(now_ns=now_ns)
            self._reign.settle(now_ns=now_ns)
        wanted = self._to_follow() if self._gone is None else self._followed
        follow = [wanted] if self._followed != wanted else []
        self._followed = wanted
        gone, self._gone = [self._gone] if self._gone is not None else [], None
        return [*self._outbox.drain(*follow), *gone]

    def _to_follow(self) -> Follow:
        """What the host's own output plays. It leaves out a song whose file is not here."""
        sweeps = None if self._over else self._hearing.calibration.timeline()
        if sweeps is not None:
            return Follow(sweeps)
        lost = self._members.lost_files
        lines = [one for one in self._transport.playback.lines() if one is None or one.file_id not in lost]
        return self._gains.follow(*[*lines, None, None][:2])

    def _wake(self, now_ns: int) -> None:
        """Restart the timeouts of the members if this computer was suspended: it could not receive their messages."""
        if self._called_at_ns is not None and now_ns - self._called_at_ns > ASLEEP_NS:
            for member in self._members:
                member.heard_at_ns = member.reports.heard_at_ns = now_ns
            self._reign.woke(now_ns - self._called_at_ns, now_ns=now_ns)
        self._called_at_ns = now_ns
