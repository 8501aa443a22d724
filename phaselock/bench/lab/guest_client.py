"""A guest without a browser: HTTP requests and one WebSocket to the page of a host, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import h11
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

from phaselock.frozen import frozen

_READ_BYTES = 64 << 10
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@frozen
class Answer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes = dataclasses.field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class GuestClient:
    """One connection. ConnectionError if the server closes it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, origin: str | None
    ) -> None:
        self._reader, self._writer = reader, writer
        self._host, self._origin = host, origin
        self._http = h11.Connection(h11.CLIENT)
        self._frames = Frames(ConnectionType.CLIENT)
        self._messages: list[Any] = []
        self._text = ""
        self.closed: str | None = None
        """The reason with which the server has closed the WebSocket."""

    @classmethod
    async def open(
        cls, port: int, ip: str = "127.0.0.1", *, from_ip: str | None = None, host: str = "", origin: str | None = ""
    ) -> GuestClient:
        """Connect. `host` and `origin`: these headers, if they are not those of an honest browser; None: no Origin."""
        local = (from_ip, 0) if from_ip else None
        reader, writer = await asyncio.open_connection(ip, port, local_addr=local)
        host = host or f"{ip}:{port}"
        return cls(reader, writer, host, f"http://{host}" if origin == "" else origin)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    def head(self, method: str, path: str, headers: Mapping[str, str], length: int | None) -> bytes:
        """The bytes of the beginning of a request."""
        fields = {"Host": self._host, **headers}
        if self._origin is not None and method != "GET":
            fields.setdefault("Origin", self._origin)
        if length is not None:
            fields["Content-Length"] = str(length)
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        return self._http.send(h11.Request(method=method, target=path, headers=encoded)) or b""

    async def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Make a request and return its answer."""
        data = self.head(method, path, headers or {}, None if body is None else len(body))
        if body is not None:
            data += self._http.send(h11.Data(data=body)) or b""
        await self.send(data + (self._http.send(h11.EndOfMessage()) or b""))
        return await self.answer()

    async def answer(self) -> Answer:
        """The answer to the present request."""
        response, body = None, b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._read())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("closed before the answer")
        assert response is not None
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        headers = {name.decode(): value.decode() for name, value in response.headers}
        return Answer(response.status_code, headers, body)

    async def enter(self, **fields: str) -> Answer:
        """Ask for a token."""
        headers = {"Content-Type": "application/json"}
        return await self.request("POST", "/api/enter", headers, json.dumps(fields).encode())

    async def open_live(self, headers: Mapping[str, str] | None = None) -> int:
        """Change to the WebSocket. Return the status of the answer: 101 if that worked."""
        fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        fields["Sec-WebSocket-Key"] = _KEY
        if self._origin is not None:
            fields["Origin"] = self._origin
        data = self.head("GET", "/live", {**fields, **(headers or {})}, None)
        await self.send(data + (self._http.send(h11.EndOfMessage()) or b""))
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._read())
        assert isinstance(event, h11.InformationalResponse | h11.Response)
        if event.status_code == 101:
            self._frames.receive_data(self._http.trailing_data[0])
        return event.status_code

    async def tell(self, kind: str, **fields: Any) -> None:
        """Send a message over the WebSocket."""
        await self.send(self._frames.send(TextMessage(data=json.dumps({"type": kind, **fields}))))

    async def hello(self, token: str, name: str = "Ana", language: str = "en") -> dict[str, Any]:
        """Open the WebSocket, say hello and return the answer."""
        await self.open_live()
        await self.tell("hello", token=token, name=name, language=language)
        return await self.hear("welcome", "refused")

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these types; others are dropped. ConnectionError if the server closes."""
        while True:
            while self._messages:
                message: dict[str, Any] = self._messages.pop(0)
                if message["type"] in kinds:
                    return message
            if self.closed is not None:
                raise ConnectionError(self.closed)
            self._take_frames()
            if not self._messages and self.closed is None:
                self._frames.receive_data(await self._read())

    async def hear_close(self) -> str:
        """Wait until the server closes the WebSocket. Return its reason."""
        try:
            await self.hear()
        except ConnectionError as error:
            return str(error)
        raise AssertionError("unreachable")

    def _take_frames(self) -> None:
        for event in self._frames.events():
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    self._messages.append(json.loads(self._text))
                    self._text = ""
            elif isinstance(event, Ping):
                self._writer.write(self._frames.send(event.response()))
            elif isinstance(event, CloseConnection):
                self.closed = event.reason or ""
                return

    async def _read(self) -> bytes:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise ConnectionError("closed")
        return data
