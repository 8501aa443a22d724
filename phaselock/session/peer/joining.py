"""This machine joins a session: greeting, code, and the answer of the host."""

from __future__ import annotations

import dataclasses

from phaselock.model.key_words import key_words
from phaselock.model.names import person_name, sentence
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.proof import JOIN, membership_proof
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Close, Pair, Send, StartClock, StopClock
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.departure import HOST_LOST, PeerDeparture
from phaselock.session.peer.lost_host import LostHost
from phaselock.session.peer.parts import PeerParts
from phaselock.session.peer.seat import Seat
from phaselock.session.states import HEARTBEAT_NS, PeerSide, other_version

REFUSALS: dict[m.RefusalKind, Code] = {"code": Code.CODE_WRONG, "removed": Code.BARRED}
"""The codes of refusals that have one of their own."""

JoiningMessage = m.SessionInfo | m.JoinAccepted | m.JoinRejected | m.CodeNeeded
"""The messages of the host about joining."""


class Joining:
    """`now_ns` is the peer's local time."""

    def __init__(self, parts: PeerParts, seat: Seat, lost_host: LostHost, departure: PeerDeparture, code: str) -> None:
        """`code`: that of the session, in its normal form; empty if the user was told none."""
        self._parts = parts
        self._seat = seat
        self._lost_host = lost_host
        self._departure = departure
        self._code = code
        self._pairing = False
        """The machine that answered last has asked for the code."""
        self._paired = False
        """The machine that answered last has proved that it knows the code."""
        self._nameless = False
        """The machine that answered last has told no names: it tells them when it lets this machine in."""
        self._reached = ""
        """The address at which the host was reached last."""

    def connected(self, host_key: bytes, reached: str, *, now_ns: int) -> None:
        """The encrypted connection to the host is open: the first one, or a new one to a lost host. `host_key`: SHA-256
        of the certificate of the machine that answered. `reached`: its address."""
        self._seat.side = PeerSide.GREETING
        self._seat.heard_at_ns = now_ns
        self._pairing = self._paired = False
        self._reached = reached
        if self._seat.host_key not in (b"", host_key) and self._lost_host.is_heir(host_key):
            self._lost_host.meet_heir(host_key)
        if self._seat.host_key not in (b"", host_key):  # not the host, although it has its address
            self._parts.outbox.do(Close(HOST_CONN, "another host key"))
            self._lost_host.rejoin_failed(now_ns=now_ns)
        elif not host_key.startswith(self._seat.announced_key):
            self._parts.outbox.do(Close(HOST_CONN, "not the announced key"))
            self._departure.end(Notice(Code.OTHER_SESSION), now_ns=now_ns, failed=True)
        self._seat.host_key = self._seat.host_key or host_key

    def paired(self) -> None:
        """Both sides know the code."""
        if self._seat.side is PeerSide.JOINING:
            self._paired = True
            self._ask_to_join()

    def not_paired(self, *, now_ns: int) -> None:
        """The machine that answered does not know the code, although it asked for it."""
        if self._seat.side is PeerSide.JOINING:
            self._parts.outbox.do(Close(HOST_CONN, "the host does not know the code"))
            self._departure.end(Notice(Code.CODE_WRONG), now_ns=now_ns, failed=True)

    def take(self, message: JoiningMessage, *, now_ns: int) -> None:
        """What the host says before this machine has joined. Breach if it makes no sense."""
        match message:
            case m.SessionInfo() if self._seat.side is PeerSide.GREETING:
                self._greeted(message, now_ns)
            case m.SessionInfo() if self._nameless:
                self._take_names(message)
            case m.JoinAccepted():
                if self._code and not self._seat.token and not self._paired:
                    self._parts.outbox.do(Close(HOST_CONN, "it did not ask for the code"))
                    self._departure.end(Notice(Code.CODE_NOT_ASKED), now_ns=now_ns, failed=True)
                else:
                    self._accepted(message, now_ns)
            case m.JoinRejected(reason=reason, kind=kind):
                self._parts.outbox.do(Close(HOST_CONN, "rejected"))
                code = REFUSALS.get(kind, Code.JOIN_REJECTED)
                self._departure.end(Notice(code, sentence(reason)), now_ns=now_ns, failed=True)
            case m.CodeNeeded() if self._pairing:  # each exchange lets it test one guess
                raise Breach("it asked for the code again")
            case m.CodeNeeded() if self._code:
                self._pairing = True
                self._parts.outbox.do(Pair(self._code))
            case m.CodeNeeded():
                self._parts.outbox.do(Close(HOST_CONN, "the code is not known here"))
                self._departure.end(Notice(Code.CODE_NEEDED), now_ns=now_ns, failed=True)
            case _:
                raise Breach(f"{type(message).__name__} makes no sense")

    # -- inside ------------------------------------------------------------------------------------------------------

    def _greeted(self, info: m.SessionInfo, now_ns: int) -> None:
        if info.protocol_version != m.PROTOCOL_VERSION:
            self._parts.outbox.do(Close(HOST_CONN, "another version"))
            self._departure.end(other_version(info.protocol_version, m.PROTOCOL_VERSION), now_ns=now_ns, failed=True)
            return
        if not info.session_id.startswith(self._seat.session_id):
            self._parts.outbox.do(Close(HOST_CONN, "another session"))
            is_whole = len(self._seat.session_id) == len(info.session_id)
            known = Notice(Code.OTHER_SESSION if is_whole else Code.INVITATION_OLD)
            self._departure.end(HOST_LOST if self._parts.absence.active else known, now_ns=now_ns, failed=True)
            return
        self._seat.session_id = info.session_id
        self._take_names(info)
        self._nameless = self._parts.outside.active = not info.session_name
        self._seat.side = PeerSide.JOINING
        self._ask_to_join()

    def _take_names(self, info: m.SessionInfo) -> None:
        self._nameless = False
        self._seat.session_name = person_name(info.session_name) or self._seat.session_name
        self._seat.host_name = person_name(info.host_name) or self._seat.host_name

    def _ask_to_join(self) -> None:
        join = m.JoinRequest(self._seat.display_name, m.PROTOCOL_VERSION)
        if self._seat.token:
            proof = membership_proof(self._seat.token, JOIN, self._seat.host_key)
            join = dataclasses.replace(join, peer_id=self._seat.peer_id, proof=proof)
        if self._parts.outside.active:
            join = dataclasses.replace(join, reached=self._reached)
        self._parts.outbox.do(Send(HOST_CONN, join))

    def _accepted(self, accepted: m.JoinAccepted, now_ns: int) -> None:
        again, moved = self._parts.absence.active, self._seat.moved is not None
        if self._seat.moved is not None:
            about = self._parts.session_ns(now_ns), self._seat.host_name
            self._parts.outbox.note(e.HostChanged(*about, you=False, cause=self._seat.moved))
            # Behind the same public address: the router would go on to pass the packets of this flow to the old host.
            self._parts.outbox.do(StopClock())
            self._parts.chat.moved()
        self._seat.moved = None
        self._parts.succession.joined()
        self._seat.side = PeerSide.JOINED
        self._parts.absence.end()
        self._seat.peer_id = accepted.peer_id
        self._seat.token = accepted.token
        self._seat.display_name = person_name(accepted.display_name)
        self._seat.joined_at_ns = now_ns
        self._seat.heartbeat_at_ns = now_ns + HEARTBEAT_NS
        self._parts.reports.joined(now_ns=now_ns)
        self._parts.microphone.joined(self._seat.host_name, self._seat.display_name)
        self._parts.outbox.do(StartClock(accepted.peer_id, accepted.clock_port, accepted.clock_key))
        self._parts.clock_watch.start(accepted.clock_port, now_ns=now_ns)
        names = self._seat.session_name, self._seat.host_name, self._seat.display_name
        self._parts.outbox.note(
            e.Joined(
                self._parts.session_ns(now_ns), accepted.peer_id, *names, again, key_words(self._seat.host_key), moved
            )
        )
        state = accepted.session_state
        self._parts.queue.take(state.queue, state.revision, now_ns=now_ns)
        self._parts.playback.join(state)
        self._parts.requests.found_host()
        known = {item.id for item in self._parts.queue.told.queue}
        self._parts.bequest.joined(known, self._seat.peer_id, self._seat.host_key)
        self._parts.chat.joined(again=again)
        self._parts.outside.joined(self._reached)
        self._parts.pieces.joined()
        self._parts.party.joined()
