"""Frames on TCP connections: `[length: u32 little endian][type: u8][payload]`; length counts type and payload."""

from __future__ import annotations

from collections.abc import Iterator

from phaselock.protocol.codec import ProtocolError, decode, encode
from phaselock.protocol.messages import Message

GREETING_CAP = 4 * 1024
"""Longest frame, in bytes, from a peer that has not joined."""
SESSION_CAP = 256 * 1024
"""Longest frame, in bytes, from a peer that has joined, and on file connections."""
HOST_CAP = 2 << 20
"""Longest frame, in bytes, from a host: a full queue with the longest names."""

_HEADER_BYTES = 4


def frame(message: Message) -> bytes:
    """Encode a message as one frame. ValueError or OverflowError if it has no encoding."""
    body = encode(message)
    return len(body).to_bytes(_HEADER_BYTES, "little") + body


class Framer:
    """Splits a stream of bytes into messages. `cap` is the longest allowed frame in bytes; it may be changed at any
    time. After a ProtocolError the connection cannot be used any more."""

    def __init__(self, cap: int = GREETING_CAP) -> None:
        self.cap = cap
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Message]:
        """Add received bytes. The iterator returns the messages that are complete and raises ProtocolError at the first
        invalid frame."""
        self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        while len(self._buffer) >= _HEADER_BYTES:
            length = int.from_bytes(self._buffer[:_HEADER_BYTES], "little")
            if not 1 <= length <= self.cap:
                raise ProtocolError(f"a frame of {length} bytes is not allowed here")
            end = _HEADER_BYTES + length
            if len(self._buffer) < end:
                return
            kind = self._buffer[_HEADER_BYTES]
            payload = bytes(self._buffer[_HEADER_BYTES + 1 : end])
            del self._buffer[:end]
            yield decode(kind, payload)
