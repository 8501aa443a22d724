"""Files on TCP connections of their own. Everything here blocks and belongs to worker threads.

Whoever sends keeps to the pace that the receiver's acknowledgements allow (pace.py); what is acknowledged is every byte
behind the greeting, and it is acknowledged as soon as the frame around it is whole.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import io
import os
import pathlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network.congestion import Pace
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import (
    CHUNK_BYTES,
    BulkProgress,
    FileChunk,
    FileRefused,
    FileRequest,
    Message,
    SessionInfo,
    SongUploadChunk,
    SongUploadComplete,
    SongUploadFrom,
    SongUploadStart,
)
from phaselock.storage.cache import FileCache, PartialFile

STALL_S = 10.0
"""A transfer in which nothing moves for so long is lost."""
LINGER_S = 1.0
CONNECT_S = 5.0
CONNECT_STEP_S = 0.05
"""Whoever waits for a connection looks so often whether it is still wanted."""
REPORT_EVERY_S = 0.2
READ_BYTES = 256 * 1024
_DSCP_BACKGROUND = 8 << 2
"""Class selector 1: routers and wireless cards (RFC 8325) serve these packets behind the clock's."""
_CHANGED = "{} has changed since it was added."
_now_ns = time.perf_counter_ns  # the monotonic clock of some Pythons on Windows ticks every 16 ms


class TransferError(PhaseLockError):
    """A file did not arrive; the text says why."""


def prepare(sock: socket.socket) -> None:
    """Settings of a bulk socket on both sides."""
    sock.settimeout(STALL_S)
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_BACKGROUND)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_BACKGROUND)


def shut(sock: socket.socket) -> None:
    """End both directions; a thread that waits for this socket wakes up."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def refuse(sock: socket.socket, reason: str) -> None:
    """Tell the other side that there will be no file, or that it is not wanted, and let it hear that."""
    sock.sendall(frame(FileRefused(reason)))
    # Closed with bytes unread, a connection is reset, and what was said last may be lost.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        until_s = time.monotonic() + LINGER_S
        while (left_s := until_s - time.monotonic()) > 0:
            sock.settimeout(left_s)
            if not sock.recv(READ_BYTES):
                break


def send_file(
    sock: socket.socket, track: Track, path: pathlib.Path, offset: int, report: Callable[[int], None]
) -> None:
    """Send the file from `offset` on until all of it is acknowledged; `report` hears how far it is now and then and at
    the end.

    PhaseLockError when the file is not what it was or is refused, OSError when the connection is lost, ProtocolError
    when the receiver breaks the protocol.
    """

    def chunk(offset: int, data: bytes) -> Message:
        return FileChunk(track.file_id, offset, data)

    _send(_Line(sock, "peer", GREETING_CAP), path, track.file_name, track.size, offset, chunk, b"", report)


def receive_upload(
    sock: socket.socket, start: SongUploadStart, size: int, cache: FileCache, report: Callable[[int], None]
) -> pathlib.Path:
    """The song behind `start`, whole and right in the cache; `report` hears how much is here now and then and at the
    end.

    TransferError, which the other side is told, when it is lost or damaged or finds no room; ProtocolError.
    """
    prepare(sock)
    line = _Line(sock, "peer", SESSION_CAP)
    try:
        with _in_words("peer"):
            if (path := cache.find(start.sha256)) and path.stat().st_size == size:
                _take_upload(line, start, size, size, lambda data: None, report)
                return path
            with cache.begin(start.sha256, size) as partial:
                _take_upload(line, start, partial.offset, size, partial.write, report)
                if path := partial.finish():
                    return path
            raise TransferError("The file arrived damaged.")
    except PhaseLockError as error:
        with contextlib.suppress(OSError):
            refuse(sock, str(error))
        raise TransferError(str(error)) from None


class _Errand:
    """One connection to the host for one file."""

    def __init__(self, address: tuple[str, int], peer_id: int, token: bytes) -> None:
        self._address, self._peer_id, self._token = address, peer_id, token
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Make `run` end soon."""
        with self._lock:
            self._cancelled = True
            if self._sock:
                shut(self._sock)

    def _go_on(self) -> None:
        """TransferError once it is cancelled."""
        if self._cancelled:
            raise TransferError("The transfer was cancelled.")

    def _connect(self) -> socket.socket:
        """A connection to the address, a numeric one. A system's own waiting cannot be interrupted everywhere."""
        family, kind, protocol, _, address = socket.getaddrinfo(
            *self._address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_WRITE)
                until_s = time.monotonic() + CONNECT_S
                while not selector.select(CONNECT_STEP_S):
                    self._go_on()
                    if time.monotonic() >= until_s:
                        raise TransferError("The host does not answer.")
            if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            undo.pop_all()
        return sock

    @contextlib.contextmanager
    def _connected(self, cap: int) -> Iterator[_Line]:
        """A connection on which the host has introduced itself; what goes wrong in here is a TransferError."""
        try:
            self._go_on()
            with _in_words("host"), self._connect() as sock:
                with self._lock:
                    self._go_on()
                    self._sock = sock
                try:
                    prepare(sock)
                    line = _Line(sock, "host", cap)
                    if not isinstance(message := line.hear(), SessionInfo):
                        raise line.unexpected(message)
                    line.received_bytes = 0
                    yield line
                finally:
                    with self._lock:
                        self._sock = None
        except ProtocolError as error:
            raise TransferError(f"The host broke the protocol: {error}") from None
        except TransferError:
            if self._cancelled:
                raise TransferError("The transfer was cancelled.") from None
            raise


