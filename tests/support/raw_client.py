"""A client of a host that need not keep to the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from phaselock.network.secure import Channel, SecureChannel
from phaselock.protocol.framing import HOST_CAP, Framer, frame
from phaselock.protocol.messages import PROTOCOL_VERSION, JoinAccepted, JoinRequest, Message


class RawClient:
    """A connection to a host on which a test sends and reads any messages or bytes."""

    def __init__(self, sock: socket.socket, channel: Channel) -> None:
        self._sock = sock
        self._channel = channel
        self._framer = Framer(HOST_CAP)
        self._inbox: list[Message] = []
        self.host_key = b""
        """SHA-256 of the host's certificate, after the handshake."""

    @classmethod
    async def secured(cls, sock: socket.socket) -> RawClient:
        """A client that has made the handshake of TLS. At the end of the connection it can only read."""
        loop, channel = asyncio.get_running_loop(), SecureChannel()
        data = channel.handshake(b"")
        with contextlib.suppress(OSError):
            await loop.sock_sendall(sock, data)
            while not channel.established and (data := await loop.sock_recv(sock, 1 << 16)):
                await loop.sock_sendall(sock, channel.handshake(data))
        client = cls(sock, channel)
        client.host_key = channel.host_key if channel.established else b""
        return client

    def shrink_receive_buffer(self) -> None:
        """Give the socket the smallest receive buffer."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def send(self, *messages: Message | bytes) -> None:
        """Send messages, or bytes as they are."""
        data = b"".join(one if isinstance(one, bytes) else frame(one) for one in messages)
        await asyncio.get_running_loop().sock_sendall(self._sock, self._channel.encrypt(data))

    async def read(self) -> Message | None:
        """The next message, None at the end."""
        while not self._inbox:
            with contextlib.suppress(ConnectionResetError):
                if data := self._channel.read(1 << 16):
                    self._inbox += self._framer.feed(data)
                    continue
                if data := await asyncio.get_running_loop().sock_recv(self._sock, 1 << 16):
                    self._channel.feed(data)
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
