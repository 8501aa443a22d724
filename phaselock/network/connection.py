"""One control connection: sends and receives messages, never blocks the loop, and limits its buffers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

from phaselock.errors import InternalError, bug_net, message_of
from phaselock.language.message import Message
from phaselock.network.secure import HEAD_BYTES, Channel, PlainChannel, SecureChannel, is_tls
from phaselock.protocol import messages as m
from phaselock.protocol.framing import Framer, frame

READ_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 8 << 20
"""A connection with more unsent bytes than this is closed: the other side does not read."""
MESSAGES_AT_ONCE = 8
"""After this number of messages from one connection, the reader gives other tasks a turn: `receive` does not wait while
messages are buffered."""
TIMEOUT_CLOSE_S = 1.0
"""How long `close` waits for unsent bytes and for the other side to close."""


class ConnectionLost(Exception):
    """The connection has ended. `reason` says why, in a few words without a full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connection:
    """Owns a connected TCP socket. For the network thread: any code there sends; one task receives and then closes."""

    def __init__(self, sock: socket.socket, framer: Framer) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.framer = framer
        self.speaks_tls = False
        """The other side has begun the handshake of TLS."""
        self._sock = sock
        self._channel: Channel = PlainChannel()
        self._loop = asyncio.get_running_loop()
        self._inbox: Iterator[m.Message] = iter(())
        self._unsent = bytearray()
        self._sending = 0
        self._sender: asyncio.Task[None] | None = None
        self._receiving: asyncio.Future[bytes] | None = None
        self._over = ""
        self._broken = False
        self._goodbye: asyncio.Timeout | None = None
        """The time limit of `close`, while it runs."""
        self._sent_bytes = self._received_bytes = 0

    async def secure(self, channel: SecureChannel, begun: Callable[[], None] = lambda: None) -> bool:
        """Make the handshake of TLS; from then on everything is encrypted. `begun` is called when the other side has
        begun it. False: the other side does not encrypt, and `receive` returns what it says. ConnectionLost if the
        connection ends before."""
        try:
            self._send_bytes(channel.handshake(b""))
            received = b""
            while len(received) < HEAD_BYTES:
                received += await self._more()
            if not is_tls(received):
                self._channel.feed(received)
                return False
            self.speaks_tls = True
            begun()
            self._send_bytes(channel.handshake(received))
            while not channel.established:
                self._send_bytes(channel.handshake(await self._more()))
        except OSError as error:
            self.abort(message_of(error))
            raise ConnectionLost(self._over) from None
        self._channel = channel
        return True

    async def _more(self) -> bytes:
        if received := await self._read():
            return received
        raise ConnectionLost(self._over or Message("the other side closed it"))

    @property
    def is_aborted(self) -> bool:
        """`abort` was called: `close` does not wait."""
        return self._broken

    def counts(self) -> str:
        """Number of bytes sent and received, for the log."""
        return f"{self._sent_bytes} bytes sent, {self._received_bytes} received"

    def send(self, message: m.Message) -> None:
        """Send a message: see `send_frame`."""
        self.send_frame(frame(message))

    def send_frame(self, data: bytes) -> None:
        """Write what the socket takes now and queue the rest, without blocking. `receive` reports a lost connection."""
        if self._over:
            return
        try:
            self._send_bytes(self._channel.encrypt(data))
        except OSError as error:
            self.abort(message_of(error))

    def _send_bytes(self, data: bytes) -> None:
        """Write what the socket takes now and queue the rest. OSError if the connection is lost."""
        self._sent_bytes += len(data)
        if not self._sender:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                data = data[self._sock.send(data) :]
        if not data:
            return
        self._unsent += data
        if self._sending + len(self._unsent) > MAX_UNSENT_BYTES:
            self.abort(Message("it does not read what is sent to it"))
        elif not self._sender:
            self._sender = self._loop.create_task(self._send_rest())

    async def receive(self) -> m.Message:
        """The next message; ConnectionLost at the end of the connection, ProtocolError for a bad frame."""
        while not self._over:
            if (message := next(self._inbox, None)) is not None:
                return message
            try:
                data = self._channel.read(READ_BYTES)
            except OSError as error:
                self.abort(message_of(error))
                break
            if data:
                self._inbox = self.framer.feed(data)
            elif received := await self._read():
                self._channel.feed(received)
            else:
                break
        raise ConnectionLost(self._over or Message("the other side closed it"))

    def end(self, reason: str) -> None:
        """Make `receive` raise ConnectionLost from now on. `close` still sends the unsent bytes."""
        self._over = self._over or reason
        if self._receiving:
            self._receiving.cancel()

    async def close(self) -> None:
        """Send the unsent bytes, wait TIMEOUT_CLOSE_S at most, and close."""
        self.end("the connection was closed here")
        try:
            async with asyncio.timeout(0 if self._broken else TIMEOUT_CLOSE_S) as self._goodbye:
                if self._sender:
                    await asyncio.shield(self._sender)
                self._sock.shutdown(socket.SHUT_WR)
                # Closing a socket with unread input resets the connection, and our last message may be lost: read until
                # the other side closes.
                while await self._loop.sock_recv(self._sock, READ_BYTES):
                    await asyncio.sleep(
                        0
                    )  # available data is read without waiting: let other tasks and the timeout run
        except (OSError, TimeoutError):
            pass
        finally:
            self._goodbye = None
            if self._sender:
                self._sender.cancel()
                await asyncio.wait([self._sender])
            self._sock.close()

    def detach(self) -> tuple[socket.socket, Channel]:
        """Hand the socket over to a thread, with what encrypts its bytes."""
        return self._sock, self._channel

    def abort(self, reason: str) -> None:
        """Like `end`, but unsent bytes are dropped, and `close` does not wait, also if it waits already."""
        self._broken = True
        self.end(reason)
        if self._goodbye is not None and not self._goodbye.expired():
            self._goodbye.reschedule(self._loop.time())

    async def _read(self) -> bytes:
        """Bytes of the socket; empty at the end of the connection."""
        # What TLS says to itself takes 0.3 us a byte, and only a member may make this thread that busy.
        size = min(READ_BYTES, self.framer.cap)
        self._receiving = asyncio.ensure_future(self._loop.sock_recv(self._sock, size))
        try:
            received = await self._receiving
            self._received_bytes += len(received)
            return received
        except asyncio.CancelledError:
            this_task = asyncio.current_task()
            if self._over and not (this_task and this_task.cancelling()):
                return b""  # `end` was called; else this task is to end as well
            raise
        except OSError as error:
            self.abort(message_of(error))
            return b""
        finally:
            self._receiving = None

    async def _send_rest(self) -> None:
        try:
            with bug_net("sending to a connection", OSError):
                while self._unsent:
                    data, self._unsent = bytes(self._unsent), bytearray()
                    self._sending = len(data)
                    await self._loop.sock_sendall(self._sock, data)
        except (OSError, InternalError) as error:  # the receiver would not notice that a part is missing
            self.abort(message_of(error))
        finally:
            self._sender, self._sending = None, 0
