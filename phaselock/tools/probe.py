"""A client that joins a session only to measure the clock exchange with its host.

It takes one of the session's places, because the host answers the clock pings of members only. It plays and fetches
nothing: it confirms every offered file at once, so the host does not wait for it and sends no file.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from phaselock._native import now_ns
from phaselock.errors import InternalError, PhaseLockError, bug_net, message_of
from phaselock.frozen import frozen
from phaselock.language.message import N_, Figure, Message
from phaselock.model.names import person_name, sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.types import ClockStatus
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.pairing import prove_code
from phaselock.network.reach import place_of
from phaselock.network.secure import SecureChannel
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import HOST_CAP, Framer
from phaselock.session.events import known_us
from phaselock.session.sentences import NoticeError
from phaselock.session.states import PEER_ACCEPTS, PeerSide, wire_uncertainty_ns
from phaselock.sync.clock import PeerClock
from phaselock.sync.trace import Exchange, round_trip_ns

ANSWER_S = 3.0
SAY_EVERY_S = 0.25
SILENCE_S = 5.0
"""The connection counts as lost after this time, in seconds, without a message from the host."""
DEVICE_NAME = "only measuring"
NO_ANSWER = N_("Something answers there, but it is no PhaseLock jam.")

_Result = TypeVar("_Result")


class ClockProbe:
    """Takes part in a session over a connected socket, which it owns. Create it on the event loop that uses it. Call
    `leave` at the end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._connection = Connection(control, Framer(HOST_CAP))
        self._channel = SecureChannel()
        self._peer_id: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.clock: PeerClock | None = None
        """The clock measurement; None before `join`."""
        self.clock_port = 0
        self.over = Message("")
        """Why the connection ended, as a sentence for users; empty while it is open."""

    async def greet(self) -> m.SessionInfo:
        """Return the host's description of its session, with names that are safe to show. PhaseLockError if the other
        side does not send one: it is no PhaseLock host."""
        try:
            await _soon(self._connection.secure(self._channel))  # an older version does not encrypt, and greets, too
            info = await _soon(self._connection.receive())
        except (TimeoutError, ConnectionLost, ProtocolError):
            raise PhaseLockError(NO_ANSWER) from None
        if not isinstance(info, m.SessionInfo):
            raise PhaseLockError(NO_ANSWER)
        session_name, host_name = person_name(info.session_name), person_name(info.host_name)
        return dataclasses.replace(info, session_name=session_name, host_name=host_name)

    async def join(self, name: str, code: str = "") -> None:
        """Join the session under this name and start to measure. Call `greet` first. PhaseLockError if the host refuses
        or does not answer, if the session has another code, or if its clock port cannot be reached."""
        request = m.JoinRequest(name, m.PROTOCOL_VERSION)
        self._connection.send(request)
        try:
            answer = await _soon(self._connection.receive())
            if code and not isinstance(answer, m.CodeNeeded | m.JoinRejected):
                raise NoticeError(Notice(Code.CODE_NOT_ASKED))
            if isinstance(answer, m.CodeNeeded):
                await self._prove(code)
                self._connection.send(request)
                answer = await _soon(self._connection.receive())
        except TimeoutError:
            raise PhaseLockError("The host does not answer.") from None
        except (ConnectionLost, ProtocolError):
            raise PhaseLockError("The host ended the connection.") from None
        if isinstance(answer, m.JoinRejected):
            raise PhaseLockError(sentence(answer.reason) or N_("The host refused."))
        if not isinstance(answer, m.JoinAccepted):
            raise PhaseLockError(NO_ANSWER)
        self._peer_id, self.clock_port = answer.peer_id, answer.clock_port
        try:
            ip = place_of(self._control.getpeername())[0]
            self.clock = PeerClock(ip, answer.clock_port, answer.peer_id, answer.clock_key)
        except OSError as error:
            raise PhaseLockError("The host's clock cannot be reached: {reason}.", reason=message_of(error)) from None
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak(self.clock))]

    async def _prove(self, code: str) -> None:
        """Prove that the user knows the code of the session. PhaseLockError if that fails."""
        if not code:
            raise NoticeError(Notice(Code.CODE_NEEDED))
        connection = self._connection
        try:
            right = await _soon(prove_code(code, self._channel.host_key, connection.send, connection.receive, None))
        except ProtocolError:
            right = False
        if not right:
            raise NoticeError(Notice(Code.CODE_WRONG))

    async def leave(self) -> None:
        """Leave the session and close the connection, within about a second."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.clock:
            self.clock.close()
        if self._peer_id is not None and not self.over:
            self._connection.send(m.LeaveSession(self._peer_id))
        await self._connection.close()

    async def _listen(self) -> None:
        try:
            with bug_net("the listening probe", TimeoutError, ConnectionLost, ProtocolError):
                while not self.over:
                    async with asyncio.timeout(SILENCE_S):
                        self._take(await self._connection.receive())
        except (TimeoutError, ConnectionLost):
            self.over = Message("The connection to the host was lost.")
        except ProtocolError:
            self.over = Message("The host broke the protocol.")
        except InternalError as error:
            self.over = error.message

    def _take(self, message: m.Message) -> None:
        if type(message) not in PEER_ACCEPTS[PeerSide.JOINED]:
            self.over = Message("The host broke the protocol.")
        elif isinstance(message, m.SessionEnd):
            self.over = Message(sentence(message.reason) or N_("The host ended the jam."))
        elif isinstance(message, m.FileTransferStart):
            self._connection.send(m.FileReceived(message.file_id, hash_ok=True))

    async def _speak(self, clock: PeerClock) -> None:
        """Send heartbeats, and the status reports that the host expects of each peer."""
        while not self.over:
            with contextlib.suppress(InternalError), bug_net("the report of the probe"):
                self._connection.send(_report(clock.status(now_ns())))
            self._connection.send(m.Heartbeat())
            await asyncio.sleep(SAY_EVERY_S)


def _report(clock: ClockStatus) -> m.PeerStatus:
    return m.PeerStatus(
        phase_error_ns=0,
        offset_uncertainty_ns=wire_uncertainty_ns(clock.uncertainty_ns),
        dac_deviation_ns=0,
        dac_uncertainty_ns=0,
        timing="exact",
        drift_ppb=round(min(max(clock.drift_ppm or 0.0, -1e6), 1e6) * 1000),
        rtt_ns=min(max(clock.rtt_ns or 0, 0), m.MAX_DURATION_NS),
        output_latency_ns=0,
        device_name=DEVICE_NAME,
        underruns=0,
        clock_usable=clock.usable,
        clock_stale=clock.stale,
        room_bytes=0,
    )


async def _soon(work: Awaitable[_Result]) -> _Result:
    async with asyncio.timeout(ANSWER_S):
        return await work


# -- what was measured -------------------------------------------------------------------------------------------------


@frozen
class Quality:
    """The result of clock exchanges with a host. The round trip times (median, 95th percentile) are None if there was
    no exchange; `loss` is the fraction of the pings without an answer."""

    exchanges: int
    loss: float
    rtt_p50_us: float | None
    rtt_p95_us: float | None
    uncertainty_us: float | None
    """Uncertainty of the host's clock in µs; None: the clock is not known."""


def quality(exchanges: Sequence[Exchange], loss: float, clock: ClockStatus) -> Quality:
    """The quality of these exchanges; `loss` is the fraction of the pings without an answer."""
    rtts_us = sorted(round_trip_ns(exchange) / 1e3 for exchange in exchanges)
    p50, p95 = (round(rtts_us[len(rtts_us) * share // 100], 1) if rtts_us else None for share in (50, 95))
    return Quality(len(exchanges), round(loss, 4), p50, p95, known_us(clock.uncertainty_ns))


def loss_words(loss: float) -> Message:
    """A fraction of lost packets, for users."""
    if loss < 0.002:
        return Message("none was lost")
    return Message("{figure} % were lost", figure=Figure(loss * 100, ".1f"))
