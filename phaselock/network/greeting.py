"""Asks a machine which session it hosts, without joining."""

from __future__ import annotations

import asyncio
import logging

from phaselock.errors import PhaseLockError
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.reach import connect_any
from phaselock.network.secure import SecureChannel
from phaselock.network.service_record import FoundSession
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import Framer
from phaselock.protocol.messages import PROTOCOL_VERSION, SessionInfo

TIMEOUT_S = 2.0
"""For the connection, and then for the greeting: a machine of this network answers much faster."""

log = logging.getLogger("phaselock.discovery")


async def answers_as(session: FoundSession) -> bool:
    """Whether a machine at the announced places greets as this session, with the key of this session if it is known.
    One of an older version, which does not encrypt, has none."""
    try:
        sock = await connect_any([(address, session.port) for address in session.addresses], TIMEOUT_S)
    except PhaseLockError:
        return False
    connection, channel = Connection(sock, Framer()), SecureChannel()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            secured = await connection.secure(channel)
            greeting = await connection.receive()
    except (ConnectionLost, ProtocolError, TimeoutError) as error:
        log.info("%s does not greet as a session: %s", session.addresses[0], error or type(error).__name__)
        return False
    finally:
        connection.abort("only asked")
        await connection.close()
    if not isinstance(greeting, SessionInfo) or greeting.session_id.hex() != session.session_id:
        return False
    if not secured:
        return greeting.protocol_version < PROTOCOL_VERSION
    return channel.host_key.hex().startswith(session.host_key)
