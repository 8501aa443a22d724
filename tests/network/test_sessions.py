"""Real machines and runners on the loopback, in one loop; only sound and clock are stand-ins."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import pathlib
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any
from unittest import mock

import pytest

from phaselock.audio.interface import AudioEvent, AudioStatus, DecodeFailed, DeviceChanged, Plan
from phaselock.errors import InvalidMp3Error, PhaseLockError
from phaselock.model.types import UNKNOWN_CLOCK, ClockStatus, Track
from phaselock.network import connection as connection_module
from phaselock.network import host as host_module
from phaselock.network import transfer
from phaselock.network.host import MAX_UNAUTHENTICATED, HostRunner
from phaselock.network.peer import PeerRunner, connect
from phaselock.network.runner import sync_event
from phaselock.protocol.framing import HOST_CAP, Framer, frame
from phaselock.protocol.messages import (
    PROTOCOL_VERSION,
    FileChunk,
    FileReceived,
    FileRefused,
    FileRequest,
    FileTransferStart,
    Heartbeat,
    JoinAccepted,
    JoinRequest,
    Message,
    PlayCommand,
    SessionInfo,
    SongRequest,
    SongUploadStart,
)
from phaselock.session import commands as c
from phaselock.session.effects import CancelFetch, Ended, Fetch
from phaselock.session.events import Event
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from phaselock.storage.cache import FileCache
from phaselock.sync.clock import PeerClocks
from tests.support.told import Over, Told, told

TIMEOUT_S = 30
DATA = random.Random(2).randbytes(200_000)


class Output:
    """An AudioOutput without sound."""

    def __init__(self) -> None:
        self.on_event: Callable[[AudioEvent], None] = lambda event: None
        self.followed: list[tuple[Plan | None, Plan | None]] = []
        self.latency_ns = 10_000_000

    def start(self, on_event: Callable[[AudioEvent], None]) -> None:
        self.on_event = on_event

    def follow(self, plan: Plan | None, then: Plan | None = None) -> None:
        self.followed.append((plan, then))

    def set_volume(self, volume: float) -> None: ...

    def set_correction_ms(self, correction_ms: float) -> None: ...

    def status(self) -> AudioStatus:
        playing = bool(self.followed and self.followed[-1][0])
        return AudioStatus("Speaker", 48000, self.latency_ns, 900, 1000, "exact", playing, 1500, 0.25, 0, 1.0)

    def close(self) -> None: ...


class Clock:
    """Both kinds of clock: the session's time is this machine's own."""

    def __init__(self) -> None:
        self.allowed: dict[int, str] = {}
        self.asked: tuple[str, int, int] | None = None

    def allow(self, peer_id: int, ip: str) -> None:
        self.allowed[peer_id] = ip

    def forbid(self, peer_id: int) -> None:
        self.allowed.pop(peer_id, None)

    def start(self, host_ip: str, port: int, peer_id: int) -> None:
        self.asked = (host_ip, port, peer_id)

    def stop(self) -> None:
        self.asked = None

    def status(self, now_ns: int) -> ClockStatus:
        return ClockStatus(now_ns, True, False, 0, 0.0, 1000, 500_000) if self.asked else UNKNOWN_CLOCK


class News:
    """The events of one program, and a way to wait for one."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.told.append(told(event))
        self._changed.set()

    async def wait_for(self, event_name: str, /, **fields: object) -> Told:
        seen = 0
        while True:
            while seen < len(self.told):
                event = self.told[seen]
                seen += 1
                if event.name == event_name and fields.items() <= dict(event.fields).items():
                    return event
            self._changed.clear()
            await self._changed.wait()

    def names(self) -> list[str]:
        return [event.name for event in self.told]


@dataclasses.dataclass
class Host:
    runner: HostRunner
    output: Output
    clock: Clock
    news: News
    address: tuple[str, int]
    ended: asyncio.Task[Ended]
    listener: socket.socket

    def add(self, path: pathlib.Path, data: bytes = DATA) -> Track:
        track = Track(uuid.uuid4(), path.name, len(data), hashlib.sha256(data).digest(), 44100, 441000)
        self.runner.add(track, path)
        return track


