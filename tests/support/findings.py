"""The findings of the doctor, and a host that says what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.service_record import FoundSession
from phaselock.protocol import messages as m
from phaselock.protocol.framing import SESSION_CAP, Framer
from phaselock.tools.doctor import Finding
from tests.support.identity import greet

INFO = m.SessionInfo(m.PROTOCOL_VERSION, bytes(16), "Kitchen", "Ann", ("Bob",), 5)
KITCHEN = FoundSession("Kitchen", "Ann", 1, 5, ("192.0.2.7",), 17401, "ab" * 8, m.PROTOCOL_VERSION)

_Result = TypeVar("_Result")


def run(scene: Coroutine[Any, Any, _Result]) -> _Result:
    async def in_time() -> _Result:
        async with asyncio.timeout(30):
            return await scene

    return asyncio.run(in_time())


def levels(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(one.id, one.level) for one in findings]


def the_only(findings: Sequence[Finding]) -> Finding:
    (one,) = findings
    return one


class Host:
    """A host that accepts one connection and sends the given messages; its clock port never answers."""

    async def __aenter__(self) -> Host:
        self._stack = contextlib.ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.setblocking(False)
        clock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        clock.bind(("127.0.0.1", 0))
        self.port, self.clock_port = self._listener.getsockname()[1], clock.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stack.close()

    async def say(self, *messages: m.Message) -> None:
        """Accept the connection, and send these messages on it."""
        sock, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        self.connection = Connection(sock, Framer(SESSION_CAP))
        await greet(self.connection, *messages)

    def accepted(self) -> m.JoinAccepted:
        return m.JoinAccepted(7, m.SessionState((), 0), bytes(16), self.clock_port, "doctor", bytes(16))

    async def see_it_off(self) -> None:
        with contextlib.suppress(ConnectionLost):
            while not isinstance(await self.connection.receive(), m.LeaveSession):
                pass
        await self.connection.close()
