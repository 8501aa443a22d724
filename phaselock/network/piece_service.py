"""Sends pieces of files: the side of the host, and of a peer that passes on what it has. Runs in worker threads."""

from __future__ import annotations

import collections
import pathlib
import threading
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from phaselock.errors import PhaseLockError
from phaselock.language.message import N_
from phaselock.model.pieces import HashTree, piece_count, piece_span
from phaselock.network.file_connection import FileConnection
from phaselock.network.transfer import PEER, Sender, Stream
from phaselock.protocol import messages as m
from phaselock.protocol.framing import GREETING_CAP, frame
from phaselock.protocol.messages import CHUNK_BYTES, FileChunk, PieceRequest, PieceStart
from phaselock.storage.hashing import hash_tree

MAX_WAITING = 32
"""Most pieces that a peer may have asked for at once on one connection."""
NO_PIECE = N_("There is no such piece for you here.")


class Pieces(Protocol):
    """A file of which pieces are here. For any thread."""

    size: int

    def read(self, piece: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The bytes of a piece, and the hashes that lead to the root. LookupError if it is not here, OSError or
        ValueError if it cannot be read."""


Find = Callable[[PieceRequest], Pieces | None]
"""Returns the file of a request; None if the peer may not fetch it. Blocks."""


class WholeFile:
    """Pieces of a file that is complete. Its hash tree is made when it is needed first."""

    def __init__(self, path: pathlib.Path, size: int, tree: HashTree | None = None) -> None:
        self.size = size
        self._path = path
        self._lock = threading.Lock()
        self._tree = tree

    def tree(self) -> HashTree:
        """The hash tree. OSError if the file cannot be read, ValueError if it has another size."""
        with self._lock:
            if self._tree is None:
                self._tree = hash_tree(self._path, self.size)
            return self._tree

    def read(self, piece: int) -> tuple[bytes, tuple[bytes, ...]]:
        offset, length = piece_span(self.size, piece)
        with self._path.open("rb", buffering=0) as file:
            file.seek(offset)
            data = file.read(length)
        return data, self.tree().proof(piece)


def send_pieces(connection: FileConnection, first: PieceRequest, find: Find, session_ns: int | None) -> None:
    """Send the piece of `first`, and all that the peer asks for afterwards, until it is gone or silent.

    `session_ns`: see Sender. PhaseLockError if it asks for what it may not have, or what cannot be read: it is told.
    OSError if the connection is lost or nothing moves any more; ProtocolError if the peer breaks the protocol.
    """
    frames = _PieceFrames(find)
    try:
        frames.take(first)
        Sender(Stream(connection, PEER, GREETING_CAP), frames, lambda sent_bytes: None, session_ns).run()
    except PhaseLockError as error:
        connection.refuse(str(error))
        raise


class _PieceFrames:
    """The frames of the pieces that a peer asks for."""

    size = offset = 0
    finished = False

    def __init__(self, find: Find) -> None:
        self._find = find
        self._requests = collections.deque[PieceRequest]()
        self._found: dict[tuple[UUID, int, bytes], Pieces] = {}
        """The files that the peer may fetch here."""
        self._request: PieceRequest | None = None
        """What is sent now."""
        self._rest, self._offset = memoryview(b""), 0
        """What is left of it, and its place in the file."""

    @property
    def waiting(self) -> bool:
        return not self._rest and not self._requests

    def take(self, message: m.Message) -> bool:
        if not isinstance(message, PieceRequest) or len(self._requests) >= MAX_WAITING:
            return False
        self._requests.append(message)
        return True

    def next(self, max_bytes: int) -> bytes:
        if not self._rest:
            return self._begin(self._requests.popleft())
        assert self._request is not None
        part = bytes(self._rest[: min(max_bytes, CHUNK_BYTES)])
        chunk = FileChunk(self._request.file_id, self._offset, part)
        self._rest, self._offset = self._rest[len(part) :], self._offset + len(part)
        return frame(chunk)

    def _begin(self, request: PieceRequest) -> bytes:
        key = request.file_id, request.peer_id, request.proof
        pieces = self._found.get(key) or self._find(request)
        if pieces is None or request.piece >= piece_count(pieces.size):
            raise PhaseLockError(NO_PIECE)
        self._found[key] = pieces
        try:
            data, path = pieces.read(request.piece)
        except (LookupError, OSError, ValueError):
            raise PhaseLockError(NO_PIECE) from None
        self._request, self._rest = request, memoryview(data)
        self._offset, _ = piece_span(pieces.size, request.piece)
        return frame(PieceStart(request.file_id, request.piece, path))
