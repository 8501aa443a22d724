"""The process that attacks (see attack.py): one thread with one event loop.

It reads the attack as one line of JSON from its standard input, and answers with one line when it is ready. The line
"begin" begins the attack. "end" ends it; then the process writes its counts. It ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import struct
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

from phaselock.app.host_key import host_identity
from phaselock.bench.lab.attack import MALICIOUS_HOST, Target
from phaselock.model.names import FILE_BYTES
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.listener import bind
from phaselock.network.secure import SecureChannel
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import HOST_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.proof import FETCH, membership_proof
from phaselock.sync.clock import HostClock

MALICIOUS_IP = "127.66.1.1"
SILENT_CONNECTIONS = 500
SILENT_AGAIN_S = 1.0
"""A silent connection that the host has closed is opened again after this time, in seconds."""
JOINS_S = 1000
MAX_JOINING = 200
"""Joins that run at the same time."""
SLOW_MEMBERS, SLOW_WRITERS = 2, 16
SLOW_BUFFER_BYTES = 4096
SLOW_EVERY_S = 1.0
"""Between two bytes of slow connections, in seconds."""
HEARTBEAT_S = 2.0
REQUESTS_AT_ONCE, REQUESTS_EVERY_S = 20, 0.005
FETCHERS = 4
AGAIN_S = 0.05
"""A member that was removed joins again after this time, in seconds."""
PINGS_S, MAX_PINGS_AT_ONCE, PINGS_EVERY_S = 100_000, 1000, 0.001
PING_HEAD, PING_MAC_BYTES = struct.Struct("<BIQ16x"), 8
"""A ClockPing (ext/pl_udp.h): type, peer id and time, zeros and a MAC."""
FORGED_PINGS = 1000
"""Different ones; they repeat."""
COMMANDS_AT_ONCE, COMMANDS_EVERY_S = 50, 0.05
OFFERS_AT_ONCE = 10
QUEUE_UPDATES, UPDATE_EVERY = 8, 10
"""Different updates of the queue, and the number of bursts of commands for each."""

LOST = (ConnectionLost, ProtocolError, OSError, TimeoutError)
Counts = collections.Counter[str]


async def connected(
    target: Target, source_ip: str, *, buffer_bytes: int | None = None
) -> tuple[Connection, SecureChannel]:
    """A connection to the host from this address, as a peer opens it, and what encrypts its bytes."""
    connection, channel = (
        Connection(await _connected(target, source_ip, buffer_bytes), Framer(HOST_CAP)),
        SecureChannel(),
    )
    try:
        await connection.secure(channel)
    except BaseException:
        await _abort(connection)
        raise
    return connection, channel


async def _connected(target: Target, source_ip: str, buffer_bytes: int | None = None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.bind((source_ip, 0))
        await asyncio.get_running_loop().sock_connect(sock, (target.ip, target.port))
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.asynccontextmanager
async def member(
    target: Target, source_ip: str, buffer_bytes: int | None = None
) -> AsyncIterator[tuple[Connection, m.JoinAccepted | None]]:
    """A connection that has joined, and the answer of the host; None if it was refused."""
    connection, _ = await connected(target, source_ip, buffer_bytes=buffer_bytes)
    try:
        await connection.receive()
        connection.send(m.JoinRequest("Mallory", m.PROTOCOL_VERSION))
        answer = await connection.receive()
        yield connection, answer if isinstance(answer, m.JoinAccepted) else None
    finally:
        await _abort(connection)


async def _abort(connection: Connection) -> None:
    connection.abort("the attack goes on")
    await connection.close()


def file_request(accepted: m.JoinAccepted, channel: SecureChannel) -> m.FileRequest:
    """Asks for the first file of the queue."""
    proof = membership_proof(accepted.token, FETCH, channel.host_key)
    return m.FileRequest(accepted.peer_id, proof, accepted.session_state.queue[0].id, 0)


# -- the attacks: each runs until it is cancelled ----------------------------------------------------------------------


async def silent(target: Target, counts: Counts) -> None:
    """Hold SILENT_CONNECTIONS from all addresses, and send nothing."""

    async def hold(source_ip: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError):
                sock = await _connected(target, source_ip)
                counts["connections"] += 1
                try:
                    while await loop.sock_recv(sock, 4096):
                        pass
                finally:
                    sock.close()
            await asyncio.sleep(SILENT_AGAIN_S)

    await _together(hold(target.attackers[k % len(target.attackers)]) for k in range(SILENT_CONNECTIONS))


async def joins(target: Target, counts: Counts) -> None:
    """Join and leave, JOINS_S times a second."""
    places = asyncio.Semaphore(MAX_JOINING)

    async def join(source_ip: str) -> None:
        try:
            counts["connections"] += 1
            async with member(target, source_ip) as (_, accepted):
                counts["joined" if accepted else "refused"] += 1
        except LOST:
            counts["closed"] += 1
        finally:
            places.release()

    loop = asyncio.get_running_loop()
    due_s = loop.time()
    async with asyncio.TaskGroup() as group:
        for source_ip in itertools.cycle(target.attackers):
            await places.acquire()
            group.create_task(join(source_ip))
            due_s = max(due_s + 1 / JOINS_S, loop.time() - 1)
            if due_s > loop.time():
                await asyncio.sleep(due_s - loop.time())


async def slow(target: Target, counts: Counts) -> None:
    """Members that read nothing and fetch a byte a second, and connections that send a byte a second."""

    async def fetch(source_ip: str, accepted: m.JoinAccepted) -> None:
        connection, channel = await connected(target, source_ip, buffer_bytes=SLOW_BUFFER_BYTES)
        sock, _ = connection.detach()
        try:
            counts["fetches"] += 1
            sock.send(channel.encrypt(frame(file_request(accepted, channel))))
            while await asyncio.get_running_loop().sock_recv(sock, 1):
                await asyncio.sleep(SLOW_EVERY_S)
        finally:
            sock.close()

    async def read_nothing(source_ip: str) -> None:
        while True:
            with contextlib.suppress(*LOST):
                async with member(target, source_ip, SLOW_BUFFER_BYTES) as (connection, accepted):
                    if accepted:
                        counts["joined"] += 1
                        await _first_of(_heartbeats(connection), fetch(source_ip, accepted))
            await asyncio.sleep(SLOW_EVERY_S)

    async def write(source_ip: str) -> None:
        hello = frame(m.JoinRequest("Mallory", m.PROTOCOL_VERSION))
        while True:
            with contextlib.suppress(OSError):
                sock = await _connected(target, source_ip)
                counts["slow_writers"] += 1
                try:
                    for byte in hello:
                        await asyncio.get_running_loop().sock_sendall(sock, bytes([byte]))
                        await asyncio.sleep(SLOW_EVERY_S)
                finally:
                    sock.close()
            await asyncio.sleep(SLOW_EVERY_S)

    members = (read_nothing(target.attackers[k]) for k in range(SLOW_MEMBERS))
    await _together([*members, *(write(target.attackers[k % len(target.attackers)]) for k in range(SLOW_WRITERS))])


async def requests(target: Target, counts: Counts) -> None:
    """A member that requests and withdraws songs, and fetches files; it returns each time it is removed."""
    newest: list[m.JoinAccepted] = []

    async def flood() -> None:
        while True:
            with contextlib.suppress(*LOST):
                async with member(target, target.attackers[0]) as (connection, accepted):
                    if accepted:
                        counts["joined"] += 1
                        newest[:] = [accepted]
                        await _first_of(_read_all(connection), ask(connection))
                    else:
                        counts["refused"] += 1
            await asyncio.sleep(AGAIN_S)

    async def ask(connection: Connection) -> None:
        while True:
            for _ in range(REQUESTS_AT_ONCE):
                request_id = uuid.uuid4()
                connection.send(m.SongRequest(request_id, f"{request_id}.mp3", 1_000_000, "A song", "Mallory", 60.0))
                connection.send(m.SongRequestWithdrawn(request_id, "no more"))
                counts["requests"] += 1
            await asyncio.sleep(REQUESTS_EVERY_S)

    async def fetch() -> None:
        while True:
            if newest:
                with contextlib.suppress(*LOST):
                    connection, channel = await connected(target, target.attackers[0])
                    try:
                        counts["fetches"] += 1
                        await connection.receive()
                        connection.send(file_request(newest[0], channel))
                        await connection.receive()
                    finally:
                        await _abort(connection)
            await asyncio.sleep(REQUESTS_EVERY_S)

    await _together([flood(), *(fetch() for _ in range(FETCHERS))])


async def pings(target: Target, counts: Counts) -> None:
    """Forge the clock pings of a member, from its address, PINGS_S times a second."""
    head = PING_HEAD.pack(1, target.member_id, 2**62)
    forged = [head + os.urandom(PING_MAC_BYTES) for _ in range(FORGED_PINGS)]
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((target.member_ip, 0))
        sock.connect((target.ip, target.clock_port))
        began_s, due = loop.time(), 0.0
        for ping in itertools.cycle(forged):
            if counts["pings"] >= due:
                await asyncio.sleep(PINGS_EVERY_S)
                due = min((loop.time() - began_s) * PINGS_S, counts["pings"] + MAX_PINGS_AT_ONCE)
            counts["pings"] += 1
            with contextlib.suppress(OSError):
                sock.send(ping)


class MaliciousHost:
    """A host that lets one peer in, answers its clock, and floods it during the attack."""

    def __init__(self, folder: pathlib.Path) -> None:
        """`folder` receives its key."""
        self._identity = host_identity(folder / "key.pem")
        self.listener = bind(MALICIOUS_IP, 0, socket.SOCK_STREAM)
        clock = bind(MALICIOUS_IP, 0, socket.SOCK_DGRAM)
        self._clock_port: int = clock.getsockname()[1]
        self._clock = HostClock(clock)
        self._connection: Connection | None = None
        noise = random.Random(1)
        self._updates = [frame(m.QueueUpdate(_longest_queue(noise), number)) for number in range(QUEUE_UPDATES)]

    def close(self) -> None:
        """Close the sockets on which it listens."""
        self.listener.close()
        self._clock.close()

    async def serve(self) -> None:
        """Serve all connections, without an end."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                sock, address = await loop.sock_accept(self.listener)
                group.create_task(self._serve(Connection(sock, Framer(SESSION_CAP)), address[0]))

    async def attack(self, counts: Counts) -> None:
        """Send commands, offers and updates of the queue to the peer; at the end an empty queue."""
        try:
            await self._flood(counts)
        finally:
            for revision in (QUEUE_UPDATES, QUEUE_UPDATES + 1):  # an offer since the last update is kept until the next
                if self._connection:
                    self._connection.send(m.QueueUpdate((), revision))

    async def _flood(self, counts: Counts) -> None:
        for burst in itertools.count():
            if self._connection:
                for number in range(COMMANDS_AT_ONCE):
                    at_ns = (0, 2**62, 10**9 * burst)[number % 3]
                    self._connection.send(m.PlayCommand(uuid.uuid4(), 44100, number, at_ns))
                for _ in range(OFFERS_AT_ONCE):
                    song = uuid.uuid4()
                    self._connection.send(
                        m.FileTransferStart(song, f"{song}.mp3", m.MAX_FILE_BYTES, os.urandom(32), 44100, 10**9)
                    )
                counts["commands"] += COMMANDS_AT_ONCE
                counts["offers"] += OFFERS_AT_ONCE
                if burst % UPDATE_EVERY == 0:
                    self._connection.send_frame(self._updates[counts["queue_updates"] % QUEUE_UPDATES])
                    counts["queue_updates"] += 1
            await asyncio.sleep(COMMANDS_EVERY_S)

    async def _serve(self, connection: Connection, ip: str) -> None:
        with contextlib.suppress(*LOST):
            await connection.secure(SecureChannel(self._identity))
            connection.send(m.SessionInfo(m.PROTOCOL_VERSION, bytes(16), "Trap", "Mallory", (), 5))
            message = await connection.receive()
            if isinstance(message, m.JoinRequest):
                state = m.SessionState((), 0)
                name, key = message.display_name, os.urandom(16)
                connection.send(m.JoinAccepted(1, state, bytes(16), self._clock_port, name, key))
                self._clock.allow(1, ip, key)
                self._connection = connection
                await _first_of(_heartbeats(connection), _read_all(connection))
            connection.send(m.FileRefused("no"))
        if self._connection is connection:
            self._connection = None
        await connection.close()


