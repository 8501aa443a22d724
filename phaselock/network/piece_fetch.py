"""Files that arrive in pieces, from the host and from other peers. The connections run in worker threads."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import threading
from collections.abc import Callable
from typing import TypeAlias

from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.model.pieces import HashTree, is_proof, leaf_hash, piece_count, piece_span
from phaselock.model.types import Track
from phaselock.network.piece_service import WholeFile
from phaselock.network.transfer import Access, Stream, Transfer, TransferError
from phaselock.protocol.framing import SESSION_CAP, frame
from phaselock.protocol.messages import FileChunk, PieceRequest, PieceResult, PieceStart
from phaselock.storage.cache import FileCache, PartialFile

IDLE_S = 5.0
"""A connection without a task for this time is closed. The source waits longer (TIMEOUT_STALL_S)."""


class FileInPieces:
    """A file that arrives in pieces. For any thread."""

    def __init__(self, track: Track, root: bytes) -> None:
        self.track, self.size, self.root = track, track.size, root
        self._count = piece_count(track.size)
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._closing = contextlib.ExitStack()
        self._partial: PartialFile | None = None
        self._leaves: dict[int, bytes] = {}
        """The leaf of each piece that is here."""
        self._paths: dict[int, tuple[bytes, ...]] = {}
        """The proof of each of them."""
        self._whole: WholeFile | None = None
        """After `finish`."""

    def open(self, cache: FileCache) -> pathlib.Path | None:
        """Begin, or go on. Return the path if the file is in the cache. PhaseLockError if the cache cannot store it,
        OSError if its folder cannot be written."""
        with self._opening:
            if self._partial is not None:
                return None
            if path := cache.find(self.track.sha256):
                return path
            partial = self._closing.enter_context(cache.begin(self.track.sha256, self.size, announced=True))
            partial.restart()  # the rest of an earlier attempt was not checked, and may not be passed on
            self._partial = partial
        return None

    def take(self, piece: int, data: bytes, path: tuple[bytes, ...]) -> bool:
        """Store a piece that has arrived with this proof; twice is once. False if it is wrong. PhaseLockError if the
        disk is full, OSError if it cannot be written."""
        leaf = leaf_hash(data)
        if not is_proof(path, leaf, piece, self._count, self.root):
            return False
        with self._lock:
            if piece not in self._leaves and self._partial is not None:
                self._partial.write_at(piece_span(self.size, piece)[0], data)
                self._leaves[piece], self._paths[piece] = leaf, path
        return True

    def here(self) -> list[int]:
        """The numbers of the pieces that are here, in their order."""
        with self._lock:
            return sorted(self._leaves)

    @property
    def complete(self) -> bool:
        """All pieces are here."""
        return len(self._leaves) == self._count

    def read(self, piece: int) -> tuple[bytes, tuple[bytes, ...]]:
        """See `Pieces`."""
        with self._lock:
            if self._partial is not None:
                path = self._paths[piece]
                return self._partial.read_at(*piece_span(self.size, piece)), path
            whole = self._whole
        if whole is None:
            raise LookupError
        return whole.read(piece)

    def finish(self) -> pathlib.Path:
        """All pieces are here: check the whole file and give it its name in the cache. Return its path. TransferError
        if it is not the announced file, OSError if it cannot be renamed."""
        with self._lock:
            partial, self._partial = self._partial, None
            assert partial is not None and self.complete
            path = partial.finish()
            if path is None:
                raise TransferError("The file arrived damaged.")
            tree = HashTree([self._leaves[piece] for piece in range(self._count)])
            self._whole = WholeFile(path, self.size, tree)
            self._paths.clear()
        return path

    def close(self) -> None:
        """Keep what has arrived from the beginning on, and close the file."""
        with self._lock:
            self._partial = None
            self._closing.close()


@frozen
class Wanted:
    """A piece to fetch from one source."""

    file: FileInPieces
    piece: int
    source: int
    """The number of the source, 0 for the host."""
    request: PieceRequest


Ended: TypeAlias = Callable[[Wanted, PieceResult], None]
"""Gets a piece, and whether it has arrived."""


class PieceLink(Transfer):
    """A connection to one source: `run` in a worker thread, `ask` and `cancel` from any thread."""

    def __init__(self, access: Access, ended: Ended) -> None:
        """`ended` is called in the worker thread, once for each piece."""
        super().__init__(access)
        self._ended = ended
        self._changed = threading.Condition()
        self._waiting = collections.deque[Wanted]()
        self._asked = collections.deque[Wanted]()
        """Requested from the source; for the worker thread."""
        self._answered = False
        self._over = False

    def ask(self, wanted: Wanted) -> bool:
        """Fetch this piece. False: the connection is over."""
        with self._changed:
            if not self._over:
                self._waiting.append(wanted)
                self._changed.notify()
            return not self._over

    def has(self, file: FileInPieces, piece: int) -> bool:
        """This piece waits here, or is on its way."""
        with self._changed:
            return any(one.file is file and one.piece == piece for one in (*self._waiting, *self._asked))

    def cancel(self) -> None:
        super().cancel()
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> str:
        """Fetch pieces until there is no task for IDLE_S. Return why it has ended, for the log."""
        reason = "nothing more to fetch"
        try:
            with self.connected(SESSION_CAP) as stream:
                while self._wait():
                    self._fetch(stream)
        except PhaseLockError as error:
            reason = str(error)
        finally:
            with self._changed:
                self._over = True
                rest = [*self._asked, *self._waiting]
                self._asked.clear()
                self._waiting.clear()
            for wanted in rest:
                self._ended(wanted, "lost")
        return reason

    def _wait(self) -> bool:
        """Wait for the next task. False: there is none, or this is over."""
        with self._changed:
            if not self._asked and not self._waiting and not self._over:
                self._changed.wait(IDLE_S)
            if not self._asked and not self._waiting:
                self._over = True
            return not self._over

    def _request(self, stream: Stream) -> None:
        """Ask the source for what is new. Before its first answer, for one piece only: a host passes the connection on
        to a thread after the first message."""
        with self._changed:
            new = []
            while self._waiting and (self._answered or not self._asked):
                new.append(self._waiting.popleft())
                self._asked.append(new[-1])
        if new:
            stream.connection.send_all(b"".join(frame(wanted.request) for wanted in new))

    def _fetch(self, stream: Stream) -> None:
        """Fetch the next piece."""
        self._request(stream)
        wanted = self._asked[0]
        file_id, piece = wanted.file.track.file_id, wanted.piece
        match message := stream.receive(acknowledge=True):
            case PieceStart() if (message.file_id, message.piece) == (file_id, piece):
                path = message.path
            case _:
                raise stream.unexpected(message)
        self._answered = True
        offset, length = piece_span(wanted.file.size, piece)
        data = bytearray()
        while len(data) < length:
            self._request(stream)
            match message := stream.receive(acknowledge=True):
                case FileChunk(at_file_id, at, part) if (at_file_id, at) == (file_id, offset + len(data)) and len(
                    data
                ) + len(part) <= length:
                    data += part
                case _:
                    raise stream.unexpected(message)
        right = wanted.file.take(piece, bytes(data), path)
        with self._changed:
            self._asked.popleft()
        self._ended(wanted, "right" if right else "wrong")
        if not right:
            raise TransferError("The piece is damaged.")
