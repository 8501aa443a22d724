"""File transfer: each file has its own TCP connection. Everything here blocks and runs in worker threads.

The receiver acknowledges (`BulkProgress`) the bytes it has received since the greeting, after each complete frame. The
sender's congestion window (congestion.py) follows these acknowledgements.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import pathlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol
from uuid import UUID

from phaselock.errors import CHANGED, PhaseLockError, message_of, system_text
from phaselock.frozen import frozen
from phaselock.language.message import N_, Message
from phaselock.model.address import for_resolver
from phaselock.model.types import Track
from phaselock.network.congestion import CongestionWindow
from phaselock.network.file_connection import FileConnection
from phaselock.network.reach import Place, use_small_segments
from phaselock.network.secure import PlainChannel, SecureChannel
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import (
    CHUNK_BYTES,
    BulkProgress,
    FileChunk,
    FileRefused,
    FileRequest,
    SessionInfo,
    SongUploadChunk,
    SongUploadComplete,
    SongUploadFrom,
    SongUploadStart,
)
from phaselock.protocol.proof import FETCH, UPLOAD, membership_proof
from phaselock.storage.cache import FileCache, PartialFile

TIMEOUT_CONNECT_S = 5.0
POLL_CONNECT_S = 0.05
"""Poll interval for cancellation while connecting."""
_TURNED_AWAY_S = (0.3, 1.0)
"""Pauses before the next attempts to connect to a host that has too many connections."""
REPORT_EVERY_S = 0.2
READ_BYTES = 256 * 1024
"""Size of the read buffer: longer than the longest frame of a chunk."""
_ENDED = N_("{other} ended the transfer.")
_LARGE_PACKETS = N_(
    "Nothing of it arrives, although the host answers. A VPN or a router loses large packets: switch the VPN off, or "
    "lower its MTU."
)
HOST, PEER = Message("The host"), Message("The peer")
"""Subjects of the sentences about the other side."""
_now_ns = time.perf_counter_ns  # time.monotonic has steps of 16 ms in some versions of Python for Windows


class TransferError(PhaseLockError):
    """A file did not arrive. The text is the reason, for users."""


class _TurnedAwayError(TransferError):
    """The host has closed the connection before its greeting."""


def send_file(
    connection: FileConnection,
    track: Track,
    path: pathlib.Path,
    offset: int,
    report: Callable[[int], None],
    session_ns: int | None = None,
) -> None:
    """Send the file from the byte `offset` on; return when the peer has acknowledged all of it.

    `report` is called with the number of bytes sent so far, every REPORT_EVERY_S and at the end. `session_ns`: see
    Sender. PhaseLockError if the file has changed, cannot be read or is refused; OSError if the connection is lost or
    stalls; ProtocolError if the peer breaks the protocol.
    """

    def chunk(offset: int, data: bytes) -> m.Message:
        return FileChunk(track.file_id, offset, data)

    with _opened(path, track.file_name, track.size) as file:
        frames = _FileFrames(file, track.file_name, track.size, track.sha256, offset, chunk)
        Sender(Stream(connection, PEER, GREETING_CAP), frames, report, session_ns).run()


def receive_upload(
    connection: FileConnection, start: SongUploadStart, size: int, cache: FileCache, report: Callable[[int], None]
) -> pathlib.Path:
    """Receive the song that `start` announces into the cache and return its path; its size and hash are checked.

    `report` is called with the number of bytes received so far, every REPORT_EVERY_S and at the end. TransferError if
    the connection is lost, the file is damaged or there is no space; the other side gets the same reason.
    ProtocolError if the peer breaks the protocol.
    """
    stream = Stream(connection, PEER, SESSION_CAP)
    try:
        with as_transfer_errors(PEER):
            if (path := cache.find(start.sha256)) and path.stat().st_size == size:
                _receive_chunks(stream, start, size, size, lambda data: None, report)
                return path
            with cache.begin(start.sha256, size) as partial:
                _receive_chunks(stream, start, partial.offset, size, partial.write, report)
                if path := partial.finish():
                    return path
            raise TransferError("The file arrived damaged.")
    except PhaseLockError as error:
        with contextlib.suppress(OSError):
            connection.refuse(str(error))
        raise TransferError(error.message) from None


@frozen
class Access:
    """How a peer gets files from its host."""

    address: Place
    """Numeric."""
    host_key: bytes
    """SHA-256 of the host's certificate."""
    peer_id: int
    token: bytes = dataclasses.field(repr=False)

    def proof(self, purpose: bytes) -> bytes:
        """The proof of the membership for one of the purposes in protocol/proof.py."""
        return membership_proof(self.token, purpose, self.host_key)


