"""Sends files and pieces of files from the host to its peers, in worker threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pathlib
from collections.abc import Callable, Mapping
from uuid import UUID

from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.model.types import Track
from phaselock.network import transfer
from phaselock.network.file_connection import FileConnection
from phaselock.network.piece_service import Pieces, WholeFile, send_pieces
from phaselock.network.runner import log
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.messages import FileRequest, PieceRequest
from phaselock.session.host.session import HostSession

SPARE_PIECE_WORKERS = 2
"""Worker threads that send pieces and are ending, or make a hash tree. There is one more for each peer."""
ANSWER_S = 5.0
"""How long the network thread may take, in seconds, to find the file of a request."""


class FileSender:
    """For the network thread. `tell` calls a method of the session: see Runner._tell. `session_ns` returns session
    time."""

    def __init__(
        self,
        session: HostSession,
        files: Mapping[UUID, tuple[Track, pathlib.Path]],
        pool: concurrent.futures.ThreadPoolExecutor,
        tell: Callable[..., None],
        session_ns: Callable[[], int],
    ) -> None:
        """`pool` sends whole files; the caller shuts it down."""
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._files = files
        self._pool = pool
        self._tell = tell
        self._session_ns = session_ns
        self._bulk: dict[int, FileConnection] = {}
        """Connections for whole files, by peer id."""
        self._piece_links: dict[int, FileConnection] = {}
        """Connections for pieces, by peer id."""
        self._pieces: dict[UUID, WholeFile] = {}
        """The files that are sent in pieces."""
        self._piece_pool = concurrent.futures.ThreadPoolExecutor(session.max_peers + SPARE_PIECE_WORKERS, "pieces")

    def shut(self, peer_id: int) -> None:
        """Send nothing more to this peer."""
        for connection in (self._bulk.get(peer_id), self._piece_links.get(peer_id)):
            if connection is not None:
                connection.end()

    def end_all(self) -> None:
        """Send nothing more."""
        for connection in [*self._bulk.values(), *self._piece_links.values()]:
            connection.end()

    def shutdown(self) -> None:
        """Wait for the worker threads."""
        self._piece_pool.shutdown()

    async def serve_file(self, connection: FileConnection, request: FileRequest, track: Track) -> None:
        """Send a file. A peer fetches one file at a time: its new connection means that it has lost the previous."""
        peer_id = request.peer_id
        if before := self._bulk.get(peer_id):
            before.end()
        self._bulk[peer_id] = connection
        try:
            await self._loop.run_in_executor(
                self._pool, self._send_file, connection, request, track, self._session_ns()
            )
        except PhaseLockError as error:
            self._tell(self._session.fetch_failed, peer_id, request.file_id, error.message)
        except (OSError, ProtocolError) as error:  # the peer notices it too, and reports it
            log.info("a transfer failed: %s", error)
        finally:
            connection.close()
            if self._bulk.get(peer_id) is connection:
                del self._bulk[peer_id]

    def _send_file(
        self, connection: FileConnection, request: FileRequest, track: Track, session_ns: int | None
    ) -> None:
        """Called in a worker thread."""

        def report(sent_bytes: int) -> None:
            self._loop.call_soon_threadsafe(self._progress, request, sent_bytes)

        try:
            with bug_net("sending a file", PhaseLockError, ProtocolError, OSError):
                path = self._files[track.file_id][1]
                transfer.send_file(connection, track, path, request.offset, report, session_ns)
        except PhaseLockError as error:
            connection.refuse(str(error))
            raise

    async def hash_pieces(self, track: Track) -> None:
        """Make the hash tree of a file, which can be sent in pieces afterwards."""
        pieces, root = WholeFile(self._files[track.file_id][1], track.size), b""
        try:
            with bug_net("a hash tree", OSError, ValueError):
                root = (await self._loop.run_in_executor(self._piece_pool, pieces.tree)).root
            self._pieces[track.file_id] = pieces
        except (InternalError, OSError, ValueError) as error:  # sending the whole file will report it
            log.info("a song has no pieces: %s", error)
        self._tell(self._session.pieces_hashed, track.file_id, root)

    async def serve_pieces(self, connection: FileConnection, first: PieceRequest) -> None:
        """Send pieces. A new connection of a peer for them means that it has lost the previous one."""
        peer_id = first.peer_id
        if before := self._piece_links.get(peer_id):
            before.end()
        self._piece_links[peer_id] = connection
        try:
            with bug_net("sending pieces", PhaseLockError, ProtocolError, OSError):
                how = self._find_pieces, self._session_ns()
                await self._loop.run_in_executor(self._piece_pool, send_pieces, connection, first, *how)
        except (PhaseLockError, ProtocolError, OSError) as error:  # the peer notices it too, and reports it
            log.debug("a connection for pieces is over: %s", error)
        finally:
            connection.close()
            if self._piece_links.get(peer_id) is connection:
                del self._piece_links[peer_id]

    def _find_pieces(self, request: PieceRequest) -> Pieces | None:
        """The file of a request; None if the peer may not fetch it. Called in a worker thread."""
        return asyncio.run_coroutine_threadsafe(self._authorised(request), self._loop).result(ANSWER_S)

    async def _authorised(self, request: PieceRequest) -> Pieces | None:
        if self._session.authorise_fetch(request.peer_id, request.proof, request.file_id) is None:
            return None
        return self._pieces.get(request.file_id)

    def _progress(self, request: FileRequest, sent_bytes: int) -> None:
        self._tell(self._session.fetch_progress, request.peer_id, request.file_id, sent_bytes)
