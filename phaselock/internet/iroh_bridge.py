"""Carries the connections of a friend to the host over QUIC, by the library iroh, where no address can be reached.

Both sides have a bridge, in a child process of its own (iroh_process.py), and talk to it on the loopback, so the
session knows nothing of it:

    peer ── TCP ── friend's bridge ── a QUIC stream for each TCP connection ── host's bridge ── TCP ── outside listener
    clock ─ UDP ── friend's bridge ── QUIC datagrams ───────────────────────── host's bridge ── UDP ── clock port

What passes is encrypted by PhaseLock's own TLS already, and the code is proved through the bridge as without it. So
neither a relay nor iroh is trusted with more than passing bytes on.

iroh is a wheel of 7 MB and takes 19 MB on the disk; each process takes 24 MB of memory (PSS, Linux). On one machine the
round trip of a clock packet is 0.3 ms at least and 0.4 ms in the median, the clocks agree within 14 µs, and a transfer
reaches 3.7 MB/s (`python -m tests.internet.bridge_figures`). Tests run between ends that reach each other directly.
Ways over a relay have not been tried.

A datagram begins with two bytes that name the flow: the port from which the friend's clock sends. The host's bridge has
a socket for each flow. A datagram of HEARTBEAT is answered by the host's bridge itself. iroh notices late that a path
is dead (it took longer than 20 s when the cable was pulled), but a new connection finds another path at once. So the
friend's bridge connects again when it hears nothing for SILENCE_S: the peer joins again before its host is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import iroh

ALPN = b"phaselock/1"
PIECE_BYTES = 64 * 1024
WINDOW_BYTES = 1 << 20
"""What may be under way to one side of a connection: 84 Mbit/s at 100 ms. It bounds the queue that one connection can
build in front of a slow line before PhaseLock's own congestion control sees it."""
MAX_FRIENDS = 16
"""Connections of other machines that the host's bridge has at once; further ones are refused."""
MAX_STREAMS = 16
"""TCP connections of one friend at once: one of control, and one for each transfer."""
MAX_FLOWS = 4
"""Sockets for the clock of one friend. A new flow takes the place of the oldest one."""
FLOW_BYTES = 2
CONNECT_S = 8.0
"""How long one attempt to reach the host may take, in seconds: the relays and the first addresses of both sides."""
HANDSHAKE_S = 10.0
"""How long another machine may take for the handshake of QUIC, in seconds."""
AGAIN_S = 1.0
"""Time in seconds from the end of a connection, or from a failed attempt, to the next attempt."""
HEARTBEAT = bytes(FLOW_BYTES)
HEARTBEAT_S = 0.5
SILENCE_S = 2.5
"""A connection on which nothing arrives for this long is dead, in seconds. DEAD_NS of the session is longer."""
HOST_SILENCE_S = 10.0
"""The same for the host's bridge, which does not connect again."""
IDLE_S = 20.0
"""A machine that has opened no stream for this long after its connection is let go, in seconds."""

Tell = Callable[[dict[str, Any]], None]
"""Passes a line to the program that started the bridge."""

log = logging.getLogger("phaselock.iroh")


async def endpoint(relay: str, key: bytes | None, port: int) -> iroh.Endpoint:
    """This machine's end of all connections, on this UDP port if it is free (0: any). `relay`: "n0" (the relays and the
    directory of number 0, the makers of iroh), "direct" (no machine but the two), or the URL of one relay."""
    if relay == "n0":
        preset, mode = iroh.preset_n0(), iroh.RelayMode.default_mode()
    else:
        preset = iroh.preset_minimal()
        mode = iroh.RelayMode.disabled() if relay == "direct" else iroh.RelayMode.custom_from_urls([relay])
    for number in dict.fromkeys([port, 0]):
        try:
            return await iroh.Endpoint.bind(
                iroh.EndpointOptions(
                    preset=preset, relay_mode=mode, alpns=[ALPN], secret_key=key, bind_addr=f"0.0.0.0:{number}"
                )
            )
        except iroh.IrohError as error:
            if not number:
                raise
            log.info("UDP port %d is not free: %s", number, error.message())
    raise AssertionError


