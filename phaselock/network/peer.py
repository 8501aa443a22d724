"""The peer's sockets: one control connection, and one more for each file on its way."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pathlib
import socket
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from phaselock.audio.interface import AudioOutput
from phaselock.errors import InvalidMp3Error, PhaseLockError
from phaselock.model.types import ClockStatus
from phaselock.network import bulk
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.runner import Runner
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import SESSION_CAP, Framer
from phaselock.session.commands import PeerCommand
from phaselock.session.effects import CancelFetch, Close, Effect, Ended, Event, Fetch, Send, StartClock, StopClock
from phaselock.session.peer import PeerMachine
from phaselock.storage.cache import FileCache

CONNECT_S = 5.0
NO_CLOCK = ClockStatus(usable=False, stale=True, offset_ns=0, drift_ppm=0.0, uncertainty_ns=0, rtt_ns=0)


class ClockFollower(Protocol):
    """Measures the session clock and gives it to the audio output."""

    def start(self, host_ip: str, port: int, peer_id: int) -> None: ...

    def stop(self) -> None: ...

    def status(self, now_ns: int) -> ClockStatus | None: ...

    def session_from_local(self, local_ns: int) -> int: ...


async def connect(host: str, port: int) -> socket.socket:
    """A connection to the first address of `host` that answers; PhaseLockError in plain words when none does."""
    loop = asyncio.get_running_loop()
    problem = "no address was found"
    with contextlib.suppress(socket.gaierror, UnicodeError):
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await loop.sock_connect(sock, address)
                return sock
            except TimeoutError:
                problem = "it does not answer"
            except OSError as error:
                problem = "nobody listens there" if isinstance(error, ConnectionRefusedError) else str(error.strerror)
            except BaseException:
                sock.close()
                raise
            sock.close()
    raise PhaseLockError(f"Cannot reach {host} on port {port}: {problem}.")


class PeerRunner(Runner[PeerMachine]):
    """Takes part in somebody else's session."""

    def __init__(
        self,
        machine: PeerMachine,
        output: AudioOutput,
        clock: ClockFollower,
        cache: FileCache,
        *,
        inspect: Callable[[pathlib.Path], object],
        now_ns: Callable[[], int],
        on_event: Callable[[Event], None],
    ) -> None:
        super().__init__(machine, output, now_ns=now_ns, on_event=on_event)
        self._clock = clock
        self._cache = cache
        self._inspect = inspect
        self._connection: Connection | None = None
        self._address = ("", 0)
        self._fetches: dict[UUID, bulk.Fetch] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "bulk")

    async def run(self, sock: socket.socket) -> Ended:
        """Take part until the session ends."""
        host_ip, port = sock.getpeername()[:2]
        self._address = host_ip, port
        self._connection = Connection(sock, Framer(SESSION_CAP))
        working = [self._spawn(self._listen(self._connection)), self._spawn(self._tell_statuses())]
        try:
            return await self._ended
        finally:
            for task in working[1:]:
                task.cancel()
            self._connection.end("the session is over")
            for fetch in self._fetches.values():
                fetch.cancel()
            await self._finish()
            self._clock.stop()
            self._pool.shutdown()

    def command(self, command: PeerCommand) -> None:
        """Somebody at this machine asks for something."""
        self._do(self._machine.command(command, now_ns=self._now_ns()))

    def clock_status(self) -> ClockStatus:
        return self._clock.status(self._now_ns()) or NO_CLOCK

    def session_ns(self) -> int | None:
        return self._clock.session_from_local(self._now_ns()) if self.clock_status().usable else None

    def _tell_clock(self, status: ClockStatus) -> None:
        self._do(self._machine.clock(status, now_ns=self._now_ns()))

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Send(_, message):
                if self._connection:
                    self._connection.send(message)
            case Close(_, reason):
                if self._connection:
                    self._connection.end(reason)
            case StartClock(peer_id, clock_port):
                self._clock.start(self._address[0], clock_port, peer_id)
            case StopClock():
                self._clock.stop()
            case Fetch(track, peer_id, token):
                fetch = bulk.Fetch(track, self._address, peer_id, token)
                self._fetches[track.file_id] = fetch
                self._spawn(self._fetch(fetch))
            case CancelFetch(file_id):
                if file_id in self._fetches:
                    self._fetches.pop(file_id).cancel()
            case _:
                super()._execute(effect)

    async def _listen(self, connection: Connection) -> None:
        try:
            self._do(self._machine.connected(now_ns=self._now_ns()))
            while True:
                message = await connection.receive()
                self._do(self._machine.received(message, now_ns=self._now_ns()))
        except (ConnectionLost, ProtocolError) as error:
            if not self._ended.done():
                self._do(self._machine.disconnected(str(error), now_ns=self._now_ns()))
        finally:
            await connection.close()

    async def _fetch(self, fetch: bulk.Fetch) -> None:
        file_id = fetch.track.file_id
        path, problem = await self._loop.run_in_executor(self._pool, self._get, fetch)
        if self._ended.done() or self._fetches.get(file_id) is not fetch:
            return
        del self._fetches[file_id]
        now_ns = self._now_ns()
        if path:
            self._files[file_id] = fetch.track, path
            self._do(self._machine.file_ready(file_id, now_ns=now_ns))
            if problem:
                self._do(self._machine.decode_failed(file_id, str(problem), now_ns=now_ns))
        else:
            self._do(self._machine.file_failed(file_id, str(problem), now_ns=now_ns))

    def _get(self, fetch: bulk.Fetch) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        """In the worker thread, one file after the other as announced: the file, and what is wrong with it or with
        getting it."""
        path = None
        try:
            path = fetch.run(self._cache)
            self._inspect(path)
        except InvalidMp3Error:  # in the cache it has another name
            return path, InvalidMp3Error(fetch.track.file_name)
        except PhaseLockError as error:
            return path, error
        return path, None
