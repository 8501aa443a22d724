"""Attacks on the page's server, over real sockets of this computer, with a session that only remembers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import Pong, TextMessage

from phaselock.bench.lab.guest_client import GuestClient
from phaselock.guests import connection as connections
from phaselock.guests import limits, server, song_sender, uploads
from phaselock.guests.connection import Connection
from phaselock.guests.static import PageFile
from phaselock.session import guest_actions as a
from phaselock.session.effects import GuestRemoved
from tests.support import guest_jam
from tests.support.guest_jam import EMPTY, OpenPage, Scene, entered, row
from tests.support.simulation import a_track


@pytest.mark.parametrize("kind", ["pongs", "parts of a message"])
def test_frames_that_are_no_message_are_spaced_as_messages_are(
    on_page: Callable[[Scene], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(page: OpenPage) -> None:
        spent = 0

        def pause_s(ip: str) -> float:
            nonlocal spent
            spent += 1
            return 60.0 if spent == 5 else 0.0

        client, _, _ = await entered(page, "Eve")
        monkeypatch.setattr(page.server, "pause_s", pause_s)
        frames = Frames(ConnectionType.CLIENT)
        frame = Pong() if kind == "pongs" else TextMessage("", message_finished=False)
        async with client:
            await client.send(b"".join(frames.send(frame) for _ in range(20)))
            while spent < 5:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
        assert spent == 5

    on_page(scene)


def test_requests_that_arrive_at_once_are_spaced(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
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

    on_page(scene)


def test_answers_that_are_not_read_do_not_pile_up(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = PageFile("text/javascript", b"x" * 100_000, '"tag"')
    monkeypatch.setattr(guest_jam, "FILES", {"/large.js": large})
    requests = 60

    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port, limit=1 << 16)
        writer.write(b"GET /large.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * requests)
        peak_bytes = received = 0
        while received < requests * len(large.content):
            peak_bytes = max((peak_bytes, *(one.unsent_bytes for one in page.server._connections.values())))
            received += len(await reader.read(1 << 16))
        writer.close()
        assert peak_bytes < connections.HIGH_BYTES + 2 * len(large.content)

    on_page(scene)


def test_a_body_of_a_byte_now_and_then_is_no_progress(on_page: Callable[[Scene], None]) -> None:
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

    on_page(scene)


def test_a_guest_that_changes_its_name_all_the_time_is_barred_too(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, guest_id = await entered(page, "Eve")
        async with client:
            page.jam.now = dataclasses.replace(EMPTY, removed_guests=("Eva",))  # its newest name
            page.jam.removed.add(guest_id)
            page.server.tell(GuestRemoved(guest_id))
        async with await GuestClient.open(page.port) as again:
            await again.enter(secret=page.access.secret)
        assert [one.ips for one in page.access._removed] == [{"127.0.0.1"}]

    on_page(scene)


def test_pages_that_do_not_say_who_they_are_take_no_places(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_LIVE", 3)

    async def scene(page: OpenPage) -> None:
        silent = [await GuestClient.open(page.port) for _ in range(6)]
        for one in silent:
            assert await one.open_live() == 101
        client, _, _ = await entered(page, "Ana")
        await client.hear("state")
        for one in (*silent, client):
            one.close()

    on_page(scene)


def test_an_address_that_connects_too_often_is_turned_away(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPENINGS_S", 1e-6)
    monkeypatch.setattr(limits, "OPENINGS_BURST", 10.0)

    async def scene(page: OpenPage) -> None:
        answered = []
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            answer = b""
            with contextlib.suppress(ConnectionError):  # turned away: an end or a reset, as the system likes
                writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                answer = await reader.read(12)
            answered.append(answer == b"HTTP/1.1 200")
            writer.close()
        assert answered == [True] * 10 + [False] * 10
        async with await GuestClient.open(page.port, from_ip="127.0.0.9") as other:
            assert (await other.request("GET", "/")).status == 200

    on_page(scene)


def test_one_search_runs_at_a_time(on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    class Slow(guest_jam.Library):
        def search(self, text: str, limit: int = 50) -> Sequence[guest_jam.Found]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.01)
            running -= 1
            return super().search(text, limit)

    async def scene(page: OpenPage) -> None:
        monkeypatch.setattr(page.server, "songs", Slow)
        guests = [(await entered(page, str(number)))[0] for number in range(6)]
        for one in guests:
            await one.tell("search", search=1, text="water")
        for one in guests:
            await one.hear("results")
            one.close()
        assert most == 1

    on_page(scene)


def test_an_address_fetches_a_few_songs_at_once(on_page: Callable[[Scene], None], tmp_path: pathlib.Path) -> None:
    song = row(1)
    path = tmp_path / "1.mp3"
    path.write_bytes(bytes(30 << 20))

    async def scene(page: OpenPage) -> None:
        track = a_track(1)
        track = dataclasses.replace(track, file_id=song.id, size=path.stat().st_size)
        page.jam.now = dataclasses.replace(EMPTY, queue=(song,))
        page.jam.files[song.id] = track, path
        waiting = []
        for _ in range(song_sender.MAX_FILES_OF_ADDRESS + 1):
            client, token, _ = await entered(page, "Eve")
            client.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port, limit=1000)
            writer.write(f"GET /song/{song.id}?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            waiting.append(((await reader.read(12))[-3:], writer))
        for _, writer in waiting:
            writer.transport.abort()
        assert [status for status, _ in waiting] == [b"200"] * song_sender.MAX_FILES_OF_ADDRESS + [b"503"]

    on_page(scene)


async def upload(page: OpenPage, number: int, size: int, sent: int, token: str = "") -> tuple[GuestClient, str]:
    """Begin to upload a song, as a new guest unless there is a token. Its bytes are all `number`."""
    request = str(UUID(int=number))
    client, token, _ = await entered(page, str(number)) if not token else (None, token, b"")
    if client is not None:
        await client.tell("ask", request=request, file_name="a.mp3", size=size)
        while all(one.request_id.int != number for one in page.jam.done(a.GuestAsks)):
            await asyncio.sleep(0)
        client.close()
    http = await GuestClient.open(page.port)
    headers = {"Authorization": f"Bearer {token}", "Upload-Offset": str(page.server.uploads.done(UUID(int=number)))}
    await http.send(http.head("POST", f"/upload/{request}", headers, size) + bytes([number]) * sent)
    return http, token


def test_the_bytes_of_a_request_that_is_over_are_removed(
    on_page: Callable[[Scene], None], tmp_path: pathlib.Path
) -> None:
    async def scene(page: OpenPage) -> None:
        http, _ = await upload(page, 1, 50_000, 20_000)
        while page.server.uploads.done(UUID(int=1)) < 20_000:
            await asyncio.sleep(0.001)
        http.close()
        page.jam.unwanted.add(UUID(int=1))  # its time is over, or the host has rejected it
        while list(tmp_path.glob("guest-*")):
            await asyncio.sleep(0.01)
        assert not page.server.uploads._done and not page.server.uploads._size

    on_page(scene)


def test_uploads_together_do_not_fill_the_disk(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(page: OpenPage) -> None:
        monkeypatch.setattr(page.server.uploads._cache, "room_bytes", lambda: 100_000)
        first, _ = await upload(page, 1, 60_000, 10_000)
        while not page.server.uploads.done(UUID(int=1)):
            await asyncio.sleep(0.001)
        second, _ = await upload(page, 2, 60_000, 60_000)
        assert (await second.answer()).status == 507
        third, _ = await upload(page, 3, 40_000, 40_000)
        assert (await third.answer()).status == 200
        for one in (first, second, third):
            one.close()

    on_page(scene)


def test_an_address_has_half_of_the_places_for_uploads(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        opened = [(await upload(page, number, 1000, 10))[0] for number in range(1, 5)]
        while len(page.server.uploads._running) < uploads.MAX_UPLOADS_OF_ADDRESS:
            await asyncio.sleep(0.001)
        opened.append((await upload(page, 9, 1000, 10))[0])
        assert (await opened[-1].answer()).status == 503
        for one in opened:
            one.close()

    on_page(scene)


def test_one_connection_at_a_time_writes_a_song(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    may_go_on = threading.Event()
    write_all = uploads._write_all

    def slow(file: io.FileIO, data: bytes) -> None:
        writes.append(len(data))
        may_go_on.wait(10)
        write_all(file, data)

    async def scene(page: OpenPage) -> None:
        monkeypatch.setattr(uploads, "_write_all", slow)
        first, token = await upload(page, 1, 1000, 900)
        while not writes:
            await asyncio.sleep(0.001)
        second, _ = await upload(page, 1, 1000, 1000, token)
        async with first:
            with pytest.raises(ConnectionError):
                await first.answer()
        await asyncio.sleep(0.02)
        assert writes == [900]
        may_go_on.set()
        assert (await second.answer()).json == {"done": 1000}
        second.close()
        assert page.jam.uploaded == [(UUID(int=1), bytes([1]) * 1000)]

    on_page(scene)


@pytest.mark.parametrize(
    ("peer", "here", "address"),
    [
        ("192.168.1.7", "192.168.1.20", "192.168.1.7"),
        ("::ffff:192.168.1.7", "::ffff:192.168.1.20", "192.168.1.7"),
        ("fe80::7%eth0", "fe80::20%eth0", "fe80::7"),
        ("192.168.1.20", "192.168.1.20", ""),
        ("127.0.0.1", "127.0.0.1", ""),
        ("::1", "::1", ""),
    ],
)
def test_a_guest_is_known_by_its_address_unless_it_is_on_the_machine_of_the_host(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch, peer: str, here: str, address: str
) -> None:
    made = Connection.connection_made

    class Elsewhere(asyncio.Transport):
        """A connection between two other addresses."""

        def __init__(self, transport: asyncio.Transport) -> None:
            super().__init__({"peername": (peer, 5000), "sockname": (here, 17403)})
            for name in ("write", "abort", "close", "is_closing", "pause_reading", "resume_reading"):
                setattr(self, name, getattr(transport, name))
            self.set_write_buffer_limits = transport.set_write_buffer_limits
            self.get_write_buffer_size = transport.get_write_buffer_size

    def made_elsewhere(connection: Connection, transport: asyncio.Transport) -> None:
        made(connection, Elsewhere(transport))

    async def scene(page: OpenPage) -> None:
        monkeypatch.setattr(Connection, "connection_made", made_elsewhere)
        client, _, _ = await entered(page, "Ana")
        client.close()
        assert page.jam.done(a.GuestHere) == [a.GuestHere("Ana", address)]

    on_page(scene)