class Fetch(_Errand):
    """One try to get a file, from the cache or from the host; `run` in a worker thread, `cancel` from anywhere."""

    def __init__(self, track: Track, address: tuple[str, int], peer_id: int, token: bytes) -> None:
        super().__init__(address, peer_id, token)
        self.track = track

    def run(self, cache: FileCache) -> pathlib.Path:
        """The file, whole and right; PhaseLockError (TransferError) says why not."""
        self._go_on()
        with _in_words("host"):
            if path := cache.find(self.track.sha256):
                return path
            with cache.begin(self.track.sha256, self.track.size) as partial:
                if not partial.complete:
                    self._receive(partial)
                if path := partial.finish():
                    return path
        raise TransferError("The file arrived damaged.")

    def _receive(self, partial: PartialFile) -> None:
        file_id = self.track.file_id
        with self._connected(SESSION_CAP) as line:
            line.sock.sendall(frame(FileRequest(self._peer_id, self._token, file_id, partial.offset)))
            while not partial.complete:
                match message := line.hear(acknowledge=True):
                    case FileChunk() if (message.file_id, message.offset) == (file_id, partial.offset):
                        partial.write(message.data)
                    case _:
                        raise line.unexpected(message)


class Upload(_Errand):
    """One try to give the host a song that it has accepted; `run` in a worker thread, `cancel` from anywhere."""

    def __init__(
        self,
        request_id: UUID,
        path: pathlib.Path,
        size: int,
        sha256: bytes,
        address: tuple[str, int],
        peer_id: int,
        token: bytes,
    ) -> None:
        super().__init__(address, peer_id, token)
        self.request_id = request_id
        self._path, self._size, self._sha256 = path, size, sha256

    def run(self, report: Callable[[int], None]) -> None:
        """Returns when the host has the song and found it right; PhaseLockError (TransferError) says why not.

        `report` hears how far it is now and then and at the end.
        """
        with self._connected(GREETING_CAP) as line:
            line.sock.sendall(frame(SongUploadStart(self._peer_id, self._token, self.request_id, self._sha256)))
            match message := line.hear():
                case SongUploadFrom(offset) if offset <= self._size:
                    complete = frame(SongUploadComplete(self.request_id, self._sha256))
                    _send(line, self._path, self._path.name, self._size, offset, self._chunk, complete, report)
                case _:
                    raise line.unexpected(message)
            if message := line.hear():
                raise line.unexpected(message)
            self._go_on()  # being cancelled ends the connection like a host that is content

    def _chunk(self, offset: int, data: bytes) -> Message:
        return SongUploadChunk(self.request_id, offset, data)


class _Line:
    """What comes in on one connection, from the `other` side."""

    def __init__(self, sock: socket.socket, other: str, cap: int) -> None:
        self.sock, self.other = sock, other
        self.received_bytes = 0
        self._framer = Framer(cap)
        self._buffer = memoryview(bytearray(READ_BYTES if cap > GREETING_CAP else GREETING_CAP))
        self._inbox = collections.deque[Message]()

    def take(self) -> bool:
        """Read once; False at the end of the stream."""
        got = self.sock.recv_into(self._buffer)
        self.received_bytes += got
        self._inbox += self._framer.feed(self._buffer[:got])
        return got > 0

    def waiting(self) -> Message | None:
        """The next message that has been read; TransferError for a refusal."""
        message = self._inbox.popleft() if self._inbox else None
        if isinstance(message, FileRefused):
            raise TransferError(f"The {self.other} refused: {message.reason}")
        return message

    def hear(self, *, acknowledge: bool = False) -> Message | None:
        """The next message, waited for, or None at the end of the stream."""
        while not self._inbox and self.take():
            if acknowledge and self._inbox:
                # A sender that has gone does not hear it; what it left behind is still here to be read.
                with contextlib.suppress(ConnectionError):
                    self.sock.sendall(frame(BulkProgress(self.received_bytes)))
        return self.waiting()

    def unexpected(self, message: Message | None) -> Exception:
        """Why this message, or the end of the stream, is wrong here."""
        if message is None:
            return TransferError(f"The {self.other} ended the transfer.")
        return ProtocolError(f"{type(message).__name__} out of place")