class Transfer:
    """One connection to the host for one file: `run` in a worker thread, `cancel` from any thread."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._connection: FileConnection | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Make `run` end soon with a TransferError."""
        with self._lock:
            self._cancelled = True
            if self._connection:
                self._connection.end()

    def _check_cancelled(self) -> None:
        """Raise TransferError if `cancel` was called."""
        if self._cancelled:
            raise TransferError("The transfer was cancelled.")

    def _connect(self) -> FileConnection:
        """Connect to the address, which is numeric. Not a blocking `connect`: not every system can interrupt one."""
        host, port = self._access.address
        family, kind, protocol, _, address = socket.getaddrinfo(
            for_resolver(host), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            sock.setblocking(False)
            use_small_segments(sock)
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_WRITE)
                until_s = time.monotonic() + TIMEOUT_CONNECT_S
                while not selector.select(POLL_CONNECT_S):
                    self._check_cancelled()
                    if time.monotonic() >= until_s:
                        raise TransferError("The host does not answer.")
            if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, system_text(error))
            connection = FileConnection(sock, PlainChannel())
            undo.pop_all()
        return connection

    @contextlib.contextmanager
    def connected(self, cap: int) -> Iterator[Stream]:
        """A connection on which the host has sent its greeting. Errors in the block become TransferErrors."""
        try:
            self._check_cancelled()
            with as_transfer_errors(HOST):
                stream = self._greeted(cap)
                with contextlib.closing(stream.connection):
                    stream.received_bytes = 0
                    yield stream
        except ProtocolError as error:
            raise TransferError("The host broke the protocol: {detail}", detail=str(error)) from None
        except TransferError:
            if self._cancelled:
                raise TransferError("The transfer was cancelled.") from None
            raise
        finally:
            with self._lock:
                self._connection = None

    def _greeted(self, cap: int) -> Stream:
        """Connect, and wait for the greeting. A host with too many connections closes this one before: try again."""
        for pause_s in _TURNED_AWAY_S:
            with contextlib.suppress(_TurnedAwayError):
                return self._greeting(cap)
            until_s = time.monotonic() + pause_s
            while time.monotonic() < until_s:
                self._check_cancelled()
                time.sleep(POLL_CONNECT_S)
        return self._greeting(cap)

    def _greeting(self, cap: int) -> Stream:
        connection = self._connect()
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            with self._lock:
                self._check_cancelled()
                self._connection = connection
            stream = Stream(connection, HOST, cap)
            message, channel = None, SecureChannel()
            with contextlib.suppress(ConnectionError):
                connection.handshake(channel)
                if channel.host_key != self._access.host_key:
                    raise TransferError("Another machine answers at the host's address.")
                message = stream.receive()
            if message is None:
                raise _TurnedAwayError(_ENDED, other=HOST)
            if not isinstance(message, SessionInfo):
                raise stream.unexpected(message)
            undo.pop_all()
        return stream


