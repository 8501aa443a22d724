"""Real sessions and runners on the loopback interface, in one event loop. Only sound and clock are simulated."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import pathlib
import random
import socket
import time
import types
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from phaselock.app.converter import ConversionCancelledError
from phaselock.audio.interface import AudioEvent, Plan
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.model.role import Role
from phaselock.model.types import UNKNOWN_CLOCK, AudioStatus, ClockStatus, Track
from phaselock.network.host import HostRunner
from phaselock.network.host_places import Bridge
from phaselock.network.peer import PeerRunner
from phaselock.network.reach import Place, connect
from phaselock.session.effects import Ended
from phaselock.session.events import Event
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from phaselock.storage.cache import FileCache
from tests.support.identity import IDENTITY
from tests.support.raw_client import RawClient
from tests.support.told import Told, told

TIMEOUT_S = 90
DATA = random.Random(2).randbytes(200_000)
LENGTH = types.SimpleNamespace(rate_hz=44100, frames=441_000)
"""What is known of a file that no one has decoded."""


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

    def set_trim_db(self, trim_db: float) -> None: ...

    def set_role(self, role: Role) -> None: ...

    def set_quiet(self, spans: Sequence[tuple[int, int]]) -> None: ...

    def set_correction_ms(self, correction_ms: float) -> None: ...

    def status(self) -> AudioStatus:
        playing = bool(self.followed and self.followed[-1][0])
        return AudioStatus("Speaker", 48000, self.latency_ns, 900, 1000, "exact", playing, 1500, 0.25, 0, 1.0)

    def close(self) -> None: ...


class Clock:
    """The clock of a host or of a peer: session time is the time of this machine."""

    def __init__(self) -> None:
        self.allowed: dict[int, tuple[str, bytes]] = {}
        self.asked: tuple[str, int, int] | None = None
        self.key = b""
        self.own_ip = ""
        self.least_rtt_ns: int | None = None
        self.refusals: list[OSError] = []
        """What the next calls of `start` raise."""

    def allow(self, peer_id: int, ip: str, key: bytes) -> None:
        self.allowed[peer_id] = ip, key

    def forbid(self, peer_id: int) -> None:
        self.allowed.pop(peer_id, None)

    def log_counts(self) -> None: ...

    def start_anew(self) -> None: ...

    def start(self, host_ip: str, port: int, peer_id: int, own_ip: str, key: bytes) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.asked, self.own_ip, self.key = (host_ip, port, peer_id), own_ip, key

    def stop(self) -> None:
        self.asked = None

    def status(self, now_ns: int) -> ClockStatus:
        if not self.asked:
            return UNKNOWN_CLOCK
        return ClockStatus(now_ns, True, False, 0, 0.0, 1000, 500_000, self.least_rtt_ns)


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


def describe(path: pathlib.Path, name: str, report: Callable[[float], bool]) -> tuple[Track, pathlib.Path]:
    """Accept any file as a track, except a file that begins with "noise". One that begins with "other" is converted as
    long as it is wanted, or to the half if it begins with "other half"."""
    data = path.read_bytes()
    if data.startswith(b"other"):
        report(0.0)
        while report(0.5) and not data.startswith(b"other half"):
            time.sleep(0.001)
        if not report(0.5):
            raise ConversionCancelledError(name)
    if data.startswith(b"noise"):
        raise UnplayableFileError(name)
    return Track(uuid.uuid4(), name, len(data), hashlib.sha256(data).digest(), 44100, 441000), path


class NetworkFixture:
    """One session in this event loop: a host on the loopback interface, and the peers that join it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.song = folder / "song.mp3"
        self.song.write_bytes(DATA)
        self.host: Host
        self.listener: socket.socket

    async def open(self, stack: contextlib.AsyncExitStack) -> Host:
        self.listener = listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        output, clock, news = Output(), Clock(), News()
        machine = HostSession(
            session_name="Jam", host_name="Host", token_factory=lambda: random.randbytes(16), host_key=IDENTITY.host_key
        )
        runner = HostRunner(
            machine,
            output,
            clock,
            FileCache(self.folder / "host"),
            IDENTITY,
            describe=describe,
            now_ns=time.monotonic_ns,
            on_event=news,
        )
        ended = asyncio.create_task(runner.run([listener]))
        stack.push_async_callback(self._end, ended)
        self.host = Host(runner, output, clock, news, listener.getsockname(), ended)
        return self.host

    async def join(
        self,
        stack: contextlib.AsyncExitStack,
        name: str,
        inspect: Callable[[pathlib.Path, bytes], Any] = lambda path, sha256: LENGTH,
        find: Callable[[str, str], Awaitable[Sequence[Place]]] | None = None,
        code: str = "",
        places: Sequence[Place] = (),
        session: bytes = b"",
        clock_ports: Mapping[Place, int] = types.MappingProxyType({}),
        bridge: Bridge | None = None,
        least_rtt_ns: int | None = None,
    ) -> Peer:
        """A peer that joins at the host's address, or at the first of `places`. `session`: the beginning of its id.
        `least_rtt_ns`: the round trip that its clock measures; with one it passes songs on."""
        sock = stack.enter_context(await connect(*(places[0] if places else self.host.address)))
        output, clock, news = Output(), Clock(), News()
        clock.least_rtt_ns = least_rtt_ns
        runner = PeerRunner(
            PeerSession(display_name=name, code=code, session_id=session),
            output,
            clock,
            FileCache(self.folder / name),
            inspect=inspect,
            volume=lambda: (100, False),
            role=lambda: "stereo",
            now_ns=time.monotonic_ns,
            on_event=news,
            find=find,
            clock_ports=clock_ports,
            bridge=bridge,
            identity=None if least_rtt_ns is None else lambda: IDENTITY,
        )
        ended = asyncio.create_task(runner.run(sock, places))
        stack.push_async_callback(self._end, ended)
        return Peer(runner, output, clock, news, ended)

    async def _end(self, running: asyncio.Task[Ended]) -> None:
        running.cancel()
        await asyncio.wait([running])

    @contextlib.asynccontextmanager
    async def raw_client(self) -> AsyncIterator[RawClient]:
        sock = await connect(*self.host.address)
        with sock:
            yield await RawClient.secured(sock)


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
        assert not problems, problems

    test.__name__ = test.__qualname__ = story.__name__
    return test
