"""The process of the relay (see relay.py): one thread with one event loop.

It reads its configuration as one line of JSON from its standard input. It writes one line when it listens, and one with
a summary when its standard input ends; then it ends.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import heapq
import json
import os
import pathlib
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from phaselock.bench.lab.links import SEGMENT_BYTES, Path, Uplink
from phaselock.bench.lab.relay import RelayConfig, peer_ip
from phaselock.errors import PhaseLockError
from phaselock.network.listener import bind

MAX_LINE_BYTES = 64 * 1024
MAX_DATAGRAM_BYTES = 64 * 1024
MAX_SENDERS = 64
"""UDP ports of one peer; for a new one, the oldest is closed."""
MAX_CONNECTIONS = 256

SPIN_NS = 50_000
"""The loop busy-waits for this long before a datagram is due, because a sleep ends late."""
MAX_STAMP_AGE_NS = 1_000_000_000
"""An older time stamp of the kernel is ignored: its clock was set."""
MAX_BACKLOG_NS = 20_000_000
"""Longest queue that TCP may build on a link with a limit; the rest waits in the sender's socket."""
READ_BYTES = 8 * SEGMENT_BYTES
"""Read from one connection at a time, so that connections share a link evenly."""
LARGE_READ_BYTES = 256 * 1024
"""Read at a time on a link without a limit and without loss, where segments do not matter."""
SPARE_BYTES = 64 * 1024
"""A pipe buffers this much more than the link carries in a round trip."""
MAX_BYTES_S = 125_000_000.0
"""Rate of a link without a limit, for the size of its buffers: 1 Gbit/s."""
SOCKET_BYTES = 128 * 1024
"""Receive buffer of a socket on a link with a limit."""
GATHER_NS = 250_000
"""Segments due within this time arrive together, as from a network card."""

_now_ns = time.perf_counter_ns  # the monotonic clock of some Pythons on Windows ticks every 16 ms
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else 0  # of asm-generic/socket.h; Python does not name it
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = 64
Address = tuple[str, int]
Routes = dict[Address, tuple[socket.socket, Address]]
"""For each sender: the socket to send from, and the address to send to."""