def _longest_queue(noise: random.Random) -> tuple[QueueItem, ...]:
    def name(size: int) -> str:
        return "".join(noise.choices("abcdefghij", k=size))

    return tuple(
        QueueItem(uuid.uuid4(), name(FILE_BYTES), 60.0, "Mallory", ItemStatus.READY, name(200), name(200))
        for _ in range(MAX_ITEMS)
    )


# -- parts of attacks --------------------------------------------------------------------------------------------------


async def _heartbeats(connection: Connection) -> None:
    while True:
        connection.send(m.Heartbeat())
        await asyncio.sleep(HEARTBEAT_S)


async def _read_all(connection: Connection) -> None:
    while True:
        await connection.receive()


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def _first_of(*works: Awaitable[None]) -> None:
    """Run until one of them ends, and raise its error."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- the process -------------------------------------------------------------------------------------------------------

ATTACKS: Mapping[str, Callable[[Target, Counts], Awaitable[None]]] = {
    "silent": silent,
    "joins": joins,
    "slow": slow,
    "requests": requests,
    "pings": pings,
}


async def run(kind: str, target: Target, folder: pathlib.Path) -> None:
    """Attack while the standard input says so; return at its end. `folder` is for files."""
    loop = asyncio.get_running_loop()
    host = MaliciousHost(folder) if kind == MALICIOUS_HOST else None
    serving = asyncio.ensure_future(host.serve()) if host else None
    counts = Counts()
    attacking: asyncio.Future[None] | None = None
    began_s = 0.0
    print(json.dumps({"port": host.listener.getsockname()[1] if host else 0}), flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "begin":
            began_s = loop.time()
            attacking = asyncio.ensure_future(host.attack(counts) if host else ATTACKS[kind](target, counts))
        elif attacking is not None:
            if attacking.done():
                attacking.result()
            attacking.cancel()
            await asyncio.wait([attacking])
            print(json.dumps({**counts, "seconds": loop.time() - began_s}), flush=True)
    if host and serving:
        serving.cancel()
        await asyncio.wait([serving])
        host.close()


def main() -> None:
    """The body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    config = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="phaselock-bench-") as folder:
        asyncio.run(run(config["kind"], Target(**config["target"]), pathlib.Path(folder)))


if __name__ == "__main__":
    main()