class HostBridge:
    """Lets friends reach the host's TCP and UDP ports at `ip`."""

    def __init__(self, end: iroh.Endpoint, ip: str, tcp_port: int, udp_port: int) -> None:
        self._end = end
        self._ip = ip
        self._tcp_port = tcp_port
        self._udp_port = udp_port
        self._friends: set[asyncio.Task[None]] = set()
        self._connections: dict[str, iroh.Connection] = {}
        """The newest connection of each friend, by its node id."""

    async def run(self) -> None:
        """Serve until the endpoint is closed."""
        try:
            while incoming := await self._end.accept_next():
                if len(self._friends) >= MAX_FRIENDS:
                    await incoming.refuse()
                    continue
                task = asyncio.create_task(self._serve(incoming))
                self._friends.add(task)
                task.add_done_callback(self._friends.discard)
        finally:
            for task in self._friends:
                task.cancel()

    async def _serve(self, incoming: iroh.Incoming) -> None:
        with contextlib.suppress(iroh.IrohError, TimeoutError, OSError):
            async with asyncio.timeout(HANDSHAKE_S):
                connection = await (await incoming.accept()).connect()
            connection.set_max_concurrent_uni_streams(0)
            connection.set_max_concurrent_bi_streams(MAX_STREAMS)
            connection.set_receive_window(WINDOW_BYTES)
            node = str(connection.remote_id())
            source = _own_address(node) if self._ip == "127.0.0.1" else ""
            if older := self._connections.get(node):
                older.close(0, b"")
            self._connections[node] = connection
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._datagrams(connection, source))
                    await self._streams(connection, source, group)
            except* (iroh.IrohError, TimeoutError, OSError) as errors:
                log.debug("a friend's connection is over: %s", errors.exceptions)
            finally:
                connection.close(0, b"")
                if self._connections[node] is connection:
                    del self._connections[node]

    async def _streams(self, connection: iroh.Connection, source: str, group: asyncio.TaskGroup) -> None:
        open_now: set[asyncio.Task[None]] = set()
        for number in itertools.count():
            async with asyncio.timeout(None if open_now else IDLE_S):
                stream = await connection.accept_bi()
            task = group.create_task(self._stream(stream, source, number))
            open_now.add(task)
            task.add_done_callback(open_now.discard)

    async def _stream(self, stream: iroh.BiStream, source: str, number: int) -> None:
        try:
            reader, writer = await self._connected(source)
        except OSError as error:
            log.info("the host's own listener: %s", error)
            await _reset(stream)
            return
        await carry(reader, writer, stream, number)

    async def _connected(self, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the host, from an address of the loopback that stands for the friend: so that the limits of
        one address count for one friend. Some systems have only one such address."""
        if source:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(self._ip, self._tcp_port, local_addr=(source, 0))
        return await asyncio.open_connection(self._ip, self._tcp_port)

    async def _datagrams(self, connection: iroh.Connection, source: str) -> None:
        flows: dict[bytes, asyncio.DatagramTransport] = {}
        try:
            while True:
                async with asyncio.timeout(HOST_SILENCE_S):
                    data = await connection.read_datagram()
                name = data[:FLOW_BYTES]
                if data == HEARTBEAT:
                    _send(connection, HEARTBEAT)
                if len(data) <= FLOW_BYTES:
                    continue
                if name not in flows:
                    if len(flows) >= MAX_FLOWS:
                        flows.pop(next(iter(flows))).close()
                    flows[name] = await self._flow(connection, name, source)
                flows[name].sendto(data[FLOW_BYTES:])
        finally:
            for flow in flows.values():
                flow.close()

    async def _flow(self, connection: iroh.Connection, name: bytes, source: str) -> asyncio.DatagramTransport:
        def flow() -> _Datagrams:
            return _Datagrams(lambda data, _: _send(connection, name + data))

        loop = asyncio.get_running_loop()
        to = self._ip, self._udp_port
        for own in dict.fromkeys([source, ""]):
            try:
                local = (own, 0) if own else None
                return (await loop.create_datagram_endpoint(flow, local, to))[0]
            except OSError:
                if not own:
                    raise
        raise AssertionError


class FriendBridge:
    """Leads from two ports of the loopback to the host with this node id. `addresses` are those (HOST:PORT, numeric)
    where it may be reached without any help."""

    def __init__(self, end: iroh.Endpoint, node: str, addresses: Sequence[str], relay: str, tell: Tell) -> None:
        self._end = end
        self._host = iroh.EndpointAddr(
            iroh.EndpointId.from_string(node), relay if relay not in ("n0", "direct") else None, list(addresses)
        )
        self._tell = tell
        self._connection: iroh.Connection | None = None
        self._numbers = itertools.count()

    async def run(self) -> None:
        """Tell the ports as soon as the host is reached, and stay connected to it until this task is cancelled."""
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._from_clock), ("127.0.0.1", 0))
        ports = {"tcp": server.sockets[0].getsockname()[1], "udp": udp.get_extra_info("sockname")[1]}
        try:
            while True:
                try:
                    async with asyncio.timeout(CONNECT_S):
                        connection = await self._end.connect(self._host, ALPN)
                except (iroh.IrohError, TimeoutError) as error:
                    reason = error.message() if isinstance(error, iroh.IrohError) else ""
                    self._tell({"problem": "unreachable", "reason": reason})
                else:
                    await self._use(connection, ports, udp)
                await asyncio.sleep(AGAIN_S)
        finally:
            server.close()
            udp.close()

    async def _use(self, connection: iroh.Connection, ports: dict[str, int], udp: asyncio.DatagramTransport) -> None:
        connection.set_max_concurrent_uni_streams(0)
        connection.set_max_concurrent_bi_streams(0)
        connection.set_receive_window(WINDOW_BYTES)
        self._connection = connection
        watch = connection.watch_paths(_PathWatch(self._tell))
        beating = asyncio.create_task(_beat(connection))
        self._tell({"place": ports})
        try:
            with contextlib.suppress(iroh.IrohError, TimeoutError):
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        data = await connection.read_datagram()
                    port = int.from_bytes(data[:FLOW_BYTES])
                    if port and len(data) > FLOW_BYTES:
                        udp.sendto(data[FLOW_BYTES:], ("127.0.0.1", port))
        finally:
            self._connection = None
            beating.cancel()
            await watch.stop()
            connection.close(0, b"")
        self._tell({"lost": True})

    def _from_clock(self, data: bytes, port: int) -> None:
        if self._connection:
            _send(self._connection, port.to_bytes(FLOW_BYTES) + data)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._connection:
                raise ConnectionError
            stream = await self._connection.open_bi()
        except (iroh.IrohError, ConnectionError):
            writer.transport.abort()
            return
        await carry(reader, writer, stream, next(self._numbers))


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: iroh.BiStream, number: int) -> None:
    """Pass everything on in both directions until both have ended, or one has failed. Of several streams the one with
    the lowest number goes first: the control connection is older than the transfers."""

    async def out() -> None:
        await to.set_priority(-number)
        while data := await reader.read(PIECE_BYTES):
            await to.write_all(data)
        await to.finish()

    async def back() -> None:
        while data := await stream.recv().read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    to = stream.send()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(out())
            group.create_task(back())
    except* (iroh.IrohError, OSError):
        writer.transport.abort()
        await _reset(stream)
    finally:
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Calls `take` with each datagram and the port from which it came."""

    def __init__(self, take: Callable[[bytes, int], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._take(data, addr[1])


class _PathWatch(iroh.PathChangeCallback):
    """Tells the path on which a connection sends, whenever it is another one."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._selected: tuple[str, str] | None = None

    async def on_change(self, paths: list[iroh.PathSnapshot]) -> None:
        for path in paths:
            if path.is_selected and self._selected != (path.id, path.remote_addr):
                self._selected = path.id, path.remote_addr
                self._tell({"path": {"address": path.remote_addr, "relay": path.is_relay, "rtt_ms": path.rtt_ms}})


async def _beat(connection: iroh.Connection) -> None:
    """Send heartbeats, so that the answers show whether the path is alive."""
    while True:
        _send(connection, HEARTBEAT)
        await asyncio.sleep(HEARTBEAT_S)


def _send(connection: iroh.Connection, data: bytes) -> None:
    with contextlib.suppress(iroh.IrohError):  # it is too large, or the connection is over, which others see
        connection.send_datagram(data)


async def _reset(stream: iroh.BiStream) -> None:
    for end in (stream.send().reset, stream.recv().stop):
        with contextlib.suppress(iroh.IrohError):
            await end(0)


def _own_address(node: str) -> str:
    """An address of the loopback for a machine: the same one whenever it comes."""
    first, second, third = hashlib.sha256(node.encode()).digest()[:3]
    return f"127.{64 + first % 64}.{second}.{1 + third % 254}"
