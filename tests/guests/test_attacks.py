"""Attacks on the page's server, over real sockets of this computer, with a session that only remembers."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Awaitable, Callable

import pytest
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import Pong, TextMessage

from phaselock.bench.lab.guest_client import GuestClient
from phaselock.guests import connection as connections
from phaselock.guests.static import PageFile
from tests.support import guest_jam
from tests.support.guest_jam import OpenPage, open_page

Scene = Callable[[OpenPage], Awaitable[None]]


@pytest.fixture
def page(tmp_path: pathlib.Path) -> Callable[[Scene], None]:
    """Runs a scene with an open page."""

    def run(scene: Scene) -> None:
        async def play() -> None:
            async with open_page(tmp_path, art=b"PNG") as opened:
                async with asyncio.timeout(20):
                    await scene(opened)

        asyncio.run(play())

    return run


async def guest(page: OpenPage, name: str = "Eve") -> tuple[GuestClient, str, bytes]:
    """A guest with an open page, its token and its id."""
    async with await GuestClient.open(page.port) as client:
        token: str = (await client.enter(secret=page.access.secret)).json["token"]
    client = await GuestClient.open(page.port)
    welcome = await client.hello(token, name)
    return client, token, bytes.fromhex(welcome["you"])


@pytest.mark.parametrize("kind", ["pongs", "parts of a message"])
def test_frames_that_are_no_message_are_spaced_as_messages_are(
    page: Callable[[Scene], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(page: OpenPage) -> None:
        spent = 0

        def pause_s(ip: str) -> float:
            nonlocal spent
            spent += 1
            return 60.0 if spent == 5 else 0.0

        client, _, _ = await guest(page)
        monkeypatch.setattr(page.server, "pause_s", pause_s)
        frames = Frames(ConnectionType.CLIENT)
        frame = Pong() if kind == "pongs" else TextMessage("", message_finished=False)
        async with client:
            await client.send(b"".join(frames.send(frame) for _ in range(20)))
            while spent < 5:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
        assert spent == 5

    page(scene)


def test_requests_that_arrive_at_once_are_spaced(
    page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(page: OpenPage) -> None:
        spent = 0

        def pause_s(ip: str) -> float:
            nonlocal spent
            spent += 1
            return 60.0 if spent == 3 else 0.0

        monkeypatch.setattr(page.server, "pause_s", pause_s)
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.close()
        assert spent == 3

    page(scene)


def test_answers_that_are_not_read_do_not_pile_up(
    page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = PageFile("text/javascript", b"x" * 100_000, '"tag"')
    monkeypatch.setattr(guest_jam, "FILES", {"/large.js": large})
    requests = 60

    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port, limit=1 << 16)
        writer.write(b"GET /large.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * requests)
        peak_bytes = received = 0
        while received < requests * len(large.content):
            peak_bytes = max(peak_bytes, *(one.unsent_bytes for one in page.server._connections.values()))
            received += len(await reader.read(1 << 16))
        writer.close()
        assert peak_bytes < connections.HIGH_BYTES + 2 * len(large.content)

    page(scene)


def test_a_body_of_a_byte_now_and_then_is_no_progress(page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(b"POST /api/enter HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n")
        await asyncio.sleep(0.02)
        (connection,) = page.server._connections.values()
        due_s = connection._deadline_s
        writer.write(b"x")
        await asyncio.sleep(0.02)
        assert connection._deadline_s == due_s
        connection.check(due_s + 0.1)
        assert not await reader.read()
        writer.close()

    page(scene)
