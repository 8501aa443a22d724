"""One connection of a browser on the event loop: bytes in, bytes out, limits of time, rate and unsent bytes.

The server decides what a request gets; see `Handler`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from phaselock.errors import InternalError, bug_net
from phaselock.guests.http import (
    BROKEN_CLOSE,
    NORMAL_CLOSE,
    Body,
    BrokenError,
    Closed,
    End,
    Event,
    Frame,
    Head,
    HttpConnection,
    LocalProtocolError,
    Text,
)
from phaselock.guests.messages import MAX_MESSAGE_BYTES, PageError
from phaselock.guests.states import dumps
from phaselock.guests.turns import Work
from phaselock.model.address import address_group, is_loopback, origin

HEAD_S = 10.0
"""A new connection must have sent its first request after this time."""
IDLE_S = 60.0
"""A connection that waits for another request is closed after this time."""
STALL_S = 20.0
"""A request or an answer that makes no progress for this time ends. Only what its sink has used is progress: a body of
one byte every few seconds is none."""
LIVE_PING_S = 20.0
"""A WebSocket that has sent nothing for this time is asked whether it is there."""
LIVE_S = 50.0
"""One that has sent nothing for this time is closed."""
LINGER_S = 2.0
"""After an early answer the rest of the request is read and dropped for this time: else the browser would see the end
of the connection, and not the answer."""
HIGH_BYTES, LOW_BYTES = 128 << 10, 32 << 10
"""Unsent bytes above and below which an answer pauses and goes on. The next request waits as well."""
MAX_UNSENT_BYTES = 1 << 20
"""A connection that has more unsent bytes is closed: it reads too slowly."""
ENOUGH_BYTES = 8 << 10
"""A connection from which more has arrived at once is not read before its turn."""
_TOS_BACKGROUND = 8 << 2
"""As in network/file_connection.py: after the packets of the clock."""

_log = logging.getLogger("phaselock.guests")


class Sink(Protocol):
    """Takes the body of a request."""

    def data(self, data: bytes) -> None: ...

    def end(self) -> None:
        """The body is complete."""
        ...

    def lost(self) -> None:
        """The connection is lost, or the request was answered already."""
        ...


@dataclasses.dataclass(slots=True)
class SmallBody:
    """A sink that collects a body."""

    then: Callable[[bytes], None]
    """Called with the whole body."""
    body: bytearray = dataclasses.field(default_factory=bytearray)

    def data(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None:
        self.then(bytes(self.body))

    def lost(self) -> None:
        pass


class Live(Protocol):
    """Takes the messages of a WebSocket."""

    def message(self, text: str, arrived_ns: int) -> None:
        """PageError if the page must not send this."""
        ...

    def lost(self) -> None: ...


class Handler(Protocol):
    """What the connections share."""

    def admit(self, connection: Connection) -> bool:
        """Whether a new connection gets a place."""
        ...

    def left(self, connection: Connection) -> None:
        """The connection is closed."""
        ...

    def request(self, connection: Connection, head: Head) -> Sink | None:
        """Begin to answer a request, now or later. The sink gets its body; None: it must have none."""
        ...

    def open_live(self, connection: Connection, head: Head) -> Live | None:
        """Check the handshake of a WebSocket. None: it was answered with an error."""
        ...

    def line_up(self, ip: str, work: Work) -> None:
        """Call `work` when it is the turn of this address, again while it returns True."""
        ...

    def pause_s(self, ip: str) -> float:
        """A request or a message has arrived: for how many seconds its connection is not read."""
        ...

    def now_ns(self) -> int: ...


class Connection(asyncio.Protocol):
    """For the network thread."""

    def __init__(self, handler: Handler, number: int) -> None:
        self._handler = handler
        self.number = number
        """From 1, in the order of their arrival."""
        self.ip = self.group = ""
        """The address of the other side, and its group: see `address_group`."""
        self.own_origin = ""
        """How addresses of this server begin, as the other side has reached it."""
        self.is_own = False
        """The other side is on this machine: nothing else can have the address at which it is reached."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._http: HttpConnection
        """From `connection_made` on: one that is turned away costs little."""
        self._sink: Sink | None = None
        self._live: Live | None = None
        self._answered = True
        """The present request has its whole answer, or there is none."""
        self._unread = False
        """The body of the present request has not arrived whole."""
        self._lingers = False
        self._closing = False
        self._deadline_s = self._loop.time() + HEAD_S
        self._heard_s = self._loop.time()
        self._arrived_ns = 0
        """When the last bytes have arrived, by the clock of the session: the clock exchange of the page needs it."""
        self._asked = False
        """A ping is on its way."""
        self._pauses = 0
        """Reasons to neither read nor handle what has arrived."""
        self._in_line = False
        """It waits for its turn."""
        self._has_enough = False
        """It is not read before its turn, because much has arrived."""
        self._room = asyncio.Event()
        """Set: there is room for more unsent bytes."""
        self._room.set()

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.ip = peer[0].removeprefix("::ffff:").partition("%")[0] if peer else ""
        self.group = address_group(self.ip) if self.ip else ""
        here = transport.get_extra_info("sockname")
        self.own_origin = origin(here[0].removeprefix("::ffff:"), here[1]) if here else ""
        self.is_own = bool(self.ip) and (is_loopback(self.ip) or peer[0] == here[0])
        transport.set_write_buffer_limits(HIGH_BYTES, LOW_BYTES)
        if not self.ip or not self._handler.admit(self):
            self._closing = True
            transport.abort()
            return
        self._http = HttpConnection(MAX_MESSAGE_BYTES)

    def data_received(self, data: bytes) -> None:
        self._arrived_ns = self._handler.now_ns()
        self._heard_s, self._asked = self._loop.time(), False
        self._receive(data)

    def eof_received(self) -> bool:
        self._receive(b"")
        return self._in_line  # keep the other way open for the answer

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._room.set()
        with contextlib.suppress(InternalError), bug_net("the end of a connection of a guest"):
            self._end_request()
            if self._live is not None:
                live, self._live = self._live, None
                live.lost()
        self._handler.left(self)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
        self._line_up()  # the next request has waited for this

    # -- for the server ----------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """It waits for a request, and may be closed for another connection."""
        return self._live is None and self._answered and not self._in_line

    @property
    def is_closing(self) -> bool:
        """This side has closed the connection, and sends no more."""
        return self._closing

    @property
    def unsent_bytes(self) -> int:
        """How many bytes the other side has not taken."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def check(self, now_s: float) -> None:
        """Close it if it has reached a limit of time. Called every second or so."""
        if self._live is not None:
            silent_s = now_s - self._heard_s
            if silent_s > LIVE_S:
                self.abort("it is silent")
            elif silent_s > LIVE_PING_S and not self._asked:
                self._asked = True
                self._write(self._http.ping())
        elif now_s > self._deadline_s:
            self.abort("it takes too long")

    def touch(self) -> None:
        """The request or its answer makes progress."""
        self._deadline_s = self._loop.time() + STALL_S

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer the present request."""
        if self._closing or self._answered:
            return
        early = self._unread
        self._answered = True
        self._write(self._http.respond(status, headers, body, close=early))
        self._end_request()
        self._after_answer(early)

    def reply_json(self, status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Answer the present request with JSON."""
        fields = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store", **(headers or {})}
        self.reply(status, fields, dumps(value).encode())

    def begin_reply(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer whose body follows by `send_part`."""
        if not self._closing:
            self._background()
            self._write(self._http.respond(status, headers, None))

    async def send_part(self, data: bytes) -> bool:
        """Send a part of the body, and wait until there is room for the next one. False: the connection is lost."""
        if self._closing:
            return False
        self._write(self._http.part(data))
        self.touch()
        await self._room.wait()
        return not self._closing

    def end_reply(self) -> None:
        """The body is complete."""
        if not self._closing:
            self._write(self._http.end())
            self._answered = True
            self._after_answer(early=False)

    def send_text(self, text: str) -> None:
        """Send a message over the WebSocket."""
        if not self._closing:
            self._write(self._http.text(text))
            if self.unsent_bytes > MAX_UNSENT_BYTES:
                self.abort("it reads too slowly")

    def close_live(self, reason: str, *, broken: bool = False) -> None:
        """Close the WebSocket."""
        if not self._closing:
            self._write(self._http.close(BROKEN_CLOSE if broken else NORMAL_CLOSE, reason))
            self._close()

    def pause(self) -> None:
        """Do not read until `resume`."""
        self._pauses += 1
        self._read_or_not()

    def resume(self) -> None:
        """End one `pause`."""
        self._pauses -= 1
        self._read_or_not()
        self._line_up()

    def pause_for(self, pause_s: float) -> None:
        """Do not read for this time."""
        if pause_s > 0:
            self.pause()
            self._loop.call_later(pause_s, self.resume)
            if self._live is None:
                self._deadline_s = max(self._deadline_s, self._loop.time() + pause_s + STALL_S)

    def abort(self, reason: str) -> None:
        """Close it at once."""
        if not self._closing:
            _log.debug("the connection of %s is closed: %s", self.ip, reason)
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # -- reading -----------------------------------------------------------------------------------------------------

    def _receive(self, data: bytes) -> None:
        """Keep new bytes until it is the turn of this connection. No bytes mean that the other side has ended."""
        if self._lingers or self._closing:
            return
        self._has_enough |= self._in_line or len(data) > ENOUGH_BYTES
        self._read_or_not()
        try:
            self._http.receive(data)
        except BrokenError as error:
            self._broken(error)
        else:
            self._line_up()

    def _line_up(self) -> None:
        if not (self._in_line or self._pauses or self._lingers or self._closing):
            self._in_line = True
            self._handler.line_up(self.ip, self._turn)

    def _turn(self) -> bool:
        """Handle the next request or message that has arrived. Return whether there may be another one."""
        more = False
        try:
            with bug_net("a connection of a guest", BrokenError):
                more = self._go_on()
        except InternalError:
            self.abort("an internal error")
        except BrokenError as error:
            self._broken(error)
        if not more:
            self._in_line = self._has_enough = False
            self._read_or_not()
        return more

    def _go_on(self) -> bool:
        while not (self._closing or self._lingers or self._pauses):
            for event in self._http.events():
                self._handle(event)
                if self._closing or self._lingers or self._pauses:
                    return False
                if isinstance(event, Text | Frame):
                    return True
            if not self._http.may_begin or not self._answered or not self._room.is_set():
                return False
            self._http.next_request()
            self._deadline_s = self._loop.time() + IDLE_S
            if self._http.has_more:
                return True
        return False

    def _read_or_not(self) -> None:
        if self._transport is not None and not self._closing:
            if self._pauses or self._has_enough:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _handle(self, event: Event) -> None:
        match event:
            case Head():
                self._request(event)
            case Body(data):
                if self._sink is None:
                    raise BrokenError(400, "a body was not expected")
                self._sink.data(data)
            case End():
                self._unread = False
                sink, self._sink = self._sink, None
                if sink is not None:
                    sink.end()
            case Text(text):
                self._message(text)
            case Frame(answer):
                self._write(answer)
                self.pause_for(self._handler.pause_s(self.ip))
            case Closed(reply):
                self._write(reply)
                if self._answered:
                    self._close()

    def _request(self, head: Head) -> None:
        self.touch()
        self._answered, self._unread = False, head.length > 0
        self.pause_for(self._handler.pause_s(self.ip))
        if head.wants_websocket:
            live = self._handler.open_live(self, head)
            if live is not None:
                self._answered = True
                self._live = live
                self._write(self._http.accept_websocket(head.headers.get("sec-websocket-key", "")))
            return
        sink = self._handler.request(self, head)
        if self._answered:
            return
        if sink is None and head.length:
            raise BrokenError(400, "a body was not expected")
        self._sink = sink

    def _message(self, text: str) -> None:
        assert self._live is not None
        try:
            self._live.message(text, self._arrived_ns)
        except PageError as error:
            self.close_live(str(error), broken=True)
        else:
            self.pause_for(self._handler.pause_s(self.ip))

    def _broken(self, error: BrokenError) -> None:
        """Answer what breaks the protocol, and close."""
        if self._live is not None:
            self.close_live(str(error), broken=True)
            return
        if not self._answered or self._http.is_idle or self._sink is None:
            self._answered = True
            with contextlib.suppress(LocalProtocolError):  # the answer has begun already
                self._write(self._http.respond(error.status, {"Content-Type": "text/plain"}, b"", close=True))
        self._end_request()
        self._close()

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _after_answer(self, early: bool) -> None:
        if early:
            self._lingers = True
            self._deadline_s = self._loop.time() + LINGER_S
        elif self._http.must_close:
            self._close()
        else:
            self._deadline_s = self._loop.time() + IDLE_S
            self._line_up()

    def _close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(LINGER_S, self._transport.abort)

    def _end_request(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.lost()

    def _background(self) -> None:
        sock = self._transport.get_extra_info("socket") if self._transport else None
        if sock is not None:
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TOS_BACKGROUND)
