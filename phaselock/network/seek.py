"""One question and its answer between machines of a session: where is the host?

It is asked at the port of a host, or of a machine that stands by to become one: see HostSeek in protocol/messages.py.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import socket
from collections.abc import Callable

from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.model.address import address_group
from phaselock.model.heritage import HostContact
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.listener import Listener
from phaselock.network.reach import CannotConnect, connect_any
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, Framer
from phaselock.protocol.messages import HostSeek, HostTold, SessionInfo

ASK_S = 2.0
"""Time limit of a question and its answer, in seconds."""
MAX_ASKERS = 16
"""Connections that are answered at one time: those of all machines that have lost their host at once."""
MAX_OF_GROUP = 4
"""The same from one group of addresses."""
AGAIN_S = 0.1
"""Time in seconds from a failed `accept` to the next one."""

Told = tuple[HostTold | None, bool]
"""The answer, and whether no program listens at that port."""

log = logging.getLogger("phaselock.session")


async def ask_host(contact: HostContact, message: HostSeek) -> Told:
    """Ask the machine of a contact, of whose key only the beginning may be known. A machine with another key that is
    there is not asked. The answer is None if none comes within ASK_S; the log has the reason."""
    places = [(address, contact.control_port) for address in contact.addresses]
    try:
        async with asyncio.timeout(ASK_S):
            with bug_net("asking for the host", PhaseLockError, ConnectionLost, ProtocolError, TimeoutError):
                return await _ask(await connect_any(places, ASK_S), contact, message), False
    except CannotConnect as error:
        log.debug("%s was not asked: %s", contact.name, error)
        return None, error.refused
    except (PhaseLockError, ConnectionLost, ProtocolError, TimeoutError) as error:
        log.debug("%s did not answer: %s", contact.name, error or type(error).__name__)
        return None, False


async def _ask(sock: socket.socket, contact: HostContact, message: HostSeek) -> HostTold | None:
    connection, channel = Connection(sock, Framer(SESSION_CAP)), SecureChannel()
    try:
        if not await connection.secure(channel) or not channel.host_key.startswith(contact.host_key):
            raise ConnectionLost("another machine is there")
        if not isinstance(await connection.receive(), SessionInfo):
            raise ProtocolError("it does not greet")
        connection.send(message)
        answer = await connection.receive()
        return answer if isinstance(answer, HostTold) else None
    finally:
        connection.abort("only asked")
        await connection.close()


class StandByDoor:
    """Answers questions at the port of a machine that stands by. For the network thread.

    `info` returns the greeting, and `sought` the answer.
    """

    def __init__(
        self,
        listener: Listener,
        identity: HostIdentity,
        info: Callable[[], SessionInfo],
        sought: Callable[[HostSeek], HostTold],
    ) -> None:
        self._listener, self._identity = listener, identity
        self._info, self._sought = info, sought
        self._askers: dict[asyncio.Task[None], tuple[Connection, str]] = {}
        """Their connections, and the groups of addresses from which they come."""
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept no more connections, and end those that are open at once. The listener stays open."""
        self._accepting.cancel()
        askers = dict(self._askers)
        for asker, (connection, _) in askers.items():
            connection.abort("no more questions are answered here")
            asker.cancel()
        await asyncio.wait([self._accepting, *askers])
        for connection, _ in askers.values():  # also those whose task had not begun
            await connection.close()
        self._listener.close_last()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._listener)
            except OSError:  # the connection is closed already, or this process has no free file descriptor
                await asyncio.sleep(AGAIN_S)
                continue
            group = address_group(address[0].removeprefix("::ffff:"))
            self._make_room(group)
            connection = Connection(sock, Framer(GREETING_CAP))
            asker = asyncio.create_task(self._answer(connection))
            self._askers[asker] = connection, group
            asker.add_done_callback(lambda done: self._askers.pop(done, None))
            await asyncio.sleep(0)  # the sockets just closed are released before the next accept

    def _make_room(self, group: str) -> None:
        """End the oldest connection of this group, or of the one that has the most, if there are too many: silent ones
        keep no machine out."""
        crowd = collections.Counter(group for _, group in self._askers.values())
        if crowd[group] < MAX_OF_GROUP:
            if len(self._askers) < MAX_ASKERS:
                return
            ((group, _),) = crowd.most_common(1)
        oldest = next(asker for asker, (_, its_group) in self._askers.items() if its_group == group)
        connection, _ = self._askers.pop(oldest)
        connection.abort("others are waiting")  # its socket must not wait for a goodbye
        oldest.cancel()

    async def _answer(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(InternalError, ConnectionLost, ProtocolError, TimeoutError):
                with bug_net("a question for the host", ConnectionLost, ProtocolError, TimeoutError):
                    async with asyncio.timeout(ASK_S):
                        if not await connection.secure(SecureChannel(self._identity)):
                            return
                        connection.send(self._info())
                        connection.framer.cap = SESSION_CAP
                        if isinstance(question := await connection.receive(), HostSeek):
                            connection.send(self._sought(question))
        finally:
            await connection.close()
