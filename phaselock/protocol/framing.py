"""Frames of the TCP connections: `[length: u32 little endian][type: u8][payload]`, the length counting type and
payload."""

from __future__ import annotations

from collections.abc import Iterator

from phaselock.protocol.codec import ProtocolError, decode, encode
from phaselock.protocol.messages import Message

GREETING_CAP = 4 * 1024
"""Longest frame that a stranger may send."""
SESSION_CAP = 256 * 1024
"""Longest frame that a member may send."""
HOST_CAP = 2 << 20
"""Longest frame of a host: a full queue of the longest names."""

_HEADER_BYTES = 4


def frame(message: Message) -> bytes:
    """Encode a message as one frame. ValueError or OverflowError if it has no encoding."""
    body = encode(message)
    return len(body).to_bytes(_HEADER_BYTES, "little") + body


class Framer:
    """Cuts a stream of bytes into messages. `cap` may be raised at any time; after a ProtocolError the connection is
    lost."""

    def __init__(self, cap: int = GREETING_CAP) -> None:
        self.cap = cap
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Message]:
        """Take bytes; the iterator gives the messages that are complete, and raises ProtocolError at the first bad
        one."""
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
