"""Real sessions and runners on the loopback interface, in one event loop. Only sound and clock are simulated."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import itertools
import pathlib
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any
from unittest import mock

import pytest

from phaselock.audio.interface import AudioEvent, DecodeFailed, DeviceChanged, Plan
from phaselock.errors import InvalidMp3Error, PhaseLockError
from phaselock.model.types import UNKNOWN_CLOCK, AudioStatus, ClockStatus, Track
from phaselock.network import connection as connection_module
from phaselock.network import host as host_module
from phaselock.network import transfer
from phaselock.network.host import MAX_UNAUTHENTICATED, HostRunner
from phaselock.network.peer import PeerRunner, connect
from phaselock.network.runner import sync_event
from phaselock.protocol.framing import frame
from phaselock.protocol.messages import (
    PROTOCOL_VERSION,
    FileChunk,
    FileReceived,
    FileRefused,
    FileRequest,
    FileTransferStart,
    Heartbeat,
    JoinAccepted,
    PlayCommand,
    SessionInfo,
    SongRequest,
    SongUploadStart,
)
from phaselock.session import commands as c
from phaselock.session.effects import CancelFetch, Connect, Ended, Fetch
from phaselock.session.events import Event
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from phaselock.storage.cache import FileCache
from phaselock.sync.clock import PeerClocks
from tests.support.raw_client import RawClient
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
    """The clock of a host or of a peer: session time is the time of this machine."""

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
    """Records the events of one program, and waits for an event."""

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
    """Accept any file as a track, except a file that begins with "noise"."""
    data = path.read_bytes()
    if data.startswith(b"noise"):
        raise InvalidMp3Error(name)
    return Track(uuid.uuid4(), name, len(data), hashlib.sha256(data).digest(), 44100, 441000)


class NetworkFixture:
    """One session in this event loop: a host on the loopback interface, and the peers that join it."""

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
        self.host = Host(runner, output, clock, news, listener.getsockname(), ended)
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
    async def raw_client(self) -> AsyncIterator[RawClient]:
        sock = await connect(*self.host.address)
        with sock:
            yield RawClient(sock)


Story = Callable[[NetworkFixture, contextlib.AsyncExitStack], Awaitable[None]]


def played(story: Story) -> Callable[[pathlib.Path], None]:
    """Turn the story into a test. It runs in an open session; an uncaught exception in any task fails it."""

    def test(tmp_path: pathlib.Path) -> None:
        problems: list[dict[str, Any]] = []

        async def run() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
            async with asyncio.timeout(TIMEOUT_S), contextlib.AsyncExitStack() as stack:
                network = NetworkFixture(tmp_path)
                await network.open(stack)
                await story(network, stack)

        asyncio.run(run())
        assert not problems

    test.__name__ = test.__qualname__ = story.__name__
    return test


@played
async def test_a_file_reaches_everybody_and_all_follow_one_line(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    host = network.host
    track = host.add(network.song)
    peers = [await network.join(stack, name) for name in ("Ada", "Bob")]
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
    fields = told(sync_event(None, status, PeerClocks("envelope").status(5))).fields  # before the first measurement
    assert (fields["timing"], fields["dac_uncertainty_us"], fields["offset_uncertainty_us"]) == ("unknown", None, None)
    assert (fields["drift_ppm"], fields["rtt_ms"]) == (None, None)


@played
async def test_a_damaged_file_is_tried_three_times(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.song.write_bytes(DATA[:-1] + b"\0")
    network.host.add(network.song, DATA)
    peer = await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="failed", peer="Ada")
    states = [event.fields["state"] for event in network.host.news.told if event.name == "transfer"]
    assert states.count("retry") == 2
    assert "file_ready" not in peer.news.names()
    assert not list((network.folder / "Ada").iterdir())


@played
async def test_a_file_that_is_no_music_there_is_told_to_the_host(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    def inspect(path: pathlib.Path) -> None:
        raise InvalidMp3Error("song.mp3")

    network.host.add(network.song)
    await network.join(stack, "Ada", inspect)
    error = await network.host.news.wait_for("error")
    assert error.fields["peer"] == "Ada"


@played
async def test_a_file_that_went_is_told_to_the_host(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.add(network.song)
    network.song.unlink()
    await network.join(stack, "Ada")
    warning = await network.host.news.wait_for("warning")
    assert "song.mp3 cannot be read" in str(warning.fields["message"])


@played
async def test_events_of_the_output_reach_the_machine(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    track = network.host.add(network.song)
    peer = await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="done")
    network.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    plan = peer.output.followed[-1][0]
    assert plan and plan.track == track
    await asyncio.to_thread(peer.output.on_event, DeviceChanged("lost", None, "It is gone."))
    await peer.news.wait_for("device", state="lost")
    await asyncio.to_thread(peer.output.on_event, DecodeFailed(plan, "nothing but noise"))
    error = await network.host.news.wait_for("error")
    assert error.fields["peer"] == "Ada" and "nothing but noise" in str(error.fields["message"])


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
async def test_files_are_for_those_with_a_token(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    track = network.host.add(network.song)
    async with network.raw_client() as control:
        accepted = await control.join()
        good = FileRequest(accepted.peer_id, accepted.token, track.file_id, 0)
        for bad in (
            dataclasses.replace(good, token=bytes(16)),
            dataclasses.replace(good, peer_id=accepted.peer_id + 1),
            dataclasses.replace(good, file_id=uuid.uuid4()),
            dataclasses.replace(good, offset=len(DATA) + 1),
        ):
            async with network.raw_client() as other:
                await other.send(bad)
                _, refusal = await other.read_to_end()
                assert isinstance(refusal, FileRefused)
        cache = FileCache(network.folder / "resumed")
        with cache.begin(track.sha256, track.size) as partial:
            partial.write(DATA[:100_000])
        fetch = transfer.Fetch(track, network.host.address, accepted.peer_id, accepted.token)
        assert (await asyncio.to_thread(fetch.run, cache)).read_bytes() == DATA
    await network.host.news.wait_for("peer_left")
    async with network.raw_client() as other:
        await other.send(good)
        _, refusal = await other.read_to_end()
        assert isinstance(refusal, FileRefused)


@played
async def test_timed_commands_are_chased_so_that_a_loss_shows_at_once(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    track = network.host.add(network.song)
    async with network.raw_client() as control:
        await control.join()
        while not isinstance(message := await control.read(), FileTransferStart):
            assert message
        await control.send(FileReceived(track.file_id, True))
        await network.host.news.wait_for("transfer", state="done")
        network.host.runner.command(c.Play())
        while not isinstance(message := await control.read(), PlayCommand):
            assert message
        # The host drops this silent client before three regular heartbeats, so these are the additional ones.
        heartbeats = 0
        while heartbeats < 3:
            assert (message := await control.read())
            heartbeats += isinstance(message, Heartbeat)


@pytest.mark.slow
@played
async def test_a_second_transfer_takes_the_place_of_the_first(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    data = random.Random(3).randbytes(30_000_000)
    network.song.write_bytes(data)
    track = network.host.add(network.song, data)
    async with network.raw_client() as control:
        accepted = await control.join()
        request = FileRequest(accepted.peer_id, accepted.token, track.file_id, 0)
        async with network.raw_client() as stuck, network.raw_client() as second:
            await stuck.send(request)
            assert isinstance(await stuck.read(), SessionInfo)
            assert isinstance(await stuck.read(), FileChunk)
            await second.send(dataclasses.replace(request, offset=len(data) - 10))
            _, chunk = await second.read_to_end()
            assert isinstance(chunk, FileChunk) and chunk.data == data[-10:]
            received = sum(len(one.data) for one in await stuck.read_to_end() if isinstance(one, FileChunk))
            assert received < len(data) - (1 << 20)


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


@played
async def test_a_loss_is_told_in_a_sentence(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    async with network.raw_client() as gone:
        await gone.join()
    left = await network.host.news.wait_for("peer_left")
    assert left.fields["reason"] == "The connection was lost: the other side closed it."
    bad = await stack.enter_async_context(network.raw_client())
    await bad.join()
    await bad.send(b"\0\0\0\0")
    left = await network.host.news.wait_for("peer_left", peer_id=2)
    assert left.fields["reason"] == "It broke the protocol: a frame of 0 bytes is not allowed here."


def test_whoever_says_nothing_is_hung_up_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "HELLO_S", 0.05)

    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        async with network.raw_client() as client:
            assert [type(message) for message in await client.read_to_end()] == [SessionInfo]

    played(story)(tmp_path)


@played
async def test_a_peer_that_reads_nothing_is_dropped(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    async with network.raw_client() as deaf:
        stack.enter_context(mock.patch.object(connection_module, "MAX_UNSENT_BYTES", 200_000))
        deaf.shrink_receive_buffer()
        await deaf.join()
        added = 0
        while "peer_left" not in network.host.news.names():  # each track makes the queue longer, which is sent again
            network.host.add(network.folder / f"{added:0200}.mp3")
            added += 1
            await asyncio.sleep(0)
    left = await network.host.news.wait_for("peer_left")
    assert "does not read" in str(left.fields["reason"])


@played
async def test_a_song_that_a_peer_asks_for_is_added_and_reaches_the_others(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada, bob = await network.join(stack, "Ada"), await network.join(stack, "Bob")
    await ada.news.wait_for("joined")
    song = network.folder / "wish.mp3"
    song.write_bytes(DATA)
    ada.runner.request(song)
    asked = await network.host.news.wait_for("request", state="open")
    assert (asked.fields["peer"], asked.fields["file_name"], asked.fields["size"]) == ("Ada", "wish.mp3", len(DATA))
    song.unlink()  # the cache has a copy
    network.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    for program in (network.host, ada):
        await program.news.wait_for("request", state="added")
    for name in ("Ada", "Bob"):
        await network.host.news.wait_for("transfer", state="done", peer=name)
    (item,) = network.host.runner.snapshot().queue
    assert (item.file_name, item.added_by) == ("wish.mp3", "Ada")
    network.host.runner.command(c.Play())
    for program in (network.host, ada, bob):
        await program.news.wait_for("playing")
        plan = program.output.followed[-1][0]
        assert plan and plan.path.read_bytes() == DATA


@played
async def test_a_song_that_cannot_be_used_is_refused_in_words(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    song = network.folder / "wish.mp3"
    song.write_bytes(b"noise" + DATA)
    await ada.news.wait_for("joined")
    ada.runner.request(song)
    asked = await network.host.news.wait_for("request", state="open")
    network.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    answer = await ada.news.wait_for("request", state="rejected")
    assert answer.fields["reason"] == "Invalid or corrupted MP3 file: wish.mp3"
    assert network.host.runner.snapshot().queue == ()
    ada.runner.request(network.folder / "nothing.mp3")
    assert "nothing.mp3" in str((await ada.news.wait_for("error")).fields["message"])


@played
async def test_an_upload_that_nobody_asked_for_is_refused(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    async with network.raw_client() as control:
        accepted = await control.join()
        request_id = uuid.uuid4()
        await control.send(SongRequest(request_id, "a.mp3", 100))
        await network.host.news.wait_for("request", state="open")  # the host does not accept it
        for token in (accepted.token, bytes(16)):
            async with network.raw_client() as other:
                await other.send(SongUploadStart(accepted.peer_id, token, request_id, bytes(32)))
                _, refusal = await other.read_to_end()
                assert isinstance(refusal, FileRefused)
    assert not list((network.folder / "host").glob("*"))


@played
async def test_a_broken_connection_is_made_again(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.add(network.song)
    peer = await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="done")
    network.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    followed, asked = len(peer.output.followed), peer.clock.asked
    for connection, _ in network.host.runner._connections.values():
        connection.abort("as a router does")
    joined = await peer.news.wait_for("joined", again=True)
    assert joined.fields["name"] == "Ada" and joined.fields["peer_id"] == 1
    await network.host.news.wait_for("peer_joined", again=True)
    await network.host.news.wait_for("transfer", state="done")
    assert len(peer.output.followed) == followed and peer.clock.asked == asked
    assert not peer.ended.done()


@played
async def test_a_host_that_is_gone_ends_the_session(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peer = await network.join(stack, "Ada")
    await peer.news.wait_for("joined")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        peer.runner._address = gone.getsockname()
    for connection, _ in network.host.runner._connections.values():
        connection.abort("it crashed")
    assert await peer.ended == Over("Host disconnected — session ended.", failed=True)


@played
async def test_unauthenticated_connections_of_one_address_do_not_block_another_address(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    await ada.news.wait_for("joined")
    crowd = []
    for _ in range(3 * MAX_UNAUTHENTICATED):
        with contextlib.suppress(OSError):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.bind(("127.0.0.2", 0))
            await asyncio.get_running_loop().sock_connect(sock, network.host.address)
            crowd.append(RawClient(sock))
            await crowd[-1].send(FileRequest(99, bytes(16), uuid.uuid4(), 0))  # refused; stays open on this side
    bob = await network.join(stack, "Bob")
    assert (await bob.news.wait_for("joined")).fields["name"] == "Bob"
    network.host.add(network.song)
    for name in ("Ada", "Bob"):
        await network.host.news.wait_for("transfer", state="done", peer=name)
    assert not [event for event in network.host.news.told if event.fields.get("state") == "retry"]


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
    """Prevent all further file connections of this peer. Return a list to which the ids of the files are added that it
    tries to fetch, and an event that is set at the first try."""
    await peer.news.wait_for("joined")
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):  # with a full backlog no connection is answered
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(OSError):
            waiting.connect(listener.getsockname())
    stack.enter_context(mock.patch.object(transfer, "TIMEOUT_CONNECT_S", 10 * TIMEOUT_S))
    peer.runner._address = listener.getsockname()
    tried, loop, first, get = list[uuid.UUID](), asyncio.get_running_loop(), asyncio.Event(), peer.runner._get

    def try_it(fetch: transfer.Fetch) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        tried.append(fetch.track.file_id)
        loop.call_soon_threadsafe(first.set)
        return get(fetch)

    stack.enter_context(mock.patch.object(peer.runner, "_get", try_it))
    return tried, first


@played
async def test_whoever_leaves_waits_for_no_file(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peer = await network.join(stack, "Ada")
    tried, first = await out_of_reach(peer, stack)
    tracks = [network.host.add(network.song) for _ in range(3)]
    for track in tracks:
        await peer.news.wait_for("transfer", state="started", file_id=str(track.file_id))
    await first.wait()
    peer.runner.command(c.Leave())
    assert not (await peer.ended).failed
    assert tried == [tracks[0].file_id]
    assert not list((network.folder / "Ada").glob("*"))


@played
async def test_an_offer_that_is_withdrawn_leaves_nothing_behind(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peer = await network.join(stack, "Ada")
    tried, first = await out_of_reach(peer, stack)
    track = network.host.add(network.song)
    await first.wait()
    tasks = len(peer.runner._tasks)
    for _ in range(100):
        other = dataclasses.replace(track, file_id=uuid.uuid4())
        for effect in (Fetch(other, 1, bytes(16)), CancelFetch(other.file_id)):
            peer.runner._execute(effect)
    assert list(peer.runner._fetches) == [track.file_id] == tried
    assert len(peer.runner._tasks) == tasks and peer.runner._pool._work_queue.empty()
    peer.runner._address = network.host.address
    network.host.runner.command(c.Remove(track.file_id))
    network.host.add(network.song)
    await peer.news.wait_for("file_ready")
    assert len(tried) == 2


@played
async def test_a_file_that_made_room_is_fetched_again(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peer = await network.join(stack, "Ada")
    track = network.host.add(network.song)
    await peer.news.wait_for("file_ready")
    await network.host.news.wait_for("transfer", state="done")
    path = peer.runner.path(track.file_id)
    assert path
    path.unlink()
    again, loop, get = asyncio.Event(), asyncio.get_running_loop(), peer.runner._get

    def get_it(fetch: transfer.Fetch) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        if fetch.track == track:
            loop.call_soon_threadsafe(again.set)
        return get(fetch)

    stack.enter_context(mock.patch.object(peer.runner, "_get", get_it))
    (network.folder / "other.mp3").write_bytes(DATA[::-1])
    network.host.add(network.folder / "other.mp3", DATA[::-1])
    await again.wait()
    assert not peer.ended.done()


def failing(function: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """The function, which fails at first."""
    left = itertools.count(times, -1)

    def call(*arguments: Any, **more: Any) -> Any:
        if next(left) > 0:
            raise ValueError("odd")
        return function(*arguments, **more)

    return call


@pytest.mark.parametrize(
    ("part", "work"),
    [
        ("_host_session.timer", "a deadline of the session"),
        ("_host_session.audio", "a report of the status"),
        ("_host_session.received", "the connection of a peer"),
        ("_host_runner._have_room", "a new connection"),
        ("_host_runner._execute", "an effect of the session"),
        ("_peer_session.received", "a message of the host"),
        ("_peer_session.connected", "the connection to the host"),
        ("_peer_session.clock", "a report of the status"),
    ],
)
def test_no_failure_ends_a_task(
    part: str, work: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    """Each part fails once. A peer still joins, and gets a file and the timeline."""

    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        host = network.host
        joined = await network.join(stack, "Ada")
        await joined.news.wait_for("joined")
        owner = {
            "_host_session": host.runner._session,
            "_host_runner": host.runner,
            "_peer_session": joined.runner._session,
        }[part.partition(".")[0]]
        name = part.partition(".")[2]
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)), raising=True)
        if name == "connected":
            joined.runner._execute(Connect())
        if name == "_have_room":
            with contextlib.suppress(OSError):
                async with network.raw_client():
                    while not bugs:
                        await asyncio.sleep(0.01)
        while not bugs:
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        host.add(network.song)
        bob = await network.join(stack, "Bob")
        for name in ("Ada", "Bob"):
            await host.news.wait_for("transfer", state="done", peer=name)
        host.runner.command(c.Play())
        for peer in (joined, bob):
            await peer.news.wait_for("playing")

    played(story)(tmp_path)
    assert bugs == [f"{work} failed: ValueError('odd')"]


def test_a_transfer_that_fails_holds_no_other_up(tmp_path: pathlib.Path, bugs: list[str]) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        other = network.folder / "other.mp3"
        other.write_bytes(DATA[:1000])
        bad = network.host.add(network.song)
        good = network.host.add(other, DATA[:1000])

        def inspect(path: pathlib.Path) -> None:
            if path.stem == bad.sha256.hex():
                raise ValueError("odd")

        ada = await network.join(stack, "Ada", inspect)
        await network.host.news.wait_for("transfer", state="done", file_id=str(good.file_id))
        assert ada.runner.path(good.file_id)

    played(story)(tmp_path)
    assert set(bugs) == {"a transfer failed: ValueError('odd')"}


def test_a_request_that_fails_is_told(tmp_path: pathlib.Path, bugs: list[str]) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        left = itertools.count()

        def inspect(path: pathlib.Path) -> None:
            if next(left) == 0:
                raise ValueError("odd")

        ada = await network.join(stack, "Ada", inspect)
        await ada.news.wait_for("joined")
        ada.runner.request(network.song)
        error = await ada.news.wait_for("error")
        assert error.fields["message"] == "Something went wrong inside PhaseLock. The log tells more: phaselock log"
        ada.runner.request(network.song)
        await network.host.news.wait_for("request")

    played(story)(tmp_path)
    assert bugs == ["taking a song in failed: ValueError('odd')"]
