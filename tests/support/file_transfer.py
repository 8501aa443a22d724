"""A song, both sides of its transfer, and a host that runs a script."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import random
import selectors
import socket
import threading
import uuid
from collections.abc import Callable, Iterator

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network import transfer
from phaselock.network.file_connection import FileConnection
from phaselock.network.secure import PlainChannel, SecureChannel
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import SESSION_CAP, Framer, frame
from phaselock.protocol.messages import BulkProgress, FileRequest, Message, SessionInfo, SongUploadStart
from phaselock.protocol.proof import FETCH, UPLOAD, membership_proof
from phaselock.storage.cache import FileCache
from tests.support.identity import IDENTITY

DATA = random.Random(1).randbytes(300_001)
HASH = hashlib.sha256(DATA).digest()
TOKEN = b"t" * 16
FETCH_PROOF = membership_proof(TOKEN, FETCH, IDENTITY.host_key)
REQUEST_ID = uuid.UUID(int=9)
START = SongUploadStart(3, membership_proof(TOKEN, UPLOAD, IDENTITY.host_key), REQUEST_ID, HASH)
TIMEOUT_S = 30

Script = Callable[["Line", "FileRequest | SongUploadStart"], None]
Pair = tuple[socket.socket, socket.socket]


class Line:
    """The host's end of an encrypted connection, as a socket."""

    def __init__(self, connection: FileConnection) -> None:
        self.connection = connection

    def sendall(self, data: bytes) -> None:
        self.connection.send_all(data)

    def recv(self, max_bytes: int) -> bytes:
        buffer = memoryview(bytearray(max_bytes))
        while True:
            try:
                return bytes(buffer[: self.connection.read(buffer)])
            except BlockingIOError:
                self.connection.wait(selectors.EVENT_READ)

    def settimeout(self, _: float) -> None: ...


class Host:
    """Accepts file connections, sends SessionInfo as a host does, and then runs the script. The first `turned_away`
    connections are closed at once."""

    def __init__(self, script: Callable[..., None], turned_away: int = 0) -> None:
        self._turned_away = turned_away
        self.requests: list[Message] = []
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._over = False

    def __enter__(self) -> tuple[Host, tuple[str, int]]:
        self._thread.start()
        return self, self._listener.getsockname()

    def __exit__(self, *_: object) -> None:
        self._over = True
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(TIMEOUT_S)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over:
            sock, _ = self._listener.accept()
            if self._turned_away:
                self._turned_away -= 1
                sock.close()
                continue
            with sock, contextlib.suppress(OSError, PhaseLockError, ProtocolError):
                line = Line(FileConnection(sock, PlainChannel()))
                line.connection.handshake(SecureChannel(IDENTITY))
                line.sendall(frame(SessionInfo(1, bytes(16), "Jam", "Host", (), 5)))
                framer, messages = Framer(SESSION_CAP), list[Message]()
                while not messages and (data := line.recv(4096)):
                    messages += framer.feed(data)
                if messages:
                    self.requests.append(messages[0])
                    self._script(line, messages[0])


def nothing(_: object) -> None:
    pass


def access(address: tuple[str, int]) -> transfer.Access:
    return transfer.Access(address, IDENTITY.host_key, 3, TOKEN)


def fetch(track: Track, address: tuple[str, int]) -> transfer.Fetch:
    return transfer.Fetch(track, access(address))


def upload(song: pathlib.Path, address: tuple[str, int]) -> transfer.Upload:
    return transfer.Upload(REQUEST_ID, song, len(DATA), HASH, access(address))


def serve(track: Track, path: pathlib.Path) -> Script:
    return lambda line, request: transfer.send_file(line.connection, track, path, request.offset, nothing)


def take(cache: FileCache) -> Script:
    return lambda line, start: transfer.receive_upload(line.connection, start, len(DATA), cache, nothing)


def listen(sock: socket.socket | Line, *, read_bytes: int = 1 << 20, acknowledge: bool = True) -> Iterator[Message]:
    """The received messages; each one is acknowledged, as a receiver does. Windows resets a connection that the sender
    closes before it has read all of them."""
    sock.settimeout(TIMEOUT_S)
    framer, received = Framer(SESSION_CAP), 0
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(read_bytes):
            received += len(data)
            messages = list(framer.feed(data))
            if messages and acknowledge:
                with contextlib.suppress(ConnectionError):  # the sender may be gone already
                    sock.sendall(frame(BulkProgress(received)))
            yield from messages


def arrive(cache: FileCache, size: int) -> None:
    """Put the beginning of the song into the cache."""
    with cache.begin(HASH, len(DATA)) as partial:
        partial.write(DATA[:size])
