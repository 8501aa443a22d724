"""The host's machine: who is here, who has which file, and what everybody is told. What plays is in transport.py.

Whoever breaks the protocol or falls silent is dropped with a reason, and nobody else notices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID

from phaselock.model.names import distinct, person_name, sentence
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.session import commands as c
from phaselock.session.effects import AllowClock, Close, Effect, Ended, Follow, ForbidClock, Send
from phaselock.session.members import MAX_TRIES, RETRY_AFTER_NS, Crew, Member, Reports, Transfer
from phaselock.session.outbox import Outbox
from phaselock.session.states import (
    ASLEEP_NS,
    DEAD_NS,
    HANDSHAKE_NS,
    HEARTBEAT_NS,
    HOST_ACCEPTS,
    OTHER_VERSION,
    HostSide,
)
from phaselock.session.transport import Transport


class HostMachine:
    """One session as its host sees it. Session time is the host's local time, so every `now_ns` here is both."""

    def __init__(
        self,
        *,
        session_name: str,
        host_name: str,
        max_peers: int = m.MAX_PEERS,
        clock_port: int = 17402,
        token_factory: Callable[[], bytes],
    ) -> None:
        self._session_name = person_name(session_name)
        self._host_name = person_name(host_name)
        self._max_peers = max_peers
        self._clock_port = clock_port
        self._token_factory = token_factory
        self._strangers: dict[int, int] = {}
        """Connections without a JoinRequest yet, and when their time is up."""
        self._last_peer_id = 0
        self._heartbeat_at_ns: int | None = None
        self._called_at_ns: int | None = None
        self._over = False
        self._outbox = Outbox()
        self._crew = Crew()
        self._transport = Transport(self._crew, self._outbox)
        self._followed: tuple[Timeline | None, Timeline | None] = (None, None)

    # -- connections -------------------------------------------------------------------------------------------------

    def connected(self, conn: int, *, now_ns: int) -> list[Effect]:
        """A connection was accepted; whether it is control or bulk is not known yet. `conn` is any number, never used
        again."""
        if self._over:
            return [Close(conn, "session ended")]
        self._strangers[conn] = now_ns + HANDSHAKE_NS
        names = tuple(member.name for member in self._crew)
        info = m.SessionInfo(m.PROTOCOL_VERSION, self._session_name, self._host_name, names, self._max_peers)
        self._outbox.do(Send(conn, info))
        return self._settle(now_ns)

    def received(self, conn: int, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived on a control connection. What arrives on a connection that this machine has closed is
        ignored."""
        member = self._crew.members.get(conn)
        if member is not None:
            if not member.hear(now_ns):
                self._breach(member, "it talks without end", now_ns)
            elif type(message) in HOST_ACCEPTS[HostSide.MEMBER]:
                self._from_member(member, message, now_ns)
            else:
                self._breach(member, f"{type(message).__name__} was not expected", now_ns)
        elif conn in self._strangers:
            del self._strangers[conn]
            if isinstance(message, m.JoinRequest):
                self._join(conn, message, now_ns)
            else:
                self._outbox.do(Close(conn, f"{type(message).__name__} before JoinRequest"))
        return self._settle(now_ns)

    def disconnected(self, conn: int, reason: str, *, now_ns: int) -> list[Effect]:
        """A connection ended, broke the framing (`reason` is the ProtocolError's text), or turned out to be a bulk
        connection."""
        self._strangers.pop(conn, None)
        member = self._crew.members.get(conn)
        if member is not None:
            self._remove(member, sentence(reason), now_ns)
        return self._settle(now_ns)

    # -- people ------------------------------------------------------------------------------------------------------

    def command(self, command: c.HostCommand, *, now_ns: int) -> list[Effect]:
        """Somebody at the host asks for something. What cannot be done is answered by an `error` event."""
        if self._over:
            return []
        match command:
            case c.Add(track=track):
                self._add(track, now_ns)
            case c.Play():
                self._transport.play(now_ns=now_ns)
            case c.Pause():
                self._transport.pause(now_ns=now_ns)
            case c.Resume():
                self._transport.resume(now_ns=now_ns)
            case c.Stop():
                self._transport.stop(now_ns=now_ns)
            case c.Seek(seconds=seconds):
                self._transport.seek(seconds, now_ns=now_ns)
            case c.Next():
                self._transport.next(now_ns=now_ns)
            case c.Autoplay(wait_peers=wait_peers):
                self._transport.autoplay(wait_peers)
            case c.DropPeer(name=name):
                self._drop(name, now_ns)
            case c.Quit():
                self._quit(now_ns)
        effects = self._settle(now_ns)
        return [*effects, Ended("Session ended.", failed=False)] if self._over else effects

    # -- the host's own machine --------------------------------------------------------------------------------------

    def audio(
        self,
        *,
        phase_error_ns: int,
        dac_uncertainty_ns: int,
        output_latency_ns: int,
        device_name: str | None,
        underruns: int,
        now_ns: int,
    ) -> list[Effect]:
        """How the host's own output does; to be told several times a second, and at once when latency or device
        change."""
        if self._crew.own is None:
            self._crew.own = Reports(now_ns)
        status = m.PeerStatus(
            phase_error_ns=phase_error_ns,
            offset_uncertainty_ns=0,
            dac_uncertainty_ns=dac_uncertainty_ns,
            drift_ppb=0,
            rtt_ns=0,
            output_latency_ns=output_latency_ns,
            device_name=device_name,
            underruns=underruns,
            clock_usable=True,
            clock_stale=False,
        )
        self._crew.own.take(status, now_ns=now_ns)
        return self._settle(now_ns)

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host's own player cannot decode a track."""
        track = self._transport.queue.track(file_id)
        if track is not None:
            text = f"This machine cannot play {track.file_name}: {sentence(reason)}"
            self._outbox.error(text, now_ns, file_id=str(file_id))
        return self._settle(now_ns)

    def device_changed(self, state: str, device_name: str | None, detail: str, *, now_ns: int) -> list[Effect]:
        """The host's own output opened, was lost, or does not exist."""
        self._outbox.note("device", now_ns, state=state, name=device_name, detail=detail)
        return self._settle(now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> list[Effect]:
        """`next_deadline_ns` has come. Calling it early or late does no harm."""
        self._wake(now_ns)
        for conn in [conn for conn, at_ns in self._strangers.items() if now_ns >= at_ns]:
            del self._strangers[conn]
            self._outbox.do(Close(conn, "no JoinRequest came"))
        for member in self._crew:
            if now_ns >= member.heard_at_ns + DEAD_NS:
                self._outbox.do(Close(member.conn, "silent for too long"))
                self._remove(member, "Nothing was heard of it for 5 seconds.", now_ns)
        if self._heartbeat_at_ns is not None and now_ns >= self._heartbeat_at_ns:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS if len(self._crew) else None
            self._outbox.do(*(Send(member.conn, m.Heartbeat()) for member in self._crew))
        for member in self._crew:
            for file_id, transfer in member.transfers.items():
                if transfer.retry_at_ns is not None and now_ns >= transfer.retry_at_ns:
                    transfer.retry_at_ns = None
                    transfer.tries += 1
                    self._offer(member, self._transport.known(file_id), now_ns)
        self._transport.end_tracks(now_ns=now_ns)
        return self._settle(now_ns)

    def next_deadline_ns(self) -> int | None:
        """When `timer` wants to be called; asked again after every call of the machine."""
        deadlines = [self._heartbeat_at_ns, self._transport.end_ns(), *self._strangers.values()]
        for member in self._crew:
            deadlines.append(member.heard_at_ns + DEAD_NS)
            deadlines += [transfer.retry_at_ns for transfer in member.transfers.values()]
        return None if self._over else min((at_ns for at_ns in deadlines if at_ns is not None), default=None)

    # -- files -------------------------------------------------------------------------------------------------------

    def authorise_fetch(self, peer_id: int, token: bytes, file_id: UUID) -> Track | None:
        """The track that a bulk connection with these credentials may have."""
        member = self._crew.holder(peer_id, token)
        return self._transport.queue.track(file_id) if member is not None and member.awaits(file_id) else None

    def fetch_progress(self, peer_id: int, file_id: UUID, sent_bytes: int, *, now_ns: int) -> list[Effect]:
        """So many bytes of the file are on their way, the resumed part included; may be told for every chunk."""
        member = next((member for member in self._crew if member.peer_id == peer_id), None)
        if member is not None and member.awaits(file_id):
            track, transfer = self._transport.known(file_id), member.transfers[file_id]
            tenths = sent_bytes * 10 // track.size
            if tenths > transfer.told_tenths:
                transfer.told_tenths = tenths
                self._outbox.note_transfer("sending", track, now_ns, peer=member.name, done_bytes=sent_bytes)
        return self._settle(now_ns)

    def fetch_failed(self, peer_id: int, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host cannot serve a file (gone from its disk, say). A lost bulk connection is the peer's to report."""
        track = self._transport.queue.track(file_id)
        if track is not None:
            text = f"{track.file_name} cannot be sent: {sentence(reason)}"
            self._outbox.note("warning", now_ns, message=text, file_id=str(file_id), peer_id=peer_id)
        return self._settle(now_ns)

    def snapshot(self) -> SessionSnapshot:
        """One consistent look."""
        return SessionSnapshot(
            session_name=self._session_name,
            host_name=self._host_name,
            display_name=self._host_name,
            queue=self._transport.queue.items(),
            timeline=self._transport.playback.line,
            then=self._transport.playback.then,
            peers=tuple(member.view() for member in self._crew),
        )

    # -- joining and leaving -----------------------------------------------------------------------------------------

    def _join(self, conn: int, request: m.JoinRequest, now_ns: int) -> None:
        name = person_name(request.display_name)
        if request.protocol_version != m.PROTOCOL_VERSION:
            theirs = request.protocol_version
            self._reject(conn, f"{OTHER_VERSION} (The host speaks {m.PROTOCOL_VERSION}, this machine {theirs}.)")
        elif not name:
            self._reject(conn, "Please choose a display name.")
        elif len(self._crew) >= self._max_peers:
            self._reject(conn, "Session is full.")
        else:
            self._accept(conn, name, now_ns)

    def _reject(self, conn: int, reason: str) -> None:
        self._outbox.do(Send(conn, m.JoinRejected(reason)), Close(conn, reason))

    def _accept(self, conn: int, name: str, now_ns: int) -> None:
        name = distinct(name, [self._host_name, *(member.name for member in self._crew)])
        self._last_peer_id += 1
        member = Member(conn, self._last_peer_id, name, self._token_factory(), now_ns, Reports(now_ns))
        self._crew.members[conn] = member
        if self._heartbeat_at_ns is None:
            self._heartbeat_at_ns = now_ns + HEARTBEAT_NS
        accepted = m.JoinAccepted(member.peer_id, self._transport.state(), member.token, self._clock_port, name)
        self._outbox.do(AllowClock(member.peer_id, conn), Send(conn, accepted))
        self._outbox.note("peer_joined", now_ns, peer_id=member.peer_id, name=name)
        for track in self._transport.in_order_of_need():
            self._offer(member, track, now_ns)
        then = self._transport.playback.then
        if then is not None:
            self._outbox.do(Send(conn, m.PlayCommand(then.file_id, then.anchor_frame, then.start_session_ns)))

    def _remove(self, member: Member, reason: str, now_ns: int) -> None:
        del self._crew.members[member.conn]
        self._transport.crew_changed()
        self._outbox.do(ForbidClock(member.peer_id))
        self._outbox.note("peer_left", now_ns, peer_id=member.peer_id, name=member.name, reason=reason)

    def _breach(self, member: Member, reason: str, now_ns: int) -> None:
        self._outbox.do(Close(member.conn, reason))
        self._remove(member, f"It broke the protocol: {reason}.", now_ns)

    def _drop(self, name: str, now_ns: int) -> None:
        member = next((member for member in self._crew if member.name.casefold() == name.casefold()), None)
        if member is None:
            self._outbox.error(f"There is no peer called {name}.", now_ns)
            return
        farewell = m.SessionEnd("The host has removed you from the session.")
        self._outbox.do(Send(member.conn, farewell), Close(member.conn, "dropped by the host"))
        self._remove(member, "The host has removed it.", now_ns)

    def _quit(self, now_ns: int) -> None:
        for member in self._crew:
            self._outbox.do(Send(member.conn, m.SessionEnd()), Close(member.conn, "session ended"))
            self._outbox.do(ForbidClock(member.peer_id))
        for conn in self._strangers:
            self._reject(conn, "Session ended.")
        self._crew.members.clear()
        self._strangers.clear()
        self._transport.playback.stop(None)
        self._outbox.note("session_end", now_ns, reason="Session ended.")
        self._over = True

    # -- from the peers ----------------------------------------------------------------------------------------------

    def _from_member(self, member: Member, message: Message, now_ns: int) -> None:
        match message:
            case m.LeaveSession(peer_id=peer_id) if peer_id == member.peer_id:
                self._outbox.do(Close(member.conn, "left"))
                self._remove(member, "It left.", now_ns)
            case m.PeerStatus():
                self._reported(member, message, now_ns)
            case m.FileReceived(file_id=file_id, hash_ok=hash_ok) if member.may_answer(file_id):
                self._answered(member, self._transport.known(file_id), hash_ok, now_ns)
            case m.FileUnplayable(file_id=file_id, reason=reason) if member.has(file_id):
                track = self._transport.known(file_id)
                text = f"{member.name} cannot play {track.file_name}: {sentence(reason)}"
                self._outbox.error(text, now_ns, file_id=str(file_id), peer=member.name)
            case m.Heartbeat():
                pass
            case _:
                self._breach(member, f"{type(message).__name__} makes no sense", now_ns)

    def _reported(self, member: Member, status: m.PeerStatus, now_ns: int) -> None:
        name = status.device_name and sentence(status.device_name)
        before = member.reports.latest
        member.reports.take(dataclasses.replace(status, device_name=name), now_ns=now_ns)
        if before is None or before.device_name != name:
            state = "none" if name is None else "open"
            self._outbox.note("device", now_ns, state=state, name=name, detail="", peer=member.name)

    def _add(self, track: Track, now_ns: int) -> None:
        added = self._transport.add(track, self._host_name, now_ns=now_ns)
        if added is not None:
            for member in self._crew:
                self._offer(member, added, now_ns)

    def _offer(self, member: Member, track: Track, now_ns: int) -> None:
        """Have a member fetch a file, for the first time or once more."""
        member.transfers.setdefault(track.file_id, Transfer())
        self._transport.crew_changed()
        name, size, sha256 = track.file_name, track.size, track.sha256
        start = m.FileTransferStart(track.file_id, name, size, sha256, track.rate_hz, track.frames)
        self._outbox.do(Send(member.conn, start))
        self._outbox.note_transfer("started", track, now_ns, peer=member.name, done_bytes=0)

    def _answered(self, member: Member, track: Track, hash_ok: bool, now_ns: int) -> None:
        transfer = member.transfers[track.file_id]
        self._transport.crew_changed()
        if hash_ok:
            transfer.done = True
            self._outbox.note_transfer("done", track, now_ns, peer=member.name, done_bytes=track.size)
        elif transfer.tries < MAX_TRIES:
            transfer.retry_at_ns = now_ns + RETRY_AFTER_NS * transfer.tries
            transfer.told_tenths = 0
            self._outbox.note_transfer("retry", track, now_ns, peer=member.name, done_bytes=0)
        else:
            transfer.done = False
            self._outbox.note_transfer("failed", track, now_ns, peer=member.name, done_bytes=0)
            text = f"{member.name} could not receive {track.file_name} in {MAX_TRIES} tries and goes without it."
            self._outbox.error(text, now_ns, file_id=str(track.file_id), peer=member.name)

    # -- the end of every call ---------------------------------------------------------------------------------------

    def _settle(self, now_ns: int) -> list[Effect]:
        self._wake(now_ns)
        playback = self._transport.playback
        if not self._over:
            self._transport.settle(now_ns=now_ns)
        follow: list[Effect] = []
        if self._followed != (playback.sound, playback.then):
            self._followed = (playback.sound, playback.then)
            follow.append(Follow(playback.sound, playback.then))
        return self._outbox.drain(*follow)

    def _wake(self, now_ns: int) -> None:
        """Nobody is blamed for a silence that was this machine's own sleep."""
        if self._called_at_ns is not None and now_ns - self._called_at_ns > ASLEEP_NS:
            for member in self._crew:
                member.heard_at_ns = now_ns
        self._called_at_ns = now_ns