class _Reports:
    """Tells now and then how far it is."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._at_s = time.monotonic() + REPORT_EVERY_S

    def __call__(self, offset: int, *, last: bool = False) -> None:
        if last or time.monotonic() >= self._at_s:
            self._report(offset)
            self._at_s = time.monotonic() + REPORT_EVERY_S


@contextlib.contextmanager
def _in_words(other: str) -> Iterator[None]:
    """Operating system errors in here are a TransferError."""
    try:
        yield
    except TimeoutError:
        raise TransferError("The transfer stood still.") from None
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        raise TransferError(f"The {other} ended the transfer.") from None
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise TransferError(
            "The disk is full." if full else f"The transfer failed: {error.strerror or error}"
        ) from None


def _take_upload(
    line: _Line,
    start: SongUploadStart,
    offset: int,
    size: int,
    write: Callable[[bytes], None],
    report: Callable[[int], None],
) -> None:
    reports = _Reports(report)
    line.sock.sendall(frame(SongUploadFrom(offset)))
    while True:
        match message := line.hear(acknowledge=True):
            case SongUploadChunk(request_id, at, data) if (request_id, at) == (
                start.request_id,
                offset,
            ) and offset + len(data) <= size:
                write(data)
                offset += len(data)
                reports(offset)
            case SongUploadComplete() if offset == size and message == SongUploadComplete(
                start.request_id, start.sha256
            ):
                return reports(size, last=True)
            case _:
                raise line.unexpected(message)


def _send(
    line: _Line,
    path: pathlib.Path,
    name: str,
    size: int,
    offset: int,
    chunk: Callable[[int, bytes], Message],
    closing: bytes,
    report: Callable[[int], None],
) -> None:
    """The file from `offset` on in frames of chunks, and the `closing` frame, all of it acknowledged."""
    sock, pace, reports = line.sock, Pace(), _Reports(report)
    outgoing = memoryview(b"")
    with _opened(path, name, size) as file, selectors.DefaultSelector() as selector:
        file.seek(offset)
        selector.register(sock, selectors.EVENT_READ)
        sock.setblocking(False)
        moved_ns = _now_ns()
        try:
            while offset < size or closing or outgoing or pace.unacknowledged_bytes:
                now_ns = _now_ns()
                if not outgoing and (room := pace.may_send(now_ns)) and (offset < size or closing):
                    if offset < size:
                        try:
                            data = file.read(min(room, CHUNK_BYTES, size - offset))
                        except OSError as error:
                            raise _unreadable(name, error) from None
                        if not data:
                            raise PhaseLockError(_CHANGED.format(name))
                        outgoing = memoryview(frame(chunk(offset, data)))
                        offset += len(data)
                    else:
                        outgoing, closing = memoryview(closing), b""
                    pace.sent(len(outgoing), now_ns)
                moved = False
                with contextlib.suppress(BlockingIOError):
                    if outgoing:
                        outgoing = outgoing[sock.send(outgoing) :]
                        moved = True
                with contextlib.suppress(BlockingIOError):
                    if not line.take():
                        raise ConnectionResetError(errno.ECONNRESET, f"the {line.other} has gone")
                    moved = True
                while message := line.waiting():
                    if not isinstance(message, BulkProgress):
                        raise line.unexpected(message)
                    pace.acknowledged(message.received_bytes, _now_ns())
                if moved:
                    moved_ns = _now_ns()
                    reports(offset)
                else:
                    _wait(selector, sock, bool(outgoing), pace.wake_at_ns, moved_ns)
        finally:
            sock.settimeout(STALL_S)
    reports(size, last=True)


def _wait(
    selector: selectors.BaseSelector, sock: socket.socket, to_write: bool, wake_at_ns: int | None, moved_ns: int
) -> None:
    """Until something can be read, or written if there is something, or it is time; TimeoutError after a stall."""
    now_ns, lost_at_ns = _now_ns(), moved_ns + int(STALL_S * 1e9)
    if now_ns >= lost_at_ns:
        raise TimeoutError(errno.ETIMEDOUT, "nothing moved")
    selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if to_write else 0))
    until_ns = min(lost_at_ns, wake_at_ns or lost_at_ns)
    selector.select(max(until_ns - now_ns, 0) / 1e9)


@contextlib.contextmanager
def _opened(path: pathlib.Path, name: str, size: int) -> Iterator[io.FileIO]:
    try:
        file = io.FileIO(path)
    except OSError as error:
        raise _unreadable(name, error) from None
    with file:
        if os.fstat(file.fileno()).st_size != size:
            raise PhaseLockError(_CHANGED.format(name))
        yield file


def _unreadable(name: str, error: OSError) -> PhaseLockError:
    return PhaseLockError(f"{name} cannot be read: {error.strerror}")
