"""One machine asks another one where the host is, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from phaselock.model.heritage import HostContact
from phaselock.network import connection as network_connection
from phaselock.network import seek
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.listener import Listener
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.network.seek import MAX_OF_GROUP, StandByDoor, ask_host
from phaselock.network.succession import HostPorts, StandBy, StandByPorts
from phaselock.protocol.framing import Framer
from phaselock.protocol.messages import PROTOCOL_VERSION, Heartbeat, HostSeek, HostTold, SessionInfo
from tests.support.closed_port import closed_address
from tests.support.identity import IDENTITY, new_identity

QUESTION = HostSeek(bytes(16), 3)
ANSWER = HostTold("lost", votes=1, voters=2)
INFO = SessionInfo(PROTOCOL_VERSION, bytes(16), "", "", (), 0)
TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def door(asked: list[HostSeek]) -> AsyncIterator[HostContact]:
    """Where a machine with IDENTITY stands by."""

    def sought(question: HostSeek) -> HostTold:
        asked.append(question)
        return ANSWER

    with Listener.open("127.0.0.1", 0) as listener:
        opened = StandByDoor(listener, IDENTITY, lambda: INFO, sought)
        async with asyncio.timeout(TIMEOUT_S):
            try:
                yield contact(listener.getsockname()[1])
            finally:
                await opened.close()


def contact(port: int, identity: HostIdentity = IDENTITY) -> HostContact:
    return HostContact(2, "Ana", ("127.0.0.1",), port, 1, identity.host_key)


def test_a_machine_that_stands_by_is_asked_and_answers() -> None:
    asked: list[HostSeek] = []

    async def run() -> None:
        async with door(asked) as there:
            assert await ask_host(there, QUESTION) == (ANSWER, False)
            assert await ask_host(contact(there.control_port, new_identity()), QUESTION) == (None, False)
            announced = dataclasses.replace(there, host_key=there.host_key[:16])
            assert await ask_host(announced, QUESTION) == (ANSWER, False)

    asyncio.run(run())
    assert asked == [QUESTION] * 2  # a machine with another key is told nothing


def test_a_machine_whose_program_has_ended_is_known_by_that() -> None:
    with closed_address() as place:
        assert asyncio.run(ask_host(contact(place[1]), QUESTION)) == (None, True)


def test_other_connections_are_closed_and_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "ASK_S", 5.0)

    async def run() -> None:
        async with door([]) as there:
            place = "127.0.0.1", there.control_port
            other = Connection(socket.create_connection(place), Framer())
            assert await other.secure(SecureChannel())
            assert isinstance(await other.receive(), SessionInfo)
            other.send(Heartbeat())
            with pytest.raises(ConnectionLost):
                await other.receive()
            await other.close()
            silent = [await asyncio.open_connection(*place) for _ in range(MAX_OF_GROUP + 1)]
            with pytest.raises(asyncio.IncompleteReadError):  # there is no room for one of them
                await asyncio.wait_for(first_end(silent), TIMEOUT_S)
            assert await ask_host(there, QUESTION) == (ANSWER, False)
            for _, writer in silent:
                writer.close()

    asyncio.run(run())


# The event loop of Windows loses the connection, too. It is not Listener that accepts there, and Python closes it.
@pytest.mark.filterwarnings(f"{'ignore' if sys.platform == 'win32' else 'error'}:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("turns", range(8))
def test_a_connection_that_comes_while_the_machine_takes_over_is_ended_at_once(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is accepted some turns of the loop before: else it waits for the host. Nothing waits for the other side."""
    monkeypatch.setattr(network_connection, "TIMEOUT_CLOSE_S", 2 * TIMEOUT_S)

    async def run() -> None:
        with Listener.open("127.0.0.1", 0) as listener:
            opened = StandByDoor(listener, IDENTITY, lambda: INFO, lambda question: ANSWER)
            await asyncio.sleep(0)  # it listens
            with socket.create_connection(listener.getsockname(), TIMEOUT_S) as client:
                for _ in range(turns):
                    await asyncio.sleep(0)
                async with asyncio.timeout(TIMEOUT_S):
                    await opened.close()
                with contextlib.suppress(BlockingIOError):
                    listener.accept()[0].close()
                assert client.recv(1) == b""

    gc.disable()  # it would close what is lost
    try:
        asyncio.run(run())
    finally:
        gc.enable()


async def first_end(connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    """Wait until the other side closes one of them, which raises IncompleteReadError."""
    reading = [asyncio.create_task(reader.readexactly(1)) for reader, _ in connections]
    done, waiting = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    done.pop().result()


def test_the_ports_of_a_peer_open_once_and_are_given_away_or_closed() -> None:
    opened: list[StandByPorts] = []

    async def open_ports() -> StandByPorts:
        return StandByPorts(HostPorts.open(IDENTITY, "127.0.0.1", 0, 0), ("127.0.0.1",), None)

    async def run() -> None:
        changed = asyncio.Event()

        def tell(ports: StandByPorts) -> None:
            opened.append(ports)
            changed.set()

        stand_by = StandBy(open_ports, lambda: INFO, lambda question: ANSWER, tell)
        async with asyncio.timeout(TIMEOUT_S):
            stand_by.open()
            stand_by.open()
            await changed.wait()
            stand_by.open()
            there = contact(opened[0].ports.control_port)
            assert await ask_host(there, QUESTION) == (ANSWER, False)
            await stand_by.close()
            assert await ask_host(there, QUESTION) == (None, True)
            changed.clear()
            stand_by.open()
            await changed.wait()
            ports = await stand_by.take()
            await stand_by.close()
            assert ports.listener.fileno() >= 0 and ports.clock_socket.fileno() >= 0
            ports.close()
            stand_by.open()
            await stand_by.close()  # while they open

    asyncio.run(run())
    assert opened[0] is opened[1] and len(opened) == 3


def test_a_machine_that_never_hosts_opens_nothing() -> None:
    async def run() -> None:
        stand_by = StandBy(None, lambda: INFO, lambda question: ANSWER, lambda ports: pytest.fail("open"))
        stand_by.open()
        await stand_by.close()

    asyncio.run(run())