class EventLoop:
    """Calls handlers of sockets and of points in time, to a few microseconds. For one thread only."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.writers: dict[int, Callable[[], None]] = {}
        self.running = True
        self.late_us = collections.Counter[int]()
        """Lateness of exact calls, in whole microseconds."""
        self._due: list[tuple[int, int, bool, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0

    def at(self, due_ns: int, call: Callable[..., object], *arguments: Any, exact: bool = False) -> None:
        """Call `call` at `due_ns`. Calls for the same time run in the order of their scheduling. `exact`: busy-wait for
        it."""
        self._order += 1
        heapq.heappush(self._due, (due_ns, self._order, exact, call, arguments))

    def run(self) -> None:
        """Run until `running` is False."""
        while self.running:
            timeout_s = None
            if self._due:
                due_ns, _, exact, *_ = self._due[0]
                timeout_s = max(0, due_ns - (SPIN_NS if exact else 0) - _now_ns()) / 1e9
            # Not epoll: Python rounds its timeouts to milliseconds. On Windows, a failed connection is an exceptional
            # socket.
            readable, writable, failed = select.select(self.readers, self.writers, self.writers, timeout_s)
            self._fire()
            for ready, handlers in ((readable, self.readers), (dict.fromkeys(writable + failed), self.writers)):
                for fd in ready:
                    if handler := handlers.get(fd):
                        handler()
                        self._fire()

    def _fire(self) -> None:
        due = self._due
        while due:
            at_ns, _, exact, call, arguments = due[0]
            now_ns = _now_ns()
            if now_ns < at_ns - (SPIN_NS if exact else 0):
                return
            heapq.heappop(due)
            if exact:
                while now_ns < at_ns:
                    now_ns = _now_ns()
                self.late_us[(now_ns - at_ns) // 1000] += 1
            call(*arguments)


# -- UDP ---------------------------------------------------------------------------------------------------------------


class DatagramRelay:
    """Relays the clock datagrams between one peer and the host. Both directions use the same code, so that their
    processing time is the same."""

    def __init__(self, loop: EventLoop, sock: socket.socket, host: Address, up: Path, down: Path) -> None:
        self.passed = self.lost = 0
        self._loop = loop
        self._ip = sock.getsockname()[0]
        self._host = host
        self._up = up
        self._down = down
        self._sock = sock
        self._upstream: Routes = {}
        """For each UDP port of the peer: (our socket to the host, the host's address)."""
        self._listen(sock, up, self._upstream, self._add_sender)

    def close(self) -> None:
        """Close all sockets."""
        for sock, _ in self._upstream.values():
            sock.close()
        self._sock.close()

    def _listen(
        self,
        sock: socket.socket,
        path: Path,
        routes: Routes,
        add_sender: Callable[[Address], bool],
    ) -> None:
        sock.setblocking(False)
        if _SO_TIMESTAMPNS:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

        def read() -> None:
            try:
                data, sender, arrived_ns = _receive(sock)
            except OSError:  # no datagram after all, or an ICMP error of an earlier one
                return
            if sender not in routes and not add_sender(sender):
                return
            due_ns = path.datagram(len(data), arrived_ns)
            if due_ns is None:
                self.lost += 1
            else:
                self._loop.at(due_ns, self._pass_on, *routes[sender], data, exact=True)

        self._loop.readers[sock.fileno()] = read

    def _pass_on(self, sock: socket.socket, receiver: Address, data: bytes) -> None:
        with contextlib.suppress(OSError):  # closed in the meantime, or the buffer is full: lost
            sock.sendto(data, receiver)
            self.passed += 1

    def _add_sender(self, sender: Address) -> bool:
        if len(self._upstream) >= MAX_SENDERS:
            oldest, _ = self._upstream.pop(next(iter(self._upstream)))
            del self._loop.readers[oldest.fileno()]
            oldest.close()
        sock = bind(self._ip, 0, socket.SOCK_DGRAM)
        self._upstream[sender] = sock, self._host
        self._listen(sock, self._down, {self._host: (self._sock, sender)}, lambda sender: False)
        return True


def _receive(sock: socket.socket) -> tuple[bytes, Address, int]:
    """Receive (datagram, sender, local time of arrival in ns). The kernel's time stamp gives the arrival where there is
    one: it does not contain the time for which this process was busy. Raise OSError."""
    if not _SO_TIMESTAMPNS:
        data, sender = sock.recvfrom(MAX_DATAGRAM_BYTES)
        return data, sender, _now_ns()
    data, control, _, sender = sock.recvmsg(MAX_DATAGRAM_BYTES, _CONTROL_BYTES)
    real_ns = time.time_ns()
    now_ns = _now_ns()  # in this order: a pause between the two makes an arrival late, never early
    for level, kind, value in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
            seconds, rest_ns = _TIMESPEC.unpack(value)
            age_ns = real_ns - seconds * 1_000_000_000 - rest_ns
            if 0 <= age_ns < MAX_STAMP_AGE_NS:
                now_ns -= age_ns
    return data, sender, now_ns


# -- TCP ---------------------------------------------------------------------------------------------------------------


class Pipe:
    """One direction of a connection: the bytes read and the times at which they may arrive. Nothing overtakes."""

    def __init__(
        self, connection: RelayedConnection, source: socket.socket, sink: socket.socket, path: Path, back: Path
    ) -> None:
        self.path = path
        self._back = back
        self.paused = False
        """The pipe waits for its link, which resumes it."""
        self._connection = connection
        self._loop = connection.loop
        self._source = source
        self._sink = sink
        self._chunks = collections.deque[tuple[int, bytes | memoryview]]()
        """(arrival, bytes); empty bytes are the end of the stream."""
        self._held_bytes = 0
        self._last_ns = 0
        self._ended = self._reset = False
        """The source ended; it was reset."""
        self._is_sink_closed = False
        self._is_scheduled = False
        """`_wake` will be called."""
        self.done = False
        """The end of the stream has been passed on."""
        link = path.uplink.link
        self._is_unlimited = not link.mbit and not path.loss
        bytes_s = link.mbit * 125_000 if link.mbit else MAX_BYTES_S
        self._max_bytes = round(bytes_s * (path.round_trip_ns + MAX_BACKLOG_NS) / 1e9) + SPARE_BYTES
        if link.mbit:
            source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)

    def listen(self) -> None:
        """Read from the source, unless the buffer is full or the stream has ended."""
        if not (self._ended or self._connection.closed or self._held_bytes >= self._max_bytes):
            self._loop.readers[self._source.fileno()] = self._read

    def end(self, *, reset: bool = False) -> None:
        """The source has ended. `reset`: it does not receive any more either."""
        if self._reset or (self._ended and not reset):
            return
        self._ended, self._reset = True, reset
        self._loop.readers.pop(self._source.fileno(), None)
        self._put(b"", _now_ns())

    def _read(self) -> None:
        now_ns = _now_ns()
        if self.path.uplink.backlog_ns(now_ns) > MAX_BACKLOG_NS:
            del self._loop.readers[self._source.fileno()]
            self._connection.wait_for_link(self, now_ns)
            return
        try:
            data = self._source.recv(LARGE_READ_BYTES if self._is_unlimited else READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.end(reset=True)
            return
        if not data:
            self.end()
        elif self._is_unlimited:
            self._put(data, now_ns)
        else:
            view = memoryview(data)
            for begin in range(0, len(data), SEGMENT_BYTES):
                self._put(view[begin : begin + SEGMENT_BYTES], now_ns)
        if self._held_bytes >= self._max_bytes:
            self._loop.readers.pop(self._source.fileno(), None)

    def _put(self, data: bytes | memoryview, now_ns: int) -> None:
        self._last_ns = max(self._last_ns, self.path.segment(len(data), now_ns))
        self._chunks.append((self._last_ns, data))
        self._held_bytes += len(data)
        if not self._is_scheduled:
            self._schedule()

    def _schedule(self) -> None:
        """Schedule the next chunk, together with the chunks that are due within GATHER_NS of it."""
        due_ns = self._chunks[0][0]
        for at_ns, _ in self._chunks:
            if at_ns > self._chunks[0][0] + GATHER_NS:
                break
            due_ns = at_ns
        self._is_scheduled = True
        self._loop.at(due_ns, self._wake)

    def _wake(self) -> None:
        self._is_scheduled = False
        self._pass_on()

    def _pass_on(self) -> None:
        if self._connection.closed:
            return
        data, ends = self._take_due(_now_ns())
        left = self._send(data)
        if left:
            if ends:
                self._chunks.appendleft((0, b""))
            self._chunks.appendleft((0, left))
            self._loop.writers[self._sink.fileno()] = self._pass_on
            return
        self._loop.writers.pop(self._sink.fileno(), None)
        if ends:
            self._pass_on_end()
        elif self._held_bytes < self._max_bytes and not self.paused:
            self.listen()
        if self._chunks and not self._is_scheduled:
            self._schedule()

    def _take_due(self, now_ns: int) -> tuple[bytes | memoryview, bool]:
        """Remove the chunks that are due: (their bytes, whether the stream ends with them)."""
        due = list[bytes | memoryview]()
        ends = False
        while self._chunks and self._chunks[0][0] <= now_ns and not ends:
            data = self._chunks.popleft()[1]
            ends = not data
            due.append(data)
        if any(due):
            # The receiver acknowledges: an empty frame on the way back, which later frames do not overtake.
            self._back.segment(0, now_ns)
        return due[0] if len(due) == 1 else b"".join(due), ends

    def _pass_on_end(self) -> None:
        if self._reset:
            self._connection.close(reset=True)
            return
        self.done = True
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        self._connection.close_if_done()

    def _send(self, data: bytes | memoryview) -> bytes | memoryview:
        """Send, and return the bytes that the sink did not take."""
        sent = len(data)
        try:
            if data and not self._is_sink_closed:
                sent = self._sink.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:  # the receiver is gone: the sender learns that from the other direction
            self._is_sink_closed = True
            self._connection.other(self).end(reset=True)
        self._held_bytes -= sent
        return memoryview(data)[sent:]


class RelayedConnection:
    """A TCP connection of a peer, and the relay's own one to the host."""

    def __init__(
        self, streams: StreamRelay, client: socket.socket, ip: str, host: Address, up: Path, down: Path
    ) -> None:
        self.loop = streams.loop
        self.closed = False
        self._streams = streams
        self._host = host
        self._client = client
        self._upstream = bind_stream(ip)
        for sock in (client, self._upstream):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._up = Pipe(self, client, self._upstream, up, down)
        self._down = Pipe(self, self._upstream, client, down, up)
        self.loop.at(up.segment(0, _now_ns()), self._connect)

    def other(self, pipe: Pipe) -> Pipe:
        """The pipe of the other direction."""
        return self._down if pipe is self._up else self._up

    def wait_for_link(self, pipe: Pipe, now_ns: int) -> None:
        """Resume the pipe when the link has room again."""
        self._streams.wait_for_link(pipe, now_ns)

    def close_if_done(self) -> None:
        """Close once both directions have ended."""
        if self._up.done and self._down.done:
            self.close()

    def close(self, *, reset: bool = False) -> None:
        """Close both sockets. `reset`: so that both sides see an error, not an end."""
        self.closed = True
        for sock in (self._client, self._upstream):
            self.loop.readers.pop(sock.fileno(), None)
            self.loop.writers.pop(sock.fileno(), None)
            if reset:
                with contextlib.suppress(OSError):
                    # The members of struct linger are shorts on Windows.
                    linger = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()
        self._streams.connections.discard(self)

    def _connect(self) -> None:
        if self.closed:
            return
        try:
            self._upstream.connect(self._host)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._down.end(reset=True)
            return
        self.loop.writers[self._upstream.fileno()] = self._connected

    def _connected(self) -> None:
        del self.loop.writers[self._upstream.fileno()]
        if self._upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._down.end(reset=True)
        else:
            self._up.listen()
            self._down.listen()


class StreamRelay:
    """Relays all TCP connections."""

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.connections = set[RelayedConnection]()
        self._waiting: dict[Uplink, collections.deque[Pipe]] = {}

    def serve(self, listener: socket.socket, host: Address, up: Path, down: Path) -> None:
        """Relay each connection to this listener."""
        ip = listener.getsockname()[0]

        def accept() -> None:
            with contextlib.suppress(OSError):  # the client has gone already
                client, _ = listener.accept()
                if len(self.connections) < MAX_CONNECTIONS:
                    self.connections.add(RelayedConnection(self, client, ip, host, up, down))
                else:
                    client.close()

        self.loop.readers[listener.fileno()] = accept

    def close(self) -> None:
        """Reset all connections."""
        for connection in list(self.connections):
            connection.close(reset=True)

    def wait_for_link(self, pipe: Pipe, now_ns: int) -> None:
        """Queue the pipe for its link; pipes resume in order."""
        uplink = pipe.path.uplink
        pipe.paused = True
        waiting = self._waiting.setdefault(uplink, collections.deque())
        waiting.append(pipe)
        if len(waiting) == 1:
            self.loop.at(now_ns + uplink.backlog_ns(now_ns) - MAX_BACKLOG_NS * 3 // 4, self._resume, waiting)

    def _resume(self, waiting: collections.deque[Pipe]) -> None:
        while waiting:
            pipe = waiting.popleft()
            pipe.paused = False
            pipe.listen()


def bind_stream(ip: str) -> socket.socket:
    """A TCP socket that connects from this address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((ip, 0))
    return sock


# -- the process -------------------------------------------------------------------------------------------------------


def serve(config: RelayConfig, on_listening: Callable[[], None], loop: EventLoop) -> dict[str, object]:
    """Relay until the loop ends, and return the summary, see Relay.summary. `on_listening` is called once peers can
    connect. Raise PhaseLockError if an address cannot be listened on."""
    host_uplink = Uplink(config.host_link)
    host, host_clock = (config.host_ip, config.port), (config.host_ip, config.clock_port)
    streams, clocks = StreamRelay(loop), list[DatagramRelay]()
    with contextlib.ExitStack() as stack:
        stack.callback(streams.close)
        for k, link in enumerate(config.peer_links):
            ip = peer_ip(k)
            _check_address(ip)
            up = Path(Uplink(link), config.host_link, f"{config.seed} {k} up")
            down = Path(host_uplink, link, f"{config.seed} {k} down")
            listener = stack.enter_context(bind(ip, config.port, socket.SOCK_STREAM))
            streams.serve(listener, host, up, down)
            clocks.append(DatagramRelay(loop, bind(ip, config.clock_port, socket.SOCK_DGRAM), host_clock, up, down))
            stack.callback(clocks[-1].close)
        on_listening()
        loop.run()
    late = sorted(loop.late_us.elements())
    return {
        "passed": sum(clock.passed for clock in clocks),
        "lost": sum(clock.lost for clock in clocks),
        "late_us": {name: late[int(share * (len(late) - 1))] for name, share in _PERCENTILES.items()} if late else {},
    }


_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _check_address(ip: str) -> None:
    try:
        socket.create_server((ip, 0)).close()
    except OSError:
        how = f": sudo ifconfig lo0 alias {ip}" if sys.platform == "darwin" else ", on the loopback interface."
        raise PhaseLockError(f"The relay needs the address {ip}. Add it to this machine first{how}") from None


def main() -> None:
    """The body of the process. A wrong configuration gives one line with the error and exit status 1."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    gc.disable()
    loop = EventLoop()

    def on_listening() -> None:
        _stop_at_end_of_input(loop)
        _reduce_wake_up_latency()
        _write_line({"ready": True})

    try:
        _write_line(serve(RelayConfig.from_json(_read_line()), on_listening, loop))
    except PhaseLockError as error:
        _write_line({"error": str(error)})
        sys.exit(1)


def _read_line() -> bytes:
    """The first line of standard input, without Python's buffer: the rest is for `_stop_at_end_of_input`."""
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES and (more := os.read(0, MAX_LINE_BYTES)):
        line += more
    return line


def _stop_at_end_of_input(loop: EventLoop) -> None:
    """Stop the loop when standard input ends. A thread waits for that, because select() takes only sockets on
    Windows."""
    wake_send, wake_receive = socket.socketpair()

    def wait_for_end() -> None:
        while os.read(0, MAX_LINE_BYTES):
            pass
        wake_send.send(b".")

    def stop() -> None:
        wake_receive.recv(1)
        loop.running = False

    loop.readers[wake_receive.fileno()] = stop
    threading.Thread(target=wait_for_end, daemon=True).start()


def _write_line(fields: dict[str, Any]) -> None:
    """Write JSON to the parent, which may have gone. Bypass Python's buffer: it would report that again at exit."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(fields).encode() + b"\n")


def _reduce_wake_up_latency() -> None:
    """Ask the system for short wake-up latencies, as far as it permits."""
    with contextlib.suppress(OSError):  # Linux: how late a sleep may end; the default is 50 us
        pathlib.Path("/proc/self/timerslack_ns").write_text("1")
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


if __name__ == "__main__":
    main()
