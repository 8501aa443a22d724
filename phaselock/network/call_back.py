"""The host calls a friend elsewhere that has lost it, and tells it the host's new places.

The friend listens at a port that its own router has opened. The host connects, and is the server of TLS as always: so
it proves its key, and the friend, which is the client, compares it with those of the host and of its line. Then the
host sends one HostPlaces, and the friend closes. It joins again at the new places as the member that it is. The host
tells nothing else, and takes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.reach import connect
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import Framer
from phaselock.protocol.messages import HostPlaces

CALL_S = 5.0
"""Time limit of one call, in seconds."""
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Times in seconds between two calls of one friend: the network of the host may be changing."""
MAX_CALLS = 4
"""Connections that may be open at the port of a friend."""
REFUSED_FOR_S = 0.25
"""How long, in seconds, a connection that was no call of the host takes the place of another one. Anyone can make
any number of them."""

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts a task."""

log = logging.getLogger("phaselock.session")


async def call_back(ip: str, port: int, identity: HostIdentity, places: HostPlaces) -> bool:
    """Tell the friend who waits at this address and port these places. False: it was not reached."""
    for pause_s in (*PAUSES_S, 0.0):
        try:
            with bug_net("calling a friend", PhaseLockError):
                sock = await connect(ip, port, CALL_S)
        except PhaseLockError as error:
            log.debug("the friend at %s, port %d: %s", ip, port, error)
        else:
            if await _tell(sock, identity, places):
                log.info("the friend at %s, port %d, was told the places of this host", ip, port)
                return True
        await asyncio.sleep(pause_s)
    return False


class Calls:
    """The calls of a host, at most one for each lost friend. For the network thread."""

    def __init__(
        self, identity: HostIdentity, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    ) -> None:
        self._identity = identity
        self._spawn = spawn
        self._calls: dict[int, asyncio.Task[None]] = {}
        """By peer id."""

    def begin(self, peer_id: int, ip: str, port: int, places: HostPlaces) -> None:
        """Call a friend: see `call_back`. The call replaces an earlier one."""
        self.end(peer_id)
        self._calls[peer_id] = self._spawn(self._call(ip, port, places))

    def end(self, peer_id: int) -> None:
        """The friend has come back. No effect if it is not called."""
        if (call := self._calls.pop(peer_id, None)) is not None:
            call.cancel()

    def end_all(self) -> None:
        """The session is over."""
        for peer_id in list(self._calls):
            self.end(peer_id)

    async def _call(self, ip: str, port: int, places: HostPlaces) -> None:
        with contextlib.suppress(InternalError), bug_net("calling a friend"):
            await call_back(ip, port, self._identity, places)


async def _tell(sock: socket.socket, identity: HostIdentity, places: HostPlaces) -> bool:
    connection = Connection(sock, Framer())
    try:
        async with asyncio.timeout(CALL_S):
            if not await connection.secure(SecureChannel(identity)):
                return False
            connection.send(places)
            with contextlib.suppress(ConnectionLost, ProtocolError):  # the friend closes when it has read them
                await connection.receive()
            return True
    except (ConnectionLost, TimeoutError):
        return False
    finally:
        connection.abort("the call is over")
        await connection.close()


async def take_calls(
    listener: socket.socket, may_be_host: Callable[[bytes], bool], take: Callable[[HostPlaces], None]
) -> None:
    """Accept calls of machines with such a key, without an end. All other connections are closed."""
    loop, free = asyncio.get_running_loop(), asyncio.Semaphore(MAX_CALLS)

    async def answer(sock: socket.socket) -> None:
        try:
            with contextlib.suppress(InternalError), bug_net("a call of the host"):
                if (places := await _hear(sock, may_be_host)) is not None:
                    take(places)
                else:
                    await asyncio.sleep(REFUSED_FOR_S)
        finally:
            free.release()

    async with asyncio.TaskGroup() as calls:
        while True:
            await free.acquire()
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:  # the connection is closed already, or this process has no free file descriptor
                free.release()
                await asyncio.sleep(REFUSED_FOR_S)
                continue
            calls.create_task(answer(sock))


async def _hear(sock: socket.socket, may_be_host: Callable[[bytes], bool]) -> HostPlaces | None:
    """What the host says on this connection. None: it is not the host, or it says something else."""
    connection, channel = Connection(sock, Framer()), SecureChannel()
    try:
        async with asyncio.timeout(CALL_S):
            if await connection.secure(channel) and may_be_host(channel.host_key):
                message = await connection.receive()
                return message if isinstance(message, HostPlaces) else None
    except (ConnectionLost, ProtocolError, TimeoutError) as error:
        log.debug("no call of the host: %s", error)
    finally:
        connection.abort("the call is over")
        await connection.close()
    return None
