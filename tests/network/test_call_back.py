"""The host calls a friend that has lost it, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from phaselock.network import call_back as module
from phaselock.network.call_back import MAX_CALLS, call_back, take_calls
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.protocol.framing import Framer
from phaselock.protocol.messages import Heartbeat, HostPlace, HostPlaces
from tests.support.identity import IDENTITY, new_identity

PLACES = HostPlaces((HostPlace("45.32.1.9", 17401), HostPlace("192.168.1.42", 17404, 17402)))
TIMEOUT_S = 20.0


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.01, 0.01))
    monkeypatch.setattr(module, "REFUSED_FOR_S", 0.0)


@contextlib.asynccontextmanager
async def waiting(taken: Callable[[HostPlaces], None]) -> AsyncIterator[tuple[str, int]]:
    """The address of a friend that takes calls of the host with IDENTITY."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        taking = asyncio.create_task(take_calls(listener, IDENTITY.host_key.__eq__, taken))
        try:
            yield listener.getsockname()
        finally:
            taking.cancel()
            await asyncio.wait([taking])
            assert taking.cancelled(), "nothing that comes in ends it"


def called_by(identity: HostIdentity) -> tuple[bool, list[HostPlaces]]:
    """Whether the host finds that it has told its places, and what the friend was told."""
    told: list[HostPlaces] = []

    async def run() -> bool:
        async with asyncio.timeout(TIMEOUT_S), waiting(told.append) as address:
            return await call_back(*address, identity, PLACES)

    return asyncio.run(run()), told


def test_a_friend_is_told_the_places() -> None:
    assert called_by(IDENTITY) == (True, [PLACES])


def test_a_machine_with_another_key_tells_it_nothing() -> None:
    assert called_by(new_identity())[1] == []


def test_a_friend_that_does_not_wait_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    assert not asyncio.run(call_back(*address, IDENTITY, PLACES))


def test_what_is_no_call_of_the_host_is_closed_and_the_next_one_is_taken() -> None:
    told: list[HostPlaces] = []

    async def other_message(address: tuple[str, int]) -> None:
        """The host itself says something else."""
        connection = Connection(await connected(address), Framer())
        await connection.secure(SecureChannel(IDENTITY))
        connection.send(Heartbeat())
        with pytest.raises(ConnectionLost):
            await connection.receive()
        await connection.close()

    async def connected(address: tuple[str, int]) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return sock

    async def bytes_of(address: tuple[str, int], data: bytes) -> None:
        sock = await connected(address)
        loop = asyncio.get_running_loop()
        with contextlib.closing(sock), contextlib.suppress(ConnectionError):
            await loop.sock_sendall(sock, data)
            while await loop.sock_recv(sock, 4096):
                pass

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT_S), waiting(told.append) as address:
            await other_message(address)
            await bytes_of(address, b"GET / HTTP/1.1\r\n\r\n")
            await bytes_of(address, bytes(20_000))
            for sock in [await connected(address) for _ in range(2 * MAX_CALLS)]:
                sock.close()
            assert await call_back(*address, IDENTITY, PLACES)

    asyncio.run(run())
    assert told == [PLACES]


def test_connections_that_say_nothing_hold_no_call_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_S", 0.05)
    told: list[HostPlaces] = []

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT_S), waiting(told.append) as address:
            silent = [socket.create_connection(address) for _ in range(MAX_CALLS)]
            while not told:
                await call_back(*address, IDENTITY, PLACES)
            for sock in silent:
                sock.close()

    asyncio.run(run())
    assert told[0] == PLACES
