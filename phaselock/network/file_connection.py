"""The socket of one file transfer: a worker thread uses it, and any thread can end the transfer."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time

from phaselock.network.secure import Channel, SecureChannel
from phaselock.protocol.framing import frame
from phaselock.protocol.messages import FileRefused

TIMEOUT_STALL_S = 10.0
"""A transfer fails if no byte moves for this long."""
TIMEOUT_LINGER_S = 1.0
"""How long `refuse` waits for the other side to close."""
POLL_ENDED_S = 0.2
"""Longest wait for the socket: how soon a thread notices `end` where `shutdown` does not wake it, as on Windows."""
_READ_BYTES = 64 * 1024
_WRITE_BYTES = 64 * 1024
"""Most bytes that are encrypted at once."""
_DISCARD_BYTES = 64 * 1024
_TOS_BACKGROUND = 8 << 2
"""DSCP class selector 1: routers and wireless cards (RFC 8325) send these packets after those of the clock."""
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""These take no file descriptor of their own, so that a transfer needs one."""
_now_ns = time.perf_counter_ns  # time.monotonic has steps of 16 ms in some versions of Python for Windows


class FileConnection:
    """Owns a connected TCP socket. One thread uses and closes it; `end` is for any thread.

    No thread closes a socket that another one uses: its number may belong to another file at once.
    """

    def __init__(self, sock: socket.socket, channel: Channel) -> None:
        """`channel` has converted all bytes of the socket so far."""
        sock.setblocking(False)
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TOS_BACKGROUND)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TOS_BACKGROUND)
        self._sock = sock
        self._channel = channel
        self._received = bytearray(_READ_BYTES)
        self._unsent = memoryview(b"")
        """Encrypted bytes that the socket has not taken."""
        self._selector = _Selector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._moved_at_ns = _now_ns()
        self._ended = False

    def end(self) -> None:
        """Make all calls of the other thread fail, those that wait within POLL_ENDED_S. The other side is told."""
        self._ended = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    @property
    def is_ended(self) -> bool:
        """`end` was called. For any thread."""
        return self._ended

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def handshake(self, channel: SecureChannel) -> None:
        """Make the handshake of TLS; from then on everything is encrypted. OSError if that is impossible."""
        self._unsent = memoryview(channel.handshake(b""))
        while not channel.established or self._unsent:
            try:
                self._flush()
                if not channel.established:
                    if not (received := self._receive()):
                        raise ConnectionResetError(errno.ECONNRESET, "the other side has gone")
                    self._unsent = memoryview(channel.handshake(bytes(received)))
            except BlockingIOError:
                self.wait(selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ)
        self._channel = channel

    def read(self, buffer: memoryview) -> int:
        """Read once into the buffer; 0 at the end of the stream. BlockingIOError if there is nothing; OSError if the
        connection is lost or was ended here."""
        data = self._channel.read(len(buffer))
        while not data:
            if not (received := self._receive()):
                return 0
            self._channel.feed(received)
            data = self._channel.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: memoryview) -> int:
        """Write once; the number of bytes that were taken. BlockingIOError if none can be taken now. The other errors
        are those of `read`."""
        self._flush()
        part = data[:_WRITE_BYTES]
        self._unsent = memoryview(self._channel.encrypt(part))
        with contextlib.suppress(BlockingIOError):
            self._flush()
        return len(part)

    def send_all(self, data: bytes) -> None:
        """Write everything. OSError if the connection is lost, stalls or was ended here."""
        rest = memoryview(data)
        while rest or self._unsent:
            try:
                if rest:
                    rest = rest[self.write(rest) :]
                self._flush()
            except BlockingIOError:
                self.wait(selectors.EVENT_WRITE)

    def wait(self, events: int, until_ns: int | None = None) -> None:
        """Wait for `events`, a mask of selectors, or until a time of `perf_counter_ns`; POLL_ENDED_S at most. Meanwhile
        send what `write` has taken.
        TimeoutError if no byte has moved for TIMEOUT_STALL_S; ConnectionAbortedError if the transfer was ended."""
        self._check_ended()
        now_ns = _now_ns()
        stalls_at_ns = self._moved_at_ns + int(TIMEOUT_STALL_S * 1e9)
        if now_ns >= stalls_at_ns:
            raise TimeoutError(errno.ETIMEDOUT, "nothing moved")
        self._selector.modify(self._sock, events | (selectors.EVENT_WRITE if self._unsent else 0))
        wake_at_ns = min(stalls_at_ns, now_ns + int(POLL_ENDED_S * 1e9), until_ns or stalls_at_ns)
        self._selector.select(max(wake_at_ns - now_ns, 0) / 1e9)
        with contextlib.suppress(BlockingIOError):
            self._flush()

    def refuse(self, reason: str) -> None:
        """Tell the other side that the file will not be sent or received. OSError if the connection is lost."""
        self.send_all(frame(FileRefused(reason)))
        # Closing a socket with unread bytes resets the connection, and the refusal may be lost: read until it closes.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            until_ns = _now_ns() + int(TIMEOUT_LINGER_S * 1e9)
            unread = memoryview(bytearray(_DISCARD_BYTES))
            while _now_ns() < until_ns:
                try:
                    if not self.read(unread):
                        break
                except BlockingIOError:
                    self.wait(selectors.EVENT_READ, until_ns)

    def _receive(self) -> memoryview:
        """Bytes of the socket, valid until the next call; empty at the end of the stream. Errors as in `read`."""
        try:
            count = self._sock.recv_into(self._received)
        finally:
            self._check_ended()  # after `end` a read finds the end of the stream, or on Windows an error
        self._moved_at_ns = _now_ns()
        return memoryview(self._received)[:count]

    def _flush(self) -> None:
        """Send the rest of what was encrypted. BlockingIOError if the socket does not take all of it."""
        while self._unsent:
            try:
                count = self._sock.send(self._unsent)
            finally:
                self._check_ended()
            self._unsent = self._unsent[count:]
            self._moved_at_ns = _now_ns()

    def _check_ended(self) -> None:
        if self._ended:
            raise ConnectionAbortedError(errno.ECONNABORTED, "this side ended the transfer")
