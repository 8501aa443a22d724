"""The bridge over iroh: two child processes on the loopback, without any relay."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from phaselock.app import bridge
from phaselock.model.notices import Code
from phaselock.model.relay import DIRECT
from phaselock.python_process import environment
from phaselock.session.events import Event
from phaselock.session.sentences import NoticeError

LIMIT_S = 120.0
"""For a whole test: the attempt to reach a host that is gone takes 8 s of it."""

needs_iroh = pytest.mark.skipif(not bridge.is_installed(), reason="the extra internet is not installed")


def never(event: Event) -> None:
    raise AssertionError(event)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test

    asyncio.run(limited())


class Echo(asyncio.DatagramProtocol):
    """Sends datagrams back, and keeps where they came from."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sources.append(addr[0])
        self._transport.sendto(b"echo " + data, addr)


class Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait(data)


class FakeHost:
    """A host's listener and clock that echo, behind a bridge without relays."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        """The addresses from which connections came."""

    async def __aenter__(self) -> FakeHost:
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        self.tcp = self._server.sockets[0].getsockname()[1]
        self._clock, self.clock = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
        self._nodes = asyncio.Queue[str]()
        self.bridge = bridge.HostBridgeProcess(DIRECT, never, self._nodes.put_nowait)
        await self.open_bridge()
        return self

    async def open_bridge(self) -> None:
        """Returns when the bridge waits for friends."""
        self.bridge.open("127.0.0.1", self.tcp, self._clock.get_extra_info("sockname")[1])
        while not (node := await self._nodes.get()):
            pass  # an earlier bridge has ended
        self.node = node

    async def __aexit__(self, *_: object) -> None:
        await self.bridge.close()
        self._server.close()
        self._clock.close()

    def friend(self, on_path: Callable[[], None]) -> bridge.FriendBridgeProcess:
        return bridge.FriendBridgeProcess(self.node, DIRECT, [("127.0.0.1", self.tcp)], never, on_path)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sources.append(writer.get_extra_info("peername")[0])
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


@needs_iroh
def test_connections_and_clock_packets_pass_both_ways() -> None:
    async def test() -> None:
        async with FakeHost() as host:
            friend = host.friend(lambda: None)
            try:
                ip, port = await friend.reach()
                reader, writer = await asyncio.open_connection(ip, port)
                sent = bytes(range(256)) * 4096
                writer.write(sent)
                writer.write_eof()
                assert await reader.read(-1) == sent
                writer.close()
                loop = asyncio.get_running_loop()
                ping, inbox = await loop.create_datagram_endpoint(Inbox, None, (ip, friend.clock_port))
                ping.sendto(b"ping")
                assert await inbox.received.get() == b"echo ping"
                ping.close()
                await asyncio.sleep(0)  # it closes in the next turn of the loop
                # The host's limits by address count this friend alone, and its clock answers it at the same address.
                assert host.sources == host.clock.sources
                if sys.platform == "linux":
                    assert host.sources[0] not in ("127.0.0.1", ip)
            finally:
                await friend.close()

    run(test())


@needs_iroh
@pytest.mark.slow
def test_a_lost_bridge_of_the_host_is_found_again_under_its_node_id(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        paths = []
        async with FakeHost() as host:
            friend = host.friend(lambda: paths.append(1))
            try:
                first = await friend.reach()
                await host.bridge.close()
                with pytest.raises(NoticeError) as caught, monkeypatch.context() as patch:
                    patch.setattr(bridge, "MAX_FAILURES", 1)
                    while True:  # `reach` returns in the same turn of the loop until the loss is told
                        await friend.reach()
                        await asyncio.sleep(0.01)
                assert caught.value.notice.code is Code.NO_WAY
                await host.open_bridge()
                assert await friend.reach() == first
                while not paths:  # the clock must measure the new path
                    await asyncio.sleep(0.01)
            finally:
                await friend.close()

    run(test())


def test_the_child_without_iroh_says_so() -> None:
    code = "import sys; sys.modules['iroh'] = None; from phaselock.internet.iroh_process import main; main()"
    said = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=json.dumps({"reach": {}}) + "\n",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert json.loads(said.stdout)["problem"] == "no_iroh"