class Fetch(Transfer):
    """One attempt to get a file, from the cache or from the host."""

    def __init__(self, track: Track, access: Access) -> None:
        super().__init__(access)
        self.track = track

    def run(self, cache: FileCache) -> pathlib.Path:
        """Get the file into the cache, check its size and hash, and return its path. TransferError if it does not
        arrive or is damaged, PhaseLockError if the cache cannot store it."""
        self._check_cancelled()
        with as_transfer_errors(HOST):
            if path := cache.find(self.track.sha256):
                return path
            with cache.begin(self.track.sha256, self.track.size, announced=True) as partial:
                if not partial.complete:
                    self._receive(partial)
                if path := partial.finish():
                    return path
        raise TransferError("The file arrived damaged.")

    def _receive(self, partial: PartialFile) -> None:
        file_id = self.track.file_id
        with self.connected(SESSION_CAP) as stream:
            stream.connection.send_all(
                frame(FileRequest(self._access.peer_id, self._access.proof(FETCH), file_id, partial.offset))
            )
            while not partial.complete:
                match message := self._next(stream):
                    case FileChunk() if (message.file_id, message.offset) == (file_id, partial.offset):
                        partial.write(message.data)
                    case _:
                        raise stream.unexpected(message)

    def _next(self, stream: Stream) -> m.Message | None:
        try:
            return stream.receive(acknowledge=True)
        except TimeoutError:
            if stream.received_bytes:
                raise
            raise TransferError(_LARGE_PACKETS) from None


class Upload(Transfer):
    """One attempt to send the host a song that it has accepted."""

    def __init__(self, request_id: UUID, path: pathlib.Path, size: int, sha256: bytes, access: Access) -> None:
        super().__init__(access)
        self.request_id = request_id
        self._path, self._size, self._sha256 = path, size, sha256

    def run(self, report: Callable[[int], None]) -> None:
        """Send the song; return when the host has received and checked it.

        `report` is called with the number of bytes sent so far, every REPORT_EVERY_S and at the end. TransferError if
        the host does not take it, PhaseLockError if the file has changed or cannot be read.
        """
        with self.connected(GREETING_CAP) as stream:
            stream.connection.send_all(
                frame(SongUploadStart(self._access.peer_id, self._access.proof(UPLOAD), self.request_id, self._sha256))
            )
            match message := stream.receive():
                case SongUploadFrom(offset) if offset <= self._size:
                    self._send(stream, offset, report)
                case _:
                    raise stream.unexpected(message)
            if message := stream.receive():
                raise stream.unexpected(message)
            self._check_cancelled()  # the host closes the connection after a success, `cancel` does it too

    def _send(self, stream: Stream, offset: int, report: Callable[[int], None]) -> None:
        closing = frame(SongUploadComplete(self.request_id, self._sha256))
        with _opened(self._path, self._path.name, self._size) as file:
            frames = _FileFrames(file, self._path.name, self._size, self._sha256, offset, self._chunk, closing)
            Sender(stream, frames, report).run()

    def _chunk(self, offset: int, data: bytes) -> m.Message:
        return SongUploadChunk(self.request_id, offset, data)


class Stream:
    """Messages received on one connection. `other` names the other side in error messages."""

    def __init__(self, connection: FileConnection, other: Message, cap: int) -> None:
        self.connection, self.other = connection, other
        self.received_bytes = 0
        self._framer = Framer(cap)
        self._buffer = memoryview(bytearray(READ_BYTES if cap > GREETING_CAP else GREETING_CAP))
        self._inbox = collections.deque[m.Message]()

    def read(self) -> bool:
        """Read once; False at the end of the stream. BlockingIOError if there is nothing."""
        got = self.connection.read(self._buffer)
        self.received_bytes += got
        self._inbox += self._framer.feed(self._buffer[:got])
        return got > 0

    def next_message(self) -> m.Message | None:
        """The next message that was read, or None. TransferError for a refusal of the host; a peer refuses nothing."""
        message = self._inbox.popleft() if self._inbox else None
        if isinstance(message, FileRefused):
            if self.other is not HOST:
                raise self.unexpected(message)
            raise TransferError("The host refused: {reason}", reason=Message(message.reason))
        return message

    def receive(self, *, acknowledge: bool = False) -> m.Message | None:
        """Wait for the next message; None at the end of the stream."""
        while not self._inbox:
            try:
                if not self.read():
                    break
            except BlockingIOError:
                self.connection.wait(selectors.EVENT_READ)
            if acknowledge and self._inbox:
                # The sender may have closed already; its last messages can still be read.
                with contextlib.suppress(ConnectionError):
                    self.connection.send_all(frame(BulkProgress(self.received_bytes)))
        return self.next_message()

    def unexpected(self, message: m.Message | None) -> Exception:
        """The error for a message that is wrong here, or (None) for the end of the stream."""
        if message is None:
            return TransferError(_ENDED, other=self.other)
        return ProtocolError(f"{type(message).__name__} out of place")


