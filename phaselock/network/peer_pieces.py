"""The port at which a peer passes pieces of files on to other peers.

The peer is the server of TLS here, and the others compare its certificate with what the host tells them. They prove
their access with a key that the host tells both sides: see protocol/proof.py.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import socket
from collections.abc import Callable
from uuid import UUID

from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.network.file_connection import FileConnection
from phaselock.network.piece_service import Pieces, send_pieces
from phaselock.network.runner import log
from phaselock.network.secure import HostIdentity, PlainChannel, SecureChannel
from phaselock.network.transfer import PEER, Stream
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, frame
from phaselock.protocol.messages import PieceRequest
from phaselock.protocol.proof import is_piece_proof, piece_access

MAX_CLIENTS = 24
"""Connections that are served at once."""
MAX_STRANGERS = 8
"""Of these, the ones that have proved nothing yet."""
HELLO_S = 3.0
"""How long, in seconds, a connection may take to prove its access."""
REFUSED_PAUSE_S = 0.02
"""Time in seconds after a connection for which there is no room."""


class PiecePort:
    """Serves at a listener, which the caller closes. For the network thread."""

    def __init__(
        self,
        listener: socket.socket,
        identity: HostIdentity,
        session_id: bytes,
        find: Callable[[UUID], Pieces | None],
        session_ns: Callable[[], int | None],
    ) -> None:
        """`find` returns a file of which this machine has pieces, and `session_ns` the session time if it is known;
        both are called in worker threads."""
        self.key = b""
        """Of the last `LetFetch`; empty: no machine may fetch."""
        self._listener = listener
        self._identity = identity
        self._find = find
        self._session_ns = session_ns
        self._greeting = m.SessionInfo(m.PROTOCOL_VERSION, session_id, "", "", (), 0)
        self._pool = concurrent.futures.ThreadPoolExecutor(MAX_CLIENTS, "pieces")
        self._open: dict[FileConnection, bool] = {}
        """True: it has proved its access."""

    async def serve(self) -> None:
        """Accept connections until this task is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    sock, _ = await loop.sock_accept(self._listener)
                except OSError:  # the connection is closed already, or this process has no free file descriptor
                    await asyncio.sleep(REFUSED_PAUSE_S)
                    continue
                if len(self._open) >= MAX_CLIENTS or list(self._open.values()).count(False) >= MAX_STRANGERS:
                    sock.close()
                    await asyncio.sleep(REFUSED_PAUSE_S)
                    continue
                connection = FileConnection(sock, PlainChannel())
                self._open[connection] = False
                loop.call_later(HELLO_S, self._end_stranger, connection)
                done = loop.run_in_executor(self._pool, self._converse, connection)
                done.add_done_callback(functools.partial(self._forget, connection))
        finally:
            self.close()

    def close(self) -> None:
        """End all connections."""
        for connection in self._open:
            connection.end()
        self._pool.shutdown(wait=False)

    def _end_stranger(self, connection: FileConnection) -> None:
        if not self._open.get(connection, True):
            connection.end()

    def _forget(self, connection: FileConnection, done: asyncio.Future[None]) -> None:
        del self._open[connection]
        connection.close()
        if not done.cancelled() and (error := done.exception()):
            log.debug("a connection for pieces is over: %s", error)

    def _converse(self, connection: FileConnection) -> None:
        """Called in a worker thread. InternalError after a bug."""
        try:
            with bug_net("passing pieces on", PhaseLockError, ProtocolError, OSError):
                connection.handshake(SecureChannel(self._identity))
                connection.send_all(frame(self._greeting))
                first = Stream(connection, PEER, GREETING_CAP).receive()
                if not isinstance(first, PieceRequest) or not self._may_fetch(first):
                    raise ProtocolError("no access to pieces")
                self._open[connection] = True
                send_pieces(connection, first, self._serve, self._session_ns())
        except InternalError:
            raise
        except (PhaseLockError, ProtocolError, OSError) as error:
            log.debug("pieces are not passed on any more: %s", error)

    def _serve(self, request: PieceRequest) -> Pieces | None:
        return self._find(request.file_id) if self._may_fetch(request) else None

    def _may_fetch(self, request: PieceRequest) -> bool:
        access = piece_access(self.key, request.peer_id, request.file_id)
        return bool(self.key) and is_piece_proof(request.proof, access, self._identity.host_key)
