"""What a host does with connections that send nonsense, say nothing or read nothing."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
import uuid
from unittest import mock

import pytest

from phaselock.network import connection as connection_module
from phaselock.network import host as host_module
from phaselock.network.unauthenticated import MAX_UNAUTHENTICATED
from phaselock.protocol.framing import frame
from phaselock.protocol.messages import (
    PROTOCOL_VERSION,
    FileRequest,
    Heartbeat,
    JoinAccepted,
    SessionInfo,
)
from tests.support.network_session import NetworkFixture, played
from tests.support.raw_client import RawClient


@played
async def test_the_host_speaks_first(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    async with network.raw_client() as client:
        assert await client.read() == SessionInfo(
            PROTOCOL_VERSION, network.host.runner.session_id, "Jam", "Host", (), 5
        )


@played
async def test_nonsense_is_hung_up_on_and_nobody_else_notices(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peer = await network.join(stack, "Ada")
    await peer.news.wait_for("joined")
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\1\0\0\0\xee", frame(Heartbeat())):
        async with network.raw_client() as client:
            await client.send(nonsense)
            assert [type(message) for message in await client.read_to_end()] == [SessionInfo]
    async with network.raw_client() as client:
        await client.join()
        await client.send(b"\0\0\0\0")
        await client.read_to_end()
    await network.host.news.wait_for("peer_left", name="Raw client")
    assert [peer.name for peer in network.host.runner.snapshot().peers] == ["Ada"]
    assert not peer.ended.done()


@played
async def test_those_who_say_nothing_keep_nobody_out(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    ana = await stack.enter_async_context(network.raw_client())
    assert isinstance(await ana.join(), JoinAccepted)
    silent = [await stack.enter_async_context(network.raw_client()) for _ in range(3 * MAX_UNAUTHENTICATED)]
    ben = await stack.enter_async_context(network.raw_client())
    assert isinstance(await ben.join(), JoinAccepted)
    for client in silent[: 2 * MAX_UNAUTHENTICATED]:
        await client.read_to_end()
    assert isinstance(await silent[-1].read(), SessionInfo)
    assert [peer.name for peer in network.host.runner.snapshot().peers] == ["Raw client", "Raw client (2)"]


def test_whoever_says_nothing_is_hung_up_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "HELLO_S", 0.05)

    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        async with network.raw_client() as client:
            assert [type(message) for message in await client.read_to_end()] == [SessionInfo]

    played(story)(tmp_path)


@played
async def test_a_peer_that_reads_nothing_is_dropped(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # else the system keeps megabytes
    async with network.raw_client() as deaf:
        stack.enter_context(mock.patch.object(connection_module, "MAX_UNSENT_BYTES", 50_000))
        deaf.shrink_receive_buffer()
        await deaf.join()
        added = 0
        while "peer_left" not in network.host.news.names():  # the new row of each track is sent
            network.host.add(network.folder / f"{added:0200}.mp3")
            added += 1
            await asyncio.sleep(0)
    left = await network.host.news.wait_for("peer_left")
    assert "does not read" in str(left.fields["reason"])


async def client_of(ip: str, network: NetworkFixture, stack: contextlib.AsyncExitStack) -> RawClient:
    """A connection to the host from this address."""
    sock = stack.enter_context(socket.socket())
    sock.setblocking(False)
    sock.bind((ip, 0))
    await asyncio.get_running_loop().sock_connect(sock, network.host.address)
    return await RawClient.secured(sock)


@played
async def test_refused_connections_of_two_addresses_do_not_block_others(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    await ada.news.wait_for("joined")
    crowd = []
    for number in range(3 * MAX_UNAUTHENTICATED):
        with contextlib.suppress(OSError):
            crowd.append(await client_of(f"127.0.0.{2 + number % 2}", network, stack))
            await crowd[-1].send(FileRequest(99, bytes(32), uuid.uuid4(), 0))  # refused; stays open on this side
    cleo = await client_of("127.0.0.4", network, stack)
    assert isinstance(await cleo.join(), JoinAccepted)
    bob = await network.join(stack, "Bob")
    assert (await bob.news.wait_for("joined")).fields["name"] == "Bob"
    network.host.add(network.song)
    for name in ("Ada", "Bob"):
        await network.host.news.wait_for("transfer", state="done", peer=name)
    assert not [event for event in network.host.news.told if event.fields.get("state") == "retry"]
