"""A client of a host that need not keep to the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from phaselock.protocol.framing import HOST_CAP, Framer, frame
from phaselock.protocol.messages import PROTOCOL_VERSION, JoinAccepted, JoinRequest, Message


class RawClient:
    """A connection to a host on which a test sends and reads any messages or bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._framer = Framer(HOST_CAP)
        self._inbox: list[Message] = []

    def shrink_receive_buffer(self) -> None:
        """Give the socket the smallest receive buffer."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def send(self, *messages: Message | bytes) -> None:
        """Send messages, or bytes as they are."""
        data = b"".join(one if isinstance(one, bytes) else frame(one) for one in messages)
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def read(self) -> Message | None:
        """The next message, None at the end."""
        while not self._inbox:
            with contextlib.suppress(ConnectionResetError):
                if data := await asyncio.get_running_loop().sock_recv(self._sock, 1 << 16):
                    self._inbox += self._framer.feed(data)
                    continue
            return None
        return self._inbox.pop(0)

    async def read_to_end(self) -> list[Message]:
        """All messages up to the end of the connection."""
        found = []
        while (message := await self.read()) is not None:
            found.append(message)
        return found

    async def join(self) -> JoinAccepted:
        """Join the session; AssertionError if the connection ends first."""
        await self.send(JoinRequest("Raw client", PROTOCOL_VERSION))
        while not isinstance(message := await self.read(), JoinAccepted):
            assert message
        return message
