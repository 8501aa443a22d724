"""Asks a machine which session it hosts, without joining."""

from __future__ import annotations

import asyncio
import logging

from phaselock.errors import PhaseLockError
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.reach import connect_any
from phaselock.network.service_record import FoundSession
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import Framer
from phaselock.protocol.messages import SessionInfo

TIMEOUT_S = 2.0
"""For the connection, and then for the greeting: a machine of this network answers much faster."""

log = logging.getLogger("phaselock.discovery")


async def answers_as(session: FoundSession) -> bool:
    """Whether a machine at the announced places greets as this session. A false host can greet so, too, and have copied
    the announcement: only the comparison of its certificate with `session.host_key` proves that it is the host."""
    try:
        sock = await connect_any([(address, session.port) for address in session.addresses], TIMEOUT_S)
    except PhaseLockError:
        return False
    connection = Connection(sock, Framer())
    try:
        async with asyncio.timeout(TIMEOUT_S):
            greeting = await connection.receive()
    except (ConnectionLost, ProtocolError, TimeoutError) as error:
        log.info("%s does not greet as a session: %s", session.addresses[0], error or type(error).__name__)
        return False
    finally:
        connection.abort("only asked")
        await connection.close()
    return isinstance(greeting, SessionInfo) and greeting.session_id.hex() == session.session_id