@dataclasses.dataclass
class Peer:
    runner: PeerRunner
    output: Output
    clock: Clock
    news: News
    ended: asyncio.Task[Ended]


def describe(path: pathlib.Path, name: str) -> Track:
    """Any file is music here, but for those that say they are not."""
    data = path.read_bytes()
    if data.startswith(b"noise"):
        raise InvalidMp3Error(name)
    return Track(uuid.uuid4(), name, len(data), hashlib.sha256(data).digest(), 44100, 441000)


class Room:
    """One session in this loop."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.song = folder / "song.mp3"
        self.song.write_bytes(DATA)
        self.host: Host

    async def open(self, stack: contextlib.AsyncExitStack) -> Host:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        output, clock, news = Output(), Clock(), News()
        machine = HostSession(session_name="Jam", host_name="Host", token_factory=lambda: random.randbytes(16))
        runner = HostRunner(
            machine,
            output,
            clock,
            FileCache(self.folder / "host"),
            describe=describe,
            now_ns=time.monotonic_ns,
            on_event=news,
        )
        ended = asyncio.create_task(runner.run([listener]))
        stack.push_async_callback(self._end, ended)
        self.host = Host(runner, output, clock, news, listener.getsockname(), ended, listener)
        return self.host

    async def join(
        self, stack: contextlib.AsyncExitStack, name: str, inspect: Callable[[pathlib.Path], object] = lambda path: None
    ) -> Peer:
        sock = stack.enter_context(await connect(*self.host.address))
        output, clock, news = Output(), Clock(), News()
        runner = PeerRunner(
            PeerSession(display_name=name),
            output,
            clock,
            FileCache(self.folder / name),
            inspect=inspect,
            now_ns=time.monotonic_ns,
            on_event=news,
        )
        ended = asyncio.create_task(runner.run(sock))
        stack.push_async_callback(self._end, ended)
        return Peer(runner, output, clock, news, ended)

    async def _end(self, running: asyncio.Task[Ended]) -> None:
        running.cancel()
        await asyncio.wait([running])

    @contextlib.asynccontextmanager
    async def stranger(self) -> AsyncIterator[Stranger]:
        sock = await connect(*self.host.address)
        with sock:
            yield Stranger(sock)


class Stranger:
    """Somebody with a bare socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._framer = Framer(HOST_CAP)
        self._inbox: list[Message] = []

    def hear_little(self) -> None:
        """Let the kernel keep as little as possible of what is sent to it."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def send(self, *messages: Message | bytes) -> None:
        data = b"".join(one if isinstance(one, bytes) else frame(one) for one in messages)
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def read(self) -> Message | None:
        """The next message, None at the end."""
        while not self._inbox:
            with contextlib.suppress(ConnectionResetError):
                if data := await asyncio.get_running_loop().sock_recv(self._sock, 1 << 16):
                    self._inbox += self._framer.feed(data)
                    continue
            return None
        return self._inbox.pop(0)

    async def read_to_end(self) -> list[Message]:
        found = []
        while (message := await self.read()) is not None:
            found.append(message)
        return found

    async def join(self) -> JoinAccepted:
        await self.send(JoinRequest("Stranger", PROTOCOL_VERSION))
        while not isinstance(message := await self.read(), JoinAccepted):
            assert message
        return message


Story = Callable[[Room, contextlib.AsyncExitStack], Awaitable[None]]


def played(story: Story) -> Callable[[pathlib.Path], None]:
    """A test that tells this story in an open room; an error that nobody caught fails it."""

    def test(tmp_path: pathlib.Path) -> None:
        problems: list[dict[str, Any]] = []

        async def run() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
            async with asyncio.timeout(TIMEOUT_S), contextlib.AsyncExitStack() as stack:
                room = Room(tmp_path)
                await room.open(stack)
                await story(room, stack)

        asyncio.run(run())
        assert not problems

    test.__name__ = test.__qualname__ = story.__name__
    return test


@played
async def test_a_file_reaches_everybody_and_all_follow_one_line(room: Room, stack: contextlib.AsyncExitStack) -> None:
    host = room.host
    track = host.add(room.song)
    peers = [await room.join(stack, name) for name in ("Ada", "Bob")]
    for peer in peers:
        await peer.news.wait_for("file_ready")
        await host.news.wait_for("transfer", state="done", peer=(await peer.news.wait_for("joined")).fields["name"])
        assert peer.clock.asked and peer.clock.asked[:2] == ("127.0.0.1", 17402)
    assert sorted(host.clock.allowed.values()) == ["127.0.0.1", "127.0.0.1"]
    host.runner.command(c.Play())
    for peer in peers:
        await peer.news.wait_for("playing")
    plans = [program.output.followed[-1][0] for program in (host, *peers)]
    assert all(plan and plan.track == track and plan.path.read_bytes() == DATA for plan in plans)
    assert len({plan.timeline for plan in plans if plan}) == 1

    sync = await peers[0].news.wait_for("sync", playing=True)
    assert sync.session_ns
    assert dict(sync.fields) == {
        "playing": True,
        "phase_error_us": 1.5,
        "offset_uncertainty_us": 1.0,
        "drift_ppm": 0.0,
        "correction_ppm": 0.25,
        "rtt_ms": 0.5,
        "underruns": 0,
        "timing": "exact",
        "dac_uncertainty_us": 1.0,
        "output_latency_ms": 10.0,
    }

    peers[0].runner.command(c.Leave())
    assert not (await peers[0].ended).failed
    await host.news.wait_for("peer_left", name="Ada")
    assert len(host.clock.allowed) == 1 and peers[0].clock.asked is None
    host.runner.command(c.Quit())
    assert not (await host.ended).failed
    assert not (await peers[1].ended).failed


def test_an_uncertainty_that_is_not_known_is_no_figure() -> None:
    status = AudioStatus("Speaker", 48000, 0, 900, None, "unknown", True, 1500, 0.25, 0, 1.0)
    fields = told(sync_event(None, status, PeerClocks("envelope").status(5))).fields  # nothing is measured yet
    assert (fields["timing"], fields["dac_uncertainty_us"], fields["offset_uncertainty_us"]) == ("unknown", None, None)
    assert (fields["drift_ppm"], fields["rtt_ms"]) == (None, None)


@played
async def test_a_damaged_file_is_tried_three_times(room: Room, stack: contextlib.AsyncExitStack) -> None:
    room.song.write_bytes(DATA[:-1] + b"\0")
    room.host.add(room.song, DATA)
    peer = await room.join(stack, "Ada")
    await room.host.news.wait_for("transfer", state="failed", peer="Ada")
    states = [event.fields["state"] for event in room.host.news.told if event.name == "transfer"]
    assert states.count("retry") == 2
    assert "file_ready" not in peer.news.names()
    assert not list((room.folder / "Ada").iterdir())


@played
async def test_a_file_that_is_no_music_there_is_told_to_the_host(room: Room, stack: contextlib.AsyncExitStack) -> None:
    def inspect(path: pathlib.Path) -> None:
        raise InvalidMp3Error("song.mp3")

    room.host.add(room.song)
    await room.join(stack, "Ada", inspect)
    error = await room.host.news.wait_for("error")
    assert error.fields["peer"] == "Ada"


@played
async def test_a_file_that_went_is_told_to_the_host(room: Room, stack: contextlib.AsyncExitStack) -> None:
    room.host.add(room.song)
    room.song.unlink()
    await room.join(stack, "Ada")
    warning = await room.host.news.wait_for("warning")
    assert "song.mp3 cannot be read" in str(warning.fields["message"])


@played
async def test_events_of_the_output_reach_the_machine(room: Room, stack: contextlib.AsyncExitStack) -> None:
    track = room.host.add(room.song)
    peer = await room.join(stack, "Ada")
    await room.host.news.wait_for("transfer", state="done")
    room.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    plan = peer.output.followed[-1][0]
    assert plan and plan.track == track
    await asyncio.to_thread(peer.output.on_event, DeviceChanged("lost", None, "It is gone."))
    await peer.news.wait_for("device", state="lost")
    await asyncio.to_thread(peer.output.on_event, DecodeFailed(plan, "nothing but noise"))
    error = await room.host.news.wait_for("error")
    assert error.fields["peer"] == "Ada" and "nothing but noise" in str(error.fields["message"])


@played
async def test_the_host_speaks_first(room: Room, stack: contextlib.AsyncExitStack) -> None:
    async with room.stranger() as stranger:
        assert await stranger.read() == SessionInfo(PROTOCOL_VERSION, room.host.runner.session_id, "Jam", "Host", (), 5)


@played
async def test_nonsense_is_hung_up_on_and_nobody_else_notices(room: Room, stack: contextlib.AsyncExitStack) -> None:
    peer = await room.join(stack, "Ada")
    await peer.news.wait_for("joined")
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\1\0\0\0\xee", frame(Heartbeat())):
        async with room.stranger() as stranger:
            await stranger.send(nonsense)
            assert [type(message) for message in await stranger.read_to_end()] == [SessionInfo]
    async with room.stranger() as stranger:
        await stranger.join()
        await stranger.send(b"\0\0\0\0")
        await stranger.read_to_end()
    await room.host.news.wait_for("peer_left", name="Stranger")
    assert [peer.name for peer in room.host.runner.snapshot().peers] == ["Ada"]
    assert not peer.ended.done()


@played
async def test_files_are_for_those_with_a_token(room: Room, stack: contextlib.AsyncExitStack) -> None:
    track = room.host.add(room.song)
    async with room.stranger() as control:
        accepted = await control.join()
        good = FileRequest(accepted.peer_id, accepted.token, track.file_id, 0)
        for bad in (
            dataclasses.replace(good, token=bytes(16)),
            dataclasses.replace(good, peer_id=accepted.peer_id + 1),
            dataclasses.replace(good, file_id=uuid.uuid4()),
            dataclasses.replace(good, offset=len(DATA) + 1),
        ):
            async with room.stranger() as other:
                await other.send(bad)
                _, refusal = await other.read_to_end()
                assert isinstance(refusal, FileRefused)
        cache = FileCache(room.folder / "resumed")
        with cache.begin(track.sha256, track.size) as partial:
            partial.write(DATA[:100_000])
        fetch = transfer.Fetch(track, room.host.address, accepted.peer_id, accepted.token)
        assert (await asyncio.to_thread(fetch.run, cache)).read_bytes() == DATA
    await room.host.news.wait_for("peer_left")
    async with room.stranger() as other:
        await other.send(good)
        _, refusal = await other.read_to_end()
        assert isinstance(refusal, FileRefused)


@played
async def test_timed_commands_are_chased_so_that_a_loss_shows_at_once(
    room: Room, stack: contextlib.AsyncExitStack
) -> None:
    track = room.host.add(room.song)
    async with room.stranger() as control:
        await control.join()
        while not isinstance(message := await control.read(), FileTransferStart):
            assert message
        await control.send(FileReceived(track.file_id, True))
        await room.host.news.wait_for("transfer", state="done")
        room.host.runner.command(c.Play())
        while not isinstance(message := await control.read(), PlayCommand):
            assert message
        # Ordinary heartbeats are too rare for three before this silent stranger is given up.
        heartbeats = 0
        while heartbeats < 3:
            assert (message := await control.read())
            heartbeats += isinstance(message, Heartbeat)


@pytest.mark.slow
@played
async def test_a_second_transfer_takes_the_place_of_the_first(room: Room, stack: contextlib.AsyncExitStack) -> None:
    data = random.Random(3).randbytes(30_000_000)
    room.song.write_bytes(data)
    track = room.host.add(room.song, data)
    async with room.stranger() as control:
        accepted = await control.join()
        request = FileRequest(accepted.peer_id, accepted.token, track.file_id, 0)
        async with room.stranger() as stuck, room.stranger() as second:
            await stuck.send(request)
            assert isinstance(await stuck.read(), SessionInfo)
            assert isinstance(await stuck.read(), FileChunk)
            await second.send(dataclasses.replace(request, offset=len(data) - 10))
            _, chunk = await second.read_to_end()
            assert isinstance(chunk, FileChunk) and chunk.data == data[-10:]
            received = sum(len(one.data) for one in await stuck.read_to_end() if isinstance(one, FileChunk))
            assert received < len(data) - (1 << 20)


@played
async def test_those_who_say_nothing_keep_nobody_out(room: Room, stack: contextlib.AsyncExitStack) -> None:
    ana = await stack.enter_async_context(room.stranger())
    assert isinstance(await ana.join(), JoinAccepted)
    silent = [await stack.enter_async_context(room.stranger()) for _ in range(3 * MAX_UNAUTHENTICATED)]
    ben = await stack.enter_async_context(room.stranger())
    assert isinstance(await ben.join(), JoinAccepted)
    for stranger in silent[: 2 * MAX_UNAUTHENTICATED]:
        await stranger.read_to_end()
    assert isinstance(await silent[-1].read(), SessionInfo)
    assert [peer.name for peer in room.host.runner.snapshot().peers] == ["Stranger", "Stranger (2)"]


@played
async def test_a_loss_is_told_in_a_sentence(room: Room, stack: contextlib.AsyncExitStack) -> None:
    async with room.stranger() as gone:
        await gone.join()
    left = await room.host.news.wait_for("peer_left")
    assert left.fields["reason"] == "The connection was lost: the other side closed it."
    bad = await stack.enter_async_context(room.stranger())
    await bad.join()
    await bad.send(b"\0\0\0\0")
    left = await room.host.news.wait_for("peer_left", peer_id=2)
    assert left.fields["reason"] == "It broke the protocol: a frame of 0 bytes is not allowed here."


def test_whoever_says_nothing_is_hung_up_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "HELLO_S", 0.05)

    async def story(room: Room, stack: contextlib.AsyncExitStack) -> None:
        async with room.stranger() as stranger:
            assert [type(message) for message in await stranger.read_to_end()] == [SessionInfo]

    played(story)(tmp_path)


@played
async def test_a_peer_that_reads_nothing_is_dropped(room: Room, stack: contextlib.AsyncExitStack) -> None:
    async with room.stranger() as deaf:
        stack.enter_context(mock.patch.object(connection_module, "MAX_UNSENT_BYTES", 200_000))
        deaf.hear_little()
        await deaf.join()
        added = 0
        while "peer_left" not in room.host.news.names():  # every track more makes the queue that is sent longer
            room.host.add(room.folder / f"{added:0200}.mp3")
            added += 1
            await asyncio.sleep(0)
    left = await room.host.news.wait_for("peer_left")
    assert "does not read" in str(left.fields["reason"])


@played
async def test_a_song_that_a_peer_asks_for_is_added_and_reaches_the_others(
    room: Room, stack: contextlib.AsyncExitStack
) -> None:
    ada, bob = await room.join(stack, "Ada"), await room.join(stack, "Bob")
    await ada.news.wait_for("joined")
    song = room.folder / "wish.mp3"
    song.write_bytes(DATA)
    ada.runner.request(song)
    asked = await room.host.news.wait_for("request", state="open")
    assert (asked.fields["peer"], asked.fields["file_name"], asked.fields["size"]) == ("Ada", "wish.mp3", len(DATA))
    song.unlink()  # it is in the cache by now
    room.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    for program in (room.host, ada):
        await program.news.wait_for("request", state="added")
    for name in ("Ada", "Bob"):
        await room.host.news.wait_for("transfer", state="done", peer=name)
    (item,) = room.host.runner.snapshot().queue
    assert (item.file_name, item.added_by) == ("wish.mp3", "Ada")
    room.host.runner.command(c.Play())
    for program in (room.host, ada, bob):
        await program.news.wait_for("playing")
        plan = program.output.followed[-1][0]
        assert plan and plan.path.read_bytes() == DATA


@played
async def test_a_song_that_cannot_be_used_is_refused_in_words(room: Room, stack: contextlib.AsyncExitStack) -> None:
    ada = await room.join(stack, "Ada")
    song = room.folder / "wish.mp3"
    song.write_bytes(b"noise" + DATA)
    await ada.news.wait_for("joined")
    ada.runner.request(song)
    asked = await room.host.news.wait_for("request", state="open")
    room.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    answer = await ada.news.wait_for("request", state="rejected")
    assert answer.fields["reason"] == "Invalid or corrupted MP3 file: wish.mp3"
    assert room.host.runner.snapshot().queue == ()
    ada.runner.request(room.folder / "nothing.mp3")
    assert "nothing.mp3" in str((await ada.news.wait_for("error")).fields["message"])


@played
async def test_an_upload_that_nobody_asked_for_is_refused(room: Room, stack: contextlib.AsyncExitStack) -> None:
    async with room.stranger() as control:
        accepted = await control.join()
        request_id = uuid.uuid4()
        await control.send(SongRequest(request_id, "a.mp3", 100))
        await room.host.news.wait_for("request", state="open")  # and nobody accepts it
        for token in (accepted.token, bytes(16)):
            async with room.stranger() as other:
                await other.send(SongUploadStart(accepted.peer_id, token, request_id, bytes(32)))
                _, refusal = await other.read_to_end()
                assert isinstance(refusal, FileRefused)
    assert not list((room.folder / "host").glob("*"))


@played
async def test_a_broken_connection_is_made_again(room: Room, stack: contextlib.AsyncExitStack) -> None:
    room.host.add(room.song)
    peer = await room.join(stack, "Ada")
    await room.host.news.wait_for("transfer", state="done")
    room.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    followed, asked = len(peer.output.followed), peer.clock.asked
    for connection, _ in room.host.runner._connections.values():
        connection.abort("as a router does")
    joined = await peer.news.wait_for("joined", again=True)
    assert joined.fields["name"] == "Ada" and joined.fields["peer_id"] == 1
    await room.host.news.wait_for("peer_joined", again=True)
    await room.host.news.wait_for("transfer", state="done")
    assert len(peer.output.followed) == followed and peer.clock.asked == asked
    assert not peer.ended.done()


@played
async def test_a_host_that_is_gone_ends_the_session(room: Room, stack: contextlib.AsyncExitStack) -> None:
    peer = await room.join(stack, "Ada")
    await peer.news.wait_for("joined")
    room.host.listener.close()
    for connection, _ in room.host.runner._connections.values():
        connection.abort("it crashed")
    assert await peer.ended == Over("Host disconnected — session ended.", failed=True)


@played
async def test_strangers_of_one_address_keep_out_nobody_of_another(
    room: Room, stack: contextlib.AsyncExitStack
) -> None:
    ada = await room.join(stack, "Ada")
    await ada.news.wait_for("joined")
    crowd = []
    for _ in range(3 * MAX_UNAUTHENTICATED):
        with contextlib.suppress(OSError):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.bind(("127.0.0.2", 0))
            await asyncio.get_running_loop().sock_connect(sock, room.host.address)
            crowd.append(Stranger(sock))
            await crowd[-1].send(FileRequest(99, bytes(16), uuid.uuid4(), 0))  # refused, and held on to
    bob = await room.join(stack, "Bob")
    assert (await bob.news.wait_for("joined")).fields["name"] == "Bob"
    room.host.add(room.song)
    for name in ("Ada", "Bob"):
        await room.host.news.wait_for("transfer", state="done", peer=name)
    assert not [event for event in room.host.news.told if event.fields.get("state") == "retry"]


def test_nobody_there_in_plain_words() -> None:
    def reach(host: str, port: int) -> Coroutine[Any, Any, socket.socket]:
        return connect(host, port)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PhaseLockError, match=f"Cannot reach 127.0.0.1 on port {port}: nobody listens there"):
        asyncio.run(reach("127.0.0.1", port))
    with pytest.raises(PhaseLockError, match="Cannot reach host.invalid on port 1: no address was found"):
        asyncio.run(reach("host.invalid", 1))


async def out_of_reach(peer: Peer, stack: contextlib.AsyncExitStack) -> tuple[list[uuid.UUID], asyncio.Event]:
    """From now on no connection for a file comes to stand: which files are tried all the same, and a first try."""
    await peer.news.wait_for("joined")
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):  # a full backlog answers nobody
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(OSError):
            waiting.connect(listener.getsockname())
    stack.enter_context(mock.patch.object(transfer, "CONNECT_S", 10 * TIMEOUT_S))
    peer.runner._address = listener.getsockname()
    tried, loop, first, get = list[uuid.UUID](), asyncio.get_running_loop(), asyncio.Event(), peer.runner._get

    def try_it(fetch: transfer.Fetch) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        tried.append(fetch.track.file_id)
        loop.call_soon_threadsafe(first.set)
        return get(fetch)

    stack.enter_context(mock.patch.object(peer.runner, "_get", try_it))
    return tried, first


@played
async def test_whoever_leaves_waits_for_no_file(room: Room, stack: contextlib.AsyncExitStack) -> None:
    peer = await room.join(stack, "Ada")
    tried, first = await out_of_reach(peer, stack)
    tracks = [room.host.add(room.song) for _ in range(3)]
    for track in tracks:
        await peer.news.wait_for("transfer", state="started", file_id=str(track.file_id))
    await first.wait()
    peer.runner.command(c.Leave())
    assert not (await peer.ended).failed
    assert tried == [tracks[0].file_id]
    assert not list((room.folder / "Ada").glob("*"))


@played
async def test_an_offer_that_is_withdrawn_leaves_nothing_behind(room: Room, stack: contextlib.AsyncExitStack) -> None:
    peer = await room.join(stack, "Ada")
    tried, first = await out_of_reach(peer, stack)
    track = room.host.add(room.song)
    await first.wait()
    tasks = len(peer.runner._tasks)
    for _ in range(100):
        other = dataclasses.replace(track, file_id=uuid.uuid4())
        for effect in (Fetch(other, 1, bytes(16)), CancelFetch(other.file_id)):
            peer.runner._execute(effect)
    assert list(peer.runner._fetches) == [track.file_id] == tried
    assert len(peer.runner._tasks) == tasks and peer.runner._pool._work_queue.empty()
    peer.runner._address = room.host.address
    room.host.runner.command(c.Remove(track.file_id))
    room.host.add(room.song)
    await peer.news.wait_for("file_ready")
    assert len(tried) == 2


@played
async def test_a_file_that_made_room_is_fetched_again(room: Room, stack: contextlib.AsyncExitStack) -> None:
    peer = await room.join(stack, "Ada")
    track = room.host.add(room.song)
    await peer.news.wait_for("file_ready")
    await room.host.news.wait_for("transfer", state="done")
    path = peer.runner.path(track.file_id)
    assert path
    path.unlink()
    again, loop, get = asyncio.Event(), asyncio.get_running_loop(), peer.runner._get

    def get_it(fetch: transfer.Fetch) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        if fetch.track == track:
            loop.call_soon_threadsafe(again.set)
        return get(fetch)

    stack.enter_context(mock.patch.object(peer.runner, "_get", get_it))
    (room.folder / "other.mp3").write_bytes(DATA[::-1])
    room.host.add(room.folder / "other.mp3", DATA[::-1])
    await again.wait()
    assert not peer.ended.done()
