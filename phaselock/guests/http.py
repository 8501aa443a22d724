"""HTTP/1.1 and the WebSocket as bytes and values, without input and output: one connection of a browser."""

from __future__ import annotations

import http
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import h11
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError as ClosedError
from wsproto.utilities import RemoteProtocolError, generate_accept_token

from phaselock.frozen import frozen

MAX_HEAD_BYTES = 8192
"""Limit of the line and the headers of a request."""
NORMAL_CLOSE, BROKEN_CLOSE = 1000, 1008
"""Close codes of a WebSocket (RFC 6455): normal, and against the rules."""


def policy(host: str = "", ports: Iterable[int] = ()) -> str:
    """What a document may load and do (Content-Security-Policy). With the Host header of the request, also browsers
    whose 'self' leaves out WebSockets (Safari before 15.4) may connect to this server. `ports`: those at which it may
    look for the next host (moving.py); addresses are not known when it is loaded."""
    others = "".join(f" http://*:{port}" for port in sorted(ports))
    socket = f" ws://{host}" if re.fullmatch(r"[\w.:\[\]-]+", host, re.ASCII) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"connect-src 'self'{socket}{others}; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""


LocalProtocolError = h11.LocalProtocolError
"""Raised where this side sends what it must not send in the present state."""


class BrokenError(Exception):
    """The other side does not keep the protocol. `status` is the answer that it gets."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@frozen
class Head:
    """The beginning of a request."""

    method: str
    path: str
    """Decoded, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By name in small letters."""
    length: int
    """Of its body, in bytes."""

    @property
    def wants_websocket(self) -> bool:
        """Whether this is the handshake of a WebSocket."""
        return "websocket" in self.headers.get("upgrade", "").lower()


@frozen
class Body:
    """A part of the body."""

    data: bytes


@frozen
class End:
    """The request is complete."""


@frozen
class Text:
    """A message of the WebSocket."""

    text: str


@frozen
class Closed:
    """The other side has closed the WebSocket, or its half of the connection."""

    reply: bytes = b""
    """Sent before this side closes."""


@frozen
class Frame:
    """A frame of the WebSocket that is no whole message. `answer`: what this side sends to it, perhaps nothing."""

    answer: bytes = b""


Event: TypeAlias = Head | Body | End | Text | Closed | Frame


class HttpConnection:
    """The server's side. Give the bytes that arrive to `receive`, then take `events` until there are no more."""

    def __init__(self, max_message_bytes: int) -> None:
        """`max_message_bytes`: limit of one message of the WebSocket."""
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._frames: Frames | None = None
        self._max_message_bytes = max_message_bytes
        self._text: list[str] = []
        self._text_bytes = 0
        self._is_head = False
        """The present request wants the headers of the answer only."""

    @property
    def is_live(self) -> bool:
        """It is a WebSocket."""
        return self._frames is not None

    @property
    def is_idle(self) -> bool:
        """It waits for a request, and nothing of it has arrived."""
        return self._frames is None and self._http.our_state is h11.IDLE and not self._http.trailing_data[0]

    @property
    def has_more(self) -> bool:
        """Behind the last event, more of the same connection has arrived, or its end."""
        return any(self._http.trailing_data)

    @property
    def must_close(self) -> bool:
        """No request can follow on this connection."""
        return self._frames is None and self._http.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    @property
    def may_begin(self) -> bool:
        """The answer is complete, and so is its request."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def receive(self, data: bytes) -> None:
        """Bytes have arrived; none: the other side has ended. BrokenError."""
        try:
            if self._frames is None:
                self._http.receive_data(data)
                is_answered = self._http.our_state is h11.DONE
                is_early = self._http.their_state is h11.DONE and not is_answered
                if is_early and len(self._http.trailing_data[0]) > MAX_HEAD_BYTES:
                    raise BrokenError(400, "requests do not wait for their answers")
            else:
                self._frames.receive_data(data or None)
        except (h11.RemoteProtocolError, RemoteProtocolError, ClosedError, RuntimeError) as error:
            raise BrokenError(400, str(error)) from None

    def events(self) -> Iterator[Event]:
        """What has arrived. BrokenError."""
        try:
            if self._frames is None:
                yield from self._requests()
            if self._frames is not None:
                yield from self._messages(self._frames)
        except h11.RemoteProtocolError as error:
            raise BrokenError(error.error_status_hint, str(error)) from None
        except RemoteProtocolError as error:
            raise BrokenError(400, str(error)) from None

    def respond(self, status: int, headers: Mapping[str, str], body: bytes | None, *, close: bool = False) -> bytes:
        """The bytes of an answer. `body` None: it follows with `part` and `end`, and the headers give its length."""
        fields = {**HEADERS, "Cache-Control": "no-cache", **headers}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        if close:
            fields["Connection"] = "close"
        reason = http.HTTPStatus(status).phrase
        response = h11.Response(status_code=status, headers=_encoded(fields), reason=reason.encode())
        data = self._http.send(response) or b""
        if body is not None:
            data += self.part(b"" if self._is_head else body) + self.end()
        return data

    def part(self, data: bytes) -> bytes:
        """The bytes of a part of the answer's body."""
        return self._http.send(h11.Data(data=data)) or b""

    def end(self) -> bytes:
        """The answer is complete."""
        return self._http.send(h11.EndOfMessage()) or b""

    def next_request(self) -> None:
        """Begin the next request. The last one and its answer are complete."""
        self._http.start_next_cycle()

    def accept_websocket(self, key: str) -> bytes:
        """Change to the WebSocket. The bytes of the answer."""
        accept = generate_accept_token(key.encode("ascii", "replace")).decode()
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        data = self._http.send(h11.InformationalResponse(status_code=101, headers=_encoded(fields))) or b""
        self._frames = Frames(ConnectionType.SERVER, trailing_data=self._http.trailing_data[0])
        return data

    def text(self, text: str) -> bytes:
        """The bytes of a message; none if the other side has closed the WebSocket."""
        assert self._frames is not None
        return self._frames.send(TextMessage(data=text)) if self._frames.state is ConnectionState.OPEN else b""

    def ping(self) -> bytes:
        """The bytes of a question whether the other side is still there. Browsers answer it by themselves."""
        assert self._frames is not None
        return self._frames.send(Ping()) if self._frames.state is ConnectionState.OPEN else b""

    def close(self, code: int, reason: str) -> bytes:
        """The bytes that close the WebSocket."""
        assert self._frames is not None
        try:
            return self._frames.send(CloseConnection(code=code, reason=reason[:100]))
        except Exception:  # it is closed already
            return b""

    def _requests(self) -> Iterator[Event]:
        while self._frames is None:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.Request):
                yield self._head(event)
            elif isinstance(event, h11.Data):
                yield Body(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                yield End()
            else:  # h11.ConnectionClosed
                yield Closed()
                return

    def _head(self, request: h11.Request) -> Head:
        headers: dict[str, str] = {}
        for raw_name, raw_value in request.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            if name in ("host", "origin", "authorization") and name in headers:
                raise BrokenError(400, f"two headers {name}")
            headers[name] = value
        if "transfer-encoding" in headers:
            raise BrokenError(411, "no length")
        target = request.target.decode("ascii")
        path, _, query = target.partition("?")
        if not path.startswith("/"):
            raise BrokenError(400, "no path")
        try:
            pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, max_num_fields=8)
        except ValueError:
            raise BrokenError(400, "too many fields") from None
        self._is_head = request.method == b"HEAD"
        length = headers.get("content-length", "0")
        return Head(request.method.decode("ascii"), urllib.parse.unquote(path), dict(pairs), headers, int(length))

    def _messages(self, frames: Frames) -> Iterator[Event]:
        for event in frames.events():
            if isinstance(event, TextMessage):
                self._text.append(event.data)
                self._text_bytes += len(event.data.encode("utf-8", "surrogatepass"))
                if self._text_bytes > self._max_message_bytes:
                    raise BrokenError(413, "a message is too long")
                if event.message_finished:
                    text, self._text, self._text_bytes = "".join(self._text), [], 0
                    yield Text(text)
                else:
                    yield Frame()
            elif isinstance(event, Ping):
                yield Frame(frames.send(event.response()))
            elif isinstance(event, Pong):
                yield Frame()
            elif isinstance(event, CloseConnection):
                yield Closed(self._close_reply(frames, event))
                return
            elif isinstance(event, BytesMessage):
                raise BrokenError(400, "bytes instead of text")
            else:
                raise BrokenError(400, "a frame of no known kind")

    @staticmethod
    def _close_reply(frames: Frames, event: CloseConnection) -> bytes:
        try:
            return frames.send(event.response())
        except Exception:  # both sides have closed at once
            return b""


def _encoded(fields: Mapping[str, str]) -> list[tuple[Any, Any]]:
    return [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in fields.items()]
