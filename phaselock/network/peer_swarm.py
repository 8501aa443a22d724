"""A peer's part in the swarm: files that arrive in pieces, and the port at which it passes them on.

For the network thread; piece_fetch.py and piece_service.py run in worker threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import pathlib
import socket
from collections.abc import Callable
from uuid import UUID

from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.model.types import Track
from phaselock.network.interfaces import is_wireless
from phaselock.network.listener import bind
from phaselock.network.peer_pieces import PiecePort
from phaselock.network.piece_fetch import FileInPieces, PieceLink, Wanted
from phaselock.network.piece_service import Pieces, WholeFile
from phaselock.network.runner import log
from phaselock.network.secure import HostIdentity
from phaselock.network.transfer import HOST, Access, as_transfer_errors
from phaselock.protocol import messages as m
from phaselock.protocol.proof import FETCH, piece_proof
from phaselock.storage.cache import FileCache

WORKERS = 24
"""Worker threads: one for each source that is asked."""
MAX_UNFINISHED = 3
"""Files that were cancelled and of which the pieces are kept until the end of the session."""
HOST_NUMBER = 0
"""The host as a source."""


class PeerSwarm:
    """The files that arrive in pieces."""

    def __init__(
        self,
        cache: FileCache,
        ended: Callable[[UUID, int, int, m.PieceResult], None],
        lookup: Callable[[UUID], tuple[Track, pathlib.Path] | None],
        identity: Callable[[], HostIdentity] | None,
        session_ns: Callable[[], int | None],
    ) -> None:
        """`ended` takes the file, piece and source of a task, and its result. `lookup` returns a complete file, and
        `session_ns` the session time, if it is known; both are called in any thread. `identity` returns the key of this
        machine, in a worker thread; None: it passes nothing on."""
        self._cache = cache
        self._ended = ended
        self._lookup = lookup
        self._identity = identity
        self._session_ns = session_ns
        self._loop = asyncio.get_running_loop()
        self._pool = concurrent.futures.ThreadPoolExecutor(WORKERS, "pieces")
        self._files: dict[UUID, FileInPieces] = {}
        self._complete: dict[UUID, asyncio.Future[None]] = {}
        self._unfinished: dict[bytes, FileInPieces] = {}
        """Files that were cancelled, by their hash: a host that is lost offers them again, and so does another one."""
        self._early: dict[UUID, list[tuple[Access, Wanted]]] = {}
        """Tasks of files that are not open yet."""
        self._here: dict[UUID, Pieces] = {}
        """Complete files, for others to fetch."""
        self._links: dict[int, tuple[Access, PieceLink]] = {}
        """By the number of the source."""
        self._port: PiecePort | None = None
        self._open_at = ""
        """The address of the port."""
        self._serving: asyncio.Task[None] | None = None
        self._place: m.PiecesAt | None = None

    # -- files that arrive ---------------------------------------------------------------------------------------------

    def begin(self, track: Track, root: bytes) -> FileInPieces:
        """A file is to arrive in pieces: see `arrive`. It replaces one with the same id."""
        self.cancel(track.file_id)
        file = self._unfinished.pop(track.sha256, None)
        if file is None or (file.track, file.root) != (track, root):
            file = FileInPieces(track, root)
        self._files[track.file_id] = file
        self._complete[track.file_id] = self._loop.create_future()
        self._early[track.file_id] = []
        return file

    async def arrive(self, file: FileInPieces) -> pathlib.Path | None:
        """Wait until a file of `begin` is complete, and return its path; None if it was cancelled. PhaseLockError if it
        cannot be stored, or is another file."""
        file_id, complete = file.track.file_id, self._complete[file.track.file_id]
        try:
            path = await self._loop.run_in_executor(self._pool, self._begin, file)
            if path is None and self._files.get(file_id) is file and not complete.done():
                for piece in file.here():
                    self._take_end(file, piece, HOST_NUMBER, "right")
                for access, wanted in self._early.pop(file_id):
                    self._ask(access, wanted)
                await asyncio.wait([complete])
                if complete.cancelled():
                    return None
                path = await self._loop.run_in_executor(self._pool, self._finish, file)
                self._here[file_id] = file
            return path
        finally:
            if self._complete.get(file_id) is complete:
                del self._files[file_id], self._complete[file_id]
                self._early.pop(file_id, None)
            if file not in (*self._files.values(), *self._unfinished.values()):
                await self._loop.run_in_executor(self._pool, file.close)

    def fetch(self, file_id: UUID, source: m.PieceSource | None, pieces: tuple[int, ...], host: Access) -> None:
        """Fetch these pieces from this source; None: from the host. No effect if the file is not wanted any more."""
        file = self._files.get(file_id)
        if file is None:
            return
        if source is None:
            access, proof, number = host, host.proof(FETCH), HOST_NUMBER
        else:
            access = Access((source.address, source.port), source.host_key, host.peer_id, b"")
            proof, number = piece_proof(source.access, source.host_key), source.source
        for piece in pieces:
            for other, (_, link) in self._links.items():
                if other != number and link.has(file, piece):
                    link.cancel()
            wanted = Wanted(file, piece, number, m.PieceRequest(host.peer_id, proof, file_id, piece))
            if file_id in self._early:
                self._early[file_id].append((access, wanted))
            else:
                self._ask(access, wanted)

    def cancel(self, file_id: UUID) -> None:
        """The file is not wanted any more, or not now."""
        if file_id in self._files:
            file = self._files.pop(file_id)
            self._unfinished[file.track.sha256] = file
            while len(self._unfinished) > MAX_UNFINISHED:
                oldest = self._unfinished.pop(next(iter(self._unfinished)))
                self._loop.run_in_executor(self._pool, oldest.close)
            self._early.pop(file_id, None)
            self._complete.pop(file_id).cancel()

    def close(self) -> None:
        """End everything. The caller waits for the tasks that call `arrive`."""
        for file_id in list(self._files):
            self.cancel(file_id)
        for file in self._unfinished.values():
            self._loop.run_in_executor(self._pool, file.close)
        for _, link in self._links.values():
            link.cancel()
        self._shut_port()

    def shutdown(self) -> None:
        """Wait for the worker threads. After `close`, and after all tasks."""
        self._pool.shutdown()

    def _begin(self, file: FileInPieces) -> pathlib.Path | None:
        with as_transfer_errors(HOST), bug_net("the begin of a file in pieces", PhaseLockError, OSError):
            return file.open(self._cache)

    def _finish(self, file: FileInPieces) -> pathlib.Path:
        with as_transfer_errors(HOST), bug_net("the end of a file in pieces", PhaseLockError, OSError):
            return file.finish()

    def _ask(self, access: Access, wanted: Wanted) -> None:
        known = self._links.get(wanted.source)
        if known is not None and known[0] == access and known[1].ask(wanted):
            return
        link = PieceLink(access, self._task_ended)
        link.ask(wanted)
        self._links[wanted.source] = access, link
        self._loop.run_in_executor(self._pool, self._run, wanted.source, link)

    def _run(self, source: int, link: PieceLink) -> None:
        """Called in a worker thread."""
        reason = "a bug"
        try:
            with bug_net("a connection for pieces"):
                reason = link.run()
        except InternalError:
            pass
        log.debug("the connection for pieces to %d is over: %s", source, reason)

    def _task_ended(self, wanted: Wanted, result: m.PieceResult) -> None:
        """Called in a worker thread."""
        self._loop.call_soon_threadsafe(self._take_end, wanted.file, wanted.piece, wanted.source, result)

    def _take_end(self, file: FileInPieces, piece: int, source: int, result: m.PieceResult) -> None:
        file_id = file.track.file_id
        if self._files.get(file_id) is file:
            self._ended(file_id, piece, source, result)
            complete = self._complete.get(file_id)
            if file.complete and complete is not None and not complete.done():
                complete.set_result(None)

    # -- the port ------------------------------------------------------------------------------------------------------

    async def open(self, own_ip: str, session_id: bytes) -> m.PiecesAt | None:
        """Pass pieces on at this address of this machine. Return where; None: this machine does not."""
        if self._identity is None:
            return None
        if self._open_at != own_ip or self._place is None:
            self._shut_port()
            try:
                with bug_net("the port for pieces", PhaseLockError):
                    identity = await asyncio.to_thread(self._identity)
                    wireless = await asyncio.to_thread(is_wireless, own_ip)
                    listener = bind(own_ip, 0, socket.SOCK_STREAM)
            except PhaseLockError as error:
                log.warning("this machine passes no songs on: %s", error)
                return None
            self._port = PiecePort(listener, identity, session_id, self._find, self._session_ns)
            self._serving = self._loop.create_task(self._serve(self._port, listener))
            self._open_at = own_ip
            port = listener.getsockname()[1]
            self._place = m.PiecesAt(own_ip.partition("%")[0], port, identity.host_key, wireless)
        return self._place

    def let(self, key: bytes) -> None:
        """Those who have an access under this key may fetch."""
        if self._port is not None:
            self._port.key = key

    async def _serve(self, port: PiecePort, listener: socket.socket) -> None:
        with listener:
            await port.serve()

    def _shut_port(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
        self._serving = self._port = self._place = None

    def _find(self, file_id: UUID) -> Pieces | None:
        """Called in worker threads."""
        pieces = self._files.get(file_id) or self._here.get(file_id)
        if pieces is None and (found := self._lookup(file_id)) is not None:
            track, path = found
            pieces = self._here.setdefault(file_id, WholeFile(path, track.size))
        return pieces
