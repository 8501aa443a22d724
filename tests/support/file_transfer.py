"""A song, both sides of its transfer, and a host that runs a script."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import random
import socket
import threading
import uuid
from collections.abc import Callable, Iterator

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network import transfer
from phaselock.network.file_connection import FileConnection
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import SESSION_CAP, Framer, frame
from phaselock.protocol.messages import BulkProgress, FileRequest, Message, SessionInfo, SongUploadStart
from phaselock.storage.cache import FileCache

DATA = random.Random(1).randbytes(300_001)
HASH = hashlib.sha256(DATA).digest()
TOKEN = b"t" * 16
REQUEST_ID = uuid.UUID(int=9)
START = SongUploadStart(3, TOKEN, REQUEST_ID, HASH)
TIMEOUT_S = 30

Script = Callable[[socket.socket, "FileRequest | SongUploadStart"], None]
Pair = tuple[socket.socket, socket.socket]


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
                sock.sendall(frame(SessionInfo(1, bytes(16), "Jam", "Host", (), 5)))
                framer, messages = Framer(SESSION_CAP), list[Message]()
                while not messages and (data := sock.recv(4096)):
                    messages += framer.feed(data)
                if messages:
                    self.requests.append(messages[0])
                    self._script(sock, messages[0])


def nothing(_: object) -> None:
    pass


def fetch(track: Track, address: tuple[str, int]) -> transfer.Fetch:
    return transfer.Fetch(track, address, 3, TOKEN)


def upload(song: pathlib.Path, address: tuple[str, int]) -> transfer.Upload:
    return transfer.Upload(REQUEST_ID, song, len(DATA), HASH, address, 3, TOKEN)


def serve(track: Track, path: pathlib.Path) -> Script:
    return lambda sock, request: transfer.send_file(FileConnection(sock), track, path, request.offset, nothing)


def take(cache: FileCache) -> Script:
    return lambda sock, start: transfer.receive_upload(FileConnection(sock), start, len(DATA), cache, nothing)


def listen(sock: socket.socket, *, read_bytes: int = 1 << 20, acknowledge: bool = True) -> Iterator[Message]:
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
