"""Files on TCP connections of their own. Everything here blocks and belongs to worker threads."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import SESSION_CAP, Framer, frame
from phaselock.protocol.messages import CHUNK_BYTES, FileChunk, FileRefused, FileRequest, SessionInfo
from phaselock.storage.cache import FileCache, PartialFile

STALL_S = 10.0
"""A transfer in which nothing moves for so long is lost."""
REPORT_EVERY_S = 0.2
READ_BYTES = 256 * 1024
_DSCP_BACKGROUND = 8 << 2
"""Class selector 1: routers and wireless cards (RFC 8325) serve these packets behind the clock's."""


class TransferError(PhaseLockError):
    """A file did not arrive; the text says why."""


def prepare(sock: socket.socket) -> None:
    """Settings of a bulk socket on both sides."""
    sock.settimeout(STALL_S)
    with contextlib.suppress(OSError, AttributeError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_BACKGROUND)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_BACKGROUND)


def send_file(
    sock: socket.socket, track: Track, path: pathlib.Path, offset: int, report: Callable[[int], None]
) -> None:
    """Send the file from `offset` on; `report` hears how far it is now and then and at the end.

    PhaseLockError when the file is not what it was, OSError when the connection is lost.
    """
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise PhaseLockError(f"{track.file_name} cannot be read: {error.strerror}") from None
    with file:
        if os.fstat(file.fileno()).st_size != track.size:
            raise PhaseLockError(f"{track.file_name} has changed since it was added.")
        file.seek(offset)
        report_at = time.monotonic() + REPORT_EVERY_S
        while data := file.read(CHUNK_BYTES):
            sock.sendall(frame(FileChunk(track.file_id, offset, data)))
            offset += len(data)
            if time.monotonic() >= report_at:
                report(offset)
                report_at = time.monotonic() + REPORT_EVERY_S
    report(offset)


def refuse(sock: socket.socket, reason: str) -> None:
    """Tell the other side that there will be no file."""
    sock.sendall(frame(FileRefused(reason)))


class Fetch:
    """One try to get a file, from the cache or from the host; `run` in a worker thread, `cancel` from anywhere."""

    def __init__(self, track: Track, address: tuple[str, int], peer_id: int, token: bytes) -> None:
        self.track = track
        self._address, self._peer_id, self._token = address, peer_id, token
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._cancelled = False

    def run(self, cache: FileCache) -> pathlib.Path:
        """The file, whole and right; PhaseLockError (TransferError) says why not."""
        try:
            if path := cache.find(self.track.sha256):
                return path
            with cache.begin(self.track.sha256, self.track.size) as partial:
                if not partial.complete:
                    self._receive(partial)
                if path := partial.finish():
                    return path
        except ProtocolError as error:
            raise TransferError(f"The host broke the protocol: {error}") from None
        except TimeoutError:
            raise TransferError("The transfer stood still.") from None
        except OSError as error:
            raise TransferError(f"The transfer failed: {error.strerror or error}") from None
        raise TransferError("The file arrived damaged.")

    def cancel(self) -> None:
        """Make `run` end soon."""
        with self._lock:
            self._cancelled = True
            if self._sock:
                shut(self._sock)

    def _receive(self, partial: PartialFile) -> None:
        with socket.create_connection(self._address, timeout=STALL_S) as sock:
            with self._lock:
                if self._cancelled:
                    raise TransferError("The transfer was cancelled.")
                self._sock = sock
            try:
                prepare(sock)
                self._stream(sock, partial)
            finally:
                with self._lock:
                    self._sock = None

    def _stream(self, sock: socket.socket, partial: PartialFile) -> None:
        sock.sendall(frame(FileRequest(self._peer_id, self._token, self.track.file_id, partial.offset)))
        framer = Framer(SESSION_CAP)
        buffer = memoryview(bytearray(READ_BYTES))
        while not partial.complete:
            got = sock.recv_into(buffer)
            if not got:
                raise TransferError(
                    "The transfer was cancelled." if self._cancelled else "The host ended the transfer."
                )
            for message in framer.feed(buffer[:got]):
                match message:
                    case SessionInfo():
                        pass
                    case FileRefused(reason):
                        raise TransferError(f"The host refused: {reason}")
                    case FileChunk(file_id, offset, data) if (file_id, offset) == (self.track.file_id, partial.offset):
                        partial.write(data)
                    case _:
                        raise ProtocolError(f"{type(message).__name__} out of place")


def shut(sock: socket.socket) -> None:
    """End both directions; a thread that waits for this socket wakes up."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