class _ProgressReports:
    """Calls `report` with the progress in bytes, at most every REPORT_EVERY_S."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._at_s = time.monotonic() + REPORT_EVERY_S

    def __call__(self, offset: int, *, last: bool = False) -> None:
        if last or time.monotonic() >= self._at_s:
            self._report(offset)
            self._at_s = time.monotonic() + REPORT_EVERY_S


@contextlib.contextmanager
def as_transfer_errors(other: Message) -> Iterator[None]:
    """Turn OSErrors of the block into TransferErrors with a sentence for users."""
    try:
        yield
    except TimeoutError:
        raise TransferError("The transfer stood still.") from None
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        raise TransferError(_ENDED, other=other) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TransferError("The disk is full.") from None
        raise TransferError("The transfer failed: {reason}", reason=message_of(error)) from None


def _receive_chunks(
    stream: Stream,
    start: SongUploadStart,
    offset: int,
    size: int,
    write: Callable[[bytes], None],
    report: Callable[[int], None],
) -> None:
    reports = _ProgressReports(report)
    stream.connection.send_all(frame(SongUploadFrom(offset)))
    while True:
        match message := stream.receive(acknowledge=True):
            case SongUploadChunk(request_id, at, data) if (
                request_id == start.request_id and at == offset and offset + len(data) <= size
            ):
                write(data)
                offset += len(data)
                reports(offset)
            case SongUploadComplete(request_id, sha256) if (
                request_id == start.request_id and sha256 == start.sha256 and offset == size
            ):
                return reports(size, last=True)
            case _:
                raise stream.unexpected(message)


class _FileFrames:
    """Frames of an open file: its chunks from `offset` on, then the `closing` frame if there is one."""

    def __init__(
        self,
        file: io.FileIO,
        name: str,
        size: int,
        sha256: bytes,
        offset: int,
        chunk: Callable[[int, bytes], m.Message],
        closing: bytes = b"",
    ) -> None:
        """`name` is for error messages. `chunk` makes the message of one chunk from its offset and its bytes.
        PhaseLockError if the file cannot be read."""
        self._sha256, self._hash = sha256, hashlib.sha256()
        try:
            while (place := file.tell()) < offset and (data := file.read(min(READ_BYTES, offset - place))):
                self._hash.update(data)
        except OSError as error:
            raise _unreadable(name, error) from None
        self.size, self.offset = size, offset
        self._file, self._name = file, name
        self._chunk, self._closing = chunk, closing

    @property
    def finished(self) -> bool:
        """True when `next` has returned everything."""
        return self.offset >= self.size and not self._closing

    @property
    def waiting(self) -> bool:
        """True while `next` has nothing to return, but will have."""
        return False

    def take(self, message: m.Message) -> bool:
        """A message of the receiver that is no BulkProgress. False if it is out of place."""
        return False

    def next(self, max_bytes: int) -> bytes:
        """The next frame, with at most `max_bytes` of the file. PhaseLockError if the file cannot be read, and before
        the last frame if its hash is another one now."""
        if self.offset >= self.size:
            closing, self._closing = self._closing, b""
            return closing
        try:
            data = self._file.read(min(max_bytes, CHUNK_BYTES, self.size - self.offset))
        except OSError as error:
            raise _unreadable(self._name, error) from None
        self._hash.update(data)
        last = self.offset + len(data) >= self.size
        if not data or (last and self._hash.digest() != self._sha256):
            raise PhaseLockError(CHANGED, file_name=self._name)
        data_frame = frame(self._chunk(self.offset, data))
        self.offset += len(data)
        return data_frame


class Frames(Protocol):
    """What a Sender sends: see `_FileFrames`."""

    size: int
    offset: int

    @property
    def finished(self) -> bool: ...

    @property
    def waiting(self) -> bool: ...

    def next(self, max_bytes: int) -> bytes: ...

    def take(self, message: m.Message) -> bool: ...


class Sender:
    """Sends frames within the congestion window until the receiver has acknowledged all of them."""

    def __init__(
        self, stream: Stream, frames: Frames, report: Callable[[int], None], session_ns: int | None = None
    ) -> None:
        """`session_ns`: session time now; None: unknown. All machines pause at the same session time (congestion.py),
        so that the queue in front of a port that several of them send to really becomes empty."""
        self._stream, self._frames = stream, frames
        self._ahead_ns = 0 if session_ns is None else session_ns - _now_ns()
        self._window, self._reports = CongestionWindow(), _ProgressReports(report)
        self._unwritten = memoryview(b"")

    def run(self) -> None:
        """Send everything. TimeoutError after a stall, OSError if the connection is lost, ProtocolError for a wrong
        acknowledgement, TransferError for a refusal, PhaseLockError if the file cannot be read."""
        while not self._finished():
            self._fill()
            wrote, read = self._write(), self._read()
            if wrote or read:
                self._reports(self._frames.offset)
            else:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unwritten else 0)
                wake_at_ns = self._window.wake_at_ns
                self._stream.connection.wait(events, None if wake_at_ns is None else wake_at_ns - self._ahead_ns)
        self._reports(self._frames.size, last=True)

    def _finished(self) -> bool:
        return self._frames.finished and not self._unwritten and not self._window.unacknowledged_bytes

    def _fill(self) -> None:
        """Take the next frame if the last one is written and the window allows another one."""
        if self._unwritten or self._frames.finished or self._frames.waiting:
            return
        now_ns = _now_ns() + self._ahead_ns
        if max_bytes := self._window.may_send(now_ns):
            self._unwritten = memoryview(self._frames.next(max_bytes))
            self._window.sent(len(self._unwritten), now_ns)

    def _write(self) -> bool:
        """Write what the socket takes; True if it took something."""
        if self._unwritten:
            with contextlib.suppress(BlockingIOError):
                self._unwritten = self._unwritten[self._stream.connection.write(self._unwritten) :]
                return True
        return False

    def _read(self) -> bool:
        """Read the acknowledgements that have arrived; True if there was something to read."""
        read = False
        with contextlib.suppress(BlockingIOError):
            if not self._stream.read():
                raise ConnectionResetError(errno.ECONNRESET, "the other side has gone")
            read = True
        while message := self._stream.next_message():
            if isinstance(message, BulkProgress):
                self._window.acknowledged(message.received_bytes, _now_ns() + self._ahead_ns)
            elif not self._frames.take(message):
                raise self._stream.unexpected(message)
        return read


@contextlib.contextmanager
def _opened(path: pathlib.Path, name: str, size: int) -> Iterator[io.FileIO]:
    try:
        file = io.FileIO(path)
    except OSError as error:
        raise _unreadable(name, error) from None
    with file:
        if os.fstat(file.fileno()).st_size != size:
            raise PhaseLockError(CHANGED, file_name=name)
        yield file


def _unreadable(name: str, error: OSError) -> PhaseLockError:
    return PhaseLockError("{file_name} cannot be read: {reason}", file_name=name, reason=message_of(error))
